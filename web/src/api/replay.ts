// Recordings and their control. What is on the tape, and opening it, is asked of the server itself; a replay is controlled where it is watched.

import { apiPath, PREFIX } from "./base.ts";
import type { ApiError, Micros } from "./types.ts";

export interface Recording {
  readonly session: string;
  readonly first: Micros;
  readonly last: Micros;
  readonly frames: number;
  readonly bytes: number;
  readonly instruments: readonly string[];
  readonly live: boolean;
}

export interface ReplayState {
  readonly session: string;
  readonly first: Micros;
  readonly last: Micros;
  readonly now: Micros;
  readonly speed: number | null; // null: as fast as can be
  readonly playing: boolean;
  readonly finished: boolean;
  readonly seeking: boolean;
  readonly progress?: number | null; // of a seek, 0 to 1
  readonly epoch: number; // counts the seeks: rows of another one are of another time
}

export interface Gap {
  readonly ts: Micros;
  readonly kind: string;
  readonly instrument: string;
  readonly reason: string;
}

export interface Timeline {
  readonly from: Micros;
  readonly to: Micros;
  readonly bucket: Micros;
  readonly frames: readonly number[];
  readonly volume: readonly (number | null)[];
  readonly gaps: readonly Gap[];
}

export interface Wish {
  readonly playing?: boolean;
  readonly speed?: number | "max";
  readonly at?: Micros;
  readonly step?: "second" | "events";
}

/** Whether a recording is shown beside a live market, to which one can go back. */
export const isBeside = PREFIX !== "";

async function call<T>(path: string, options: RequestInit = {}): Promise<T | string> {
  try {
    const answer = (await (await fetch(path, options)).json()) as T & { readonly error?: ApiError };
    return answer.error ? [answer.error.message, answer.error.hint].filter(Boolean).join(" · ") : answer;
  } catch {
    return "the server does not answer";
  }
}

const post = (body: unknown): RequestInit => ({ method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

/** Each answers with what went wrong in words, where something did. */
export const recordings = async (): Promise<readonly Recording[] | string> => {
  const answer = await call<{ recordings: Recording[] }>("/api/v1/recordings");
  return typeof answer === "string" ? answer : answer.recordings;
};

export const openRecording = (session: string): Promise<{ readonly path: string } | string> => call("/api/v1/replays", post({ session }));

export const control = (wish: Wish): Promise<ReplayState | string> => call(apiPath("replay"), post(wish));

export const timeline = (buckets: number): Promise<Timeline | string> => call(`${apiPath("replay/timeline")}?buckets=${buckets}`);
