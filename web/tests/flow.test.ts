import assert from "node:assert/strict";
import { test } from "node:test";
import type { Bar } from "../src/api/types.ts";
import { bucketsOf, flowOf, Span } from "../src/state/flow.ts";
import { autoStep, joined, read, steps } from "../src/state/footprint.ts";
import type { Print } from "../src/state/tape.ts";

test("delta is bought less sold; its sum goes on over what is not known, marked", () => {
  const bar = (volume: number, buy: number | null, complete = true): Bar => ({ ts_open: 1, close: 5, volume, buy_volume: buy, complete }) as Bar;
  const points = flowOf([bar(10, 7), bar(4, 1), bar(9, null), bar(2, 2, false)]);
  assert.deepEqual(points.map((p) => [p.delta, p.sum, p.partial]), [[4, 4, false], [-2, 2, false], [null, 2, true], [2, 4, true]]);
});

test("volumes by size of order, each in its bucket", () => {
  const print = (notional: number, side: "buy" | "sell" | "unknown", at = 1): Print => ({ kind: "print", notional, first: { ts_event: at }, last: { side } }) as Print;
  const { buckets, since, holes } = bucketsOf([print(999, "buy", 7), print(1000, "sell"), print(5000, "buy"), print(2e6, "sell"), print(5, "unknown"), { kind: "missed", text: "", at: 0 }]);
  assert.deepEqual(buckets.map((b) => [b.from, b.buy, b.sell, b.orders]), [[0, 999, 0, 2], [1e3, 5000, 1000, 2], [1e4, 0, 0, 0], [1e5, 0, 0, 0], [1e6, 0, 2e6, 1]]);
  assert.deepEqual([since, holes], [7, true]);
});

test("a footprint: point of control, delta, imbalance along the diagonal", () => {
  const column = read({ ts_open: 1, complete: true, low: 100, buys: [1, 9, 2, 0.1], sells: [4, 3, 8, 0.5] });
  assert.deepEqual([column.buy, column.sell, column.poc, column.most], [12.1, 15.5, 101, 9]);
  // buys 9 at 101 against sells 4 at 100: 2.25; sells 8 at 102 against buys 0.1 at 103: 80; sells 0.5 at 103 against nothing; buys 1 at 100 against nothing
  assert.deepEqual(column.cells.map((c) => c.heavy), ["buy", "", "sell", "sell"]);
  assert.deepEqual(column.cells.map((c) => c.poc), [false, true, false, false]);
  const empty = read({ ts_open: 1, complete: false, low: 5, buys: [], sells: [] });
  assert.deepEqual([empty.poc, empty.cells.length, empty.buy], [null, 0, 0]);
  assert.equal(read({ ts_open: 1, complete: true, low: 0, buys: [2, 2], sells: [] }).poc, 0); // the lower of equals
});

test("news replace what was had of the same bar, bounded", () => {
  const column = (ts: number, buy: number): ReturnType<typeof read> => read({ ts_open: ts, complete: true, low: 0, buys: [buy], sells: [] });
  const all = joined([column(1, 1), column(2, 2)], [column(3, 3), column(2, 9)], 2);
  assert.deepEqual(all.map((c) => [c.ts, c.buy]), [[2, 9], [3, 3]]);
});

test("steps are 1, 2 or 5 times a power of ten, and no finer than the tick", () => {
  assert.deepEqual([autoStep(140, 0.01), autoStep(30, 0.01), autoStep(0, 0.01), autoStep(1, 0.25), autoStep(0.0007, 0.00001)], [10, 5, 0.01, 0.5, 0.00005]);
  assert.deepEqual(steps(0.05, 0.01), [0.01, 0.02, 0.05, 0.1, 0.2, 0.5]);
  assert.deepEqual(steps(10, 0.01), [1, 2, 5, 10, 20, 50, 100, 200, 500]);
});

test("a span shows the newest bars, is moved back and zoomed, and never past the first", () => {
  const span = new Span(10, 5, 40);
  assert.deepEqual(span.view(100, 200), [80, 100]);
  span.pan(30);
  assert.deepEqual(span.view(100, 200), [50, 70]);
  span.pan(500);
  assert.deepEqual(span.view(100, 200), [0, 20]);
  span.zoom(10);
  assert.equal(span.width, 40);
  assert.deepEqual(new Span(10, 5, 40).view(3, 200), [0, 3]);
});
