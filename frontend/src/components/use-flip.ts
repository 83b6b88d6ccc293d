import { useLayoutEffect, useRef, type RefObject } from "react";

const MS = 240; // a move across the list is longer than a hover's 140 ms, so that the eye can follow

/** Let the children marked `data-flip` glide to their new places whenever `order` changes. */
export function useFlip<E extends HTMLElement>(order: string): RefObject<E | null> {
  const list = useRef<E>(null);
  const places = useRef(new Map<string, { x: number; y: number }>());
  useLayoutEffect(() => {
    const before = places.current;
    const after = new Map<string, { x: number; y: number }>();
    const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
    for (const child of list.current?.querySelectorAll<HTMLElement>(":scope > [data-flip]") ?? []) {
      const id = child.dataset.flip ?? "";
      const place = { x: child.offsetLeft, y: child.offsetTop };
      after.set(id, place);
      if (isStill || before.size === 0) continue;
      const old = before.get(id);
      if (!old) child.animate([{ opacity: 0 }, { opacity: 1 }], { duration: MS, easing: "ease-out" });
      else if (old.x !== place.x || old.y !== place.y) {
        child.animate(
          [{ transform: `translate(${old.x - place.x}px, ${old.y - place.y}px)` }, { transform: "none" }],
          { duration: MS, easing: "ease-out" },
        );
      }
    }
    places.current = after;
  }, [order]);
  return list;
}
