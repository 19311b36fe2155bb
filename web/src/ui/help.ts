// The sheet of keys and signs, on "?".

import { h } from "./dom.ts";

const KEYS = [
  ["↑ ↓", "previous, next instrument"],
  ["1 … 9", "interval: 1s 5s 15s 1m 5m 15m 1h 4h 1d"],
  ["h", "Heikin-Ashi candles, and back"],
  ["p", "volume by price: the dashed line is the point of control, the stronger bars hold 70 % of the volume"],
  ["t", "dark or light"],
  ["c", "colours of up and down: classic, colour-blind, red-up"],
  ["?", "this sheet"],
] as const;

const SIGNS = [
  ["hatched strip, sim", "the simulated market: no real market is behind the numbers"],
  ["dimmed values", "nothing new comes: what is shown is old"],
  ["hollow candle", "a trade may be missing from this bar"],
  ["grey dash", "nothing was traded in this interval: the price before it goes on"],
  ["quarter disc", "incomplete: a metric's window is not full yet, or a gap in the data lies in it"],
  ["pale candle", "the venue's own, from before this session"],
  ["Book not proved", "an update is missing; the book is being built anew and must not be relied on"],
  ["⚑", "a trade that is late, recovered or off the book: its tooltip says which"],
  ["⚠ n missed", "trades are missing from the tape at this place"],
] as const;

export class Help {
  readonly el: HTMLDialogElement;

  constructor() {
    const close = h("button", { type: "button", class: "icon", "aria-label": "Close" }, "✕");
    const list = (rows: readonly (readonly [string, string])[], tag: "kbd" | "b"): HTMLElement =>
      h("dl", {}, ...rows.flatMap(([k, v]) => [h("dt", {}, h(tag, {}, k)), h("dd", {}, v)]));
    const credit = h("a", { href: "https://www.tradingview.com/", target: "_blank", rel: "noreferrer" }, "TradingView");
    const licenses = h("a", { href: "/licenses.txt" }, "licences");
    const api = h("a", { href: "/api/v1/status" }, "/api/v1");
    const about = h("p", {}, "Charts: Lightweight Charts™, Copyright © 2025 TradingView, Inc., ", credit, " (", licenses, "). The same data as JSON: ", api, ".");
    this.el = h(
      "dialog", { class: "help", "aria-labelledby": "help-title" },
      h("header", {}, h("h2", { id: "help-title" }, "Keys and signs"), close), list(KEYS, "kbd"), list(SIGNS, "b"), about,
    );
    close.addEventListener("click", () => this.el.close());
    this.el.addEventListener("click", (e) => e.target === this.el && this.el.close());
  }

  toggle(): void {
    if (this.el.open) this.el.close();
    else this.el.showModal();
  }
}
