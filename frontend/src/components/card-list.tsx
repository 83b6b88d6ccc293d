import { lazy, Suspense, useCallback, useMemo, useState, type FocusEvent, type KeyboardEvent } from "react";
import type { Item } from "@/api/types";
import type { Kind, Wishes } from "@/api/calls";
import { hide, hidden, respond, responses, undoEvent } from "@/lib/acts";
import { playLink } from "@/lib/music-services";
import { useMusicService } from "@/lib/me";
import { useObservable } from "@/lib/observable";
import { isShortcut } from "@/lib/settings";
import styles from "./card-list.module.css";
import { TrackCard, type CardActs, type CardTrack } from "./track-card";
import { useFlip } from "./use-flip";

const TrackSheet = lazy(() => import("./track-sheet"));

interface CardListProps {
  label: string;
  tracks: readonly CardTrack[];
  /** For which moment they were asked for. */
  wishes?: Wishes;
  /** One line that scrolls sideways instead of a grid. */
  isShelf?: boolean;
  newTracks?: ReadonlySet<string>;
  eager?: number;
  policy?: string;
}

/** Cards with everything one can do with a track, by pointer, touch and key. */
export function CardList({ label, tracks, wishes, isShelf, newTracks, eager = 0 }: CardListProps) {
  const answered = useObservable(responses);
  const service = useMusicService();
  const [active, setActive] = useState<string>();
  const [open, setOpen] = useState<CardTrack>();
  const flip = useFlip<HTMLUListElement>(tracks.map((track) => track.track_id).join());
  const tabStop = tracks.some((track) => track.track_id === active) ? active : tracks[0]?.track_id;

  const acts = useMemo<CardActs>(
    () => ({
      onRate: (track, rating) => void respond(track, { kind: "rating", rating }, wishes),
      onLike: (track) => toggle(track, "like", wishes),
      onSave: (track) => toggle(track, "save", wishes),
      onSkip: (track) => void respond(track, { kind: "skip" }, wishes),
      onHide: (track) => void hide(track, { what: "track" }),
      onPlay: (track) => void respond(track, { kind: "play" }, wishes),
      onMore: setOpen,
    }),
    [wishes],
  );

  const onKeyDown = useCallback(
    (event: KeyboardEvent<HTMLUListElement>) => {
      const card = event.target as HTMLElement;
      if (!isShortcut(event)) return;
      const track = tracks.find((one) => one.track_id === card.dataset.card);
      if (!track) return; // the key is for a button in the card
      if (/^[1-5]$/.test(event.key)) acts.onRate(track, Number(event.key));
      else if (event.key === "l") acts.onLike(track);
      else if (event.key === "s") acts.onSave(track);
      else if (event.key === "x") keepFocus(card, () => acts.onSkip(track));
      else if (event.key === "h") keepFocus(card, () => acts.onHide(track));
      else if (event.key === "Enter") acts.onMore(track);
      else if (event.key === " ") {
        window.open(playLink(service, track).href, "_blank", "noopener,noreferrer");
        acts.onPlay(track);
      } else if (!moveFocus(card, event.key)) return;
      event.preventDefault();
    },
    [tracks, acts, service],
  );

  return (
    <>
      <ul
        ref={flip}
        className={isShelf ? styles.shelf : styles.grid}
        aria-label={label}
        onKeyDown={onKeyDown}
        onFocus={(event: FocusEvent<HTMLElement>) => {
          const card = event.target.closest<HTMLElement>("[data-card]");
          if (card) setActive(card.dataset.card);
        }}
      >
        {tracks.map((track, i) => (
          <li key={track.track_id} data-flip={track.track_id}>
            <TrackCard
              track={track}
              response={answered[track.track_id]}
              service={service}
              acts={acts}
              isActive={track.track_id === tabStop}
              isNew={newTracks?.has(track.track_id)}
              isEager={i < eager}
            />
          </li>
        ))}
      </ul>
      {open && (
        <Suspense fallback={null}>
          <TrackSheet track={open} acts={acts} response={answered[open.track_id]} onClose={() => setOpen(undefined)} />
        </Suspense>
      )}
    </>
  );
}

/** Like or save; a second press takes it back. */
function toggle(track: CardTrack, kind: Kind, wishes: Wishes | undefined): void {
  const response = responses.get()[track.track_id];
  if (response?.kind === kind) void undoEvent(response.eventId, track);
  else void respond(track, { kind }, wishes);
}

/** Return the tracks that were neither skipped nor hidden during this visit. */
export function useShown<T extends CardTrack | Item>(tracks: readonly T[]): T[] {
  const answered = useObservable(responses);
  const gone = useObservable(hidden);
  return useMemo(
    () =>
      tracks.filter(
        (track) =>
          answered[track.track_id]?.kind !== "skip" &&
          !gone.tracks.has(track.track_id) &&
          !gone.artists.has(track.artist_id),
      ),
    [tracks, answered, gone],
  );
}

/** Move to the card in an arrow's direction, also into the list above or below. */
function moveFocus(card: HTMLElement, key: string): boolean {
  if (!/^(Arrow(Left|Right|Up|Down)|Home|End)$/.test(key)) return false;
  const cards = [...document.querySelectorAll<HTMLElement>("[data-card]")];
  const here = cards.indexOf(card);
  let to: HTMLElement | undefined;
  if (key === "ArrowLeft") to = cards[here - 1];
  else if (key === "ArrowRight") to = cards[here + 1];
  else if (key === "Home") to = cards[0];
  else if (key === "End") to = cards.at(-1);
  else to = nearest(card, cards, key === "ArrowDown" ? 1 : -1);
  to?.focus({ preventScroll: true });
  to?.scrollIntoView({ block: "nearest", inline: "nearest" });
  return true;
}

function nearest(card: HTMLElement, cards: HTMLElement[], direction: 1 | -1): HTMLElement | undefined {
  const from = card.getBoundingClientRect();
  let best: HTMLElement | undefined;
  let least = Infinity;
  for (const one of cards) {
    const rect = one.getBoundingClientRect();
    const down = (rect.top - from.top) * direction;
    if (down < 8) continue;
    const distance = down * 4 + Math.abs(rect.left - from.left);
    if (distance < least) [best, least] = [one, distance];
  }
  return best;
}

/** Give the focus to the neighbour before a card leaves, so that the keyboard keeps its place. */
function keepFocus(card: HTMLElement, leave: () => void): void {
  const cards = [...document.querySelectorAll<HTMLElement>("[data-card]")];
  const here = cards.indexOf(card);
  (cards[here + 1] ?? cards[here - 1])?.focus();
  leave();
}
