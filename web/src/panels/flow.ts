// Who pushes: the sum of the volume delta beside the price, the delta of each bar, and what was bought and sold by size of order.
//
// Bars are the chart's own. The sum begins with the first bar in view, so that the line says what happened here, and is broken by nothing:
// a bar that is incomplete, or whose aggressors are not known, is marked under the line.

import { bucketsOf, type FlowPoint, flowOf, Span } from "../state/flow.ts";
import { short } from "../state/catalogue.ts";
import type { Session } from "../state/session.ts";
import { amountText } from "../state/tape.ts";
import { TapeStore } from "../state/tapestore.ts";
import "../styles/flow.css";
import { colors, FONT, navigate, sheet, SMALL } from "../ui/sheet.ts";
import { h, mark, panel, value } from "../ui/dom.ts";
import { clock, day, fixed, signed } from "../ui/format.ts";
import type { Topic } from "../ui/scheduler.ts";
import type { Shown } from "./kinds.ts";

const RIGHT = 58; // pixels of the scales
const DELTA_SHARE = 0.26; // of the height
const DRAWN: readonly Topic[] = ["bars", "selection", "theme", "zone"];
const TWIN_ROWS = 12;
const MOST_TRADES = 10_000; // that the sizes are counted of
const MOST_OLDER = 4; // pages of trades fetched for the sizes

export class Flow implements Shown {
  readonly topics: readonly Topic[] = ["bars", "trades", "selection", "theme", "zone", "clock"];
  readonly el: HTMLElement;
  private readonly session: Session;
  private readonly store: TapeStore;
  private readonly span = new Span(8, 2, 40);
  private readonly canvas = h("canvas", { class: "flow-canvas", tabindex: "0", role: "img", "aria-label": "Cumulative volume delta and price; the table after it says the same. Arrow keys move, + and − zoom" });
  private readonly legend = value("flow-legend num", "flow-legend");
  private readonly twin = h("tbody");
  private readonly sizes = h("tbody");
  private readonly sizesOf = value("flow-of");
  private points: FlowPoint[] = [];
  private hover: number | null = null;
  private counted = 0;
  private stale = true; // trades came since the sizes were counted
  private fetched = 0;
  private looks = false;
  private resets = -1;

  constructor(session: Session) {
    this.session = session;
    this.store = new TapeStore(session, MOST_TRADES);
    session.add(this.store);
    const twin = h(
      "table", { class: "sr" }, h("caption", {}, "Volume delta of the last bars"),
      h("thead", {}, h("tr", {}, ...["Time", "Price", "Delta", "Sum"].map((name) => h("th", { scope: "col" }, name)))), this.twin,
    );
    const sizes = h(
      "table", { class: "flow-sizes" }, h("caption", {}, "By size of order, ", this.sizesOf.el),
      h("thead", {}, h("tr", {}, ...["From", "Bought", "Sold", "Delta", "Orders"].map((name) => h("th", { scope: "col" }, name)))), this.sizes,
    );
    const chart = h("div", { class: "flow-chart" }, this.legend.el, this.canvas, twin);
    this.el = panel("flow", "Flow", h("div", { class: "flow" }, chart, h("div", { class: "flow-side" }, sizes)));
    const touch = (): void => this.draw();
    navigate(this.canvas, {
      zoom: (factor) => (this.span.zoom(factor), touch()), pan: (pixels) => (this.span.pan(pixels / this.span.width), touch()),
      latest: () => ((this.span.back = 0), touch()),
    });
    this.canvas.addEventListener("pointermove", (event) => this.point(event.offsetX));
    this.canvas.addEventListener("pointerleave", () => this.point(null));
    new ResizeObserver(touch).observe(this.canvas);
  }

  visible(shown: boolean): void {
    this.looks = shown;
    this.store.look(shown);
    if (shown) this.stale = true;
    if (shown) this.fetched = 0;
  }

