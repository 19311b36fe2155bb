// The answers of docs/api.md. Times are integer microseconds UTC; an unknown number is null.

import type { AlertEvent } from "./alerts.ts";
import type { ReplayState } from "./replay.ts";

export type Micros = number;
export type Mode = "live" | "simulated" | "replay";
export type Side = "buy" | "sell" | "unknown";
export type BookState = "synced" | "joining" | "buffering" | "invalid";
export type FeedState = "live" | "closed" | "stale" | "resyncing" | "waiting" | "disconnected";
export type Level = readonly [price: number, size: number];

interface Event {
  readonly instrument: string;
  readonly ts_event: Micros;
  readonly ts_recv: Micros;
  readonly flags: readonly string[];
}

export interface Trade extends Event {
  readonly price: number;
  readonly size: number;
  readonly side: Side;
  readonly id: string;
}

export interface Quote extends Event {
  readonly bid: number | null;
  readonly bid_size: number | null;
  readonly ask: number | null;
  readonly ask_size: number | null;
  readonly seq: number | null;
  readonly origin: "venue" | "book";
}

export interface Metrics extends Event {
  readonly mid: number | null;
  readonly spread: number | null;
  readonly spread_bps: number | null;
  readonly imbalance: number | null;
  readonly microprice: number | null;
  readonly values?: Readonly<Record<string, number>> | null; // a sample of all that is switched on
  readonly incomplete?: string | null; // which of them a hole or the warm-up touches, separated by commas
}

/** The venue's own figures. `volume` in the base asset, `notional` in the quote asset. */
export interface Ticker {
  readonly instrument: string;
  readonly volume: number | null;
  readonly notional: number | null;
  readonly change_pct: number | null;
  readonly mark: number | null;
  readonly index: number | null;
  readonly funding_rate: number | null;
  readonly next_funding: number | null;
  readonly open_interest: number | null;
}

/** What one kind of metrics means: /metrics/catalogue. */
export interface MetricInfo {
  readonly name: string;
  readonly form: string;
  readonly family: string;
  readonly unit: string;
  readonly gap: "none" | "window";
  readonly warm_up: string;
  readonly parameters: readonly { readonly name: string; readonly kind: string; readonly default: string }[];
  readonly text: string;
}

/** Volume by price, as /profile tells it: of a metric that is on, or of the trades in memory, from `first` on. */
export interface ProfileAnswer {
  readonly instrument: string;
  readonly metric?: string;
  readonly incomplete?: boolean;
  readonly first?: Micros | null;
  readonly profile: Profile;
}

export interface Profile {
  readonly step: number | null;
  readonly volume: number;
  readonly poc: number | null;
  readonly val: number | null;
  readonly vah: number | null;
  readonly bins: readonly { readonly low: number; readonly high: number; readonly volume: number }[];
}

/** The last samples of one instrument, as columns: /metrics/history. */
export interface MetricHistory {
  readonly instrument: string;
  readonly times: readonly Micros[];
  readonly values: Readonly<Record<string, readonly (number | null)[]>>;
  readonly incomplete: Readonly<Record<string, readonly number[]>>;
}

export interface Bar extends Event {
  readonly interval: string;
  readonly ts_open: Micros;
  readonly nano?: number; // what ts_open lacks: bars that are not of time may begin in one microsecond
  readonly open: number;
  readonly high: number;
  readonly low: number;
  readonly close: number;
  readonly volume: number;
  readonly buy_volume: number | null;
  readonly vwap: number | null;
  readonly trades: number | null;
  readonly complete: boolean;
  readonly revision: number;
  readonly origin: "trades" | "venue";
  readonly closed: boolean;
}

export interface Book {
  readonly instrument: string;
  readonly ts_event: Micros;
  readonly ts_recv: Micros;
  readonly seq: number | null;
  readonly state: BookState;
  readonly bids: readonly Level[];
  readonly asks: readonly Level[];
  readonly complete_to: { readonly bid: number | null; readonly ask: number | null };
}

/** The book at one moment in price bins: bin k of `sizes` covers [(low + k) × step, (low + k + 1) × step). */
export interface Column {
  readonly instrument: string;
  readonly ts: Micros;
  readonly bid: number | null;
  readonly ask: number | null;
  readonly low: number;
  readonly sizes: readonly number[]; // below the touch bids, above it asks
  readonly proved: boolean; // false: the book was not proved right, and there is nothing to show
}

export type Every = "250ms" | "500ms" | "1s" | "5s" | "15s" | "1m";

/** /book/history: oldest first. */
export interface BookHistory {
  readonly instrument: string;
  readonly step: number;
  readonly every: Micros;
  readonly columns: readonly Column[];
  readonly more: boolean; // there is older: ask again with `to` = the first time here
}

