import assert from "node:assert/strict";
import { test } from "node:test";
import { better, type DayBar, pieces } from "../src/state/days.ts";
import { arrange, type Choices, type Column, fits, moved, parse, PLAIN, put, sortedBy, stepped, toggled, type Values } from "../src/state/watch.ts";

const IDS = ["sim:BTC-USDT", "sim:ETH-USDT", "sim-kraken:BTC-USD", "sim:SOL-USDT"];
const CHANGES: Record<string, number | null> = { "sim:BTC-USDT": 0.01, "sim:ETH-USDT": -0.02, "sim-kraken:BTC-USD": null, "sim:SOL-USDT": 0.5 };
const of: Values = (id) => ({ name: id.split(":")[1] ?? "", mid: 1, change: CHANGES[id] ?? null, spread: null, volume: null, age: null });
const shown = (choices: Choices, words = ""): Record<string, readonly string[]> =>
  Object.fromEntries(arrange(IDS, choices, words, of).map((s) => [s.name, s.ids.map((id) => id.split(":")[1] ?? "")]));
const by = (column: Column, down: boolean): Choices => ({ ...PLAIN, sort: { by: column, down } });

test("sorted by a column, what is not known stands last either way", () => {
  assert.deepEqual(shown(PLAIN), { "": ["BTC-USDT", "ETH-USDT", "BTC-USD", "SOL-USDT"] });
  assert.deepEqual(shown(by("change", true)), { "": ["SOL-USDT", "BTC-USDT", "ETH-USDT", "BTC-USD"] });
  assert.deepEqual(shown(by("change", false)), { "": ["ETH-USDT", "BTC-USDT", "SOL-USDT", "BTC-USD"] });
  assert.deepEqual(shown(by("name", false)), { "": ["BTC-USD", "BTC-USDT", "ETH-USDT", "SOL-USDT"] });
});

test("a click on a column: its first way, the other, one's own order", () => {
  const first = sortedBy(PLAIN, "change");
  const second = sortedBy(first, "change");
  assert.deepEqual([first.sort, second.sort, sortedBy(second, "change").sort], [{ by: "change", down: true }, { by: "change", down: false }, null]);
  assert.deepEqual(sortedBy(PLAIN, "name").sort, { by: "name", down: false });
});

test("groups by venue, by base and of one's own", () => {
  assert.deepEqual(shown({ ...PLAIN, group: "venue" }), { sim: ["BTC-USDT", "ETH-USDT", "SOL-USDT"], "sim-kraken": ["BTC-USD"] });
  assert.deepEqual(shown({ ...PLAIN, group: "base" }), { BTC: ["BTC-USDT", "BTC-USD"], ETH: ["ETH-USDT"], SOL: ["SOL-USDT"] });
  const own = put(put({ ...PLAIN, group: "own" }, "sim:SOL-USDT", "Small"), "sim-kraken:BTC-USD", "Small");
  assert.deepEqual(shown(own), { Small: ["BTC-USD", "SOL-USDT"], Others: ["BTC-USDT", "ETH-USDT"] });
  assert.deepEqual(put(put(own, "sim:SOL-USDT", ""), "sim-kraken:BTC-USD", "Big").own, [{ name: "Big", ids: ["sim-kraken:BTC-USD"] }]);
  const closed = toggled(own, "Small");
  assert.deepEqual(arrange(IDS, closed, "", of).map((s) => s.closed), [true, false]);
  assert.deepEqual(arrange(IDS, closed, "sol", of).map((s) => s.closed), [false]); // what was searched for is shown
  assert.deepEqual(toggled(closed, "Small").closed, []);
});

test("moving a row makes the order that is seen one's own, and takes over the group", () => {
  const sorted = by("change", true);
  const seen = arrange(IDS, sorted, "", of).flatMap((s) => s.ids);
  const after = moved(sorted, seen, "sim-kraken:BTC-USD", "sim:SOL-USDT", true);
  assert.equal(after.sort, null);
  assert.deepEqual(shown(after), { "": ["SOL-USDT", "BTC-USD", "BTC-USDT", "ETH-USDT"] });
  const own = put({ ...PLAIN, group: "own" }, "sim:SOL-USDT", "Small");
  assert.deepEqual(shown(moved(own, IDS, "sim:BTC-USDT", "sim:SOL-USDT", false)), { Small: ["BTC-USDT", "SOL-USDT"], Others: ["ETH-USDT", "BTC-USD"] });
  const sections = arrange(IDS, PLAIN, "", of);
  assert.deepEqual(shown(stepped(PLAIN, sections, "sim:SOL-USDT", -1)), { "": ["BTC-USDT", "ETH-USDT", "SOL-USDT", "BTC-USD"] });
  assert.equal(stepped(PLAIN, sections, "sim:SOL-USDT", 1), PLAIN);
});

test("words fit ids whatever separates their parts", () => {
  assert.deepEqual(IDS.filter((id) => fits(id, "btcusd")), ["sim:BTC-USDT", "sim-kraken:BTC-USD"]);
  assert.deepEqual(IDS.filter((id) => fits(id, "kraken btc")), ["sim-kraken:BTC-USD"]);
  assert.deepEqual(IDS.filter((id) => fits(id, "")), IDS);
  assert.deepEqual(shown(PLAIN, "eth"), { "": ["ETH-USDT"] });
});

test("what is remembered may be anything", () => {
  const kept: Choices = { sort: { by: "volume", down: true }, group: "own", order: IDS, own: [{ name: "A", ids: ["x"] }], closed: ["own A"], compact: true };
  assert.deepEqual(parse(JSON.stringify(kept)), kept);
  for (const text of [null, "", "{", "3", '"x"', '{"sort": {"by": "nonsense"}, "group": 7, "order": [1, {}], "own": [null, {"ids": 3}]}']) assert.deepEqual(parse(text), PLAIN);
});

test("of two bars of one day the better one counts, and the later day before all", () => {
  const bar = { instrument: "sim:BTC-USDT", ts_open: 86_400e6, open: 1, trades: 5, complete: false } as DayBar;
  const morning = { ...bar, open: 2, trades: 9 };
  const next = { ...bar, ts_open: 2 * 86_400e6, trades: 1 };
  assert.equal(better(null, bar), bar);
  assert.equal(better(bar, morning), morning);
  assert.equal(better(morning, bar), morning);
  assert.deepEqual(better(morning, { ...morning, trades: 9, volume: 3 }).volume, 3); // as many trades: what was told last
  assert.equal(better(morning, { ...bar, complete: true }).complete, true);
  assert.equal(better(morning, next), next);
  assert.equal(better(next, morning), next);
  assert.deepEqual(pieces([1, 2, 3, 4, 5], 2), [[1, 2], [3, 4], [5]]);
});
