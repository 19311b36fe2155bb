// Bars as the chart's points. Pure.
//
// The venue's own candles, of before we listened, are drawn paler than those made from the trades that we saw.
// A bar that may lack trades is drawn hollow and faint, so that nobody reads its high or volume as the market's. Intervals
// without a trade have no bar; short runs of them are left as blank places, so that the time axis stays true.

import type { CandlestickData, HistogramData, UTCTimestamp, WhitespaceData } from "lightweight-charts";
import { type Bar, INTERVAL_SECONDS, type Interval } from "../api/types.ts";

export interface Colors {
  readonly up: string;
  readonly down: string;
  readonly faint: string;
  readonly hollow: string;
}

export type Candle = CandlestickData<UTCTimestamp> | WhitespaceData<UTCTimestamp>;
export type Volume = HistogramData<UTCTimestamp> | WhitespaceData<UTCTimestamp>;
const MOST_BLANKS = 120; // longer silences are drawn as a step: a night must not push the day off the screen

export const timeOf = (bar: Bar): UTCTimestamp => Math.round(bar.ts_open / 1e6) as UTCTimestamp;

export function candle(bar: Bar, colors: Colors): CandlestickData<UTCTimestamp> {
  const { open, high, low, close } = bar;
  const point = { time: timeOf(bar), open, high, low, close };
  const edge = close >= open ? colors.up : colors.down;
  if (bar.origin === "venue") {
    const pale = fade(edge, 0.5);
    return { ...point, color: pale, borderColor: pale, wickColor: pale };
  }
  if (bar.complete) return point;
  return { ...point, color: colors.hollow, borderColor: fade(edge, 0.55), wickColor: fade(edge, 0.45) };
}

export function volume(bar: Bar, colors: Colors): HistogramData<UTCTimestamp> {
  const edge = bar.close >= bar.open ? colors.up : colors.down;
  return { time: timeOf(bar), value: bar.volume, color: fade(edge, bar.complete ? 0.38 : 0.16) };
}

/** The blank places between two bars that follow each other. */
export function blanks(before: Bar, after: Bar, interval: Interval): WhitespaceData<UTCTimestamp>[] {
  const step = INTERVAL_SECONDS[interval];
  const from = timeOf(before);
  const missing = Math.round((timeOf(after) - from) / step) - 1;
  if (missing <= 0 || missing > MOST_BLANKS) return [];
  return Array.from({ length: missing }, (_, i) => ({ time: (from + step * (i + 1)) as UTCTimestamp }));
}

export function points(bars: readonly Bar[], interval: Interval, colors: Colors): { candles: Candle[]; volumes: Volume[] } {
  const candles: Candle[] = [];
  const volumes: Volume[] = [];
  bars.forEach((bar, i) => {
    const before = bars[i - 1];
    for (const blank of before ? blanks(before, bar, interval) : []) {
      candles.push(blank);
      volumes.push(blank);
    }
    candles.push(candle(bar, colors));
    volumes.push(volume(bar, colors));
  });
  return { candles, volumes };
}

/** #rrggbb with an opacity. */
export function fade(hex: string, alpha: number): string {
  const n = Number.parseInt(hex.slice(1), 16);
  return `rgba(${n >> 16}, ${(n >> 8) & 255}, ${n & 255}, ${alpha})`;
}
