// Levels put together by a price step, exactly.
//
// Prices are counted in whole units of the instrument's last decimal, and so is the step: a bid belongs to the step at or below it, an
// ask to the step at or above it, so that a group never looks nearer to the touch than its orders are. Sizes are summed as whole units
// of their last decimal and divided once at the end: the sum is the number that a decimal calculation gives, not 0.30000000000000004.
// A group is shown only where all of its prices are known: the last group of a view that was cut off would be too small.

import type { Level } from "../api/types.ts";

export type BookSide = "bid" | "ask";

const MULTIPLES = [1, 2, 5] as const;
const WIDEST = 0.01; // of the price: a step of more than a percent tells nothing

/** The decimals of a step, so that 0.5 is one and 20 is none. */
export function stepDecimals(step: number): number {
  for (let d = 0; d <= 10; d++) if (Math.abs(Math.round(step * 10 ** d) - step * 10 ** d) < 1e-9 * Math.max(1, step * 10 ** d)) return d;
  return 10;
}

/** What a price step can be: 1, 2, 5, 10 … ticks, as long as it is no more than a percent of the price. */
export function steps(tick: number, price: number): number[] {
  const decimals = stepDecimals(tick);
  const unit = Math.round(tick * 10 ** decimals);
  const found: number[] = [];
  for (let power = 1; found.length < 30; power *= 10) {
    for (const multiple of MULTIPLES) {
      const step = (unit * multiple * power) / 10 ** decimals;
      if (step > price * WIDEST && found.length > 0) return found;
      found.push(step);
    }
  }
  return found;
}

/** Of the steps the one nearest to what is wished, by ratio. */
export function nearestStep(from: readonly number[], wish: number): number {
  const far = (step: number): number => Math.abs(Math.log(step / wish));
  return from.reduce((best, step) => (far(step) < far(best) ? step : best), from[0] ?? wish);
}

/** A sum of decimals. Sizes of more digits than fit are added with compensation instead. */
export class Sum {
  private readonly scale: number;
  private units = 0;
  private exact = true;
  private float = 0;
  private lost = 0;

  constructor(decimals: number) {
    this.scale = 10 ** decimals;
  }

  add(x: number): void {
    const units = Math.round(x * this.scale);
    if (units / this.scale !== x || !Number.isSafeInteger(this.units + units)) this.exact = false;
    this.units += units;
    const sum = this.float + x;
    this.lost += Math.abs(this.float) >= Math.abs(x) ? this.float - sum + x : x - sum + this.float;
    this.float = sum;
  }

  get value(): number {
    return this.exact ? this.units / this.scale : this.float + this.lost;
  }
}

export interface Decimals {
  readonly price: number;
  readonly size: number;
}

/** Best first in, best first out: `[price of the step, size]`. */
export function grouped(levels: readonly Level[], side: BookSide, step: number, decimals: Decimals): Level[] {
  const places = Math.max(decimals.price, stepDecimals(step));
  const scale = 10 ** places;
  const width = Math.max(1, Math.round(step * scale));
  const found: Level[] = [];
  let at: number | null = null;
  let sum = new Sum(decimals.size);
  const close = (): void => {
    if (at !== null) found.push([(at * width) / scale, sum.value]);
  };
  for (const [price, size] of levels) {
    const units = Math.round(price * scale) / width;
    const bin = side === "bid" ? Math.floor(units) : Math.ceil(units);
    if (bin !== at) {
      close();
      at = bin;
      sum = new Sum(decimals.size);
    }
    sum.add(size);
  }
  close();
  return found;
}

/** Up to which price every level is known; null: to the end of the book. `asked`: how many levels the view may hold. */
export function knownTo(levels: readonly Level[], asked: number, completeTo: number | null): number | null {
  const last = levels.at(-1);
  return last && levels.length >= asked ? last[0] : completeTo;
}

/** Whether all prices of a group are known. */
export function isWhole(price: number, side: BookSide, known: number | null): boolean {
  return known === null || (side === "bid" ? price >= known : price <= known);
}

/** Sums from the touch outwards, one a level. */
export function totals(levels: readonly Level[], decimals: number): number[] {
  const sum = new Sum(decimals);
  return levels.map(([, size]) => {
    sum.add(size);
    return sum.value;
  });
}
