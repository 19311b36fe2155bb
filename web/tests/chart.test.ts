// The chart's places, gaps, lines, other instruments and memory: what is decided before anything is drawn.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { AlertEvent, RuleRow } from "../src/api/alerts.ts";
import type { Bar, StatusEvent } from "../src/api/types.ts";
import { TickMarkType } from "lightweight-charts";
import { tick, zoneShift } from "../src/chart/axis.ts";
import { meant, MOST_RULE_LINES, nearest, raisedOn, ruleLines } from "../src/chart/marks.ts";
import { fresh, MOST_OTHERS, read, readLevels } from "../src/chart/memory.ts";
import { apart, candidates, moved, sameThing } from "../src/chart/others.ts";
import { Rows } from "../src/chart/rows.ts";
import { sampled } from "../src/chart/samplelines.ts";
import { bandsOf, spansOf, stepsOf } from "../src/chart/spans.ts";
import { whole } from "../src/state/candles.ts";
import { Compare, Other } from "../src/state/compare.ts";
import { Row } from "../src/state/market.ts";
import { Samples } from "../src/state/samples.ts";
import { BARS, View } from "../src/state/view.ts";
import { useZone } from "../src/ui/format.ts";

const MINUTE = 60e6;
const ID = "sim:A-B";
const bar = (n: number, more: Partial<Bar> = {}): Bar => ({
  instrument: ID, ts_event: n * MINUTE + 1, ts_recv: n * MINUTE + 2, flags: [], interval: "1m", ts_open: n * MINUTE, open: 10, high: 12, low: 9, close: 11,
  volume: 2, buy_volume: 1.5, vwap: 10.5, trades: 3, complete: true, revision: 0, origin: "trades", closed: true, ...more,
});
const range = (from: number, to: number): Bar[] => Array.from({ length: to - from }, (_, i) => bar(from + i));
const rowsOf = (...bars: Bar[]): Rows => {
  const rows = new Rows();
  rows.all(bars, "1m", 0, 0);
  return rows;
};

test("places know their times, moved by the zone, and the blank ones between", () => {
  const rows = new Rows();
  rows.all([bar(1), bar(4)], "1m", 0, 3600);
  assert.deepEqual(rows.rows.map((r) => r.time), [3660, 3720, 3780, 3840]);
  assert.deepEqual([rows.usOf(3660), rows.usOf(3780), rows.usOf(4000)], [MINUTE, 3 * MINUTE, 400e6]);
  assert.deepEqual([rows.indexAt(0), rows.indexAt(MINUTE), rows.indexAt(2.5 * MINUTE), rows.indexAt(99 * MINUTE)], [-1, 0, 1, 3]);
  const bars = [bar(1), bar(4, { close: 5 }), bar(6)];
  assert.equal(rows.tail(bars, 2), 3); // the last one moved, and a further one came after a blank place
  assert.deepEqual(rows.rows.map((r) => r.bar?.close ?? null), [11, null, null, 5, null, 11]);
});

const status = (at: number, kind: string, more: Partial<StatusEvent> = {}): StatusEvent => ({
  instrument: "", venue: "sim", channel: "", kind, reason: "", from_seq: null, to_seq: null, count: null, ts_event: at, ts_recv: at, flags: [], ...more,
});

test("a disconnection lasts until the connection is back, a gap marks the bar it was noticed in", () => {
  const events = [
    status(2 * MINUTE, "disconnected", { reason: "no frame for 30 s" }), status(2.5 * MINUTE, "disconnected"), status(4.2 * MINUTE, "connected"),
    status(6 * MINUTE, "gap", { instrument: ID, channel: "trades", count: 3, reason: "ids 7–9" }), status(6 * MINUTE, "gap", { instrument: ID, channel: "book" }),
    status(7 * MINUTE, "disconnected", { venue: "kraken" }), status(8.1 * MINUTE, "disconnected", { instrument: ID }),
  ];
  const spans = spansOf(events, ID, 9 * MINUTE);
  assert.deepEqual(spans.map((s) => [s.kind, s.from / MINUTE, s.to / MINUTE, s.text]), [
    ["disconnected", 2, 4.2, "no frame for 30 s"], ["gap", 6, 6, "3 missed: ids 7–9"], ["disconnected", 8.1, 9, ""],
  ]);
  const bands = bandsOf(spans, rowsOf(...range(0, 9)));
  assert.deepEqual(bands.map((b) => [b.from, b.to]), [[2, 4], [6, 6], [8, 8]]);
});

