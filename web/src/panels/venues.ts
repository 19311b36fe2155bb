// One asset across venues, as a table: bid, ask, mid, spread, basis to a reference, age, state; best bid and offer, and where the market
// is crossed. Groups that are sampled stand below with their figures.

import { meaning, metricText } from "../state/catalogue.ts";
import type { Session } from "../state/session.ts";
import { best, type Best, pairOf, rowsOf, SCOPES, type Scope, type VenueRow } from "../state/venues.ts";
import "../styles/venues.css";
import { h, mark, panel, show, type Value, value } from "../ui/dom.ts";
import { age, bps, DASH, fixed, signed, size, symbolOf, venueOf } from "../ui/format.ts";
import type { Topic } from "../ui/scheduler.ts";
import { store, stored } from "../ui/theme.ts";
import type { Shown } from "./kinds.ts";

const SCOPE_WORDS: Readonly<Record<Scope, string>> = {
  same: "same quote and kind", dollars: "USD, USDT, USDC as one", all: "all of them",
};
const FOLLOW = "";

class VenueLine {
  readonly el: HTMLTableRowElement;
  private readonly cells: Readonly<Record<"bid" | "bidSize" | "ask" | "askSize" | "mid" | "spread" | "basis" | "age" | "state", Value>>;
  private readonly reference: HTMLInputElement;

  constructor(id: string, pick: () => void, refer: () => void) {
    const cell = (name: string): Value => value("num value", `venue-${name}-${id}`);
    this.cells = {
      bid: cell("bid"), bidSize: cell("bid-size"), ask: cell("ask"), askSize: cell("ask-size"), mid: cell("mid"),
      spread: cell("spread"), basis: cell("basis"), age: cell("age"), state: value("venue-state", `venue-state-${id}`),
    };
    this.reference = h("input", { type: "radio", name: "venue-reference", "aria-label": `Measure the basis from ${id}` });
    this.reference.addEventListener("change", refer);
    const { quote, kind } = pairOf(id);
    const name = h("button", { type: "button", class: "venue-name", title: `Choose ${id}` }, h("b", {}, symbolOf(id)));
    name.addEventListener("click", pick);
    const venue = h("i", { class: "venue", "data-venue": venueOf(id) }, venueOf(id));
    const c = this.cells;
    const td = (...parts: Node[]): HTMLElement => h("td", {}, ...parts);
    this.el = h(
      "tr", { "data-testid": `venue-${id}` },
      td(this.reference), h("th", { scope: "row" }, name, venue), td(h("span", { class: "venue-quote", "data-quote": quote }, quote || kind)),
      td(c.bidSize.el), td(c.bid.el), td(c.ask.el), td(c.askSize.el), td(c.mid.el), td(c.spread.el), td(c.basis.el), td(c.age.el), td(c.state.el),
    );
  }

  render(row: VenueRow, decimals: readonly [number, number], now: number, reference: boolean, of: Best | null): void {
    const [p, s] = decimals;
    const c = this.cells;
    c.bid.set(fixed(row.bid, p), row.bid);
    c.bidSize.set(size(row.bidSize, s), row.bidSize);
    c.ask.set(fixed(row.ask, p), row.ask);
    c.askSize.set(size(row.askSize, s), row.askSize);
    c.mid.set(fixed(row.mid, p + 1), row.mid);
    c.spread.set(bps(row.spreadBps), row.spreadBps);
    c.basis.set(reference ? "reference" : row.basisBps === null ? DASH : signed(row.basisBps, Math.abs(row.basisBps) < 10 ? 2 : 1), row.basisBps);
    mark(c.basis.el, "side", reference || !row.basisBps ? "" : row.basisBps > 0 ? "up" : "down");
    c.age.set(row.recv > 0 ? age((now - row.recv) / 1e6) : DASH);
    c.state.set(row.out !== "" ? row.out : row.comparable ? "in" : "not compared", row.out);
    mark(this.el, "out", String(row.out !== ""));
    mark(this.el, "compared", String(row.comparable));
    mark(c.bid.el, "best", String(of?.bid === row));
    mark(c.ask.el, "best", String(of?.ask === row));
    c.bid.el.title = of?.bid === row ? "the best bid" : "";
    c.ask.el.title = of?.ask === row ? "the best offer" : "";
    if (this.reference.checked !== reference) this.reference.checked = reference;
  }
}

export class Venues implements Shown {
  readonly topics: readonly Topic[] = ["quotes", "status", "clock", "selection", "metrics"];
  readonly el: HTMLElement;
  private readonly session: Session;
  private readonly asset = h("select", { "aria-label": "Asset" });
  private readonly scope = h("select", { "aria-label": "Best among" }, ...SCOPES.map((s) => h("option", { value: s }, SCOPE_WORDS[s])));
  private readonly verdict = value("venues-verdict", "venues-verdict");
  private readonly body = h("tbody");
  private readonly groups = h("dl", { class: "venues-groups", "data-testid": "venues-groups" });
  private readonly empty = h("p", { class: "empty", hidden: true }, "No market of this asset is streamed. The box above the list of markets adds some.");
  private readonly lines = new Map<string, VenueLine>();
  private reference = "";
  private assets = "";
  private shape = "";

