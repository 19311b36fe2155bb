import assert from "node:assert/strict";
import { test } from "node:test";
import { backoff } from "../src/api/socket.ts";
import type { Bar, Status, StatusEvent, Trade } from "../src/api/types.ts";
import { blanks, candle } from "../src/chart/points.ts";
import { Rows } from "../src/chart/rows.ts";
import { BarSeries, Latency, Rate, Recent } from "../src/state/buffers.ts";
import { Market, Row, SPARK_POINTS, WAY_POINTS } from "../src/state/market.ts";
import { Quotes } from "../src/state/quotes.ts";
import { View } from "../src/state/view.ts";

const bar = (open: number, change: Partial<Bar> = {}): Bar => ({
  instrument: "sim:A-B", ts_event: 0, ts_recv: open, flags: [], interval: "1m", ts_open: open * 60e6, open: 1, high: 2, low: 1, close: 2, volume: 3,
  buy_volume: 1, vwap: 1.5, trades: 2, complete: true, revision: 0, origin: "trades", closed: true, ...change,
});
const trade = (n: number): Trade => ({ instrument: "sim:A-B", ts_event: n, ts_recv: n, flags: [], price: n, size: 1, side: "buy", id: String(n) });

test("bars come in any order, and an older word never replaces a newer one", () => {
  const series = new BarSeries(100);
  assert.equal(series.put(bar(2)), "append");
  assert.equal(series.put(bar(1)), "insert");
  assert.equal(series.put(bar(3, { closed: false, ts_recv: 10 })), "append");
  assert.equal(series.put(bar(3, { closed: false, ts_recv: 9 })), "none");
  assert.equal(series.put(bar(3, { closed: true, ts_recv: 9 })), "last");
  assert.equal(series.put(bar(3, { closed: false, ts_recv: 99 })), "none");
  assert.equal(series.put(bar(2, { revision: 1, volume: 9 })), "revised");
  assert.deepEqual(series.bars.map((b) => [b.ts_open / 60e6, b.volume]), [[1, 3], [2, 9], [3, 3]]);
});

test("buffers are bounded", () => {
  const series = new BarSeries(50);
  for (let i = 0; i < 500; i++) series.put(bar(i));
  assert.ok(series.bars.length <= 50);
  assert.equal(series.last?.ts_open, 499 * 60e6);
  const recent = new Recent<number>(10);
  for (let i = 0; i < 100; i++) recent.push(i);
  assert.ok(recent.items.length <= 15);
  assert.deepEqual([recent.newest(3), recent.total], [[99, 98, 97], 100]);
  const row = new Row("sim:A-B");
  row.putMetrics({ instrument: "sim:A-B", ts_event: 0, ts_recv: 5, flags: [], mid: 4, spread: 1, spread_bps: 1, imbalance: 0, microprice: 4 });
  for (let i = 0; i < 2 * SPARK_POINTS; i++) row.sample();
  assert.equal(row.spark.length, SPARK_POINTS);
  assert.deepEqual([row.reference, row.change], [4, 0]);
  const asked = new Row("sim:C-D");
  asked.putMetrics({ instrument: "sim:C-D", ts_event: 0, ts_recv: 5, flags: [], mid: 4, spread: 1, spread_bps: 1, imbalance: 0, microprice: 4 });
  asked.referenceAsked = true;
  asked.sample();
  assert.equal(asked.change, null); // since when is not known yet
});

test("a market keeps the way of its touch for the last two minutes, unknown seconds as unknown", () => {
  const row = new Row("sim:A-B");
  const base = { instrument: row.id, ts_event: 1, ts_recv: 1, flags: [], seq: 1, origin: "book", bid_size: 1, ask_size: 1 } as const;
  for (let i = 1; i <= WAY_POINTS + 5; i++) {
    row.putQuote({ ...base, bid: i, ask: i + 2 });
    row.sample();
  }
  assert.deepEqual([row.way("bid")?.length, row.way("bid")?.[0], row.way("ask")?.at(-1), row.way("spread")?.at(-1)], [WAY_POINTS, 6, WAY_POINTS + 7, 2]);
  assert.deepEqual([row.way("imbalance")?.at(-1), row.way("mid")?.at(-1), row.way("last")], [null, WAY_POINTS + 6, undefined]);
});

test("an incomplete bar is hollow, and silence leaves blank places but no flood of them", () => {
  const colors = { up: "#00ff00", down: "#ff0000", faint: "#888888", hollow: "#000000", line: "#0000ff" };
  assert.equal("color" in candle(bar(1), colors), false);
  assert.equal(candle(bar(1, { complete: false }), colors).color, "#000000");
  assert.equal(blanks(bar(1), bar(4), "1m").length, 2);
  assert.equal(blanks(bar(1), bar(5000), "1m").length, 0);
  const rows = new Rows();
  rows.all([bar(1), bar(2), bar(4)], "1m", 0, 0);
  assert.deepEqual(rows.rows.map((row) => row.bar === null), [false, false, true, false]);
});

test("mid and spread are those of the touch beside them, also before its metrics have come", () => {
  const row = new Row("sim:A-B");
  const base = { instrument: row.id, ts_event: 1, ts_recv: 1, flags: [], seq: 1 };
  row.putMetrics({ ...base, mid: 10, spread: 2, spread_bps: 2000, imbalance: 0, microprice: 10 });
  assert.deepEqual([row.mid, row.spread], [10, 2]);
  row.putQuote({ ...base, seq: 2, origin: "book", bid: 10, bid_size: 1, ask: 10.5, ask_size: 1 });
  assert.deepEqual([row.mid, row.spread, row.spreadBps], [10.25, 0.5, 5000 / 10.25]);
});

