import { http, HttpResponse } from "msw";
import { problem, server } from "@/test/server";
import { drop, flush, outbox, send, start } from "./outbox";
import { type Act, database } from "./store";

const act = (id: string, fields: Partial<Act> = {}): Act =>
  ({ id, user: "u1", at: `2026-01-05T20:00:0${id}Z`, tries: 0, op: "feedback", body: { track_id: "t1", kind: "like", event_id: id }, ...fields }) as Act;

let stop: () => void;
let late: Act[] = [];
beforeEach(async () => {
  await (await database()).clear("acts");
  late = [];
  stop = start("u1", (acts) => late.push(...acts));
  await flush();
});
afterEach(() => stop());

function taking(): string[] {
  const taken: string[] = [];
  server.use(
    http.post("/feedback", async ({ request }) => {
      const body = (await request.json()) as { event_id: string };
      taken.push(body.event_id);
      return HttpResponse.json({ event_id: body.event_id, kind: "like", preference: 1, duplicate: false }, { status: 201 });
    }),
  );
  return taken;
}

test("what the server cannot be reached for waits, and is sent in order and once", async () => {
  server.use(http.post("/feedback", () => HttpResponse.error()));
  expect(await send(act("1"))).toEqual({ status: "kept" });
  expect(await send(act("2"))).toEqual({ status: "kept" });
  await vi.waitFor(() => expect(outbox.get()).toEqual({ waiting: 2, isAway: true }));
  const taken = taking();
  await Promise.all([flush(), flush()]);
  expect(taken).toEqual(["1", "2"]);
  expect(late.map(({ id }) => id)).toEqual(["1", "2"]);
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
  server.use(http.post("/feedback", () => problem(401, "not_authenticated", "Sign in.")));
  expect(await send(act("1"))).toEqual({ status: "kept" });
  const taken = taking();
  await flush();
  expect(taken).toEqual(["1"]);
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
  await vi.waitFor(() => expect(taken).toEqual(["1"]));
  expect(await drop("2")).toBe(true);
  answer();
  await sending;
  expect(taken).toEqual(["1"]);
  expect(await db.getAllKeys("acts")).toEqual([]);
});
