// The words over the chart: of the bar under the crosshair, or the newest, the values of everything that is drawn, each with its colour,
// and what is wrong there. Everything that a shape or a colour says on the canvas is said here in words, too.

import type { AlertEvent } from "../api/alerts.ts";
import type { Bar, Interval } from "../api/types.ts";
import type { Row as Instrument } from "../state/market.ts";
import { h, mark, show, type Value, value } from "../ui/dom.ts";
import { age, bps, clock, day, fixed, signed, size } from "../ui/format.ts";
import { deltaOf } from "./folds.ts";
import type { OtherReading } from "./otherlines.ts";
import type { Span } from "./spans.ts";
import type { Reading } from "./studyview.ts";

const INCOMPLETE = "A trade may be missing from this bar: the feed began inside it, or a gap or a disconnection touches it.";
const FILLED = "Nothing was traded in this interval: the price before it goes on.";
const VENUES = "From before this session: the venue's own candle, not made from trades seen here.";
const PARTIAL = "Incomplete: a bar that it looks back to lacks trades, or its day began before the first bar here.";

export interface Told {
  readonly bar: Bar | undefined;
  readonly hovered: boolean;
  readonly interval: Interval;
  readonly row: Instrument | undefined;
  readonly studies: readonly { readonly reading: Reading; readonly pane: number }[];
  readonly others: readonly OtherReading[];
  readonly spans: readonly Span[];
  readonly silence: number; // microseconds left out before the bar
  readonly alerts: readonly AlertEvent[];
  readonly tops: readonly number[]; // where each pane begins, in pixels
}

const FEW = 4; // chips over the candles that stand there unless all are asked for
const FEW_NARROW = 2;
const NARROW = 480; // pixels

class Chip {
  readonly el: HTMLElement;
  private readonly text: Value;
  private readonly note = h("span", { class: "partial", hidden: true });

  constructor(testid: string, title: string, remove: { readonly label: string; readonly act: () => void } | null) {
    this.text = value("legend-chip-text num value", testid);
    const away = remove ? h("button", { type: "button", class: "legend-chip-away", "aria-label": `Remove ${remove.label}` }, "×") : null;
    if (remove) away?.addEventListener("click", remove.act);
    this.el = h("span", { class: "legend-chip", title }, h("i", { class: "legend-chip-tone", "aria-hidden": "true" }), this.text.el, this.note, away);
  }

  get noted(): boolean {
    return !this.note.hidden;
  }

  about(title: string): void {
    if (this.el.title !== title) this.el.title = title;
  }

  set(text: string, raw: number | null, color: string, note: string, noteTitle: string): void {
    this.text.set(text, raw);
    if (this.el.dataset["tone"] !== color) {
      this.el.dataset["tone"] = color;
      this.el.style.setProperty("--tone", color);
    }
    show(this.note, note !== "");
    if (this.note.textContent !== note) this.note.textContent = note;
    if (this.note.title !== noteTitle) this.note.title = noteTitle;
  }
}

export class Legend {
  readonly el: HTMLElement;
  private readonly main = value("legend num value", "legend");
  private readonly partial = h("span", { class: "partial", title: INCOMPLETE, hidden: true }, "incomplete");
  private readonly venues = h("span", { class: "partial", title: VENUES, hidden: true }, "venue's candle");
  private readonly filled = h("span", { class: "partial", title: FILLED, hidden: true }, "nothing traded");
  private readonly trouble = value("partial legend-trouble", "chart-trouble");
  private readonly alerts = value("legend-alerts", "chart-alerts");
  private readonly chips = new Map<string, Chip>();
  private readonly panes = new Map<number, HTMLElement>();
  private readonly remove: (what: "study" | "other", key: string) => void;
  private readonly more = h("button", { type: "button", class: "legend-more", hidden: true, "data-testid": "legend-more" });
  private few = FEW;
  /** Whether all chips over the candles stand there, or few and their number: many would hide what they tell of. */
  all = false;

