// The selected instrument: its book, its tape of trades and its bars.

import { type Bar, type Book, INTERVALS, type Interval, type ProfileAnswer, type StatusEvent, type Trade } from "../api/types.ts";
import { BarSeries, type Change, orderOf, Rate, Recent } from "./buffers.ts";
import { Samples } from "./samples.ts";

export const TAPE_ROWS = 500;
export const BARS = 5000;
const MOST_TAIL = 8; // more bars that change at the end are drawn as all of them
export type Paging = "idle" | "loading" | "end";

/** A line of the tape: a trade, or a place where trades are missing. */
export type TapeLine =
  | { readonly kind: "trade"; readonly trade: Trade }
  | { readonly kind: "missed"; readonly text: string; readonly at: number };

export class View {
  id = "";
  /** Counts how often all was forgotten: another instrument, another session of the server, a seek in a recording. */
  resets = 0;
  interval: Interval = "1m";
  book: Book | null = null;
  bookDepth = 0; // the levels that it may hold
  readonly lines = new Recent<TapeLine>(TAPE_ROWS);
  readonly rate = new Rate(10_000);
  lastTrade: Trade | null = null;
  samples = new Samples();
  profile: ProfileAnswer | null = null;
  series = new BarSeries(BARS);
  /** What happened to the bars since the chart last drew them: how many of the last ones changed or are new; all of them. */
  changed: number | "all" = "all";
  older: Paging = "idle";
  /** "end": the newest bar is there, as is usual; else the window was scrolled so far back that the newest were let go. */
  newer: Paging = "end";
  /** The newest bar that there is, also while the window stands before it. */
  newest: Bar | undefined;

  reset(id: string): void {
    this.id = id;
    this.resets++;
    this.book = null;
    this.lines.replace([]);
    this.rate.clear();
    this.lastTrade = null;
    this.samples = new Samples();
    this.profile = null;
    this.resetBars(this.interval);
  }

  resetBars(interval: Interval): void {
    this.interval = interval;
    this.series = new BarSeries(BARS);
    this.changed = "all";
    this.older = "idle";
    this.newer = "end";
    this.newest = undefined;
  }

  putTrades(trades: readonly Trade[], snapshot: boolean, missed: number): void {
    const mine = trades.filter((t) => t.instrument === this.id);
    const lines = mine.map((trade): TapeLine => ({ kind: "trade", trade }));
    if (snapshot) this.lines.replace(lines);
    else {
      if (missed > 0) this.putMissed(`${missed.toLocaleString("en")} missed: this viewer was too slow`, mine[0]?.ts_recv ?? 0);
      this.lines.push(...lines);
      const newest = mine.at(-1);
      if (newest) this.rate.add(mine.length, newest.ts_recv / 1000);
    }
    this.lastTrade = latest(mine, snapshot ? null : this.lastTrade) ?? this.lastTrade;
  }

  putMissed(text: string, at: number): void {
    this.lines.push({ kind: "missed", text, at });
  }

  /** A gap in this instrument's trades stands in the tape where it happened. */
  putEvent(event: StatusEvent): boolean {
    if (event.kind !== "gap" && event.kind !== "disconnected") return false;
    if (event.instrument !== "" && event.instrument !== this.id) return false;
    if (event.instrument === "" && !this.id.startsWith(`${event.venue}:`)) return false;
    if (event.kind === "gap" && event.channel !== "" && !/trade/i.test(event.channel)) return false;
    const many = event.count === null ? "trades" : `${event.count.toLocaleString("en")}`;
    this.putMissed(event.kind === "gap" ? `${many} missed: ${event.reason || "gap in the feed"}` : "disconnected", event.ts_recv);
    return true;
  }

  putBars(bars: readonly Bar[]): boolean {
    let any = false;
    for (const bar of bars) {
      if (bar.instrument !== this.id || bar.interval !== this.interval) continue;
      const { series } = this;
      if (!this.newest || orderOf(bar, this.newest) >= 0) this.newest = bar;
      if (this.newer !== "end" && (!series.last || orderOf(bar, series.last) > 0)) continue; // it would stand beside a hole
      const change = series.put(bar);
      if (change === "none") continue;
      any = true;
      this.note(change);
    }
    return any;
  }

  /** A page of older or newer bars; what is let go on the other side can be had again. */
  join(more: readonly Bar[], side: "older" | "newer"): void {
    const { series } = this;
    const [first, last] = [series.bars[0], series.last];
    series.join(more, side);
    if (series.bars[0] !== first && side === "newer") this.older = "idle";
    if (series.last !== last && side === "older") this.newer = "idle";
    this.changed = "all";
  }

  private note(change: Change): void {
    if (this.changed === "all") return;
    const { bars, at } = this.series;
    const from = bars.length - at; // of the last
    if (change === "append") this.changed += 1;
    else if (change === "insert" || from > MOST_TAIL) this.changed = "all";
    else this.changed = Math.max(this.changed, from);
    if (change === "insert") this.older = this.older === "end" && this.series.dropped > 0 ? "idle" : this.older;
  }
}

/** By the venue's time: a trade that was fetched to fill a hole comes later than those that were made after it. */
function latest(trades: readonly Trade[], known: Trade | null): Trade | null {
  return trades.reduce((last, trade) => (last && last.ts_event > trade.ts_event ? last : trade), known);
}

export function isInterval(text: string | null): text is Interval {
  return text !== null && (INTERVALS as readonly string[]).includes(text);
}
