import { act, screen } from "@testing-library/react";
import { http, HttpResponse } from "msw";
import { show } from "@/test/render";
import { server } from "@/test/server";

const away = "What was loaded stays. What you do is kept here and sent later.";

test("a server that goes away before it said who one is, is noticed all the same", async () => {
  let isThere = true;
  server.use(
    http.get("/me", () => HttpResponse.error()),
    http.get("/me/state", () => (isThere ? HttpResponse.json({ version: "1" }) : HttpResponse.error())),
  );
  await show(<h1>Lists</h1>);
  expect(await screen.findByRole("heading", { name: "Lists" })).toBeVisible();
  isThere = false;
  expect(await screen.findByText(new RegExp(away))).toHaveTextContent("The server does not answer.");
  isThere = true;
  await expect.poll(() => screen.queryByText(new RegExp(away))).toBeNull();
});

test("a browser that says it is offline is believed until it is back", async () => {
  await show(<h1>Lists</h1>);
  act(() => void window.dispatchEvent(new Event("offline")));
  expect(await screen.findByText(new RegExp(away))).toHaveTextContent("You are offline.");
  act(() => void window.dispatchEvent(new Event("online")));
  await expect.poll(() => screen.queryByText(new RegExp(away))).toBeNull();
});
