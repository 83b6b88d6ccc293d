import { useRef, useState } from "react";
import { respond } from "@/lib/acts";
import type { CardTrack } from "./track-card";

/** The catalogue's preview; how much of it was heard is the response. */
export function Preview({ track, url }: { track: CardTrack; url: string }) {
  const [failed, setFailed] = useState(false);
  const furthest = useRef(0);
  const told = useRef(false);
  const tell = () => {
    if (told.current || furthest.current < 0.05) return;
    told.current = true;
    void respond(track, { kind: "play", completion: Math.round(furthest.current * 100) / 100 });
  };
  if (failed) return <p className="muted">The catalogue names a preview, but it cannot be played here.</p>;
  return (
    // A preview of music has no words that a caption would repeat.
    // eslint-disable-next-line jsx-a11y/media-has-caption
    <audio
      controls
      preload="none"
      src={url}
      aria-label={`Preview of ${track.track_name}`}
      onTimeUpdate={({ currentTarget: { currentTime, duration } }) => {
        if (duration > 0) furthest.current = Math.max(furthest.current, currentTime / duration);
      }}
      onPause={tell}
      onEnded={tell}
      onError={() => setFailed(true)}
    />
  );
}
