import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { recommend } from "@/api/calls";
import { Cover } from "@/components/cover";
import { useFlip } from "@/components/use-flip";
import { detectDevice } from "@/lib/device";
import styles from "./onboarding.module.css";

interface FirstListProps {
  /** Counts what was saved; each time the list is asked for anew. */
  version: number;
  isChosen: boolean;
  isSaving: boolean;
  error: Error | null;
}

/** The list as it would be now, changing with every choice. */
export function FirstList({ version, isChosen, isSaving, error }: FirstListProps) {
  const list = useQuery({
    queryKey: ["first-list", version],
    queryFn: () => recommend({ n_recommendations: 6, device_type: detectDevice() }),
    enabled: version > 0 || isChosen,
    placeholderData: keepPreviousData,
    gcTime: 0,
  });
  const items = list.data?.recommendations ?? [];
  const flip = useFlip<HTMLOListElement>(items.map((item) => item.track_id).join());
  const problem = error ?? list.error;
  return (
    <div className={styles.first} aria-busy={isSaving || list.isFetching}>
      <h2>Your first list</h2>
      {problem && <p role="alert">It could not be made now. What you chose stays; go on choosing.</p>}
      {!items.length && !problem && <p className="muted">{isChosen ? "Making it." : "It appears with your first choice."}</p>}
      <p className="visually-hidden" role="status">
        {items.length > 0 && `First list: ${items.map((item) => item.track_name).join(", ")}`}
      </p>
      <ol ref={flip} className={styles.list}>
        {items.map((item) => (
          <li key={item.track_id} data-flip={item.track_id}>
            <div className={styles.small}>
              <Cover track={item} isLazy={false} />
            </div>
            <div>
              <strong>{item.track_name}</strong>
              <span className="muted">{item.artist}</span>
            </div>
          </li>
        ))}
      </ol>
    </div>
  );
}
