// The chart of the chosen instrument: its head and foot, the drawing (chart/canvas.ts), the words over it, and what a person does with it.
//
// What is chosen is remembered in the browser: the look of the chart once for all instruments, lines by instrument. The crosshair's bar
// is that under the pointer or, with the chart focused, that of the keyboard.

import type { MouseEventParams, Time } from "lightweight-charts";
import "../styles/chart.css";
import { Canvas } from "../chart/canvas.ts";
import { Cursor } from "../chart/cursor.ts";
import { Legend, spoken } from "../chart/legend.ts";
import { Levels } from "../chart/levels.ts";
import { nearest, ruleLines } from "../chart/marks.ts";
import { MOST_LEVELS, read, readLevels, type Settings } from "../chart/memory.ts";
import { compareMenu, type Choice, indicatorMenu, linesMenu, placeMenu } from "../chart/menus.ts";
import { candidates } from "../chart/others.ts";
import { ProfileDrawing, profileWords } from "../chart/profile.ts";
import { keyOf } from "../chart/studies.ts";
import { Toolbar } from "../chart/toolbar.ts";
import { Twin } from "../chart/twin.ts";
import { PAGE_BARS } from "../state/candles.ts";
import { Compare } from "../state/compare.ts";
import { CHART_KEYS, spokenKeys } from "../state/panelkeys.ts";
import type { Session } from "../state/session.ts";
import { h, mark, panel, show, value } from "../ui/dom.ts";
import { fixed } from "../ui/format.ts";
import type { Topic } from "../ui/scheduler.ts";
import { store, stored, token } from "../ui/theme.ts";
import type { Page, Shown } from "./kinds.ts";

const NEAR_EDGE = 20; // places from the end of the loaded bars at which further ones are fetched
const NEWEST_WITHIN = 3;
const LABEL = `Chart. Keys: ${spokenKeys(CHART_KEYS)}`;

export class Chart implements Shown {
  readonly topics: readonly Topic[] = ["bars", "selection", "theme", "status", "profile", "link", "events", "alerts", "quotes", "metrics"];
  readonly el: HTMLElement;
  private readonly session: Session;
  private readonly page: Page | undefined;
  private readonly compare: Compare;
  private readonly settings: Settings;
  private readonly canvas: Canvas;
  private readonly bar: Toolbar;
  private readonly legend: Legend;
  private readonly levels: Levels;
  private readonly cursor: Cursor;
  private readonly twin = new Twin();
  private readonly profile = new ProfileDrawing();
  private readonly profileText = value("profile-text num value", "profile");
  private readonly empty = h("p", { class: "empty chart-empty" }, "No trade yet in this interval.");
  private readonly box = h("div", { class: "chart-box value", "data-testid": "chart", role: "application", tabindex: "0", "aria-label": LABEL });
  private readonly linesSaid = value("sr", "chart-lines"); // the lines of rules in words
  private hovered: number | null = null;
  private drawing = false; // the next click draws a line
  private linesOf = ""; // the instrument whose lines are shown
  private prices: readonly number[] = [];

  constructor(session: Session, page?: Page) {
    this.session = session;
    this.page = page;
    this.settings = read(stored("chart"));
    this.compare = new Compare(session.view, session.scheduler);
    session.add(this.compare);
    session.candles.watchesProfile = stored("profile") === "on";
    session.rules.drawn = true;
    this.bar = this.toolbar();
    this.legend = new Legend(this.profileText.el, (what, key) => this.remove(what, key), (all) => this.change((s) => (s.words = all)));
    this.canvas = new Canvas(this.box, session, this.compare);
    const { chart, price } = this.canvas;
    this.levels = new Levels(chart, this.box, price, (prices) => this.keep(prices));
    price.attach(this.profile);
    price.attach(this.levels);
    this.cursor = new Cursor(chart, this.box, {
      length: () => this.canvas.rows.rows.length, isBar: (at) => this.canvas.rows.rows[at]?.bar != null, put: (at) => this.pointAt(at), menu: (at) => this.menuAt(at), newest: () => this.newest(),
    });
    const area = h("div", { class: "chart-area" }, this.box, this.levels.el, this.legend.el, this.empty, this.twin.el, this.cursor.el, this.linesSaid.el, h("span", { class: "chart-zone zone" }));
    this.el = panel("chart", "Chart", this.bar.head, area, this.bar.foot);
    this.listen();
    this.canvas.paintTheme();
  }