  constructor(session: Session) {
    this.session = session;
    this.scope.value = stored("venues.scope") ?? "same";
    if (this.scope.selectedIndex < 0) this.scope.value = "same";
    this.scope.addEventListener("change", () => {
      store("venues.scope", this.scope.value);
      session.scheduler.touch("quotes");
    });
    this.asset.addEventListener("change", () => session.scheduler.touch("quotes"));
    const head = h("div", { class: "venues-head" }, this.asset, h("label", {}, h("span", {}, "best among "), this.scope), this.verdict.el);
    const names = ["", "Market", "In", "Size", "Bid", "Ask", "Size", "Mid", "Spread", "Basis, bps", "Age", "State"];
    const columns = h("thead", {}, h("tr", {}, ...names.map((name, i) => h(i === 0 ? "td" : "th", i === 0 ? {} : { scope: "col" }, name))));
    const table = h("table", { class: "venues" }, h("caption", { class: "sr" }, "One asset across venues"), columns, this.body);
    const scroller = h("div", { class: "venues-scroll", tabindex: "0", role: "group", "aria-label": "Venues" }, table, this.empty, this.groups);
    this.el = panel("venues", "Venues", head, scroller);
  }

  render(dirty: ReadonlySet<Topic>): void {
    const { market, view, now, health } = this.session;
    this.listAssets([...new Set([...market.rows.keys()].map((id) => pairOf(id).base))].sort());
    const base = this.asset.value === FOLLOW ? pairOf(view.id).base : this.asset.value;
    const { rows, reference } = rowsOf(base, [...market.rows.values()], this.reference, this.scope.value as Scope);
    const of = health.dead ? null : best(rows);
    this.arrange(rows);
    for (const row of rows) {
      const known = market.rows.get(row.id);
      this.lines.get(row.id)?.render(row, [known?.priceDecimals ?? 2, known?.sizeDecimals ?? 4], now, row.id === reference, of);
      if (this.lines.has(row.id)) mark(this.lines.get(row.id)!.el, "chosen", String(row.id === view.id));
    }
    show(this.empty, rows.length === 0);
    this.say(of);
    if (dirty.has("metrics") || dirty.has("selection")) this.renderGroups();
  }

  private listAssets(bases: readonly string[]): void {
    const key = bases.join(" ");
    if (key === this.assets) return;
    this.assets = key;
    const before = this.asset.value;
    this.asset.replaceChildren(h("option", { value: FOLLOW }, "the chosen market's"), ...bases.map((b) => h("option", { value: b }, b)));
    this.asset.value = bases.includes(before) ? before : FOLLOW;
  }

  private arrange(rows: readonly VenueRow[]): void {
    const shape = rows.map((r) => r.id).join(" ");
    if (shape === this.shape) return;
    this.shape = shape;
    this.lines.clear();
    for (const { id } of rows) {
      const refer = (): void => {
        this.reference = id;
        this.session.scheduler.touch("quotes");
      };
      this.lines.set(id, new VenueLine(id, () => this.session.select(id), refer));
    }
    this.body.replaceChildren(...[...this.lines.values()].map((l) => l.el));
  }

  private say(of: Best | null): void {
    if (!of) return this.verdict.set("no two sides that can be compared", null);
    const { bid, ask, crossedBps } = of;
    const decimals = this.session.market.rows.get(bid.id)?.priceDecimals ?? 2;
    const crossed = crossedBps > 0 && bid.id !== ask.id;
    mark(this.verdict.el, "crossed", String(crossed));
    const sides = `bid ${fixed(bid.bid, decimals)} at ${venueOf(bid.id)}, offer ${fixed(ask.ask, decimals)} at ${venueOf(ask.id)}`;
    const both = Math.min(bid.bidSize ?? 0, ask.askSize ?? 0);
    const sized = this.session.market.rows.get(bid.id)?.sizeDecimals ?? 4;
    this.verdict.set(crossed ? `⨯ crossed by ${bps(crossedBps)} for ${size(both, sized)}, before fees: ${sides}` : `${sides}: ${bps(-crossedBps)} apart`, crossedBps);
  }

  private renderGroups(): void {
    const { figures } = this.session;
    const parts: HTMLElement[] = [];
    for (const [scope, samples] of figures.sampled()) {
      if (!scope.startsWith("group:")) continue;
      for (const [name, line] of samples.lines) {
        const last = line.values.at(-1) ?? null;
        const { unit, text } = meaning(scope, name, figures.catalogue);
        const partial = line.partial.at(-1) === true && last !== null;
        const figure = h("dd", { class: "num value", "data-value": last ?? "", "data-partial": String(partial) }, metricText(last, unit, 2), partial ? h("span", { class: "sr" }, " incomplete") : null);
        parts.push(h("div", { title: text }, h("dt", {}, `${scope.slice(6)} ${name}`), figure));
      }
    }
    this.groups.replaceChildren(...parts);
  }
}
