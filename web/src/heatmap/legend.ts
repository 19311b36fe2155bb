// The colour scale with the sizes that it stands for.

import { h } from "../ui/dom.ts";
import { size } from "../ui/format.ts";
import type { Rgb } from "./colours.ts";
import { type Bounds, legendValues, SHADES, shadeOf } from "./scale.ts";

const TALL = 8;

export class Legend {
  readonly el: HTMLElement;
  private readonly canvas = h("canvas", { width: SHADES, height: TALL, class: "heat-scale", "aria-hidden": "true" });
  private readonly marks = h("span", { class: "heat-marks num", "aria-hidden": "true" });
  private shown = "";

  constructor() {
    this.el = h("span", { class: "heat-legend", role: "img", "data-testid": "heat-legend" }, this.canvas, this.marks);
  }

  colours(shades: readonly Rgb[]): void {
    const g = this.canvas.getContext("2d");
    if (!g) return;
    shades.forEach((shade, i) => {
      g.fillStyle = `rgb(${shade.join()})`;
      g.fillRect(i, 0, 1, TALL);
    });
  }

  values(bounds: Bounds, decimals: number): void {
    const key = `${bounds.low} ${bounds.high} ${decimals}`;
    if (key === this.shown) return;
    this.shown = key;
    const [low, high] = [size(bounds.low, decimals), size(bounds.high, decimals)];
    this.el.setAttribute("aria-label", `Colours from ${low} or less to ${high} or more, logarithmic`);
    this.el.title = `From ${low} or less to ${high} or more; hatched: the book was not proved; bare: nothing is known`;
    this.marks.replaceChildren(...legendValues(bounds).map((v) => {
      const text = h("i", {}, brief(v));
      text.style.setProperty("--at", (shadeOf(v, bounds) / (SHADES - 1)).toFixed(3));
      return text;
    }));
  }
}

/** 0.001, 0.1, 10, 1K, 10M. */
function brief(v: number): string {
  if (v >= 1e9) return `${v / 1e9}B`;
  if (v >= 1e6) return `${v / 1e6}M`;
  if (v >= 1e3) return `${v / 1e3}K`;
  return String(v);
}
