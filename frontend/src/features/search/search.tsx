import { Input } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { Search } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { Link, useLocation, useSearchParams } from "react-router";
import type { Found } from "@/api/types";
import { CardList, useShown } from "@/components/card-list";
import { Empty, Failure, Waiting } from "@/components/states";
import { useDebounced } from "@/lib/use-debounced";
import { GenreMap } from "./genre-map";
import { genresQuery, latestQuery, searchQuery, trendingQuery } from "./queries";
import styles from "./search.module.css";

/** Tracks, artists and genres as one types; before that, the catalogue as a map. */
export function SearchPage() {
  const [params, setParams] = useSearchParams();
  const [text, setText] = useState(params.get("q") ?? "");
  const q = useDebounced(text.trim());
  const input = useRef<HTMLInputElement>(null);
  const location = useLocation();
  const wantsFocus = (location.state as { focus?: boolean } | null)?.focus;
  useEffect(() => {
    if (wantsFocus) input.current?.focus();
  }, [wantsFocus, location.key]);
  useEffect(() => {
    setParams(q ? { q } : {}, { replace: true, preventScrollReset: true, state: null });
  }, [q, setParams]);
  return (
    <div className="page">
      <header className={styles.top}>
        <h1>Search</h1>
        <div className={styles.box} role="search">
          <Search size={20} aria-hidden="true" />
          <Input
            ref={input}
            type="search"
            size="lg"
            variant="subtle"
            aria-label="Tracks, artists, genres"
            placeholder="Tracks, artists, genres"
            value={text}
            maxLength={200}
            autoComplete="off"
            onChange={({ target }) => setText(target.value)}
            onKeyDown={(event) => {
              if (event.key === "ArrowDown") document.querySelector<HTMLElement>("main [data-result], main [data-card]")?.focus();
            }}
          />
        </div>
      </header>
      {q ? <Results q={q} /> : <Explore />}
    </div>
  );
}

function Results({ q }: { q: string }) {
  const { data, error, isPending, isPlaceholderData, refetch } = useQuery(searchQuery(q));
  if (isPending) return <Waiting n={6} kind="card" label="results" />;
  if (error && !data) return <Failure error={error} what="The search" onRetry={() => void refetch()} />;
  if (!data) return null;
  const n = data.tracks.length + data.artists.length + data.genres.length;
  return (
    <div className={styles.results} aria-busy={isPlaceholderData}>
      <p className="visually-hidden" role="status">
        {n === 0 ? "Nothing found." : `${data.tracks.length} tracks, ${data.artists.length} artists, ${data.genres.length} genres.`}
      </p>
      {n === 0 ? (
        <Empty title={`Nothing is called “${q}”`}>The catalogue of this installation has no track, artist or genre by that name. Accents and case do not matter; fewer letters may help.</Empty>
      ) : (
        <Groups found={data} />
      )}
    </div>
  );
}

function Groups({ found: { tracks, artists, genres } }: { found: Found }) {
  const shown = useShown(tracks);
  return (
    <>
      {(artists.length > 0 || genres.length > 0) && (
        <div className={styles.beside}>
          {artists.length > 0 && (
            <section className="section" aria-labelledby="found-artists">
              <h2 id="found-artists">Artists</h2>
              <ul className="chips">
                {artists.map(({ artist_id, artist }) => (
                  <li key={artist_id}>
                    <Link className="chip" data-result to={`/artists/${artist_id}`}>
                      {artist}
                    </Link>
                  </li>
                ))}
              </ul>
            </section>
          )}
          {genres.length > 0 && (
            <section className="section" aria-labelledby="found-genres">
              <h2 id="found-genres">Genres</h2>
              <ul className="chips">
                {genres.map((genre) => (
                  <li key={genre}>
                    <Link className="chip" data-result to={`/genres/${encodeURIComponent(genre)}`}>
                      {genre}
                    </Link>
                  </li>
                ))}
              </ul>
            </section>
          )}
        </div>
      )}
      {shown.length > 0 && (
        <section className="section" aria-labelledby="found-tracks">
          <h2 id="found-tracks">Tracks</h2>
          <CardList label="Tracks found" tracks={shown} />
        </section>
      )}
    </>
  );
}

function Explore() {
  const genres = useQuery(genresQuery);
  return (
    <>
      <section className="section" aria-labelledby="map">
        <h2 id="map">Map of genres</h2>
        <p className={`muted ${styles.wide}`}>To the right the gladder, further up the more energetic. The area is the number of tracks, lines join what is related.</p>
        {genres.isPending && <Waiting n={1} kind="block" label="the map" />}
        {genres.error && !genres.data && <Failure error={genres.error} what="The map" onRetry={() => void genres.refetch()} />}
        {genres.data && <GenreMap genres={genres.data} />}
      </section>
      <Shelf title="Rising" query={trendingQuery} missing="Nothing was played here lately." />
      <Shelf title="Latest" query={latestQuery} missing="The catalogue is empty." />
    </>
  );
}

function Shelf({ title, query, missing }: { title: string; query: typeof trendingQuery | typeof latestQuery; missing: string }) {
  const { data, isPending, error, refetch } = useQuery(query as typeof trendingQuery);
  const shown = useShown(data ?? []);
  return (
    <section className="section" aria-label={title}>
      <h2>{title}</h2>
      {isPending && <Waiting n={6} kind="card" label={title} />}
      {error && !data && <Failure error={error} what={title} onRetry={() => void refetch()} />}
      {data && (shown.length ? <CardList label={title} tracks={shown} isShelf /> : <p className="muted">{missing}</p>)}
    </section>
  );
}
