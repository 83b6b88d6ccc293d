import { screen } from "@testing-library/react";
import { http, HttpResponse } from "msw";
import { makeTrack } from "@/test/data";
import { show } from "@/test/render";
import { server } from "@/test/server";
import { place } from "./place";
import { SearchPage } from "./search";

const genre = (name: string, energy: number, valence: number, n_tracks = 10) => ({ genre: name, n_tracks, energy, valence, related: [] });

beforeEach(() => {
  server.use(
    http.get("/genres", () => HttpResponse.json([genre("soul", 0.5, 0.6), genre("metal", 0.9, 0.3)])),
    http.get("/trending", () => HttpResponse.json([])),
    http.get("/latest", () => HttpResponse.json([])),
  );
});

test("tracks, artists and genres appear as one types", async () => {
  server.use(
    http.get("/search", ({ request }) => {
      const q = new URL(request.url).searchParams.get("q");
      return HttpResponse.json({ tracks: [makeTrack(1, { track_name: `Found by ${q}` })], artists: [{ artist_id: 1, artist: "Björk" }], genres: ["art pop"] });
    }),
  );
  const { user } = await show(<SearchPage />, { path: "/search" });
  await user.type(screen.getByRole("searchbox"), "bj");
  expect(await screen.findByRole("link", { name: "Found by bj" })).toBeVisible();
  expect(screen.getByRole("link", { name: "Björk" })).toHaveAttribute("href", "/artists/1");
  expect(screen.getByRole("link", { name: "art pop" })).toHaveAttribute("href", "/genres/art%20pop");
});

test("nothing found is said with the words that were asked", async () => {
  server.use(http.get("/search", () => HttpResponse.json({ tracks: [], artists: [], genres: [] })));
  await show(<SearchPage />, { path: "/search", at: "/search?q=zzz" });
  expect(await screen.findByRole("heading", { name: "Nothing is called “zzz”" })).toBeVisible();
});

test("each genre of the map is a link that names its tracks", async () => {
  await show(<SearchPage />, { path: "/search" });
  expect(await screen.findByRole("link", { name: "soul, 10 tracks" })).toHaveAttribute("href", "/genres/soul");
});

test("the map puts glad genres to the right and energetic ones above, and none on another", () => {
  const dots = place([genre("a", 0.9, 0.1), genre("b", 0.1, 0.9), genre("c", 0.5, 0.5), genre("d", 0.5, 0.5)], { width: 1000, height: 600 });
  const [a, b, c, d] = dots as [(typeof dots)[0], (typeof dots)[0], (typeof dots)[0], (typeof dots)[0]];
  expect(a.x).toBeLessThan(b.x);
  expect(a.y).toBeLessThan(b.y);
  expect(Math.hypot(c.x - d.x, c.y - d.y)).toBeGreaterThan(15);
});
