// History by REST. A failed request is no event of its own: the socket's state already says whether the server is there.

import { apiPath } from "./base.ts";
import type { Bar, BookHistory, Every, InstrumentInfo, Interval, MetricHistory, MetricInfo, ProfileAnswer, Ticker, Trade } from "./types.ts";

/** The server answered, and not with what was asked for. */
export class Refused extends Error {
  readonly status: number;

  constructor(path: string, status: number) {
    super(`${path}: HTTP ${status}`);
    this.status = status;
  }
}

async function get<T>(path: string, params: Record<string, string | number>, signal?: AbortSignal): Promise<T> {
  return await ask<T>(path, new URLSearchParams(Object.entries(params).map(([k, v]) => [k, String(v)])), signal);
}

async function ask<T>(path: string, query: URLSearchParams, signal?: AbortSignal): Promise<T> {
  const answer = await fetch(`${apiPath(path)}?${query}`, { headers: { accept: "application/json" }, signal: signal ?? null });
  if (!answer.ok) throw new Refused(path, answer.status);
  return (await answer.json()) as T;
}

export interface BarsQuery {
  readonly instrument: string;
  readonly interval: Interval;
  readonly limit: number;
  readonly from?: number;
  readonly to?: number;
  readonly origin?: Bar["origin"];
}

/** `more`: older bars of the range were left out. */
export interface BarsPage {
  readonly bars: readonly Bar[];
  readonly more: boolean;
}

export async function barsPage(query: BarsQuery, signal?: AbortSignal): Promise<BarsPage> {
  const params = Object.entries(query).filter(([, value]) => value !== undefined) as [string, string | number][];
  return await get<BarsPage>("bars", Object.fromEntries(params), signal);
}

export async function bars(query: BarsQuery, signal?: AbortSignal): Promise<readonly Bar[]> {
  return (await barsPage(query, signal)).bars;
}

export const MOST_HELD = 3000; // bars of all instruments together, in one answer

/** Of each instrument the last `limit` bars that the server's memory has. `more`: the lake has more of some. */
export async function heldBars(instruments: readonly string[], interval: Interval, limit: number): Promise<BarsPage> {
  const query = new URLSearchParams([...instruments.map((id) => ["instrument", id]), ["interval", interval], ["limit", String(limit)], ["past", "memory"]]);
  return await ask<BarsPage>("bars", query);
}

export interface BookHistoryQuery {
  readonly instrument: string;
  readonly step: number;
  readonly every: Every;
  readonly rows?: number;
  readonly limit?: number;
  readonly to?: number;
}

export async function bookHistory(query: BookHistoryQuery, signal?: AbortSignal): Promise<BookHistory> {
  return await get<BookHistory>("book/history", given(query), signal);
}

/** What of a query is said. */
function given(query: object): Record<string, string | number> {
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined)) as Record<string, string | number>;
}

export async function metricHistory(instrument: string, limit: number, signal?: AbortSignal): Promise<MetricHistory> {
  return await get<MetricHistory>("metrics/history", { instrument, limit }, signal);
}

export async function catalogue(): Promise<readonly MetricInfo[]> {
  return (await get<{ catalogue: MetricInfo[] }>("metrics/catalogue", {})).catalogue;
}

export interface TradesQuery {
  readonly instrument: string;
  readonly limit: number;
  readonly to?: number;
}

export async function trades(query: TradesQuery, signal?: AbortSignal): Promise<readonly Trade[]> {
  return (await get<{ trades: Trade[] }>("trades", given(query), signal)).trades;
}

/** Of each instrument whose venue tells such figures. */
export async function tickers(): Promise<readonly Ticker[]> {
  return (await get<{ tickers: Ticker[] }>("tickers", {})).tickers;
}

/** What the venue lists of it; null where it lists no such one. */
export async function instrument(id: string, signal?: AbortSignal): Promise<InstrumentInfo | null> {
  const { instruments } = await get<{ instruments: InstrumentInfo[] }>("instruments", { q: id }, signal);
  return instruments.find((i) => i.id === id) ?? null;
}

/** `metric` null: of the trades in memory. */
export async function profile(instrument: string, metric: string | null, signal?: AbortSignal): Promise<ProfileAnswer> {
  return await get<ProfileAnswer>("profile", { instrument, ...(metric === null ? {} : { metric }) }, signal);
}

/** Why the server turns this page away: its token is not taken (any more), its recording is not open. */
export type Refusal = "token" | "closed";

/** Asked when the socket was closed, which does not say why; null: it does not turn it away, or does not answer. */
export async function refusal(): Promise<Refusal | null> {
  try {
    const answer = await fetch(apiPath("status"), { headers: { accept: "application/json" } });
    if (answer.ok) return null;
    const { error } = (await answer.json()) as { error?: { code: string } };
    return error?.code === "unauthorized" ? "token" : error?.code === "no_replay" ? "closed" : null;
  } catch {
    return null;
  }
}