  render(dirty: ReadonlySet<Topic>): void {
    const another = this.session.view.resets !== this.resets;
    this.resets = this.session.view.resets;
    if (another) this.fetched = 0;
    if (dirty.has("bars") || dirty.has("selection")) this.points = flowOf(this.session.view.series.bars);
    if (DRAWN.some((topic) => dirty.has(topic))) this.draw();
    const now = performance.now();
    if (dirty.has("trades") || another) this.stale = true;
    if (!this.stale || (now - this.counted < 1000 && !another)) return;
    this.counted = now;
    this.stale = false;
    this.count();
    this.tell();
  }

  private view(): readonly FlowPoint[] {
    const [first, last] = this.span.view(this.points.length, this.canvas.clientWidth - RIGHT);
    if (first < 60 && first < this.points.length) void this.session.candles.loadOlder();
    const before = this.points[first - 1]?.sum ?? 0;
    return this.points.slice(first, last).map((p) => ({ ...p, sum: p.sum - before }));
  }

  private draw(): void {
    const on = sheet(this.canvas);
    if (!on) return;
    const view = this.view();
    const { g, width, height } = on;
    const c = colors();
    const right = width - RIGHT;
    const floor = height * (1 - DELTA_SHARE);
    const w = this.span.width;
    const x = (i: number): number => right - (view.length - i - 0.5) * w;
    g.font = SMALL;
    const sums = scale(view.map((p) => p.sum), 14, floor - 10, true);
    const prices = scale(view.map((p) => p.close), 14, floor - 10, false);
    const most = Math.max(1e-12, ...view.map((p) => Math.abs(p.delta ?? 0)));
    const middle = (floor + height) / 2;
    g.strokeStyle = c.grid;
    g.lineWidth = 1;
    for (const y of [sums(0), floor, middle]) rule(g, y, right);
    view.forEach((p, i) => {
      const tall = (Math.abs(p.delta ?? 0) / most) * ((height - floor) / 2 - 3);
      g.fillStyle = (p.delta ?? 0) >= 0 ? c.up : c.down;
      g.globalAlpha = p.partial ? 0.4 : 0.85;
      g.fillRect(x(i) - w * 0.4, (p.delta ?? 0) >= 0 ? middle - tall : middle, Math.max(1, w * 0.8), tall);
      if (p.partial) {
        g.fillStyle = c.warn;
        g.fillRect(x(i) - w * 0.4, height - 2, Math.max(1, w * 0.8), 2);
      }
    });
    g.globalAlpha = 1;
    line(g, view.map((p, i) => [x(i), prices(p.close)]), c.muted, 1);
    line(g, view.map((p, i) => [x(i), sums(p.sum)]), c.accent, 1.75);
    this.scales(g, view, sums, prices, right, c);
    if (this.hover !== null && view[this.hover]) {
      g.strokeStyle = c.muted;
      g.setLineDash([3, 3]);
      rule(g, 0, 0);
      g.beginPath();
      g.moveTo(x(this.hover), 0);
      g.lineTo(x(this.hover), height);
      g.stroke();
      g.setLineDash([]);
    }
    this.say(view);
  }

  private scales(g: CanvasRenderingContext2D, view: readonly FlowPoint[], sums: (v: number) => number, prices: (v: number) => number, right: number, c: ReturnType<typeof colors>): void {
    const last = view.at(-1);
    if (!last) return;
    const decimals = this.session.market.rows.get(this.session.view.id)?.priceDecimals ?? 2;
    g.font = FONT;
    g.textBaseline = "middle";
    let [ySum, yPrice] = [sums(last.sum), prices(last.close)];
    if (Math.abs(ySum - yPrice) < 13) yPrice = ySum + (yPrice >= ySum ? 13 : -13);
    g.fillStyle = c.accent;
    g.fillText(short(last.sum).replace("-", "−"), right + 5, ySum);
    g.fillStyle = c.muted;
    g.fillText(fixed(last.close, Math.min(2, decimals)), right + 5, yPrice);
  }

