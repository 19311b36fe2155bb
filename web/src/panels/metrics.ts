// The sampled metrics of the chosen instrument, and of the groups: each a number, its last five minutes, and what it means.
//
// A number that a hole or the warm-up touches is marked in words, in colour and by its line; one that is not known now is a dash.
// What a metric means stands in one line at the foot: of the tile under the pointer, or of the one the keyboard is on.

import type { Line, Samples } from "../state/samples.ts";
import { grouped, meaning, metricText } from "../state/catalogue.ts";
import type { Session } from "../state/session.ts";
import { h, mark, panel, show, type Value, value } from "../ui/dom.ts";
import { age, clock, DASH, decimalsOf, zoneAt } from "../ui/format.ts";
import type { Panel, Topic } from "../ui/scheduler.ts";
import { trend } from "../ui/sparkline.ts";

const DRAW_MS = 1000;
const LEAST_POINTS = 60; // a line of ten seconds must not look like one of minutes
const UNCHANGED_S = 10;
const PARTIAL = "incomplete: its window is not full yet, or a gap in the data lies in it";
const NONE = "No metrics are switched on: pipeline.metrics in tapeline.toml names them.";

class Tile {
  readonly el: HTMLButtonElement;
  readonly canvas = h("canvas", { class: "trend", "aria-hidden": "true" });
  readonly name: string;
  readonly scope: string;
  private readonly number: Value;
  private readonly flag = h("span", { class: "quarter", hidden: true, title: PARTIAL }, h("span", { class: "sr" }, "incomplete"));

  constructor(scope: string, name: string) {
    this.scope = scope;
    this.name = name;
    this.number = value("metric-value num value", `metric-${name}`);
    const label = h("span", { class: "metric-name" }, ...withBreaks(name));
    this.el = h("button", { type: "button", class: "metric", tabindex: "-1", "data-metric": name }, label, this.number.el, this.flag, this.canvas);
  }

  render(line: Line | undefined, text: string): void {
    const last = line?.values.at(-1) ?? null;
    const partial = last !== null && (line?.partial.at(-1) ?? false);
    this.number.set(text, last);
    mark(this.el, "partial", String(partial));
    show(this.flag, partial);
  }
}

/** Long names may break after an underscore or a dot. */
function withBreaks(name: string): (Node | string)[] {
  return name.split(/(?<=[_.])/).flatMap((part, i) => (i === 0 ? [part] : [h("wbr"), part]));
}

export class MetricsPanel implements Panel {
  readonly topics: readonly Topic[] = ["metrics", "selection", "theme", "clock"];
  readonly el: HTMLElement;
  private readonly session: Session;
  private readonly alertOn: (expression: string) => void;
  private readonly body = h("div", { class: "metrics", "data-testid": "metrics", role: "group", "aria-label": "Metrics; arrow keys go from one to the next" });
  private readonly empty = h("p", { class: "empty" }, NONE);
  private readonly asOf = value("metrics-asof num", "metrics-asof");
  private readonly about = h("span", { class: "about-text", "data-testid": "metric-about", "aria-live": "polite" });
  private readonly alert = h("button", { type: "button", class: "link" }, "Alert on it…");
  private tiles = new Map<string, Tile>();
  private shown = "";
  private chosen: Tile | null = null;
  private drawn = 0;

  constructor(session: Session, alertOn: (expression: string) => void) {
    this.session = session;
    this.alertOn = alertOn;
    const foot = h("footer", { class: "about" }, this.about, this.alert);
    this.el = panel("metrics", "Metrics", this.asOf.el, this.body, this.empty, foot);
    this.body.addEventListener("keydown", (event) => this.walk(event));
    for (const name of ["pointerover", "focusin"]) this.body.addEventListener(name, (event) => this.choose(event.target));
    this.alert.addEventListener("click", () => this.ask());
  }

  render(dirty: ReadonlySet<Topic>): void {
    const scopes = this.session.figures.sampled();
    this.arrange(scopes);
    for (const [scope, samples] of scopes) {
      for (const [name, line] of samples.lines) this.tiles.get(`${scope} ${name}`)?.render(line, this.text(scope, name, line));
    }
    this.renderAge(scopes[0]?.[1]);
    const now = performance.now();
    if (!dirty.has("theme") && !dirty.has("selection") && now - this.drawn < DRAW_MS) return;
    this.drawn = now;
    for (const [scope, samples] of scopes) {
      for (const [name, line] of samples.lines) {
        const tile = this.tiles.get(`${scope} ${name}`);
        if (tile) trend(tile.canvas, line.values, line.partial, LEAST_POINTS);
      }
    }
  }