test("a silence that the axis leaves out is known by its length", () => {
  assert.deepEqual(stepsOf(rowsOf(bar(1), bar(3), bar(500))), [{ at: 3, us: 496 * MINUTE }]);
});

const rule = (more: Partial<RuleRow>): RuleRow => ({ name: "r", rule: "", origin: "added", muted: false, severity: "warning", state: "armed", since: 0, value: null, raised: 0, ...more });

test("lines of rules are those of the instrument, and alerts stand on their bars", () => {
  assert.deepEqual(["*", "sim:*", ID, "sim:C-D", "kraken:*"].map((pattern) => meant(pattern, ID)), [true, true, true, false, false]);
  const lines = [{ instrument: ID, field: "mid", value: 5 }, { instrument: "sim:C-D", field: "mid", value: 6 }];
  const drawn = ruleLines([rule({ lines, muted: true }), rule({ name: "old" })], ID, 0);
  assert.deepEqual(drawn, [{ rule: "r", field: "mid", price: 5, state: "muted", severity: "warning" }]);
  const alert = (at: number, more: Partial<AlertEvent> = {}): AlertEvent =>
    ({ instrument: ID, rule: "r", state: "raised", value: 5, text: "", severity: "warning", id: String(at), ts_event: at, ts_recv: at, flags: [], ...more }) as AlertEvent;
  const alerts = [alert(0.5 * MINUTE), alert(2.1 * MINUTE), alert(2.9 * MINUTE), alert(3 * MINUTE, { state: "resolved" }), alert(3 * MINUTE, { instrument: "sim:C-D" })];
  assert.deepEqual([...raisedOn(alerts, ID, rowsOf(...range(1, 9)))].map(([at, list]) => [at, list.length]), [[1, 2]]);
});

test("how far another instrument is, in basis points, and which come first", () => {
  assert.equal(apart(101, 100), 100.00000000000009);
  assert.deepEqual([apart(null, 1), apart(1, null), apart(1, 0)], [null, null, null]);
  assert.deepEqual([moved(110, 100), moved(null, 1), moved(1, null), moved(1, 0)], [110 / 100 - 1, null, null, null]);
  const rows = ["sim:BTC-USDT", "sim:ETH-USDT", "kraken:BTC-USD", "coinbase:BTC-USD", "kraken:ETH-USD"].map((id) => new Row(id));
  assert.deepEqual(candidates(rows, "sim:BTC-USDT", ["coinbase:BTC-USD"], ""), ["kraken:BTC-USD", "kraken:ETH-USD", "sim:ETH-USDT"]);
  assert.deepEqual(candidates(rows, "sim:BTC-USDT", [], "eth-usdt"), ["sim:ETH-USDT"]);
});

test("another instrument's bars are one unbroken stretch", () => {
  const other = new Other("kraken:A-B");
  assert.deepEqual(other.lacks(100, 200), [[100, 200]]);
  other.knows(100, 200);
  assert.deepEqual(other.lacks(50, 300), [[50, 100], [200, 300]]);
  other.knows(50, 300);
  assert.deepEqual(other.lacks(60, 290), []);
  other.put({ ...bar(1), ts_open: 60 });
  assert.deepEqual(other.lacks(900, 1000), [[900, 1000]]);
  other.knows(900, 1000);
  assert.deepEqual([other.from, other.to, other.bars.size], [900, 1000, 0]);
});

test("a metric's samples stand on the bars they were taken in", () => {
  const samples = new Samples();
  samples.fill({ instrument: ID, times: [1.2 * MINUTE, 1.8 * MINUTE, 3 * MINUTE], values: { vwap_5m: [1, 2, 3] }, incomplete: { vwap_5m: [2] } });
  const points = sampled(samples, "vwap_5m", rowsOf(...range(1, 4)));
  assert.deepEqual(points.map((p) => [p.values[0], p.partial]), [[2, false], [null, false], [3, true]]);
});

test("what was chosen is remembered, and what is not understood left out", () => {
  assert.deepEqual([read(null), read("{"), read("7")], [fresh(), fresh(), fresh()]);
  const kept = { kind: "area", scale: "log", volume: false, mid: true, studies: [{ kind: "sma", params: [9999] }, { kind: "magic" }, { kind: "metric", metric: "vwap_5m" }], others: ["a", 3], words: true };
  assert.deepEqual(read(JSON.stringify(kept)), { ...kept, studies: [{ kind: "sma", params: [500] }, { kind: "metric", params: [], metric: "vwap_5m" }], others: ["a"] });
  assert.equal(read(JSON.stringify({ others: Array(99).fill("x") })).others.length, MOST_OTHERS);
  assert.deepEqual([readLevels("[1, \"x\", null, 2.5]"), readLevels("no")], [[1, 2.5], []]);
});

