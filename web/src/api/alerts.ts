// Rules and alerts by REST: docs/api.md. Whatever goes wrong comes back as words, never as an exception that nobody shows.

import { apiPath } from "./base.ts";
import type { ApiError, Micros } from "./types.ts";

export type Severity = "info" | "warning" | "critical";

/** A rule as it stands. `value`, `since`: of its latest alert. `warming`: seconds until its windows are whole. */
export interface RuleRow {
  readonly name: string;
  readonly rule: string;
  readonly origin: "settings" | "added";
  readonly muted: boolean;
  readonly severity: Severity;
  readonly state: string;
  readonly since: Micros;
  readonly value: number | null;
  readonly raised: number;
  readonly warming?: number;
  readonly cooldown?: string;
  readonly once?: boolean;
  readonly schedule?: string;
  readonly hysteresis?: string;
  readonly notify?: readonly string[];
  /** The constant prices that it compares; `instrument` may end with `*`. */
  readonly lines?: readonly { readonly instrument: string; readonly field: string; readonly value: number }[];
  readonly until?: string;
  readonly incomplete?: boolean;
  readonly resolved?: boolean;
}

/** One alert on its way to one target. */
export interface Delivery {
  readonly target: string;
  readonly status: "waiting" | "sending" | "sent" | "failed" | "dropped";
  readonly error: string;
}

/** An alert that was raised or has ended: docs/events.md. `deliveries` where the history was asked, not on the socket. */
export interface AlertEvent {
  readonly instrument: string;
  readonly ts_event: Micros;
  readonly ts_recv: Micros;
  readonly flags: readonly string[];
  readonly rule: string;
  readonly state: string;
  readonly value: number | null;
  readonly text: string;
  readonly severity: Severity | null;
  readonly id: string | null;
  readonly deliveries?: readonly Delivery[];
}

/** Where a rule is wrong and what to write instead. `option`: which text the place is in; `column` counts from 1. */
export interface Problem {
  readonly message: string;
  readonly hint: string;
  readonly option: string;
  readonly column: number | null;
  readonly length: number | null;
}

export interface Wish {
  readonly rule: string;
  readonly severity?: Severity;
  readonly name?: string;
  readonly cooldown?: string;
  readonly hysteresis?: string;
  readonly until?: string;
  readonly schedule?: string;
  readonly once?: boolean;
  readonly incomplete?: boolean;
  readonly resolved?: boolean;
  readonly notify?: readonly string[];
}

/** Which of the past is wanted: newest first, before `to` microseconds. */
export interface Past {
  readonly limit: number;
  readonly rule?: string;
  readonly severity?: string;
  readonly instrument?: string;
  readonly to?: number;
}

type Answer<T> = { readonly ok: T } | { readonly error: ApiError };

async function ask<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Answer<T>> {
  const headers: Record<string, string> = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  try {
    const answer = await fetch(apiPath(path), { method, headers, body: body === undefined ? null : JSON.stringify(body), signal: signal ?? null });
    const said = (await answer.json()) as T & { error: ApiError };
    return answer.ok ? { ok: said } : { error: said.error };
  } catch (e) {
    if (e instanceof DOMException && e.name === "AbortError") throw e;
    return { error: { code: "no_answer", message: "Tapeline's server does not answer", hint: "nothing was changed" } };
  }
}

export const rules = (): Promise<Answer<{ rules: readonly RuleRow[]; targets: readonly { readonly name: string }[] }>> => ask("GET", "alerts/rules");
export function history(past: Past): Promise<Answer<{ alerts: readonly AlertEvent[]; more: boolean }>> {
  const asked = new URLSearchParams();
  for (const [name, value] of Object.entries(past)) if (value !== "" && value !== undefined) asked.set(name, String(value));
  return ask("GET", `alerts?${asked}`);
}
export const check = (wish: Wish, signal: AbortSignal): Promise<Answer<{ ok: boolean; error: Problem | null }>> => ask("POST", "alerts/check", wish, signal);
export const add = (wish: Wish): Promise<Answer<{ name: string }>> => ask("POST", "alerts/rules", wish);
export const remove = (name: string): Promise<Answer<unknown>> => ask("DELETE", `alerts/rules?name=${encodeURIComponent(name)}`);
export const change = (name: string, settings: Omit<Wish, "name">): Promise<Answer<unknown>> => ask("PATCH", "alerts/rules", { name, settings });
export const mute = (name: string, on: boolean): Promise<Answer<unknown>> => ask("PATCH", "alerts/rules", { name, muted: on });
