// Bars that are not of time, views of bars, and bars in which nothing was traded.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Bar } from "../src/api/types.ts";
import { candle, isOrdinal, points, smoothedAll } from "../src/panels/candles.ts";
import { BarSeries } from "../src/state/buffers.ts";

const colors = { up: "#00ff00", down: "#ff0000", faint: "#888888", hollow: "#111111" };
const bar = (open: number, more: Partial<Bar> = {}): Bar => ({
  instrument: "sim:A-B", ts_event: open + 1, ts_recv: open + 2, flags: [], interval: "tick:20", ts_open: open, open: 10, high: 12, low: 9, close: 11,
  volume: 1, buy_volume: 1, vwap: 10, trades: 20, complete: true, revision: 0, origin: "trades", closed: true, ...more,
});

test("bars of one microsecond are told apart by their nanoseconds", () => {
  const series = new BarSeries(100);
  assert.equal(series.put(bar(5, { nano: 0, closed: false })), "append");
  assert.equal(series.put(bar(5, { nano: 0 })), "last");
  assert.equal(series.put(bar(5, { nano: 1 })), "append");
  assert.equal(series.put(bar(5, { nano: 0, revision: 1, close: 12 })), "insert");
  assert.deepEqual(series.bars.map((b) => [b.nano, b.close]), [[0, 12], [1, 11]]);
});

test("bars that are not of time stand at their numbers, which go on when the oldest are forgotten", () => {
  assert.deepEqual(["1m", "90s", "1d@America/New_York", "tick:20", "volume:10", "renko:5"].map(isOrdinal), [false, false, false, true, true, true]);
  const series = new BarSeries(10);
  for (let i = 0; i < 25; i++) series.put(bar(1000 + i));
  const { candles } = points(series.bars, "tick:20", colors, series.dropped);
  assert.equal(candles.at(-1)?.time, 24);
  assert.equal(candles[0]?.time, 25 - series.bars.length);
  assert.ok(series.bars.length <= 10);
});

test("Heikin-Ashi candles follow from the body before", () => {
  const bars = [bar(1, { open: 10, high: 14, low: 8, close: 12 }), bar(2, { open: 12, high: 13, low: 6, close: 7 })];
  const [first, second] = smoothedAll(bars);
  assert.deepEqual(first, { open: 11, high: 14, low: 8, close: 11 }); // (10 + 12) / 2 and (10 + 14 + 8 + 12) / 4
  assert.deepEqual(second, { open: 11, high: 13, low: 6, close: 9.5 });
  const drawn = points(bars, "tick:20", colors, 0, smoothedAll(bars)).candles[1] as { close: number };
  assert.equal(drawn.close, 9.5);
});

test("a bar in which nothing was traded is grey", () => {
  assert.equal(candle(bar(1, { flags: ["FILLED"], volume: 0 }), colors).borderColor, "#888888");
});
