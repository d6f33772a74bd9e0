// The playground: one prompt to the chosen models, whose answers come in one stream of JSON lines.
"use strict";

const form = document.getElementById("playground");
const send = document.getElementById("send"), stop = document.getElementById("stop");
const columns = [...form.querySelectorAll(".answer")];
const turns = columns.map(() => []);
let asking = null;

const add = (column, role, text) => {
  const turn = document.createElement("p");
  turn.className = `turn ${role}`;
  turn.textContent = text;
  const talk = column.querySelector(".talk");
  talk.append(turn);
  talk.scrollTop = talk.scrollHeight;
  return turn;
};
const clear = (number) => {
  turns[number] = [];
  columns[number].querySelector(".talk").replaceChildren();
  columns[number].querySelector(".figures-line").textContent = "";
};
const address = () => {
  const query = new URLSearchParams();
  for (const column of columns) if (column.querySelector("select").value) query.append("model", column.querySelector("select").value);
  history.replaceState(null, "", `?${query}`);
};

columns.forEach((column, number) => column.querySelector("select").addEventListener("change", (event) => {
  column.classList.toggle("nobody", !event.target.value);
  clear(number);
  address();
}));
document.getElementById("clear").addEventListener("click", () => columns.forEach((_, number) => clear(number)));
stop.addEventListener("click", () => asking?.abort());
form.elements.prompt.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); form.requestSubmit(); }
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const prompt = form.elements.prompt.value.trim();
  const chosen = columns.map((_, number) => number).filter((number) => columns[number].querySelector("select").value);
  if (asking || !prompt || !chosen.length) return;
  asking = new AbortController();
  send.disabled = true;
  stop.hidden = false;
  const models = chosen.map((number) => ({ id: columns[number].querySelector("select").value, turns: turns[number] }));
  const answers = chosen.map((number) => {
    add(columns[number], "user", prompt);
    columns[number].querySelector(".figures-line").textContent = "…";
    return add(columns[number], "assistant", "");
  });
  form.elements.prompt.value = "";
  const take = (line) => {
    const column = columns[chosen[line.model]], answer = answers[line.model], told = column.querySelector(".figures-line");
    if (line.text) { answer.textContent += line.text; answer.parentElement.scrollTop = answer.parentElement.scrollHeight; }
    if (line.problem) { answer.classList.add("problem"); answer.textContent = line.problem; told.textContent = ""; }
    if (line.end) {
      told.textContent = form.dataset.figures.replace("{first}", line.end.first_s).replace("{rate}", line.end.rate).replace("{tokens}", line.end.tokens);
      turns[chosen[line.model]].push(["user", prompt], ["assistant", answer.textContent || " "]);
      if (!answer.textContent.trim()) { answer.classList.add("user"); answer.textContent = form.dataset.blank; }
    }
  };
  try {
    const body = {
      models, prompt, system: form.elements.system.value,
      max_tokens: Number(form.elements.max_tokens.value), temperature: Number(form.elements.temperature.value),
    };
    const answer = await fetch(form.action, {
      method: "POST", body: JSON.stringify(body), signal: asking.signal,
      headers: { "content-type": "application/json", "x-console-token": document.body.dataset.token },
    });
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
    form.elements.prompt.focus();
  }
});
