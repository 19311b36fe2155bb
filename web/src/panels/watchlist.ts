// All streamed instruments: mid (where there is none: the latest trade's price), change, spread, age, the last five minutes. Arrow keys or a click select one.

import type { Row } from "../state/market.ts";
import type { Session } from "../state/session.ts";
import { h, mark, panel, type Value, value } from "../ui/dom.ts";
import { age, bps, fixed, signed, symbolOf, venueOf } from "../ui/format.ts";
import type { Panel, Topic } from "../ui/scheduler.ts";
import { sparkline } from "../ui/sparkline.ts";

const SPARK_MS = 1000;

class Line {
  readonly el: HTMLElement;
  readonly spark = h("canvas", { class: "spark", "aria-hidden": "true" });
  private readonly mid: Value;
  private readonly change: Value;
  private readonly spread: Value;
  private readonly age: Value;
  private readonly state: Value;

  constructor(row: Row, pick: (id: string) => void) {
    const { id } = row;
    this.mid = value("num value", `watch-mid-${id}`);
    this.change = value("num value", `watch-change-${id}`);
    this.spread = value("num value");
    this.age = value("num");
    this.state = value("watch-state");
    const venue = venueOf(id);
    const name = h("span", { class: "watch-name" }, h("b", {}, symbolOf(id)));
    const more = h("span", { class: "watch-more" }, h("i", { class: "venue", "data-venue": venue }, venue), this.state.el, this.spread.el, this.age.el);
    this.el = h(
      "div",
      { class: "watch-row", role: "option", id: `watch-${id}`, "data-testid": `watch-${id}`, "aria-selected": "false" },
      name, this.spark, this.mid.el, more, this.change.el,
    );
    this.el.addEventListener("click", () => pick(id));
  }

  render(row: Row, now: number, selected: boolean): void {
    const { mid, price } = row;
    this.mid.set(fixed(price, row.priceDecimals + (mid === null ? 0 : 1)), price);
    this.mid.el.title = mid === null ? "the latest trade: there are no quotes" : "";
    const { change } = row;
    this.change.set(change === null ? "–" : `${signed(change * 100, 2)}%`, change);
    this.change.el.title = row.referenceIs ? `since ${row.referenceIs}: ${fixed(row.reference, row.priceDecimals)}` : "";
    mark(this.change.el, "side", change === null || change === 0 ? "" : change > 0 ? "up" : "down");
    const { spreadBps } = row;
    this.spread.set(spreadBps === null ? "" : bps(spreadBps), spreadBps);
    this.age.set(row.lastRecv ? age((now - row.lastRecv) / 1e6) : "");
    const state = row.info?.state ?? "waiting";
    this.state.set(state === "live" ? "" : state, state);
    mark(this.el, "state", state);
    const chosen = String(selected);
    if (this.el.getAttribute("aria-selected") !== chosen) this.el.setAttribute("aria-selected", chosen);
  }
}

export class Watchlist implements Panel {
  readonly topics: readonly Topic[] = ["quotes", "status", "clock", "selection", "theme"];
  readonly el: HTMLElement;
  private readonly session: Session;
  private readonly list = h("div", { class: "watch", role: "listbox", tabindex: "0", "aria-label": "Instruments" });
  private readonly lines = new Map<string, Line>();
  private drawn = 0;

  constructor(session: Session, title: HTMLElement) {
    this.session = session;
    this.el = panel("watch", "Watchlist", title, this.list);
  }

  render(dirty: ReadonlySet<Topic>): void {
    const { market, view, now } = this.session;
    this.reconcile();
    for (const row of market.rows.values()) this.lines.get(row.id)?.render(row, now, row.id === view.id);
    this.list.setAttribute("aria-activedescendant", view.id ? `watch-${view.id}` : "");
    if (dirty.has("selection")) this.list.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
    this.draw(dirty.has("theme"));
  }

  private draw(force: boolean): void {
    const now = performance.now();
    if (!force && now - this.drawn < SPARK_MS) return;
    this.drawn = now;
    for (const row of this.session.market.rows.values()) {
      const line = this.lines.get(row.id);
      if (line) sparkline(line.spark, row.spark, row.spark[0] ?? null);
    }
  }

  private reconcile(): void {
    const { rows } = this.session.market;
    for (const [id, line] of this.lines) {
      if (rows.has(id)) continue;
      line.el.remove();
      this.lines.delete(id);
    }
    if (this.lines.size === rows.size) return;
    for (const row of rows.values()) {
      let line = this.lines.get(row.id);
      if (!line) this.lines.set(row.id, (line = new Line(row, (id) => this.session.select(id))));
      this.list.append(line.el);
    }
  }
}
