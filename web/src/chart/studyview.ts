// The studies that are on, as lines and histograms of the chart: over the candles, or each in a pane of its own under them.

import { type AutoscaleInfo, HistogramSeries, type IChartApi, type ISeriesApi, LineSeries, LineStyle, type SeriesType, type UTCTimestamp } from "lightweight-charts";
import type { Bar } from "../api/types.ts";
import type { Samples } from "../state/samples.ts";
import { fixed, size } from "../ui/format.ts";
import { lineColor } from "./axis.ts";
import { type Colors, fade, mix } from "./points.ts";
import type { Row, Rows } from "./rows.ts";
import { isPrice, sampled } from "./samplelines.ts";
import { type Chosen, type Draw, keyOf, kindOf, type Point, Run, type StudyKind, titleOf } from "./studies.ts";

type Series = ISeriesApi<"Line"> | ISeriesApi<"Histogram">;
const SECOND = 3; // the colour of a study's second line, a signal or a sum
const PANE = 0.24; // of the candles' pane, for each pane under it

/** What changed at the end: how many bars, from which row on; rows before `settled` were drawn and have others after them. */
export interface Tail {
  readonly bars: number;
  readonly from: number;
  readonly settled: number;
}

export interface Decimals {
  readonly price: number;
  readonly size: number;
}

/** What a legend says of one study at one place. */
export interface Reading {
  readonly key: string;
  readonly title: string;
  readonly about: string;
  readonly color: string;
  readonly partial: boolean;
  readonly values: readonly { readonly name: string; readonly value: number | null; readonly text: string }[];
}

class StudyView {
  readonly chosen: Chosen;
  pane: number;
  private readonly chart: IChartApi;
  private readonly run: Run | null;
  private readonly lines: { readonly series: Series; readonly name: string; readonly draw: Draw; readonly second: boolean }[] = [];
  private readonly unit: string;
  private points: readonly Point[] = []; // one a row
  private tone: string;

  constructor(chart: IChartApi, chosen: Chosen, pane: number, n: number, unit: string) {
    this.chart = chart;
    this.chosen = chosen;
    this.pane = pane;
    this.tone = lineColor(n);
    const kind = kindOf(chosen.kind);
    this.run = kind ? new Run(kind, chosen.params) : null;
    this.unit = kind?.unit ?? unit;
    const lines: StudyKind["lines"] = kind?.lines ?? [{ name: "", draw: "line" }];
    for (const { name, draw, scale, second } of lines) this.lines.push({ series: this.make(draw, scale, kind?.guides), name, draw, second: second ?? false });
    for (const price of kind?.guides ?? []) {
      this.lines[0]?.series.createPriceLine({ price, color: fade(this.tone, 0.4), lineStyle: LineStyle.Dashed, lineWidth: 1, axisLabelVisible: false, title: "" });
    }
  }

  private make(draw: Draw, scale: string | undefined, guides: readonly number[] = []): Series {
    const range = { autoscaleInfoProvider: (own: () => AutoscaleInfo | null) => within(own(), guides) };
    const look = { ...(guides.length > 0 ? range : {}), priceLineVisible: false, lastValueVisible: false, ...(scale ? { priceScaleId: scale } : {}) };
    if (draw === "signed") return this.chart.addSeries(HistogramSeries, { ...look, base: 0 }, this.pane);
    return this.chart.addSeries(LineSeries, { ...look, lineWidth: draw === "thin" ? 1 : 2, crosshairMarkerVisible: false }, this.pane);
  }

  format(decimals: Decimals): void {
    for (const { series } of this.lines) series.applyOptions({ priceFormat: { type: "custom", minMove: 10 ** -8, formatter: (x: number) => this.text(x, decimals) } });
  }

  all(rows: Rows, bars: readonly Bar[], samples: Samples, colors: Colors, n: number): void {
    this.tone = lineColor(n);
    this.run?.all(bars);
    this.spread(rows, samples);
    this.lines.forEach(({ series, draw }, i) => series.setData(rows.rows.map((row, at) => this.point(row, at, i, draw, colors))));
  }

  from(rows: Rows, bars: readonly Bar[], tail: Tail, samples: Samples, colors: Colors): void {
    this.run?.tail(bars, tail.bars);
    this.spread(rows, samples);
    this.lines.forEach(({ series, draw }, i) => {
      for (let at = tail.from; at < rows.rows.length; at++) {
        const row = rows.rows[at];
        if (row) series.update(this.point(row, at, i, draw, colors) as never, at < tail.settled);
      }
    });
  }

