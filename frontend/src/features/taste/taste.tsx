import { useQuery } from "@tanstack/react-query";
import { Link, useSearchParams } from "react-router";
import * as api from "@/api/calls";
import type { Statistics, Taste } from "@/api/types";
import { Figure } from "@/components/figure";
import { Empty, Failure, Waiting } from "@/components/states";
import { strategyName } from "@/components/strategy";
import { TrackRow, TrackRows } from "@/components/track-row";
import { ago, exactTime } from "@/lib/time";
import { Bars, EraChart, MoodChart, PreferenceRanges } from "./charts";
import { HeatMap } from "./heat-map";
import styles from "./taste.module.css";

const PERIODS = [
  { key: "4w", label: "4 weeks" },
  { key: "6m", label: "6 months" },
  { key: "1y", label: "A year" },
  { key: "all", label: "All time" },
] as const;
const percent = (share: number | null | undefined) => (share == null ? "not known" : `${Math.round(share * 100)} %`);
const month = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "2-digit" });

/** What the system believes one likes, and what it rests on. */
export function TastePage() {
  const [params, setParams] = useSearchParams();
  const period = PERIODS.find(({ key }) => key === params.get("period"))?.key ?? "6m";
  const taste = useQuery({ queryKey: ["taste"], queryFn: api.taste });
  const stats = useQuery({
    queryKey: ["statistics", period],
    queryFn: () => api.statistics(period),
    placeholderData: (old) => old,
  });
  const error = stats.error ?? taste.error;
  return (
    <div className="page">
      <header className="section">
        <div className="head">
          <h1>My taste</h1>
          {taste.data && (
            <p className="muted number">
              {taste.data.n_feedback} responses
              {taste.data.mean_preference !== null && ` · mean preference ${percent(taste.data.mean_preference)}`}
            </p>
          )}
        </div>
        <div className="chips" role="group" aria-label="Period">
          {PERIODS.map(({ key, label }) => (
            <button key={key} type="button" className="chip" aria-pressed={period === key} onClick={() => setParams({ period: key }, { replace: true, preventScrollReset: true })}>
              {label}
            </button>
          ))}
        </div>
      </header>
      {(stats.isPending || taste.isPending) && !error && <Waiting n={4} kind="block" label="your taste" />}
      {error && (!stats.data || !taste.data) && (
        <Failure
          error={error}
          what="Your taste"
          onRetry={() => {
            void stats.refetch();
            void taste.refetch();
          }}
        />
      )}
      {stats.data && taste.data && <Charts stats={stats.data} taste={taste.data} />}
    </div>
  );
}

