import { screen, waitFor } from "@testing-library/react";
import { http, HttpResponse } from "msw";
import { makeHidden, makeTrack } from "@/test/data";
import { show } from "@/test/render";
import { server } from "@/test/server";
import { LibraryPage } from "./library";

const page = <T,>(results: T[]) => HttpResponse.json({ next: null, previous: null, results });
const entry = (n: number, fields = {}) => ({
  event_id: `e${n}`, kind: "rating", rating: 4, completion: null, occurred_at: "2026-01-05T20:00:00Z", undone: false,
  track: makeTrack(n), recommendation_id: null, strategy: "neural_cf", ...fields,
});

test("an empty library says how something comes into it", async () => {
  server.use(http.get("/me/library", () => page([])));
  await show(<LibraryPage />, { path: "/library" });
  expect(await screen.findByRole("heading", { name: "Nothing saved yet" })).toBeVisible();
});

test("the history shows each response and undoes it on the server", async () => {
  const undone: string[] = [];
  server.use(
    http.get("/me/history", () => page([entry(1), entry(2, { kind: "skip", rating: null, undone: true })])),
    http.delete("/feedback/:id", ({ params }) => {
      undone.push(String(params.id));
      return new HttpResponse(null, { status: 204 });
    }),
  );
  const { user } = await show(<LibraryPage />, { path: "/library", at: "/library?show=history" });
  expect(await screen.findByText("Skipped (undone)")).toBeVisible();
  await user.click(screen.getByRole("button", { name: "Undo: Rated 4 Track 1" }));
  await waitFor(() => expect(undone).toEqual(["e1"]));
});

test("a filter asks the server, and leaves out what is not set", async () => {
  const asked: string[] = [];
  server.use(
    http.get("/me/history", ({ request }) => {
      asked.push(new URL(request.url).search);
      return page([entry(1)]);
    }),
  );
  const { user } = await show(<LibraryPage />, { path: "/library", at: "/library?show=history" });
  await user.selectOptions(await screen.findByRole("combobox", { name: "Kind of response" }), "like");
  await waitFor(() => expect(asked.at(-1)).toBe("?kind=like&limit=50"));
});

test("what is hidden can be shown again", async () => {
  const shown: string[] = [];
  server.use(
    http.get("/me/hidden", () => page([makeHidden(7, { artist: { artist_id: 3, artist: "Björk" } })])),
    http.delete("/me/hidden/:id", ({ params }) => {
      shown.push(String(params.id));
      return new HttpResponse(null, { status: 204 });
    }),
  );
  const { user } = await show(<LibraryPage />, { path: "/library", at: "/library?show=hidden" });
  await user.click(await screen.findByRole("button", { name: "Show again: Björk" }));
  await waitFor(() => expect(shown).toEqual(["7"]));
});
