import { Button, CloseButton, Dialog, Portal } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import * as api from "@/api/calls";
import type { Item } from "@/api/types";
import { hide, type Response } from "@/lib/acts";
import { useMusicService } from "@/lib/me";
import { mayLoad } from "@/lib/media";
import { playLink } from "@/lib/music-services";
import { Cover } from "./cover";
import { Preview } from "./preview";
import { Stars, StarValue } from "./stars";
import { Strategy } from "./strategy";
import type { CardActs, CardTrack } from "./track-card";
import styles from "./track-sheet.module.css";

interface SheetProps {
  track: CardTrack & Partial<Item>;
  response: Response | undefined;
  acts: CardActs;
  onClose: () => void;
}

const DAYS = [
  { days: 7, label: "a week" },
  { days: 30, label: "a month" },
  { days: undefined, label: "until I show it again" },
];

/** Why this track is here, what is expected of it, and everything one can do with it. */
export default function TrackSheet({ track, response, acts, onClose }: SheetProps) {
  const service = useMusicService();
  const link = playLink(service, track);
  const { data: full } = useQuery({
    queryKey: ["track", track.track_id],
    queryFn: () => api.track(track.track_id),
  });
  const preview = track.preview_url ?? full?.preview_url;
  const put = (what: "track" | "artist", days?: number) => {
    onClose();
    void hide(track, { what, days });
  };
  return (
    <Dialog.Root open onOpenChange={({ open }) => !open && onClose()} placement="center" scrollBehavior="inside" size="lg">
      <Portal>
        <Dialog.Backdrop bg="rgb(0 0 0 / 55%)" />
        <Dialog.Positioner padding="3">
          <Dialog.Content bg="panel" borderRadius="card" className={styles.sheet}>
            <Dialog.Header className={styles.header}>
              <div className={styles.cover}>
                <Cover track={track} isLazy={false} />
              </div>
              <div>
                <Dialog.Title fontFamily="heading" fontSize="22px" lineHeight="1.2">
                  {track.track_name}
                </Dialog.Title>
                <p className="muted">
                  {track.artist}
                  {full?.album && ` · ${full.album}`}
                  {full?.year && ` · ${full.year}`}
                </p>
                <div className={styles.rate}>
                  <Stars
                    name={track.track_name}
                    value={response?.kind === "rating" ? response.rating : undefined}
                    onRate={(n) => acts.onRate(track, n)}
                  />
                </div>
              </div>
            </Dialog.Header>
            <Dialog.Body className={styles.body}>
              {track.strategy && (
                <section aria-label="Why this track">
                  <h3>Why this track</h3>
                  <ul className={styles.reasons}>
                    {track.reasons?.length
                      ? track.reasons.map((reason) => <li key={`${reason.signal}${reason.text}`}>{reason.text}</li>)
                      : track.explanation && <li>{track.explanation}</li>}
                  </ul>
                  <p className={styles.way}>
                    <Strategy strategy={track.strategy} />
                    {track.explored && <span className="muted">placed here to try something out</span>}
                  </p>
                </section>
              )}
              {track.strategy && (
                <section aria-label="What is expected">
                  <h3>What is expected</h3>
                  {track.prediction_score == null ? (
                    <p className="muted">No model can tell yet how you would rate it.</p>
                  ) : (
                    <dl className={styles.facts}>
                      <div>
                        <dt>Your rating, expected</dt>
                        <dd className="number">
                          {track.prediction_score.toFixed(1)} <StarValue value={track.prediction_score} />
                        </dd>
                      </div>
                      {track.confidence != null && (
                        <div>
                          <dt>Chance that this is right within one star</dt>
                          <dd className="number">{Math.round(track.confidence * 100)} %</dd>
                        </div>
                      )}
                    </dl>
                  )}
                </section>
              )}
              <section aria-label="Listen">
                <h3>Listen</h3>
                {mayLoad(preview) && <Preview track={track} url={preview} />}
                <p className={styles.links}>
                  <Button asChild colorPalette="accent" size="sm">
                    <a href={link.href} target="_blank" rel="noopener noreferrer" onClick={() => acts.onPlay(track)}>
                      Search on {link.name}
                    </a>
                  </Button>
                  <Link to={`/tracks/${encodeURIComponent(track.track_id)}`} onClick={onClose}>
                    Track and similar ones
                  </Link>
                  {!!track.artist_id && (
                    <Link to={`/artists/${track.artist_id}`} onClick={onClose}>
                      More by {track.artist}
                    </Link>
                  )}
                </p>
              </section>
              <section aria-label="Hide">
                <h3>Not for now</h3>
                <div className={styles.hide}>
                  <span>Hide this track for</span>
                  {DAYS.map(({ days, label }) => (
                    <button key={label} type="button" className="chip" onClick={() => put("track", days)}>
                      {label}
                    </button>
                  ))}
                </div>
                <div className={styles.hide}>
                  <span>Hide {track.artist} for</span>
                  {DAYS.map(({ days, label }) => (
                    <button key={label} type="button" className="chip" onClick={() => put("artist", days)}>
                      {label}
                    </button>
                  ))}
                </div>
              </section>
            </Dialog.Body>
            <Dialog.CloseTrigger asChild>
              <CloseButton aria-label="Close" />
            </Dialog.CloseTrigger>
          </Dialog.Content>
        </Dialog.Positioner>
      </Portal>
    </Dialog.Root>
  );
}
