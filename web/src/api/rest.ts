// History by REST. A failed request is no event of its own: the socket's state already says whether the server is there.

import { apiPath } from "./base.ts";
import type { Bar, Interval, MetricHistory, MetricInfo, ProfileAnswer } from "./types.ts";

async function get<T>(path: string, params: Record<string, string | number>, signal?: AbortSignal): Promise<T> {
  const query = new URLSearchParams(Object.entries(params).map(([k, v]) => [k, String(v)]));
  const answer = await fetch(`${apiPath(path)}?${query}`, { headers: { accept: "application/json" }, signal: signal ?? null });
  if (!answer.ok) throw new Error(`${path}: HTTP ${answer.status}`);
  return (await answer.json()) as T;
}

export interface BarsQuery {
  readonly instrument: string;
  readonly interval: Interval;
  readonly limit: number;
  readonly to?: number;
  readonly origin?: Bar["origin"];
}

export async function bars(query: BarsQuery, signal?: AbortSignal): Promise<readonly Bar[]> {
  const { instrument, interval, limit, to, origin } = query;
  const params = { instrument, interval, limit, ...(to === undefined ? {} : { to }), ...(origin === undefined ? {} : { origin }) };
  return (await get<{ bars: Bar[] }>("bars", params, signal)).bars;
}

export async function metricHistory(instrument: string, limit: number, signal?: AbortSignal): Promise<MetricHistory> {
  return await get<MetricHistory>("metrics/history", { instrument, limit }, signal);
}

export async function catalogue(): Promise<readonly MetricInfo[]> {
  return (await get<{ catalogue: MetricInfo[] }>("metrics/catalogue", {})).catalogue;
}

/** `metric` null: of the trades in memory. */
export async function profile(instrument: string, metric: string | null, signal?: AbortSignal): Promise<ProfileAnswer> {
  return await get<ProfileAnswer>("profile", { instrument, ...(metric === null ? {} : { metric }) }, signal);
}