  visible(shown: boolean): void {
    const { session, compare } = this;
    compare.shown = session.rules.drawn = session.candles.looked = shown;
    session.asks();
    if (!shown) return;
    void compare.cover();
    void session.candles.loadProfile();
  }

  render(dirty: ReadonlySet<Topic>): void {
    const { session, canvas } = this;
    const { view } = session;
    if (dirty.has("theme") || dirty.has("zone")) canvas.paintTheme();
    if (dirty.has("metrics")) canvas.samplesMoved();
    const again = canvas.draw(this.settings);
    if (again) {
      this.hovered = this.cursor.at = null;
      this.scrolled(); // what is in view may be at the edge already, and then nothing moves that would tell
    }
    this.follow();
    const row = session.market.rows.get(view.id);
    canvas.mid(this.settings.mid && !session.health.dead && row?.info?.state === "live" ? row.mid : null);
    canvas.markAlerts();
    show(this.empty, view.series.bars.length === 0);
    mark(this.box, "bars", String(view.series.bars.length)); // drawn now: what a test waits for
    this.renderLines(dirty.has("theme"));
    this.renderProfile();
    this.renderWords();
  }

  /** The crosshair stays on its bar where others came before it. */
  private follow(): void {
    const by = this.canvas.moved;
    this.canvas.moved = 0;
    if (this.hovered !== null) this.hovered = Math.max(0, this.hovered + by);
    if (this.cursor.at !== null) this.cursor.at = Math.max(0, this.cursor.at + by);
  }

  toggleSmooth(): void {
    this.change((s) => (s.kind = s.kind === "heikin-ashi" ? "candles" : "heikin-ashi"));
  }

  toggleProfile(): void {
    const { candles } = this.session;
    candles.watchesProfile = !candles.watchesProfile;
    store("profile", candles.watchesProfile ? "on" : "off");
    void candles.loadProfile();
    this.render(new Set(["profile"]));
  }

  private toolbar(): Toolbar {
    const { session } = this;
    const change = (f: (s: Settings) => void): void => this.change(f);
    const metrics = (): string[] => [...session.view.samples.lines.keys()].sort();
    const find = (query: string): string[] => candidates(session.market.rows.values(), session.view.id, this.settings.others, query);
    return new Toolbar({
      interval: (interval) => session.setInterval(interval),
      kind: (kind) => change((s) => (s.kind = kind)),
      profile: () => this.toggleProfile(),
      indicators: (back) => indicatorMenu(back, () => this.settings, metrics, change).open(back),
      compare: (back) => compareMenu(back, () => this.settings, find, change).open(back),
      lines: (back) => this.listLines(back),
      draw: () => this.setDrawing(!this.drawing),
      table: () => this.toggleTable(),
      newest: () => this.newest(),
      fit: () => this.fit(),
      auto: () => this.autoScale(),
      scale: (scale) => change((s) => (s.scale = s.scale === scale ? "price" : scale)),
    });
  }

  private listen(): void {
    const { chart } = this.canvas;
    chart.subscribeCrosshairMove((move) => this.hover(move));
    chart.subscribeClick((click) => this.drawing && click.point && this.addAt(click.point.y));
    chart.subscribeDblClick((click) => click.point && click.paneIndex === 0 && this.addAt(click.point.y));
    chart.timeScale().subscribeVisibleLogicalRangeChange(() => this.scrolled());
    this.box.addEventListener("contextmenu", (event) => {
      event.preventDefault();
      const box = this.box.getBoundingClientRect();
      const price = this.canvas.price.series.coordinateToPrice(event.clientY - box.top);
      if (price !== null) this.menu(price, this.levels.at(event.clientY - box.top), { x: event.clientX, y: event.clientY, above: event.clientY });
    });
    this.box.addEventListener("keydown", (event) => event.key === "Escape" && this.setDrawing(false));
  }

  private change(change: (settings: Settings) => void): void {
    change(this.settings);
    store("chart", JSON.stringify(this.settings));
    this.render(new Set(["bars"]));
    void this.compare.cover();
  }

  private remove(what: "study" | "other", key: string): void {
    this.change((s) => {
      if (what === "study") s.studies = s.studies.filter((c) => keyOf(c) !== key);
      else s.others = s.others.filter((id) => id !== key);
      if (s.others.length === 0 && what === "other" && s.scale === "percent") s.scale = "price";
    });
  }

  // Scrolling

