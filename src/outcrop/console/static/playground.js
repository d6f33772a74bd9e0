// The playground: one prompt to the chosen models, whose answers come in one stream of JSON lines. Blind comparisons hide
// who answers until there is a vote.
"use strict";

const form = document.getElementById("playground"), says = form.dataset;
const send = document.getElementById("send"), stop = document.getElementById("stop");
const ballot = document.getElementById("ballot"), voted = form.querySelector(".voted"), from = document.getElementById("from");
const columns = [...form.querySelectorAll(".answer")];
const places = columns[0].parentElement;
const turns = columns.map(() => []), talks = columns.map(() => "");
const posting = { "content-type": "application/json", "x-console-token": document.body.dataset.token };
let asking = null, comparison = null;

const element = (name, content, properties = {}) => Object.assign(document.createElement(name), { textContent: content, ...properties });
const modelOf = (column) => column.querySelector("select").value;
const isBlind = () => Boolean(form.elements.blind?.checked);
const base = () => (from ? from.value : says.knowledge);
const lineOf = (column) => column.querySelector(".figures-line");

const add = (column, role, text) => {
  const turn = element("p", text, { className: `turn ${role}` });
  const talk = column.querySelector(".talk");
  talk.append(turn);
  talk.scrollTop = talk.scrollHeight;
  return turn;
};
const clear = (number) => {
  turns[number] = [];
  talks[number] = "";
  columns[number].querySelector(".talk").replaceChildren();
  lineOf(columns[number]).textContent = "";
};
const chosen = () => columns.map((_, number) => number).filter((number) => modelOf(columns[number]));
const asked = (prompt) => ({
  models: chosen().map((number) => ({ id: modelOf(columns[number]), turns: turns[number], session: talks[number] })),
  prompt, system: form.elements.system.value, knowledge_base: base(), probabilities: form.elements.probabilities.checked,
  max_tokens: Number(form.elements.max_tokens.value), temperature: Number(form.elements.temperature.value),
});

// The address has everything that is chosen, to be sent to a colleague.
const address = () => {
  const query = new URLSearchParams(location.search);
  for (const name of ["model", "knowledge_base", "blind"]) query.delete(name);
  for (const number of chosen()) query.append("model", modelOf(columns[number]));
  if (from?.value) query.set("knowledge_base", from.value);
  if (isBlind()) query.set("blind", "on");
  history.replaceState(null, "", `?${query}`);
};
const settle = () => {
  form.classList.toggle("grounded", Boolean(base()));
  form.classList.toggle("blind", isBlind());
  document.getElementById("settings").open ||= isBlind() && !form.elements.place.value;
};
const reveal = () => {
  comparison = null;
  ballot.hidden = true;
  form.classList.remove("hiding");
  for (const column of columns) column.querySelector(".letter").hidden = true;
};
const restart = () => { reveal(); voted.hidden = true; columns.forEach((_, number) => clear(number)); };

columns.forEach((column, number) => column.querySelector("select").addEventListener("change", (event) => {
  column.classList.toggle("nobody", !event.target.value);
  clear(number);
  address();
}));
from?.addEventListener("change", () => { restart(); settle(); address(); });
form.elements.blind?.addEventListener("change", () => { restart(); settle(); address(); });
document.getElementById("clear").addEventListener("click", restart);
stop.addEventListener("click", () => asking?.abort());
form.elements.prompt.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); form.requestSubmit(); }
});
settle();

