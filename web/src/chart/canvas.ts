// What is drawn: the chart library's chart and everything on it, kept in step with the session's bars. A changed last bar redraws that
// bar; older bars that come, another instrument, another look redraw all, and the view stays on the bars it was on.

import { createChart, createSeriesMarkers, type IChartApi, type ISeriesMarkersPluginApi, type SeriesMarker, type Time } from "lightweight-charts";
import type { AlertEvent } from "../api/alerts.ts";
import type { Bar } from "../api/types.ts";
import type { Compare } from "../state/compare.ts";
import type { Session } from "../state/session.ts";
import { token } from "../ui/theme.ts";
import { colors, modeOf, staticOptions, themeOptions, zoneShift } from "./axis.ts";
import { Hatch } from "./hatch.ts";
import type { Told } from "./legend.ts";
import { raisedOn } from "./marks.ts";
import type { Settings } from "./memory.ts";
import { OtherLines } from "./otherlines.ts";
import { type Colors, isOrdinal } from "./points.ts";
import { PriceView } from "./price.ts";
import { Rows } from "./rows.ts";
import { type Band, bandsOf, spansOf, stepsOf } from "./spans.ts";
import { Studies } from "./studyview.ts";

export class Canvas {
  readonly chart: IChartApi;
  readonly price: PriceView;
  readonly rows = new Rows();
  /** Whether the main series was made anew since `fresh` was last asked. */
  remade = false;
  /** By how many places bars moved since it was last set to 0: a page of older ones came, or the oldest went. */
  moved = 0;
  private readonly session: Session;
  private readonly compare: Compare;
  private readonly studies: Studies;
  private readonly others: OtherLines;
  private readonly hatch = new Hatch();
  private markers: ISeriesMarkersPluginApi<Time>;
  private marked = "";
  private alerts = new Map<number, AlertEvent[]>();
  private bands: readonly Band[] = [];
  private steps: readonly { readonly at: number; readonly us: number }[] = [];
  private stepped = -1;
  private hatched = "";
  private colors: Colors;
  private decimals = { price: -1, size: -1 };
  private shown = ""; // instrument and interval
  private look = "";
  private repaint = false; // colours or the time zone changed

  constructor(box: HTMLElement, session: Session, compare: Compare) {
    this.session = session;
    this.compare = compare;
    const axis = { timeAt: (place: number) => this.rows.usOf(place), ordinal: () => isOrdinal(session.view.interval) };
    this.chart = createChart(box, { autoSize: true, ...staticOptions(axis) });
    this.colors = colors();
    this.price = new PriceView(this.chart, this.colors);
    this.price.attach(this.hatch);
    this.markers = createSeriesMarkers(this.price.series, []);
    this.studies = new Studies(this.chart);
    this.others = new OtherLines(this.chart);
  }

  paintTheme(): void {
    this.colors = colors();
    this.chart.applyOptions(themeOptions());
    this.price.paint(this.colors);
    this.marked = "";
    this.repaint = true;
  }

  /** Brings the drawing up to date; says whether it shows something else than before. */
  draw(settings: Settings): boolean {
    const { view } = this.session;
    const remade = this.price.show(settings.kind, settings.volume);
    if (remade) this.markers = createSeriesMarkers(this.price.series, []);
    if (remade) this.marked = "";
    this.remade ||= remade;
    const chosen = this.compare.choose(settings.others);
    if (chosen) this.session.asks();
    const others = this.others.choose(this.compare.list);
    const catalogue = this.session.figures.catalogue;
    const studies = this.studies.choose(settings.studies, (metric) => catalogue.of(metric)?.unit ?? "");
    this.format();
    const key = `${view.id} ${view.interval}`;
    const look = `${settings.kind} ${settings.volume}`;
    const fresh = key !== this.shown || this.rows.rows.length === 0;
    if (fresh || remade || others || studies || look !== this.look || this.repaint || view.changed === "all") this.drawAll(fresh);
    else this.drawTail(view.changed);
    Object.assign(this, { shown: key, look, repaint: false });
    view.changed = 0;
    this.chart.priceScale("right").applyOptions({ mode: modeOf(settings.scale) });
    this.price.tone(view.newer === "end" ? view.series.last : undefined);
    this.drawGaps();
    return fresh;
  }

  samplesMoved(): void {
    this.studies.samplesMoved(this.rows, this.session.view.samples, this.colors);
  }

  mid(price: number | null): void {
    this.price.mid(price, token("muted"));
  }

  /** Raised alerts, each on the bar it fell in. */
  markAlerts(): void {
    const { rules, view } = this.session;
    this.alerts = raisedOn(rules.alerts.history, view.id, this.rows);
    const key = JSON.stringify([...this.alerts].map(([at, list]) => [this.rows.rows[at]?.time, list.length]));
    if (key === this.marked) return;
    this.marked = key;
    const markers = [...this.alerts].sort(([a], [b]) => a - b).flatMap(([at, list]): SeriesMarker<Time>[] => {
      const row = this.rows.rows[at];
      const [first] = list;
      if (!row || !first) return [];
      const text = list.length > 1 ? `${first.rule} +${list.length - 1}` : first.rule;
      return [{ time: row.time, position: "aboveBar", shape: "arrowDown", color: token(first.severity === "critical" ? "bad" : "warn"), text, id: first.rule }];
    });
    this.markers.setMarkers(markers);
  }