  private scrolled(): void {
    const range = this.canvas.chart.timeScale().getVisibleLogicalRange();
    const { view, candles, now } = this.session;
    if (!range || view.series.bars.length === 0 || view.changed === "all") return; // what is drawn is not what is there: look again then
    if (range.from < NEAR_EDGE) void candles.loadOlder();
    // Newer ones push the oldest out of a full window: not those in view, or each side would bring the other one back without end.
    else if (range.to > this.canvas.rows.rows.length - NEAR_EDGE && range.from > PAGE_BARS + NEAR_EDGE) void candles.loadNewer(now);
    this.session.scheduler.touch("bars");
  }

  private newest(): void {
    this.cursor.at = null;
    this.session.candles.toNewest();
    this.canvas.chart.timeScale().scrollToRealTime();
  }

  private fit(): void {
    this.canvas.chart.timeScale().fitContent();
    this.canvas.chart.priceScale("right").applyOptions({ autoScale: true });
    this.session.scheduler.touch("bars");
  }

  private autoScale(): void {
    const scale = this.canvas.chart.priceScale("right");
    scale.applyOptions({ autoScale: !scale.options().autoScale });
    this.session.scheduler.touch("bars");
  }

  // The crosshair

  private hover(move: MouseEventParams<Time>): void {
    if (this.cursor.at !== null && move.sourceEvent === undefined) return; // put there by the keyboard
    this.cursor.at = null;
    const at = typeof move.time === "number" ? this.canvas.rows.indexOf(move.time) : undefined;
    this.hovered = at ?? null;
    this.legend.render(this.canvas.tell(this.hovered));
  }

  private pointAt(at: number | null): void {
    const { chart, price, rows } = this.canvas;
    const row = at === null ? undefined : rows.rows[at];
    this.hovered = at;
    if (row) chart.setCrosshairPosition(row.bar?.close ?? this.session.view.series.last?.close ?? 0, row.time, price.series);
    else chart.clearCrosshairPosition();
    const told = this.canvas.tell(at);
    this.legend.render(told);
    this.cursor.say(at === null ? "" : spoken(told));
  }

  private menuAt(at: number): void {
    const { rows, chart, price } = this.canvas;
    const row = rows.rows[at];
    const close = row?.bar?.close ?? this.session.view.series.last?.close;
    if (close === undefined || !row) return;
    const box = this.box.getBoundingClientRect();
    const x = box.left + (chart.timeScale().timeToCoordinate(row.time) ?? box.width / 2);
    const y = box.top + (price.series.priceToCoordinate(close) ?? box.height / 2);
    this.menu(close, null, { x, y, above: y });
  }

  private menu(price: number, line: number | null, place: { x: number; y: number; above: number }): void {
    const row = this.session.market.rows.get(this.session.view.id);
    const exact = Number((line ?? price).toFixed(row?.priceDecimals ?? 2));
    const choices: Choice[] = [
      line === null ? { label: "Draw a line here", run: () => this.keep([...this.prices, exact]) } : { label: "Remove this line", run: () => this.levels.remove(line) },
      ...this.alertChoice(exact),
      { label: "Copy the price", run: () => void navigator.clipboard?.writeText(String(exact)) },
      { label: "Go to the newest bar", run: () => this.newest() },
      { label: "All the bars that are here", run: () => this.fit() },
      { label: this.twin.open ? "Close the table" : "The bars in view as a table", run: () => this.toggleTable() },
    ];
    placeMenu(this.box, fixed(exact, row?.priceDecimals ?? 2), choices, () => undefined).open(place);
  }

  private alertChoice(price: number): Choice[] {
    const { session, page } = this;
    const { view, market, status } = session;
    if (!page || status?.alerts == null) return [];
    const row = market.rows.get(view.id);
    const field = row?.mid == null ? "price" : "mid";
    const now = row?.price ?? view.series.last?.close ?? price;
    const way = price >= now ? "above" : "below";
    return [{ label: `Alert when it crosses ${way}…`, run: () => page.writeRule(`${view.id} ${field} crosses ${way} ${price}`) }];
  }

  // Lines

  private addAt(y: number): void {
    const price = this.canvas.price.series.coordinateToPrice(y);
    const row = this.session.market.rows.get(this.session.view.id);
    this.setDrawing(false);
    if (price !== null && this.levels.at(y) === null) this.keep([...this.prices, Number(price.toFixed(row?.priceDecimals ?? 2))]);
  }

