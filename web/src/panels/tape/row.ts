// One row of the tape: a print or a hole. Written again for another print without making elements anew.

import { amount, type Print, type Tape, type TapeRow } from "../../state/tape.ts";
import { h, mark, Value } from "../../ui/dom.ts";
import { clock, fixed, size } from "../../ui/format.ts";

const ARROWS = { buy: "▲", sell: "▼", unknown: "·" } as const;
const WORDS: Readonly<Record<string, string>> = {
  LATE: "came late", RECOVERED: "recovered after a gap", SAMPLED: "sampled", AGGREGATED: "aggregated by the venue",
  OFF_BOOK: "off the book", BAD_TIME: "its time is not to be believed", INEXACT: "its exact text is on the tape", RPI: "retail price improvement",
};
const ORDINARY = new Set(["AGGREGATED"]); // every trade of a futures feed is: told in the tooltip, no mark beside each size

interface Decimals {
  readonly priceDecimals: number;
  readonly sizeDecimals: number;
}

export class TapeLineView {
  readonly el = h("div", { class: "trade" });
  private readonly time = new Value(h("span", { class: "num" }));
  private readonly priceText = new Value(h("span"));
  private readonly arrow = new Value(h("i"));
  private readonly price = h("span", { class: "num price" }, this.priceText.el, this.arrow.el);
  private readonly times = new Value(h("span", { class: "tape-count" }));
  private readonly sizeText = new Value(h("span"));
  private readonly size = h("span", { class: "num" }, this.times.el, this.sizeText.el);

  constructor() {
    this.el.append(this.time.el, this.price, this.size);
  }

  set(row: TapeRow | undefined, decimals: Decimals, tape: Tape): void {
    if (!row) return;
    if (row.kind === "missed") this.hole(row.text, row.at);
    else this.print(row, decimals, tape);
  }

  private hole(text: string, at: number): void {
    this.el.className = "trade missed";
    this.el.dataset["testid"] = "missed";
    for (const name of ["side", "flags", "large"]) delete this.el.dataset[name];
    this.el.title = text;
    this.time.set(at ? clock(at, true) : "");
    this.priceText.set(`⚠ ${text}`);
    delete this.price.dataset["value"];
    for (const part of [this.arrow, this.times, this.sizeText]) part.set("");
  }

  private print(print: Print, { priceDecimals, sizeDecimals }: Decimals, tape: Tape): void {
    const { last } = print;
    this.el.className = "trade";
    delete this.el.dataset["testid"];
    mark(this.el, "side", last.side);
    this.time.set(clock(last.ts_event, true));
    this.priceText.set(fixed(last.price, priceDecimals));
    this.price.dataset["value"] = String(last.price);
    this.arrow.set(ARROWS[last.side]);
    this.times.set(print.count > 1 ? `×${print.count}` : "");
    this.sizeText.set(size(print.size, sizeDecimals));
    this.size.dataset["value"] = String(print.size);
    this.el.title = told(print, priceDecimals);
    const marks = print.flags.filter((f) => f in WORDS && !ORDINARY.has(f));
    if (marks.length > 0) mark(this.el, "flags", marks.join(" "));
    else delete this.el.dataset["flags"];
    mark(this.el, "large", String(tape.isLarge(print)));
    const least = tape.threshold(last.ts_event);
    const own = least ? Math.min(1, amount(print, least.of) / (least.value || 1)) : 0;
    this.el.style.setProperty("--own", Math.sqrt(own).toFixed(3)); // by area, so that ordinary prints differ too
  }
}

function told(print: Print, decimals: number): string {
  const { first, last, low, high, count } = print;
  const parts = [count === 1 ? `id ${last.id}` : `${count} trades, ids ${first.id} to ${last.id}`];
  if (low !== high) parts.push(`${fixed(low, decimals)} to ${fixed(high, decimals)}`);
  return [...parts, ...print.flags.flatMap((f) => WORDS[f] ?? [])].join(" · ");
}
