// Lets a part of a page that refreshes itself cost nothing while nothing changed, and keep what
// its reader had opened.
"use strict";

(() => {
  const etags = new WeakMap();

  document.addEventListener("htmx:configRequest", (event) => {
    const etag = etags.get(event.target);
    if (etag) event.detail.headers["If-None-Match"] = etag;
  });

  document.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden) event.preventDefault(); // nobody looks
  });

  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr, target } = event.detail;
    if (xhr.status !== 200) return;
    const etag = xhr.getResponseHeader("ETag");
    if (etag) etags.set(target, etag);
    target.dataset.open = [...target.querySelectorAll("details[open][id]")]
      .map((details) => details.id)
      .join(" ");
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    const target = event.detail.target;
    for (const id of (target.dataset.open ?? "").split(" ").filter(Boolean)) {
      document.getElementById(id)?.setAttribute("open", "");
    }
    say(target, "");
  });

  for (const failure of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
    document.addEventListener(failure, (event) => {
      say(event.target, "The server does not answer; what you see is older than it says.");
    });
  }

  function say(part, words) {
    const line = part.closest("main")?.querySelector("[data-live-state]");
    if (line) line.textContent = words;
  }

  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    const search = document.getElementById("bar-q");
    if (!search) return;
    event.preventDefault();
    search.focus();
  });
})();
