// Bars as the chart's points. Pure.
//
// The venue's own candles, of before we listened, are drawn paler than those made from the trades that we saw.
// A bar that may lack trades is drawn hollow and faint, so that nobody reads its high or volume as the market's; one that only goes on
// with the price before it (FILLED: nothing was traded) is a grey dash. Intervals without a trade have no bar; short runs of them are
// left as blank places, so that the time axis stays true.
//
// Bars that are not of time (`tick:500`) stand side by side, each at its number: their places are numbers, not seconds, and the axis is
// told the time of each. Heikin-Ashi is a view: close = (o + h + l + c) / 4, open = the middle of the body before.

import type { AreaData, CandlestickData, HistogramData, LineData, UTCTimestamp, WhitespaceData } from "lightweight-charts";
import { type Bar, INTERVAL_SECONDS, type Interval } from "../api/types.ts";

export interface Colors {
  readonly up: string;
  readonly down: string;
  readonly faint: string;
  readonly hollow: string; // of the panel
  readonly line: string;
}

export interface Shape {
  readonly open: number;
  readonly high: number;
  readonly low: number;
  readonly close: number;
}

export const KINDS = ["candles", "heikin-ashi", "bars", "line", "area"] as const;
export type Kind = (typeof KINDS)[number];
export type Main = CandlestickData<UTCTimestamp> | LineData<UTCTimestamp> | AreaData<UTCTimestamp> | WhitespaceData<UTCTimestamp>;
export type Volume = HistogramData<UTCTimestamp> | WhitespaceData<UTCTimestamp>;
const MOST_BLANKS = 120; // longer silences are drawn as a step: a night must not push the day off the screen

export const isOrdinal = (interval: Interval): boolean => interval.includes(":") || interval.endsWith("ms");

export const timeOf = (bar: Bar): UTCTimestamp => Math.round(bar.ts_open / 1e6) as UTCTimestamp;

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

/** A bar as the chosen kind draws it. A line through what is not whole is pale; a bar has no body to be hollow and is pale, too. */
export function mainPoint(kind: Kind, bar: Bar, colors: Colors, time: UTCTimestamp, shape: Shape = bar): Main {
  if (kind === "candles" || kind === "heikin-ashi") return candle(bar, colors, time, shape);
  const pale = !bar.complete || bar.origin === "venue" || bar.flags.includes("FILLED");
  if (kind === "bars") {
    const drawn = candle(bar, colors, time);
    return pale ? { ...drawn, color: drawn.borderColor ?? colors.faint } : drawn;
  }
  const point = { time, value: bar.close };
  if (kind === "line") return pale ? { ...point, color: fade(colors.line, 0.45) } : point;
  return pale ? { ...point, lineColor: fade(colors.line, 0.45), topColor: fade(colors.line, 0.1), bottomColor: fade(colors.line, 0) } : point;
}

/** Volume in two: the whole of it, and over it what was bought, so that what was sold stands above. Who is not known: one part. */
export function volume(bar: Bar, colors: Colors, time = timeOf(bar)): { whole: HistogramData<UTCTimestamp>; bought: Volume } {
  const strength = bar.complete && bar.origin === "trades" ? 0.42 : 0.2;
  const tone = (hex: string): string => mix(hex, colors.hollow, strength);
  if (bar.buy_volume === null) {
    const color = tone(bar.close >= bar.open ? colors.up : colors.down);
    return { whole: { time, value: bar.volume, color }, bought: { time } };
  }
  return { whole: { time, value: bar.volume, color: tone(colors.down) }, bought: { time, value: bar.buy_volume, color: tone(colors.up) } };
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

/** Of #rrggbb, or #rgb as the style sheet's compressor writes it. */
function parts(hex: string): [number, number, number] {
  const long = hex.length === 4 ? hex.slice(1).replace(/./g, "$&$&") : hex.slice(1);
  const n = Number.parseInt(long, 16);
  return [n >> 16, (n >> 8) & 255, n & 255];
}

/** A colour with an opacity. */
export const fade = (hex: string, alpha: number): string => `rgba(${parts(hex).join(", ")}, ${alpha})`;

/** `a` over `b`, solid: bars of a histogram that lie over each other must not shine through. */
export function mix(a: string, b: string, share: number): string {
  const under = parts(b);
  const both = parts(a).map((x, i) => Math.round(x * share + (under[i] ?? 0) * (1 - share)));
  return `#${both.map((x) => x.toString(16).padStart(2, "0")).join("")}`;
}
