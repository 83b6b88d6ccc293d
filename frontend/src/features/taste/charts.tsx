import { Link } from "react-router";
import { Bar, BarChart, CartesianGrid, LabelList, Line, LineChart, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";
import type { Statistics } from "@/api/types";
import { Strategy } from "@/components/strategy";
import styles from "./taste.module.css";

const TICK = { fill: "var(--muted)", fontSize: 13 };
const TIP = {
  contentStyle: { background: "var(--raised)", border: "1px solid var(--line)", borderRadius: 6, color: "var(--text)" },
  labelStyle: { color: "var(--muted)" },
  cursor: { fill: "var(--raised)", stroke: "var(--line)" },
};
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const isStill = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

interface BarRow {
  label: string;
  value: number;
  text: string;
  to?: string;
  mark?: number;
}

/** Bars with their names and numbers on them; a mark may stand for what they are compared with. */
export function Bars({ rows, max, markLabel }: { rows: BarRow[]; max?: number; markLabel?: string }) {
  const most = max ?? Math.max(...rows.map((row) => row.value), Number.EPSILON);
  return (
    <ul className={styles.bars}>
      {rows.map(({ label, value, text, to, mark }) => (
        <li key={label}>
          <span className={styles.label}>{to ? <Link to={to}>{label}</Link> : label}</span>
          <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
            <rect width="100" height="10" fill="var(--raised)" />
            <rect width={(100 * value) / most} height="10" fill="var(--accent)" />
            {mark !== undefined && <rect x={(100 * mark) / most - 0.3} width="0.8" height="10" fill="var(--text)" />}
          </svg>
          <span className="number">{text}</span>
        </li>
      ))}
      {markLabel && <li className={styles.mark}>The upright mark is the {markLabel}.</li>}
    </ul>
  );
}

export function EraChart({ era }: { era: Statistics["era"] }) {
  if (!era.length) return <p className="muted">No track of this period has a year.</p>;
  return (
    <div className={styles.chart} aria-hidden="true">
      <ResponsiveContainer width="100%" height="100%">
        <BarChart accessibilityLayer={false} data={era.map(({ decade, n }) => ({ decade: `${decade}s`, n }))} margin={{ top: 20, right: 8, bottom: 4, left: 8 }}>
          <XAxis dataKey="decade" tick={TICK} stroke="var(--line)" tickLine={false} interval={0} />
          <YAxis hide domain={[0, "dataMax"]} />
          <Tooltip {...TIP} />
          <Bar dataKey="n" name="Responses" fill="var(--accent)" radius={[3, 3, 0, 0]} isAnimationActive={!isStill()} animationDuration={140}>
            <LabelList dataKey="n" position="top" fill="var(--muted)" fontSize={13} />
          </Bar>
        </BarChart>
      </ResponsiveContainer>
    </div>
  );
}

export function MoodChart({ points }: { points: Statistics["over_time"] }) {
  const known = points.filter((point) => point.valence !== null || point.energy !== null);
  if (known.length < 2) {
    return <p className="muted">A line needs two weeks with responses; there is {known.length === 1 ? "one" : "none"} so far. It will be here then.</p>;
  }
  const data = known.map(({ at, valence, energy, n }) => ({
    at: day.format(new Date(at)),
    valence: valence === null ? null : Math.round(valence * 100),
    energy: energy === null ? null : Math.round(energy * 100),
    n,
  }));
  const last = data.length - 1;
  return (
    <div className={styles.chart} data-tall aria-hidden="true">
      <ResponsiveContainer width="100%" height="100%">
        <LineChart accessibilityLayer={false} data={data} margin={{ top: 12, right: 92, bottom: 4, left: 0 }}>
          <CartesianGrid stroke="var(--line)" vertical={false} />
          <XAxis dataKey="at" tick={TICK} stroke="var(--line)" tickLine={false} minTickGap={28} />
          <YAxis domain={[0, 100]} tick={TICK} stroke="var(--line)" tickLine={false} width={44} unit=" %" />
          <Tooltip {...TIP} />
          <Line type="monotone" dataKey="valence" name="Gladness" stroke="var(--warn)" strokeWidth={2} dot={{ r: 3 }} isAnimationActive={false} unit=" %">
            <LabelList content={(props) => endLabel(props, last, "Gladness", "var(--warn)", (data[last]?.valence ?? 0) >= (data[last]?.energy ?? 0))} />
          </Line>
          <Line type="monotone" dataKey="energy" name="Energy" stroke="var(--neural-cf)" strokeWidth={2} strokeDasharray="5 3" dot={{ r: 3 }} isAnimationActive={false} unit=" %">
            <LabelList content={(props) => endLabel(props, last, "Energy", "var(--neural-cf)", (data[last]?.energy ?? 0) > (data[last]?.valence ?? 0))} />
          </Line>
        </LineChart>
      </ResponsiveContainer>
    </div>
  );
}

/** The line's name at its end; the upper line's above the point, the lower one's below it. */
function endLabel(props: { x?: number | string; y?: number | string; index?: number }, last: number, name: string, fill: string, isUpper: boolean) {
  if (props.index !== last) return null;
  return (
    <text x={Number(props.x) + 10} y={Number(props.y) + (isUpper ? -2 : 12)} fill={fill} fontSize={13} fontWeight={600}>
      {name}
    </text>
  );
}

/** Mean preference by strategy with its interval, on one scale. */
export function PreferenceRanges({ rows }: { rows: Statistics["strategies"] }) {
  const known = rows.filter((row) => row.responses > 0 && row.mean_preference !== null);
  if (!known.length) return <p className="muted">No list of this period was answered yet; it is here with the first response.</p>;
  return (
    <ul className={styles.ranges}>
      {known.map((row) => {
        const mean = row.mean_preference ?? 0;
        const half = Math.sqrt(Math.log(2 / 0.05) / (2 * row.responses));
        const [low, high] = [Math.max(0, mean - half), Math.min(1, mean + half)];
        return (
          <li key={row.strategy}>
            <Strategy strategy={row.strategy} />
            <svg viewBox="0 0 100 16" preserveAspectRatio="none" aria-hidden="true" data-strategy={row.strategy} className={styles.range}>
              <rect y="7.5" width="100" height="1" fill="var(--line)" />
              <rect x={100 * low} width={100 * (high - low)} y="6" height="4" fill="currentColor" opacity="0.5" />
              <rect x={100 * mean - 0.4} width="0.8" height="16" fill="currentColor" />
            </svg>
            <span className="number">
              {Math.round(mean * 100)} % <span className="muted">({Math.round(low * 100)} to {Math.round(high * 100)})</span>
            </span>
            <span className="muted number">
              {row.slates} lists, {row.responses} responses
            </span>
          </li>
        );
      })}
    </ul>
  );
}

