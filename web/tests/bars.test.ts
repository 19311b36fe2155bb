// Bars that are not of time, views of bars, and bars in which nothing was traded.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Bar } from "../src/api/types.ts";
import { candle, fade, isOrdinal, mainPoint, mix, smoothedAll, volume } from "../src/chart/points.ts";
import { Rows } from "../src/chart/rows.ts";
import { BarSeries } from "../src/state/buffers.ts";

const colors = { up: "#00ff00", down: "#ff0000", faint: "#888888", hollow: "#111111", line: "#0000ff" };
const bar = (open: number, more: Partial<Bar> = {}): Bar => ({
  instrument: "sim:A-B", ts_event: open + 1, ts_recv: open + 2, flags: [], interval: "tick:20", ts_open: open, open: 10, high: 12, low: 9, close: 11,
  volume: 1, buy_volume: 1, vwap: 10, trades: 20, complete: true, revision: 0, origin: "trades", closed: true, ...more,
});

test("bars of one microsecond are told apart by their nanoseconds", () => {
  const series = new BarSeries(100);
  assert.equal(series.put(bar(5, { nano: 0, closed: false })), "append");
  assert.equal(series.put(bar(5, { nano: 0 })), "last");
  assert.equal(series.put(bar(5, { nano: 1 })), "append");
  assert.equal(series.put(bar(5, { nano: 0, revision: 1, close: 12 })), "revised");
  assert.deepEqual(series.bars.map((b) => [b.nano, b.close]), [[0, 12], [1, 11]]);
});

test("bars that are not of time stand at their numbers, which go on when the oldest are forgotten", () => {
  assert.deepEqual(["1m", "90s", "1d@America/New_York", "tick:20", "volume:10", "renko:5"].map(isOrdinal), [false, false, false, true, true, true]);
  const series = new BarSeries(10);
  for (let i = 0; i < 25; i++) series.put(bar(1000 + i));
  const rows = new Rows();
  rows.all(series.bars, "tick:20", series.dropped, 3600);
  assert.equal(rows.rows.at(-1)?.time, 24);
  assert.equal(rows.rows[0]?.time, 25 - series.bars.length);
  assert.ok(series.bars.length <= 10);
});

test("Heikin-Ashi candles follow from the body before", () => {
  const bars = [bar(1, { open: 10, high: 14, low: 8, close: 12 }), bar(2, { open: 12, high: 13, low: 6, close: 7 })];
  const [first, second] = smoothedAll(bars);
  assert.deepEqual(first, { open: 11, high: 14, low: 8, close: 11 }); // (10 + 12) / 2 and (10 + 14 + 8 + 12) / 4
  assert.deepEqual(second, { open: 11, high: 13, low: 6, close: 9.5 });
});

test("a bar in which nothing was traded is grey", () => {
  assert.equal(candle(bar(1, { flags: ["FILLED"], volume: 0 }), colors).borderColor, "#888888");
});

test("volume is drawn in two: all of it, and over it what was bought; who is not known is one part in the candle's colour", () => {
  const at = 1 as never;
  const drawn = volume(bar(1, { volume: 5, buy_volume: 2 }), colors, at);
  assert.deepEqual(drawn, { whole: { time: 1, value: 5, color: mix("#ff0000", "#111111", 0.42) }, bought: { time: 1, value: 2, color: mix("#00ff00", "#111111", 0.42) } });
  const unknown = volume(bar(1, { volume: 5, buy_volume: null, complete: false }), colors, at);
  assert.deepEqual(unknown, { whole: { time: 1, value: 5, color: mix("#00ff00", "#111111", 0.2) }, bought: { time: 1 } });
  assert.equal(mix("#ff0000", "#000000", 0.5), "#800000");
  assert.equal(mix("#f00", "#fff", 0.5), "#ff8080"); // as the style sheet's compressor writes them
  assert.equal(fade("#fff", 0.5), "rgba(255, 255, 255, 0.5)");
});

test("a line through an incomplete bar is pale", () => {
  const at = 1 as never;
  assert.deepEqual(mainPoint("line", bar(1), colors, at), { time: 1, value: 11 });
  assert.deepEqual(mainPoint("line", bar(1, { complete: false }), colors, at), { time: 1, value: 11, color: "rgba(0, 0, 255, 0.45)" });
  assert.equal("color" in mainPoint("bars", bar(1), colors, at), false);
  assert.equal((mainPoint("bars", bar(1, { complete: false }), colors, at) as { color: string }).color, "rgba(0, 255, 0, 0.55)");
});

test("a page of older bars that others have partly brought meanwhile stands once, in order", () => {
  const series = new BarSeries(100);
  for (const open of [5, 6, 7]) series.put(bar(open));
  series.put(bar(4, { origin: "venue" })); // came while the page was on its way
  series.put(bar(3, { origin: "venue" }));
  series.join([1, 2, 3, 4].map((open) => bar(open)), "older");
  assert.deepEqual(series.bars.map((b) => b.ts_open), [1, 2, 3, 4, 5, 6, 7]);
  assert.deepEqual(series.bars.map((b) => b.origin), Array(7).fill("trades"));
  series.put(bar(8));
  series.join([8, 9].map((open) => bar(open, { revision: 1 })), "newer");
  assert.deepEqual(series.bars.map((b) => [b.ts_open, b.revision]).slice(-3), [[7, 0], [8, 1], [9, 1]]);
});
