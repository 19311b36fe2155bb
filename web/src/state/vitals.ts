// The last two minutes of what the server says of itself, once a second: latency and rate of each connection, lag of each sink.
//
// Bounded: POINTS a line, MOST lines of each kind. A second without a status (the link is lost) is a hole in the lines, not a value.

import type { Connection, Sink, Status } from "../api/types.ts";
import type { Store } from "./store.ts";

export const POINTS = 120;
export const LOW_DISK = 5e9; // bytes: hours of busy tapes
const LATE = 10; // seconds
const MOST = 128;

export class Line {
  readonly values: (number | null)[] = [];

  push(value: number | null): void {
    this.values.push(value);
    if (this.values.length > POINTS) this.values.splice(0, this.values.length - POINTS);
  }

  get last(): number | null {
    return this.values.at(-1) ?? null;
  }
}

/** Whether a sink is late: overdue by more than one further turn of its own, and by seconds that a slow commit does not explain. */
export const isLate = (sink: Sink): boolean => sink.lag_seconds > Math.max(LATE, sink.due_seconds ?? 0);

export const connectionKey = (c: Connection): string => `${c.venue} ${c.id || c.protocol}`;

export class Vitals implements Store {
  readonly latency = new Map<string, Line>();
  readonly rate = new Map<string, Line>();
  readonly lag = new Map<string, Line>();
  private readonly status: () => Status | null;
  private before: { readonly now: number; readonly frames: ReadonlyMap<string, number> } | null = null;

  constructor(status: () => Status | null) {
    this.status = status;
  }

  second(): void {
    const status = this.status();
    if (!status || status.now === this.before?.now) return;
    const frames = new Map(status.connections.map((c) => [connectionKey(c), c.frames]));
    const passed = this.before ? (status.now - this.before.now) / 1e6 : 0;
    for (const c of status.connections) {
      const key = connectionKey(c);
      const earlier = this.before?.frames.get(key);
      put(this.latency, key, c.state === "up" ? c.latency_ms : null);
      put(this.rate, key, earlier === undefined || passed <= 0 || c.frames < earlier ? null : (c.frames - earlier) / passed);
    }
    for (const s of status.sinks) put(this.lag, s.name, s.lag_seconds);
    for (const lines of [this.latency, this.rate]) keepOnly(lines, frames);
    this.before = { now: status.now, frames };
  }

  clear(): void {
    for (const lines of [this.latency, this.rate, this.lag]) lines.clear();
    this.before = null;
  }
}

function put(lines: Map<string, Line>, key: string, value: number | null): void {
  let line = lines.get(key);
  if (!line) {
    if (lines.size >= MOST) return;
    lines.set(key, (line = new Line()));
  }
  line.push(value);
}

function keepOnly(lines: Map<string, Line>, wanted: ReadonlyMap<string, unknown>): void {
  for (const key of lines.keys()) if (!wanted.has(key)) lines.delete(key);
}
