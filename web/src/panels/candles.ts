// Bars as the chart's points. Pure.
//
// The venue's own candles, of before we listened, are drawn paler than those made from the trades that we saw.
// A bar that may lack trades is drawn hollow and faint, so that nobody reads its high or volume as the market's; one that only goes on
// with the price before it (FILLED: nothing was traded) is a grey dash. Intervals without a trade have no bar; short runs of them are
// left as blank places, so that the time axis stays true.
//
// Bars that are not of time (`tick:500`) stand side by side, each at its number: their places are numbers, not seconds, and the axis is
// told the time of each. Heikin-Ashi is a view: close = (o + h + l + c) / 4, open = the middle of the body before.

import type { CandlestickData, HistogramData, UTCTimestamp, WhitespaceData } from "lightweight-charts";
import { type Bar, INTERVAL_SECONDS, type Interval } from "../api/types.ts";

export interface Colors {
  readonly up: string;
  readonly down: string;
  readonly faint: string;
  readonly hollow: string;
}

export interface Shape {
  readonly open: number;
  readonly high: number;
  readonly low: number;
  readonly close: number;
}

export type Candle = CandlestickData<UTCTimestamp> | WhitespaceData<UTCTimestamp>;
export type Volume = HistogramData<UTCTimestamp> | WhitespaceData<UTCTimestamp>;
const MOST_BLANKS = 120; // longer silences are drawn as a step: a night must not push the day off the screen

export const isOrdinal = (interval: Interval): boolean => interval.includes(":") || interval.endsWith("ms");

export const timeOf = (bar: Bar): UTCTimestamp => Math.round(bar.ts_open / 1e6) as UTCTimestamp;

/** Where a bar stands: its second, or its number since the series began. */
export function placeOf(bar: Bar, number: number, interval: Interval): UTCTimestamp {
  return isOrdinal(interval) ? (number as UTCTimestamp) : timeOf(bar);
}

export function smoothed(bar: Bar, before: Shape | undefined): Shape {
  const close = (bar.open + bar.high + bar.low + bar.close) / 4;
  const open = before ? (before.open + before.close) / 2 : (bar.open + bar.close) / 2;
  return { open, high: Math.max(bar.high, open, close), low: Math.min(bar.low, open, close), close };
}

export function smoothedAll(bars: readonly Bar[]): Shape[] {
  const shapes: Shape[] = [];
  for (const bar of bars) shapes.push(smoothed(bar, shapes.at(-1)));
  return shapes;
}

export function candle(bar: Bar, colors: Colors, time = timeOf(bar), shape: Shape = bar): CandlestickData<UTCTimestamp> {
  const { open, high, low, close } = shape;
  const point = { time, open, high, low, close };
  const edge = close >= open ? colors.up : colors.down;
  if (bar.flags.includes("FILLED")) return { ...point, color: colors.faint, borderColor: colors.faint, wickColor: colors.faint };
  if (bar.origin === "venue") {
    const pale = fade(edge, 0.5);
    return { ...point, color: pale, borderColor: pale, wickColor: pale };
  }
  if (bar.complete) return point;
  return { ...point, color: colors.hollow, borderColor: fade(edge, 0.55), wickColor: fade(edge, 0.45) };
}

export function volume(bar: Bar, colors: Colors, time = timeOf(bar)): HistogramData<UTCTimestamp> {
  const edge = bar.close >= bar.open ? colors.up : colors.down;
  return { time, value: bar.volume, color: fade(edge, bar.complete ? 0.38 : 0.16) };
}

/** The blank places between two bars that follow each other. */
export function blanks(before: Bar, after: Bar, interval: Interval): WhitespaceData<UTCTimestamp>[] {
  const step = INTERVAL_SECONDS[interval];
  if (step === undefined) return [];
  const from = timeOf(before);
  const missing = Math.round((timeOf(after) - from) / step) - 1;
  if (missing <= 0 || missing > MOST_BLANKS) return [];
  return Array.from({ length: missing }, (_, i) => ({ time: (from + step * (i + 1)) as UTCTimestamp }));
}

/** `first`: the number of the first bar. `shapes`: how they are drawn where it is not as they are. */
export function points(
  bars: readonly Bar[], interval: Interval, colors: Colors, first = 0, shapes?: readonly Shape[],
): { candles: Candle[]; volumes: Volume[] } {
  const candles: Candle[] = [];
  const volumes: Volume[] = [];
  bars.forEach((bar, i) => {
    const before = bars[i - 1];
    for (const blank of before ? blanks(before, bar, interval) : []) {
      candles.push(blank);
      volumes.push(blank);
    }
    const time = placeOf(bar, first + i, interval);
    candles.push(candle(bar, colors, time, shapes?.[i] ?? bar));
    volumes.push(volume(bar, colors, time));
  });
  return { candles, volumes };
}

/** #rrggbb with an opacity. */
export function fade(hex: string, alpha: number): string {
  const n = Number.parseInt(hex.slice(1), 16);
  return `rgba(${n >> 16}, ${(n >> 8) & 255}, ${n & 255}, ${alpha})`;
}
