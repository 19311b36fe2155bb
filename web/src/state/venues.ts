// One asset across venues: who bids most, who offers least, how far each is from a reference. Pure.
//
// A venue is *out* where its price is not to be believed: silent, disconnected, waiting, its book not proved right or crossed in itself,
// no bid or no ask. Only those that are in and *comparable* with the reference make the best bid and offer: of the same quote asset and
// kind, or, where the reader says so, with USD, USDT and USDC taken for one. They are not one: a crossed market between them may be
// nothing but what a tether costs.

import type { InstrumentStatus, Quote } from "../api/types.ts";

export type Kind = "spot" | "perp" | "future" | "stock";
export const SCOPES = ["same", "dollars", "all"] as const;
export type Scope = (typeof SCOPES)[number];
const DOLLARS = new Set(["USD", "USDT", "USDC"]);

export interface Pair {
  readonly base: string;
  readonly quote: string;
  readonly kind: Kind;
}

export interface Seen {
  readonly id: string;
  readonly info: InstrumentStatus | undefined;
  readonly touch: Quote | undefined; // of our book
  readonly venueQuote: Quote | undefined;
}

export interface VenueRow extends Pair {
  readonly id: string;
  readonly bid: number | null;
  readonly bidSize: number | null;
  readonly ask: number | null;
  readonly askSize: number | null;
  readonly mid: number | null;
  readonly spreadBps: number | null;
  readonly basisBps: number | null; // 10⁴ (mid − reference's mid) / reference's mid
  readonly recv: number;
  /** Why it is out; "" where it is in. */
  readonly out: string;
  readonly comparable: boolean;
}

export interface Best {
  readonly bid: VenueRow;
  readonly ask: VenueRow;
  /** 10⁴ (bid − ask) / mid: above 0 the market is crossed between two venues. */
  readonly crossedBps: number;
}

/** `sim:BTC-USDT-PERP` → BTC, USDT, perp; `yahoo:AAPL` → AAPL, "", stock. */
export function pairOf(id: string): Pair {
  const [base = "", quote = "", last = ""] = id.slice(id.indexOf(":") + 1).split("-");
  const kind = quote === "" ? "stock" : last === "PERP" ? "perp" : last === "" ? "spot" : "future";
  return { base, quote, kind };
}

/** One quote asset, or two of USD, USDT and USDC. */
export const sameMoney = (a: string, b: string): boolean => a === b || (DOLLARS.has(a) && DOLLARS.has(b));

export function comparable(a: Pair, b: Pair, scope: Scope): boolean {
  if (scope === "all") return true;
  return a.kind === b.kind && (scope === "dollars" ? sameMoney(a.quote, b.quote) : a.quote === b.quote);
}

export function whyOut(info: InstrumentStatus | undefined, quote: Quote | undefined, proved: boolean): string {
  const state = info?.state ?? "waiting";
  if (state !== "live") return state;
  if (!quote || quote.bid === null || quote.ask === null) return "no quote";
  if (!proved) return "book not proved";
  return quote.bid > quote.ask ? "crossed in itself" : "";
}

/** The rows of one base asset in the order given. `reference`: an id; where it is not among them, the first that is in. */
export function rowsOf(base: string, seen: readonly Seen[], reference: string, scope: Scope): { rows: VenueRow[]; reference: string } {
  const found = seen.filter((s) => pairOf(s.id).base === base).map(read);
  const chosen = found.find((r) => r.id === reference) ?? found.find((r) => r.out === "") ?? found[0];
  const from = chosen?.out === "" ? chosen.mid : null;
  const rows = found.map((row) => ({
    ...row,
    comparable: chosen !== undefined && comparable(row, chosen, scope),
    basisBps: from && row.mid !== null && row.out === "" ? (10_000 * (row.mid - from)) / from : null,
  }));
  return { rows, reference: chosen?.id ?? "" };
}

function read({ id, info, touch, venueQuote }: Seen): VenueRow {
  const proved = info?.book === "synced";
  const quote = proved ? touch : (venueQuote ?? touch);
  const bid = quote?.bid ?? null;
  const ask = quote?.ask ?? null;
  const mid = bid !== null && ask !== null ? (bid + ask) / 2 : null;
  return {
    ...pairOf(id), id, bid, ask, mid, bidSize: quote?.bid_size ?? null, askSize: quote?.ask_size ?? null,
    spreadBps: mid !== null && bid !== null && ask !== null ? (10_000 * (ask - bid)) / mid : null,
    basisBps: null, recv: quote?.ts_recv ?? 0, out: whyOut(info, quote, proved || quote?.origin === "venue"), comparable: false,
  };
}

export function best(rows: readonly VenueRow[]): Best | null {
  let bid: VenueRow | null = null;
  let ask: VenueRow | null = null;
  for (const row of rows) {
    if (row.out !== "" || !row.comparable || row.bid === null || row.ask === null) continue;
    if (!bid || row.bid > (bid.bid ?? 0)) bid = row;
    if (!ask || row.ask < (ask.ask ?? Infinity)) ask = row;
  }
  if (!bid || !ask || bid.bid === null || ask.ask === null) return null;
  return { bid, ask, crossedBps: (10_000 * (bid.bid - ask.ask)) / ((bid.bid + ask.ask) / 2) };
}
