import { screen, waitFor, within } from "@testing-library/react";
import { http, HttpResponse } from "msw";
import { responses } from "@/lib/acts";
import { changeSettings } from "@/lib/settings";
import { makeRow } from "@/test/data";
import { show } from "@/test/render";
import { problem, server } from "@/test/server";
import { ForYou } from "./for-you";

afterEach(() => changeSettings({ shortcuts: true }));

const firstRow = () => within(screen.getByRole("list", { name: "Row for_now" }));
const titles = () => firstRow().getAllByRole("heading", { level: 3 }).map((heading) => heading.textContent);

/** Let the server take responses, and answer with each list in turn: `list-1` and so on. */
function listen(...lists: number[][]) {
  const taken: Record<string, unknown>[] = [];
  let asked = 0;
  server.use(
    http.post("/recommend/rows", () => {
      asked = Math.min(asked + 1, lists.length);
      return HttpResponse.json({ rows: [makeRow("for_now", lists[asked - 1] ?? [], { recommendation_id: `list-${asked}` })] });
    }),
    http.post("/feedback", async ({ request }) => {
      const body = (await request.json()) as Record<string, unknown>;
      taken.push(body);
      return HttpResponse.json({ event_id: body.event_id, kind: "rating", preference: 1, duplicate: false }, { status: 201 });
    }),
  );
  return taken;
}

test("rows have a title that says why, and each card its reason", async () => {
  await show(<ForYou />);
  expect(await screen.findByRole("heading", { name: "Row for_now" })).toBeVisible();
  expect(screen.getByText("Why rising")).toBeVisible();
  expect(screen.getByText("because you rated Hyperballad 5 (1)")).toBeVisible();
});

test("a rating stays on its card, the list changes around it and says what came and went", async () => {
  const taken = listen([1, 2, 3, 4], [3, 4, 9]);
  const { user } = await show(<ForYou />);
  await user.click(within(await screen.findByRole("group", { name: "Rate Track 2" })).getByRole("button", { name: "5 of 5" }));
  await waitFor(() => expect(titles()).toEqual(["Track 3", "Track 2", "Track 4", "Track 9"]));
  expect(within(screen.getByRole("group", { name: "Rate Track 2" })).getByRole("button", { name: "5 of 5" })).toHaveAttribute("aria-pressed", "true");
  expect(screen.getByTestId("live")).toHaveTextContent("New here: Track 9. Gone: Track 1.");
  expect(taken).toHaveLength(1);
  expect(taken[0]).toMatchObject({ track_id: "t2", kind: "rating", rating: 5, recommendation_id: "list-1" });
});

test("a response names the list that showed its card, also where the others came later", async () => {
  const taken = listen([1, 2, 3, 4], [3, 4, 9]);
  const { user } = await show(<ForYou />);
  await user.click(within(await screen.findByRole("group", { name: "Rate Track 2" })).getByRole("button", { name: "3 of 5" }));
  await waitFor(() => expect(titles()).toEqual(["Track 3", "Track 2", "Track 4", "Track 9"]));
  const like = (name: string) => within(screen.getByRole("article", { name })).getByRole("button", { name: "Like" });
  await user.click(like("Track 2 by Artist 2"));
  await user.click(like("Track 9 by Artist 0"));
  await waitFor(() => expect(taken).toHaveLength(3));
  expect(taken.map((body) => [body.track_id, body.kind, body.recommendation_id])).toEqual([
    ["t2", "rating", "list-1"],
    ["t2", "like", "list-1"],
    ["t9", "like", "list-2"],
  ]);
});

test("what another device does is noticed also after an act whose answer came late", async () => {
  let version = 1;
  let answer: () => void = () => undefined;
  const isSlow = new Promise<void>((resolve) => (answer = resolve));
  server.use(
    http.get("/me/state", () => HttpResponse.json({ version: String(version) })),
    http.post("/recommend/rows", () => HttpResponse.json({ rows: [makeRow("for_now", [1, 2, 2 + version])] })),
    http.post("/feedback", async () => {
      version = 2;
      await isSlow;
      return HttpResponse.json({ event_id: "e", kind: "like", preference: 1, duplicate: false }, { status: 201 });
    }),
  );
  const { user } = await show(<ForYou />);
  const card = await screen.findByRole("article", { name: "Track 1 by Artist 1" });
  await user.click(within(card).getByRole("button", { name: "Like" }));
  await waitFor(() => expect(titles()).toEqual(["Track 1", "Track 2", "Track 4"])); // it saw the act before its answer
  answer();
  await waitFor(() => expect(responses.get().t1?.state).toBe("sent"));
  version = 3;
  await waitFor(() => expect(titles()).toEqual(["Track 1", "Track 2", "Track 5"]));
});

