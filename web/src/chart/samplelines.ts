// A sampled metric at the places of the chart: of each bar the last sample within its interval, where one was taken. Pure.

import type { Samples } from "../state/samples.ts";
import type { Point } from "./studies.ts";
import type { Rows } from "./rows.ts";

const UNKNOWN: Point = { values: [null], partial: false };

export function sampled(samples: Samples, name: string, rows: Rows): Point[] {
  const points = rows.rows.map(() => UNKNOWN);
  const line = samples.lines.get(name);
  if (!line) return points;
  samples.times.forEach((time, i) => {
    const value = line.values[i] ?? null;
    const at = rows.indexAt(time);
    if (value !== null && points[at]) points[at] = { values: [value], partial: line.partial[i] ?? false };
  });
  return points;
}

/** Whether it is a price, and lies over the candles; else it has a pane of its own. */
export const isPrice = (unit: string): boolean => unit === "price";
