// Footprint: of each bar, how much was bought and sold at which price. Pure.
//
// Of a bin: *buys* lifted the offer, *sells* hit the bid. The *point of control* is the bin with the most volume, the lower of equals.
// *Imbalance* is read along the diagonal, as the two sides of one touch stand a bin apart: buys of a bin against the sells of the one below,
// sells of a bin against the buys of the one above; from RATIO on it is marked, where it is not a trifle beside the bar's largest bin.

import type { FootprintBar } from "../api/types.ts";

export const RATIO = 3;
const TRIFLE = 0.05;

export interface Cell {
  readonly bin: number; // its price is bin × step
  readonly buy: number;
  readonly sell: number;
  readonly poc: boolean;
  readonly heavy: "buy" | "sell" | "both" | "";
}

export interface Column {
  readonly ts: number;
  readonly complete: boolean;
  readonly cells: readonly Cell[]; // from the lowest price up
  readonly buy: number;
  readonly sell: number;
  readonly poc: number | null; // bin
  readonly most: number; // of one side of one bin
}

export function read(bar: FootprintBar): Column {
  const n = Math.max(bar.buys.length, bar.sells.length);
  const at = (list: readonly number[], k: number): number => list[k] ?? 0;
  let poc = -1;
  let volume = 0;
  let most = 0;
  for (let k = 0; k < n; k++) {
    const [b, s] = [at(bar.buys, k), at(bar.sells, k)];
    most = Math.max(most, b, s);
    if (b + s > volume) [poc, volume] = [k, b + s];
  }
  const heavier = (one: number, other: number): boolean => one >= most * TRIFLE && one > 0 && one >= RATIO * other;
  const cells = Array.from({ length: n }, (_, k): Cell => {
    const [buy, sell] = [at(bar.buys, k), at(bar.sells, k)];
    const up = heavier(buy, at(bar.sells, k - 1));
    const down = heavier(sell, at(bar.buys, k + 1));
    return { bin: bar.low + k, buy, sell, poc: k === poc, heavy: up && down ? "both" : up ? "buy" : down ? "sell" : "" };
  });
  const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);
  return { ts: bar.ts_open, complete: bar.complete, cells, buy: sum(bar.buys), sell: sum(bar.sells), poc: poc < 0 ? null : bar.low + poc, most };
}

/** `news` over `had`, by opening time, the newest `most`. */
export function joined(had: readonly Column[], news: readonly Column[], most: number): Column[] {
  const by = new Map([...had, ...news].map((c) => [c.ts, c]));
  return [...by.values()].sort((a, b) => a.ts - b.ts).slice(-most);
}

/** 1, 2 or 5 times a power of ten, at least the tick, so that a bar of `range` has about `bins` of them. */
export function autoStep(range: number, tick: number, bins = 14): number {
  const raw = Math.max(range / bins, tick);
  const power = 10 ** Math.floor(Math.log10(raw) + 1e-9);
  const nice = [1, 2, 5, 10].find((m) => m * power >= raw * (1 - 1e-9)) ?? 10;
  return Math.max(tick, Number((nice * power).toPrecision(6)));
}

export function steps(auto: number, tick: number): number[] {
  const power = 10 ** Math.floor(Math.log10(auto) + 1e-9);
  const around = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50].map((m) => Number((m * power).toPrecision(6)));
  return [...new Set(around.filter((s) => s >= tick * (1 - 1e-9)))];
}
