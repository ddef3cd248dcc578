// Keeps the charts and lists of a page up to date, and shows their times in the time zone of the reader. Without JavaScript
// they are as of when the page was loaded, and the times are in UTC.
"use strict";

(() => {
  const every = 30_000; // milliseconds between two refreshes
  const unattended = 3600_000; // after which a tab is not refreshed, so that it does not keep the session in use
  const shown = document.querySelector("[data-refresh]");
  let refreshed = Date.now();
  let tried = refreshed;
  let attended = refreshed;
  let busy = false;
  let failed = false;

  const clock = (date) => date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

  function localise(root) {
    for (const time of root.querySelectorAll("time[data-clock]")) {
      time.title = time.textContent;
      time.textContent = clock(new Date(time.dateTime));
      time.removeAttribute("data-clock");
    }
    for (const drawing of root.querySelectorAll("svg[data-start]")) {
      drawing.querySelectorAll("title").forEach((title, i) => {
        const at = (Number(drawing.dataset.start) + i * Number(drawing.dataset.step)) * 1000;
        title.textContent = title.textContent.replace(/^[^ ]+ UTC/, (utc) => `${clock(new Date(at))} (${utc})`);
      });
      drawing.removeAttribute("data-start");
    }
  }

  function say() {
    const seconds = Math.round((Date.now() - refreshed) / 1000);
    const age = seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min`;
    shown.textContent = `Updated ${age} ago${failed ? "; the last refresh failed" : ""}`;
    shown.hidden = false;
  }

  async function refresh() {
    busy = true;
    tried = Date.now();
    try {
      const answer = await fetch(shown.dataset.refresh, { redirect: "error" });
      if (!answer.ok) throw new Error(answer.statusText);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      localise(fresh);
      for (const part of document.querySelectorAll("[data-live]")) {
        const next = fresh.getElementById(part.id);
        if (!next || part.contains(document.activeElement) || part.querySelector("input:checked")) continue; // it is in use
        part.replaceWith(document.adoptNode(next));
        document.dispatchEvent(new CustomEvent("refreshed", { detail: next }));
      }
      refreshed = Date.now();
      failed = false;
    } catch {
      failed = true;
    }
    busy = false;
    say();
  }

  localise(document);
  for (const event of ["pointermove", "keydown", "scroll"]) {
    addEventListener(event, () => { attended = Date.now(); }, { passive: true });
  }
  say();
  setInterval(() => {
    if (document.hidden) return;
    say();
    const now = Date.now();
    if (!busy && now - tried >= every && now - attended < unattended) refresh();
  }, 1000);
})();