// Tokens: each a span, one of which has the focus; the arrow keys walk. What was likely stands in the line below.
const tell = (span) => {
  const column = span.closest(".answer"), line = lineOf(column);
  line.dataset.figures ??= line.textContent;
  line.textContent = span.dataset.told;
};
const untell = (column) => {
  const line = lineOf(column);
  if (line.dataset.figures !== undefined) { line.textContent = line.dataset.figures; delete line.dataset.figures; }
};
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const spell = (answer, tokens) => {
  for (const { text, p, top } of tokens) {
    const span = element("span", text, { className: `token p${Math.min(4, Math.floor(p * 5))}`, tabIndex: answer.querySelector(".token") ? -1 : 0 });
    span.dataset.told = `${JSON.stringify(text)} ${percent(p)} · ${says.bestTokens} ${top.map(([other, share]) => `${JSON.stringify(other)} ${percent(share)}`).join(", ")}`;
    answer.append(span);
  }
};
for (const name of ["pointerover", "focusin"]) places.addEventListener(name, (event) => { if (event.target.dataset.told) tell(event.target); });
for (const name of ["pointerout", "focusout"]) places.addEventListener(name, (event) => { if (event.target.dataset.told) untell(event.target.closest(".answer")); });
places.addEventListener("keydown", (event) => {
  const step = { ArrowRight: "nextElementSibling", ArrowLeft: "previousElementSibling" }[event.key];
  const next = step && event.target.dataset.told && event.target[step];
  if (!next?.dataset?.told) return;
  event.preventDefault();
  event.target.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
});

// Citations, tunes and verses of an answer.
const cite = (answer, references) => {
  for (const { name, page, text, address: there } of references) {
    const shown = page ? `${name}, ${says.page.replace("{n}", page)}` : name;
    const known = [...answer.querySelectorAll(".cite")].find((link) => link.getAttribute("href") === there);
    const number = known ? known.textContent : `${new Set([...answer.querySelectorAll(".cite")].map((link) => link.href)).size + 1}`;
    const link = element("a", number, { className: "cite", href: there, target: "_blank", title: `${shown}\n${text}` });
    link.setAttribute("aria-label", shown);
    answer.append(link);
  }
};
const illustrate = (column, answer, end) => {
  const beside = element("div", "", { className: "beside-answer" });
  if (end.morae) beside.append(element("p", says.morae.replace("{n}", end.morae), { className: "muted morae" }));
  if (end.tune) {
    if (end.tune.svg) {
      const picture = element("img", "", { className: "score-picture", alt: says.score, src: end.tune.svg });
      picture.addEventListener("error", () => picture.remove());
      picture.addEventListener("load", () => { answer.parentElement.scrollTop = answer.parentElement.scrollHeight; });
      beside.append(picture);
    } else beside.append(element("p", says.noScore, { className: "muted" }));
    const sound = element("audio", "", { controls: true, preload: "none", src: end.tune.wav });
    sound.setAttribute("aria-label", says.sound);
    beside.append(sound);
  }
  if (beside.children.length) answer.after(beside);
};
const finish = (number, answer, prompt, end) => {
  const known = end.tokens !== null;
  lineOf(columns[number]).textContent = (known ? says.figures : says.grounded)
    .replace("{first}", end.first_s).replace("{rate}", end.rate).replace("{tokens}", end.tokens).replace("{took}", end.took_s)
    + (end.answering === "extractive" ? ` · ${says.extracts}` : "");
  const text = [...answer.childNodes].filter((node) => !node.classList?.contains("cite")).map((node) => node.textContent).join("");
  if (!comparison) turns[number].push(["user", prompt], ["assistant", text || " "]);
  illustrate(columns[number], answer, end);
  if (!text.trim()) { answer.classList.add("user"); answer.textContent = says.blank; }
  return text;
};

