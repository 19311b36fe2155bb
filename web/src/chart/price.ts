// The instrument itself: its bars as candles, bars, line or area, its volume in what was bought and what was sold, the mid as it moves.

import {
  AreaSeries, BarSeries, CandlestickSeries, HistogramSeries, type IChartApi, type IPriceLine, type ISeriesApi, type ISeriesPrimitive, LineSeries, LineStyle,
  type SeriesType, type Time,
} from "lightweight-charts";
import type { Bar } from "../api/types.ts";
import { priceFormat } from "./axis.ts";
import { type Colors, fade, type Kind, mainPoint, type Shape, smoothed, volume } from "./points.ts";
import type { Row, Rows } from "./rows.ts";

export type MainSeries = ISeriesApi<SeriesType>;

export class PriceView {
  series: MainSeries;
  private readonly chart: IChartApi;
  private readonly attached: ISeriesPrimitive<Time>[] = [];
  private volumes: { whole: ISeriesApi<"Histogram">; bought: ISeriesApi<"Histogram"> } | null = null;
  private kind: Kind = "candles";
  private colors: Colors;
  private decimals = 2;
  private lineTone = "";
  private shapes: Shape[] = []; // Heikin-Ashi's, one a row that has a bar
  private midLine: IPriceLine | null = null;
  private midAt: number | null = null;

  constructor(chart: IChartApi, colors: Colors) {
    this.chart = chart;
    this.colors = colors;
    this.series = this.make("candles");
  }

  /** Gives true where the series was made anew, and everything on it has to be drawn again. */
  show(kind: Kind, withVolume: boolean): boolean {
    const remade = kind !== this.kind && family(kind) !== family(this.kind);
    if (remade) {
      for (const primitive of this.attached) this.series.detachPrimitive(primitive);
      const { mode } = this.series.priceScale().options();
      this.chart.removeSeries(this.series);
      this.series = this.make(kind);
      this.series.setSeriesOrder(0);
      this.series.priceScale().applyOptions({ mode });
      for (const primitive of this.attached) this.series.attachPrimitive(primitive);
      this.midLine = null;
      this.midAt = null;
      this.lineTone = "";
      this.paint(this.colors);
    }
    this.kind = kind;
    if (withVolume !== (this.volumes !== null)) this.switchVolume(withVolume);
    return remade;
  }

  attach(primitive: ISeriesPrimitive<Time>): void {
    this.attached.push(primitive);
    this.series.attachPrimitive(primitive);
  }

  paint(colors: Colors): void {
    this.colors = colors;
    const { up, down, line } = colors;
    if (family(this.kind) === "candles") {
      this.series.applyOptions({ upColor: up, downColor: down, borderUpColor: up, borderDownColor: down, wickUpColor: up, wickDownColor: down });
    } else if (this.kind === "bars") this.series.applyOptions({ upColor: up, downColor: down, thinBars: false });
    else if (this.kind === "line") this.series.applyOptions({ color: line, lineWidth: 2 });
    else this.series.applyOptions({ lineColor: line, topColor: fade(line, 0.3), bottomColor: fade(line, 0.02), lineWidth: 2 });
  }

  decimalsAre(decimals: number): void {
    this.decimals = decimals;
    this.series.applyOptions({ priceFormat: priceFormat(decimals) });
  }

  all({ rows }: Rows): void {
    this.shapes = [];
    const points = rows.map((row) => this.point(row));
    this.series.setData(points);
    const bars = rows.map(({ bar, time }) => (bar ? volume(bar, this.colors, time) : { whole: { time }, bought: { time } }));
    this.volumes?.whole.setData(bars.map((b) => b.whole));
    this.volumes?.bought.setData(bars.map((b) => b.bought));
  }

  /** The rows from this one on; those before `settled` were drawn and have others after them. */
  from(rows: readonly Row[], from: number, settled: number): void {
    if (this.kind === "heikin-ashi") this.shapes.length = rows.slice(0, from).reduce((n, row) => n + Number(row.bar !== null), 0);
    rows.slice(from).forEach((row, i) => {
      const revised = from + i < settled;
      this.series.update(this.point(row), revised);
      const { whole, bought } = row.bar ? volume(row.bar, this.colors, row.time) : { whole: { time: row.time }, bought: { time: row.time } };
      this.volumes?.whole.update(whole, revised);
      this.volumes?.bought.update(bought, revised);
    });
  }

  /** The newest price's line in its bar's full colour: by itself it takes that of the body, which a hollow candle does not have. */
  tone(bar: Bar | undefined): void {
    const color = !bar ? "" : (this.kind === "line" || this.kind === "area") ? this.colors.line : bar.close >= bar.open ? this.colors.up : this.colors.down;
    if (color === this.lineTone) return;
    this.lineTone = color;
    this.series.applyOptions({ priceLineColor: color });
  }

  /** null: it is not wanted, or not known now. */
  mid(price: number | null, color: string): void {
    if (price === this.midAt) return;
    this.midAt = price;
    if (price === null) {
      if (this.midLine) this.series.removePriceLine(this.midLine);
      this.midLine = null;
    } else if (this.midLine) this.midLine.applyOptions({ price, color, axisLabelColor: color });
    else {
      const look = { lineWidth: 1, lineStyle: LineStyle.Dotted, axisLabelVisible: true, title: "mid" } as const;
      this.midLine = this.series.createPriceLine({ price, color, axisLabelColor: color, ...look });
    }
  }

  private point(row: Row): ReturnType<typeof mainPoint> {
    if (!row.bar) return { time: row.time };
    if (this.kind !== "heikin-ashi") return mainPoint(this.kind, row.bar, this.colors, row.time);
    const shape = smoothed(row.bar, this.shapes.at(-1));
    this.shapes.push(shape);
    return mainPoint(this.kind, row.bar, this.colors, row.time, shape);
  }

  private make(kind: Kind): MainSeries {
    const common = { priceLineWidth: 1, priceFormat: priceFormat(this.decimals) } as const;
    if (kind === "bars") return this.chart.addSeries(BarSeries, common);
    if (kind === "line") return this.chart.addSeries(LineSeries, common);
    if (kind === "area") return this.chart.addSeries(AreaSeries, common);
    return this.chart.addSeries(CandlestickSeries, { ...common, borderVisible: true });
  }

  private switchVolume(on: boolean): void {
    if (this.volumes) {
      this.chart.removeSeries(this.volumes.whole);
      this.chart.removeSeries(this.volumes.bought);
    }
    this.volumes = null;
    this.series.priceScale().applyOptions({ scaleMargins: { top: 0.1, bottom: on ? 0.24 : 0.08 } });
    if (!on) return;
    const look = { priceScaleId: "volume", priceLineVisible: false, lastValueVisible: false };
    const [whole, bought] = [this.chart.addSeries(HistogramSeries, look), this.chart.addSeries(HistogramSeries, look)];
    whole.setSeriesOrder(0);
    bought.setSeriesOrder(1);
    whole.priceScale().applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });
    this.volumes = { whole, bought };
  }
}

/** Kinds that one series draws. */
const family = (kind: Kind): Kind => (kind === "heikin-ashi" ? "candles" : kind);
