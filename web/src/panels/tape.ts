// The trades as they come, newest on top, in rows that are there only while they can be seen. Where trades are missing a row says so:
// the tape never closes over a hole.
//
// It holds still while the pointer is on it, while it is scrolled back, and when it is told to; what came meanwhile is counted.

import { Held, slice } from "../state/held.ts";
import { TAPE_KEYS } from "../state/panelkeys.ts";
import type { Session } from "../state/session.ts";
import type { TapeRow } from "../state/tape.ts";
import { TapeStore } from "../state/tapestore.ts";
import "../styles/tape.css";
import { h, mark, panel, show, Value, value } from "../ui/dom.ts";
import { count, size } from "../ui/format.ts";
import { act } from "../ui/keyboard.ts";
import type { Topic } from "../ui/scheduler.ts";
import { rowPx } from "../ui/theme.ts";
import { click } from "../ui/tick.ts";
import type { Shown } from "./kinds.ts";
import { TapeLineView } from "./tape/row.ts";
import { TapeTools } from "./tape/tools.ts";

const SPARE = 6; // rows beyond what can be seen
const NEAR_END = 40; // rows before the last one: older trades are asked for

export class TradeTape implements Shown {
  readonly topics: readonly Topic[] = ["trades", "selection", "clock", "zone", "theme"];
  readonly el: HTMLElement;
  private readonly session: Session;
  private readonly store: TapeStore;
  private readonly held = new Held();
  private readonly tools: TapeTools;
  private readonly rows = h("div", { class: "tape-rows", "data-testid": "tape" });
  private readonly spacer = h("div", { class: "tape-spacer" }, this.rows);
  private readonly scroller = h("div", { class: "tape value", tabindex: "0", role: "group", "aria-label": "Trades, newest first. Space holds them still" }, this.spacer);
  private readonly fresh = h("button", { type: "button", class: "tape-new", "data-testid": "tape-new", hidden: true });
  private readonly sums = { buy: value("num", "tape-buy"), sell: value("num", "tape-sell") };
  private readonly share = h("span", { class: "tape-share" });
  private readonly span = new Value(h("span", { class: "tape-span", "data-testid": "tape-span" }));
  private lines: TapeLineView[] = [];
  private shown = { generation: -1, from: 0, to: 0 };
  private sounded = 0;
  private resets = -1;
  // Where the reader is, and how much can be seen: told by events, since asking in the middle of a paint would lay out the whole page.
  private top = 0;
  private room = 0;

  constructor(session: Session, title: HTMLElement) {
    this.session = session;
    this.store = new TapeStore(session);
    session.add(this.store);
    const again = (): void => {
      this.store.tape.rebuild();
      this.resume();
    };
    this.tools = new TapeTools(this.store.tape, () => this.base, again, () => this.hold("told", !this.held.because("told")));
    const head = h("div", { class: "columns trade" }, h("span", { class: "zone" }, "Time"), h("span", {}, "Price"), h("span", {}, "Size"));
    const foot = h("footer", { class: "tape-sums", title: "Traded in the last minute, by aggressor" }, this.span.el, this.sums.buy.el, this.share, this.sums.sell.el);
    const body = h("div", { class: "tape-body" }, this.scroller, this.fresh);
    this.el = panel("tape", "Trades", h("div", { class: "tape-head" }, title, this.tools.el), this.tools.more, head, body, foot);
    this.listen();
  }

  visible(shown: boolean): void {
    this.store.look(shown);
  }

  render(dirty: ReadonlySet<Topic>): void {
    this.store.sync();
    const { tape } = this.store;
    const another = this.session.view.resets !== this.resets;
    if (another) this.begin();
    this.tools.render(this.session.now);
    this.sound();
    if (dirty.has("clock") || another) this.renderSums();
    this.held.saw(tape);
    const { waiting } = this.held;
    show(this.fresh, waiting > 0);
    if (waiting > 0) this.fresh.textContent = `▲ ${count(waiting)} new`;
    mark(this.el, "held", String(this.held.still));
    this.draw(dirty.has("zone") || dirty.has("theme"));
  }

  /** Another instrument: amounts of the base asset mean another asset now. */
  private begin(): void {
    this.resets = this.session.view.resets;
    this.tools.apply();
    this.store.tape.rebuild();
    this.resume();
  }

  private get base(): string {
    return (this.session.view.id.split(":")[1] ?? "").split("-")[0] ?? "";
  }

  /** The rows between `from` and `to`, newest first. Those that stay keep their elements: only what comes in is written. */
  private draw(force = false): void {
    const { tape } = this.store;
    const total = this.held.upTo - tape.dropped; // rows that may be seen
    const height = `${Math.max(0, total) * rowPx()}px`;
    if (this.spacer.style.height !== height) this.spacer.style.height = height;
    const [first, last] = slice(this.top, this.room, rowPx(), SPARE, total);
    const [from, to] = [this.held.upTo - last, this.held.upTo - first]; // numbers, newest is to − 1
    const { generation } = tape;
    const before = this.shown;
    this.rows.style.transform = `translateY(${first * rowPx()}px)`;
    if (force || before.generation !== generation || from >= before.to || to <= before.from) this.drawAll(from, to);
    else this.shift(from, to);
    this.shown = { generation, from, to };
    if (!this.held.still || force) this.lines[0]?.set(this.rowAt(to - 1), this.row, tape);
    if (total - last < NEAR_END && this.top > 0) void this.store.fetchOlder();
  }

