import { Observable } from "./observable";

/** What the page's one polite live region says; `n` lets the same words be said again. */
export const announced = new Observable({ text: "", n: 0 });

export function announce(text: string): void {
  announced.set({ text, n: announced.get().n + 1 });
}
