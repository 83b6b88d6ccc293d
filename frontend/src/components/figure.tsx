import { useId, useState, type ReactNode } from "react";
import styles from "./figure.module.css";

interface FigureProps {
  /** The question that the chart answers, or what it found. */
  title: string;
  /** How it is computed, in words. */
  how: string;
  /** What the numbers rest on. */
  n?: ReactNode;
  children: ReactNode;
  /** The same in a table, for those who read rather than look. */
  table?: { head: string[]; rows: (string | number)[][] };
}

/** A chart with its question, its computation and its numbers. */
export function Figure({ title, how, n, children, table }: FigureProps) {
  const id = useId();
  const [isOpen, setOpen] = useState(false);
  return (
    <figure className={styles.figure} aria-labelledby={id}>
      <figcaption className={styles.head}>
        <h2 id={id}>{title}</h2>
        {n && <span className={`${styles.n} number`}>{n}</span>}
      </figcaption>
      {children}
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>How this is computed{table ? ", and the numbers" : ""}</summary>
        <p className="muted">{how}</p>
        {table && isOpen && (
          // A table that scrolls must be reachable by keyboard.
          // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
          <div className="table-scroll" tabIndex={0} role="region" aria-label={`Numbers: ${title}`}>
            <table>
              <thead>
                <tr>
                  {table.head.map((name, i) => (
                    <th key={name} scope="col" className={i ? "number" : undefined}>
                      {name}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {table.rows.map((row) => (
                  <tr key={row.join("|")}>
                    {row.map((cell, i) => (
                      <td key={table.head[i]} className={i ? "number" : undefined}>
                        {cell}
                      </td>
                    ))}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </details>
    </figure>
  );
}