  /** `fold`: more or fewer of them are wanted. */
  constructor(profile: HTMLElement, remove: (what: "study" | "other", key: string) => void, fold: (all: boolean) => void) {
    this.remove = remove;
    this.more.addEventListener("click", () => fold(!this.all));
    const first = h("div", { class: "legend-row" }, this.main.el, this.partial, this.filled, this.venues, this.trouble.el, this.alerts.el, profile);
    this.el = h("div", { class: "legend-box" }, first);
    this.panes.set(0, h("div", { class: "legend-row legend-chips" }, this.more));
    this.el.append(...this.panes.values());
    new ResizeObserver(([entry]) => (this.few = (entry?.contentRect.width ?? NARROW) < NARROW ? FEW_NARROW : FEW)).observe(this.el);
  }

  render(told: Told): void {
    const { bar, row } = told;
    show(this.partial, bar !== undefined && !bar.complete);
    show(this.filled, bar?.flags.includes("FILLED") ?? false);
    show(this.venues, bar?.origin === "venue");
    this.trouble.set([...told.spans.map(spanWords), told.silence > 0 ? `${age(told.silence / 1e6)} without a bar before this one` : ""].filter(Boolean).join(" · "));
    this.alerts.set(told.alerts.map((a) => `▲ ${a.rule} ${clock(a.ts_event)}`).join("  "));
    this.main.set(bar && row ? words(bar, row, told.interval, told.hovered) : "", bar && row ? bar.close : null);
    if (bar) mark(this.main.el, "side", bar.close >= bar.open ? "up" : "down");
    this.renderChips(told);
  }

  private renderChips(told: Told): void {
    const { studies, others, tops } = told;
    const wanted = new Set<string>();
    for (const { reading, pane } of studies) {
      const key = `study ${reading.key}`;
      wanted.add(key);
      const chip = this.chip(key, pane, `study-${reading.key}`, reading.about, { label: reading.title, act: () => this.remove("study", reading.key) });
      const parts = reading.values.map(({ name, text }) => (name === "" ? text : `${name} ${text}`));
      const [first] = reading.values.filter(({ name }) => name === "");
      chip.set(tied([reading.title, ...parts]), first?.value ?? null, reading.color, reading.partial ? "◌ incomplete" : "", PARTIAL);
    }
    for (const other of others) {
      const key = `other ${other.id}`;
      wanted.add(key);
      const chip = this.chip(key, 0, `other-${other.id}`, "", { label: other.id, act: () => this.remove("other", other.id) });
      chip.set(tied([other.id, other.text, ...otherWords(other)]), other.value, other.color, NOTES[other.state][0], NOTES[other.state][1]);
      chip.about(otherAbout(other, told.row?.id ?? ""));
    }
    for (const [key, chip] of this.chips) {
      if (wanted.has(key)) continue;
      chip.el.remove();
      this.chips.delete(key);
    }
    this.fold();
    for (const [pane, el] of this.panes) {
      if (pane === 0) continue;
      show(el, el.childElementCount > 0);
      const top = `${(tops[pane] ?? 0) + 3}px`;
      if (el.style.top !== top) el.style.top = top;
    }
  }

  /** What is folded away still says by its number that one of it is not to be relied on. */
  private fold(): void {
    const chips = [...this.chips.values()].filter(({ el }) => el.parentElement === this.panes.get(0));
    const foldable = chips.length > this.few + 1; // in place of one chip a number would win nothing
    const hidden = foldable && !this.all ? chips.slice(this.few) : [];
    for (const chip of chips) show(chip.el, !hidden.includes(chip));
    show(this.more, foldable);
    const text = hidden.length > 0 ? `+${hidden.length}${hidden.some((chip) => chip.noted) ? " ◌" : ""}` : "fewer";
    if (this.more.textContent === text) return;
    this.more.textContent = text;
    this.more.title = hidden.length > 0 ? `${hidden.length} more${text.endsWith("◌") ? ", not all of them whole" : ""}` : "Show fewer of them";
    this.more.setAttribute("aria-label", this.more.title);
  }

  private chip(key: string, pane: number, testid: string, title: string, remove: { label: string; act: () => void }): Chip {
    let chip = this.chips.get(key);
    if (!chip) this.chips.set(key, (chip = new Chip(testid, title, remove)));
    const place = this.pane(pane);
    if (chip.el.parentElement !== place) place.insertBefore(chip.el, pane === 0 ? this.more : null);
    return chip;
  }

