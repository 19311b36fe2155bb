// The chosen instrument in figures, each with the line of its last minutes. Which are shown the viewer chooses; it is remembered.

import { troubleText } from "../state/health.ts";
import type { Row } from "../state/market.ts";
import type { Session } from "../state/session.ts";
import "../styles/cards.css";
import { h, mark, panel, show, type Value, value } from "../ui/dom.ts";
import { signed, symbolOf, venueOf } from "../ui/format.ts";
import { type Entry, openMenu } from "../ui/menu.ts";
import type { Panel, Topic } from "../ui/scheduler.ts";
import { trend } from "../ui/sparkline.ts";
import { store, stored } from "../ui/theme.ts";
import { cardMetrics, type Figure, figureOf, FIGURES, ORDINARY } from "./cards/figures.ts";

const POINTS = 120; // seconds of the line
const LEAST_POINTS = 30;
const MOST_CARDS = 24;

class Card {
  readonly el: HTMLElement;
  readonly figure: Figure;
  readonly canvas = h("canvas", { class: "card-line", "aria-hidden": "true" });
  private readonly main: Value;
  private readonly sub: Value;
  private readonly meter: HTMLElement | null;
  private points: (number | null)[] = [];
  private partial: boolean[] = [];

  constructor(figure: Figure) {
    this.figure = figure;
    this.main = value("card-main num value", figure.id);
    this.sub = value("card-sub num value", `${figure.id}-sub`);
    this.meter = figure.id === "imbalance" ? h("span", { class: "meter-fill" }) : null;
    const bar = this.meter ? h("span", { class: "meter", "aria-hidden": "true" }, this.meter) : null;
    const label = h("span", { class: "card-label" }, figure.label);
    this.el = h("div", { class: "card", title: figure.title, "data-card": figure.id }, label, this.main.el, bar, this.sub.el, this.canvas);
  }

  render(row: Row, session: Session): void {
    const { text, raw, sub, subRaw, side, partial } = this.figure.read(row, session);
    this.main.set(text, raw);
    this.sub.set(sub ?? "", subRaw);
    mark(this.main.el, "side", side ?? "");
    mark(this.el, "partial", String(partial === true));
    if (!this.meter) return;
    this.meter.style.setProperty("--at", String(raw ?? 0));
    mark(this.meter, "side", side ?? "");
  }

  /** One more point, once a second; a sampled metric has the points of its samples, a figure of the touch those that its market has. */
  sample(row: Row, session: Session): void {
    const { id } = this.figure;
    const line = id.startsWith("metric:") ? session.view.samples.lines.get(id.slice(7)) : undefined;
    if (line) {
      this.points = line.values.slice(-POINTS);
      this.partial = line.partial.slice(-POINTS);
    } else {
      const known = row.way(id);
      if (known) this.points = known.slice(-POINTS);
      else this.points.push(this.figure.read(row, session).raw);
      if (this.points.length > POINTS) this.points.shift();
      this.partial = this.points.map(() => false);
    }
    mark(this.canvas, "points", String(this.points.length));
    trend(this.canvas, this.points, this.partial, LEAST_POINTS);
  }

  forget(): void {
    if (this.figure.id !== "messages") this.points = []; // those are of all markets
  }
}

export class Cards implements Panel {
  readonly topics: readonly Topic[] = ["quotes", "trades", "selection", "status", "clock", "metrics", "theme"];
  readonly el: HTMLElement;
  private readonly session: Session;
  private readonly symbol = value("title-symbol", "symbol");
  private readonly venue = value("venue");
  private readonly change = value("title-change num value", "change");
  private readonly trouble = value("title-trouble", "instrument-state");
  private readonly box = h("div", { class: "cards" });
  private cards: Card[] = [];
  private sampled = 0;
  private resets = 0;

  constructor(session: Session) {
    this.session = session;
    const name = h("h2", { class: "title-name" }, this.symbol.el);
    const choose = h("button", { type: "button", class: "tool cards-choose", "aria-haspopup": "menu", "aria-expanded": "false", title: "Choose the figures" }, "⋯", h("span", { class: "sr" }, "Choose the figures"));
    choose.addEventListener("click", () => openMenu(choose, "Figures", this.entries()));
    const title = h("div", { class: "title" }, name, h("div", { class: "title-line" }, this.venue.el, this.change.el, this.trouble.el), choose);
    this.el = panel("cards", "Figures", title, this.box);
    this.arrange(remembered());
  }

  render(dirty: ReadonlySet<Topic>): void {
    const { view, market } = this.session;
    const row = market.rows.get(view.id);
    show(this.box, row !== undefined); // at a recording's beginning it is not heard of yet
    if (!row) {
      this.change.set("", null);
      show(this.trouble.el, false);
      return;
    }
    mark(document.documentElement, "feed", row.info?.state ?? "waiting");
    const another = view.resets !== this.resets;
    this.resets = view.resets;
    if (another) for (const card of this.cards) card.forget();
    this.renderTitle(row);
    for (const card of this.cards) card.render(row, this.session);
    const now = performance.now();
    if (now - this.sampled < 1000 && !dirty.has("theme") && !another) return;
    this.sampled = now;
    if (!this.session.health.dead) for (const card of this.cards) card.sample(row, this.session);
  }

  private renderTitle(row: Row): void {
    this.symbol.set(symbolOf(row.id), row.id);
    this.venue.set(venueOf(row.id));
    this.venue.el.title = row.id;
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

  private arrange(ids: readonly string[]): void {
    const before = new Map(this.cards.map((c) => [c.figure.id, c]));
    this.cards = ids.flatMap((id) => {
      const figure = figureOf(id);
      return before.get(id) ?? (figure ? new Card(figure) : []);
    });
    this.box.replaceChildren(...this.cards.map((c) => c.el));
    this.box.style.setProperty("--cards", String(this.cards.length));
    this.sampled = 0;
  }

  private entries(): Entry[] {
    const entry = (figure: Figure): Entry => ({
      label: figure.label, checked: this.cards.some((c) => c.figure.id === figure.id), testid: `choose-${figure.id}`, run: () => this.toggle(figure.id),
    });
    const metrics = cardMetrics(this.session.view.samples.lines.keys()).flatMap((name) => figureOf(`metric:${name}`) ?? []);
    return [
      { heading: "Figures" }, ...FIGURES.map(entry),
      ...(metrics.length > 0 ? [{ heading: "Metrics" }, ...metrics.map(entry)] : []),
      { heading: "" }, { label: "As at first", run: () => this.keep([...ORDINARY]) },
    ];
  }

  private toggle(id: string): void {
    const ids = this.cards.map((c) => c.figure.id);
    this.keep(ids.includes(id) ? ids.filter((x) => x !== id) : [...ids, id].slice(-MOST_CARDS));
  }

  private keep(ids: readonly string[]): void {
    store("cards", JSON.stringify(ids));
    this.arrange(ids);
    this.session.scheduler.touch("quotes", "metrics");
  }
}

function remembered(): readonly string[] {
  try {
    const ids = JSON.parse(stored("cards") ?? "null") as unknown;
    if (Array.isArray(ids)) return ids.filter((id): id is string => typeof id === "string").slice(0, MOST_CARDS);
  } catch {
    // of another version: those of the beginning
  }
  return ORDINARY;
}
