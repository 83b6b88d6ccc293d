import type { ReactNode } from "react";
import styles from "./settings.module.css";

/** A part of the settings, with its name at the side where there is room. */
export function Section({ title, note, children }: { title: string; note?: ReactNode; children: ReactNode }) {
  const id = `settings-${title.toLowerCase().replaceAll(/\W+/g, "-")}`;
  return (
    <section className={styles.section} aria-labelledby={id}>
      <div>
        <h2 id={id}>{title}</h2>
        {note && <p className="muted">{note}</p>}
      </div>
      <div className={styles.fields}>{children}</div>
    </section>
  );
}
