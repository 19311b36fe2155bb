// Bounded memory: each buffer names its capacity and forgets the oldest.

import type { Bar } from "../api/types.ts";

/** Newest last. `total` counts all that was ever pushed, so that a view knows how many are new to it. */
export class Recent<T> {
  readonly capacity: number;
  items: T[] = [];
  total = 0;
  generation = 0; // changes when the content is replaced rather than continued

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  push(...items: readonly T[]): void {
    for (const item of items) this.items.push(item);
    this.total += items.length;
    if (this.items.length > this.capacity * 1.5) this.items = this.items.slice(-this.capacity);
  }

  replace(items: readonly T[]): void {
    this.items = items.slice(-this.capacity);
    this.total = this.items.length;
    this.generation++;
  }

  /** The newest `n`, newest first. */
  newest(n: number): T[] {
    return this.items.slice(-n).reverse();
  }
}

/** "revised": a bar before the last was replaced; "insert": their number changed elsewhere than at the end. */
export type Change = "none" | "last" | "append" | "revised" | "insert";

/** Bars of one instrument and interval by opening time. A bar is replaced only by a later word about the same bar. */
export class BarSeries {
  readonly capacity: number;
  bars: Bar[] = [];
  dropped = 0; // how many of the oldest were forgotten: what numbers the places of bars that are not of time
  at = -1; // the place of the bar that was put last

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  get last(): Bar | undefined {
    return this.bars.at(-1);
  }

  put(bar: Bar): Change {
    const last = this.last;
    if (!last || orderOf(bar, last) > 0) {
      this.bars.push(bar);
      const over = this.bars.length - this.capacity;
      if (over > 0) this.dropped += this.bars.splice(0, over + Math.ceil(this.capacity * 0.1)).length;
      this.at = this.bars.length - 1;
      return over > 0 ? "insert" : "append";
    }
    const at = (this.at = this.find(bar));
    const old = this.bars[at];
    if (!old || orderOf(bar, old) !== 0) {
      this.bars.splice(at, 0, bar);
      return "insert";
    }
    if (!supersedes(bar, old)) return "none";
    this.bars[at] = bar;
    return at === this.bars.length - 1 ? "last" : "revised";
  }

  /**
   * Older or newer bars, in their order, at one stroke; on the other side as many are forgotten as there are too many. What others have
   * put there since the page was asked for is told again one by one: a bar that stood twice would break the chart.
   */
  join(page: readonly Bar[], side: "older" | "newer"): void {
    const edge = side === "older" ? this.bars[0] : this.last;
    const beyond = (bar: Bar): boolean => !edge || (side === "older" ? orderOf(bar, edge) < 0 : orderOf(bar, edge) > 0);
    for (const bar of page) if (!beyond(bar)) this.put(bar);
    const more = page.filter(beyond);
    const both = side === "older" ? [...more, ...this.bars] : [...this.bars, ...more];
    const over = Math.max(0, both.length - this.capacity);
    if (side === "older") this.bars = both.slice(0, both.length - over);
    else {
      this.bars = both.slice(over);
      this.dropped += over;
    }
  }

  private find(bar: Bar): number {
    let low = 0;
    let high = this.bars.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.bars[middle];
      if (other && orderOf(other, bar) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

export const orderOf = (a: Bar, b: Bar): number => a.ts_open - b.ts_open || (a.nano ?? 0) - (b.nano ?? 0);

/** Bars made from the trades that we saw stand before the venue's own candles of the same time. */
export function supersedes(next: Bar, old: Bar): boolean {
  if (next.origin !== old.origin) return next.origin === "trades";
  if (next.revision !== old.revision) return next.revision > old.revision;
  if (next.closed !== old.closed) return next.closed;
  return next.ts_recv >= old.ts_recv;
}

/** How many a second over the last `windowMs`. */
export class Rate {
  private readonly windowMs: number;
  private readonly times: { at: number; n: number }[] = [];
  private sum = 0;
  private first: number | null = null;

  constructor(windowMs: number) {
    this.windowMs = windowMs;
  }

  add(n: number, at: number): void {
    this.first ??= at;
    this.times.push({ at, n });
    this.sum += n;
  }

  perSecond(at: number): number {
    while (this.times[0] && this.times[0].at <= at - this.windowMs) this.sum -= this.times.shift()?.n ?? 0;
    const span = Math.min(this.windowMs, Math.max(1000, at - (this.first ?? at)));
    return (this.sum * 1000) / span;
  }

  clear(): void {
    this.times.length = 0;
    this.sum = 0;
    this.first = null;
  }
}

/** From the venue's clock to the paint, in ms: the median of the last hundred paints. Clocks that disagree show in it. */
export class Latency {
  private pending = 0;
  private readonly samples: number[] = [];

  saw(tsEvent: number): void {
    if (tsEvent > this.pending) this.pending = tsEvent;
  }

  painted(nowUs: number): void {
    if (this.pending === 0) return;
    this.samples.push((nowUs - this.pending) / 1000);
    if (this.samples.length > 100) this.samples.shift();
    this.pending = 0;
  }

  get median(): number | null {
    if (this.samples.length === 0) return null;
    const sorted = [...this.samples].sort((a, b) => a - b);
    return sorted[sorted.length >> 1] ?? null;
  }

  clear(): void {
    this.pending = 0;
    this.samples.length = 0;
  }
}
