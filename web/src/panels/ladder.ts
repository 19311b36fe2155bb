// The order book: asks above, bids below, mid and spread fixed in the middle.
//
// As many rows a side as there is room for; each side can be scrolled away from the touch while the middle stays. Each row has two bars:
// its own size, and behind it everything up to it. Levels can be put together by a price step (`book/grouping.ts`); then more of them
// are asked for until the rows are full. What is past the farthest known price is hatched as unknown, never shown as an empty book.
//
// A book that is not proved right (any state but `synced`) is greyed and says why; it is never shown as if it were the market.

import "../styles/ladder.css";
import type { Book, Level } from "../api/types.ts";
import { type BookSide, grouped, isWhole, knownTo, stepDecimals, steps, totals } from "../book/grouping.ts";
import { bookState, whyNot } from "../book/proof.ts";
import type { Row } from "../state/market.ts";
import { LADDER_KEYS, spokenKeys } from "../state/panelkeys.ts";
import type { Session } from "../state/session.ts";
import { h, mark, panel, show, value } from "../ui/dom.ts";
import { bps, DASH, fixed } from "../ui/format.ts";
import { act } from "../ui/keyboard.ts";
import type { Topic } from "../ui/scheduler.ts";
import { reducedMotion, rowPx, store, stored } from "../ui/theme.ts";
import type { Page, Shown } from "./kinds.ts";
import { LadderRow, type RowScale } from "./ladderrow.ts";

const MOST_ROWS = 60;
const MOST_DEPTH = 1000; // levels a side that the server gives
const FIRST_DEPTH = 50;
const MOST_FLASHES = 8; // a paint
const DEPTHS = [50, 100, 250, 500, 1000] as const;

class LadderSide {
  readonly el: HTMLElement;
  rows: LadderRow[] = [];
  groups: Level[] = [];
  sums: number[] = [];
  known: number | null = null;
  cut = false; // more levels can be asked for
  from = 0; // groups scrolled past
  readonly side: BookSide;

  constructor(side: BookSide, testid: string) {
    this.side = side;
    this.el = h("div", { class: `levels ${testid}`, "data-testid": testid, role: "rowgroup" });
  }

  put(book: Book | null, asked: number, step: number, decimals: { price: number; size: number }): void {
    const levels = (this.side === "bid" ? book?.bids : book?.asks) ?? [];
    this.known = book ? knownTo(levels, asked, this.side === "bid" ? book.complete_to.bid : book.complete_to.ask) : null;
    this.cut = levels.length >= asked;
    this.groups = grouped(levels, this.side, step, decimals).filter(([price]) => isWhole(price, this.side, this.known));
    this.sums = totals(this.groups, decimals.size);
    this.from = Math.max(0, Math.min(this.from, this.groups.length - 1));
  }

  get shown(): Level[] {
    return this.groups.slice(this.from, this.from + this.rows.length);
  }

  fill(scale: RowScale, flashes: number): number {
    this.rows.forEach((row, i) => {
      const level = this.groups[this.from + i];
      if (!level) {
        const first = this.from + i === this.groups.length;
        row.blank(this.known === null && this.groups.length > 0 ? "end" : "unknown", first ? this.beyond(scale.priceDecimals) : "");
      } else if (row.set(level, this.sums[this.from + i] ?? 0, scale) && flashes-- > 0) row.flash();
    });
    return flashes;
  }

  private beyond(decimals: number): string {
    if (this.groups.length === 0) return this.known === null ? "" : "less than one step is known";
    if (this.known === null) return "the book ends here";
    return this.cut ? "more levels are not loaded" : `not known past ${fixed(this.known, decimals)}`;
  }
}

export class Ladder implements Shown {
  readonly topics: readonly Topic[] = ["book", "selection", "status", "link", "trades", "theme"];
  readonly el: HTMLElement;
  private readonly session: Session;
  private readonly page: Page;
  private readonly asks = new LadderSide("ask", "asks");
  private readonly bids = new LadderSide("bid", "bids");
  private readonly mid = value("num ladder-mid", "ladder-mid");
  private readonly spread = value("num ladder-spread", "ladder-spread");
  private readonly back = h("button", { type: "button", class: "ladder-back", hidden: true, title: "Back to the touch (Home)" }, "⇅ touch");
  private readonly grouping = h("select", { "aria-label": "Price step", title: "Price step: levels are put together, keys [ and ]", "data-testid": "ladder-step" });
  private readonly depths = h("select", { "aria-label": "Levels asked for", title: "Levels a side that are asked for", "data-testid": "ladder-depth" });
  private readonly verdict = value("veil-verdict");
  private readonly reason = value("veil-reason", "book-reason");
  private readonly veil: HTMLElement;
  private readonly body: HTMLElement;
  private step = 0; // 0: the tick
  private offered = "";
  private shownId = "";
  private cursor: number | null = null; // −1 the best bid, −2 the next; 0 the best ask
  private shown = true;