  private pane(n: number): HTMLElement {
    let el = this.panes.get(n);
    if (!el) {
      this.panes.set(n, (el = h("div", { class: "legend-row legend-chips legend-pane" })));
      this.el.append(el);
    }
    return el;
  }
}

const NOTES: Readonly<Record<OtherReading["state"], readonly [string, string]>> = {
  "": ["", ""],
  incomplete: ["◌ incomplete", INCOMPLETE],
  old: ["old", "Nothing new comes from its venue: its line is pale and may be old."],
  none: ["no bar here", "It has no bar that opens at this time."],
};

const percent = (share: number | null): string => (share === null ? "" : `${signed(share * 100, 2)}%`);

/** How it went since the common start, and where it is the same thing how far apart the two are. */
function otherWords({ change, bps: apart }: OtherReading): string[] {
  return [percent(change), apart === null ? "" : `basis ${apart > 0 ? "+" : ""}${bps(apart)}`];
}

function otherAbout({ id, change, ownChange, since, same }: OtherReading, own: string): string {
  const went = change === null ? "" : `Since ${day(since)} ${clock(since)}, the first bar in view that both have: ${id} ${percent(change)}, ${own} ${percent(ownChange)}.`;
  const basis = same ? `The basis is its close over that of ${own}, less 1.` : `It has no basis to ${own}: they are not the same asset in the same money.`;
  return [went, basis].filter(Boolean).join(" ");
}

const SPANS: Readonly<Record<Span["kind"], string>> = { gap: "gap", disconnected: "disconnected", "left out": "left out" };

function spanWords({ kind, from, to, text }: Span): string {
  const when = to > from ? `${clock(from)} to ${clock(to)}` : clock(from);
  return `⚠ ${SPANS[kind]} ${when}${text ? `: ${text}` : ""}`;
}

/** No line breaks inside a part: a name must not stand on one line and its number on the next. */
const tied = (parts: readonly string[]): string => parts.filter(Boolean).map((part) => part.replaceAll(" ", "\u00a0")).join("  ");

function words(bar: Bar, row: Instrument, interval: Interval, hovered: boolean): string {
  const p = (x: number): string => fixed(x, row.priceDecimals);
  const when = interval === "1d" ? day(bar.ts_open) : `${hovered ? `${day(bar.ts_open)} ` : ""}${clock(bar.ts_open)}`;
  const delta = deltaOf(bar);
  return tied([
    when, `O ${p(bar.open)}`, `H ${p(bar.high)}`, `L ${p(bar.low)}`, `C ${p(bar.close)}`,
    `${signed((bar.close / bar.open - 1) * 100, 2)}%`, `V ${size(bar.volume, row.sizeDecimals)}`,
    bar.buy_volume === null || bar.volume === 0 ? "" : `buys ${fixed((bar.buy_volume / bar.volume) * 100, 0)}%`,
    delta === null ? "" : `Δ ${delta < 0 ? "−" : "+"}${size(Math.abs(delta), row.sizeDecimals)}`,
    bar.vwap === null ? "" : `VWAP ${p(bar.vwap)}`,
    bar.trades === null ? "" : `${fixed(bar.trades, 0)} trades`,
  ]);
}

/** One bar for a screen reader, as the keyboard's crosshair comes to it. */
export function spoken({ bar, row, interval, studies, others, spans }: Told): string {
  if (!bar || !row) return "No bar here";
  const p = (x: number): string => fixed(x, row.priceDecimals);
  const state = [bar.complete ? "" : "incomplete", bar.origin === "venue" ? "the venue's candle" : "", bar.flags.includes("FILLED") ? "nothing traded" : ""];
  return [
    interval === "1d" ? day(bar.ts_open) : `${day(bar.ts_open)} ${clock(bar.ts_open)}`,
    `open ${p(bar.open)}, high ${p(bar.high)}, low ${p(bar.low)}, close ${p(bar.close)}, volume ${size(bar.volume, row.sizeDecimals)}`,
    ...state.filter(Boolean),
    ...studies.map(({ reading }) => `${reading.title} ${reading.values.map((v) => `${v.name} ${v.text}`.trim()).join(", ")}${reading.partial ? ", incomplete" : ""}`),
    ...others.map((o) => [o.id, o.text, ...otherWords(o)].filter(Boolean).join(" ")),
    ...spans.map(spanWords),
  ].join("; ");
}
