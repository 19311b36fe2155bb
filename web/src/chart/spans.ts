// Stretches of the chart in which something is known to be missing: a disconnection until the connection is back, a gap that was told,
// and long silences that the time axis leaves out. Pure.
//
// A gap is told when it is noticed; what is missing lies before that, so it marks the bar it was noticed in. Bars that lack trades are
// drawn hollow besides: that they do so of before this page's events were told, too.

import type { StatusEvent } from "../api/types.ts";
import { INTERVAL_SECONDS } from "../api/types.ts";
import type { Rows } from "./rows.ts";

export interface Span {
  readonly from: number; // microseconds
  readonly to: number;
  readonly kind: "gap" | "disconnected" | "left out";
  readonly text: string;
}

const BACK = new Set(["connected", "recovered", "synced"]);

function concerns(event: StatusEvent, id: string): boolean {
  if (event.instrument !== "") return event.instrument === id;
  return event.venue === "" || id.startsWith(`${event.venue}:`);
}

/** `events`: oldest first. What is still broken lasts until `now`. */
export function spansOf(events: readonly StatusEvent[], id: string, now: number): Span[] {
  const spans: Span[] = [];
  let down: StatusEvent | null = null;
  const close = (at: number): void => {
    if (down) spans.push({ from: down.ts_recv, to: at, kind: "disconnected", text: down.reason });
    down = null;
  };
  for (const event of events) {
    if (!concerns(event, id)) continue;
    if (event.kind === "disconnected" && event.reason !== "unsubscribed") down ??= event;
    else if (BACK.has(event.kind)) close(event.ts_recv);
    else if (event.kind === "gap" && (event.channel === "" || /trade/i.test(event.channel))) {
      const many = event.count === null ? "" : `${event.count.toLocaleString("en")} missed: `;
      spans.push({ from: event.ts_recv, to: event.ts_recv, kind: "gap", text: many + (event.reason || "gap in the feed") });
    }
  }
  close(now);
  return spans;
}

export interface Band {
  readonly from: number; // indices of rows, both included
  readonly to: number;
  readonly spans: readonly Span[];
}

/** Where spans stand on the rows; those that touch the same rows are one band. */
export function bandsOf(spans: readonly Span[], rows: Rows): Band[] {
  const last = rows.rows.length - 1;
  const bands: Band[] = [];
  const placed = spans.map((span) => ({ span, from: rows.indexAt(span.from), to: Math.min(last, rows.indexAt(span.to)) }));
  for (const { span, from, to } of placed.sort((a, b) => a.from - b.from)) {
    if (to < 0) continue;
    const before = bands.at(-1);
    if (before && from <= before.to) bands[bands.length - 1] = { from: before.from, to: Math.max(before.to, to), spans: [...before.spans, span] };
    else bands.push({ from: Math.max(0, from), to, spans: [span] });
  }
  return bands;
}

/** Silences that are drawn as a step: the index of the row after each, and how long it was. */
export function stepsOf(rows: Rows): { readonly at: number; readonly us: number }[] {
  const step = (INTERVAL_SECONDS[rows.interval] ?? 0) * 1e6;
  if (step === 0) return [];
  const steps: { at: number; us: number }[] = [];
  for (let at = 1; at < rows.rows.length; at++) {
    const us = rows.openOf(at) - rows.openOf(at - 1) - step;
    if (us > step / 2) steps.push({ at, us });
  }
  return steps;
}
