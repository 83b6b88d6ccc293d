import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "react-router";
import { CardList, useShown } from "@/components/card-list";
import { Empty, Failure, Waiting } from "@/components/states";
import { genresQuery, genreTracksQuery } from "./queries";

export function GenrePage() {
  const { genre = "" } = useParams();
  const { data, error, isPending, refetch } = useQuery(genreTracksQuery(genre));
  const facts = useQuery(genresQuery).data?.find((one) => one.genre === genre);
  const shown = useShown(data?.results ?? []);
  return (
    <div className="page">
      <header className="section">
        <h1>{genre.charAt(0).toUpperCase() + genre.slice(1)}</h1>
        {facts && (
          <p className="muted number">
            {facts.n_tracks} tracks
            {facts.energy !== null && ` · energy ${Math.round(facts.energy * 100)} %`}
            {facts.valence !== null && ` · gladness ${Math.round(facts.valence * 100)} %`}
          </p>
        )}
        {!!facts?.related.length && (
          <ul className="chips" aria-label="Related genres">
            {facts.related.map((other) => (
              <li key={other}>
                <Link className="chip" to={`/genres/${encodeURIComponent(other)}`}>
                  {other}
                </Link>
              </li>
            ))}
          </ul>
        )}
      </header>
      {isPending && <Waiting n={12} kind="card" label="tracks" />}
      {error && !data && <Failure error={error} what="The genre" onRetry={() => void refetch()} />}
      {data &&
        (shown.length ? (
          <CardList label={`Tracks of ${genre}`} tracks={shown} eager={6} />
        ) : (
          <Empty title="No track is of this genre" action={<Link to="/search">Map of genres</Link>}>
            The catalogue knows none by this name.
          </Empty>
        ))}
    </div>
  );
}