test("the rate of trades is of their own time, so that a fast replay does not inflate it", () => {
  const view = new View();
  view.reset("sim:A-B");
  for (let second = 1; second <= 20; second++) view.putTrades([{ ...trade(second), ts_recv: second * 1e6 }], false, 0);
  assert.equal(view.rate.perSecond(20_000), 1);
});

test("a trade that was fetched to fill a hole is not the last trade", () => {
  const view = new View();
  view.reset("sim:A-B");
  view.putTrades([trade(5), trade(9)], true, 0);
  view.putTrades([trade(7)], false, 0);
  assert.equal(view.lastTrade?.id, "9");
  view.putTrades([{ ...trade(9), id: "10" }, trade(8)], false, 0); // of one time the one that came last
  assert.equal(view.lastTrade?.id, "10");
  view.putTrades([trade(3)], true, 0); // the server began anew
  assert.equal(view.lastTrade?.id, "3");
});

test("the tape says where trades are missing", () => {
  const view = new View();
  view.reset("sim:A-B");
  view.putTrades([trade(1), trade(2)], true, 0);
  view.putTrades([trade(9)], false, 6);
  const gap = { instrument: "sim:A-B", venue: "sim", kind: "gap", channel: "trades", reason: "ids 10–12", count: 3, ts_recv: 1, ts_event: 1, flags: [], from_seq: 10, to_seq: 12 };
  assert.equal(view.putEvent(gap satisfies StatusEvent), true);
  assert.equal(view.putEvent({ ...gap, instrument: "sim:C-D" }), false);
  assert.equal(view.putEvent({ ...gap, channel: "book" }), false);
  const lines = view.lines.newest(9).map((l) => (l.kind === "trade" ? l.trade.id : l.text));
  assert.deepEqual(lines, ["3 missed: ids 10–12", "9", "6 missed: this viewer was too slow", "2", "1"]);
  assert.equal(view.lastTrade?.id, "9");
});

test("several changes between two paints draw the series once, moves of the last bar only that bar", () => {
  const view = new View();
  view.reset("sim:A-B");
  view.changed = 0;
  view.putBars([bar(1)]);
  assert.equal(view.changed, 1);
  view.changed = 0;
  view.putBars([bar(1, { ts_recv: 100 }), bar(1, { ts_recv: 101 })]);
  assert.equal(view.changed, 1);
  view.putBars([bar(2)]); // a bar that closes, and the next one
  assert.equal(view.changed, 2);
  view.changed = 0;
  view.putBars([bar(1, { revision: 1 })]);
  assert.equal(view.changed, 2);
  view.putBars([bar(0)]);
  assert.equal(view.changed, "all");
  assert.equal(view.putBars([bar(3, { interval: "5m" }), bar(3, { instrument: "sim:C-D" })]), false);
});

test("rates, latency, backoff", () => {
  const rate = new Rate(10_000);
  for (let i = 1; i <= 20; i++) rate.add(5, i * 1000);
  assert.equal(rate.perSecond(20_000), 5);
  assert.equal(rate.perSecond(60_000), 0);
  const latency = new Latency();
  assert.equal(latency.median, null);
  for (const ms of [5, 50, 10]) {
    latency.saw(1_000_000);
    latency.painted(1_000_000 + ms * 1000);
  }
  latency.painted(9_000_000);
  assert.equal(latency.median, 10);
  assert.deepEqual([backoff(0, 1), backoff(3, 1), backoff(50, 1), backoff(9, 0)], [400, 3200, 5000, 250]);
});

test("a bar made from trades stands before the venue's own candle", () => {
  const series = new BarSeries(100);
  series.put(bar(1, { origin: "venue", volume: 7 }));
  assert.equal(series.put(bar(1, { volume: 3, complete: false })), "last");
  assert.equal(series.put(bar(1, { origin: "venue", volume: 7, ts_recv: 99, revision: 5 })), "none");
  assert.deepEqual(series.bars.map((b) => b.volume), [3]);
});

test("without quotes an instrument is worth what it was last traded at", () => {
  const row = new Row("sim-yahoo:AAPL");
  row.sample();
  assert.deepEqual([row.price, row.change, row.spark.length], [null, null, 0]);
  const info = { id: row.id, state: "live", book: "none", last_event: 1, price_decimals: 2, size_decimals: 0, last_status: null } as const;
  row.info = { ...info, last_price: 200 };
  row.sample();
  row.info = { ...info, last_price: 210 };
  assert.deepEqual([row.mid, row.price, row.spark], [null, 210, [200]]);
  assert.ok(Math.abs((row.change ?? 0) - 0.05) < 1e-12);
  row.putMetrics({ instrument: row.id, ts_event: 0, ts_recv: 5, flags: [], mid: 4, spread: 1, spread_bps: 1, imbalance: 0, microprice: 4 });
  assert.equal(row.price, 4);
});

test("when another UTC day begins, changes are measured from its open", () => {
  const quotes = new Quotes(new Market(), { touch: () => undefined } as unknown as ConstructorParameters<typeof Quotes>[1]);
  const at = (hours: number, minutes: number): Status => ({ now: Date.UTC(2026, 10, 21, hours, minutes) * 1000, instruments: [] }) as unknown as Status;
  assert.deepEqual([at(23, 0), at(23, 59), at(24, 0), at(24, 2), at(25, 0)].map((status) => quotes.putStatus(status)), [false, false, false, true, false]);
});