test("new lists hold nothing of what was answered in the old ones", async () => {
  listen([1, 2, 3, 4], [3, 4, 9], [5, 6, 7]);
  const { user } = await show(<ForYou />);
  await user.click(within(await screen.findByRole("group", { name: "Rate Track 2" })).getByRole("button", { name: "5 of 5" }));
  await waitFor(() => expect(titles()).toEqual(["Track 3", "Track 2", "Track 4", "Track 9"]));
  await user.click(screen.getByRole("button", { name: "Make new lists" }));
  await waitFor(() => expect(titles()).toEqual(["Track 5", "Track 6", "Track 7"]));
});

test("a skipped card leaves before the server answers", async () => {
  listen([1, 2, 3, 4]);
  let answer: () => void = () => undefined;
  const isSlow = new Promise<void>((resolve) => (answer = resolve));
  server.use(
    http.post("/feedback", async () => {
      await isSlow;
      return HttpResponse.json({ event_id: "e", kind: "skip", preference: 0, duplicate: false }, { status: 201 });
    }),
  );
  const { user } = await show(<ForYou />);
  const card = await screen.findByRole("article", { name: "Track 1 by Artist 1" });
  await user.click(within(card).getByRole("button", { name: "Skip" }));
  expect(titles()).toEqual(["Track 2", "Track 3", "Track 4"]);
  answer();
});

test("a response that the server refuses is taken back on the page, with the reason", async () => {
  listen([1, 2, 3, 4]);
  server.use(http.post("/feedback", () => problem(400, "invalid", "There is no such track.")));
  const { user } = await show(<ForYou />);
  const card = await screen.findByRole("article", { name: "Track 1 by Artist 1" });
  await user.click(within(card).getByRole("button", { name: "Like" }));
  const notice = within(await screen.findByRole("region", { name: "What changed" }));
  expect(await notice.findByText("Not taken, nothing was changed. There is no such track.")).toBeVisible();
  expect(within(card).getByRole("button", { name: "Like" })).toHaveAttribute("aria-pressed", "false");
});

test("a response that is refused only after it had waited is taken back as well, and said", async () => {
  listen([1, 2, 3, 4]);
  server.use(http.post("/feedback", () => HttpResponse.error()));
  const { user } = await show(<ForYou />);
  const card = await screen.findByRole("article", { name: "Track 1 by Artist 1" });
  await user.click(within(card).getByRole("button", { name: "Like" }));
  expect(await within(card).findByText("Liked, waiting")).toBeVisible();
  server.use(http.post("/feedback", () => problem(400, "invalid", "There is no such track.")));
  window.dispatchEvent(new Event("online"));
  const notice = within(screen.getByRole("region", { name: "What changed" }));
  expect(await notice.findByText("1 response was not taken. There is no such track.")).toBeVisible();
  expect(within(card).getByRole("button", { name: "Like" })).toHaveAttribute("aria-pressed", "false");
});

test("undo tells the server which response is meant", async () => {
  const taken = listen([1, 2, 3, 4]);
  const undone: string[] = [];
  server.use(
    http.delete("/feedback/:id", ({ params }) => {
      undone.push(String(params.id));
      return new HttpResponse(null, { status: 204 });
    }),
  );
  const { user } = await show(<ForYou />);
  const card = await screen.findByRole("article", { name: "Track 1 by Artist 1" });
  await user.click(within(card).getByRole("button", { name: "Save" }));
  await waitFor(() => expect(taken).toHaveLength(1));
  await user.click(screen.getByRole("button", { name: "Undo" }));
  await waitFor(() => expect(undone).toEqual([taken[0]?.event_id]));
  expect(within(card).getByRole("button", { name: "Save" })).toHaveAttribute("aria-pressed", "false");
});