  /** A sampled metric moves between bars, too. */
  samplesMoved(rows: Rows, samples: Samples, colors: Colors): void {
    if (this.run) return;
    this.spread(rows, samples);
    this.lines.forEach(({ series, draw }, i) => series.setData(rows.rows.map((row, at) => this.point(row, at, i, draw, colors))));
  }

  remove(): void {
    for (const { series } of this.lines) this.chart.removeSeries(series as ISeriesApi<SeriesType>);
  }

  paneIndex(): number {
    return this.lines[0]?.series.getPane().paneIndex() ?? 0;
  }

  read(at: number, decimals: Decimals): Reading {
    const point = this.points[at];
    const values = this.lines.map(({ name }, i) => {
      const value = point?.values[i] ?? null;
      return { name, value, text: this.text(value, decimals) };
    });
    const about = kindOf(this.chosen.kind)?.about ?? "A metric sampled by the server: of each bar the last sample";
    return { key: keyOf(this.chosen), title: titleOf(this.chosen), about, color: this.tone, partial: point?.partial ?? false, values };
  }

  private text(value: number | null, { price, size: sizes }: Decimals): string {
    if (this.unit === "price") return fixed(value, price);
    if (this.unit === "size") return value !== null && value < 0 ? `−${size(-value, sizes)}` : size(value, sizes);
    return fixed(value, 2);
  }

  private spread(rows: Rows, samples: Samples): void {
    if (!this.run) {
      this.points = sampled(samples, this.chosen.metric ?? "", rows);
      return;
    }
    const { points } = this.run;
    const none: Point = { values: [], partial: false };
    let next = 0;
    this.points = rows.rows.map((row) => (row.bar ? (points[next++] ?? none) : none));
  }

  private point(row: Row, at: number, line: number, draw: Draw, { up, down, hollow }: Colors): { time: UTCTimestamp; value?: number; color?: string } {
    const { time } = row;
    const point = this.points[at];
    const value = point?.values[line] ?? null;
    if (value === null) return { time };
    if (draw === "signed") return { time, value, color: mix(value >= 0 ? up : down, hollow, point?.partial ? 0.3 : 0.75) };
    const color = this.lines[line]?.second ? lineColor(SECOND) : this.tone;
    const shown = draw === "thin" ? 0.55 : 1;
    return { time, value, color: fade(color, point?.partial ? 0.4 : shown) };
  }
}

export class Studies {
  private readonly chart: IChartApi;
  private views: StudyView[] = [];
  private decimals: Decimals = { price: 2, size: 4 };

  constructor(chart: IChartApi) {
    this.chart = chart;
  }

  /** Says whether anything has to be drawn. */
  choose(list: readonly Chosen[], unitOf: (metric: string) => string): boolean {
    if (this.views.map((v) => keyOf(v.chosen)).join() === list.map(keyOf).join()) return false;
    for (const view of this.views) view.remove(); // an empty pane goes with its last series
    let pane = 1;
    this.views = list.map((chosen, n) => {
      const unit = chosen.metric ? unitOf(chosen.metric) : "";
      const over = chosen.metric ? isPrice(unit) : kindOf(chosen.kind)?.place === "price";
      return new StudyView(this.chart, chosen, over ? 0 : pane++, n, unit);
    });
    this.chart.panes().forEach((p, i) => p.setStretchFactor(i === 0 ? 1 : PANE));
    this.format(this.decimals);
    return true;
  }

  format(decimals: Decimals): void {
    this.decimals = decimals;
    for (const view of this.views) view.format(decimals);
  }

  all(rows: Rows, bars: readonly Bar[], samples: Samples, colors: Colors): void {
    this.views.forEach((view, n) => view.all(rows, bars, samples, colors, n));
  }

  from(rows: Rows, bars: readonly Bar[], tail: Tail, samples: Samples, colors: Colors): void {
    for (const view of this.views) view.from(rows, bars, tail, samples, colors);
  }

  samplesMoved(rows: Rows, samples: Samples, colors: Colors): void {
    for (const view of this.views) view.samplesMoved(rows, samples, colors);
  }

  /** With the pane that each stands in. */
  read(at: number): { reading: Reading; pane: number }[] {
    return this.views.map((view) => ({ reading: view.read(at, this.decimals), pane: view.paneIndex() }));
  }
}

/** A scale that shows what it marks, wherever the values are. */
function within(info: AutoscaleInfo | null, guides: readonly number[]): AutoscaleInfo | null {
  if (!info?.priceRange) return info;
  const { minValue, maxValue } = info.priceRange;
  return { ...info, priceRange: { minValue: Math.min(minValue, ...guides), maxValue: Math.max(maxValue, ...guides) } };
}
