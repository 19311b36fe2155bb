// Horizontal lines: the viewer's own, which are dragged, moved by keys and removed, and those of alert rules, which only stand there.
//
// Each own line has a handle at the price axis, a slider to the keyboard: up and down move it by a tick, with Shift by ten, Delete takes
// it away. The line itself can be dragged, too: whatever is within a few pixels of it belongs to it, not to the chart.

import { type IChartApi, type IPriceLine, type ISeriesPrimitive, LineStyle, type Time } from "lightweight-charts";
import { h, mark } from "../ui/dom.ts";
import { fixed } from "../ui/format.ts";
import { token } from "../ui/theme.ts";
import type { RuleLine } from "./marks.ts";
import type { PriceView } from "./price.ts";

const NEAR = 5; // pixels
const SIGNS = { raised: "▲", armed: "○", cooling: "◷", warming: "◐", muted: "∅", waiting: "…", unstreamed: "⊘", done: "✓" } as const;

interface Level {
  price: number;
  readonly line: IPriceLine;
  readonly handle: HTMLElement;
}

export class Levels implements ISeriesPrimitive<Time> {
  readonly el = h("div", { class: "price-lines", role: "group", "aria-label": "Lines" });
  private readonly chart: IChartApi;
  private readonly box: HTMLElement;
  private readonly view: PriceView;
  private readonly changed: (prices: number[]) => void;
  private levels: Level[] = [];
  private rules: { readonly key: string; readonly line: IPriceLine }[] = [];
  private said = "";
  private decimals = 2;

  constructor(chart: IChartApi, box: HTMLElement, view: PriceView, changed: (prices: number[]) => void) {
    this.chart = chart;
    this.box = box;
    this.view = view;
    this.changed = changed;
    box.addEventListener("pointerdown", (event) => this.grab(event), { capture: true });
    box.addEventListener("pointermove", (event) => mark(box, "over", this.near(event) ? "line" : ""));
  }

  get prices(): number[] {
    return this.levels.map((level) => level.price);
  }

  show(prices: readonly number[], rules: readonly RuleLine[], decimals: number, again: boolean): void {
    this.decimals = decimals;
    const said = JSON.stringify([prices, rules, decimals]);
    if (said === this.said && !again) return;
    this.said = said;
    if (again) this.drop();
    if (again || prices.length !== this.levels.length || prices.some((price, i) => price !== this.levels[i]?.price)) this.own(prices);
    this.ofRules(rules);
    this.updateAllViews();
  }

  /** Called by the chart before each of its paints: handles stand where their lines do. */
  updateAllViews(): void {
    const { series } = this.view;
    const height = this.chart.panes()[0]?.getHeight() ?? 0;
    for (const { price, handle } of this.levels) {
      const y = series.priceToCoordinate(price);
      const inside = y !== null && y >= 0 && y <= height;
      handle.classList.toggle("outside", !inside);
      if (inside) handle.style.transform = `translateY(${Math.round(y)}px)`;
    }
    const right = `${this.chart.priceScale("right").width() + 4}px`;
    if (this.el.style.right !== right) this.el.style.right = right;
  }

  remove(price: number): void {
    this.changed(this.prices.filter((p) => p !== price));
  }

  /** The own line at a height of the chart's box. */
  at(y: number): number | null {
    const found = this.levels.find(({ price }) => Math.abs((this.view.series.priceToCoordinate(price) ?? Number.POSITIVE_INFINITY) - y) <= NEAR);
    return found?.price ?? null;
  }

  private own(prices: readonly number[]): void {
    const focused = this.levels.findIndex(({ handle }) => handle.contains(document.activeElement));
    for (const { line, handle } of this.levels) {
      this.view.series.removePriceLine(line);
      handle.remove();
    }
    this.levels = prices.map((price) => this.make(price));
    if (focused >= 0) this.levels[focused]?.handle.querySelector<HTMLElement>("[role=slider]")?.focus();
  }

