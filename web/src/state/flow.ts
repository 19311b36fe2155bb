// Who pushed: the volume delta of bars and its sum, and what was bought and sold by size of order. Pure.
//
// Delta is what was bought less what was sold, by the aggressor: 2 × buy_volume − volume. A bar whose aggressors are not known has none, and
// the sum goes on without it, marked from there on: it is no longer the whole.

import type { Bar } from "../api/types.ts";
import type { TapeRow } from "./tape.ts";

export interface FlowPoint {
  readonly ts: number;
  readonly close: number;
  readonly delta: number | null;
  readonly sum: number;
  /** The bar is not complete, or its delta is not known. */
  readonly partial: boolean;
}

export function flowOf(bars: readonly Bar[]): FlowPoint[] {
  let sum = 0;
  return bars.map((bar) => {
    const delta = bar.buy_volume === null ? null : 2 * bar.buy_volume - bar.volume;
    sum += delta ?? 0;
    return { ts: bar.ts_open, close: bar.close, delta, sum, partial: !bar.complete || delta === null };
  });
}

export interface Bucket {
  readonly from: number; // notional, quote asset
  readonly buy: number; // notional
  readonly sell: number;
  readonly orders: number;
}

export const EDGES: readonly number[] = [0, 1e3, 1e4, 1e5, 1e6];

export function bucketsOf(rows: readonly TapeRow[]): { buckets: Bucket[]; since: number; holes: boolean } {
  const buckets = EDGES.map((from) => ({ from, buy: 0, sell: 0, orders: 0 }));
  let since = 0;
  let holes = false;
  for (const row of rows) {
    if (row.kind === "missed") {
      holes = true;
      continue;
    }
    since ||= row.first.ts_event;
    const bucket = buckets.findLast((b) => row.notional >= b.from);
    if (!bucket) continue;
    bucket.orders++;
    if (row.last.side === "buy") bucket.buy += row.notional;
    else if (row.last.side === "sell") bucket.sell += row.notional;
  }
  return { buckets, since, holes };
}

/** Which bars are in view: `width` pixels each, `back` bars from the newest hidden at the right. */
export class Span {
  width: number;
  back = 0;
  private readonly least: number;
  private readonly most: number;

  constructor(width: number, least: number, most: number) {
    this.width = width;
    this.least = least;
    this.most = most;
  }

  /** [first, last) of `total`, of which `room` pixels show some. */
  view(total: number, room: number): [number, number] {
    const fit = Math.max(1, Math.floor(room / this.width));
    this.back = Math.max(0, Math.min(this.back, total - Math.min(fit, total)));
    const last = total - Math.round(this.back);
    return [Math.max(0, last - fit), last];
  }

  zoom(factor: number): void {
    this.width = Math.max(this.least, Math.min(this.most, this.width * factor));
  }

  pan(bars: number): void {
    this.back = Math.max(0, this.back + bars);
  }
}
