// The tape of trades as it is read: prints made of trades, what is too small left out, what is large marked. Pure.
//
// A *print* is one trade, or several that belong together. `instant`: consecutive trades of one side with one time of the venue, what one
// order took; `price`: of one side at one price; `side`: of one side. The latter two end after a second, so that a print never grows
// without end. A hole in the trades ends every print: nothing is merged over what is missing.
//
// What is *large* is typed, or automatic: the 99th percentile of the prints of the last five minutes, once there are a hundred.
//
// Bounds: LIVE_TRADES (or what is asked for) while it runs, READ_TRADES while somebody reads back; the oldest are forgotten.

import type { Side, Trade } from "../api/types.ts";
import type { TapeLine } from "./view.ts";

export const MERGES = ["none", "instant", "price", "side"] as const;
export type Merge = (typeof MERGES)[number];
export const LIVE_TRADES = 3000;
export const READ_TRADES = 30_000;
const SPAN_US = 1_000_000;
const LARGE_WINDOW_US = 300e6;
const LARGE_SHARE = 0.99;
const LARGE_LEAST = 100; // prints, before a quantile is worth anything
const MINUTE_US = 60e6;

/** An amount: of the quote asset (price × size), or of the traded asset itself. */
export interface Amount {
  readonly value: number;
  readonly of: "notional" | "size";
}

export interface Print {
  readonly kind: "print";
  readonly first: Trade;
  last: Trade;
  size: number;
  notional: number;
  low: number;
  high: number;
  count: number;
  flags: readonly string[];
}

export type TapeRow = Print | Extract<TapeLine, { kind: "missed" }>;

/** What was traded in the last minute, by aggressor. `since`: of which time on it is known, where that is less than a minute. */
export interface Totals {
  readonly buy: number;
  readonly sell: number;
  readonly unknown: number;
  readonly since: number;
  readonly holes: boolean;
}

export class Tape {
  merge: Merge = "instant";
  least: Amount | null = null;
  large: Amount | null = null; // null: automatic
  /** Oldest first. What was left out is not in it. */
  rows: TapeRow[] = [];
  /** How many rows went from the front since the last rebuilding: with it a row keeps its number. */
  dropped = 0;
  /** Changes when rows were made anew: numbers from before mean nothing. */
  generation = 0;
  reading = false;
  private lines: TapeLine[] = [];
  private print: Print | null = null; // may still grow
  private auto: number | null = null;
  private autoAt = -Infinity;
  private newestAt = 0;
  private readonly most: number;

  constructor(most = LIVE_TRADES) {
    this.most = most;
  }

  /** The newest number; a row's number is `dropped` and its place. */
  get total(): number {
    return this.dropped + this.rows.length;
  }

  get oldest(): Trade | null {
    for (const line of this.lines) if (line.kind === "trade") return line.trade;
    return null;
  }

  replace(lines: readonly TapeLine[]): void {
    this.lines = [...lines];
    this.auto = null;
    this.autoAt = -Infinity;
    this.newestAt = 0;
    this.rebuild();
  }

  push(lines: readonly TapeLine[]): void {
    for (const line of lines) {
      this.lines.push(line);
      this.take(line);
    }
    this.trim();
  }

  /** Trades of before the oldest; those that are there already are left out. Says how many were new. */
  prepend(trades: readonly Trade[]): number {
    const known = new Set<string>();
    const from = this.oldest?.ts_event ?? Infinity;
    for (const line of this.lines) if (line.kind === "trade" && line.trade.ts_event <= from) known.add(keyOf(line.trade));
    const older = trades.filter((t) => t.ts_event <= from && !known.has(keyOf(t)));
    if (older.length === 0) return 0;
    this.lines.unshift(...older.map((trade): TapeLine => ({ kind: "trade", trade })));
    this.rebuild();
    return older.length;
  }

  /** After a choice: all rows are made anew. */
  rebuild(): void {
    this.rows = [];
    this.dropped = 0;
    this.print = null;
    this.generation++;
    for (const line of this.lines) this.take(line);
  }

  isLarge(print: Print): boolean {
    const least = this.threshold(this.newestAt);
    return least !== null && amount(print, least.of) >= least.value;
  }

  /** What large means now; null while nobody can say. */
  threshold(now: number): Amount | null {
    if (this.large) return this.large;
    if (now - this.autoAt >= SPAN_US) {
      this.autoAt = now;
      this.auto = quantile(this.notionals(now - LARGE_WINDOW_US), LARGE_SHARE);
    }
    return this.auto === null ? null : { value: this.auto, of: "notional" };
  }