function Charts({ stats, taste }: { stats: Statistics; taste: Taste }) {
  if (stats.n === 0) {
    return (
      <Empty title="Nothing in this period yet" action={<Link to="/">Go to your lists</Link>}>
        Charts appear with your first plays and ratings; ten or so are enough for the first ones. A history from elsewhere can be imported in the settings.
      </Empty>
    );
  }
  const [genre] = stats.top_genres;
  return (
    <div className={styles.grid}>
      <Figure
        title={genre ? `Mostly ${genre.genre}` : "Genres"}
        n={`n = ${stats.n}`}
        how="Of what was heard in the period (played, liked, saved or rated), each response gives its preference to every genre of its track; a share is a genre's part of the sum. A track of two genres counts for both."
        table={{ head: ["Genre", "Share"], rows: stats.top_genres.map((one) => [one.genre, percent(one.share)]) }}
      >
        <Bars
          rows={stats.top_genres.slice(0, 10).map((one) => ({ label: one.genre, value: one.share, text: percent(one.share), to: `/genres/${encodeURIComponent(one.genre)}` }))}
        />
      </Figure>
      <Figure
        title="Artists most played"
        n={`n = ${stats.n}`}
        how="Plays, likes, saves and ratings of the period, counted by artist."
        table={{ head: ["Artist", "Plays"], rows: stats.top_artists.map((one) => [one.artist, one.plays]) }}
      >
        <Bars
          rows={stats.top_artists.slice(0, 10).map((one) => ({ label: one.artist, value: one.plays, text: String(one.plays), to: `/artists/${one.artist_id}` }))}
        />
      </Figure>
      <Figure
        title="When do I listen?"
        n={`n = ${stats.week_hours.flat().reduce((a, b) => a + b, 0)}`}
        how="What was played, liked, saved or rated, by weekday and hour in your time zone (UTC where the settings name none). The stronger the colour, the more."
        table={{
          head: ["Day", ...Array.from({ length: 24 }, (_, h) => `${h}h`)],
          rows: stats.week_hours.map((hours, day) => [HeatMap.days[day] ?? "", ...hours]),
        }}
      >
        <HeatMap counts={stats.week_hours} />
      </Figure>
      <Figure
        title="From which decades?"
        n={`n = ${stats.era.reduce((sum, one) => sum + one.n, 0)}`}
        how="What was heard in the period, by the decade in which the recording was first released; tracks without a year are left out."
        table={{ head: ["Decade", "Responses"], rows: stats.era.map((one) => [`${one.decade}s`, one.n]) }}
      >
        <EraChart era={stats.era} />
      </Figure>
      <div className={styles.wide}>
        <Figure
          title="Mood and energy of what I hear"
          n={`n = ${stats.over_time.reduce((sum, one) => sum + one.n, 0)}`}
          how="Mean valence (gladness) and energy of what was heard; 0 is sad or quiet, 100 glad or loud. Steps grow with the period. A point of few tracks swings more: their number stands in the table."
          table={{
            head: ["From", "Gladness", "Energy", "Tracks"],
            rows: stats.over_time.map((one) => [month.format(new Date(one.at)), percent(one.valence), percent(one.energy), one.n]),
          }}
        >
          <MoodChart points={stats.over_time} />
        </Figure>
      </div>
      <div className={styles.wide}>
        <Figure
          title="Which ways chose my lists, and how I answered"
          n={`n = ${stats.strategies.reduce((sum, one) => sum + one.responses, 0)} responses`}
          how="For each strategy: the lists it made in the period, the responses to their tracks, and the mean preference (rating (r-1)/4, like and save 1, skip and hide 0, a play its share heard). The line is a 95 % interval by Hoeffding's inequality (1963), mean ± √(ln(2/0.05) / 2n), which holds for any preference in [0, 1] where responses do not depend on each other."
          table={{
            head: ["Strategy", "Lists", "Responses", "Mean preference"],
            rows: stats.strategies.map((one) => [strategyName(one.strategy), one.slates, one.responses, percent(one.mean_preference)]),
          }}
        >
          <PreferenceRanges rows={stats.strategies} />
        </Figure>
      </div>
      {Object.keys(taste.audio).length > 0 && (
        <Figure
          title="How my music sounds, beside the catalogue"
          how="Mean of each feature over all tracks that you responded to, weighted by preference, and over the whole catalogue."
          table={{
            head: ["Feature", "Mine", "Catalogue"],
            rows: sound(taste).map(([name, mine, all]) => [name, percent(mine), percent(all)]),
          }}
        >
          <Bars rows={sound(taste).map(([name, mine, all]) => ({ label: name, value: mine, text: percent(mine), mark: all }))} max={1} markLabel="catalogue" />
        </Figure>
      )}
      <Figure title="Tracks most played" n={`n = ${stats.n}`} how="Plays, likes, saves and ratings of the period, counted by track.">
        {stats.top_tracks.length ? (
          <TrackRows label="Tracks most played">
            {stats.top_tracks.slice(0, 6).map((track) => (
              <TrackRow key={track.track_id} track={track} note={<span className="number">{track.plays}</span>} />
            ))}
          </TrackRows>
        ) : (
          <p className="muted">No plays in this period.</p>
        )}
      </Figure>
      <div className={styles.wide}>
        <Figure
          title="How my lists changed after what I did"
          how="Two lists that were served one after the other, for the same wishes and of the same length, are compared where you responded in between; the last of those responses is named."
        >
          {stats.recommendations_changed.length ? (
            <ol className={styles.changes}>
              {stats.recommendations_changed.slice(0, 12).map((change) => (
                <li key={`${change.at}${change.track?.track_id}`}>
                  <time dateTime={change.at} title={exactTime(change.at)}>
                    {ago(change.at)}
                  </time>
                  <div>
                    <p>
                      {WORDS[change.kind] ?? change.kind}{" "}
                      {change.track && <Link to={`/tracks/${encodeURIComponent(change.track.track_id)}`}>{change.track.track_name}</Link>}
                    </p>
                    <p className="muted">
                      {change.entered.length > 0 && `In: ${change.entered.map((one) => one.track_name).join(", ")}. `}
                      {change.left.length > 0 && `Out: ${change.left.map((one) => one.track_name).join(", ")}.`}
                      {change.entered.length + change.left.length === 0 && "The list stayed as it was."}
                    </p>
                  </div>
                </li>
              ))}
            </ol>
          ) : (
            <p className="muted">Nothing yet: it is there after a response and the list that follows it.</p>
          )}
        </Figure>
      </div>
    </div>
  );
}

const WORDS: Record<string, string> = {
  rating: "Rated",
  like: "Liked",
  dislike: "Disliked",
  play: "Played",
  skip: "Skipped",
  save: "Saved",
  hide: "Hid",
};

function sound(taste: Taste): [string, number, number | undefined][] {
  return Object.entries(taste.audio)
    .filter(([name, { mean }]) => mean !== null && !/loudness|tempo/.test(name))
    .map(([name, { mean, catalogue_mean }]) => [name === "valence" ? "gladness" : name, mean ?? 0, catalogue_mean ?? undefined]);
}