  private say(view: readonly FlowPoint[]): void {
    const at = this.hover !== null && view[this.hover] ? this.hover : view.length - 1;
    const p = view[at];
    if (!p) return this.legend.set("no bars yet", null);
    const { priceDecimals: d = 2, sizeDecimals: s = 4 } = this.session.market.rows.get(this.session.view.id) ?? {};
    const parts = [`${day(p.ts)} ${clock(p.ts)}`, `price ${fixed(p.close, d)}`, `delta ${p.delta === null ? "not known" : signed(p.delta, s)}`, `sum ${signed(p.sum, s)}`];
    this.legend.set([...parts, ...(p.partial ? ["incomplete"] : [])].join("   "), p.delta);
    mark(this.legend.el, "partial", String(p.partial));
  }

  private point(px: number | null): void {
    const [first, last] = this.span.view(this.points.length, this.canvas.clientWidth - RIGHT);
    const room = this.canvas.clientWidth - RIGHT;
    const at = px === null || px > room ? null : last - first - 1 - Math.floor((room - px) / this.span.width);
    if (at === this.hover) return;
    this.hover = at;
    this.draw();
  }

  private count(): void {
    const { tape } = this.store;
    this.store.sync();
    if (this.looks && this.fetched < MOST_OLDER && this.store.older === "idle" && tape.oldest) {
      this.fetched++;
      void this.store.fetchOlder();
    }
    const { buckets, since, holes } = bucketsOf(tape.rows);
    this.sizesOf.set(since ? `since ${clock(since)}${holes ? ", with holes ⚠" : ""}` : "no trades yet");
    const most = Math.max(1, ...buckets.flatMap((b) => [b.buy, b.sell]));
    this.sizes.replaceChildren(...buckets.map((b) => {
      const cell = (side: "up" | "down", amount: number): HTMLElement => {
        const bar = h("span", { class: "flow-bar", "data-side": side });
        bar.style.setProperty("--own", (amount / most).toFixed(3));
        return h("td", { "data-value": amount, "data-testid": `flow-${side === "up" ? "buy" : "sell"}-${b.from}` }, bar, h("span", { class: "num" }, amount > 0 ? short(amount) : "–"));
      };
      const delta = b.buy - b.sell;
      const sum = h("td", { class: "num", "data-side": delta > 0 ? "up" : delta < 0 ? "down" : "" }, delta === 0 ? "–" : signed(delta / 1e3, 1) + "K");
      return h("tr", {}, h("th", { scope: "row" }, b.from === 0 ? "less" : `≥ ${amountText({ value: b.from, of: "notional" }, "", "")}`), cell("up", b.buy), cell("down", b.sell), sum, h("td", { class: "num" }, b.orders.toLocaleString("en")));
    }));
  }

  private tell(): void {
    const rows = this.points.slice(-TWIN_ROWS).reverse();
    this.twin.replaceChildren(...rows.map((p) => h("tr", {}, ...[clock(p.ts), String(p.close), p.delta === null ? "not known" : String(p.delta), String(p.sum)].map((text) => h("td", {}, text)))));
  }
}

function scale(values: readonly number[], top: number, bottom: number, zero: boolean): (v: number) => number {
  const low = Math.min(...values, ...(zero ? [0] : []));
  const high = Math.max(...values, ...(zero ? [0] : []));
  const span = high - low || 1;
  return (v) => bottom - ((v - low) / span) * (bottom - top);
}

function rule(g: CanvasRenderingContext2D, y: number, to: number): void {
  g.beginPath();
  g.moveTo(0, Math.round(y) + 0.5);
  g.lineTo(to, Math.round(y) + 0.5);
  g.stroke();
}

function line(g: CanvasRenderingContext2D, points: readonly (readonly [number, number])[], color: string, width: number): void {
  g.beginPath();
  points.forEach(([px, py], i) => (i === 0 ? g.moveTo(px, py) : g.lineTo(px, py)));
  g.strokeStyle = color;
  g.lineWidth = width;
  g.lineJoin = "round";
  g.stroke();
}