  totals(now: number): Totals {
    const sums: Record<Side, number> = { buy: 0, sell: 0, unknown: 0 };
    let since = now;
    let holes = false;
    for (let i = this.lines.length - 1; i >= 0; i--) {
      const line = this.lines[i];
      if (!line) break;
      const at = line.kind === "trade" ? line.trade.ts_event : line.at;
      if (at !== 0 && at <= now - MINUTE_US) return { ...sums, since: now - MINUTE_US, holes };
      if (line.kind === "missed") holes = true;
      else {
        sums[line.trade.side] += line.trade.size;
        since = Math.min(since, at);
      }
    }
    return { ...sums, since, holes };
  }

  private notionals(from: number): number[] {
    const found: number[] = [];
    for (let i = this.rows.length - 1; i >= 0; i--) {
      const row = this.rows[i];
      if (row?.kind !== "print") continue;
      if (row.last.ts_event < from) break;
      found.push(row.notional);
    }
    return found;
  }

  private take(line: TapeLine): void {
    if (line.kind === "missed") {
      this.print = null;
      this.rows.push(line);
      return;
    }
    const { trade } = line;
    this.newestAt = Math.max(this.newestAt, trade.ts_event);
    if (this.print && belongs(trade, this.print, this.merge)) grow(this.print, trade);
    else this.print = begin(trade);
    if (this.least && amount(this.print, this.least.of) < this.least.value) return;
    if (this.rows.at(-1) !== this.print) this.rows.push(this.print);
  }

  private trim(): void {
    const most = this.reading ? READ_TRADES : this.most;
    if (this.lines.length <= most * 1.2) return;
    this.lines = this.lines.slice(-most);
    const from = this.oldest?.ts_event ?? 0;
    const over = this.rows.findIndex((row) => (row.kind === "print" ? row.last.ts_event : row.at) >= from);
    this.dropped += this.rows.splice(0, Math.max(0, over)).length;
  }
}

export const amount = (print: Print, of: Amount["of"]): number => (of === "size" ? print.size : print.notional);

function begin(trade: Trade): Print {
  const { price, size, flags } = trade;
  return { kind: "print", first: trade, last: trade, size, notional: price * size, low: price, high: price, count: 1, flags };
}

function grow(print: Print, trade: Trade): void {
  print.last = trade;
  print.size += trade.size;
  print.notional += trade.price * trade.size;
  print.low = Math.min(print.low, trade.price);
  print.high = Math.max(print.high, trade.price);
  print.count++;
  if (trade.flags.some((f) => !print.flags.includes(f))) print.flags = [...new Set([...print.flags, ...trade.flags])];
}

function belongs(trade: Trade, print: Print, merge: Merge): boolean {
  const { last, first } = print;
  if (merge === "none" || trade.side !== last.side || trade.side === "unknown") return false;
  if (merge === "instant") return trade.ts_event === last.ts_event;
  if (merge === "price" && trade.price !== last.price) return false;
  return Math.abs(trade.ts_event - first.ts_event) < SPAN_US;
}

const keyOf = (trade: Trade): string => `${trade.ts_event} ${trade.id} ${trade.price} ${trade.size}`;

/** The value that `share` of them do not exceed; null of too few. */
export function quantile(values: number[], share: number, least = LARGE_LEAST): number | null {
  if (values.length < least) return null;
  values.sort((a, b) => a - b);
  return values[Math.min(values.length - 1, Math.floor(values.length * share))] ?? null;
}

const FACTORS: Readonly<Record<string, number>> = { "": 1, k: 1e3, m: 1e6, b: 1e9 };

/** `10k`, `1.5M`: of the quote asset; `2 BTC`: of the base asset. Empty and `all`: null. undefined: it means nothing. */
export function parseAmount(text: string, base: string): Amount | null | undefined {
  const plain = text.trim().replace(/[≥,]/g, "").trim();
  if (/^(all|auto)?$/i.test(plain)) return null;
  const found = /^(\d+(?:\.\d+)?|\.\d+)\s*(.*)$/.exec(plain);
  if (!found) return undefined;
  const word = (found[2] ?? "").trim();
  const number = Number(found[1]);
  if (base !== "" && word.toLowerCase() === base.toLowerCase()) return { value: number, of: "size" };
  const factor = FACTORS[word.toLowerCase()];
  return factor === undefined ? undefined : { value: number * factor, of: "notional" };
}

export function amountText(of: Amount | null, base: string, none: string): string {
  if (!of) return none;
  if (of.of === "size") return `${of.value} ${base}`;
  for (const [unit, factor] of [["B", 1e9], ["M", 1e6], ["K", 1e3]] as const) {
    if (of.value >= factor) return `${Number((of.value / factor).toPrecision(3))}${unit}`;
  }
  return String(Number(of.value.toPrecision(3)));
}
