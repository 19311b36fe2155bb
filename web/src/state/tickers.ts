// What was traded in 24 hours: told by the venue where its ticker is streamed, else of the UTC day, by its bar. Asked for every
// EVERY seconds while somebody looks; bars of at most MOST_BARS instruments, all at once, out of the server's memory. Where that
// lacks the beginning of the day the lake is asked, one by one and each OF_LAKE-th time.

import * as rest from "../api/rest.ts";
import type { Ticker } from "../api/types.ts";
import { byInstrument, type DayBar } from "./days.ts";
import type { Market } from "./market.ts";
import type { Store } from "./store.ts";

const EVERY = 15;
const OF_LAKE = 4;
const MOST_BARS = 60;

/** In the quote asset. `of`: "24h" by the venue, "day": since 00:00 UTC; `exact` false: its volume at the price of now. */
export interface Volume {
  readonly value: number;
  readonly of: "24h" | "day";
  readonly exact: boolean;
}

export function volumeOf(ticker: Ticker | undefined, bar: DayBar | undefined, price: number | null): Volume | null {
  if (ticker?.notional != null) return { value: ticker.notional, of: "24h", exact: true };
  if (ticker?.volume != null && price !== null) return { value: ticker.volume * price, of: "24h", exact: false };
  if (bar?.notional != null) return { value: bar.notional, of: "day", exact: bar.complete };
  if (bar && price !== null) return { value: bar.volume * (bar.vwap ?? price), of: "day", exact: false };
  return null;
}

export class Tickers implements Store {
  looked = false;
  private readonly market: Market;
  private readonly tickers = new Map<string, Ticker>();
  private readonly changed: () => void;
  private in = 0;
  private asking = false;
  private turn = 0;

  constructor(market: Market, changed: () => void) {
    this.market = market;
    this.changed = changed;
  }

  ticker(id: string): Ticker | undefined {
    return this.tickers.get(id);
  }

  volume(id: string): Volume | null {
    const row = this.market.rows.get(id);
    return volumeOf(this.tickers.get(id), row?.day ?? undefined, row?.price ?? null);
  }

  look(looked: boolean): void {
    this.looked = looked;
  }

  fill(): void {
    this.in = 0;
  }

  clear(): void {
    this.tickers.clear();
    this.in = 0;
  }

  second(): void {
    if (!this.looked || this.asking || document.hidden || this.in-- > 0) return;
    this.in = EVERY;
    this.asking = true;
    void this.ask().finally(() => (this.asking = false));
  }

  private async ask(): Promise<void> {
    const found = await rest.tickers().catch(() => null);
    if (found) this.tickers.clear(); // what the venue tells no more is not of these 24 hours
    for (const ticker of found ?? []) this.tickers.set(ticker.instrument, ticker);
    const untold = [...this.market.rows.keys()].filter((id) => !this.told(id)).slice(0, MOST_BARS);
    if (untold.length > 0) await this.askDays(untold);
    this.changed();
  }

  private async askDays(untold: readonly string[]): Promise<void> {
    const { bars, more } = await rest.heldBars(untold, "1d", 1).catch(() => ({ bars: [], more: false }));
    for (const [id, bar] of byInstrument(bars)) this.market.rows.get(id)?.putDay(bar);
    if (++this.turn % OF_LAKE !== 0 || !more) return; // at first the rows' own beginning asks
    for (const id of untold) {
      if (this.market.rows.get(id)?.day?.complete) continue;
      const day: DayBar | undefined = (await rest.bars({ instrument: id, interval: "1d", limit: 1 }).catch(() => [])).at(-1);
      if (day) this.market.rows.get(id)?.putDay(day);
    }
  }

  private told(id: string): boolean {
    const ticker = this.tickers.get(id);
    return ticker !== undefined && (ticker.notional !== null || ticker.volume !== null);
  }
}
