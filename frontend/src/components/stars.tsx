import styles from "./stars.module.css";

const NUMBERS = [1, 2, 3, 4, 5] as const;
const STAR = "M8 1.2l2 4.5 4.9.5-3.7 3.3 1.1 4.8L8 11.8l-4.3 2.5 1.1-4.8L1.1 6.2 6 5.7z";

interface StarsProps {
  /** What is rated, for the name of each button. */
  name: string;
  value: number | undefined;
  onRate: (rating: number) => void;
  tabIndex?: number;
}

/** Rate from 1 to 5; the rating given is pressed. */
export function Stars({ name, value, onRate, tabIndex }: StarsProps) {
  return (
    <div className={styles.stars} role="group" aria-label={`Rate ${name}`} data-rated={value !== undefined || undefined}>
      {NUMBERS.map((n) => (
        <button
          key={n}
          type="button"
          className={styles.star}
          data-on={(value !== undefined && n <= value) || undefined}
          aria-label={`${n} of 5`}
          aria-pressed={value === n}
          tabIndex={tabIndex}
          onClick={() => onRate(n)}
        >
          <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
            <path d={STAR} />
          </svg>
        </button>
      ))}
    </div>
  );
}

/** A number of stars that is read, not given: the expected rating. */
export function StarValue({ value }: { value: number }) {
  return (
    <span className={styles.value} role="img" aria-label={`${value.toFixed(1)} of 5 stars`}>
      {NUMBERS.map((n) => (
        <svg key={n} viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
          <path d={STAR} className={styles.ground} />
          {/* cut at the fraction of this star */}
          <svg viewBox={`0 0 ${16 * share(value, n) || 0.001} 16`} width={16 * share(value, n)} height="16" preserveAspectRatio="xMinYMid slice">
            <path d={STAR} className={styles.fill} />
          </svg>
        </svg>
      ))}
    </span>
  );
}

const share = (value: number, n: number) => Math.min(Math.max(value - n + 1, 0), 1);
