// All streamed instruments: mid (where there is none: the latest trade's price), change, spread, volume, age, the last five minutes.
// Arrow keys or a click choose one; the box above finds others at any venue.
//
// Several hundred rows cost little: what is out of view is neither laid out (content-visibility) nor written, and the order is made
// anew once a second at most.

import { add, remove, type Streamed } from "../api/subscriptions.ts";
import type { Session } from "../state/session.ts";
import { Tickers } from "../state/tickers.ts";
import { arrange, type Choices, type Column, COLUMNS, moved, parse, put, type Section, sortedBy, stepped, toggled, values } from "../state/watch.ts";
import "../styles/watch.css";
import { h, mark, panel, show } from "../ui/dom.ts";
import { symbolOf } from "../ui/format.ts";
import type { Topic } from "../ui/scheduler.ts";
import { sparkline } from "../ui/sparkline.ts";
import { store, stored } from "../ui/theme.ts";
import type { Shown } from "./kinds.ts";
import { draggable } from "./watch/drag.ts";
import { Finder } from "./watch/finder.ts";
import { Line } from "./watch/line.ts";
import { WatchMenu } from "./watch/menu.ts";

const SPARK_MS = 1000;
const SORT_MS = 1000;
const UNDO_MS = 12_000;
const HEADS: Readonly<Record<Column, readonly [string, string]>> = {
  name: ["Name", "The market and its venue"],
  mid: ["Mid", "Half way between bid and ask; where there are none, the latest trade's price"],
  change: ["Chg", "How much it moved since the UTC day began"],
  spread: ["Sprd", "Ask less bid, in basis points of the mid"],
  volume: ["Vol 24h", "What was traded in 24 hours, in the quote asset, as the venue tells it; “today”: since 00:00 UTC, by the trades seen here; ≈: about, as not all of it is known, or only its size"],
  age: ["Age", "How long ago something of it came"],
};
const ORDER = "Click for the order by it, again for the other way, and again for your own order.";

export class Watchlist implements Shown {
  readonly topics: readonly Topic[] = ["quotes", "status", "clock", "selection", "theme"];
  readonly el: HTMLElement;
  private readonly session: Session;
  private readonly tickers: Tickers;
  private readonly list = h("div", { class: "watch", role: "listbox", tabindex: "0", "aria-label": "Instruments" });
  private readonly nothing = h("p", { class: "empty", hidden: true });
  private readonly heads = new Map<Column, HTMLButtonElement>();
  private readonly finder: Finder;
  private readonly menu: WatchMenu;
  private readonly undo = h("div", { class: "watch-undo", hidden: true, role: "status", "data-testid": "watch-undo" });
  private readonly lines = new Map<string, Line>();
  private readonly eye: IntersectionObserver;
  private choices: Choices = parse(stored("watch"));
  private words = "";
  private sections: readonly Section[] = [];
  private shape = "";
  private sorted = 0;
  private drawn = 0;
  private shownId = "";
  private coming = ""; // the name of what was added, until it is here
  private undoing: number | undefined;

  constructor(session: Session, title: HTMLElement) {
    this.session = session;
    this.tickers = new Tickers(session.market, () => session.scheduler.touch("quotes"));
    this.tickers.look(true);
    session.add(this.tickers);
    session.order = () => this.sections.filter((s) => !s.closed).flatMap((s) => s.ids);
    this.eye = new IntersectionObserver((seen) => this.saw(seen), { root: this.list, rootMargin: "100px" });
    this.finder = new Finder((words) => this.filter(words), () => this.pickFirst(), (name) => (this.coming = name));
    this.menu = new WatchMenu({
      choose: (change) => this.choose({ ...this.choices, ...change }),
      put: (group) => this.choose({ ...put(this.choices, session.view.id, group), group: "own" }),
      move: (by) => this.move(by),
      remove: () => void this.remove(session.view.id),
    });
    const top = h("div", { class: "watch-top" }, title, this.finder.input, this.menu.button);
    this.el = panel("watch", "Watchlist", top, this.menu.el, this.headings(), this.list, this.nothing, this.finder.el, this.undo);
    this.list.addEventListener("keydown", (event) => this.key(event));
    draggable(this.list, (id, other, after) => this.choose(moved(this.choices, this.sections.flatMap((s) => s.ids), id, other, after)));
  }