  private setDrawing(on: boolean): void {
    this.drawing = on;
    mark(this.box, "drawing", String(on));
    this.renderWords();
  }

  private keep(prices: readonly number[]): void {
    this.prices = [...new Set(prices)].slice(-MOST_LEVELS);
    store(`lines ${this.linesOf}`, JSON.stringify(this.prices));
    this.renderLines(false);
  }

  private listLines(back: HTMLElement): void {
    this.renderLines(false); // another instrument may be chosen and not painted yet: its lines would be overwritten with those of the last
    const { view, market } = this.session;
    const row = market.rows.get(view.id);
    const actions = { prices: () => this.prices, put: (prices: number[]) => this.keep(prices), decimals: row?.priceDecimals ?? 2, newest: view.newest?.close ?? null };
    linesMenu(back, actions).open(back);
  }

  private renderLines(colours: boolean): void {
    const { view, rules, market, now } = this.session;
    if (view.id !== this.linesOf) {
      this.linesOf = view.id;
      this.prices = readLevels(stored(`lines ${view.id}`));
    }
    const again = this.canvas.remade || colours;
    this.canvas.remade = false;
    const decimals = market.rows.get(view.id)?.priceDecimals ?? 2;
    const all = ruleLines(rules.alerts.rules, view.id, now);
    const drawn = nearest(all, view.newest?.close ?? null);
    this.levels.show(this.prices, drawn, decimals, again);
    const words = drawn.map((line) => `Alert ${line.rule} ${line.field} ${fixed(line.price, decimals)} ${line.state}`);
    if (all.length > drawn.length) words.push(`and ${all.length - drawn.length} alerts farther from the price, which are not drawn`);
    this.linesSaid.set(words.join("; "));
  }

  // Words

  private renderWords(): void {
    const { session, canvas, settings } = this;
    const { view, candles } = session;
    if (this.hovered !== null && this.hovered >= canvas.rows.rows.length) this.hovered = null;
    this.legend.all = settings.words;
    this.legend.render(canvas.tell(this.hovered));
    const { from, to } = canvas.inView();
    const length = canvas.rows.rows.length;
    this.bar.render({
      interval: view.interval, kinds: session.status?.bars ?? [], settings, profile: candles.watchesProfile, drawing: this.drawing, table: this.twin.open,
      auto: canvas.chart.priceScale("right").options().autoScale, atNewest: view.newer === "end" && to >= length - 1 - NEWEST_WITHIN, words: this.words(from),
    });
    if (this.twin.open) this.renderTwin(from, to);
  }

  private words(from: number): string {
    const { view, candles } = this.session;
    if (this.drawing) return "Click where the line shall be; Escape leaves it";
    if (view.older === "loading") return "loading older bars…";
    if (view.newer === "loading") return "loading newer bars…";
    if (candles.trouble) return `older bars cannot be had: ${candles.trouble}`;
    return view.older === "end" && from === 0 ? "the oldest bar there is" : "";
  }

  private toggleTable(): void {
    this.twin.toggle();
    this.renderWords();
    if (this.twin.open) this.twin.el.focus();
  }

  private renderTwin(from: number, to: number): void {
    const { canvas, session } = this;
    const rows = [];
    for (let at = from; at <= to; at++) {
      const { bar, studies, others, spans, alerts } = canvas.tell(at);
      if (!bar) continue;
      const notes = [bar.complete ? "" : "incomplete", bar.origin === "venue" ? "venue's candle" : "", ...spans.map((s) => s.kind), ...alerts.map((a) => `▲ ${a.rule}`)];
      rows.push({ bar, studies: studies.map((s) => s.reading), others, notes: notes.filter(Boolean).join(", ") });
    }
    this.twin.render(rows, session.market.rows.get(session.view.id), session.view.interval);
  }

  /** Of a link that is dead nothing is drawn over the chart: the chart itself says when it ends, a profile does not. */
  private renderProfile(): void {
    const { view, market, health, candles: { watchesProfile } } = this.session;
    const profile = watchesProfile && !health.dead ? view.profile : null;
    this.profile.show(profile, { area: token("accent"), rest: token("muted"), poc: token("warn") });
    const decimals = market.rows.get(view.id)?.priceDecimals ?? 2;
    this.profileText.set(profile ? profileWords(profile, decimals) : "", profile?.profile.poc ?? null);
    mark(this.profileText.el, "partial", String(profile?.incomplete ?? false));
  }
}
