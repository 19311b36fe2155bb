// The sheet of keys and signs, on "?": the page's own keys, those of each panel, and what signs mean.

import { KEYS } from "../state/keys.ts";
import { PANEL_KEYS } from "../state/panelkeys.ts";
import { dialog, toggleDialog } from "./dialog.ts";
import { h } from "./dom.ts";

const SIGNS = [
  ["hatched strip, sim", "the simulated market: no real market is behind the numbers"],
  ["dimmed values", "nothing new comes: what is shown is old"],
  ["hollow candle", "a trade may be missing from this bar"],
  ["grey dash", "nothing was traded in this interval: the price before it goes on"],
  ["hatched band in the chart", "a disconnection, or a gap that was told: the words over the chart say which"],
  ["pale line, ◌", "an indicator that stands on an incomplete bar, or on a day that began before the first bar here"],
  ["quarter disc", "incomplete: a metric's window is not full yet, or a gap in the data lies in it"],
  ["pale candle", "the venue's own, from before this session"],
  ["Book not proved", "an update is missing; the book is being built anew and must not be relied on"],
  ["⚑", "a trade that is late, recovered or off the book: its tooltip says which"],
  ["⚠ n missed", "trades are missing from the tape at this place"],
] as const;

export class Help {
  readonly el: HTMLDialogElement;

  constructor() {
    const list = (rows: readonly (readonly [string, string])[], tag: "kbd" | "b"): HTMLElement =>
      h("dl", {}, ...rows.flatMap(([k, v]) => [h("dt", {}, h(tag, {}, k)), h("dd", {}, v)]));
    const credit = h("a", { href: "https://www.tradingview.com/", target: "_blank", rel: "noreferrer" }, "TradingView");
    const licenses = h("a", { href: "/licenses.txt" }, "licences");
    const api = h("a", { href: "/docs" }, "/docs");
    const about = h("p", {}, "Charts: Lightweight Charts™, Copyright © 2025 TradingView, Inc., ", credit, " (", licenses, "). The same data as JSON, and how to ask for it: ", api, ".");
    const panels = PANEL_KEYS.map(([title, keys]) => h("section", {}, h("h4", {}, title), list(keys.map(({ shown, what }) => [shown, what]), "kbd")));
    const focus = h("p", {}, "In a panel that has the focus (a click on it, Tab, or F6):");
    this.el = dialog("help", "Keys and signs", list(KEYS.map(({ shown, what }) => [shown, what]), "kbd"), focus, h("div", { class: "help-panels" }, ...panels), h("h3", {}, "Signs"), list(SIGNS, "b"), about);
  }

  toggle(): void {
    toggleDialog(this.el);
  }
}
