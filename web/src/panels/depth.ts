// The depth chart: all that rests on each side by its distance from the mid. It asks for the whole depth that the server gives, and only while
// it is looked at. Where the book is not known the curve ends and the ground is hatched; a book that is not proved is veiled.

import "../styles/depth.css";
import { type Curves, curves, DISTANCES, imbalance, imbalanceWords, isKnown, type Point, within } from "../book/curve.ts";
import { bpsAt, drawDepth } from "../book/drawing.ts";
import { bookState, whyNot } from "../book/proof.ts";
import type { Row } from "../state/market.ts";
import { DEPTH_KEYS, spokenKeys } from "../state/panelkeys.ts";
import type { Session } from "../state/session.ts";
import { Surface } from "../ui/canvas.ts";
import { type Ink, inks } from "../ui/ink.ts";
import { h, mark, panel, show, type Value, value } from "../ui/dom.ts";
import { bps, DASH, fixed, signed, size } from "../ui/format.ts";
import { act } from "../ui/keyboard.ts";
import type { Topic } from "../ui/scheduler.ts";
import { store, stored } from "../ui/theme.ts";
import type { Shown } from "./kinds.ts";

const DEPTH = 1000;
const RANGES = [1, 2, 5, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500] as const; // bps each way
const FIRST = 15;
const COLUMNS = ["Within", "Bids", "worth", "cost to sell", "Asks", "worth", "cost to buy", "Imbalance"] as const;

export class DepthChart implements Shown {
  readonly topics: readonly Topic[] = ["book", "selection", "status", "link", "theme"];
  readonly el: HTMLElement;
  private readonly session: Session;
  private readonly surface = new Surface("depth-canvas", () => this.draw(), true);
  private readonly box: HTMLElement;
  private readonly range = h("input", { type: "range", min: 0, max: RANGES.length - 1, step: 1, "aria-label": "Distance from the mid", "data-testid": "depth-range" });
  private readonly rangeText = value("num tool-value", "depth-range-text");
  private readonly words = value("depth-words value", "depth-words");
  private readonly hoverText = value("depth-hover num value", "depth-hover");
  private readonly verdict = value("veil-verdict");
  private readonly reason = value("veil-reason", "depth-reason");
  private readonly veil = h("div", { class: "veil", hidden: true }, this.verdict.el, this.reason.el);
  private readonly tableButton = h("button", { type: "button", class: "toggle", "aria-pressed": "false", title: "The same as a table" }, "Table");
  private readonly table: HTMLElement;
  private readonly cells: Value[][] = [];
  private hover: number | null = null; // bps, bids below 0
  private shown = false;
  private curves: Curves | null = null;
  private ink: Ink = inks();

  constructor(session: Session) {
    this.session = session;
    const known = RANGES.findIndex((r) => String(r) === stored("depth-range"));
    this.range.value = String(known < 0 ? RANGES.indexOf(FIRST) : known);
    const head = h("div", { class: "draw-tools" }, h("label", { class: "tool-part" }, h("span", {}, "±"), this.range, this.rangeText.el), this.words.el, this.tableButton);
    this.box = h("div", { class: "depth-box value", tabindex: 0, role: "group", "aria-label": `Depth by distance from the mid. Keys: ${spokenKeys(DEPTH_KEYS)}`, "data-testid": "depth-chart" }, this.surface.el, this.hoverText.el);
    this.table = h("div", { class: "depth-table value", hidden: true, tabindex: 0, "data-testid": "depth-table" }, this.makeTable());
    this.el = panel("depth", "Depth chart", head, h("div", { class: "depth-area" }, this.box, this.table, this.veil));
    this.listen();
  }

  visible(shown: boolean): void {
    if (shown === this.shown) return;
    this.shown = shown;
    const { depths } = this.session.prints;
    if (shown) depths.set("depth", DEPTH);
    else depths.delete("depth");
    this.session.asks();
    if (shown) this.render();
  }

  render(dirty?: ReadonlySet<Topic>): void {
    if (dirty?.has("theme")) this.ink = inks();
    if (!this.shown) return;
    const { view, market } = this.session;
    const row = market.rows.get(view.id);
    const state = bookState(view.book, row);
    mark(this.el, "book", state ?? "unknown");
    show(this.veil, state !== "synced" || !view.book);
    this.verdict.set(state === "none" ? "No book" : "Book not proved");
    if (state !== "synced" || !view.book) this.reason.set(whyNot(this.session, row, state), state);
    this.curves = view.book && row ? curves(view.book, view.bookDepth, row.sizeDecimals) : null;
    this.rangeText.set(`${this.bps} bps`, this.bps);
    const share = this.curves && imbalance(this.curves, this.bps);
    this.words.set(this.curves ? `${imbalanceWords(share)}${share === null ? "" : ` · ${signed(share * 100, 1)}%`}` : "", share);
    if (this.curves && row && !this.table.hidden) this.fillTable(this.curves, row);
    this.draw();
  }

