// The chart as a table: the bars in view, newest first, with everything that is drawn of them. Written only while it is open.

import type { Bar, Interval } from "../api/types.ts";
import type { Row as Instrument } from "../state/market.ts";
import { h, show } from "../ui/dom.ts";
import { clock, DASH, day, fixed, signed, size } from "../ui/format.ts";
import { deltaOf } from "./folds.ts";
import type { OtherReading } from "./otherlines.ts";
import type { Reading } from "./studyview.ts";

const MOST_ROWS = 300;

export interface TwinRow {
  readonly bar: Bar;
  readonly studies: readonly Reading[];
  readonly others: readonly OtherReading[];
  readonly notes: string;
}

export class Twin {
  readonly el = h("div", { class: "chart-table", hidden: true, tabindex: "0", role: "region", "aria-label": "The bars in view, as a table", "data-testid": "chart-table" });
  private said = "";

  get open(): boolean {
    return !this.el.hidden;
  }

  toggle(): void {
    show(this.el, !this.open);
    this.said = "";
  }

  /** `rows`: oldest first. */
  render(rows: readonly TwinRow[], row: Instrument | undefined, interval: Interval): void {
    if (!row) return;
    const shown = rows.slice(-MOST_ROWS).reverse();
    const cells = shown.map((r) => line(r, row, interval));
    const said = JSON.stringify(cells);
    if (said === this.said) return;
    this.said = said;
    const first = shown[0];
    const head = ["Time", "Open", "High", "Low", "Close", "Volume", "Bought", "Delta", "VWAP", "Trades", ...(first?.studies ?? []).flatMap(headings), ...(first?.others ?? []).map((o) => o.id), "Notes"];
    const caption = `${shown.length} bars${rows.length > shown.length ? `, the newest of the ${rows.length} in view` : " in view"}, newest first`;
    this.el.replaceChildren(h(
      "table", { class: "num" }, h("caption", {}, caption), h("thead", {}, h("tr", {}, ...head.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, ...cells.map(([time = "", ...rest]) => h("tr", {}, h("th", { scope: "row" }, time), ...rest.map((text) => h("td", {}, text))))),
    ));
  }
}

const headings = ({ title, values }: Reading): string[] => values.map(({ name }) => (name === "" ? title : `${title} ${name}`));

function line({ bar, studies, others, notes }: TwinRow, row: Instrument, interval: Interval): string[] {
  const p = (x: number | null): string => fixed(x, row.priceDecimals);
  const s = (x: number | null): string => (x !== null && x < 0 ? `−${size(-x, row.sizeDecimals)}` : size(x, row.sizeDecimals));
  return [
    interval === "1d" ? day(bar.ts_open) : `${day(bar.ts_open)} ${clock(bar.ts_open)}`, p(bar.open), p(bar.high), p(bar.low), p(bar.close),
    s(bar.volume), s(bar.buy_volume), s(deltaOf(bar)), p(bar.vwap), bar.trades === null ? DASH : fixed(bar.trades, 0),
    ...studies.flatMap((study) => study.values.map(({ text }) => text + (study.partial ? " ◌" : ""))),
    ...others.map(({ text, change }) => (change === null ? text : `${text} ${signed(change * 100, 2)}%`)), notes,
  ];
}
