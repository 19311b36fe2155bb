// Indicators against TA-Lib's own numbers, sums of the day against sums written out, and one step against all of them.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { Bar } from "../src/api/types.ts";
import { cleaned, type Chosen, kindOf, Run, STUDIES, titleOf } from "../src/chart/studies.ts";

type Column = readonly (number | null)[];
const file = new URL("data/talib.json", import.meta.url);
const told = JSON.parse(readFileSync(file, "utf8")) as Record<string, Column[]> & { bars: [number, number, number, number][] };

const MINUTE = 60e6;
const bar = (n: number, more: Partial<Bar> = {}): Bar => ({
  instrument: "sim:A-B", ts_event: n * MINUTE + 1, ts_recv: n * MINUTE + 2, flags: [], interval: "1m", ts_open: n * MINUTE, open: 10, high: 12, low: 9, close: 11,
  volume: 2, buy_volume: 1.5, vwap: 10.5, trades: 3, complete: true, revision: 0, origin: "trades", closed: true, ...more,
});
const walk = told.bars.map(([open, high, low, close], n) => bar(n, { open, high, low, close }));

const near = (a: number | null, b: number | null): boolean => a === b || (a !== null && b !== null && Math.abs(a - b) < 1e-9 * Math.max(1, Math.abs(b)));

function run(name: string, params: readonly number[], bars: readonly Bar[]): Run {
  const kind = kindOf(name);
  assert.ok(kind, name);
  const made = new Run(kind, params);
  made.all(bars);
  return made;
}

for (const [name, columns] of Object.entries(told)) {
  const [id = "", ...params] = name.split(" ");
  if (!kindOf(id)) continue;
  test(`${name} is TA-Lib's`, () => {
    const { points } = run(id, params.map(Number), walk);
    assert.equal(points.length, walk.length);
    columns.forEach((column, line) => column.forEach((value, at) => {
      const given = points[at]?.values[line] ?? null;
      assert.ok(near(given, value), `${name} line ${line} at ${at}: ${given} is not ${value}`);
    }));
  });
}

test("a bar that moves, closes and is followed gives what all of them at once give", () => {
  for (const kind of STUDIES) {
    const params = cleaned(kind, []);
    const step = run(kind.id, params, walk.slice(0, 40));
    for (let n = 40; n < walk.length; n++) {
      const open = { ...walk[n], close: 1, high: 500, buy_volume: 0, closed: false } as Bar;
      step.tail([...walk.slice(0, n), open], 1); // it begins
      step.tail([...walk.slice(0, n), { ...open, close: 2 }], 1); // it moves
      step.tail(walk.slice(0, n + 1), 1); // it closes
    }
    const whole = run(kind.id, params, walk);
    assert.deepEqual(step.points, whole.points, kind.id);
    const revised = walk.with(70, bar(70, { close: 90 }));
    step.tail(revised, 20);
    assert.deepEqual(step.points, run(kind.id, params, revised).points, `${kind.id} after a revision`);
  }
});

test("VWAP and delta are sums since the UTC day began", () => {
  const day = 1440;
  const bars = [
    bar(day - 1, { vwap: 50, volume: 4 }), bar(day, { vwap: 10, volume: 1, buy_volume: 1 }), bar(day + 1, { vwap: 20, volume: 3, buy_volume: 1 }),
    bar(day + 2, { vwap: null, high: 12, low: 9, close: 12, volume: 2, buy_volume: null }),
  ];
  const vwap = run("vwap", [], bars).points;
  assert.deepEqual(vwap.map((p) => p.values[0]), [50, 10, (10 + 60) / 4, (10 + 60 + 2 * 11) / 6]);
  assert.deepEqual(vwap.map((p) => p.partial), [true, false, false, false]); // the first day began before the first bar
  const delta = run("delta", [], bars).points;
  assert.deepEqual(delta.slice(1).map((p) => p.values), [[1, 1], [-1, 0], [null, 0]]);
  assert.deepEqual(delta.map((p) => p.partial), [true, false, false, true]); // who traded in the last one is not known
});

test("what looks back to an incomplete bar is partial until it is out of sight", () => {
  const broken = walk.with(40, { ...walk[40], complete: false } as Bar);
  const partial = (id: string, ...params: number[]): number[] => run(id, params, broken).points.flatMap((p, at) => (p.partial ? [at] : []));
  assert.deepEqual(partial("sma", 5), [40, 41, 42, 43, 44]);
  assert.deepEqual(partial("atr", 3), [40, 41, 42, 43]);
  assert.equal(partial("macd", 12, 26, 9).length, 34);
  const open = [...walk.slice(0, 40), { ...walk[40], complete: false } as Bar];
  const made = run("sma", [5], open);
  assert.equal(made.points.at(-1)?.partial, true);
  made.tail(walk.slice(0, 41), 1); // a later word: nothing was missing after all
  assert.equal(made.points.at(-1)?.partial, false);
});

test("parameters stay within their bounds, and a chosen study has words", () => {
  const [sma, bands] = [kindOf("sma"), kindOf("bollinger")];
  assert.ok(sma && bands);
  assert.deepEqual([cleaned(sma, [7.4]), cleaned(sma, [-3]), cleaned(sma, ["x"]), cleaned(bands, [20, 2.5])], [[7], [1], [20], [20, 2.5]]);
  const chosen: Chosen = { kind: "bollinger", params: [20, 2.5] };
  assert.deepEqual([titleOf(chosen), titleOf({ kind: "metric", params: [], metric: "vwap_5m" })], ["BB 20 2.5", "vwap_5m"]);
});
