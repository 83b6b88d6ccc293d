import styles from "./taste.module.css";

const DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const CELL = 22;
const LEFT = 40;

/** Weekday by hour; the busiest hour has the full colour. */
export function HeatMap({ counts }: { counts: number[][] }) {
  const most = Math.max(...counts.flat(), 1);
  const total = counts.flat().reduce((a, b) => a + b, 0);
  if (!total) return <p className="muted">No responses with a time in this period.</p>;
  return (
    <svg className={styles.heat} viewBox={`0 0 ${LEFT + 24 * CELL} ${7 * CELL + 24}`} aria-hidden="true">
      {counts.map((hours, day) => (
        <g key={DAYS[day]}>
          <text x="0" y={day * CELL + 15}>
            {DAYS[day]}
          </text>
          {hours.map((n, hour) => (
            <rect
              key={`${day}-${hour}`}
              x={LEFT + hour * CELL + 1}
              y={day * CELL + 1}
              width={CELL - 2}
              height={CELL - 2}
              rx="3"
              fill={n ? "var(--accent)" : "var(--raised)"}
              fillOpacity={n ? 0.2 + 0.8 * (n / most) : 1}
            >
              <title>{`${DAYS[day]} ${hour}:00, ${n}`}</title>
            </rect>
          ))}
        </g>
      ))}
      {[0, 6, 12, 18, 23].map((hour) => (
        <text key={hour} x={LEFT + hour * CELL + CELL / 2} y={7 * CELL + 18} textAnchor="middle">
          {hour}h
        </text>
      ))}
    </svg>
  );
}
HeatMap.days = DAYS;