  constructor(session: Session, title: HTMLElement, page: Page) {
    this.session = session;
    this.page = page;
    const head = h("div", { class: "columns level", role: "presentation" }, h("span", {}, "Price"), h("span", {}, "Size"), h("span", {}, "Total"));
    const middle = h("div", { class: "ladder-middle", role: "presentation" }, this.mid.el, this.back, this.spread.el);
    this.veil = h("div", { class: "veil", hidden: true }, this.verdict.el, this.reason.el);
    this.body = h("div", { class: "ladder value", role: "grid", tabindex: 0, "aria-label": `Order book. Keys: ${spokenKeys(LADDER_KEYS)}` }, this.asks.el, middle, this.bids.el);
    const choices = h("div", { class: "ladder-choices" }, this.grouping, this.depths);
    this.el = panel("ladder", "Order book", h("div", { class: "ladder-head" }, title, choices), head, h("div", { class: "ladder-box" }, this.body, this.veil));
    this.depths.append(h("option", { value: "auto" }, "depth: auto"), ...DEPTHS.map((d) => h("option", { value: String(d) }, `depth: ${d}`)));
    this.listen();
    new ResizeObserver(() => this.fit()).observe(this.body);
  }

  visible(shown: boolean): void {
    this.shown = shown;
    if (!shown && this.session.prints.depths.delete("ladder")) this.session.asks();
    if (shown) this.render();
  }

  render(dirty?: ReadonlySet<Topic>): void {
    if (dirty?.has("theme")) this.fit(); // rows may be of another height
    if (!this.shown || document.hidden) return;
    const { view, market } = this.session;
    const row = market.rows.get(view.id);
    const state = bookState(view.book, row);
    mark(this.el, "book", state ?? "unknown");
    show(this.veil, state !== "synced" || !view.book);
    this.verdict.set(state === "none" ? "No book" : "Book not proved");
    if (state !== "synced" || !view.book) this.reason.set(whyNot(this.session, row, state), state);
    if (!row) return;
    if (view.id !== this.shownId) this.entered(view.id);
    this.offer(row);
    this.renderLevels(row, dirty?.has("book") ?? false);
    this.renderMiddle(row, view.book?.bids[0], view.book?.asks[0]);
  }

  private renderLevels(row: Row, moved: boolean): void {
    const { view, ticks, prints } = this.session;
    const step = this.step || ticks.of(view.id);
    const decimals = { price: row.priceDecimals, size: row.sizeDecimals };
    const sides = [this.bids, this.asks];
    for (const side of sides) side.put(view.book, view.bookDepth, step, decimals);
    const scale: RowScale = {
      size: Math.max(...sides.flatMap((s) => s.shown.map((l) => l[1])), 0) || 1,
      total: Math.max(...sides.map((s) => s.sums[s.from + s.rows.length - 1] ?? s.sums.at(-1) ?? 0)) || 1,
      priceDecimals: this.step ? stepDecimals(this.step) : row.priceDecimals,
      sizeDecimals: row.sizeDecimals,
    };
    let flashes = moved && !reducedMotion() ? MOST_FLASHES : 0;
    for (const side of sides) flashes = side.fill(scale, flashes);
    show(this.back, sides.some((s) => s.from > 0));
    this.markLast(step, decimals);
    this.markCursor();
    const short = sides.some((s) => s.cut && s.groups.length < s.from + s.rows.length);
    if (short && this.depths.value === "auto" && view.bookDepth === prints.depth) this.wish(Math.min(MOST_DEPTH, prints.depth * 2));
  }

  private wish(depth: number): void {
    const { prints } = this.session;
    if (prints.depths.get("ladder") === depth) return;
    prints.depths.set("ladder", depth);
    this.session.asks();
  }

  private markLast(step: number, decimals: { price: number; size: number }): void {
    const { lastTrade: trade } = this.session.view;
    for (const side of [this.bids, this.asks]) {
      const at = trade ? grouped([[trade.price, 0]], side.side, step, decimals)[0]?.[0] : undefined;
      for (const row of side.rows) row.last(trade && row.level?.[0] === at ? trade.side : "");
    }
  }

  private renderMiddle(row: Row, bid: Level | undefined, ask: Level | undefined): void {
    const mid = bid && ask ? (bid[0] + ask[0]) / 2 : null;
    const spread = bid && ask ? ask[0] - bid[0] : null;
    this.mid.set(fixed(mid, row.priceDecimals + 1), mid);
    mark(this.mid.el, "side", row.direction > 0 ? "up" : row.direction < 0 ? "down" : "");
    this.spread.set(mid && spread !== null ? `${fixed(spread, row.priceDecimals)} · ${bps((10_000 * spread) / mid)}` : DASH);
  }

