// What is nicer with JavaScript. Every page works without.
"use strict";

const said = document.createElement("p");
said.className = "unseen";
said.setAttribute("role", "status");
document.body.append(said);

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue; // the field beside it can be selected and copied
  const label = button.textContent;
  const say = (text) => {
    said.textContent = text;
    if (label) button.textContent = text || label;
    button.classList.toggle("copied", text === "Copied");
  };
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      say("Copied");
      setTimeout(() => say(""), 3000);
    } catch {
      say("Select the text and copy it");
      const field = button.parentElement.querySelector("[data-select]");
      if (field) field.select();
    }
  });
}

for (const field of document.querySelectorAll("[data-select]")) {
  field.addEventListener("focus", () => field.select());
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
