// The book by distance from the mid: how much stands up to there, what it is worth, and what taking it costs.
//
// Distances are basis points of the mid. `cost` is what an order of this size pays beyond the mid, as one market order would: the average
// price against the mid, in bps. Past the farthest known price nothing is said: a curve ends there, and a window that reaches past it
// is `partial`.

import type { Book, Level } from "../api/types.ts";
import { type BookSide, knownTo, Sum } from "./grouping.ts";

export interface Point {
  readonly price: number;
  readonly bps: number;
  readonly size: number; // all up to this price
  readonly notional: number;
  readonly cost: number; // bps of the mid
}

export interface Curve {
  readonly side: BookSide;
  readonly points: readonly Point[];
  readonly reach: number | null; // bps up to which it is known; null: all of the side
}

export interface Curves {
  readonly mid: number;
  readonly bid: Curve;
  readonly ask: Curve;
}

export function curves(book: Book, asked: number, sizeDecimals: number): Curves | null {
  const [bid, ask] = [book.bids[0], book.asks[0]];
  if (!bid || !ask) return null;
  const mid = (bid[0] + ask[0]) / 2;
  return {
    mid,
    bid: curve(book.bids, "bid", mid, knownTo(book.bids, asked, book.complete_to.bid), sizeDecimals),
    ask: curve(book.asks, "ask", mid, knownTo(book.asks, asked, book.complete_to.ask), sizeDecimals),
  };
}

const away = (price: number, mid: number): number => Math.abs(price / mid - 1) * 10_000;

function curve(levels: readonly Level[], side: BookSide, mid: number, known: number | null, decimals: number): Curve {
  const sum = new Sum(decimals);
  let notional = 0;
  const points = levels.map(([price, size]) => {
    sum.add(size);
    notional += price * size;
    const average = notional / sum.value;
    return { price, bps: away(price, mid), size: sum.value, notional, cost: away(average, mid) };
  });
  return { side, points, reach: known === null ? null : away(known, mid) };
}

/** The farthest point within the distance; null: nothing stands there. */
export function within({ points }: Curve, bps: number): Point | null {
  let [low, high] = [0, points.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const point = points[middle];
    if (point && point.bps <= bps + 1e-9) low = middle + 1;
    else high = middle;
  }
  return points[low - 1] ?? null;
}

export const isKnown = ({ reach }: Curve, bps: number): boolean => reach === null || bps <= reach + 1e-9;

/** Bids' part less asks' part of what stands within the distance, −1 to 1. Null where one side is not known that far. */
export function imbalance({ bid, ask }: Curves, bps: number): number | null {
  if (!isKnown(bid, bps) || !isKnown(ask, bps)) return null;
  const [b, a] = [within(bid, bps)?.size ?? 0, within(ask, bps)?.size ?? 0];
  return b + a === 0 ? null : (b - a) / (b + a);
}

export function imbalanceWords(value: number | null): string {
  if (value === null) return "imbalance not known that far";
  const share = Math.round(Math.abs(value) * 100);
  if (share < 5) return "both sides alike";
  const how = share < 20 ? "slightly" : share < 50 ? "clearly" : "far";
  return value > 0 ? `bids ${how} heavier` : `asks ${how} heavier`;
}

/** Distances of the text twin, in bps. */
export const DISTANCES = [1, 2, 5, 10, 25, 50, 100] as const;
