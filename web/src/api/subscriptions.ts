// What is streamed, changed from the page: each call answers with what went wrong in words, or null.

import { apiPath } from "./base.ts";
import type { ApiError } from "./types.ts";

export interface Streamed {
  readonly instrument: string; // what its events bear
  readonly name: string; // by which it is added
  readonly channels: readonly string[];
  readonly error: string;
}

export interface Candidate {
  readonly id: string;
  readonly name: string;
  readonly venue: string;
  readonly symbol: string;
  readonly kind: string;
  readonly base: string;
  readonly quote: string;
  readonly streaming: boolean;
}

export interface SearchAnswer {
  readonly instruments: readonly Candidate[];
  readonly more: boolean;
  readonly pending: readonly string[];
  readonly failed: readonly { readonly venue: string; readonly message: string }[];
}

interface Changed {
  readonly done?: readonly string[];
  readonly failed?: readonly (ApiError & { readonly instrument: string })[];
  readonly subscriptions?: readonly Streamed[];
  readonly error?: ApiError;
}

export const words = (error: ApiError): string => [error.message, error.hint].filter(Boolean).join(" · ");

async function call(path: string, options: RequestInit): Promise<Changed> {
  try {
    return (await (await fetch(apiPath(path), options)).json()) as Changed;
  } catch (error) {
    if (options.signal?.aborted) throw error;
    return { error: { code: "no_answer", message: "the server does not answer" } };
  }
}

const fault = (answer: Changed): string | null => {
  const first = answer.error ?? answer.failed?.[0];
  return first ? words(first) : null;
};

/** Stream it: with these channels, or those of the settings. */
export async function add(name: string, channels?: readonly string[]): Promise<string | null> {
  const body = JSON.stringify({ instruments: [name], ...(channels ? { channels } : {}) });
  return fault(await call("subscriptions", { method: "POST", headers: { "content-type": "application/json" }, body }));
}

/** Stream it no more. What it had is given back, so that it can be undone. */
export async function remove(instrument: string): Promise<{ had: Streamed | null; error: string | null }> {
  const before = await call("subscriptions", {});
  const had = before.subscriptions?.find((s) => s.instrument === instrument || s.name === instrument) ?? null;
  if (before.error || !had) return { had: null, error: fault(before) ?? `${instrument} is no subscription of its own` };
  const error = fault(await call(`subscriptions?${new URLSearchParams({ instrument: had.name })}`, { method: "DELETE" }));
  return { had, error };
}

export async function search(q: string, signal: AbortSignal): Promise<SearchAnswer | string> {
  const answer = await call(`instruments/search?${new URLSearchParams({ q, limit: "40" })}`, { signal });
  return answer.error ? words(answer.error) : (answer as unknown as SearchAnswer);
}