  /** Everything that there is to say of a row. `at` null: the newest. */
  tell(at: number | null): Told {
    const { rows } = this.rows;
    const { view, market } = this.session;
    const place = at === null ? lastBar(rows) : at;
    const bar = at === null && view.newer !== "end" ? view.newest : (rows[place]?.bar ?? undefined);
    const step = this.steps.find((s) => s.at === place);
    return {
      bar, hovered: at !== null, interval: view.interval, row: market.rows.get(view.id),
      studies: this.studies.read(place), others: this.others.read(this.rows, { id: view.id, at: place, from: this.inView().from }, bar?.close ?? null, market),
      spans: this.bands.filter((b) => b.from <= place && place <= b.to).flatMap((b) => b.spans),
      silence: at === null ? 0 : (step?.us ?? 0), alerts: this.alerts.get(place) ?? [], tops: this.tops(),
    };
  }

  /** The rows in view, oldest first. */
  inView(): { readonly from: number; readonly to: number } {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    const last = this.rows.rows.length - 1;
    return { from: Math.max(0, Math.floor(range?.from ?? 0)), to: Math.min(last, Math.ceil(range?.to ?? last)) };
  }

  private drawAll(fresh: boolean): void {
    const { view, market } = this.session;
    const { bars, dropped } = view.series;
    const time = this.chart.timeScale();
    const range = fresh ? null : time.getVisibleLogicalRange();
    const anchor = range ? this.anchor(range.from) : null;
    this.rows.all(bars, view.interval, dropped, zoneShift(bars.at(-1)?.ts_open ?? 0));
    this.price.all(this.rows);
    this.studies.all(this.rows, bars, view.samples, this.colors);
    this.others.all(this.rows, market);
    this.stepped = -1;
    this.marked = "";
    if (fresh || !view.changed || view.changed === "all") void this.compare.cover();
    time.applyOptions({ secondsVisible: view.interval.endsWith("s") || isOrdinal(view.interval) });
    if (range && anchor) {
      const { bar, at } = anchor;
      const found = this.rows.rows.findIndex((row) => row.bar?.ts_open === bar.ts_open && row.bar.nano === bar.nano);
      if (found >= 0) this.keepView(range, found - at);
    }
    if (!fresh) return;
    this.price.series.priceScale().applyOptions({ autoScale: true });
    time.resetTimeScale();
  }

  private keepView(before: { readonly from: number; readonly to: number }, moved: number): void {
    const time = this.chart.timeScale();
    const now = time.getVisibleLogicalRange();
    this.moved += moved;
    if (now && Math.abs(now.from - before.from - moved) > 0.01) time.setVisibleLogicalRange({ from: before.from + moved, to: before.to + moved });
  }

  private drawTail(n: number): void {
    const { view, market } = this.session;
    const { bars } = view.series;
    const settled = this.rows.rows.length - 1;
    const from = n > 0 ? this.rows.tail(bars, n) : this.rows.rows.length;
    if (n > 0) {
      this.price.from(this.rows.rows, from, settled);
      this.studies.from(this.rows, bars, { bars: n, from, settled }, view.samples, this.colors);
    }
    this.others.from(this.rows, from, market);
  }

  /** The first bar in view and its place. */
  private anchor(from: number): { readonly at: number; readonly bar: Bar } | null {
    for (let at = Math.max(0, Math.ceil(from)); at < this.rows.rows.length; at++) {
      const bar = this.rows.rows[at]?.bar;
      if (bar) return { at, bar };
    }
    return null;
  }

  private drawGaps(): void {
    const { events, view, now } = this.session;
    if (this.stepped !== this.rows.rows.length) this.steps = stepsOf(this.rows);
    this.stepped = this.rows.rows.length;
    this.bands = bandsOf(spansOf(events.items, view.id, now), this.rows);
    const key = JSON.stringify([this.bands.map((b) => [b.from, b.to]), this.steps.length, this.steps[0], this.colors.faint]);
    if (key === this.hatched) return;
    this.hatched = key;
    this.hatch.show(this.bands, this.steps, token("warn"), this.colors.faint);
  }

  private format(): void {
    const row = this.session.market.rows.get(this.session.view.id);
    if (!row || (row.priceDecimals === this.decimals.price && row.sizeDecimals === this.decimals.size)) return;
    this.decimals = { price: row.priceDecimals, size: row.sizeDecimals };
    this.price.decimalsAre(row.priceDecimals);
    this.studies.format(this.decimals);
  }

  private tops(): number[] {
    let top = 0;
    return this.chart.panes().map((pane) => {
      const at = top;
      top += pane.getHeight() + 1;
      return at;
    });
  }
}

function lastBar(rows: Rows["rows"]): number {
  let at = rows.length - 1;
  while (at > 0 && !rows[at]?.bar) at--;
  return at;
}
