// The chart's head and foot: what is chosen by a press, and the credit that the chart library's licence asks for.

import { INTERVALS, type Interval } from "../api/types.ts";
import { h, icon, mark, show, value } from "../ui/dom.ts";
import type { Settings } from "./memory.ts";
import { type Kind, KINDS } from "./points.ts";

const KIND_WORDS: Readonly<Record<Kind, string>> = { candles: "Candles", "heikin-ashi": "Heikin-Ashi", bars: "Bars", line: "Line", area: "Area" };

export interface Actions {
  readonly interval: (interval: Interval) => void;
  readonly kind: (kind: Kind) => void;
  readonly profile: () => void;
  readonly indicators: (back: HTMLElement) => void;
  readonly compare: (back: HTMLElement) => void;
  readonly lines: (back: HTMLElement) => void;
  readonly draw: () => void;
  readonly table: () => void;
  readonly newest: () => void;
  readonly fit: () => void;
  readonly auto: () => void;
  readonly scale: (scale: "log" | "percent") => void;
}

export interface Standing {
  readonly interval: Interval;
  readonly kinds: readonly string[]; // of bars, beside the usual intervals
  readonly settings: Settings;
  readonly profile: boolean;
  readonly drawing: boolean;
  readonly table: boolean;
  readonly auto: boolean;
  readonly atNewest: boolean;
  readonly words: string; // of the history: loading, its end, what went wrong
}

function press(label: string, title: string, act: (el: HTMLButtonElement) => void, className = "toggle"): HTMLButtonElement {
  const button = h("button", { type: "button", class: className, title }, label);
  button.addEventListener("click", () => act(button));
  return button;
}

const pressed = (button: HTMLElement, on: boolean): void => {
  if (button.getAttribute("aria-pressed") !== String(on)) button.setAttribute("aria-pressed", String(on));
};

export class Toolbar {
  readonly head: HTMLElement;
  readonly foot: HTMLElement;
  readonly compare: HTMLButtonElement;
  private readonly intervals = new Map<Interval, HTMLButtonElement>();
  private readonly others = h("select", { class: "kinds", "aria-label": "Bars of other kinds", hidden: true });
  private readonly kind = h("select", { class: "kinds chosen", "aria-label": "Kind of chart" }, ...KINDS.map((kind) => h("option", { value: kind }, KIND_WORDS[kind])));
  private readonly byPrice: HTMLButtonElement;
  private readonly drawing: HTMLButtonElement;
  private readonly table: HTMLButtonElement;
  private readonly auto: HTMLButtonElement;
  private readonly log: HTMLButtonElement;
  private readonly percent: HTMLButtonElement;
  private readonly newest: HTMLButtonElement;
  private readonly words = value("chart-words", "chart-words");
  private offered = "";

  constructor(actions: Actions) {
    const bar = h("div", { class: "intervals", role: "group", "aria-label": "Interval" });
    INTERVALS.forEach((interval, i) => {
      const button = press(interval, `Interval ${interval} (key ${i + 1})`, () => actions.interval(interval), "");
      this.intervals.set(interval, button);
      bar.append(button);
    });
    bar.append(this.others);
    this.others.addEventListener("change", () => actions.interval(this.others.value));
    this.kind.addEventListener("change", () => actions.kind(this.kind.value as Kind));
    const drawn = (button: HTMLButtonElement, path: string): HTMLButtonElement => {
      button.setAttribute("aria-label", button.textContent ?? "");
      button.replaceChildren(icon(path));
      return button;
    };
    const opener = (label: string, title: string, open: (back: HTMLElement) => void): HTMLButtonElement => {
      const button = press(label, title, open);
      button.setAttribute("aria-haspopup", "dialog");
      button.setAttribute("aria-expanded", "false");
      return button;
    };
    const studies = opener("Indicators", "Averages, bands, oscillators, delta, VWAP, and the server's metrics", actions.indicators);
    this.compare = opener("Compare", "Other instruments in this chart", actions.compare);
    const lines = opener("Lines", "Horizontal lines: all of them as numbers", actions.lines);
    this.drawing = press("Draw", "Draw a horizontal line with the next click (a double click does so, too)", actions.draw);
    this.byPrice = press("Profile", "Volume by price, with the point of control and the value area (key p)", actions.profile);
    drawn(lines, "M3 7h18M3 12h18M3 17h18");
    drawn(this.drawing, "M3 20h18M7 15l9-9 3 3-9 9H7z");
    drawn(this.byPrice, "M21 4v17M21 6h-8M21 10H6M21 14h-11M21 18h-5");
    this.head = h("div", { class: "chart-head" }, bar, h("div", { class: "views" }, this.kind, studies, this.compare, lines, this.drawing, this.byPrice));

    this.newest = press("Newest ⇥", "Go to the newest bar (End, End with the chart focused)", actions.newest, "toggle chart-newest");
    this.table = press("Table", "The bars in view as a table", actions.table);
    const fit = press("Fit", "All the bars that are here", actions.fit);
    this.auto = press("Auto", "The price scale follows what is in view", actions.auto);
    this.log = press("Log", "Logarithmic price scale", () => actions.scale("log"));
    this.percent = press("%", "In per cent of what stands at the left edge of the view", () => actions.scale("percent"));
    this.percent.setAttribute("aria-label", "Percent");
    const credit = h("a", { class: "credit", href: "https://www.tradingview.com/", target: "_blank", rel: "noreferrer" }, "TradingView");
    const scales = h("div", { class: "views", role: "group", "aria-label": "Scale" }, fit, this.auto, this.log, this.percent);
    this.foot = h("div", { class: "chart-foot" }, h("span", { class: "credits" }, "Chart by ", credit), this.words.el, this.newest, this.table, scales);
  }

  render(standing: Standing): void {
    const { interval, settings } = standing;
    for (const [name, button] of this.intervals) pressed(button, name === interval);
    this.offer(standing.kinds, interval);
    if (this.kind.value !== settings.kind) this.kind.value = settings.kind;
    pressed(this.byPrice, standing.profile);
    pressed(this.drawing, standing.drawing);
    pressed(this.table, standing.table);
    pressed(this.auto, standing.auto);
    pressed(this.log, settings.scale === "log");
    pressed(this.percent, settings.scale === "percent");
    show(this.newest, !standing.atNewest);
    this.words.set(standing.words);
  }

  /** The kinds of bars that are switched on beside the usual intervals. */
  private offer(kinds: readonly string[], interval: Interval): void {
    const key = JSON.stringify(kinds);
    if (key !== this.offered) {
      this.offered = key;
      const head = h("option", { value: "", disabled: true, hidden: true }, "Other bars");
      this.others.replaceChildren(head, ...kinds.map((kind) => h("option", { value: kind }, kind)));
      show(this.others, kinds.length > 0);
    }
    const chosen = kinds.includes(interval) ? interval : "";
    if (this.others.value !== chosen) this.others.value = chosen;
    mark(this.others, "chosen", String(chosen !== ""));
  }
}
