// The chart's axes and colours. Times are written by ui/format.ts, so they follow the zone that is chosen for the whole page.

import { type ChartOptions, ColorType, CrosshairMode, type DeepPartial, PriceScaleMode, TickMarkType, type Time } from "lightweight-charts";
import { clock, day, fixed, signed, zoneAt } from "../ui/format.ts";
import { token } from "../ui/theme.ts";
import type { Scale } from "./memory.ts";
import { type Colors, fade } from "./points.ts";

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export interface Axis {
  /** The true time of a place, in microseconds. */
  readonly timeAt: (place: number) => number;
  readonly ordinal: () => boolean;
}

/** How far the page's zone is from UTC at a moment, in seconds: read off the words that the page writes. */
export function zoneShift(us: number): number {
  const shown = Date.parse(`${day(us)}T${clock(us)}Z`);
  return Number.isNaN(shown) ? 0 : Math.round(shown / 1000 - Math.floor(us / 1e6));
}

export const staticOptions = ({ timeAt, ordinal }: Axis): DeepPartial<ChartOptions> => ({
  layout: { attributionLogo: false, panes: { enableResize: true } }, // the logo's style element is inline, which the policy forbids
  crosshair: { mode: CrosshairMode.Normal },
  localization: { locale: "en", timeFormatter: (t: Time) => stamp(timeAt(Number(t))), percentageFormatter: (p: number) => `${signed(p, 2)}%` },
  timeScale: {
    timeVisible: true,
    rightOffset: 6,
    barSpacing: 7,
    minBarSpacing: 0.05, // all that are here fit into a narrow panel
    tickMarkFormatter: (t: Time, type: TickMarkType) => tick(timeAt(Number(t)), ordinal() ? TickMarkType.TimeWithSeconds : type),
  },
  handleScale: { axisPressedMouseMove: true },
});

const stamp = (us: number): string => `${day(us)} ${clock(us)} ${zoneAt(us)}`;

export function tick(us: number, type: TickMarkType): string {
  if (type === TickMarkType.TimeWithSeconds) return clock(us);
  if (type === TickMarkType.Time) return clock(us).slice(0, 5);
  const [year = "", month = "", date = ""] = day(us).split("-");
  if (type === TickMarkType.Year) return year;
  const name = MONTHS[Number(month) - 1] ?? "";
  return type === TickMarkType.Month ? name : `${Number(date)} ${name}`;
}

export const modeOf = (scale: Scale): PriceScaleMode =>
  scale === "log" ? PriceScaleMode.Logarithmic : scale === "percent" ? PriceScaleMode.Percentage : PriceScaleMode.Normal;

export function colors(): Colors {
  return { up: token("up"), down: token("down"), faint: token("muted"), hollow: token("panel"), line: token("accent") };
}

const LINES = 6;
/** The colour of the nth study or instrument beside the candles. */
export const lineColor = (n: number): string => token(`line-${(n % LINES) + 1}`);

export function themeOptions(): DeepPartial<ChartOptions> {
  const line = token("line");
  const label = { color: fade(token("muted"), 0.8), labelBackgroundColor: token("label") };
  return {
    layout: {
      background: { type: ColorType.Solid, color: token("panel") },
      textColor: token("muted"),
      fontFamily: getComputedStyle(document.body).fontFamily,
      fontSize: 11,
      panes: { separatorColor: line, separatorHoverColor: fade(token("accent"), 0.25) },
    },
    grid: { vertLines: { color: token("grid") }, horzLines: { color: token("grid") } },
    rightPriceScale: { borderColor: line },
    timeScale: { borderColor: line },
    crosshair: { vertLine: label, horzLine: label },
  };
}

export const priceFormat = (decimals: number): { type: "custom"; minMove: number; formatter: (price: number) => string } => ({
  type: "custom", minMove: 10 ** -decimals, formatter: (price) => fixed(price, decimals),
});
