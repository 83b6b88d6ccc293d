import { Bookmark, EyeOff, Heart, MoreHorizontal, Play, SkipForward } from "lucide-react";
import { memo } from "react";
import { Link } from "react-router";
import type { Item } from "@/api/types";
import type { Listed, Response } from "@/lib/acts";
import { playLink } from "@/lib/music-services";
import { Cover } from "./cover";
import { Stars } from "./stars";
import styles from "./track-card.module.css";

export type CardTrack = Listed & Partial<Pick<Item, "explanation" | "strategy" | "explored">>;

export interface CardActs {
  onRate: (track: CardTrack, rating: number) => void;
  onLike: (track: CardTrack) => void;
  onSave: (track: CardTrack) => void;
  onSkip: (track: CardTrack) => void;
  onHide: (track: CardTrack) => void;
  onPlay: (track: CardTrack) => void;
  onMore: (track: CardTrack) => void;
}

interface CardProps {
  track: CardTrack;
  response: Response | undefined;
  service: string;
  acts: CardActs;
  /** The one card of its list that Tab reaches; arrows lead to the others. */
  isActive: boolean;
  isNew?: boolean;
  isEager?: boolean;
}

const SAID: Partial<Record<Response["kind"], string>> = { like: "Liked", save: "Saved", play: "Played", skip: "Skipped" };

/** A track with its reason and what one can do with it. */
export const TrackCard = memo(function TrackCard(props: CardProps) {
  const { track, response, service, acts, isActive, isNew = false, isEager = false } = props;
  const tabIndex = isActive ? 0 : -1;
  const link = playLink(service, track);
  const name = `${track.track_name} by ${track.artist}`;
  const rating = response?.kind === "rating" ? response.rating : undefined;
  const said = response && (rating ? `Rated ${rating}` : SAID[response.kind]);
  return (
    <article
      className={styles.card}
      data-card={track.track_id}
      data-response={response?.kind}
      tabIndex={tabIndex}
      aria-label={name}
    >
      <div className={styles.sleeve}>
        <Cover track={track} isLazy={!isEager} />
        {isNew && !said && <span className={styles.badge}>New here</span>}
        {said && (
          <span className={styles.badge} data-said>
            {said}
            {response.state === "kept" && ", waiting"}
          </span>
        )}
        <a
          className={styles.play}
          href={link.href}
          target="_blank"
          rel="noopener noreferrer"
          tabIndex={tabIndex}
          aria-label={`Play ${name} on ${link.name}`}
          title={`Play on ${link.name} (space)`}
          onClick={() => acts.onPlay(track)}
        >
          <Play size={18} aria-hidden="true" />
        </a>
      </div>
      <h3 className={styles.title}>
        <Link to={`/tracks/${encodeURIComponent(track.track_id)}`} tabIndex={tabIndex}>
          {track.track_name}
        </Link>
      </h3>
      <p className={styles.artist}>
        {track.artist_id ? (
          <Link to={`/artists/${track.artist_id}`} tabIndex={tabIndex}>
            {track.artist}
          </Link>
        ) : (
          track.artist
        )}
      </p>
      {track.explanation !== undefined && <p className={styles.reason}>{track.explanation}</p>}
      <div className={styles.acts}>
        <Stars name={track.track_name} value={rating} tabIndex={tabIndex} onRate={(n) => acts.onRate(track, n)} />
        <div className={styles.buttons}>
          <Act label="Like" hint="l" isOn={response?.kind === "like"} tabIndex={tabIndex} onClick={() => acts.onLike(track)}>
            <Heart size={17} />
          </Act>
          <Act label="Save" hint="s" isOn={response?.kind === "save"} tabIndex={tabIndex} onClick={() => acts.onSave(track)}>
            <Bookmark size={17} />
          </Act>
          <Act label="Skip" hint="x" tabIndex={tabIndex} onClick={() => acts.onSkip(track)}>
            <SkipForward size={17} />
          </Act>
          <Act label="Hide" hint="h" tabIndex={tabIndex} onClick={() => acts.onHide(track)}>
            <EyeOff size={17} />
          </Act>
          <Act label="Why this, and more" hint="Enter" tabIndex={tabIndex} onClick={() => acts.onMore(track)}>
            <MoreHorizontal size={17} />
          </Act>
        </div>
      </div>
    </article>
  );
});

interface ActProps {
  label: string;
  hint: string;
  isOn?: boolean;
  tabIndex: number;
  onClick: () => void;
  children: React.ReactNode;
}

function Act({ label, hint, isOn, tabIndex, onClick, children }: ActProps) {
  return (
    <button
      type="button"
      className={styles.act}
      aria-label={label}
      aria-pressed={isOn}
      title={`${label} (${hint})`}
      tabIndex={tabIndex}
      onClick={onClick}
    >
      {children}
    </button>
  );
}
