// What every page can do beyond links and forms: one event stream for its living part, parts that load later, uploads,
// copying. Text from the server comes as HTML that its templates escaped; nothing is evaluated.
"use strict";

const { prefix, token } = document.body.dataset;

document.querySelector(".side [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// What a visitor has opened, chosen and focused in a place outlives its replacement, if it has an id.
const show = (place, html) => {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
  const kept = [...place.querySelectorAll("details[id][open], input[id]:checked")].map((each) => each.id);
  place.replaceChildren(...parsed.body.childNodes);
  for (const id of kept) {
    const each = document.getElementById(id);
    if (each?.tagName === "DETAILS") each.open = true;
    else if (each) each.checked = true;
  }
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
};

// The living part. A tab that nobody looks at holds no stream; one that is looked at again gets a fresh one.
const living = document.querySelector("[data-live]");
if (living) {
  let stream = null;
  const open = () => {
    if (stream || document.hidden) return;
    const query = new URLSearchParams(location.search);
    query.set("page", living.dataset.live);
    if (living.dataset.liveQuery) query.set("arn", living.dataset.liveQuery);
    stream = new EventSource(`${prefix}/live?${query}`);
    stream.onmessage = (event) => {
      show(living, JSON.parse(event.data));
      // Where something else is shown at the end, the page is loaded again then.
      if ("liveEnds" in living.dataset && living.querySelector("[data-ended]")) { close(); location.reload(); }
    };
    stream.addEventListener("ended", () => { close(); location.reload(); });
    stream.onerror = () => {
      if (stream?.readyState === EventSource.CLOSED) { close(); setTimeout(open, 5000); }
    };
  };
  const close = () => { stream?.close(); stream = null; };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
}

// Parts that take seconds to be made.
const load = async (place, address, signal) => {
  const answer = await fetch(address, { signal });
  if (answer.redirected) { location.reload(); return; }
  show(place, await answer.text());
};
for (const place of document.querySelectorAll("[data-load]")) load(place, place.dataset.load);

// The effect of the wizard's values, asked for when they have rested for a moment.
const wizard = document.querySelector("[data-estimate]");
if (wizard) {
  const place = wizard.querySelector(".estimate");
  let asked = null, resting = 0;
  // Each field says the effect of its value: the answer has the sentences.
  const tell = () => {
    for (const each of wizard.querySelectorAll(".effect")) {
      each.textContent = place.querySelector(`[data-effect="${each.id.slice("effect-".length)}"]`)?.textContent ?? "";
    }
  };
  const ask = () => {
    asked?.abort();
    asked = new AbortController();
    show(place, `<p class="working"></p>`);
    place.firstChild.textContent = place.dataset.working;
    const query = new URLSearchParams(new FormData(wizard));
    load(place, `${wizard.dataset.estimate}?${query}`, asked.signal).then(tell).catch(() => {});
  };
  wizard.addEventListener("input", () => { clearTimeout(resting); resting = setTimeout(ask, 700); });
  ask();
}

// Uploads: the file itself is the body, so that gigabytes stream.
const drop = document.querySelector(".drop");
if (drop) {
  const said = drop.querySelector(".said"), bar = drop.querySelector("progress");
  const send = (file) => {
    if (!file) return;
    const request = new XMLHttpRequest();
    const query = new URLSearchParams({ bucket: drop.dataset.bucket, key: file.name });
    request.open("PUT", `${prefix}/data/upload?${query}`);
    request.setRequestHeader("x-console-token", token);
    bar.hidden = false;
    said.textContent = drop.dataset.uploading.replace("{name}", file.name);
    request.upload.onprogress = (event) => { bar.value = (100 * event.loaded) / (event.total || 1); };
    request.onload = () => {
      if (request.status === 204) { location.href = `${prefix}/data?${new URLSearchParams({ bucket: drop.dataset.bucket })}`; return; }
      bar.hidden = true;
      said.textContent = drop.dataset.failed.replace("{why}", request.responseText.trim());
    };
    request.onerror = () => { bar.hidden = true; said.textContent = drop.dataset.failed.replace("{why}", "…"); };
    request.send(file);
  };
  drop.querySelector("input").addEventListener("change", (event) => send(event.target.files[0]));
  drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => { event.preventDefault(); drop.classList.remove("over"); send(event.dataTransfer.files[0]); });
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest(".copy");
  if (!button) return;
  await navigator.clipboard.writeText(button.closest(".listing").querySelector("pre").textContent);
  button.textContent = button.dataset.done;
});
