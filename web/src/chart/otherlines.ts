// Other instruments as lines beside the candles: on the same scale, so that in per cent each begins at 0 at the left edge of the view.

import { type IChartApi, type ISeriesApi, LineSeries, type UTCTimestamp } from "lightweight-charts";
import type { Other } from "../state/compare.ts";
import type { Market } from "../state/market.ts";
import { fixed } from "../ui/format.ts";
import { lineColor, priceFormat } from "./axis.ts";
import { apart, moved, sameThing } from "./others.ts";
import { fade } from "./points.ts";
import type { Row, Rows } from "./rows.ts";

const OLD = new Set(["stale", "disconnected", "resyncing", "waiting"]);
const FROM = 3; // the first line's colour is not the first study's

export interface OtherReading {
  readonly id: string;
  readonly color: string;
  readonly value: number | null;
  readonly text: string;
  /** How it went since the first place in view that both have a bar at, and the chart's own instrument since then. */
  readonly change: number | null;
  readonly ownChange: number | null;
  readonly since: number; // when that opens; 0: there is none
  readonly same: boolean; // whether it is the same thing at another venue, with a basis to the chart's own
  readonly bps: number | null;
  readonly state: "" | "incomplete" | "old" | "none";
}

interface Line {
  readonly other: Other;
  readonly series: ISeriesApi<"Line">;
  readonly color: string;
  decimals: number;
  old: boolean;
  stretches: number; // of the other's that are drawn
  start: { readonly of: string; readonly at: number }; // the common start, and of which view
}

export class OtherLines {
  private readonly chart: IChartApi;
  private lines: Line[] = [];
  private last = 0; // the place up to which they are drawn

  constructor(chart: IChartApi) {
    this.chart = chart;
  }

  /** Says whether there are others than before. */
  choose(others: readonly Other[]): boolean {
    if (others.length === this.lines.length && others.every((other, i) => this.lines[i]?.other === other)) return false;
    for (const line of this.lines) this.chart.removeSeries(line.series);
    this.lines = others.map((other, n) => {
      const color = lineColor(n + FROM);
      const series: ISeriesApi<"Line"> = this.chart.addSeries(LineSeries, { color, lineWidth: 2, priceLineVisible: false, crosshairMarkerRadius: 3, title: "" });
      return { other, series, color, decimals: -1, old: false, stretches: 0, start: { of: "", at: -1 } };
    });
    return true;
  }

  all({ rows }: Rows, market: Market): void {
    this.lines.forEach((line, n) => {
      this.look(line, market);
      Object.assign(line, { color: lineColor(n + FROM) });
      line.series.setData(rows.map((row) => point(line, row)));
    });
    this.last = rows.length - 1;
  }

  from({ rows }: Rows, from: number, market: Market): void {
    const begin = Math.max(0, Math.min(from, this.last - 1)); // another's bar may close after this one's
    for (const line of this.lines) {
      if (this.look(line, market)) line.series.setData(rows.map((row) => point(line, row)));
      else for (let at = begin; at < rows.length; at++) {
        const row = rows[at];
        if (row) line.series.update(point(line, row), at < this.last);
      }
    }
    this.last = rows.length - 1;
  }

  /** Of the place `at`, with the changes since the place `from`; `id` is the chart's own instrument, `main` its close there. */
  read(rows: Rows, { id, at, from }: { readonly id: string; readonly at: number; readonly from: number }, main: number | null, market: Market): OtherReading[] {
    const us = rows.openOf(at);
    return this.lines.map((line) => {
      const { other, color, decimals, old } = line;
      const bar = other.bars.get(us);
      const value = bar?.close ?? null;
      const state = bar === undefined ? "none" : old && at === rows.rows.length - 1 ? "old" : bar.complete ? "" : "incomplete";
      const places = market.rows.get(other.id)?.priceDecimals ?? decimals;
      const start = startOf(line, rows, from);
      const since = start < 0 ? 0 : rows.openOf(start);
      const change = moved(value, other.bars.get(since)?.close ?? null);
      const ownChange = moved(main, rows.rows[start]?.bar?.close ?? null);
      const same = sameThing(id, other.id);
      return { id: other.id, color, value, text: fixed(value, places), change, ownChange, since, same, bps: same ? apart(value, main) : null, state };
    });
  }

  /** Decimals, and paler where nothing new comes. Says whether it has to be drawn anew: for that, or because its past came. */
  private look(line: Line, market: Market): boolean {
    const row = market.rows.get(line.other.id);
    const decimals = row?.priceDecimals ?? 2;
    if (decimals !== line.decimals) line.series.applyOptions({ priceFormat: priceFormat(decimals) });
    const old = OLD.has(row?.info?.state ?? "");
    const aged = old !== line.old;
    const learnt = line.stretches !== line.other.stretches;
    Object.assign(line, { decimals, old, stretches: line.other.stretches });
    if (aged) line.series.applyOptions({ lineWidth: old ? 1 : 2 });
    return aged || learnt;
  }
}

/** The first place from `from` on at which both have a bar; -1: there is none. */
function startOf(line: Line, { rows }: Rows, from: number): number {
  const { bars, stretches } = line.other;
  if (bars.size === 0) return -1;
  const of = `${from} ${rows[from]?.time} ${stretches}`;
  if (line.start.of !== of || line.start.at < 0) {
    const has = ({ bar }: Row): boolean => bar !== null && bars.has(bar.ts_open);
    line.start = { of, at: rows.findIndex((row, at) => at >= from && has(row)) };
  }
  return line.start.at;
}

function point({ other, color, old }: Line, { time, bar: main }: Row): { time: UTCTimestamp; value?: number; color?: string } {
  const bar = main ? other.bars.get(main.ts_open) : undefined;
  if (!bar) return { time };
  return { time, value: bar.close, color: old ? fade(color, 0.35) : bar.complete ? color : fade(color, 0.5) };
}