  /** Another instrument: its own step is remembered, its depth begins anew. */
  private entered(id: string): void {
    this.shownId = id;
    this.step = Number(stored(`ladder-step.${id}`)) || 0;
    this.bids.from = this.asks.from = 0;
    this.cursor = null;
    if (this.depths.value === "auto") this.wish(FIRST_DEPTH);
  }

  private offer(row: Row): void {
    const tick = this.session.ticks.of(row.id);
    const price = row.price;
    if (price === null) return;
    const list = steps(tick, price);
    const key = `${row.id} ${list.join()}`;
    if (key === this.offered) return;
    this.offered = key;
    this.grouping.replaceChildren(...list.map((step) => h("option", { value: String(step) }, `step ${fixed(step, stepDecimals(step))}`)));
    if (this.step && !list.includes(this.step)) this.step = 0;
    this.grouping.value = String(this.step || list[0]);
  }

  private setStep(step: number): void {
    const first = Number(this.grouping.options[0]?.value);
    this.step = step === first ? 0 : step;
    this.grouping.value = String(step);
    store(`ladder-step.${this.shownId}`, String(this.step));
    this.bids.from = this.asks.from = 0;
    if (this.depths.value === "auto") this.wish(FIRST_DEPTH);
    this.session.scheduler.touch("book");
  }

  private listen(): void {
    this.grouping.addEventListener("change", () => this.setStep(Number(this.grouping.value)));
    this.depths.addEventListener("change", () => {
      this.wish(this.depths.value === "auto" ? FIRST_DEPTH : Number(this.depths.value));
    });
    this.back.addEventListener("click", () => this.scrollBack());
    for (const side of [this.bids, this.asks]) {
      side.el.addEventListener("wheel", (event) => {
        event.preventDefault();
        const out = side.side === "bid" ? 1 : -1;
        this.scroll(side, out * Math.sign(event.deltaY) * Math.max(1, Math.round(Math.abs(event.deltaY) / (event.deltaMode === 0 ? 2 * rowPx() : 1))));
      }, { passive: false });
    }
    this.body.addEventListener("keydown", (event) => this.key(event));
  }

  private scroll(side: LadderSide, by: number): void {
    side.from = Math.max(0, Math.min(side.groups.length - 1, side.from + by));
    this.session.scheduler.touch("book");
  }

  private scrollBack(): void {
    this.bids.from = this.asks.from = 0;
    this.cursor = null;
    this.session.scheduler.touch("book");
  }

  private key(event: KeyboardEvent): void {
    const page = Math.max(1, this.bids.rows.length - 1);
    act(event, LADDER_KEYS, {
      up: () => this.moveCursor(1),
      down: () => this.moveCursor(-1),
      asksAway: () => this.scroll(this.asks, page),
      bidsAway: () => this.scroll(this.bids, page),
      touch: () => this.scrollBack(),
      choose: () => this.choose(this.cursorRow()),
      finer: () => this.nextStep(-1),
      coarser: () => this.nextStep(1),
    });
  }

  private nextStep(by: number): void {
    const option = this.grouping.options[this.grouping.selectedIndex + by];
    if (option) this.setStep(Number(option.value));
  }

  private moveCursor(by: number): void {
    const most = this.bids.rows.length;
    const next = this.cursor === null ? (by > 0 ? 0 : -1) : this.cursor + by;
    this.cursor = Math.max(-most, Math.min(most - 1, next));
    this.markCursor();
  }

  private cursorRow(): LadderRow | undefined {
    if (this.cursor === null) return undefined;
    return this.cursor >= 0 ? this.asks.rows[this.cursor] : this.bids.rows[-1 - this.cursor];
  }

  private markCursor(): void {
    const at = this.cursorRow();
    for (const row of [...this.bids.rows, ...this.asks.rows]) mark(row.el, "cursor", String(row === at));
    if (at) this.body.setAttribute("aria-activedescendant", at.el.id);
    else this.body.removeAttribute("aria-activedescendant");
  }

  /** An alert at the price of a row: reached from where the market stands now. */
  private choose(row: LadderRow | undefined): void {
    const price = row?.level?.[0];
    if (price === undefined) return;
    this.page.writeRule(`${this.session.view.id} mid crosses ${row?.el.dataset["side"] === "ask" ? "above" : "below"} ${price}`);
  }

  private fit(): void {
    const room = this.asks.el.clientHeight;
    const count = Math.max(1, Math.min(MOST_ROWS, Math.floor(room / rowPx())));
    if (count === this.bids.rows.length) return;
    for (const side of [this.bids, this.asks]) {
      side.rows = Array.from({ length: count }, (_, i) => new LadderRow(side.side, i, (row) => this.choose(row)));
      side.el.replaceChildren(...side.rows.map((r) => r.el)); // best first in the document; asks are drawn upwards by the style
    }
    this.render();
  }
}
