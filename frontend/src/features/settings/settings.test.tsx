import { screen, waitFor, within } from "@testing-library/react";
import { http, HttpResponse } from "msw";
import type { components } from "@/api/schema";
import { makeMe } from "@/test/data";
import { show } from "@/test/render";
import { problem, server } from "@/test/server";
import { SettingsPage } from "./settings";

const past = "2026-03-01T12:00:00Z";
const imports: components["schemas"]["HistoryImport"][] = [
  { id: 2, status: "failed", source: null, file_name: "notes.txt", matched: 0, unmatched: 0, duplicates: 0, rejected: 3, examples: [], error: "No history of a service that is known.", created_at: past, finished_at: past },
  { id: 1, status: "done", source: "spotify", file_name: "mine.zip", matched: 40, unmatched: 9, duplicates: 2, rejected: 0, examples: [{ name: "Nobody – Elsewhere", plays: 7 }], error: "", created_at: past, finished_at: past },
];

beforeEach(() => {
  server.use(
    http.get("/_allauth/browser/v1/auth/sessions", () =>
      HttpResponse.json({
        data: [
          { id: 1, user_agent: "Mozilla/5.0 (X11; Linux) Firefox/140.0", ip: "127.0.0.1", created_at: 1_760_000_000, is_current: true },
          { id: 2, user_agent: "Mozilla/5.0 (iPhone) Safari/605", ip: "10.0.0.2", created_at: 1_760_000_000, is_current: false },
        ],
      }),
    ),
    http.get("/me/tokens", () => HttpResponse.json([])),
    http.get("/me/imports", () => HttpResponse.json({ results: imports, next: null, previous: null })),
  );
});

test("the music service is kept with the account", async () => {
  const changes: unknown[] = [];
  server.use(
    http.patch("/me", async ({ request }) => {
      changes.push(await request.json());
      return HttpResponse.json(makeMe({ music_service: "tidal" }));
    }),
  );
  const { user } = await show(<SettingsPage />, { path: "/settings" });
  await user.selectOptions(await screen.findByLabelText("Music service"), "tidal");
  await waitFor(() => expect(changes).toEqual([{ music_service: "tidal" }]));
});

test("another session can be ended, one's own cannot", async () => {
  const ended: unknown[] = [];
  server.use(
    http.delete("/_allauth/browser/v1/auth/sessions", async ({ request }) => {
      ended.push(await request.json());
      return HttpResponse.json({ data: [] });
    }),
  );
  const { user } = await show(<SettingsPage />, { path: "/settings" });
  expect(await screen.findByText("Firefox on Linux")).toBeVisible();
  const buttons = screen.getAllByRole("button", { name: "End" });
  expect(buttons).toHaveLength(1);
  await user.click(buttons[0] as HTMLElement);
  await waitFor(() => expect(ended).toEqual([{ sessions: [2] }]));
});

test("an import says what matched, what is not here, and why it failed", async () => {
  await show(<SettingsPage />, { path: "/settings" });
  expect(await screen.findByText(/40 matched, 9 not in this catalogue, 2 known already, 0 unreadable/)).toBeVisible();
  expect(screen.getByText(/Nobody – Elsewhere \(7\)/)).toBeVisible();
  expect(screen.getByText("No history of a service that is known.")).toBeVisible();
});

test("a new token is shown once", async () => {
  server.use(http.post("/me/tokens", () => HttpResponse.json({ id: 1, name: "script", token: "mr_secret" }, { status: 201 })));
  const { user } = await show(<SettingsPage />, { path: "/settings" });
  await user.type(await screen.findByRole("textbox", { name: "Name of the new token" }), "script");
  await user.click(screen.getByRole("button", { name: "Make a token" }));
  expect(await screen.findByText("mr_secret")).toBeVisible();
});

test("deleting the account asks for the password, and says when it was wrong", async () => {
  server.use(http.delete("/me", () => problem(400, "wrong_password", "The password is wrong.")));
  const { user } = await show(<SettingsPage />, { path: "/settings" });
  await user.click(await screen.findByRole("button", { name: "Delete my account" }));
  const section = within(screen.getByRole("region", { name: "Delete my account" }));
  expect(section.getByRole("button", { name: "Delete for ever" })).toBeDisabled();
  await user.type(section.getByLabelText("Your password, to be sure"), "nonsense");
  await user.click(section.getByRole("button", { name: "Delete for ever" }));
  expect(await section.findByRole("alert")).toHaveTextContent("Not deleted. The password is wrong.");
});
