// The selected instrument in figures. Each `data-value` is the API's own number.

import type { Row } from "../state/market.ts";
import type { Session } from "../state/session.ts";
import { troubleText } from "../state/health.ts";
import { h, mark, panel, show, type Value, value } from "../ui/dom.ts";
import { age, bps, DASH, fixed, signed, size, symbolOf, venueOf } from "../ui/format.ts";
import type { Panel, Topic } from "../ui/scheduler.ts";

class Card {
  readonly el: HTMLElement;
  readonly main: Value;
  readonly sub: Value;

  constructor(id: string, label: string, title: string, extra: HTMLElement | null = null) {
    this.main = value("card-main num value", id);
    this.sub = value("card-sub num value", `${id}-sub`);
    this.el = h("div", { class: "card", title, "data-card": id }, h("span", { class: "card-label" }, label), this.main.el, extra, this.sub.el);
  }
}

export class Cards implements Panel {
  readonly topics: readonly Topic[] = ["quotes", "trades", "selection", "status", "clock"];
  readonly el: HTMLElement;
  private readonly session: Session;
  private readonly symbol = value("title-symbol", "symbol");
  private readonly venue = value("venue");
  private readonly change = value("title-change num value", "change");
  private readonly trouble = value("title-trouble", "instrument-state");
  private readonly meter = h("span", { class: "meter-fill" });
  private readonly bid = new Card("bid", "Bid", "Best bid of the book and its size");
  private readonly ask = new Card("ask", "Ask", "Best ask of the book and its size");
  private readonly mid = new Card("mid", "Mid", "Half way between bid and ask");
  private readonly spread = new Card("spread", "Spread", "Ask less bid; in basis points of the mid");
  private readonly micro = new Card("microprice", "Microprice", "The mid weighted by the other side's size; below, its distance from the mid");
  private readonly last = new Card("last", "Last trade", "The latest trade: price, size, aggressor and age");
  private readonly rate = new Card("trade-rate", "Trades/s", "Trades a second over the last ten seconds, of the recording's time in a replay");
  private readonly imbalance: Card;

  constructor(session: Session) {
    this.session = session;
    const bar = h("span", { class: "meter", "aria-hidden": "true" }, this.meter);
    this.imbalance = new Card("imbalance", "Imbalance", "(bids − asks) / (bids + asks) over the best levels: +1 all bids, −1 all asks", bar);
    const name = h("h2", { class: "title-name" }, this.symbol.el, this.venue.el);
    const title = h("div", { class: "title" }, name, h("div", { class: "title-line" }, this.change.el, this.trouble.el));
    const { bid, ask, mid, spread, imbalance, micro, last, rate } = this;
    const cards = [mid, bid, ask, spread, imbalance, micro, last, rate].map((c) => c.el);
    this.el = panel("cards", "Figures", title, h("div", { class: "cards" }, ...cards));
  }

  render(): void {
    const { view, market } = this.session;
    const row = market.rows.get(view.id);
    if (!row) return;
    this.renderTitle(row);
    this.renderTouch(row);
    this.renderMetrics(row);
    this.renderTrade(row);
  }

  private renderTitle(row: Row): void {
    this.symbol.set(symbolOf(row.id), row.id);
    this.venue.set(venueOf(row.id));
    mark(this.venue.el, "venue", venueOf(row.id));
    const { change } = row;
    this.change.set(change === null ? "" : `${signed(change * 100, 2)}%`, change);
    this.change.el.title = row.referenceIs ? `since ${row.referenceIs}` : "";
    mark(this.change.el, "side", change === null || change === 0 ? "" : change > 0 ? "up" : "down");
    const trouble = troubleText(row.info, this.session.now);
    this.trouble.set(trouble, row.info?.state ?? "");
    this.trouble.el.title = trouble;
    show(this.trouble.el, trouble !== "");
  }

  private renderTouch(row: Row): void {
    const { quote, priceDecimals: p, sizeDecimals: s } = row;
    this.bid.main.set(fixed(quote?.bid, p), quote?.bid ?? null);
    this.bid.sub.set(size(quote?.bid_size, s), quote?.bid_size ?? null);
    this.ask.main.set(fixed(quote?.ask, p), quote?.ask ?? null);
    this.ask.sub.set(size(quote?.ask_size, s), quote?.ask_size ?? null);
  }

  private renderMetrics(row: Row): void {
    const { metrics: m, mid, spread, spreadBps, priceDecimals: p } = row;
    this.mid.main.set(fixed(mid, p + 1), mid);
    mark(this.mid.main.el, "side", row.direction > 0 ? "up" : row.direction < 0 ? "down" : "");
    this.mid.sub.set(row.lastRecv ? `${age((this.session.now - row.lastRecv) / 1e6)} ago` : "");
    this.spread.main.set(fixed(spread, p), spread);
    this.spread.sub.set(bps(spreadBps), spreadBps);
    this.micro.main.set(fixed(m?.microprice, p + 1), m?.microprice ?? null);
    const away = m?.microprice != null && m.mid ? (m.microprice / m.mid - 1) * 1e4 : null;
    this.micro.sub.set(away === null ? DASH : `${signed(away, 3)} bps`);
    const imbalance = m?.imbalance ?? null;
    this.imbalance.main.set(signed(imbalance, 2), imbalance);
    this.imbalance.sub.set("");
    this.meter.style.setProperty("--at", String(imbalance ?? 0));
    mark(this.meter, "side", imbalance === null || imbalance === 0 ? "" : imbalance > 0 ? "up" : "down");
  }

  private renderTrade(row: Row): void {
    const { lastTrade, rate } = this.session.view;
    this.last.main.set(fixed(lastTrade?.price, row.priceDecimals), lastTrade?.price ?? null);
    mark(this.last.main.el, "side", lastTrade?.side === "buy" ? "up" : lastTrade?.side === "sell" ? "down" : "");
    const ago = lastTrade ? age((this.session.now - lastTrade.ts_recv) / 1e6) : "";
    this.last.sub.set(lastTrade ? `${size(lastTrade.size, row.sizeDecimals)} · ${ago}` : DASH);
    const perSecond = rate.perSecond(Math.max(this.session.now, lastTrade?.ts_recv ?? 0) / 1000);
    this.rate.main.set(fixed(perSecond, 1), perSecond);
    this.rate.sub.set("over 10 s");
  }
}
