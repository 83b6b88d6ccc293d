import { afterEach, expect, test } from "vitest";
import { mayLoad } from "./media";

function list(hosts: string) {
  const meta = document.createElement("meta");
  meta.name = "media-hosts";
  meta.content = hosts;
  document.head.append(meta);
}

afterEach(() => document.querySelector('meta[name="media-hosts"]')?.remove());

test("only what the server lists is asked for, and what is the server's own", () => {
  list("i.scdn.co *.mzstatic.com");
  expect(mayLoad("https://i.scdn.co/image/640")).toBe(true);
  expect(mayLoad("https://is1.mzstatic.com/a.jpg")).toBe(true);
  expect(mayLoad("/tracks/1/cover.svg")).toBe(true);
  for (const address of [
    "http://i.scdn.co/image/640",
    "https://scdn.co/image/640",
    "https://mzstatic.com/a.jpg",
    "https://evilmzstatic.com/a.jpg",
    "https://tracker.example/a.gif",
    "data:image/png;base64,AAAA",
    "https://",
    "",
    null,
    undefined,
  ])
    expect(mayLoad(address), String(address)).toBe(false);
});

test("nothing foreign is, where none is listed", () => {
  expect(mayLoad("https://i.scdn.co/image/640")).toBe(false);
  list("");
  expect(mayLoad("https://i.scdn.co/image/640")).toBe(false);
});
