import styles from "./strategy.module.css";

const NAMES: Record<string, string> = {
  neural_cf: "Listeners like you",
  content_based: "Sounds like what you like",
  hybrid_ensemble: "All signals together",
  trending: "Rising now",
  discovery: "Something new",
  contextual_bandit: "Learns which way suits you",
};

export const strategyName = (strategy: string) => NAMES[strategy] ?? strategy.replaceAll("_", " ");

/** A strategy by its colour and sign, the same everywhere, with its name in words. */
export function Strategy({ strategy, label }: { strategy: string; label?: string }) {
  return (
    <span className={styles.strategy} data-strategy={strategy}>
      <svg viewBox="0 0 12 12" width="11" height="11" aria-hidden="true">
        <Sign strategy={strategy} />
      </svg>
      {label ?? strategyName(strategy)}
    </span>
  );
}

function Sign({ strategy }: { strategy: string }) {
  switch (strategy) {
    case "neural_cf":
      return <circle cx="6" cy="6" r="5.4" />;
    case "content_based":
      return <rect x="1" y="1" width="10" height="10" />;
    case "hybrid_ensemble":
      return <path d="M6 0l6 6-6 6-6-6z" />;
    case "trending":
      return <path d="M6 .6 12 11.4H0z" />;
    case "discovery":
      return <path d="M6 0l1.5 4.1 4.5.4-3.4 2.8 1.1 4.4L6 9.2l-3.7 2.5 1.1-4.4L0 4.5l4.5-.4z" />;
    default:
      return <circle cx="6" cy="6" r="3" />;
  }
}
