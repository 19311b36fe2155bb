// What can be drawn of the bars beside themselves, what each takes, and its run along the bars. Pure.
//
// A value is *partial* where a bar within its lookback is incomplete, as with the server's indicators; sums since the day's start are
// partial for the rest of it. A partial value is drawn paler and said, never left out in silence.

import type { Bar } from "../api/types.ts";
import { Atr, Bollinger, Delta, Ema, type Fold, Macd, Rsi, Sma, type Values, Vwap } from "./folds.ts";

export interface Parameter {
  readonly label: string;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly step?: number;
}

/** How one of its lines is drawn; `signed`: a histogram, above zero in the colour of up. */
export type Draw = "line" | "thin" | "signed";

export interface StudyKind {
  readonly id: string;
  readonly title: string;
  readonly about: string;
  readonly parameters: readonly Parameter[];
  readonly lines: readonly { readonly name: string; readonly draw: Draw; readonly scale?: string; readonly second?: boolean }[];
  /** "price": over the candles; "pane": in a pane of its own. */
  readonly place: "price" | "pane";
  /** Heights that a pane marks: 30 and 70 of an RSI. */
  readonly guides?: readonly number[];
  /** "size": in the instrument's amounts; else decimals follow the price's, or are two. */
  readonly unit: "price" | "size" | "number";
  readonly fold: (...p: number[]) => Fold;
  /** Bars before the newest that a value looks back to. */
  readonly lookback: (...p: number[]) => number;
}

const bars = (value: number, label = "Bars"): Parameter => ({ label, value, min: 1, max: 500 });

export const STUDIES: readonly StudyKind[] = [
  {
    id: "vwap", title: "VWAP", about: "Volume-weighted average price since the UTC day began", parameters: [],
    lines: [{ name: "", draw: "line" }], place: "price", unit: "price", fold: () => new Vwap(), lookback: () => 0,
  },
  {
    id: "delta", title: "Delta", about: "Volume bought less volume sold by aggressors, and its sum since the UTC day began", parameters: [],
    lines: [{ name: "", draw: "signed" }, { name: "cumulative", draw: "line", scale: "cumulative", second: true }], place: "pane", unit: "size",
    fold: () => new Delta(), lookback: () => 0,
  },
  {
    id: "sma", title: "SMA", about: "Simple moving average of closes", parameters: [bars(20)],
    lines: [{ name: "", draw: "line" }], place: "price", unit: "price", fold: (n = 20) => new Sma(n), lookback: (n = 20) => n - 1,
  },
  {
    id: "ema", title: "EMA", about: "Exponential moving average of closes", parameters: [bars(21)],
    lines: [{ name: "", draw: "line" }], place: "price", unit: "price", fold: (n = 21) => new Ema(n), lookback: (n = 21) => n - 1,
  },
  {
    id: "bollinger", title: "BB", about: "Bollinger bands: a simple average and standard deviations to either side",
    parameters: [{ ...bars(20), min: 2 }, { label: "Deviations", value: 2, min: 0.1, max: 10, step: 0.1 }],
    lines: [{ name: "upper", draw: "thin" }, { name: "", draw: "line" }, { name: "lower", draw: "thin" }], place: "price", unit: "price",
    fold: (n = 20, k = 2) => new Bollinger(n, k), lookback: (n = 20) => n - 1,
  },
  {
    id: "rsi", title: "RSI", about: "Relative strength index, Wilder's", parameters: [{ ...bars(14), min: 2 }],
    lines: [{ name: "", draw: "line" }], place: "pane", guides: [30, 70], unit: "number", fold: (n = 14) => new Rsi(n), lookback: (n = 14) => n,
  },
  {
    id: "macd", title: "MACD", about: "Moving average convergence and divergence: the line, its signal, their difference",
    parameters: [{ ...bars(12, "Fast"), min: 2 }, { ...bars(26, "Slow"), min: 2 }, bars(9, "Signal")],
    lines: [{ name: "", draw: "line" }, { name: "signal", draw: "line", second: true }, { name: "difference", draw: "signed" }], place: "pane", unit: "price",
    fold: (fast = 12, slow = 26, signal = 9) => new Macd(fast, slow, signal),
    lookback: (fast = 12, slow = 26, signal = 9) => Math.max(fast, slow) + signal - 2,
  },
  {
    id: "atr", title: "ATR", about: "Average true range, Wilder's", parameters: [{ ...bars(14), min: 2 }],
    lines: [{ name: "", draw: "line" }], place: "pane", unit: "price", fold: (n = 14) => new Atr(n), lookback: (n = 14) => n,
  },
];

/** A study that is on: its kind, or the name of a sampled metric. */
export interface Chosen {
  readonly kind: string;
  readonly params: readonly number[];
  readonly metric?: string;
}

export const kindOf = (id: string): StudyKind | undefined => STUDIES.find((kind) => kind.id === id);
export const keyOf = (c: Chosen): string => [c.kind, ...(c.metric ? [c.metric] : c.params)].join(" ");

/** `SMA 20`; the words of a legend and a menu. */
export const titleOf = (c: Chosen): string => c.metric ?? [kindOf(c.kind)?.title ?? c.kind, ...c.params].join(" ");

/** Whole numbers within their bounds: what a person typed, or an old memory holds. */
export function cleaned(kind: StudyKind, params: readonly unknown[]): number[] {
  return kind.parameters.map((p, i) => {
    const given = Number(params[i] ?? p.value);
    if (!Number.isFinite(given)) return p.value;
    const inside = Math.min(p.max, Math.max(p.min, given));
    return p.step === undefined ? Math.round(inside) : inside;
  });
}

export interface Point {
  readonly values: Values;
  readonly partial: boolean;
}

/** One study along the bars. */
export class Run {
  points: Point[] = [];
  private readonly kind: StudyKind;
  private readonly params: readonly number[];
  private settled: Fold; // after all bars but the last `open` ones
  private until = 0; // how many bars it has taken
  private lastFlaw = Number.NEGATIVE_INFINITY; // the place of the last incomplete one of them

  constructor(kind: StudyKind, params: readonly number[]) {
    this.kind = kind;
    this.params = params;
    this.settled = kind.fold(...params);
  }

  all(series: readonly Bar[]): void {
    this.settled = this.kind.fold(...this.params);
    this.until = 0;
    this.lastFlaw = Number.NEGATIVE_INFINITY;
    this.points = [];
    this.go(series);
  }

  /** The last `n` bars changed or are new; what stands before them stands. */
  tail(series: readonly Bar[], n: number): void {
    if (series.length - n < this.until || this.points.length > series.length) this.all(series);
    else this.go(series);
  }

  /** Everything but the newest bar is settled; that one is tried on a copy. */
  private go(series: readonly Bar[]): void {
    this.points.length = this.until;
    for (; this.until < series.length - 1; this.until++) {
      const bar = series[this.until];
      if (bar) this.points.push(this.step(this.settled, bar, this.until));
    }
    const newest = series[this.until];
    if (!newest) return;
    const flaw = this.lastFlaw;
    this.points.push(this.step(this.settled.copy(), newest, this.until));
    this.lastFlaw = flaw;
  }

  private step(fold: Fold, bar: Bar, at: number): Point {
    const values = fold.next(bar);
    if (!bar.complete) this.lastFlaw = at;
    return { values, partial: fold.short === true || at - this.lastFlaw <= this.kind.lookback(...this.params) };
  }
}
