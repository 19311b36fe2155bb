// Trades as bubbles: area by size, one for all prints of one instant and side (an order that took several resting ones), at their average
// price. Where an instant is narrower than some pixels, those of a short time are one bubble; the time is a power of two of a ms, so
// that zooming changes it seldom.

import type { Side, Trade } from "../api/types.ts";

export const CAPACITY = 20_000; // instants
const LEAST_PX = 5;
const MOST_RADIUS = 15;
const LEAST_RADIUS = 1.2;

export interface Bubble {
  readonly at: number; // µs, of the first print
  readonly side: Side;
  readonly price: number; // average by size
  readonly size: number;
  readonly prints: number;
}

const AFTERWARDS = new Set(["LATE", "RECOVERED"]); // came long after it happened

/** Our own clock, as the columns': a venue's may stand off by seconds. */
export const placeOf = (t: Trade): number => (t.flags.some((f) => AFTERWARDS.has(f)) ? t.ts_event : t.ts_recv);

export function plus(a: Bubble, b: Bubble): Bubble {
  const size = a.size + b.size;
  const price = size > 0 ? (a.price * a.size + b.price * b.size) / size : a.price;
  return { at: Math.min(a.at, b.at), side: a.side, price, size, prints: a.prints + b.prints };
}

export class Bubbles {
  items: Bubble[] = []; // by time
  version = 0; // changes where others than the newest changed
  private readonly seen = new Set<string>();

  /** In any order; a trade that is known is not counted twice. */
  put(trades: readonly Trade[]): void {
    const fresh = trades.filter((t) => this.isNew(t)).map((t): Bubble => ({ at: placeOf(t), side: t.side, price: t.price, size: t.size, prints: 1 }));
    if (fresh.length === 0) return;
    const last = this.items.at(-1)?.at ?? -Infinity;
    const ordered = fresh.every((b, i) => b.at >= (i === 0 ? last : (fresh[i - 1]?.at ?? 0)));
    if (ordered) for (const bubble of fresh) this.append(bubble);
    else {
      const all = [...this.items, ...fresh].sort((a, b) => a.at - b.at);
      this.items = [];
      for (const bubble of all) this.append(bubble);
    }
    if (this.items.length > CAPACITY * 1.2) this.items = this.items.slice(-CAPACITY);
    this.version++;
  }

  clear(): void {
    this.items = [];
    this.seen.clear();
    this.version++;
  }

  private isNew(t: Trade): boolean {
    const key = `${t.id} ${t.ts_event}`;
    if (this.seen.has(key)) return false;
    if (this.seen.size > CAPACITY * 3) this.seen.clear();
    this.seen.add(key);
    return true;
  }

  private append(bubble: Bubble): void {
    for (let back = 1; back <= 2; back++) {
      const other = this.items.at(-back);
      if (!other || other.at !== bubble.at) break;
      if (other.side !== bubble.side) continue;
      this.items[this.items.length - back] = plus(other, bubble);
      return;
    }
    this.items.push(bubble);
  }
}

/** How long a time one bubble stands for, in µs; 0: single instants. */
export function lengthFor(perPx: number): number {
  const wished = perPx * LEAST_PX;
  return wished <= 1000 ? 0 : 1000 * 2 ** Math.ceil(Math.log2(wished / 1000));
}

/** Bubbles of one time, side and neighbouring price as one. */
export function together(items: readonly Bubble[], length: number, priceStep: number): Bubble[] {
  if (length === 0) return [...items];
  const found = new Map<string, Bubble>();
  for (const b of items) {
    const key = `${Math.floor(b.at / length)} ${b.side} ${Math.floor(b.price / priceStep)}`;
    const other = found.get(key);
    found.set(key, other ? plus(other, b) : b);
  }
  return [...found.values()];
}

/** The part of a list by time that lies in [from, to). */
export function between(items: readonly Bubble[], from: number, to: number): readonly Bubble[] {
  return items.slice(firstFrom(items, from), firstFrom(items, to));
}

function firstFrom(items: readonly Bubble[], at: number): number {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((items[middle]?.at ?? 0) < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

export interface BubbleScale {
  readonly size: number; // of the largest circle
  readonly radius: number; // its radius
}

/** Area is proportional to size. */
export function radiusOf(size: number, largest: BubbleScale): number {
  return Math.max(LEAST_RADIUS, Math.min(largest.radius, largest.radius * Math.sqrt(size / largest.size)));
}

/** Circles that suit a picture of this height. */
export const mostRadius = (height: number): number => Math.max(7, Math.min(MOST_RADIUS, height / 22));

/** The size that the largest circle stands for: half as much again as only one of a hundred bubbles passes. */
export function largeOf(items: readonly Bubble[]): number {
  const sizes = items.map((b) => b.size).sort((a, b) => a - b);
  return (sizes[Math.floor(sizes.length * 0.99)] || 1) * 1.5;
}