  private get bps(): number {
    return RANGES[Number(this.range.value)] ?? FIRST;
  }

  private draw(): void {
    const row = this.session.market.rows.get(this.session.view.id);
    if (!this.shown || !row || !this.surface.ready()) return;
    if (this.curves) {
      drawDepth(this.surface, this.curves, { range: this.bps, hover: this.hover, priceDecimals: row.priceDecimals, sizeDecimals: row.sizeDecimals, ink: this.ink });
    } else this.surface.g.clearRect(0, 0, this.surface.width, this.surface.height);
    this.read(row);
  }

  private read(row: Row): void {
    const { hover, curves: all } = this;
    if (hover === null || !all) {
      this.hoverText.set("", null);
      return;
    }
    const curve = hover < 0 ? all.bid : all.ask;
    const point = within(curve, Math.abs(hover));
    const price = fixed(all.mid * (1 + hover / 10_000), row.priceDecimals);
    const rest = !isKnown(curve, Math.abs(hover)) ? "not known that far" : point ? this.amounts(point, row, hover < 0 ? "sell" : "buy") : "nothing up to here";
    this.hoverText.set(`${price}  ${signed(hover, 2)} bps  ${rest}`, point && isKnown(curve, Math.abs(hover)) ? point.size : null);
    mark(this.hoverText.el, "side", hover < 0 ? "up" : "down");
  }

  private amounts(point: Point, row: Row, verb: string): string {
    return `${size(point.size, row.sizeDecimals)} worth ${size(point.notional, 0)}  to ${verb} it costs ${bps(point.cost)}`;
  }

  private listen(): void {
    this.range.addEventListener("input", () => {
      store("depth-range", String(this.bps));
      this.render();
    });
    this.tableButton.addEventListener("click", () => {
      show(this.table, this.table.hidden !== false);
      this.tableButton.setAttribute("aria-pressed", String(!this.table.hidden));
      this.render();
    });
    this.box.addEventListener("pointermove", (event) => this.point(bpsAt(event.offsetX, this.surface.width, this.bps)));
    this.box.addEventListener("pointerleave", () => this.point(null));
    this.box.addEventListener("blur", () => this.point(null));
    this.box.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.sign(event.deltaY));
    }, { passive: false });
    this.box.addEventListener("keydown", (event) => this.key(event));
  }

  private key(event: KeyboardEvent): void {
    const step = this.bps / 40;
    act(event, DEPTH_KEYS, {
      left: () => this.point((this.hover ?? 0) - step),
      right: () => this.point((this.hover ?? 0) + step),
      closer: () => this.zoom(-1),
      wider: () => this.zoom(1),
      leave: () => this.point(null),
    });
  }

  private zoom(by: number): void {
    this.range.value = String(Number(this.range.value) + by);
    store("depth-range", String(this.bps));
    this.render();
  }

  private point(bpsFromMid: number | null): void {
    this.hover = bpsFromMid === null ? null : Math.max(-this.bps, Math.min(this.bps, bpsFromMid));
    this.session.scheduler.touch("book");
  }

  private makeTable(): HTMLElement {
    const rows = DISTANCES.map((distance) => {
      const cells = COLUMNS.slice(1).map((_, i) => value("num", `depth-${distance}-${i}`));
      this.cells.push(cells);
      return h("tr", {}, h("th", { scope: "row" }, `${distance} bps`), ...cells.map((c) => h("td", {}, c.el)));
    });
    const head = h("tr", {}, ...COLUMNS.map((name) => h("th", { scope: "col" }, name)));
    return h("table", { "aria-label": "Depth by distance from the mid" }, h("thead", {}, head), h("tbody", {}, ...rows));
  }

  private fillTable(all: Curves, row: Row): void {
    DISTANCES.forEach((distance, i) => {
      const sides = [all.bid, all.ask].flatMap((curve): [number | null, number | null, number | null] => {
        if (!isKnown(curve, distance)) return [null, null, null];
        const point = within(curve, distance);
        return [point?.size ?? 0, point?.notional ?? 0, point?.cost ?? null];
      });
      const share = imbalance(all, distance);
      const texts = sides.map((v, k) => (v === null ? DASH : k % 3 === 0 ? size(v, row.sizeDecimals) : k % 3 === 1 ? size(v, 0) : bps(v)));
      sides.forEach((v, k) => this.cells[i]?.[k]?.set(texts[k] ?? "", v));
      this.cells[i]?.[6]?.set(share === null ? DASH : `${signed(share * 100, 1)}%`, share);
    });
  }
}
