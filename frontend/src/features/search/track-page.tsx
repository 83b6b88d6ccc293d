import { Button } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { Bookmark, Heart } from "lucide-react";
import { Link, useParams } from "react-router";
import { ApiError } from "@/api/client";
import { CardList, useShown } from "@/components/card-list";
import { Cover } from "@/components/cover";
import { Preview } from "@/components/preview";
import { Stars } from "@/components/stars";
import { Empty, Failure, Waiting } from "@/components/states";
import { hide, respond, responses, undoEvent } from "@/lib/acts";
import { useMusicService } from "@/lib/me";
import { playLink } from "@/lib/music-services";
import { useObservable } from "@/lib/observable";
import { duration } from "@/lib/time";
import { similarQuery, trackQuery } from "./queries";
import styles from "./search.module.css";

const FEATURES = [
  ["energy", "Energy"],
  ["valence", "Gladness (valence)"],
  ["danceability", "Danceability"],
  ["acousticness", "Acousticness"],
  ["liveness", "Liveness"],
  ["speechiness", "Speechiness"],
] as const;

export function TrackPage() {
  const { trackId = "" } = useParams();
  const { data: track, error, isPending, refetch } = useQuery(trackQuery(trackId));
  const similar = useQuery(similarQuery(trackId));
  const shown = useShown(similar.data ?? []);
  const response = useObservable(responses)[trackId];
  const service = useMusicService();
  if (isPending) return <Waiting n={2} kind="block" label="the track" />;
  if (error instanceof ApiError && error.status === 404) {
    return <Empty title="There is no such track" action={<Link to="/search">Search</Link>}>It may have left the catalogue. What you said about it is kept.</Empty>;
  }
  if (!track) return <Failure error={error} what="The track" onRetry={() => void refetch()} />;
  const link = playLink(service, track);
  const toggle = (kind: "like" | "save") =>
    response?.kind === kind ? undoEvent(response.eventId, track) : respond(track, { kind });
  return (
    <div className="page">
      <header className={styles.detail}>
        <div className={styles.big}>
          <Cover track={track} isLazy={false} />
        </div>
        <div className={styles.facts}>
          <h1>{track.track_name}</h1>
          <p>
            <Link to={`/artists/${track.artist_id}`}>{track.artist}</Link>
            <span className="muted">
              {track.album && ` · ${track.album}`}
              {track.year && ` · ${track.year}`}
              {track.duration_ms && ` · ${duration(track.duration_ms)}`}
            </span>
          </p>
          <ul className="chips">
            {track.genres.map((genre) => (
              <li key={genre}>
                <Link className="chip" to={`/genres/${encodeURIComponent(genre)}`}>
                  {genre}
                </Link>
              </li>
            ))}
          </ul>
          <Stars
            name={track.track_name}
            value={response?.kind === "rating" ? response.rating : undefined}
            onRate={(rating) => void respond(track, { kind: "rating", rating })}
          />
          <div className="chips">
            <Button asChild colorPalette="accent">
              <a href={link.href} target="_blank" rel="noopener noreferrer" onClick={() => void respond(track, { kind: "play" })}>
                Search on {link.name}
              </a>
            </Button>
            <Button variant="outline" aria-pressed={response?.kind === "like"} onClick={() => void toggle("like")}>
              <Heart size={16} /> {response?.kind === "like" ? "Liked" : "Like"}
            </Button>
            <Button variant="outline" aria-pressed={response?.kind === "save"} onClick={() => void toggle("save")}>
              <Bookmark size={16} /> {response?.kind === "save" ? "Saved" : "Save"}
            </Button>
            <Button variant="ghost" onClick={() => void hide(track, { what: "track" })}>
              Hide
            </Button>
          </div>
          {track.preview_url && <Preview track={track} url={track.preview_url} />}
        </div>
      </header>
      {track.audio && (
        <section className="section" aria-labelledby="sound">
          <h2 id="sound">How it sounds</h2>
          <dl className={styles.numbers}>
            {FEATURES.map(([key, label]) => {
              const value = track.audio?.[key];
              return (
                <div key={key}>
                  <dt>
                    {label} <span className="number">{value == null ? "not known" : `${Math.round(value * 100)} %`}</span>
                  </dt>
                  <dd className={styles.bar} aria-hidden="true">
                    <svg viewBox="0 0 100 4" preserveAspectRatio="none">
                      <rect width={100 * (value ?? 0)} height="4" fill="var(--accent)" />
                    </svg>
                  </dd>
                </div>
              );
            })}
            {track.audio.tempo_bpm != null && (
              <div>
                <dt>
                  Tempo <span className="number">{Math.round(track.audio.tempo_bpm)} bpm</span>
                </dt>
              </div>
            )}
            {track.audio.loudness_db != null && (
              <div>
                <dt>
                  Loudness <span className="number">{track.audio.loudness_db.toFixed(1)} dB</span>
                </dt>
              </div>
            )}
          </dl>
        </section>
      )}
      <section className="section" aria-labelledby="similar">
        <div className="head">
          <h2 id="similar">Similar tracks</h2>
          <p className="muted">By who listens to them, and by how they sound.</p>
        </div>
        {similar.isPending && <Waiting n={6} kind="card" label="similar tracks" />}
        {similar.error && !similar.data && <Failure error={similar.error} what="Similar tracks" onRetry={() => void similar.refetch()} />}
        {similar.data && (shown.length ? <CardList label="Similar tracks" tracks={shown} /> : <p className="muted">Nothing in the catalogue is like it yet.</p>)}
      </section>
    </div>
  );
}
