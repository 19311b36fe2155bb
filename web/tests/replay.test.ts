import assert from "node:assert/strict";
import { test } from "node:test";
import type { ReplayState, Timeline } from "../src/api/replay.ts";
import { gapsNear, gapText, instantAt, keyTarget, placeOf, Replay, stretches } from "../src/state/replay.ts";
import type { Session } from "../src/state/session.ts";

const S = 1_000_000;

test("a place on the line and its instant are each other's inverse, and nothing lies outside", () => {
  assert.equal(placeOf(15, 10, 20), 0.5);
  assert.equal(instantAt(0.5, 10, 20), 15);
  assert.deepEqual([placeOf(5, 10, 20), placeOf(99, 10, 20), placeOf(1, 5, 5)], [0, 1, 0]);
  assert.deepEqual([instantAt(-1, 10, 20), instantAt(2, 10, 20)], [10, 20]);
});

test("keys go by five seconds, with Shift by a minute, by tenths and to the ends", () => {
  const at = (key: string, shift = false): number | null => keyTarget(key, shift, 500 * S, 0, 1000 * S);
  assert.deepEqual([at("ArrowLeft"), at("ArrowRight"), at("ArrowRight", true)], [495 * S, 505 * S, 560 * S]);
  assert.deepEqual([at("PageUp"), at("PageDown"), at("Home"), at("End"), at("x")], [600 * S, 400 * S, 0, 1000 * S, null]);
  assert.equal(keyTarget("ArrowRight", false, 999 * S, 0, 1000 * S), 1000 * S);
});

test("the nearest gap is told first, and one far away not at all", () => {
  const gap = (ts: number) => ({ ts, kind: "gap", instrument: "sim:BTC-USDT", reason: "" });
  assert.deepEqual(gapsNear([gap(1), gap(8), gap(12)], 10, 3).map((g) => g.ts), [8, 12]);
  assert.equal(gapText(gap(1)), "gap · sim:BTC-USDT");
});

test("the twin's stretches hold all that the line holds; an unknown volume stays unknown", () => {
  const line: Timeline = { from: 0, to: 10 * S, bucket: S, frames: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], volume: [null, null, null, 1, 2, null, 0, 0, 0, 5], gaps: [] };
  const told = stretches(line, 4);
  assert.deepEqual(told.map((s) => s.frames), [6, 15, 24, 10]);
  assert.deepEqual(told.map((s) => s.volume), [null, 3, 0, 5]);
  assert.deepEqual([told[0]?.from, told[3]?.to], [0, 10 * S]);
});

test("a short way is sought, too, where the server tells meanwhile that it stands near", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const asked: unknown[] = [];
  const standing = { session: "s", first: 0, last: 10 * S, now: 10 * S, speed: 1, playing: false, finished: true, seeking: false, epoch: 1 } as ReplayState;
  globalThis.fetch = (_, options) => {
    if (options?.method !== "POST") return Promise.resolve(Response.json({ error: { message: "no timeline here" } }));
    asked.push(JSON.parse(String(options.body)));
    return Promise.resolve(Response.json(standing));
  };
  Object.assign(globalThis, { window: globalThis });
  const session = { status: { replay: standing }, scheduler: { touch: () => undefined }, health: { dead: false } };
  const replay = new Replay(session as unknown as Session);
  assert.equal(replay.now, 10 * S);
  replay.seek(9.5 * S);
  session.status = { replay: { ...standing } }; // the word of the second, from before it is told
  assert.deepEqual([replay.state?.now, replay.now], [10 * S, 9.5 * S]);
  t.mock.timers.tick(1000);
  assert.deepEqual(asked, [{ at: 9.5 * S }]);
});