  private get row(): { priceDecimals: number; sizeDecimals: number } {
    return this.session.market.rows.get(this.session.view.id) ?? { priceDecimals: 2, sizeDecimals: 4 };
  }

  private rowAt(number: number): TapeRow | undefined {
    return this.store.tape.rows[number - this.store.tape.dropped];
  }

  private drawAll(from: number, to: number): void {
    while (this.lines.length > to - from) this.lines.pop()?.el.remove();
    while (this.lines.length < to - from) {
      const line = new TapeLineView();
      this.lines.push(line);
      this.rows.append(line.el);
    }
    this.lines.forEach((line, i) => line.set(this.rowAt(to - 1 - i), this.row, this.store.tape));
  }

  private shift(from: number, to: number): void {
    for (let n = this.shown.to; n > to; n--) this.lines.shift()?.el.remove();
    const spare: TapeLineView[] = [];
    for (let n = this.shown.from; n < from; n++) {
      const line = this.lines.pop();
      if (line) spare.push(line);
    }
    if (this.shown.to < to) this.lines[0]?.set(this.rowAt(this.shown.to - 1), this.row, this.store.tape); // it may have grown
    for (let n = this.shown.to; n < to; n++) {
      const line = spare.pop() ?? new TapeLineView();
      line.set(this.rowAt(n), this.row, this.store.tape);
      this.lines.unshift(line);
      this.rows.prepend(line.el);
    }
    for (let n = this.shown.from - 1; n >= from; n--) {
      const line = spare.pop() ?? new TapeLineView();
      line.set(this.rowAt(n), this.row, this.store.tape);
      this.lines.push(line);
      this.rows.append(line.el);
    }
    for (const line of spare) line.el.remove();
  }

  private renderSums(): void {
    const now = this.session.now;
    const { buy, sell, since, holes } = this.store.tape.totals(now);
    const { sizeDecimals } = this.row;
    this.sums.buy.set(`▲ ${size(buy, sizeDecimals)}`, buy);
    this.sums.sell.set(`${size(sell, sizeDecimals)} ▼`, sell);
    const seconds = Math.min(60, Math.max(0, Math.round((now - since) / 1e6)));
    this.span.set(`${seconds >= 59 ? "1 m" : `${seconds} s`}${holes ? " ⚠" : ""}`);
    this.span.el.title = holes ? "trades are missing in it" : seconds < 59 ? "nothing is known of before" : "the last minute";
    this.share.style.setProperty("--share", buy + sell > 0 ? (buy / (buy + sell)).toFixed(3) : "0.5");
  }

  /** A soft tick for each large print that came since the last paint, where that is switched on: at most one a side and paint. */
  private sound(): void {
    const { tape } = this.store;
    const newest = tape.rows.at(-1);
    const at = newest?.kind === "print" ? newest.last.ts_recv : this.sounded;
    if (this.tools.sound && this.sounded > 0) {
      const sides = new Set<string>();
      for (let i = tape.rows.length - 1; i >= 0; i--) {
        const row = tape.rows[i];
        if (row?.kind !== "print" || row.last.ts_recv <= this.sounded) break;
        if (tape.isLarge(row)) sides.add(row.last.side);
      }
      for (const side of sides) click(side === "buy");
    }
    this.sounded = Math.max(this.sounded, at);
  }

  private hold(why: "pointer" | "scroll" | "told", on: boolean): void {
    this.held.hold(why, on, this.store.tape);
    this.store.tape.reading = this.held.still;
    this.tools.paused(this.held.because("told"));
    this.session.scheduler.touch("trades");
  }

  private resume(): void {
    this.held.release(this.store.tape);
    this.store.tape.reading = false;
    this.tools.paused(false);
    this.scroller.scrollTop = this.top = 0;
    this.shown = { ...this.shown, generation: -1 };
    this.session.scheduler.touch("trades");
  }

  private listen(): void {
    const { scroller } = this;
    scroller.addEventListener("pointerenter", (e) => e.pointerType === "mouse" && this.hold("pointer", true));
    scroller.addEventListener("pointerleave", () => this.hold("pointer", false));
    scroller.addEventListener("scroll", () => {
      this.top = scroller.scrollTop;
      this.hold("scroll", this.top > 0);
    }, { passive: true });
    this.fresh.addEventListener("click", () => this.resume());
    scroller.addEventListener("keydown", (event) => act(event, TAPE_KEYS, { hold: () => this.hold("told", !this.held.because("told")) }));
    new ResizeObserver(() => {
      this.room = scroller.clientHeight;
      this.draw(true);
    }).observe(scroller);
  }
}
