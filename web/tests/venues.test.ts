import assert from "node:assert/strict";
import { test } from "node:test";
import type { InstrumentStatus, Quote } from "../src/api/types.ts";
import { best, comparable, pairOf, rowsOf, type Scope, type Seen, whyOut } from "../src/state/venues.ts";

const quote = (id: string, bid: number | null, ask: number | null, origin: "book" | "venue" = "book"): Quote =>
  ({ instrument: id, ts_event: 1, ts_recv: 2, flags: [], bid, bid_size: 3, ask, ask_size: 4, seq: 1, origin });
const seen = (id: string, bid: number | null, ask: number | null, change: Partial<InstrumentStatus> = {}): Seen => ({
  id, touch: quote(id, bid, ask), venueQuote: undefined,
  info: { id, state: "live", book: "synced", last_price: null, last_event: 0, price_decimals: 2, size_decimals: 2, last_status: null, ...change },
});
const MARKET = [
  seen("binance:BTC-USDT", 100, 101), seen("kraken:BTC-USD", 102, 103), seen("okx:BTC-USDT", 101.5, 102), seen("binance-usdm:BTC-USDT-PERP", 200, 201), seen("binance:ETH-USDT", 5, 6),
];
const table = (scope: Scope, market = MARKET, reference = "binance:BTC-USDT"): ReturnType<typeof rowsOf> => rowsOf("BTC", market, reference, scope);

test("ids tell base, quote and kind", () => {
  assert.deepEqual(pairOf("sim:BTC-USDT-PERP"), { base: "BTC", quote: "USDT", kind: "perp" });
  assert.deepEqual([pairOf("x:BTC-USD-251226").kind, pairOf("x:BTC-USD").kind, pairOf("yahoo:AAPL").kind], ["future", "spot", "stock"]);
  const usdt = pairOf("a:BTC-USDT");
  assert.deepEqual(["same", "dollars", "all"].map((s) => comparable(usdt, pairOf("b:BTC-USD"), s as Scope)), [false, true, true]);
  assert.deepEqual(["same", "dollars", "all"].map((s) => comparable(usdt, pairOf("b:BTC-EUR"), s as Scope)), [false, false, true]);
  assert.equal(comparable(usdt, pairOf("b:BTC-USDT-PERP"), "dollars"), false);
});

test("the basis is of the mids, to the reference", () => {
  const { rows } = table("same");
  assert.deepEqual(rows.map((r) => [r.mid, r.comparable]), [[100.5, true], [102.5, false], [101.75, true], [200.5, false]]);
  assert.deepEqual(rows.map((r) => Number(r.basisBps?.toFixed(6))), [0, 199.004975, 124.378109, 9950.248756]);
  assert.equal(rows[1]?.spreadBps, (10_000 * 1) / 102.5);
});

test("best bid and offer are of comparable venues only; a crossed market is told with its size", () => {
  const same = best(table("same").rows);
  assert.deepEqual([same?.bid.id, same?.ask.id, same?.crossedBps], ["okx:BTC-USDT", "binance:BTC-USDT", (10_000 * 0.5) / 101.25]);
  const dollars = best(table("dollars").rows);
  assert.deepEqual([dollars?.bid.id, dollars?.ask.id], ["kraken:BTC-USD", "binance:BTC-USDT"]);
  assert.equal(best(table("same", MARKET.slice(0, 1)).rows)?.crossedBps, -10_000 / 100.5);
  assert.equal(best([]), null);
});

test("a venue that is not to be believed is out, and its price makes nothing", () => {
  for (const change of [{ state: "stale" }, { state: "disconnected" }, { book: "invalid" }] as const) {
    const { rows } = table("same", [seen("binance:BTC-USDT", 100, 101), seen("okx:BTC-USDT", 150, 151, change)]);
    assert.notEqual(rows[1]?.out, "");
    assert.equal(rows[1]?.basisBps, null);
    assert.equal(best(rows)?.bid.id, "binance:BTC-USDT");
  }
  assert.equal(table("same", [seen("a:BTC-USDT", 5, 4)]).rows[0]?.out, "crossed in itself");
  assert.equal(table("same", [seen("a:BTC-USDT", 5, null)]).rows[0]?.out, "no quote");
  assert.equal(whyOut(undefined, undefined, true), "waiting");
});

test("where the book is not proved the venue's own quote stands in; where the reference is out nobody has a basis", () => {
  const own = { ...seen("okx:BTC-USDT", 1, 2, { book: "joining" }), venueQuote: quote("okx:BTC-USDT", 7, 8, "venue") };
  assert.deepEqual(table("same", [own], own.id).rows.map((r) => [r.bid, r.out]), [[7, ""]]);
  const { rows, reference } = table("same", [seen("a:BTC-USDT", 1, 2, { state: "stale" }), seen("b:BTC-USDT", 1, 2)], "a:BTC-USDT");
  assert.deepEqual([reference, rows.map((r) => r.basisBps)], ["a:BTC-USDT", [null, null]]);
  assert.equal(table("same", [seen("a:BTC-USDT", 1, 2, { state: "stale" }), seen("b:BTC-USDT", 1, 2)], "").reference, "b:BTC-USDT");
});
