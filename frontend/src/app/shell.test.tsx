import { screen } from "@testing-library/react";
import { http, HttpResponse } from "msw";
import { ForYou } from "@/features/for-you/for-you";
import { makeMe, makeRow } from "@/test/data";
import { show } from "@/test/render";
import { server } from "@/test/server";

test("who is signed in instead sees nothing of the listener before", async () => {
  const { queries } = await show(<ForYou />);
  expect(await screen.findByRole("article", { name: "Track 1 by Artist 1" })).toBeVisible();
  expect(screen.getByText("mia@example.org")).toBeVisible();
  queries.setQueryData(["tokens"], [{ id: 1, name: "mia's" }]);
  server.use(
    http.get("/me", () => HttpResponse.json(makeMe({ user_id: "u2", email: "leo@example.org" }))),
    http.post("/recommend/rows", () => HttpResponse.json({ rows: [makeRow("for_now", [7, 8])] })),
  );
  void queries.invalidateQueries({ queryKey: ["me"] });
  expect(await screen.findByText("leo@example.org")).toBeVisible();
  expect(await screen.findByRole("article", { name: "Track 7 by Artist 1" })).toBeVisible();
  expect(screen.queryByRole("article", { name: "Track 1 by Artist 1" })).toBeNull();
  expect(queries.getQueryData(["tokens"])).toBeUndefined();
});