test("answers that end somewhere give together only what is whole", () => {
  const trades = { bars: range(10, 20), more: true };
  const venue = { bars: range(0, 15).map((b) => ({ ...b, origin: "venue" as const, volume: 9 })), more: false };
  assert.deepEqual(whole([trades, venue]).map((b) => [b.ts_open / MINUTE, b.origin]).at(0), [10, "trades"]);
  assert.equal(whole([{ ...trades, more: false }, venue]).length, 20);
});

test("days of the time axis begin at midnight of the zone that is chosen", () => {
  // 2026-11-22T05:00Z is midnight in New York. The library marks a day where the seconds of a place pass a multiple of 86,400.
  const midnight = Date.UTC(2026, 10, 22, 5) / 1000;
  useZone("America/New_York");
  try {
    const bars = [-900, 0, 900].map((by) => ({ ...bar(0), interval: "15m", ts_open: (midnight + by) * 1e6 }));
    const rows = new Rows();
    rows.all(bars, "15m", 0, zoneShift(midnight * 1e6));
    assert.deepEqual(rows.rows.map(({ time }) => time % 86_400), [85_500, 0, 900]);
    assert.equal(tick(rows.usOf(rows.rows[1]?.time ?? 0), TickMarkType.DayOfMonth), "22 Nov");
  } finally {
    useZone("UTC");
  }
});

test("a basis is told between prices of one asset in one money alone", () => {
  const with_ = ["kraken:BTC-USD", "binance-usdm:BTC-USDT-PERP", "sim:BTC-USDC", "kraken:BTC-EUR", "sim:ETH-USDT", "sim:ETH-BTC"];
  assert.deepEqual(with_.map((other) => sameThing("binance:BTC-USDT", other)), [true, true, true, false, false, false]);
  assert.deepEqual([sameThing("finnhub:AAPL", "yahoo:AAPL"), sameThing("finnhub:AAPL", "yahoo:MSFT")], [true, false]);
});

test("the window over the past is bounded on both sides, and what it let go can be had again", () => {
  const view = new View();
  view.reset(ID);
  view.putBars(range(10_000, 10_000 + BARS - 500));
  assert.equal(view.newer, "end");
  view.join(range(9000, 10_000), "older");
  assert.equal(view.series.bars.length, BARS);
  assert.deepEqual([view.series.bars[0]?.ts_open, view.newer, view.changed], [9000 * MINUTE, "idle", "all"]);
  const last = view.series.last?.ts_open ?? 0;
  view.putBars([bar(20_000, { close: 77 })]); // it goes on, out of sight
  assert.deepEqual([view.series.last?.ts_open, view.newest?.close], [last, 77]);
  view.join(range(last / MINUTE + 1, last / MINUTE + 801), "newer");
  assert.deepEqual([view.series.bars.length, view.series.bars[0]?.ts_open, view.older], [BARS, 9800 * MINUTE, "idle"]);
});

test("of another instrument no more is kept than the window shows, however long it is watched", () => {
  const view = new View();
  view.reset(ID);
  const compare = new Compare(view, { touch: () => undefined } as unknown as ConstructorParameters<typeof Compare>[1]);
  compare.choose(["sim:C-D"]);
  const [other] = compare.list;
  other?.knows(0, Number.POSITIVE_INFINITY);
  for (let n = 0; n < 3 * BARS; n++) {
    view.putBars([bar(n)]);
    compare.put({ channel: "bars", type: "update", data: [bar(n, { instrument: "sim:C-D" })] });
  }
  assert.ok((other?.bars.size ?? 0) <= 2 * BARS + 1);
  assert.ok(other?.bars.has((3 * BARS - 1) * MINUTE));
  assert.deepEqual(other?.lacks(view.series.bars[0]?.ts_open ?? 0, Number.POSITIVE_INFINITY), []);
});

test("of very many rules the lines nearest to the price are drawn, in their order", () => {
  const lines = Array.from({ length: 1000 }, (_, i) => ({ instrument: ID, field: "mid", value: 10_000 - 10 * i }));
  const all = ruleLines([rule({ lines })], ID, 0);
  const drawn = nearest(all, 5_004).map((line) => line.price);
  assert.equal(drawn.length, MOST_RULE_LINES);
  assert.deepEqual(drawn, Array.from({ length: 12 }, (_, i) => 5_060 - 10 * i));
  assert.equal(nearest(all, null).length, MOST_RULE_LINES);
  assert.deepEqual(nearest(all.slice(0, 3), 0), all.slice(0, 3));
});