/** One bar's trades by price: bin k of `buys` and `sells` covers [(low + k) × step, (low + k + 1) × step). */
export interface FootprintBar {
  readonly ts_open: Micros;
  readonly complete: boolean;
  readonly low: number;
  readonly buys: readonly number[];
  readonly sells: readonly number[];
}

export interface Footprint {
  readonly instrument: string;
  readonly interval: Interval;
  readonly step: number;
  readonly bars: readonly FootprintBar[];
  readonly more: boolean;
}

export interface InstrumentInfo {
  readonly id: string;
  readonly tick: number | null;
}

export interface StatusEvent extends Event {
  readonly kind: string;
  readonly venue: string;
  readonly channel: string;
  readonly reason: string;
  readonly from_seq: number | null;
  readonly to_seq: number | null;
  readonly count: number | null;
}

export interface Connection {
  readonly id: number;
  readonly venue: string;
  readonly protocol: string;
  readonly url: string;
  readonly state: "up" | "connecting" | "down";
  readonly since: Micros;
  readonly streams: number;
  readonly frames: number;
  readonly last_frame: Micros;
  readonly attempts: number;
  readonly reconnects?: number;
  readonly last_error?: string;
  readonly latency_ms: number | null;
}

export interface Venue {
  readonly protocol: string;
  readonly label: string;
  readonly connections: number;
  readonly streams: number;
  readonly frames: number;
  readonly events: number;
  readonly cpu_seconds: number; // since the start
}

export interface InstrumentStatus {
  readonly id: string;
  readonly state: FeedState;
  readonly book: BookState | "none" | null; // "none": of this one no book is streamed
  readonly last_price: number | null; // of the latest trade, or by the venue's ticker
  readonly last_event: Micros;
  readonly price_decimals: number | null;
  readonly size_decimals: number | null;
  readonly gaps?: number;
  readonly resyncs?: number;
  readonly last_status: StatusEvent | null;
}

export interface Sink {
  readonly name: string;
  readonly events: number;
  readonly commits: number;
  readonly depth: number;
  readonly dropped: number;
  readonly lag_seconds: number; // overdue
  readonly due_seconds?: number; // how long an event may wait until its commit is due
  readonly error: string;
}

export interface Tape {
  readonly state: "recording" | "failing" | "off";
  readonly reason: string;
  readonly path: string;
  readonly bytes: number;
  readonly frames: number;
  readonly lag_frames: number;
}

export interface Status {
  readonly mode: Mode;
  readonly reason: string;
  readonly version: string;
  readonly session: string;
  readonly started: Micros;
  readonly now: Micros;
  readonly speed: number | null;
  readonly finished?: boolean; // of a replay: played to its end
  readonly playing?: boolean; // of a replay that can be held
  readonly replay?: ReplayState;
  readonly frames: number;
  readonly events: number;
  readonly frames_per_second: number;
  readonly gaps: number;
  readonly rejected: number;
  readonly resyncs: number;
  readonly connections: readonly Connection[];
  readonly venues?: readonly Venue[];
  readonly instruments: readonly InstrumentStatus[];
  readonly tape: Tape;
  readonly bars?: readonly string[]; // made beside INTERVALS
  readonly alerts?: { readonly raised_now: readonly string[]; readonly error: string } | null;
  readonly disk?: { readonly path: string; readonly free: number; readonly total: number } | null;
  readonly sinks: readonly Sink[];
  readonly viewers: number;
  readonly dropped_viewers: number;
}

export type Channel = "trades" | "quotes" | "book" | "bars" | "metrics" | "status" | "alerts" | "depths";

interface Push<C extends Channel, D> {
  readonly channel: C;
  readonly type: "snapshot" | "update";
  readonly data: D;
  readonly missed?: number;
  readonly kind?: "book" | "sample";
  readonly depth?: number; // of a book
  readonly step?: number; // of depths
  readonly every?: Every;
  readonly rows?: number;
}

export type Message =
  | Push<"trades", readonly Trade[]>
  | Push<"quotes", readonly Quote[]>
  | Push<"book", readonly Book[]>
  | Push<"bars", readonly Bar[]>
  | Push<"metrics", readonly Metrics[]>
  | Push<"alerts", readonly AlertEvent[]>
  | Push<"depths", readonly Column[]>
  | Push<"status", { readonly status: Status; readonly events: readonly StatusEvent[] }>;

export interface ApiError {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

export interface Reply {
  readonly id: number | null;
  readonly result?: unknown;
  readonly error?: ApiError;
}

export const INTERVALS = ["1s", "5s", "15s", "1m", "5m", "15m", "1h", "4h", "1d"] as const;
/** One of INTERVALS, or another kind of bars that is switched on: `90s`, `tick:500`. */
export type Interval = string;
export const INTERVAL_SECONDS: Readonly<Record<string, number>> = {
  "1s": 1, "5s": 5, "15s": 15, "1m": 60, "5m": 300, "15m": 900, "1h": 3600, "4h": 14400, "1d": 86400,
};
