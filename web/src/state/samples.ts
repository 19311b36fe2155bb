// The sampled metrics of one instrument or group: the last minutes of each, and which of them are to be believed. Pure.
//
// A metric that the newest sample does not name is not known now, whatever it was before: its last value is never shown as if it
// still held. `partial` marks places that a hole in the data or the warm-up touches.

import type { MetricHistory, Metrics } from "../api/types.ts";

export const SAMPLE_POINTS = 300;

export interface Line {
  readonly values: (number | null)[];
  readonly partial: boolean[];
}

export class Samples {
  times: number[] = [];
  lines = new Map<string, Line>();
  lastRecv = 0;

  get newest(): number {
    return this.times.at(-1) ?? 0;
  }

  /** Newer samples are appended; one that stands already (a snapshot after a reconnection) is not doubled. */
  put(sample: Metrics): boolean {
    if (!sample.values || sample.ts_event <= this.newest) return false;
    const touched = new Set((sample.incomplete ?? "").split(","));
    this.append(sample.ts_event, sample.values, (name) => touched.has(name) || touched.has(base(name)));
    this.lastRecv = sample.ts_recv;
    return true;
  }

  /** The server's history, and after it what came meanwhile. */
  fill(history: MetricHistory): void {
    const { times, lines } = this;
    const last = history.times.at(-1) ?? 0;
    this.times = [...history.times];
    this.lines = new Map();
    for (const [name, values] of Object.entries(history.values)) {
      const partial = values.map(() => false);
      for (const at of history.incomplete[name] ?? []) partial[at] = true;
      this.lines.set(name, { values: [...values], partial });
    }
    times.forEach((time, at) => {
      if (time <= last) return;
      const values: Record<string, number> = {};
      for (const [name, line] of lines) {
        const value = line.values[at];
        if (value != null) values[name] = value;
      }
      this.append(time, values, (name) => lines.get(name)?.partial[at] ?? false);
    });
    this.cut();
  }

  /** The profile that is sampled, if one is: what reaches farther back than the trades in memory. */
  get profile(): string | null {
    for (const name of this.lines.keys()) if (/^profile_.*\.poc$/.test(name)) return base(name);
    return null;
  }

  private append(time: number, values: Readonly<Record<string, number>>, touched: (name: string) => boolean): void {
    const before = this.times.length;
    this.times.push(time);
    for (const name of Object.keys(values)) {
      if (!this.lines.has(name)) this.lines.set(name, { values: Array<null>(before).fill(null), partial: Array<boolean>(before).fill(false) });
    }
    for (const [name, line] of this.lines) {
      line.values.push(values[name] ?? null);
      line.partial.push(name in values && touched(name));
    }
    if (this.times.length > SAMPLE_POINTS * 1.2) this.cut();
  }

  private cut(): void {
    const over = this.times.length - SAMPLE_POINTS;
    if (over <= 0) return;
    this.times.splice(0, over);
    for (const [name, line] of this.lines) {
      line.values.splice(0, over);
      line.partial.splice(0, over);
      if (line.values.every((v) => v === null)) this.lines.delete(name); // switched off, or not known for minutes
    }
  }
}

/** `profile_1h.poc` is of the metric `profile_1h`. */
export const base = (name: string): string => name.split(".", 1)[0] ?? name;
