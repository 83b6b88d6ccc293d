import { X } from "lucide-react";
import { useEffect, useState } from "react";
import { notice } from "@/lib/acts";
import { useObservable } from "@/lib/observable";
import styles from "./shell.module.css";

const SHOWN_MS = 12_000;

/** What the last act did, and the way back; it waits while one looks at it. */
export function NoticeBar() {
  const now = useObservable(notice);
  const [isHeld, setHeld] = useState(false);
  const n = now?.n;
  useEffect(() => {
    if (n === undefined || isHeld) return;
    const timer = setTimeout(() => notice.set(undefined), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [n, isHeld]);
  if (!now) return null;
  return (
    <section
      className={styles.notice}
      data-tone={now.tone}
      aria-label="What changed"
      onPointerEnter={() => setHeld(true)}
      onPointerLeave={() => setHeld(false)}
      onFocus={() => setHeld(true)}
      onBlur={() => setHeld(false)}
    >
      <div>
        <p>{now.text}</p>
        {now.effect && <p className={styles.effect}>{now.effect}</p>}
      </div>
      {now.undo && (
        <button
          type="button"
          className={styles.undo}
          onClick={() => {
            setHeld(false);
            now.undo?.();
          }}
        >
          Undo
        </button>
      )}
      <button type="button" className={styles.dismiss} aria-label="Dismiss" onClick={() => notice.set(undefined)}>
        <X size={16} aria-hidden="true" />
      </button>
    </section>
  );
}
