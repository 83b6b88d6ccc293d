import { screen, waitFor, within } from "@testing-library/react";
import { http, HttpResponse } from "msw";
import { makeMe, makeSlate } from "@/test/data";
import { show } from "@/test/render";
import { problem, server } from "@/test/server";
import { Onboarding } from "./onboarding";

const NAMES = ["Björk", "Portishead", "Massive Attack"];
const genre = (name: string, n_tracks: number) => ({ genre: name, n_tracks, x: null, y: null });
const artist = (name: string, artist_id: number) => ({ artist_id, artist: name, n_tracks: 3, genres: [] });

/** Take what is stated, in the order of arrival, and answer with a list of as many tracks. */
function listen() {
  const stated: Record<string, unknown>[] = [];
  const profile: unknown[] = [];
  server.use(
    http.get("/me", () => HttpResponse.json(makeMe({ onboarded: false, preferences: { genres: [], artists: [], energy: null, mood: "" } }))),
    http.get("/genres", () => HttpResponse.json([genre("jazz", 9), genre("trip hop", 40)])),
    http.get("/artists", ({ request }) => {
      const q = new URL(request.url).searchParams.get("q")?.toLowerCase() ?? "";
      const found = NAMES.filter((name) => name.toLowerCase().replace("ö", "o").includes(q));
      return HttpResponse.json({ results: found.map((name) => artist(name, NAMES.indexOf(name))), next: null, previous: null });
    }),
    http.post("/preferences/set", async ({ request }) => {
      const body = (await request.json()) as Record<string, unknown>;
      stated.push(body);
      return HttpResponse.json(body);
    }),
    http.post("/recommend", () => HttpResponse.json(makeSlate(stated.map((_, n) => n + 1)))),
    http.patch("/me", async ({ request }) => {
      profile.push(await request.json());
      return HttpResponse.json(makeMe());
    }),
  );
  return { stated, profile };
}

const firstList = () => within(screen.getByRole("complementary", { name: "Your first list" }));
const open = () => show(<Onboarding />, { path: "/welcome" });

test("genres come with the largest first, and a first list appears with the first choice", async () => {
  const { stated } = listen();
  const { user } = await open();
  const wall = within(screen.getByRole("group", { name: "Genres" }));
  const tiles = await wall.findAllByRole("button");
  expect(tiles.map((tile) => tile.textContent)).toEqual(["trip hop", "jazz"]);
  expect(firstList().getByText("It appears with your first choice.")).toBeVisible();
  await user.click(wall.getByRole("button", { name: "jazz" }));
  expect(await firstList().findByText("Track 1")).toBeVisible();
  expect(stated).toEqual([{ genres: ["jazz"], artists: [], mood: "", energy: null }]);
});

test("an artist is found as one types, chosen by Enter and taken out by a click", async () => {
  const { stated } = listen();
  const { user } = await open();
  await user.type(screen.getByRole("searchbox", { name: "Find an artist" }), "bjork");
  expect(await within(await screen.findByRole("list", { name: "Artists found" })).findByRole("button", { name: "Björk" })).toBeVisible();
  await user.keyboard("{Enter}");
  const chosen = within(await screen.findByRole("list", { name: "Artists chosen" }));
  expect(screen.getByRole("searchbox")).toHaveValue("");
  await waitFor(() => expect(stated.at(-1)).toMatchObject({ artists: ["Björk"] }));
  await user.click(chosen.getByRole("button", { name: /Björk/ }));
  await waitFor(() => expect(stated.at(-1)).toMatchObject({ artists: [] }));
});

test("who is not in the catalogue is said by name", async () => {
  listen();
  const { user } = await open();
  await user.type(screen.getByRole("searchbox"), "nobody");
  expect(await screen.findByText("Nobody in this catalogue is called “nobody”.")).toBeVisible();
});

test("choices arrive one after the other, the last one last, however slow the server is", async () => {
  const { stated } = listen();
  let answer: () => void = () => undefined;
  const isSlow = new Promise<void>((resolve) => (answer = resolve));
  server.use(
    http.post("/preferences/set", async ({ request }) => {
      if (stated.push((await request.json()) as Record<string, unknown>) === 1) await isSlow;
      return HttpResponse.json({});
    }),
  );
  const { user, router } = await open();
  await user.click(screen.getByRole("button", { name: "Calm" }));
  await waitFor(() => expect(stated).toHaveLength(1));
  await user.click(await screen.findByRole("button", { name: "jazz" }));
  await user.click(screen.getByRole("button", { name: "Show my lists" }));
  expect(stated).toHaveLength(1);
  answer();
  await waitFor(() => expect(router.state.location.pathname).toBe("/"));
  expect(stated.at(-1)).toEqual({ genres: ["jazz"], artists: [], mood: "calm", energy: null });
});

test("showing the lists keeps what was chosen and says that one has been here", async () => {
  const { stated, profile } = listen();
  const { user, router } = await open();
  expect(screen.getByRole("button", { name: "Show my lists" })).toBeDisabled();
  await user.click(await screen.findByRole("button", { name: "trip hop" }));
  await user.click(screen.getByRole("button", { name: "Show my lists" }));
  await waitFor(() => expect(router.state.location.pathname).toBe("/"));
  expect(stated.at(-1)).toMatchObject({ genres: ["trip hop"] });
  expect(profile).toEqual([{ onboarded: true }]);
});

test("it can be skipped with nothing chosen", async () => {
  const { stated, profile } = listen();
  const { user, router } = await open();
  await user.click(screen.getByRole("button", { name: "Skip" }));
  await waitFor(() => expect(router.state.location.pathname).toBe("/"));
  expect(stated).toEqual([]);
  expect(profile).toEqual([{ onboarded: true }]);
});

test("a choice that the server refuses is said and stays on the page", async () => {
  listen();
  server.use(http.post("/preferences/set", () => problem(503, "unavailable", "Later.")));
  const { user, router } = await open();
  const tile = await screen.findByRole("button", { name: "jazz" });
  await user.click(tile);
  expect(await firstList().findByRole("alert")).toHaveTextContent("What you chose stays");
  await user.click(screen.getByRole("button", { name: "Show my lists" }));
  expect(await within(screen.getByRole("region", { name: "What changed" })).findByText(/The server did not take it/)).toBeVisible();
  expect(tile).toHaveAttribute("aria-pressed", "true");
  expect(router.state.location.pathname).toBe("/welcome");
});
