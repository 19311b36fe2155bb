// One market in the list: its elements, written only where a number changed.

import type { Row } from "../../state/market.ts";
import type { Volume } from "../../state/tickers.ts";
import { h, mark, type Value, value } from "../../ui/dom.ts";
import { age, bps, fixed, signed, symbolOf, venueOf } from "../../ui/format.ts";
import { short } from "../../state/catalogue.ts";

const VOLUME_IS = { "24h": "traded in the last 24 hours, told by the venue", day: "traded since 00:00 UTC" } as const;
const VOLUME_SAID = { "24h": "in 24 hours", day: "since 00:00 UTC" } as const;

export class Line {
  readonly el: HTMLElement;
  readonly spark = h("canvas", { class: "spark", "aria-hidden": "true" });
  /** Whether it is in view: others are not written. */
  seen = true;
  private readonly mid: Value;
  private readonly change: Value;
  private readonly spread: Value;
  private readonly volume: Value;
  private readonly said = { spread: value("sr"), volume: value("sr"), age: value("sr") }; // what the bare numbers are, for those who hear them
  private readonly age: Value;
  private readonly state: Value;

  constructor(row: Row, pick: (id: string) => void) {
    const { id } = row;
    this.mid = value("num value watch-mid", `watch-mid-${id}`);
    this.change = value("num value watch-change", `watch-change-${id}`);
    this.spread = value("num value watch-spread", `watch-spread-${id}`);
    this.volume = value("num watch-volume", `watch-volume-${id}`);
    this.age = value("num watch-age");
    this.state = value("watch-state");
    const venue = venueOf(id);
    const name = h("span", { class: "watch-name", title: id }, h("b", {}, symbolOf(id)));
    const chip = h("i", { class: "venue", "data-venue": venue, title: venue }, venue);
    const { said } = this;
    const figures = h("span", { class: "watch-figures" }, this.state.el, said.spread.el, this.spread.el, said.volume.el, this.volume.el, said.age.el, this.age.el);
    const more = h("span", { class: "watch-more" }, chip, figures);
    this.el = h(
      "div",
      { class: "watch-row", role: "option", id: `watch-${id}`, "data-testid": `watch-${id}`, "data-id": id, "aria-selected": "false", draggable: "true" },
      name, this.spark, this.mid.el, more, this.change.el,
    );
    this.el.addEventListener("click", () => pick(id));
  }

  render(row: Row, volume: Volume | null, now: number, selected: boolean): void {
    const chosen = String(selected);
    if (this.el.getAttribute("aria-selected") !== chosen) this.el.setAttribute("aria-selected", chosen);
    if (!this.seen && !selected) return;
    const { mid, price, change, spreadBps } = row;
    this.mid.set(fixed(price, row.priceDecimals + (mid === null ? 0 : 1)), price);
    this.mid.el.title = mid === null ? "the latest trade: there are no quotes" : "";
    this.change.set(change === null ? "–" : `${signed(change * 100, 2)}%`, change);
    this.change.el.title = row.referenceIs ? `since ${row.referenceIs}: ${fixed(row.reference, row.priceDecimals)}` : "";
    mark(this.change.el, "side", change === null || change === 0 ? "" : change > 0 ? "up" : "down");
    this.said.spread.set(spreadBps === null ? "" : "spread");
    this.said.age.set(row.lastRecv ? "last heard" : "");
    this.spread.set(spreadBps === null ? "" : bps(spreadBps), spreadBps);
    this.renderVolume(volume);
    this.age.set(row.lastRecv ? age((now - row.lastRecv) / 1e6) : "");
    const state = row.info?.state ?? "waiting";
    this.state.set(state === "live" ? "" : state, state);
    mark(this.el, "state", state);
  }

  private renderVolume(volume: Volume | null): void {
    this.volume.set(volume ? `${volume.exact ? "" : "≈"}${short(volume.value)}${volume.of === "day" ? " today" : ""}` : "", volume?.value ?? null);
    this.volume.el.title = volume ? `${VOLUME_IS[volume.of]}, in the quote asset${volume.exact ? "" : "; about: not all of it is known, or only its size, at the price of now"}` : "";
    this.said.volume.set(volume ? `volume ${VOLUME_SAID[volume.of]}${volume.exact ? "" : ", about"}` : "");
  }
}
