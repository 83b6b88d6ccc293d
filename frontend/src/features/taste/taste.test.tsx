import { screen, within } from "@testing-library/react";
import { http, HttpResponse } from "msw";
import type { Statistics, Taste } from "@/api/types";
import { makeTrack } from "@/test/data";
import { show } from "@/test/render";
import { server } from "@/test/server";
import { TastePage } from "./taste";

const brief = (n: number) => makeTrack(n) as Statistics["recommendations_changed"][number]["track"];
const week = () => Array.from({ length: 7 }, () => Array.from({ length: 24 }, () => 0));

function makeStatistics(fields: Partial<Statistics> = {}): Statistics {
  const week_hours = week();
  week_hours[6] = week_hours[6]?.map((_, hour) => (hour === 21 ? 10 : 0)) ?? [];
  return {
    period: "6m",
    n: 10,
    top_artists: [{ artist_id: 1, artist: "Björk", plays: 7 }],
    top_tracks: [{ ...brief(1), plays: 4 }],
    top_genres: [
      { genre: "trip hop", share: 0.6 },
      { genre: "R&B/soul", share: 0.4 },
    ],
    week_hours,
    over_time: [{ at: "2026-01-05T00:00:00Z", valence: 0.2, energy: 0.7, n: 10 }],
    era: [{ decade: 1990, n: 9 }],
    strategies: [
      { strategy: "neural_cf", slates: 5, responses: 8, mean_preference: 0.75 },
      { strategy: "discovery", slates: 1, responses: 0, mean_preference: null },
    ],
    recommendations_changed: [{ at: "2026-01-05T20:00:00Z", kind: "like", track: brief(2), entered: [brief(3)], left: [brief(4)] }],
    ...fields,
  };
}

const taste: Taste = {
  n_feedback: 10,
  mean_preference: 0.8,
  genres: [],
  artists: [],
  audio: { valence: { mean: 0.31, catalogue_mean: 0.5 }, tempo: { mean: 0.4, catalogue_mean: 0.5 }, liveness: { mean: null, catalogue_mean: 0.2 } },
  changed: [],
};

/** Answer with these statistics; return which periods were asked for. */
function listen(statistics: Statistics) {
  const periods: (string | null)[] = [];
  server.use(
    http.get("/me/taste", () => HttpResponse.json(taste)),
    http.get("/me/statistics", ({ request }) => {
      periods.push(new URL(request.url).searchParams.get("period"));
      return HttpResponse.json(statistics);
    }),
  );
  return periods;
}

const open = (at = "/taste") => show(<TastePage />, { path: "/taste", at });
const figure = async (name: string) => within(await screen.findByRole("figure", { name }));

test("every chart says how it is computed, and keeps its numbers in a table", async () => {
  listen(makeStatistics());
  const { user } = await open();
  const genres = await figure("Mostly trip hop");
  await user.click(genres.getByText("How this is computed, and the numbers"));
  expect(genres.getByText(/each response gives its preference to every genre/)).toBeVisible();
  expect(genres.getAllByRole("row").map((row) => row.textContent)).toEqual(["GenreShare", "trip hop60 %", "R&B/soul40 %"]);
  for (const one of screen.getAllByRole("figure")) expect(within(one).getByText(/^How this is computed/)).toBeInTheDocument();
});

test("a genre leads to its page, whatever signs its name has", async () => {
  listen(makeStatistics());
  await open();
  const genres = await figure("Mostly trip hop");
  expect(genres.getByRole("link", { name: "R&B/soul" })).toHaveAttribute("href", "/genres/R%26B%2Fsoul");
});

test("a period asks for that period, and is known again by its address", async () => {
  const periods = listen(makeStatistics());
  const { user, router } = await open("/taste?period=1y");
  await figure("Mostly trip hop");
  expect(screen.getByRole("button", { name: "A year" })).toHaveAttribute("aria-pressed", "true");
  await user.click(screen.getByRole("button", { name: "4 weeks" }));
  expect(router.state.location.search).toBe("?period=4w");
  await expect.poll(() => periods).toEqual(["1y", "4w"]);
});

test("how one answered a strategy is told with its interval; one without answers is left out", async () => {
  listen(makeStatistics());
  await open();
  const strategies = await figure("Which ways chose my lists, and how I answered");
  // 0.75 ± sqrt(ln 40 / 16) = 0.75 ± 0.480
  const rows = strategies.getAllByRole("listitem").map((row) => row.textContent);
  expect(rows).toHaveLength(1);
  expect(rows[0]).toContain("75 % (27 to 100)");
  expect(rows[0]).toContain("5 lists, 8 responses");
});

test("what a response changed in the lists is named", async () => {
  listen(makeStatistics());
  await open();
  const changes = await figure("How my lists changed after what I did");
  expect(changes.getByText(/^Liked/)).toHaveTextContent("Liked Track 2");
  expect(changes.getByText("In: Track 3. Out: Track 4.")).toBeVisible();
});

test("only what is known of the sound is drawn, in shares and in plain words", async () => {
  listen(makeStatistics());
  await open();
  const rows = (await figure("How my music sounds, beside the catalogue")).getAllByRole("listitem");
  expect(rows.map((row) => row.textContent)).toEqual(["gladness31 %", "The upright mark is the catalogue."]);
});

test("too little for a chart is said in its place", async () => {
  listen(makeStatistics({ era: [], strategies: [], top_tracks: [], recommendations_changed: [], week_hours: week() }));
  await open();
  expect((await figure("Mood and energy of what I hear")).getByText(/A line needs two weeks/)).toBeVisible();
  expect((await figure("From which decades?")).getByText("No track of this period has a year.")).toBeVisible();
  expect((await figure("When do I listen?")).getByText("No responses with a time in this period.")).toBeVisible();
  expect(screen.getByText("No list of this period was answered yet; it is here with the first response.")).toBeVisible();
});

test.each([
  [[], "there is none so far"],
  [makeStatistics().over_time, "there is one so far"],
])("a line of too few points says how many there are", async (over_time, words) => {
  listen(makeStatistics({ over_time }));
  await open();
  expect((await figure("Mood and energy of what I hear")).getByText(new RegExp(words))).toBeVisible();
});

test("an empty period leads back to the lists", async () => {
  listen(makeStatistics({ n: 0 }));
  await open();
  expect(await screen.findByRole("heading", { name: "Nothing in this period yet" })).toBeVisible();
  expect(screen.getByRole("link", { name: "Go to your lists" })).toHaveAttribute("href", "/");
  expect(screen.queryByRole("figure")).toBeNull();
});

test("a server that does not answer is said, and asked again on demand", async () => {
  listen(makeStatistics());
  server.use(http.get("/me/statistics", () => HttpResponse.error()));
  const { user } = await open();
  const failure = await screen.findByRole("alert");
  expect(failure).toHaveTextContent("The server does not answer");
  listen(makeStatistics());
  await user.click(within(failure).getByRole("button", { name: "Try again" }));
  expect(await screen.findByRole("figure", { name: "Mostly trip hop" })).toBeVisible();
});
