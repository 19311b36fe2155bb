import assert from "node:assert/strict";
import { test } from "node:test";
import type { Side, Trade } from "../src/api/types.ts";
import { amountText, LIVE_TRADES, type Merge, parseAmount, type Print, quantile, READ_TRADES, Tape } from "../src/state/tape.ts";
import type { TapeLine } from "../src/state/view.ts";

let next = 1;
const trade = (at: number, price: number, size: number, side: Side = "buy", flags: string[] = []): Trade => ({
  instrument: "sim:A-B", ts_event: at, ts_recv: at, flags, price, size, side, id: String(next++),
});
const line = (t: Trade): TapeLine => ({ kind: "trade", trade: t });
const prints = (tape: Tape): [number, number, number][] => tape.rows.filter((r): r is Print => r.kind === "print").map((p) => [p.last.price, p.size, p.count]);
const filled = (merge: Merge, lines: TapeLine[]): Tape => {
  const tape = new Tape();
  tape.merge = merge;
  tape.push(lines);
  return tape;
};

test("trades are merged by instant, by price, by side, or not", () => {
  const lines = [[10, 100, 1, "buy"], [10, 101, 2, "buy"], [20, 101, 4, "buy"], [20, 101, 8, "sell"], [30, 101, 16, "sell"], [1_500_000, 101, 32, "sell"]] as const;
  const all = lines.map(([at, price, size, side]) => line(trade(at, price, size, side)));
  assert.deepEqual(prints(filled("none", all)).map((p) => p[1]), [1, 2, 4, 8, 16, 32]);
  assert.deepEqual(prints(filled("instant", all)), [[101, 3, 2], [101, 4, 1], [101, 8, 1], [101, 16, 1], [101, 32, 1]]);
  assert.deepEqual(prints(filled("price", all)), [[100, 1, 1], [101, 6, 2], [101, 24, 2], [101, 32, 1]]);
  assert.deepEqual(prints(filled("side", all)), [[101, 7, 3], [101, 24, 2], [101, 32, 1]]);
  const [first] = filled("side", all).rows as [Print];
  assert.deepEqual([first.low, first.high, first.notional], [100, 101, 100 + 202 + 404]);
});

test("nothing is merged over a hole, nor where the aggressor is not known", () => {
  const hole: TapeLine = { kind: "missed", text: "3 missed", at: 10 };
  const tape = filled("side", [line(trade(10, 1, 1)), hole, line(trade(10, 1, 1))]);
  assert.deepEqual(tape.rows.map((r) => r.kind), ["print", "missed", "print"]);
  assert.equal(filled("side", [line(trade(1, 1, 1, "unknown")), line(trade(1, 1, 1, "unknown"))]).rows.length, 2);
});

test("small prints are left out, but come in once they have grown; holes always stand", () => {
  const tape = new Tape();
  tape.merge = "side";
  tape.least = { value: 250, of: "notional" };
  tape.push([line(trade(1, 100, 1)), line(trade(2, 100, 1))]);
  assert.equal(tape.rows.length, 0);
  tape.push([line(trade(3, 100, 1)), { kind: "missed", text: "1 missed", at: 4 }]);
  assert.deepEqual(prints(tape), [[100, 3, 3]]);
  assert.equal(tape.rows.length, 2);
  tape.least = { value: 2, of: "size" };
  tape.merge = "none";
  tape.rebuild();
  assert.deepEqual(tape.rows.map((r) => r.kind), ["missed"]);
});

test("large is the 99th percentile of the last minutes, or what was typed", () => {
  const tape = filled("none", Array.from({ length: 200 }, (_, i) => line(trade(1000 + i, 10, i + 1))));
  assert.deepEqual(tape.threshold(2000), { value: 1990, of: "notional" }); // of 10, 20 … 2000 the 199th
  const large = tape.rows.filter((r) => r.kind === "print" && tape.isLarge(r));
  assert.equal(large.length, 2);
  tape.large = { value: 200, of: "size" };
  assert.equal(tape.rows.filter((r) => r.kind === "print" && tape.isLarge(r)).length, 1);
  assert.equal(filled("none", [line(trade(1, 1, 1))]).threshold(5), null);
  assert.deepEqual([quantile([3, 1, 2], 0.5, 1), quantile([1, 2], 0.5, 3)], [2, null]);
});

test("the last minute by side, and of how much of it something is known", () => {
  const at = 1000e6;
  const tape = filled("none", [line(trade(at - 61e6, 1, 64)), line(trade(at - 59e6, 1, 1)), line(trade(at - 1e6, 1, 2, "sell")), line(trade(at, 1, 4, "unknown"))]);
  assert.deepEqual(tape.totals(at), { buy: 1, sell: 2, unknown: 4, since: at - 60e6, holes: false });
  const short = filled("none", [line(trade(at - 10e6, 1, 1)), { kind: "missed", text: "", at: at - 5e6 }, line(trade(at, 1, 1))]);
  assert.deepEqual(short.totals(at), { buy: 2, sell: 0, unknown: 0, since: at - 10e6, holes: true });
});

test("a burst is bounded; who reads back keeps more; a row keeps its number", () => {
  const tape = new Tape();
  tape.merge = "none";
  for (let i = 0; i < 100; i++) tape.push(Array.from({ length: 200 }, (_, k) => line(trade(i * 200 + k, 1, 1))));
  assert.ok(tape.rows.length <= LIVE_TRADES * 1.2);
  assert.equal(tape.total, 20_000);
  assert.equal((tape.rows[tape.rows.length - 1] as Print).last.ts_event, 19_999);
  tape.reading = true;
  for (let i = 0; i < 100; i++) tape.push(Array.from({ length: 400 }, (_, k) => line(trade(20_000 + i * 400 + k, 1, 1))));
  assert.ok(tape.rows.length > LIVE_TRADES * 2 && tape.rows.length <= READ_TRADES * 1.2);
});

test("what the server has of before is put before it, each trade once, also those of the same instant", () => {
  const tape = new Tape();
  tape.merge = "none";
  const [a, b, c, d] = [trade(5, 1, 1), trade(9, 2, 1), trade(9, 3, 1), trade(10, 4, 1)];
  tape.push([line(c), line(d)]);
  assert.equal(tape.prepend([a, b, c]), 2);
  assert.deepEqual(prints(tape).map((p) => p[0]), [1, 2, 3, 4]);
  assert.equal(tape.prepend([a, b, c]), 0);
});

test("amounts are typed as people write them", () => {
  assert.deepEqual(parseAmount("10k", "BTC"), { value: 10_000, of: "notional" });
  assert.deepEqual(parseAmount("≥ 1.5M", "BTC"), { value: 1_500_000, of: "notional" });
  assert.deepEqual(parseAmount("1,000", "BTC"), { value: 1000, of: "notional" });
  assert.deepEqual(parseAmount(".5 btc", "BTC"), { value: 0.5, of: "size" });
  assert.deepEqual([parseAmount("", "BTC"), parseAmount("All", "BTC"), parseAmount("2 ETH", "BTC"), parseAmount("x", "BTC")], [null, null, undefined, undefined]);
  assert.deepEqual([amountText({ value: 1990, of: "notional" }, "A", "–"), amountText({ value: 2.5, of: "size" }, "A", "–"), amountText(null, "A", "auto")], ["1.99K", "2.5 A", "auto"]);
});
