// The heatmap's text twin: the largest sizes that rest in the book now, and since when.

import type { Session } from "../state/session.ts";
import { h, show, type Value, value } from "../ui/dom.ts";
import { age, bps, fixed, size } from "../ui/format.ts";
import { stepDecimals } from "../book/grouping.ts";
import { type Column, type Columns, type Wall, walls } from "./columns.ts";
import type { Scenery } from "./scene.ts";
import type { HeatStore } from "./store.ts";

const ROWS = 16;
const HEADS = ["Side", "From", "To", "Size", "Away", "Rests for"] as const;
const EVERY_MS = 500; // a table that changes faster cannot be read

export class WallTable {
  readonly el: HTMLElement;
  private readonly rows: { readonly el: HTMLElement; readonly cells: Value[] }[];
  private readonly session: Session;
  private readonly data: HeatStore;
  private readonly scene: Scenery;
  private at = -Infinity;

  constructor(session: Session, data: HeatStore, scene: Scenery) {
    this.session = session;
    this.data = data;
    this.scene = scene;
    this.rows = Array.from({ length: ROWS }, () => {
      const cells = HEADS.map(() => value("num"));
      return { el: h("tr", { hidden: true }, ...cells.map((c) => h("td", {}, c.el))), cells };
    });
    const head = h("tr", {}, ...HEADS.map((name) => h("th", { scope: "col" }, name)));
    const note = h("p", { class: "heat-note" }, "The largest resting sizes now. Age: since when at least half of it has rested at that price.");
    const table = h("table", { class: "twin", "aria-label": "Largest resting sizes" }, h("thead", {}, head), h("tbody", {}, ...this.rows.map((r) => r.el)));
    this.el = h("div", { class: "heat-table value", hidden: true, tabindex: 0, "data-testid": "heat-table" }, note, table);
  }

  /** Says whether it is shown now. */
  toggle(): boolean {
    show(this.el, this.el.hidden !== false);
    this.at = -Infinity;
    return this.el.hidden === false;
  }

  render(): void {
    const now = performance.now();
    const { columns } = this.data;
    if (this.el.hidden !== false || !columns || now - this.at < EVERY_MS) return;
    this.at = now;
    const column = this.scene.live ?? columns.at(columns.last);
    const list = column?.proved ? walls(columns, column, ROWS) : [];
    this.rows.forEach((row, i) => {
      const wall = list[i];
      show(row.el, wall !== undefined);
      if (wall && column) this.fill(row.cells, wall, column, columns);
    });
  }

  private fill(cells: readonly Value[], wall: Wall, column: Column, { step }: Columns): void {
    const row = this.session.market.rows.get(this.session.view.id);
    const mid = ((column.bid ?? 0) + (column.ask ?? 0)) / 2;
    const decimals = stepDecimals(step);
    const from = wall.bin * step;
    const texts: readonly (readonly [string, number | string])[] = [
      [wall.side, wall.side], [fixed(from, decimals), from], [fixed(from + step, decimals), from + step], [size(wall.size, row?.sizeDecimals ?? 4), wall.size],
      [bps((10_000 * (from + step / 2 - mid)) / mid), (10_000 * (from + step / 2 - mid)) / mid],
      [`${wall.older ? "more than " : ""}${age((this.scene.now - wall.since) / 1e6)}`, wall.since],
    ];
    texts.forEach(([text, raw], i) => cells[i]?.set(text, raw));
    cells[0]?.el.setAttribute("data-side", wall.side === "bid" ? "up" : "down");
  }
}
