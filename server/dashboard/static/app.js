// What is nicer with JavaScript. Every page works without.
"use strict";

const said = document.createElement("p");
said.className = "unseen";
said.setAttribute("role", "status");
document.body.append(said);

// Without the clipboard API, which needs https, a field that is selected can be copied.
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const before = document.activeElement, field = document.createElement("textarea");
    field.value = text;
    field.className = "unseen";
    document.body.append(field);
    field.select();
    const copied = document.execCommand("copy");
    field.remove();
    before.focus();
    return copied;
  }
}

// A secret that is shown once: until it was copied, or its reader says that they saved it, the browser asks before it leaves.
const warn = (event) => event.preventDefault();
const saved = () => removeEventListener("beforeunload", warn);
for (const field of document.querySelectorAll("[data-once]")) {
  addEventListener("beforeunload", warn);
  field.addEventListener("copy", saved);
  field.addEventListener("focus", () => field.select());
}
for (const link of document.querySelectorAll("[data-saved]")) link.addEventListener("click", saved);

// A button copies its data-copy, or what is in the element that its data-copies names.
function equip(button) {
  const label = button.textContent, source = document.getElementById(button.dataset.copies);
  let revert;
  button.hidden = false;
  if (!label) button.title = button.ariaLabel = `Copy ID ${button.dataset.copy}`;
  button.addEventListener("click", async () => {
    const copied = await copy(source ? source.value || source.textContent : button.dataset.copy);
    said.textContent = copied ? "Copied" : "Select the text and copy it";
    button.classList.toggle("copied", copied);
    if (label && copied) button.textContent = "Copied";
    if (source && source.select) copied ? saved() : source.select();
    clearTimeout(revert);
    revert = setTimeout(() => {
      said.textContent = "";
      button.textContent = label;
      button.classList.remove("copied");
    }, 3000);
  });
}
const equipAll = (root) => root.querySelectorAll("[data-copy], [data-copies]").forEach(equip);
equipAll(document);
document.addEventListener("refreshed", (event) => equipAll(event.detail)); // by live.js

for (const button of document.querySelectorAll("[data-reveals]")) {
  const field = document.getElementById(button.dataset.reveals);
  button.hidden = false;
  button.addEventListener("click", () => {
    button.textContent = field.classList.toggle("masked") ? "Reveal" : "Hide";
  });
}

// Calls the API with the key that the page shows. It is sent to this server alone, and stays on this page.
for (const button of document.querySelectorAll("[data-tests]")) {
  const key = document.getElementById(button.dataset.tests), result = document.getElementById(button.dataset.result);
  button.hidden = false;
  button.addEventListener("click", async () => {
    result.className = "quiet";
    result.textContent = "Testing …";
    try {
      const answer = await fetch("/api/v1/users/me", { headers: { Authorization: `Bearer ${key.value}` }, credentials: "omit", cache: "no-store" });
      const body = await answer.json();
      result.className = answer.ok ? "passed" : "failed";
      result.textContent = answer.ok ? `${answer.status}: the key works, and acts for ${body.email}.` : `${answer.status}: ${body.error_description || body.error}.`;
    } catch {
      result.className = "failed";
      result.textContent = "The server did not answer. Try again.";
    }
  });
}

// A date in UTC, told in the reader's own time zone as well. To type it is to choose it.
for (const field of document.querySelectorAll("input[type=datetime-local]")) {
  const local = document.getElementById(field.dataset.local), choice = document.getElementById(field.dataset.chooses);
  const tell = () => {
    const at = new Date(field.value + "Z");
    local.textContent = isNaN(at) ? "" : `In your time zone: ${at.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" })} (${Intl.DateTimeFormat().resolvedOptions().timeZone}).`;
  };
  field.addEventListener("input", () => {
    if (choice) choice.checked = field.value !== "" || choice.checked;
    tell();
  });
  tell();
}

// The box above a list selects all of its boxes.
for (const all of document.querySelectorAll("[data-all]")) {
  const boxes = () => [...document.querySelectorAll(`input[name="${all.dataset.all}"]`)];
  all.closest("[hidden]").hidden = false;
  all.form.addEventListener("change", (event) => {
    if (event.target === all) for (const box of boxes()) box.checked = all.checked;
    const chosen = boxes().filter((box) => box.checked).length;
    all.checked = chosen > 0 && chosen === boxes().length;
    all.indeterminate = chosen > 0 && !all.checked;
  });
}

// A submit button works once; the page that follows has another. After a return through the history it works again.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", () => {
    for (const button of form.querySelectorAll("button[type=submit]")) {
      setTimeout(() => { button.disabled = true; });
    }
  });
}
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const button of document.querySelectorAll("button:disabled")) button.disabled = false;
});

function left(until) {
  const seconds = Math.max(0, Math.round((until - Date.now()) / 1000));
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return seconds === 0 ? "now" : `in ${h ? h + " h " : ""}${h < 24 && (h || m) ? m + " min " : ""}${h ? "" : s + " s"}`.trim();
}

for (const time of document.querySelectorAll("[data-countdown]")) {
  const until = Date.parse(time.dateTime);
  // In the place of what the page says of it, if it says anything.
  let shown = time.nextElementSibling;
  if (!shown) {
    shown = document.createElement("span");
    time.after(" ", shown);
  }
  shown.className = "warn";
  const tick = () => { shown.textContent = left(until); };
  tick();
  setInterval(tick, 1000);
}
