// The places of the time axis, one a bar, and blank ones where an interval has none. Every series of the chart has its points at these
// places, so that the number of a place is the chart's own logical index. Pure.
//
// Places are seconds, moved by the time zone's distance from UTC so that days begin at the zone's midnight (of the zone's summer or winter
// time that holds at the newest bar: labels are written from the true times and are right on both sides of a change). Bars that are not
// of time stand at their numbers.

import type { UTCTimestamp } from "lightweight-charts";
import type { Bar, Interval } from "../api/types.ts";
import { blanks, isOrdinal, timeOf } from "./points.ts";

export interface Row {
  readonly time: UTCTimestamp;
  readonly bar: Bar | null;
}

export class Rows {
  rows: Row[] = [];
  interval: Interval = "1m";
  shift = 0; // seconds
  private first = 0; // the number of the first bar
  private count = 0; // of bars
  private readonly places = new Map<number, number>(); // time → index

  all(bars: readonly Bar[], interval: Interval, first: number, shift: number): void {
    Object.assign(this, { interval, first, shift: isOrdinal(interval) ? 0 : shift, rows: [], count: 0 });
    this.places.clear();
    for (const bar of bars) this.add(bar);
  }

  /** The last `n` of the bars changed or are new. Gives the index of the first row that did. */
  tail(bars: readonly Bar[], n: number): number {
    const old = Math.max(0, n - (bars.length - this.count)); // that stood before
    let from = this.rows.length;
    for (const bar of bars.slice(bars.length - n, bars.length - n + old)) {
      const at = this.places.get(this.timeOf(bar, 0)) ?? this.rows.length - 1;
      const row = this.rows[at];
      if (row) this.rows[at] = { ...row, bar };
      from = Math.min(from, at);
    }
    for (const bar of bars.slice(bars.length - n + old)) this.add(bar);
    return from;
  }

  indexOf(time: number): number | undefined {
    return this.places.get(time);
  }

  /** The row in whose interval a moment lies: the last that opened by then. */
  indexAt(us: number): number {
    let [low, high] = [0, this.rows.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.openOf(middle) <= us) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** When a place begins, in microseconds. */
  openOf(index: number): number {
    const row = this.rows[index];
    if (!row) return 0;
    return row.bar?.ts_open ?? (row.time - this.shift) * 1e6;
  }

  /** Of any place of the axis, also one where nothing stands yet. */
  usOf(time: number): number {
    const at = this.places.get(time);
    if (at !== undefined) return this.openOf(at);
    return isOrdinal(this.interval) ? 0 : (time - this.shift) * 1e6;
  }

  private timeOf(bar: Bar, number: number): UTCTimestamp {
    if (!isOrdinal(this.interval)) return (timeOf(bar) + this.shift) as UTCTimestamp;
    for (let at = this.rows.length - 1; at >= Math.max(0, this.rows.length - 16); at--) {
      const row = this.rows[at];
      if (row?.bar?.ts_open === bar.ts_open && row.bar.nano === bar.nano) return row.time;
    }
    return number as UTCTimestamp;
  }

  private add(bar: Bar): void {
    const before = this.rows.at(-1)?.bar;
    if (before) for (const { time } of blanks(before, bar, this.interval)) this.push({ time: (time + this.shift) as UTCTimestamp, bar: null });
    this.push({ time: isOrdinal(this.interval) ? ((this.first + this.count) as UTCTimestamp) : this.timeOf(bar, 0), bar });
    this.count += 1;
  }

  private push(row: Row): void {
    this.places.set(row.time, this.rows.length);
    this.rows.push(row);
  }
}