  visible(shown: boolean): void {
    this.tickers.look(shown);
  }

  render(dirty: ReadonlySet<Topic>): void {
    const { market, view, now } = this.session;
    this.arrange(false);
    this.welcome();
    for (const row of market.rows.values()) this.lines.get(row.id)?.render(row, this.tickers.volume(row.id), now, row.id === view.id);
    const active = this.lines.has(view.id) ? `watch-${view.id}` : "";
    if (this.list.getAttribute("aria-activedescendant") !== active) this.list.setAttribute("aria-activedescendant", active);
    if (dirty.has("selection")) {
      if (view.id !== this.shownId) this.list.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
      this.shownId = view.id;
      this.menu.render(this.choices, symbolOf(view.id) === "" ? "" : view.id);
    }
    this.draw(dirty.has("theme"));
  }

  private draw(force: boolean): void {
    const now = performance.now();
    if (!force && now - this.drawn < SPARK_MS) return;
    this.drawn = now;
    for (const [id, line] of this.lines) {
      const row = this.session.market.rows.get(id);
      if (row && line.seen) sparkline(line.spark, row.spark, row.spark[0] ?? null);
    }
  }

  private arrange(force: boolean): void {
    const { rows } = this.session.market;
    const now = performance.now();
    const changed = rows.size !== this.lines.size || [...rows.keys()].some((id) => !this.lines.has(id));
    if (!force && !changed && (!this.choices.sort || now - this.sorted < SORT_MS)) return;
    this.sorted = now;
    this.reconcile();
    const of = (id: string): ReturnType<typeof values> => {
      const row = rows.get(id);
      return row ? values(row, this.tickers.volume(id)?.value ?? null) : { name: id, mid: null, change: null, spread: null, volume: null, age: null };
    };
    this.sections = arrange([...rows.keys()], this.choices, this.words, of);
    const shape = JSON.stringify(this.sections);
    if (shape === this.shape) return;
    this.shape = shape;
    this.list.replaceChildren(...this.sections.flatMap((section) => this.section(section)));
    mark(this.el, "dense", String(this.choices.compact));
    const none = this.sections.every((s) => s.ids.length === 0);
    show(this.list, !none);
    show(this.nothing, none && rows.size > 0);
    this.nothing.textContent = `None of the ${rows.size} streamed markets fits.`;
  }

  private reconcile(): void {
    const { rows } = this.session.market;
    for (const [id, line] of this.lines) {
      if (rows.has(id)) continue;
      this.eye.unobserve(line.el);
      line.el.remove();
      this.lines.delete(id);
    }
    for (const row of rows.values()) {
      if (this.lines.has(row.id)) continue;
      const line = new Line(row, (id) => this.session.select(id));
      this.lines.set(row.id, line);
      this.eye.observe(line.el);
    }
  }

  private section({ name, ids, closed }: Section): HTMLElement[] {
    const lines = closed ? [] : ids.flatMap((id) => this.lines.get(id)?.el ?? []);
    if (name === "" || this.choices.group === "none") return lines;
    const head = h("div", { class: "watch-group", "aria-hidden": "true", "data-closed": String(closed) }, h("b", {}, name), h("span", { class: "num" }, String(ids.length)));
    head.addEventListener("click", () => this.choose(toggled(this.choices, name)));
    return [h("div", { role: "group", "aria-label": closed ? `${name}, closed, ${ids.length}` : name }, head, ...lines)];
  }

