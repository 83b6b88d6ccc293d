// Sets the theme before the page is painted; loaded in the head without defer for that reason.
"use strict";

(() => {
  const root = document.documentElement;

  function stored() {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null; // storage may be forbidden; the system's theme then stays
    }
  }

  function apply(theme) {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
  }

  apply(stored());

  document.addEventListener("DOMContentLoaded", () => {
    for (const select of document.querySelectorAll("[data-theme-choice]")) {
      select.closest("[hidden]")?.removeAttribute("hidden");
      select.value = stored() ?? "system";
      select.addEventListener("change", () => {
        try {
          if (select.value === "system") localStorage.removeItem("theme");
          else localStorage.setItem("theme", select.value);
        } catch {
          // as above: the choice then lasts for this page
        }
        apply(select.value);
      });
    }
  });

  addEventListener("storage", (event) => {
    if (event.key === "theme") apply(event.newValue);
  });
})();
