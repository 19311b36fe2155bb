// What is known of each instrument: touch, metrics, state, where it started, and where its price went in the last minutes.

import type { InstrumentStatus, Metrics, Quote } from "../api/types.ts";
import { decimalsOf } from "../ui/format.ts";
import { better, type DayBar } from "./days.ts";

export const SPARK_POINTS = 300;

export const WAY_POINTS = 120;
const WAYS = ["bid", "ask", "spread", "imbalance", "microprice"] as const;
const WAY_AT: Readonly<Record<string, number>> = Object.fromEntries(WAYS.map((name, at) => [name, at]));

/** What figures were in the last WAY_POINTS seconds; NaN where one was not known. */
class Ways {
  private readonly points = new Float64Array(WAYS.length * WAY_POINTS);
  private count = 0;

  push(values: readonly (number | null | undefined)[]): void {
    values.forEach((value, at) => (this.points[at * WAY_POINTS + (this.count % WAY_POINTS)] = value ?? Number.NaN));
    this.count += 1;
  }

  /** Oldest first. */
  of(at: number): (number | null)[] {
    const length = Math.min(this.count, WAY_POINTS);
    return Array.from({ length }, (_, i) => {
      const value = this.points[at * WAY_POINTS + ((this.count - length + i) % WAY_POINTS)] ?? Number.NaN;
      return Number.isNaN(value) ? null : value;
    });
  }
}

export class Row {
  readonly id: string;
  info: InstrumentStatus | undefined;
  touch: Quote | undefined; // of our book
  venueQuote: Quote | undefined; // the venue's own
  metrics: Metrics | undefined;
  reference: number | null = null; // the price change is measured from
  referenceIs = "";
  day: DayBar | null = null; // of the UTC day, as far as it is known
  /** The server is asked for it: until it answers the change is not known, which is not 0. */
  referenceAsked = false;
  direction: 1 | 0 | -1 = 0;
  readonly spark: number[] = [];
  lastRecv = 0;
  private guessed = 0;
  private readonly ways = new Ways();

  constructor(id: string) {
    this.id = id;
  }

  get quote(): Quote | undefined {
    return this.touch ?? this.venueQuote;
  }

  /** Of the touch that is shown beside it: metrics come in a message of their own, maybe a paint later. */
  get mid(): number | null {
    const { quote: q, metrics: m } = this;
    return q && q.bid !== null && q.ask !== null ? (q.bid + q.ask) / 2 : (m?.mid ?? null);
  }

  /** What it is worth: the mid, or the latest trade's price where neither book nor quotes are streamed (Yahoo, Finnhub). */
  get price(): number | null {
    return this.mid ?? this.info?.last_price ?? null;
  }

  get spread(): number | null {
    const { quote: q, metrics: m } = this;
    return q && q.bid !== null && q.ask !== null ? q.ask - q.bid : (m?.spread ?? null);
  }

  get spreadBps(): number | null {
    const { mid, spread } = this;
    return mid && spread !== null ? (10_000 * spread) / mid : null;
  }

  get change(): number | null {
    const { price, reference } = this;
    return price === null || !reference ? null : price / reference - 1;
  }

  get priceDecimals(): number {
    return this.info?.price_decimals ?? this.guessed;
  }

  get sizeDecimals(): number {
    return this.info?.size_decimals ?? 4;
  }

  putQuote(quote: Quote): void {
    if (quote.origin === "book") this.touch = quote;
    else this.venueQuote = quote;
    if (quote.bid !== null) this.guessed = Math.max(this.guessed, decimalsOf(quote.bid));
    this.saw(quote.ts_recv);
  }

  putMetrics(metrics: Metrics): void {
    const before = this.metrics?.mid;
    this.metrics = metrics;
    if (before && metrics.mid && metrics.mid !== before) this.direction = metrics.mid > before ? 1 : -1;
    this.saw(metrics.ts_recv);
  }

  saw(tsRecv: number): void {
    this.lastRecv = Math.max(this.lastRecv, tsRecv);
  }

  sample(): void {
    const { price, quote, metrics } = this;
    if (price === null) return;
    this.ways.push([quote?.bid, quote?.ask, this.spread, metrics?.imbalance, metrics?.microprice]);
    if (this.reference === null && !this.referenceAsked) this.setReference(price, "the first price seen here");
    this.spark.push(price);
    if (this.spark.length > SPARK_POINTS) this.spark.shift();
  }

  /** Where a figure went in the last seconds; undefined: it is not kept of every market. */
  way(figure: string): readonly (number | null)[] | undefined {
    if (figure === "mid") return this.mid === null ? [] : this.spark;
    const at = WAY_AT[figure];
    return at === undefined ? undefined : this.ways.of(at);
  }

  setReference(price: number, is: string): void {
    this.reference = price;
    this.referenceIs = is;
  }

  putDay(bar: DayBar): void {
    this.day = better(this.day, bar);
    this.setReference(this.day.open, this.day.complete ? "the open of the UTC day" : "the first trade seen in this UTC day");
  }

  seed(points: readonly number[]): void {
    this.spark.unshift(...points.slice(-(SPARK_POINTS - this.spark.length)));
  }
}

export class Market {
  readonly rows = new Map<string, Row>();

  row(id: string): Row {
    let row = this.rows.get(id);
    if (!row) this.rows.set(id, (row = new Row(id)));
    return row;
  }

  /** Takes over the server's list and its order; what it no longer streams goes. Says whether the list changed. */
  putInstruments(list: readonly InstrumentStatus[]): boolean {
    const ids = list.map((i) => i.id);
    const changed = ids.length !== this.rows.size || ids.some((id) => !this.rows.has(id));
    if (changed) {
      const kept = ids.map((id) => this.row(id));
      this.rows.clear();
      for (const row of kept) this.rows.set(row.id, row);
    }
    for (const info of list) {
      const row = this.row(info.id);
      row.info = info;
      row.saw(info.last_event);
    }
    return changed;
  }

  clear(): void {
    this.rows.clear();
  }
}
