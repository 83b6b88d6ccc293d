import { Button } from "@chakra-ui/react";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "react-router";
import { ApiError } from "@/api/client";
import { CardList, useShown } from "@/components/card-list";
import { Empty, Failure, Waiting } from "@/components/states";
import { hidden, hide } from "@/lib/acts";
import { useObservable } from "@/lib/observable";
import { artistQuery } from "./queries";

export function ArtistPage() {
  const id = Number(useParams().artistId);
  const { data: artist, error, isPending, refetch } = useQuery(artistQuery(id));
  const isHidden = useObservable(hidden).artists.has(id);
  const shown = useShown(artist?.tracks ?? []);
  if (isPending) return <Waiting n={2} kind="block" label="the artist" />;
  if (error instanceof ApiError && error.status === 404) {
    return <Empty title="There is no such artist" action={<Link to="/search">Search</Link>}>The address may have been mistyped.</Empty>;
  }
  if (!artist) return <Failure error={error} what="The artist" onRetry={() => void refetch()} />;
  const first = artist.tracks[0];
  return (
    <div className="page">
      <header className="section">
        <h1>{artist.artist}</h1>
        <p className="muted">
          <span className="number">{artist.n_tracks}</span> {artist.n_tracks === 1 ? "track" : "tracks"} in this catalogue
        </p>
        <div className="chips">
          {artist.genres.map((genre) => (
            <Link key={genre} className="chip" to={`/genres/${encodeURIComponent(genre)}`}>
              {genre}
            </Link>
          ))}
          {first && !isHidden && (
            <Button variant="outline" size="sm" onClick={() => void hide({ ...first, artist_id: id, artist: artist.artist }, { what: "artist" })}>
              Hide this artist
            </Button>
          )}
        </div>
      </header>
      <section className="section" aria-labelledby="tracks">
        <h2 id="tracks">Tracks</h2>
        {isHidden ? (
          <p className="muted">Hidden: {artist.artist} is not recommended to you. The library shows what is hidden, and shows it again.</p>
        ) : (
          <CardList label={`Tracks by ${artist.artist}`} tracks={shown} />
        )}
      </section>
      {artist.similar.length > 0 && (
        <section className="section" aria-labelledby="similar">
          <h2 id="similar">Similar artists</h2>
          <ul className="chips">
            {artist.similar.map((other) => (
              <li key={other.artist_id}>
                <Link className="chip" to={`/artists/${other.artist_id}`}>
                  {other.artist}
                </Link>
              </li>
            ))}
          </ul>
        </section>
      )}
    </div>
  );
}
