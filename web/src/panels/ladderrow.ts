// One row of the ladder: a price, what rests there, and everything from the touch to it. A change of the size at the same price flashes once.

import type { Level, Side } from "../api/types.ts";
import type { BookSide } from "../book/grouping.ts";
import { h, mark, type Value, Value as TextValue, value } from "../ui/dom.ts";
import { fixed, size } from "../ui/format.ts";

const FLASH_MS = 420;

export interface RowScale {
  readonly size: number; // that fills the bar
  readonly total: number;
  readonly priceDecimals: number;
  readonly sizeDecimals: number;
}

export class LadderRow {
  readonly el: HTMLElement;
  level: Level | undefined;
  private readonly priceButton = h("button", { type: "button", tabindex: -1, class: "num price" });
  private readonly price: Value = new TextValue(this.priceButton);
  private readonly size: Value = value("num own");
  private readonly total: Value = value("num total");

  constructor(side: BookSide, index: number, chosen: (row: LadderRow) => void) {
    for (const cell of [this.priceButton, this.size.el, this.total.el]) cell.setAttribute("role", "gridcell");
    this.el = h("div", { class: "level", role: "row", id: `ladder-${side}-${index}`, "data-side": side }, this.price.el, this.size.el, this.total.el);
    this.priceButton.addEventListener("click", () => chosen(this));
  }

  /** Says whether its size changed much enough to flash. */
  set(level: Level, total: number, scale: RowScale): boolean {
    const before = this.level;
    this.level = level;
    const [price, own] = level;
    mark(this.el, "blank", "");
    this.price.set(fixed(price, scale.priceDecimals), price);
    this.size.set(size(own, scale.sizeDecimals), own);
    this.total.set(size(total, scale.sizeDecimals), total);
    this.bars(own / scale.size, total / scale.total);
    return before !== undefined && before[0] === price && Math.abs(before[1] - own) > 0.04 * scale.size;
  }

  /** Nothing to show here: `unknown` what is further out is not known, `end` there is nothing. */
  blank(kind: "unknown" | "end", words: string): void {
    this.level = undefined;
    mark(this.el, "blank", kind);
    mark(this.el, "last", "");
    this.price.set(words, null);
    this.size.set("", null);
    this.total.set("", null);
    this.bars(0, 0);
  }

  last(side: Side | ""): void {
    mark(this.el, "last", side);
  }

  flash(): void {
    const from = "color-mix(in srgb, var(--tone) 38%, transparent)";
    this.size.el.animate([{ backgroundColor: from }, { backgroundColor: "transparent" }], { duration: FLASH_MS, easing: "ease-out" });
  }

  private bars(own: number, sum: number): void {
    this.el.style.setProperty("--own", Math.min(1, own).toFixed(3));
    this.el.style.setProperty("--sum", Math.min(1, sum).toFixed(3));
  }
}
