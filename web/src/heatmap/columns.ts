// The book over time, as columns of price bins, in memory: one column a slot of `every`, the newest `CAPACITY` slots.
//
// A column stands for its slot alone: a slot without one is a gap and stays one. Only where columns are finer than a second may the older
// ones be whole seconds (the server keeps no finer ones that long): those stand until the next, a second at most.

import type { Book, Column as Sample, Every } from "../api/types.ts";
import { type Decimals, grouped } from "../book/grouping.ts";

export const CAPACITY = 2048; // columns; of 400 bins they take 6.5 MB
const SECOND = 1e6;

export const EVERY: Readonly<Record<Every, number>> = { "250ms": 250_000, "500ms": 500_000, "1s": SECOND, "5s": 5e6, "15s": 15e6, "1m": 60e6 };

export interface Column {
  readonly slot: number; // ts / every
  readonly bid: number | null;
  readonly ask: number | null;
  readonly low: number; // number of the first bin
  readonly sizes: Float64Array;
  readonly proved: boolean;
}

export class Columns {
  readonly step: number;
  readonly every: Every;
  readonly width: number; // of a slot in µs
  readonly bySlot = new Map<number, Column>();
  first = Infinity; // slots
  last = -Infinity;
  revision = 0; // changes with every change
  private readonly reach: number; // slots that a column may stand for

  constructor(step: number, every: Every) {
    this.step = step;
    this.every = every;
    this.width = EVERY[every];
    this.reach = Math.max(1, Math.round(SECOND / this.width));
  }

  put(columns: readonly Sample[]): void {
    for (const c of columns) {
      const slot = Math.floor(c.ts / this.width);
      if (slot <= this.last - CAPACITY) continue;
      this.bySlot.set(slot, { slot, bid: c.bid, ask: c.ask, low: c.low, sizes: Float64Array.from(c.sizes), proved: c.proved });
      this.first = Math.min(this.first, slot);
      this.last = Math.max(this.last, slot);
    }
    this.forget();
    if (columns.length > 0) this.revision++;
  }

  /** The column that stands at a slot. */
  at(slot: number): Column | undefined {
    for (let back = 0; back < this.reach; back++) {
      const column = this.bySlot.get(slot - back);
      if (column) return column;
    }
    return undefined;
  }

  private forget(): void {
    const oldest = this.last - CAPACITY + 1;
    if (this.first >= oldest) return;
    for (const slot of this.bySlot.keys()) if (slot < oldest) this.bySlot.delete(slot);
    this.first = Math.min(...this.bySlot.keys());
  }
}

export const sizeAt = (column: Column, bin: number): number | null => column.sizes[bin - column.low] ?? null;

/** The number of the bin of a price. */
export const binOf = (price: number, step: number): number => Math.floor(price / step + 1e-9);

/** The column that is filling now: the last sample, and over it what the book says as far as it reaches. Bins are those of the samples:
 * asks go down to the bin that holds them, too. */
export function live(book: Book, asked: number, before: Column | undefined, slot: number, step: number, decimals: Decimals): Column {
  const touch = { bid: book.bids[0]?.[0] ?? null, ask: book.asks[0]?.[0] ?? null };
  if (book.state !== "synced") return { slot, bid: null, ask: null, low: 0, sizes: new Float64Array(0), proved: false };
  const [bids, asks] = [binned(book.bids, step, decimals), binned(book.asks, step, decimals)];
  // The farthest bin of a view that was cut may lack levels: the sample knows it better.
  if (bids.length > 1 && (book.bids.length >= asked || book.complete_to.bid !== null)) bids.pop();
  if (asks.length > 1 && (book.asks.length >= asked || book.complete_to.ask !== null)) asks.pop();
  const bins = [...bids, ...asks];
  if (bins.length === 0) return { slot, ...touch, low: 0, sizes: new Float64Array(0), proved: true };
  const [from, to] = [Math.min(...bins.map(([b]) => b)), Math.max(...bins.map(([b]) => b))];
  const proved = before?.proved ? before : undefined;
  const low = Math.min(from, proved?.low ?? from);
  const high = Math.max(to, proved ? proved.low + proved.sizes.length - 1 : to);
  const sizes = new Float64Array(high - low + 1);
  if (proved) sizes.set(proved.sizes, proved.low - low);
  sizes.fill(0, from - low, to - low + 1);
  for (const [bin, size] of bins) sizes[bin - low] = (sizes[bin - low] ?? 0) + size;
  return { slot, ...touch, low, sizes, proved: true };
}

function binned(levels: Book["bids"], step: number, decimals: Decimals): (readonly [bin: number, size: number])[] {
  return grouped(levels, "bid", step, decimals).map(([price, size]) => [Math.round(price / step), size] as const);
}

/** A resting size of now, and since when at least half of it has rested there. */
export interface Wall {
  readonly bin: number;
  readonly size: number;
  readonly side: "bid" | "ask";
  readonly since: number; // µs; the first column that is known where it is older
  readonly older: boolean;
}

/** The largest resting sizes of a column, largest first. */
export function walls(columns: Columns, now: Column, most: number): Wall[] {
  const bins = Array.from(now.sizes, (size, k) => ({ bin: now.low + k, size })).filter((w) => w.size > 0);
  bins.sort((a, b) => b.size - a.size);
  const mid = now.bid !== null && now.ask !== null ? (now.bid + now.ask) / 2 : (now.bid ?? now.ask ?? 0);
  return bins.slice(0, most).map(({ bin, size }) => {
    const side = (bin + 0.5) * columns.step < mid ? "bid" : "ask";
    return { bin, size, side, ...sinceWhen(columns, now.slot, bin, size) };
  });
}

function sinceWhen(columns: Columns, from: number, bin: number, size: number): { since: number; older: boolean } {
  let slot = from;
  for (; slot >= columns.first; slot--) {
    const column = slot === from ? undefined : columns.at(slot);
    if (slot === from) continue;
    if (!column?.proved || (sizeAt(column, bin) ?? 0) < size / 2) break;
  }
  return { since: (slot + 1) * columns.width, older: slot < columns.first };
}

