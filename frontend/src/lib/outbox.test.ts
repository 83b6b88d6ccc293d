import { waitFor } from "@testing-library/react";
import { http, HttpResponse } from "msw";
import { makeMe } from "@/test/data";
import { problem, server } from "@/test/server";
import { signedIn } from "./me";
import { drop, flush, type Late, outbox, send, start } from "./outbox";
import { type Act, database } from "./store";

const act = (id: string, fields: Partial<Act> = {}): Act =>
  ({ id, user: "u1", at: `2026-01-05T20:00:0${id}Z`, tries: 0, op: "feedback", body: { track_id: "t1", kind: "like", event_id: id }, ...fields }) as Act;

let stop: () => void;
let late: Late[] = [];
beforeEach(async () => {
  await (await database()).clear("acts");
  late = [];
  signedIn.set("u1");
  stop = start("u1", (news) => late.push(...news));
  await flush();
});
afterEach(() => stop());

const nobodySuch = () => http.post("/feedback", () => problem(404, "not_found", "There is no such listener."));

/** Let the server take responses; return which, and whose they said they were. */
function taking(users: string[] = []): string[] {
  const taken: string[] = [];
  server.use(
    http.post("/feedback", async ({ request }) => {
      const body = (await request.json()) as { event_id: string; user_id: string };
      taken.push(body.event_id);
      users.push(body.user_id);
      return HttpResponse.json({ event_id: body.event_id, kind: "like", preference: 1, duplicate: false }, { status: 201 });
    }),
  );
  return taken;
}

test("what the server cannot be reached for waits, and is sent in order and once", async () => {
  server.use(http.post("/feedback", () => HttpResponse.error()));
  expect(await send(act("1"))).toEqual({ status: "kept" });
  expect(await send(act("2"))).toEqual({ status: "kept" });
  await waitFor(() => expect(outbox.get()).toEqual({ waiting: 2, isAway: true }));
  const taken = taking();
  await Promise.all([flush(), flush()]);
  expect(taken).toEqual(["1", "2"]);
  expect(late.map(({ act }) => act.id)).toEqual(["1", "2"]);
  expect(outbox.get()).toEqual({ waiting: 0, isAway: false });
});

test("a refusal is told and not tried again", async () => {
  server.use(http.post("/feedback", () => problem(400, "invalid", "No such track.")));
  expect(await send(act("1"))).toMatchObject({ status: "refused" });
  const taken = taking();
  await flush();
  expect(taken).toEqual([]);
});

test("an act of somebody else in this browser stays theirs", async () => {
  const taken = taking();
  await (await database()).put("acts", act("1", { user: "u2" }));
  await flush();
  expect(taken).toEqual([]);
  expect(outbox.get().waiting).toBe(0);
});

test("a session that ended keeps the act until one signed in again", async () => {
  // Who is not signed in is a visitor to /feedback, and no visitor is this listener.
  server.use(nobodySuch(), http.get("/me", () => problem(401, "not_authenticated", "Sign in.")));
  expect(await send(act("1"))).toEqual({ status: "kept" });
  const taken = taking();
  await flush();
  expect(taken).toEqual([]);
  signedIn.set("u1");
  await flush();
  expect(taken).toEqual(["1"]);
});

test("an act that is refused because somebody else is signed in by now waits", async () => {
  server.use(nobodySuch(), http.get("/me", () => HttpResponse.json(makeMe({ user_id: "u2" }))));
  expect(await send(act("1"))).toEqual({ status: "kept" });
  const users: string[] = [];
  const taken = taking(users);
  await flush();
  expect(taken).toEqual([]);
  signedIn.set("u1");
  await flush();
  expect([taken, users]).toEqual([["1"], ["u1"]]);
});

test("what an earlier visit left is sent only once the server said that it is the same listener", async () => {
  signedIn.set(undefined);
  const taken = taking();
  await (await database()).put("acts", act("1"));
  await flush();
  signedIn.set("u2");
  await flush();
  expect(taken).toEqual([]);
  signedIn.set("u1");
  await flush();
  expect(taken).toEqual(["1"]);
});

test("what is done before it is known whose page this is becomes theirs", async () => {
  stop();
  const users: string[] = [];
  const taken = taking(users);
  const sending = send(act("1"));
  void send(act("2"));
  expect(await drop("2")).toBe(true);
  stop = start("u1", () => undefined);
  expect(await sending).toMatchObject({ status: "sent" });
  expect([taken, users]).toEqual([["1"], ["u1"]]);
});

test("a refusal that comes late is told as well", async () => {
  server.use(http.post("/feedback", () => HttpResponse.error()));
  await send(act("1"));
  server.use(http.post("/feedback", () => problem(409, "not_on_slate", "Not on that list.")));
  await flush();
  expect(late).toMatchObject([{ act: { id: "1" }, outcome: { status: "refused", error: { message: "Not on that list." } } }]);
});

test("only an act that was never tried can be withdrawn unseen", async () => {
  server.use(http.post("/feedback", () => HttpResponse.error()));
  await send(act("1"));
  expect(await drop("1")).toBe(false);
  await (await database()).put("acts", act("2"));
  expect(await drop("2")).toBe(true);
});

test("an act that is withdrawn while another is on its way is not sent after it", async () => {
  let answer: () => void = () => undefined;
  const isSlow = new Promise<void>((resolve) => (answer = resolve));
  const taken: string[] = [];
  server.use(
    http.post("/feedback", async ({ request }) => {
      taken.push(((await request.json()) as { event_id: string }).event_id);
      await isSlow;
      return HttpResponse.json({ event_id: "1", kind: "like", preference: 1, duplicate: false }, { status: 201 });
    }),
  );
  const db = await database();
  await db.put("acts", act("1"));
  await db.put("acts", act("2"));
  const sending = flush();
  await waitFor(() => expect(taken).toEqual(["1"]));
  expect(await drop("2")).toBe(true);
  answer();
  await sending;
  expect(taken).toEqual(["1"]);
  expect(await db.getAllKeys("acts")).toEqual([]);
});
