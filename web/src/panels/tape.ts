// The trades as they come, newest on top. Where trades are missing a row says so: the tape never closes over a hole.

import type { Trade } from "../api/types.ts";
import type { Row } from "../state/market.ts";
import type { Session } from "../state/session.ts";
import type { TapeLine } from "../state/view.ts";
import { h, panel } from "../ui/dom.ts";
import { clock, fixed, size } from "../ui/format.ts";
import type { Panel, Topic } from "../ui/scheduler.ts";

const ROW_PX = 19;
const ARROWS = { buy: "▲", sell: "▼", unknown: "·" } as const;
const TOLD_FLAGS = new Set(["LATE", "RECOVERED", "SAMPLED", "AGGREGATED", "OFF_BOOK", "BAD_TIME", "INEXACT", "RPI"]);
const ORDINARY = new Set(["AGGREGATED"]); // every trade of a futures feed is: told in the tooltip, no mark beside each size

export class TradeTape implements Panel {
  readonly topics: readonly Topic[] = ["trades", "selection"];
  readonly el: HTMLElement;
  private readonly session: Session;
  private readonly list = h("div", { class: "tape value", "data-testid": "tape" });
  private seen = { generation: -1, total: 0 };
  private fits = 1;
  private typical = 0; // size that fills half a row's bar: a slow average, so that large prints stand out

  constructor(session: Session, title: HTMLElement) {
    this.session = session;
    const head = h("div", { class: "columns trade" }, h("span", {}, "Time"), h("span", {}, "Price"), h("span", {}, "Size"));
    this.el = panel("tape", "Trades", title, head, this.list);
    new ResizeObserver(() => this.fit()).observe(this.list);
  }

  render(): void {
    const { view, market } = this.session;
    const row = market.rows.get(view.id);
    if (!row) return;
    const { lines } = view;
    const fresh = lines.generation === this.seen.generation ? Math.min(this.fits, lines.total - this.seen.total) : this.fits;
    const again = lines.generation !== this.seen.generation;
    this.seen = { generation: lines.generation, total: lines.total };
    if (again) {
      this.list.replaceChildren();
      this.typical = 0;
    }
    if (fresh <= 0) return;
    this.list.prepend(...lines.newest(fresh).map((line) => this.line(line, row)));
    while (this.list.childElementCount > this.fits) this.list.lastElementChild?.remove();
  }

  private line(line: TapeLine, row: Row): HTMLElement {
    if (line.kind === "trade") return this.trade(line.trade, row);
    const at = line.at ? clock(line.at, true) : "";
    return h("div", { class: "trade missed", "data-testid": "missed", title: line.text }, h("span", {}, at), h("span", {}, `⚠ ${line.text}`));
  }

  private trade(trade: Trade, row: Row): HTMLElement {
    this.typical = this.typical === 0 ? trade.size : this.typical * 0.98 + trade.size * 0.02;
    const flags = trade.flags.filter((f) => TOLD_FLAGS.has(f));
    const el = h(
      "div",
      { class: "trade", "data-side": trade.side, title: [`id ${trade.id}`, ...flags].join(" · "), "data-ts": trade.ts_event },
      h("span", { class: "num" }, clock(trade.ts_event, true)),
      h("span", { class: "num price", "data-value": trade.price }, fixed(trade.price, row.priceDecimals), h("i", {}, ARROWS[trade.side])),
      h("span", { class: "num", "data-value": trade.size }, size(trade.size, row.sizeDecimals)),
    );
    el.style.setProperty("--own", Math.min(1, trade.size / (this.typical * 4 || 1)).toFixed(3));
    const marked = flags.filter((f) => !ORDINARY.has(f));
    if (marked.length > 0) el.dataset["flags"] = marked.join(" ");
    return el;
  }

  private fit(): void {
    const fits = Math.max(1, Math.floor(this.list.clientHeight / ROW_PX));
    if (fits === this.fits) return;
    this.fits = fits;
    this.seen = { generation: -1, total: 0 };
    this.render();
  }
}
