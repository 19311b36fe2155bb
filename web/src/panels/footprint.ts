// The footprint chart: each bar a column of price bins, sells × buys in each, imbalances marked, the point of control framed, delta and
// volume under it. Too narrow for figures, bins become bars of colour.

import { short } from "../state/catalogue.ts";
import { Span } from "../state/flow.ts";
import { type Cell, type Column, steps } from "../state/footprint.ts";
import { FootprintStore } from "../state/footprintstore.ts";
import type { Session } from "../state/session.ts";
import "../styles/flow.css";
import { type Colors, colors, navigate, sheet, SMALL } from "../ui/sheet.ts";
import { h, mark, panel, show, value } from "../ui/dom.ts";
import { clock, day, fixed, signed } from "../ui/format.ts";
import type { Topic } from "../ui/scheduler.ts";
import type { Shown } from "./kinds.ts";

const RIGHT = 62;
const FOOT = 46; // pixels under the bins: delta, volume, time
const TEXT_WIDTH = 74; // from here on figures fit
const LEAST_ROW = 11;
const MOST_ROW = 22;
const TWIN_ROWS = 12;
const NEAR_FIRST = 10;

export class FootprintPanel implements Shown {
  readonly topics: readonly Topic[] = ["bars", "selection", "theme", "zone"];
  readonly el: HTMLElement;
  private readonly session: Session;
  private readonly store: FootprintStore;
  private readonly span = new Span(96, 14, 220);
  private readonly canvas = h("canvas", { class: "flow-canvas", tabindex: "0", role: "img", "aria-label": "Footprint; the table after it says the same. Arrow keys move, + and − zoom" });
  private readonly step = h("select", { "aria-label": "Footprint step" });
  private readonly legend = value("flow-legend num", "footprint-legend");
  private readonly trouble = h("p", { class: "empty", role: "status", hidden: true });
  private readonly twin = h("tbody");
  private hover: number | null = null;
  private offered = "";
  private moved = 0; // pixels that prices were moved by
  private queued = false;
  private resets = -1;

