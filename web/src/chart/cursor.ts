// The crosshair by keyboard, with the chart focused (state/panelkeys.ts). Where it stands is read out.

import type { IChartApi } from "lightweight-charts";
import { CHART_KEYS } from "../state/panelkeys.ts";
import { h } from "../ui/dom.ts";
import { act } from "../ui/keyboard.ts";

export interface CursorHost {
  readonly length: () => number;
  readonly isBar: (at: number) => boolean;
  readonly put: (at: number | null) => void;
  readonly menu: (at: number) => void;
  readonly newest: () => void;
}

export class Cursor {
  readonly el = h("p", { class: "sr", "aria-live": "polite", "data-testid": "chart-said" });
  at: number | null = null;
  private readonly chart: IChartApi;
  private readonly host: CursorHost;

  constructor(chart: IChartApi, box: HTMLElement, host: CursorHost) {
    this.chart = chart;
    this.host = host;
    box.addEventListener("keydown", (event) => this.key(event));
    box.addEventListener("blur", () => this.to(null));
  }

  say(text: string): void {
    if (this.el.textContent !== text) this.el.textContent = text;
  }

  private key(event: KeyboardEvent): void {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    const newest = this.host.length() - 1;
    if (!range || newest < 0) return;
    const right = Math.min(newest, Math.floor(range.to));
    const now = this.at ?? right + 1;
    act(event, CHART_KEYS, {
      before: () => this.to(now - 1),
      after: () => this.to(now + 1),
      tenBefore: () => this.to(now - 10),
      tenAfter: () => this.to(now + 10),
      first: () => this.to(Math.ceil(range.from)),
      last: () => (this.at === newest ? this.host.newest() : this.to(newest)),
      closer: () => this.zoom(range, 0.8),
      wider: () => this.zoom(range, 1.25),
      leave: () => this.to(null),
      menu: () => this.host.menu(this.at ?? right),
    });
  }

  private to(at: number | null): void {
    if (at === null && this.at === null) return;
    this.at = at === null ? null : this.barFrom(at, at >= (this.at ?? Number.POSITIVE_INFINITY) ? 1 : -1);
    if (this.at !== null) this.into(this.at);
    this.host.put(this.at);
  }

  /** The nearest place with a bar, on in the same direction; where there is none, back. */
  private barFrom(at: number, by: 1 | -1): number {
    const last = this.host.length() - 1;
    let place = Math.max(0, Math.min(last, at));
    while (!this.host.isBar(place) && place + by >= 0 && place + by <= last) place += by;
    return place;
  }

  private into(at: number): void {
    const scale = this.chart.timeScale();
    const range = scale.getVisibleLogicalRange();
    if (!range || (at >= range.from && at <= range.to)) return;
    const by = at < range.from ? at - range.from - 2 : at - range.to + 2;
    scale.setVisibleLogicalRange({ from: range.from + by, to: range.to + by });
  }

  private zoom({ from, to }: { from: number; to: number }, by: number): void {
    const middle = this.at ?? to;
    this.chart.timeScale().setVisibleLogicalRange({ from: middle - (middle - from) * by, to: middle + (to - middle) * by });
  }
}