// A blind comparison: places are drawn, names and figures hidden, until there is a vote.
const hide = (numbers) => {
  const drawn = numbers.map((number) => [crypto.getRandomValues(new Uint32Array(1))[0], number]).sort((a, b) => a[0] - b[0]).map((pair) => pair[1]);
  places.append(...drawn.map((number) => columns[number]), ...columns.filter((_, number) => !numbers.includes(number)));
  form.classList.add("hiding");
  drawn.forEach((number, place) => {
    const letter = columns[number].querySelector(".letter");
    letter.textContent = says.answer.replace("{n}", "ABCD"[place]);
    letter.hidden = false;
  });
  return drawn;
};
const offer = () => {
  if (!comparison || comparison.drawn.some((number) => comparison.texts[number] === undefined)) return;
  ballot.querySelector(".bests").replaceChildren(...comparison.drawn.map((_, place) => {
    const button = element("button", says.best.replace("{n}", "ABCD"[place]), { type: "button" });
    button.addEventListener("click", () => vote(place, true));
    return button;
  }));
  comparison.since = performance.now();
  ballot.hidden = false;
};
const vote = async (best, anyGood) => {
  const { drawn, texts, prompt, system, since } = comparison;
  const body = {
    prompt, system, best, any_good: anyGood, place: form.elements.place.value, seconds: (performance.now() - since) / 1000,
    answers: drawn.map((number) => ({ id: modelOf(columns[number]), text: texts[number] })),
  };
  const answer = await fetch(says.vote, { method: "POST", headers: posting, body: JSON.stringify(body) }).catch((error) => error);
  voted.hidden = false;
  voted.classList.toggle("problem", !answer.ok);
  if (!answer.ok) { voted.textContent = answer.text ? (await answer.text()).trim() : answer.message; return; }
  const { ratings } = await answer.json();
  voted.replaceChildren(`${says.thanks} `, element("a", says.ratings, { href: ratings }));
  reveal();
};
ballot.querySelector(".level").addEventListener("click", () => vote(null, true));
ballot.querySelector(".bad").addEventListener("click", () => vote(null, false));

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const prompt = form.elements.prompt.value.trim(), numbers = chosen();
  if (asking || !prompt || !numbers.length) return;
  if (isBlind()) {
    restart();
    const models = numbers.map((number) => modelOf(columns[number]));
    if (models.length > 1 && new Set(models).size === models.length) {
      comparison = { texts: {}, prompt, system: form.elements.system.value.trim() };
      comparison.drawn = hide(numbers);
    }
  }
  asking = new AbortController();
  send.disabled = true;
  stop.hidden = false;
  voted.hidden = true;
  const body = asked(prompt);
  const answers = numbers.map((number) => {
    add(columns[number], "user", prompt);
    lineOf(columns[number]).textContent = "…";
    delete lineOf(columns[number]).dataset.figures;
    return add(columns[number], "assistant", "");
  });
  form.elements.prompt.value = "";
  const take = (line) => {
    const number = numbers[line.model], answer = answers[line.model];
    if (line.text) answer.append(line.text);
    if (line.tokens) spell(answer, line.tokens);
    if (line.citation) cite(answer, line.citation);
    if (line.session) talks[number] = line.session;
    if (line.problem) { answer.classList.add("problem"); answer.textContent = line.problem; lineOf(columns[number]).textContent = ""; }
    if (line.end) {
      const text = finish(number, answer, prompt, line.end);
      if (comparison) comparison.texts[number] = text;
      offer();
    }
    answer.parentElement.scrollTop = answer.parentElement.scrollHeight;
  };
  try {
    const answer = await fetch(form.action, { method: "POST", body: JSON.stringify(body), signal: asking.signal, headers: posting });
    if (!answer.ok) throw new Error((await answer.text()).trim());
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let held = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      held += value;
      const lines = held.split("\n");
      held = lines.pop();
      for (const line of lines) if (line) take(JSON.parse(line));
    }
  } catch (error) {
    if (error.name !== "AbortError") answers.forEach((answer) => { answer.classList.add("problem"); answer.textContent = error.message; });
  } finally {
    asking = null;
    send.disabled = false;
    stop.hidden = true;
    if (comparison && ballot.hidden) reveal(); // one has no answer, or was stopped: there is nothing to vote on
    (ballot.hidden ? form.elements.prompt : ballot.querySelector("button")).focus();
  }
});

// The request that the form has now, as code, made whenever it is looked at.
const code = document.getElementById("code");
const showCode = async () => {
  if (!code.open || !chosen().length) return;
  const last = turns[chosen()[0]].at(-2)?.[1];
  const body = new URLSearchParams({ token: document.body.dataset.token, asked: JSON.stringify(asked(form.elements.prompt.value.trim() || last || "…")) });
  const answer = await fetch(says.code, { method: "POST", body });
  if (answer.ok) show(code.querySelector(".listings"), await answer.text());
};
code.addEventListener("toggle", showCode);
form.addEventListener("change", showCode);