  constructor(session: Session) {
    this.session = session;
    this.store = new FootprintStore(session, () => this.later());
    session.add(this.store);
    const head = h("div", { class: "venues-head" }, h("label", {}, "step ", this.step), h("span", { class: "flow-key" }, "sells × buys"), this.legend.el);
    const names = ["Time", "Buys", "Sells", "Delta", "Volume", "Point of control", "State"];
    const twin = h("table", { class: "sr", "data-testid": "footprint-twin" }, h("caption", {}, "Footprint of the last bars"), h("thead", {}, h("tr", {}, ...names.map((n) => h("th", { scope: "col" }, n)))), this.twin);
    this.el = panel("footprint", "Footprint", head, h("div", { class: "flow-chart" }, this.trouble, this.canvas, twin));
    this.step.addEventListener("change", () => this.store.choose(this.step.value === "" ? null : Number(this.step.value)));
    navigate(this.canvas, {
      zoom: (factor) => (this.span.zoom(factor), this.draw()), pan: (pixels) => (this.span.pan(pixels / this.span.width), this.draw()),
      latest: () => ((this.span.back = 0), (this.moved = 0), this.draw()),
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (event.buttons === 1) this.moved += event.movementY;
      this.point(event.offsetX);
    });
    this.canvas.addEventListener("dblclick", () => ((this.moved = 0), this.draw()));
    this.canvas.addEventListener("pointerleave", () => this.point(null));
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  visible(shown: boolean): void {
    this.store.look(shown);
  }

  render(dirty: ReadonlySet<Topic>): void {
    const { resets } = this.session.view;
    if (resets !== this.resets) this.moved = 0;
    this.resets = resets;
    if (dirty.size === 1 && dirty.has("bars")) return; // its own store says when something changed
    this.draw();
  }

  private later(): void {
    if (this.queued) return;
    this.queued = true;
    requestAnimationFrame(() => {
      this.queued = false;
      this.draw();
      this.tell();
    });
  }

  private get decimals(): number {
    return this.session.market.rows.get(this.session.view.id)?.priceDecimals ?? 2;
  }

  private view(): Column[] {
    const { columns } = this.store;
    const [first, last] = this.span.view(columns.length, this.canvas.clientWidth - RIGHT);
    if (first < NEAR_FIRST && columns.length > 0) void this.store.fetchOlder();
    return columns.slice(first, last);
  }

  private draw(): void {
    this.offer();
    const { trouble, columns } = this.store;
    show(this.trouble, trouble !== "" || columns.length === 0);
    this.trouble.textContent = trouble || "No trades of these bars are known yet.";
    const on = sheet(this.canvas);
    if (!on) return;
    const view = this.view();
    const { g, width, height } = on;
    const c = colors();
    const last = view.at(-1);
    if (!last) return;
    const right = width - RIGHT;
    const bottom = height - FOOT;
    const cells = view.flatMap((v) => v.cells);
    const low = Math.min(...cells.map((x) => x.bin));
    const high = Math.max(...cells.map((x) => x.bin)) + 1;
    const row = Math.max(LEAST_ROW, Math.min(MOST_ROW, bottom / Math.max(1, high - low)));
    // All bins where they fit, else around the point of control of the newest bar.
    const middle = (high - low) * row <= bottom ? (low + high) / 2 : (last.poc ?? low) + 0.5;
    const y = (bin: number): number => bottom / 2 - (bin - middle) * row + this.moved;
    g.font = SMALL;
    g.textBaseline = "middle";
    g.save();
    g.beginPath();
    g.rect(0, 0, right, bottom);
    g.clip();
    view.forEach((column, i) => this.column(g, column, right - (view.length - i) * this.span.width, row, y, c));
    g.restore();
    view.forEach((column, i) => this.foot(g, column, right - (view.length - i) * this.span.width, bottom, c));
    this.prices(g, low, high, row, y, right, bottom, c);
    this.say(view);
  }

  private column(g: CanvasRenderingContext2D, column: Column, x: number, row: number, y: (bin: number) => number, c: Colors): void {
    const w = this.span.width - 4;
    const text = w >= TEXT_WIDTH && row >= LEAST_ROW;
    for (const cell of column.cells) {
      const top = y(cell.bin + 1);
      const half = w / 2;
      const size = (amount: number): number => (column.most > 0 ? amount / column.most : 0);
      g.globalAlpha = column.complete ? 0.28 : 0.16;
      g.fillStyle = c.down;
      g.fillRect(x + 2 + half - size(cell.sell) * half, top + 1, size(cell.sell) * half, row - 2);
      g.fillStyle = c.up;
      g.fillRect(x + 2 + half, top + 1, size(cell.buy) * half, row - 2);
      g.globalAlpha = 1;
      if (cell.poc) {
        g.strokeStyle = c.text;
        g.lineWidth = 1;
        g.strokeRect(x + 2.5, Math.round(top) + 0.5, w - 1, row - 1);
      }
      if (text) this.figures(g, cell, x + 2 + half, half, top + row / 2, c);
      else if (cell.heavy) marked(g, cell, x + 2, w, top, row, c);
    }
  }

  private figures(g: CanvasRenderingContext2D, cell: Cell, middle: number, half: number, y: number, c: Colors): void {
    const one = (amount: number, heavy: boolean, left: boolean): void => {
      if (amount === 0) return;
      g.font = heavy ? `700 ${SMALL}` : SMALL;
      g.fillStyle = heavy ? (left ? c.down : c.up) : c.text;
      g.textAlign = left ? "right" : "left";
      g.fillText(`${heavy && left ? "◂" : ""}${short(amount)}${heavy && !left ? "▸" : ""}`, left ? middle - 5 : middle + 5, y, half - 6);
    };
    one(cell.sell, cell.heavy === "sell" || cell.heavy === "both", true);
    one(cell.buy, cell.heavy === "buy" || cell.heavy === "both", false);
    g.font = SMALL;
    g.textAlign = "left";
  }

  private foot(g: CanvasRenderingContext2D, column: Column, x: number, bottom: number, c: Colors): void {
    const w = this.span.width;
    const delta = column.buy - column.sell;
    g.strokeStyle = c.grid;
    g.beginPath();
    g.moveTo(x, bottom + 0.5);
    g.lineTo(x + w, bottom + 0.5);
    g.stroke();
    if (w < 34) return;
    g.textAlign = "center";
    g.fillStyle = delta >= 0 ? c.up : c.down;
    g.fillText(`${delta > 0 ? "+" : ""}${short(delta).replace("-", "−")}`, x + w / 2, bottom + 9, w - 4);
    g.fillStyle = c.muted;
    g.fillText(short(column.buy + column.sell), x + w / 2, bottom + 22, w - 4);
    g.fillStyle = column.complete ? c.muted : c.warn;
    g.fillText(`${column.complete ? "" : "◔ "}${clock(column.ts).slice(0, w < 56 ? 5 : 8)}`, x + w / 2, bottom + 36, w - 4);
    g.textAlign = "left";
  }

  private prices(g: CanvasRenderingContext2D, low: number, high: number, row: number, y: (bin: number) => number, right: number, bottom: number, c: Colors): void {
    g.fillStyle = c.muted;
    const every = Math.max(1, Math.ceil(14 / row));
    for (let bin = Math.ceil(low / every) * every; bin < high; bin += every) {
      const at = y(bin + 0.5);
      if (at > 6 && at < bottom - 4) g.fillText(fixed(bin * this.store.step, this.decimals), right + 5, at, RIGHT - 8);
    }
    for (const [i, text] of ["delta", "volume"].entries()) g.fillText(text, right + 5, bottom + 9 + 13 * i);
  }

  private say(view: readonly Column[]): void {
    const column = view[this.hover ?? view.length - 1] ?? view.at(-1);
    if (!column) return this.legend.set("", null);
    const { buy, sell, poc, ts, complete } = column;
    const parts = [`${day(ts)} ${clock(ts)}`, `buys ${short(buy)}`, `sells ${short(sell)}`, `delta ${signed(buy - sell, 4)}`, `POC ${poc === null ? "–" : fixed(poc * this.store.step, this.decimals)}`];
    this.legend.set([...parts, ...(complete ? [] : ["incomplete"])].join("   "), buy - sell);
    mark(this.legend.el, "partial", String(!complete));
  }

  private point(px: number | null): void {
    const room = this.canvas.clientWidth - RIGHT;
    const shown = this.view().length;
    this.hover = px === null || px > room ? null : shown - 1 - Math.floor((room - px) / this.span.width);
    this.draw();
  }

  /** The menu of steps: automatic first, then those around it. */
  private offer(): void {
    const { auto, tick, step, chosen } = this.store;
    const now = step || auto;
    const key = `${now} ${tick} ${chosen}`;
    if (key === this.offered) return;
    this.offered = key;
    const all = steps(now, tick);
    const automatic = h("option", { value: "" }, `auto (${chosen === null ? now : auto})`);
    this.step.replaceChildren(automatic, ...all.map((s) => h("option", { value: s }, String(s))));
    this.step.value = chosen === null ? "" : String(chosen);
  }

  private tell(): void {
    const rows = this.store.columns.slice(-TWIN_ROWS).reverse();
    this.twin.replaceChildren(...rows.map((v) => {
      const cells: (string | number)[] = [clock(v.ts), v.buy, v.sell, v.buy - v.sell, v.buy + v.sell, v.poc === null ? "–" : fixed(v.poc * this.store.step, this.decimals), v.complete ? "complete" : "incomplete"];
      return h("tr", { "data-ts": v.ts }, ...cells.map((cell) => h("td", {}, String(cell))));
    }));
  }
}

/** Where there is no room for figures an imbalance is a stroke at its side. */
function marked(g: CanvasRenderingContext2D, cell: Cell, x: number, w: number, top: number, row: number, c: Colors): void {
  if (cell.heavy !== "buy") {
    g.fillStyle = c.down;
    g.fillRect(x, top + 1, 2, row - 2);
  }
  if (cell.heavy !== "sell") {
    g.fillStyle = c.up;
    g.fillRect(x + w - 2, top + 1, 2, row - 2);
  }
}
