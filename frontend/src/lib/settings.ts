import { Observable } from "./observable";

/** Choices that belong to this browser, not to the account. */
export interface LocalSettings {
  /** Single keys act (WCAG 2.1.4: they can be turned off). */
  shortcuts: boolean;
  theme: "system" | "dark" | "light";
}

export const localSettings = new Observable<LocalSettings>(stored());

export function changeSettings(change: Partial<LocalSettings>): void {
  const settings = { ...localSettings.get(), ...change };
  try {
    localStorage.setItem("shortcuts", settings.shortcuts ? "on" : "off");
    if (settings.theme === "system") localStorage.removeItem("theme");
    else localStorage.setItem("theme", settings.theme);
  } catch {
    // storage may be forbidden: the choice then lasts for this page
  }
  const { dataset } = document.documentElement; // read by tokens.css, as theme.js sets it
  if (settings.theme === "system") delete dataset.theme;
  else dataset.theme = settings.theme;
  localSettings.set(settings);
}

/** Return whether a key acts by itself: arrows, Enter and the like always do, characters unless turned off. */
export function isShortcut({ key, ctrlKey, metaKey, altKey }: Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey">): boolean {
  if (ctrlKey || metaKey || altKey) return false;
  return key.length > 1 || localSettings.get().shortcuts;
}

function stored(): LocalSettings {
  try {
    const theme = localStorage.getItem("theme");
    return {
      shortcuts: localStorage.getItem("shortcuts") !== "off",
      theme: theme === "dark" || theme === "light" ? theme : "system",
    };
  } catch {
    return { shortcuts: true, theme: "system" };
  }
}