  private headings(): HTMLElement {
    for (const column of COLUMNS) {
      const head = h("button", { type: "button", class: "watch-head", "data-column": column, title: `${HEADS[column][1]}. ${ORDER}` }, HEADS[column][0]);
      head.addEventListener("click", () => this.choose(sortedBy(this.choices, column)));
      this.heads.set(column, head);
    }
    this.mark();
    return h("div", { class: "watch-heads", role: "group", "aria-label": "Order" }, ...this.heads.values());
  }

  private mark(): void {
    const { sort } = this.choices;
    for (const [column, head] of this.heads) {
      head.setAttribute("aria-pressed", String(sort?.by === column));
      head.setAttribute("aria-label", `Order by ${HEADS[column][0]}${sort?.by === column ? (sort.down ? ", now downwards" : ", now upwards") : ""}`);
      mark(head, "way", sort?.by === column ? (sort.down ? "down" : "up") : "");
    }
  }

  private choose(next: Choices): void {
    if (next === this.choices) return;
    this.choices = next;
    store("watch", JSON.stringify(next));
    this.mark();
    this.arrange(true);
    mark(this.el, "dense", String(next.compact));
    this.menu.render(next, this.session.view.id);
    this.session.scheduler.touch("quotes");
  }

  private filter(words: string): void {
    this.words = words;
    this.arrange(true);
    this.session.scheduler.touch("quotes");
  }

  private pickFirst(): boolean {
    const id = this.sections.flatMap((s) => s.ids)[0];
    if (id !== undefined) this.session.select(id);
    return id !== undefined;
  }

  private move(by: 1 | -1): void {
    this.choose(stepped(this.choices, this.sections, this.session.view.id, by));
    this.list.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }

  private key(event: KeyboardEvent): void {
    const { id } = this.session.view;
    const section = this.sections.find((s) => s.ids.includes(id));
    if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) this.move(event.key === "ArrowUp" ? -1 : 1);
    else if (event.key === "Delete") void this.remove(id);
    else if ((event.key === "ArrowLeft" || event.key === "ArrowRight") && section && this.choices.group !== "none") {
      if (section.closed === (event.key === "ArrowRight")) this.choose(toggled(this.choices, section.name));
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  private saw(seen: readonly IntersectionObserverEntry[]): void {
    for (const { target, isIntersecting } of seen) {
      const line = this.lines.get((target as HTMLElement).dataset["id"] ?? "");
      if (line) line.seen = isIntersecting;
    }
    this.session.scheduler.touch("quotes");
  }

  /** What was added is chosen as soon as the server streams it: by its id, which in a simulated session is another than its name. */
  private welcome(): void {
    if (this.coming === "") return;
    const symbol = symbolOf(this.coming);
    const venue = this.coming.slice(0, this.coming.indexOf(":"));
    const labels = new Set([venue, ...(this.session.status?.venues ?? []).filter((v) => v.protocol === venue).map((v) => v.label)]);
    const id = [...labels].map((label) => `${label}:${symbol}`).find((name) => this.session.market.rows.has(name));
    if (id === undefined) return;
    this.coming = "";
    this.session.select(id);
  }

  private async remove(id: string): Promise<void> {
    if (id === "") return;
    const { had, error } = await remove(id);
    if (error !== null || !had) this.tell(error ?? "", null);
    else this.tell(`${id} is streamed no more`, had);
  }

  private tell(text: string, had: Streamed | null): void {
    window.clearTimeout(this.undoing);
    const back = h("button", { type: "button", class: "link" }, "Undo");
    back.addEventListener("click", () => had && void this.bringBack(had));
    this.undo.replaceChildren(h("span", {}, text), ...(had ? [back] : []));
    show(this.undo, text !== "");
    this.undoing = window.setTimeout(() => show(this.undo, false), UNDO_MS);
  }

  private async bringBack(had: Streamed): Promise<void> {
    const error = await add(had.name, had.channels);
    this.coming = error === null ? had.name : "";
    this.tell(error ?? "", null);
  }
}