  /** The series was made anew, or colours changed. */
  private drop(): void {
    this.own([]);
    this.ofRules([]);
  }

  private make(price: number): Level {
    const color = token("accent");
    const line = this.view.series.createPriceLine({
      price, color, lineWidth: 1, lineStyle: LineStyle.Solid, axisLabelVisible: true, axisLabelColor: color, axisLabelTextColor: token("panel"), title: "",
    });
    const grip = h("span", { class: "level-grip", role: "slider", tabindex: "0", "aria-label": "Line", "aria-orientation": "vertical", "data-testid": "level" }, "≡");
    const away = h("button", { type: "button", class: "level-away", tabindex: "-1", "aria-label": `Remove the line at ${fixed(price, this.decimals)}` }, "×");
    const level: Level = { price, line, handle: h("div", { class: "level-handle" }, grip, away) };
    away.addEventListener("click", () => this.remove(level.price));
    grip.addEventListener("pointerdown", (event) => this.drag(event, level));
    grip.addEventListener("keydown", (event) => this.key(event, level));
    this.el.append(level.handle);
    this.tell(level);
    return level;
  }

  private tell({ price, handle }: Level): void {
    const grip = handle.firstElementChild;
    grip?.setAttribute("aria-valuenow", String(price));
    grip?.setAttribute("aria-valuetext", fixed(price, this.decimals));
  }

  private move(level: Level, price: number): void {
    level.price = Number(price.toFixed(this.decimals));
    level.line.applyOptions({ price: level.price });
    this.tell(level);
  }

  private key(event: KeyboardEvent, level: Level): void {
    const by = event.key === "ArrowUp" ? 1 : event.key === "ArrowDown" ? -1 : 0;
    if (by !== 0) this.move(level, level.price + by * (event.shiftKey ? 10 : 1) * 10 ** -this.decimals);
    else if (event.key !== "Delete" && event.key !== "Backspace") return;
    event.preventDefault();
    event.stopPropagation();
    if (by === 0) this.remove(level.price);
    else this.changed(this.prices);
  }

  private near(event: PointerEvent): Level | undefined {
    const y = event.clientY - this.box.getBoundingClientRect().top;
    const price = this.at(y);
    return price === null ? undefined : this.levels.find((level) => level.price === price);
  }

  private grab(event: PointerEvent): void {
    const level = event.button === 0 ? this.near(event) : undefined;
    if (level) this.drag(event, level);
  }

  private drag(event: PointerEvent, level: Level): void {
    event.stopPropagation();
    const { top } = this.box.getBoundingClientRect();
    const still = new AbortController();
    this.chart.applyOptions({ handleScroll: false, handleScale: false });
    const moved = (e: PointerEvent): void => {
      const price = this.view.series.coordinateToPrice(e.clientY - top);
      if (price !== null) this.move(level, price);
    };
    const done = (): void => {
      still.abort();
      this.chart.applyOptions({ handleScroll: true, handleScale: { axisPressedMouseMove: true, mouseWheel: true, pinch: true } });
      this.changed(this.prices);
    };
    window.addEventListener("pointermove", moved, { signal: still.signal });
    for (const end of ["pointerup", "pointercancel"] as const) window.addEventListener(end, done, { signal: still.signal });
  }

  private ofRules(rules: readonly RuleLine[]): void {
    for (const { line } of this.rules) this.view.series.removePriceLine(line);
    this.rules = rules.map((rule) => {
      const color = rule.state === "raised" ? token("bad") : rule.state === "muted" || rule.state === "done" ? token("muted") : token("warn");
      const title = `${SIGNS[rule.state]} ${rule.rule}`;
      const line = this.view.series.createPriceLine({
        price: rule.price, color, lineWidth: 1, lineStyle: LineStyle.Dashed, axisLabelVisible: true, axisLabelColor: color, axisLabelTextColor: token("panel"), title,
      });
      return { key: rule.rule, line };
    });
  }
}
