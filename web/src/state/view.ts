// The selected instrument: its book, its tape of trades and its bars.

import { type Bar, type Book, INTERVALS, type Interval, type ProfileAnswer, type StatusEvent, type Trade } from "../api/types.ts";
import { BarSeries, type Change, Rate, Recent } from "./buffers.ts";
import { Samples } from "./samples.ts";

export const TAPE_ROWS = 500;
export const BARS = 5000;

/** A line of the tape: a trade, or a place where trades are missing. */
export type TapeLine =
  | { readonly kind: "trade"; readonly trade: Trade }
  | { readonly kind: "missed"; readonly text: string; readonly at: number };

export class View {
  id = "";
  interval: Interval = "1m";
  book: Book | null = null;
  bookDepth = 0; // the levels that it may hold
  readonly lines = new Recent<TapeLine>(TAPE_ROWS);
  readonly rate = new Rate(10_000);
  lastTrade: Trade | null = null;
  samples = new Samples();
  profile: ProfileAnswer | null = null;
  series = new BarSeries(BARS);
  /** What happened to the bars since the chart last drew them; "insert" means that it must draw them all. */
  barChange: Change = "insert";
  older: "idle" | "loading" | "end" = "idle";

  reset(id: string): void {
    this.id = id;
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
    this.barChange = "insert";
    this.older = "idle";
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
    this.lastTrade = mine.at(-1) ?? this.lastTrade;
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
    let changed = false;
    for (const bar of bars) {
      if (bar.instrument !== this.id || bar.interval !== this.interval) continue;
      const change = this.series.put(bar);
      if (change === "none") continue;
      changed = true;
      this.barChange = this.barChange === "none" ? change : worst(this.barChange, change);
    }
    return changed;
  }
}

/** Several changes between two paints: the last bar moving twice is one move; anything else draws the whole series. */
function worst(a: Change, b: Change): Change {
  if (a === b && a === "last") return "last";
  if (a === "append" && b === "last") return "append";
  return "insert";
}

export function isInterval(text: string | null): text is Interval {
  return text !== null && (INTERVALS as readonly string[]).includes(text);
}
