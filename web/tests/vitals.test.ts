import assert from "node:assert/strict";
import { test } from "node:test";
import type { Sink, Status } from "../src/api/types.ts";
import { isLate, POINTS, Vitals } from "../src/state/vitals.ts";

const at = (second: number, frames: number, state = "up"): Status => ({
  now: second * 1e6, connections: [{ id: 1, venue: "sim", protocol: "binance", state, frames, latency_ms: 10 + second }],
  sinks: [{ name: "lake", lag_seconds: second / 10 }],
}) as unknown as Status;

test("a rate is frames over the seconds between two words, and unknown at first", () => {
  let now = at(0, 100);
  const vitals = new Vitals(() => now);
  vitals.second();
  now = at(2, 160);
  vitals.second();
  assert.deepEqual(vitals.rate.get("sim 1")?.values, [null, 30]);
  assert.deepEqual(vitals.latency.get("sim 1")?.values, [10, 12]);
  assert.deepEqual(vitals.lag.get("lake")?.values, [0, 0.2]);
});

test("the same word twice counts once; a connection that begins anew has no negative rate; one that is down no latency", () => {
  let now = at(0, 100);
  const vitals = new Vitals(() => now);
  vitals.second();
  vitals.second();
  now = at(1, 5, "down");
  vitals.second();
  assert.deepEqual(vitals.rate.get("sim 1")?.values, [null, null]);
  assert.deepEqual(vitals.latency.get("sim 1")?.values, [10, null]);
});

test("a sink is late by what is due of it, and not for one slow commit", () => {
  const sink = (lag_seconds: number, due_seconds?: number): Sink => ({ name: "lake", lag_seconds, due_seconds }) as Sink;
  assert.deepEqual([sink(29, 30), sink(31, 30), sink(9, 1), sink(11, 1), sink(11)].map(isLate), [false, true, false, true, true]);
});

test("lines are bounded, and go with their connection", () => {
  let now = at(0, 0);
  const vitals = new Vitals(() => now);
  for (let s = 0; s < 300; s++) {
    now = at(s, s);
    vitals.second();
  }
  assert.equal(vitals.rate.get("sim 1")?.values.length, POINTS);
  now = { ...now, now: 1e12, connections: [] };
  vitals.second();
  assert.equal(vitals.rate.size, 0);
});