test("keys rate, move, skip and undo on the card that has the focus", async () => {
  const taken = listen([1, 2, 3, 4]);
  server.use(http.delete("/feedback/:id", () => new HttpResponse(null, { status: 204 })));
  const { user } = await show(<ForYou />);
  (await screen.findByRole("article", { name: "Track 1 by Artist 1" })).focus();
  await user.keyboard("{ArrowRight}4");
  await waitFor(() => expect(taken[0]).toMatchObject({ track_id: "t2", rating: 4 }));
  await user.keyboard("x");
  await waitFor(() => expect(titles()).not.toContain("Track 2"));
  expect(screen.getByRole("article", { name: "Track 3 by Artist 0" })).toHaveFocus();
  await user.keyboard("u");
  await waitFor(() => expect(titles()).toContain("Track 2"));
});

test("with single keys off, arrows and Enter still lead to every card and its details", async () => {
  const taken = listen([1, 2, 3, 4]);
  server.use(http.get("/tracks/:id", () => problem(404, "not_found", "")));
  changeSettings({ shortcuts: false });
  const { user } = await show(<ForYou />);
  await screen.findByRole("article", { name: "Track 1 by Artist 1" });
  await user.keyboard("{ArrowRight}"); // from the page itself
  await user.keyboard("{End}");
  expect(screen.getByRole("article", { name: "Track 4 by Artist 1" })).toHaveFocus();
  await user.keyboard("{ArrowLeft}5lu");
  expect(screen.getByRole("article", { name: "Track 3 by Artist 0" })).toHaveFocus();
  await user.keyboard("{Enter}");
  expect(await screen.findByRole("dialog")).toBeVisible();
  expect(screen.queryByRole("region", { name: "What changed" })).toBeNull();
  expect(taken).toEqual([]);
});

test("hiding an artist takes all of their tracks away at once", async () => {
  server.use(
    http.post("/me/hidden", () => HttpResponse.json({ id: 7, track: null, artist: { artist_id: 1, artist: "Artist 1" }, until: null, created_at: "2026-01-05T20:00:00Z" }, { status: 201 })),
    http.get("/tracks/:id", () => problem(404, "not_found", "")),
  );
  const { user } = await show(<ForYou />);
  const card = await screen.findByRole("article", { name: "Track 1 by Artist 1" });
  await user.click(within(card).getByRole("button", { name: "Why this, and more" }));
  const row = (await screen.findByText("Hide Artist 1 for")).parentElement as HTMLElement;
  await user.click(within(row).getByRole("button", { name: "a month" }));
  await waitFor(() => expect(titles()).toEqual(["Track 2", "Track 3"])); // 1 and 4 are by the artist
});

test("the details name the signals, the expected rating and how sure it is", async () => {
  server.use(http.get("/tracks/:id", () => problem(404, "not_found", "")));
  const { user } = await show(<ForYou />);
  (await screen.findByRole("article", { name: "Track 1 by Artist 1" })).focus();
  await user.keyboard("{Enter}");
  const sheet = within(await screen.findByRole("dialog"));
  expect(sheet.getByText("You rated Hyperballad 5.")).toBeVisible();
  expect(sheet.getByRole("img", { name: "4.2 of 5 stars" })).toBeVisible();
  expect(sheet.getByText("78 %")).toBeVisible();
});

test("a mood asks for a list of that mood", async () => {
  const wishes: unknown[] = [];
  server.use(
    http.post("/recommend/rows", async ({ request }) => {
      wishes.push(await request.json());
      return HttpResponse.json({ rows: [makeRow("for_now", [1, 2])] });
    }),
  );
  const { user } = await show(<ForYou />);
  await user.click(await screen.findByRole("button", { name: "Calm" }));
  await waitFor(() => expect(wishes.at(-1)).toMatchObject({ mood: "calm", device_type: "desktop" }));
});

test("a server that does not answer is said, and asked again on demand", async () => {
  server.use(http.post("/recommend/rows", () => HttpResponse.error(), { once: true }));
  const { user } = await show(<ForYou />);
  expect(await screen.findByRole("heading", { name: "The server does not answer" })).toBeVisible();
  await user.click(screen.getByRole("button", { name: "Try again" }));
  expect(await screen.findByRole("heading", { name: "Row for_now" })).toBeVisible();
});

test("who has said nothing yet is asked first", async () => {
  const { makeMe } = await import("@/test/data");
  server.use(
    http.get("/me", () => HttpResponse.json(makeMe({ onboarded: false, n_feedback: 0, preferences: { genres: [], artists: [], energy: null, mood: "" } }))),
  );
  const { router } = await show(<ForYou />);
  await waitFor(() => expect(router.state.location.pathname).toBe("/welcome"));
});
