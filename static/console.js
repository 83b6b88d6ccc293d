// Lets a part of a page that refreshes itself cost nothing while nothing changed, and leave its
// reader where they were: what they had opened, scrolled to and focused.
"use strict";

(() => {
  const SCROLLED = ".table-scroll, .chart";
  const NAMES = ["id", "href", "aria-label", "aria-labelledby"];
  const etags = new WeakMap();
  const places = new WeakMap();

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
    places.set(target, {
      opened: [...target.querySelectorAll("details[open][id]")].map((details) => details.id),
      scrolled: [...target.querySelectorAll(SCROLLED)].map((element) => element.scrollLeft),
      focused: target.contains(document.activeElement) ? nameOf(document.activeElement) : "",
    });
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    const { target } = event.detail;
    const { opened, scrolled, focused } = places.get(target) ?? { opened: [], scrolled: [] };
    for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    const now = target.querySelectorAll(SCROLLED);
    if (now.length === scrolled.length) now.forEach((element, i) => (element.scrollLeft = scrolled[i]));
    if (focused) target.querySelector(focused)?.focus({ preventScroll: true });
    say(target, "");
  });

  for (const failure of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
    document.addEventListener(failure, (event) => {
      say(event.target, "The server does not answer; what you see is older than it says.");
    });
  }

  // How to find an element in the next version of its part, where it has something of its own.
  function nameOf(element) {
    if (element.matches("details[id] > summary")) return `${nameOf(element.parentElement)} > summary`;
    const name = NAMES.find((one) => element.getAttribute(one));
    return name ? `[${name}="${CSS.escape(element.getAttribute(name))}"]` : "";
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