  private text(scope: string, name: string, line: Line): string {
    const last = line.values.at(-1) ?? null;
    const row = this.session.market.rows.get(scope);
    const { unit } = meaning(scope, name, this.session.figures.catalogue);
    return metricText(last, unit, row?.priceDecimals ?? Math.min(6, decimalsOf(Number((last ?? 0).toPrecision(9)))));
  }

  private renderAge(samples: Samples | undefined): void {
    const { now } = this.session;
    const seconds = samples && samples.lastRecv > 0 ? (now - samples.lastRecv) / 1e6 : 0;
    const still = seconds > UNCHANGED_S ? ` · unchanged for ${age(seconds)}` : "";
    this.asOf.set(samples && samples.newest > 0 ? `as of ${clock(samples.newest)} ${zoneAt(samples.newest)}${still}` : "");
    mark(this.asOf.el, "still", String(still !== ""));
  }

  /** Tiles are made anew only where another instrument is chosen or a metric comes or goes. */
  private arrange(scopes: readonly (readonly [string, Samples])[]): void {
    const key = JSON.stringify([this.session.figures.catalogue.known, scopes.map(([scope, s]) => [scope, [...s.lines.keys()]])]);
    if (key === this.shown) return;
    this.shown = key;
    const before = this.chosen;
    const focused = [...this.tiles].find(([, tile]) => tile.el === document.activeElement)?.[0];
    this.tiles = new Map();
    this.body.replaceChildren(...scopes.flatMap(([scope, samples], at) => this.sections(scope, samples, at > 0)));
    show(this.empty, this.tiles.size === 0);
    this.drawn = 0;
    this.chosen = (before && this.tiles.get(`${before.scope} ${before.name}`)) ?? null;
    const entry = this.chosen ?? [...this.tiles.values()][0];
    if (entry) entry.el.tabIndex = 0;
    if (focused !== undefined) this.tiles.get(focused)?.el.focus();
    this.explain();
  }

  private sections(scope: string, samples: Samples, isGroup: boolean): HTMLElement[] {
    const parts = isGroup ? [[scope.replace(":", " "), [...samples.lines.keys()]] as const] : grouped(samples.lines.keys(), this.session.figures.catalogue);
    return parts.map(([heading, names]) => {
      const tiles = names.map((name) => new Tile(scope, name));
      for (const tile of tiles) this.tiles.set(`${scope} ${tile.name}`, tile);
      return h("section", { class: "metric-group", "aria-label": heading }, h("h4", {}, heading), h("div", { class: "tiles" }, ...tiles.map((t) => t.el)));
    });
  }

  private choose(target: EventTarget | null): void {
    const el = target instanceof Element ? target.closest(".metric") : null;
    const tile = el ? [...this.tiles.values()].find((t) => t.el === el) : undefined;
    if (!tile || tile === this.chosen) return;
    for (const other of this.tiles.values()) other.el.tabIndex = other === tile ? 0 : -1;
    this.chosen = tile;
    this.explain();
  }

  private explain(): void {
    const tile = this.chosen;
    show(this.alert, tile !== null && !tile.scope.startsWith("group:")); // rules know few of a group's figures
    for (const other of this.tiles.values()) mark(other.el, "chosen", String(other === tile));
    if (!tile) {
      this.about.textContent = this.tiles.size > 0 ? "Point at a metric, or go to it with the arrow keys, to read what it means." : "";
      return;
    }
    const { unit, text, whole } = meaning(tile.scope, tile.name, this.session.figures.catalogue);
    const hole = tile.el.dataset["partial"] === "true" ? [h("em", {}, `Now ${PARTIAL}. `)] : [];
    this.about.replaceChildren(h("b", {}, tile.name), " ", ...hole, `${unit ? `(${unit}) ` : ""}${text || DASH}`);
    this.about.title = whole;
  }

  private walk(event: KeyboardEvent): void {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (by === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation(); // the same keys choose instruments elsewhere
    const all = [...this.tiles.values()];
    const at = all.findIndex((t) => t.el === document.activeElement);
    all[Math.max(0, Math.min(all.length - 1, at + by))]?.el.focus();
  }

  private ask(): void {
    const tile = this.chosen;
    if (!tile) return;
    this.alertOn(`${tile.scope} ${tile.name} > `);
  }
}
