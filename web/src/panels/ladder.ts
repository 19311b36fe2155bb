// The order book: asks above, bids below, mid and spread fixed in the middle.
//
// As many levels a side as there is room for. Each row has two bars: its own size, and behind it everything up to it. A book
// that is not proved right (any state but `synced`) is greyed and says why; it is never shown as if it were the market.

import type { Level } from "../api/types.ts";
import type { Row } from "../state/market.ts";
import type { Session } from "../state/session.ts";
import { h, mark, panel, show, type Value, value } from "../ui/dom.ts";
import { bps, DASH, fixed, size } from "../ui/format.ts";
import type { Panel, Topic } from "../ui/scheduler.ts";

const ROW_PX = 19;
const MOST_ROWS = 50;

class LadderRow {
  readonly el: HTMLElement;
  private readonly price: Value = value("num price");
  private readonly size: Value = value("num");
  private readonly total: Value = value("num total");

  constructor(side: "bid" | "ask") {
    this.el = h("div", { class: "level", "data-side": side }, this.price.el, this.size.el, this.total.el);
  }

  set(level: Level | undefined, total: number, most: { size: number; total: number }, row: Row): void {
    this.price.set(level ? fixed(level[0], row.priceDecimals) : "", level ? level[0] : null);
    this.size.set(level ? size(level[1], row.sizeDecimals) : "", level ? level[1] : null);
    this.total.set(level ? size(total, row.sizeDecimals) : "");
    this.el.style.setProperty("--own", level ? (level[1] / most.size).toFixed(3) : "0");
    this.el.style.setProperty("--sum", level ? (total / most.total).toFixed(3) : "0");
  }
}

export class Ladder implements Panel {
  readonly topics: readonly Topic[] = ["book", "selection", "status", "link"];
  readonly el: HTMLElement;
  private readonly session: Session;
  private readonly asks = h("div", { class: "levels asks", "data-testid": "asks" });
  private readonly bids = h("div", { class: "levels bids", "data-testid": "bids" });
  private readonly mid = value("num ladder-mid", "ladder-mid");
  private readonly spread = value("num ladder-spread", "ladder-spread");
  private readonly verdict = value("veil-verdict");
  private readonly reason = value("veil-reason", "book-reason");
  private readonly veil: HTMLElement;
  private readonly body: HTMLElement;
  private rows: { bids: LadderRow[]; asks: LadderRow[] } = { bids: [], asks: [] };

  constructor(session: Session, title: HTMLElement) {
    this.session = session;
    const head = h("div", { class: "columns level" }, h("span", {}, "Price"), h("span", {}, "Size"), h("span", {}, "Total"));
    const middle = h("div", { class: "ladder-middle" }, this.mid.el, this.spread.el);
    this.veil = h("div", { class: "veil", hidden: true }, this.verdict.el, this.reason.el);
    this.body = h("div", { class: "ladder value" }, this.asks, middle, this.bids);
    this.el = panel("ladder", "Order book", title, head, h("div", { class: "ladder-box" }, this.body, this.veil));
    new ResizeObserver(() => this.fit()).observe(this.body);
  }

  render(): void {
    const { view, market } = this.session;
    const row = market.rows.get(view.id);
    const book = view.book;
    const state = row?.info?.book === "none" ? "none" : (book?.state ?? row?.info?.book ?? null);
    mark(this.el, "book", state ?? "unknown");
    show(this.veil, state !== "synced" || !book);
    this.verdict.set(state === "none" ? "No book" : "Book not proved");
    if (state !== "synced" || !book) this.reason.set(this.why(row, state), state);
    if (!row) return;
    const count = this.rows.bids.length;
    const bids = book?.bids.slice(0, count) ?? [];
    const asks = book?.asks.slice(0, count) ?? [];
    const most = { size: peak([...bids, ...asks]), total: Math.max(sum(bids), sum(asks)) || 1 };
    fill(this.rows.bids, bids, most, row);
    fill(this.rows.asks, asks, most, row);
    this.renderMiddle(row, bids[0], asks[0]);
  }

  private renderMiddle(row: Row, bid: Level | undefined, ask: Level | undefined): void {
    const mid = bid && ask ? (bid[0] + ask[0]) / 2 : null;
    const spread = bid && ask ? ask[0] - bid[0] : null;
    this.mid.set(fixed(mid, row.priceDecimals + 1), mid);
    mark(this.mid.el, "side", row.direction > 0 ? "up" : row.direction < 0 ? "down" : "");
    this.spread.set(mid && spread !== null ? `${fixed(spread, row.priceDecimals)} · ${bps((10_000 * spread) / mid)}` : DASH);
  }

  private why(row: Row | undefined, state: string | null): string {
    if (this.session.status?.finished) return "the recording ends here";
    if (state === null) return row && !this.session.health.dead ? "waiting for the book" : "no book";
    if (state === "none") return "none is streamed of this instrument, or its venue has none";
    const said = row?.info?.last_status;
    const reason = said && said.kind !== "synced" && said.reason ? ` · ${said.reason}` : "";
    const words: Record<string, string> = {
      invalid: "an update is missing; it is being built anew",
      buffering: "waiting for the snapshot that it will be built on",
      joining: "joining the snapshot to the updates",
      synced: "waiting for the book",
    };
    return (words[state] ?? state) + reason;
  }

  private fit(): void {
    const room = this.asks.clientHeight;
    const count = Math.max(1, Math.min(MOST_ROWS, Math.floor(room / ROW_PX)));
    if (count === this.rows.bids.length) return;
    this.rows = {
      bids: Array.from({ length: count }, () => new LadderRow("bid")),
      asks: Array.from({ length: count }, () => new LadderRow("ask")),
    };
    this.bids.replaceChildren(...this.rows.bids.map((r) => r.el));
    this.asks.replaceChildren(...this.rows.asks.map((r) => r.el)); // best first in the document, drawn upwards by the style
    this.render();
  }
}

function fill(rows: readonly LadderRow[], levels: readonly Level[], most: { size: number; total: number }, row: Row): void {
  let total = 0;
  rows.forEach((r, i) => {
    const level = levels[i];
    total += level ? level[1] : 0;
    r.set(level, total, most, row);
  });
}

const sum = (levels: readonly Level[]): number => levels.reduce((a, l) => a + l[1], 0);
const peak = (levels: readonly Level[]): number => levels.reduce((a, l) => Math.max(a, l[1]), 0) || 1;
