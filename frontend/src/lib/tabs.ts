/** Tabs of one browser tell each other that something changed; others hear of it by asking. */

const channel = typeof BroadcastChannel === "undefined" ? undefined : new BroadcastChannel("musicrec");

export function tellOtherTabs(): void {
  channel?.postMessage("changed");
}

export function whenOtherTabChanges(listener: () => void): () => void {
  channel?.addEventListener("message", listener);
  return () => channel?.removeEventListener("message", listener);
}
