import assert from "node:assert/strict";
import { test } from "node:test";
import type { Book, Level } from "../src/api/types.ts";
import { curves, imbalance, imbalanceWords, isKnown, within } from "../src/book/curve.ts";
import { grouped, isWhole, knownTo, nearestStep, stepDecimals, steps, Sum, totals } from "../src/book/grouping.ts";
import { ticks } from "../src/ui/canvas.ts";

const two = { price: 2, size: 5 };

test("steps are ticks times 1, 2, 5, exact, and no wider than a percent", () => {
  assert.deepEqual(steps(0.01, 10), [0.01, 0.02, 0.05, 0.1]);
  assert.deepEqual(steps(0.00001, 0.16).slice(0, 4), [0.00001, 0.00002, 0.00005, 0.0001]);
  assert.deepEqual(steps(0.5, 60_000), [0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500]);
  assert.deepEqual(steps(0.25, 5), [0.25]); // a percent is less than one tick: the tick itself is left
  assert.deepEqual([0.5, 20, 0.00001, 0.25].map(stepDecimals), [1, 0, 5, 2]);
  assert.equal(nearestStep([0.1, 0.2, 0.5, 1], 0.6), 0.5);
});

test("bids go to the step below, asks to the one above, and one on the step stays", () => {
  const bids: Level[] = [[100.04, 1], [100.01, 2], [100, 4], [99.99, 8], [99.95, 16]];
  assert.deepEqual(grouped(bids, "bid", 0.05, two), [[100, 7], [99.95, 24]]);
  const asks: Level[] = [[100.05, 1], [100.06, 2], [100.1, 4], [100.11, 8]];
  assert.deepEqual(grouped(asks, "ask", 0.05, two), [[100.05, 1], [100.1, 6], [100.15, 8]]);
  assert.deepEqual(grouped([[0.3, 1], [0.29, 2]], "bid", 0.1, { price: 2, size: 2 }), [[0.3, 1], [0.2, 2]]); // 0.3 / 0.1 is 2.9999999999999996
  assert.deepEqual(grouped(asks, "ask", 0.01, two), asks); // one tick changes nothing
  assert.deepEqual(grouped([], "ask", 1, two), []);
});

test("sums are those of decimals", () => {
  const sum = new Sum(2);
  for (const x of [0.1, 0.2, 0.3]) sum.add(x);
  assert.equal(sum.value, 0.6); // 0.1 + 0.2 + 0.3 is 0.6000000000000001 in floats
  assert.deepEqual(totals([[1, 0.1], [2, 0.2], [3, 0.7]], 1), [0.1, 0.3, 1]);
  const finer = new Sum(0); // sizes of more digits than were announced
  for (const x of [0.25, 0.5]) finer.add(x);
  assert.equal(finer.value, 0.75);
  const huge = new Sum(8);
  for (const x of [9e15, 1, 1, -9e15]) huge.add(x);
  assert.equal(huge.value, 2);
});

test("what is past the farthest known price is unknown, and a group that it cuts is not whole", () => {
  const levels: Level[] = [[100, 1], [99, 1], [98, 1]];
  assert.equal(knownTo(levels, 3, null), 98); // the view is full: more may follow
  assert.equal(knownTo(levels, 50, 97), 97);
  assert.equal(knownTo(levels, 50, null), null); // all of the book
  assert.deepEqual([isWhole(98, "bid", 98), isWhole(95, "bid", 98), isWhole(100, "ask", 98), isWhole(95, "ask", 98)], [true, false, false, true]);
  assert.equal(isWhole(1, "bid", null), true);
});

const book = (change: Partial<Book> = {}): Book => ({
  instrument: "sim:A-B", ts_event: 1, ts_recv: 1, seq: 1, state: "synced", complete_to: { bid: null, ask: null },
  bids: [[9999, 1], [9998, 3], [9990, 4]], asks: [[10_001, 2], [10_010, 2]], ...change,
});

test("the curve sums outwards; what taking it costs is the average price against the mid", () => {
  const all = curves(book(), 50, 0);
  assert.ok(all);
  assert.equal(all.mid, 10_000);
  assert.deepEqual(all.bid.points.map((p) => [p.price, p.size, p.notional]), [[9999, 1, 9999], [9998, 4, 39_993], [9990, 8, 79_953]]);
  const last = all.bid.points[2];
  assert.ok(last && Math.abs(last.bps - 10) < 1e-9 && Math.abs(last.cost - 5.875) < 1e-9); // 79,953 / 8 = 9,994.125
  assert.equal(within(all.bid, 2)?.size, 4); // a level at the very distance counts
  assert.equal(within(all.ask, 0.5), null);
  assert.equal(imbalance(all, 5), (4 - 2) / 6);
  assert.deepEqual([0.02, 0.1, -0.3, 0.8, null].map(imbalanceWords), [
    "both sides alike", "bids slightly heavier", "asks clearly heavier", "bids far heavier", "imbalance not known that far"]);
});

test("a curve tells nothing past what is known", () => {
  const cut = curves(book(), 3, 0);
  assert.ok(cut && cut.bid.reach !== null && Math.abs(cut.bid.reach - 10) < 1e-9);
  assert.equal(cut.ask.reach, null);
  assert.deepEqual([isKnown(cut.bid, 9), isKnown(cut.bid, 11), isKnown(cut.ask, 500)], [true, false, true]);
  assert.equal(imbalance(cut, 20), null);
  assert.equal(curves(book({ asks: [] }), 50, 0), null);
});

test("axis values are round", () => {
  assert.deepEqual(ticks(0, 10, 5), [0, 2, 4, 6, 8, 10]);
  assert.deepEqual(ticks(-3, 3, 4), [-2, 0, 2]);
  assert.deepEqual(ticks(1, 1, 4), []);
});
