// Candles with volume under them. The legend shows the bar under the crosshair, or the newest; times are in the zone that was chosen.

import {
  CandlestickSeries, type ChartOptions, ColorType, createChart, CrosshairMode, type DeepPartial, HistogramSeries, type IChartApi,
  type ISeriesApi, type MouseEventParams, TickMarkType, type Time,
} from "lightweight-charts";
import { type Bar, INTERVALS, type Interval } from "../api/types.ts";
import type { Session } from "../state/session.ts";
import { h, mark, panel, show, value } from "../ui/dom.ts";
import { clock, dateOf, day, fixed, signed, size, zoneAt } from "../ui/format.ts";
import type { Panel, Topic } from "../ui/scheduler.ts";
import { token } from "../ui/theme.ts";
import { store, stored } from "../ui/theme.ts";
import { ProfileDrawing, profileWords } from "./profile.ts";
import { blanks, candle, type Colors, isOrdinal, placeOf, points, type Shape, smoothed, smoothedAll, volume } from "./candles.ts";

const OLDER_AT = 20; // bars left of the visible range at which older ones are fetched
const INCOMPLETE = "A trade may be missing from this bar: the feed began inside it, or a gap or a disconnection touches it.";
const FILLED = "Nothing was traded in this interval: the price before it goes on.";
const VENUES = "From before this session: the venue's own candle, not made from trades seen here.";

export class Chart implements Panel {
  readonly topics: readonly Topic[] = ["bars", "selection", "theme", "status", "profile", "link"];
  readonly el: HTMLElement;
  private readonly session: Session;
  private readonly chart: IChartApi;
  private readonly candles: ISeriesApi<"Candlestick">;
  private readonly volumes: ISeriesApi<"Histogram">;
  private readonly buttons = new Map<Interval, HTMLButtonElement>();
  private readonly legend = value("legend num value", "legend");
  private readonly partial = h("span", { class: "partial", title: INCOMPLETE, hidden: true }, "incomplete");
  private readonly venues = h("span", { class: "partial", title: VENUES, hidden: true }, "venue's candle");
  private readonly filled = h("span", { class: "partial", title: FILLED, hidden: true }, "nothing traded");
  private readonly kinds = h("select", { class: "kinds", "aria-label": "Bars of other kinds", hidden: true });
  private readonly smooth = h("button", { type: "button", class: "toggle", "aria-pressed": "false", title: "Heikin-Ashi: candles smoothed by those before them (key h)" }, "HA");
  private readonly byPrice = h("button", { type: "button", class: "toggle", "aria-pressed": "false", title: "Volume by price, with the point of control and the value area (key p)" }, "Profile");
  private readonly profileText = value("profile-text num value", "profile");
  private readonly profile = new ProfileDrawing();
  private readonly empty = h("p", { class: "empty chart-empty" }, "No trade yet in this interval.");
  private readonly byTime = new Map<number, Bar>();
  private hovered: number | null = null;
  private colors: Colors = { up: "", down: "", faint: "", hollow: "" };
  private decimals = -1;
  private lineColor = "";
  private shown = ""; // instrument and interval that are on the chart
  private drawn: Bar | undefined; // the newest bar on the chart
  private drawnAt = -1; // its number
  private shapes: Shape[] | null = null; // of the Heikin-Ashi view: the last two
  private offered = "";

  constructor(session: Session) {
    this.session = session;
    const box = h("div", { class: "chart-box value", "data-testid": "chart", role: "img", "aria-label": "Candles and volume" });
    const bar = h("div", { class: "intervals", role: "group", "aria-label": "Interval" });
    INTERVALS.forEach((interval, i) => {
      const button = h("button", { type: "button", "aria-pressed": "false", title: `Interval ${interval} (key ${i + 1})` }, interval);
      button.addEventListener("click", () => session.setInterval(interval));
      this.buttons.set(interval, button);
      bar.append(button);
    });
    bar.append(this.kinds);
    this.kinds.addEventListener("change", () => session.setInterval(this.kinds.value));
    this.smooth.addEventListener("click", () => this.toggleSmooth());
    this.byPrice.addEventListener("click", () => this.toggleProfile());
    session.candles.watchesProfile = stored("profile") === "on";
    if (stored("heikin-ashi") === "on") this.shapes = [];
    const credit = h("a", { class: "credit", href: "https://www.tradingview.com/", target: "_blank", rel: "noreferrer" }, "TradingView");
    const foot = h("span", { class: "credits" }, "Chart by ", credit);
    const legend = h("div", { class: "legend-box" }, this.legend.el, this.partial, this.filled, this.venues, this.profileText.el);
    const head = h("div", { class: "chart-head" }, bar, h("div", { class: "views" }, this.smooth, this.byPrice), foot);
    this.el = panel("chart", "Chart", head, h("div", { class: "chart-area" }, box, legend, this.empty, h("span", { class: "chart-zone zone" })));
    this.chart = createChart(box, { autoSize: true, ...staticOptions({ timeAt: (place) => this.timeAt(place), ordinal: () => isOrdinal(session.view.interval) }) });
    this.candles = this.chart.addSeries(CandlestickSeries, { borderVisible: true, priceLineWidth: 1 });
    this.volumes = this.chart.addSeries(HistogramSeries, { priceScaleId: "", priceLineVisible: false, lastValueVisible: false });
    this.candles.priceScale().applyOptions({ scaleMargins: { top: 0.1, bottom: 0.24 } });
    this.volumes.priceScale().applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });
    this.candles.attachPrimitive(this.profile);
    this.chart.subscribeCrosshairMove((move) => this.hover(move));
    this.chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      if (range && range.from < OLDER_AT && this.drawn) void session.candles.loadOlder();
    });
    this.paintTheme();
  }

  render(dirty: ReadonlySet<Topic>): void {
    if (dirty.has("theme") || dirty.has("zone")) this.paintTheme();
    const { view } = this.session;
    for (const [interval, button] of this.buttons) {
      const pressed = String(interval === view.interval);
      if (button.getAttribute("aria-pressed") !== pressed) button.setAttribute("aria-pressed", pressed);
    }
    this.offer();
    this.scale();
    const key = `${view.id} ${view.interval} ${this.shapes === null ? "" : "smooth"}`;
    if (key !== this.shown || dirty.has("theme") || view.barChange === "insert") this.drawAll(key);
    else if (view.barChange !== "none") this.drawLast();
    view.barChange = "none";
    this.paintPriceLine();
    this.renderLegend();
    this.renderProfile();
  }

  /** Of a link that is dead nothing is drawn over the chart: the chart itself says when it ends, a profile does not. */
  private renderProfile(): void {
    const { view, market, health, candles: { watchesProfile } } = this.session;
    const profile = watchesProfile && !health.dead ? view.profile : null;
    this.byPrice.setAttribute("aria-pressed", String(watchesProfile));
    this.profile.show(profile, { area: token("accent"), rest: token("muted"), poc: token("warn") });
    const decimals = market.rows.get(view.id)?.priceDecimals ?? 2;
    this.profileText.set(profile ? profileWords(profile, decimals) : "", profile?.profile.poc ?? null);
    mark(this.profileText.el, "partial", String(profile?.incomplete ?? false));
  }

  /** In the bar's full colour: by itself it takes that of the candle's body, which a hollow one does not have. */
  private paintPriceLine(): void {
    const bar = this.drawn;
    const color = !bar ? "" : bar.close >= bar.open ? this.colors.up : this.colors.down;
    if (color === this.lineColor) return;
    this.lineColor = color;
    this.candles.applyOptions({ priceLineColor: color });
  }

  private drawAll(key: string): void {
    const { view } = this.session;
    const { bars } = view.series;
    const fresh = key !== this.shown || this.drawn === undefined;
    const first = view.series.dropped;
    const shapes = this.shapes === null ? undefined : smoothedAll(bars);
    if (shapes) this.shapes = shapes.slice(-2);
    const { candles, volumes } = points(bars, view.interval, this.colors, first, shapes);
    this.candles.setData(candles);
    this.volumes.setData(volumes);
    this.byTime.clear();
    bars.forEach((bar, i) => this.byTime.set(placeOf(bar, first + i, view.interval), bar));
    this.shown = key;
    this.drawn = bars.at(-1);
    this.drawnAt = first + bars.length - 1;
    show(this.empty, bars.length === 0);
    const time = this.chart.timeScale();
    time.applyOptions({ secondsVisible: view.interval.endsWith("s") || isOrdinal(view.interval) });
    if (!fresh) return;
    this.candles.priceScale().applyOptions({ autoScale: true });
    time.resetTimeScale();
  }

  private drawLast(): void {
    const { view } = this.session;
    const bar = view.series.last;
    if (!bar) return;
    const at = view.series.dropped + view.series.bars.length - 1;
    if (this.drawn && bar.ts_open > this.drawn.ts_open) {
      for (const blank of blanks(this.drawn, bar, view.interval)) {
        this.candles.update(blank);
        this.volumes.update(blank);
      }
    }
    const time = placeOf(bar, at, view.interval);
    this.candles.update(candle(bar, this.colors, time, this.shapeOf(bar, at)));
    this.volumes.update(volume(bar, this.colors, time));
    this.byTime.set(time, bar);
    this.drawn = bar;
    this.drawnAt = at;
    show(this.empty, false);
  }

  /** How the newest bar is drawn: itself, or smoothed by the one before it. */
  private shapeOf(bar: Bar, at: number): Shape {
    if (this.shapes === null) return bar;
    const before = at === this.drawnAt ? this.shapes.slice(0, -1) : this.shapes;
    const shape = smoothed(bar, before.at(-1));
    this.shapes = [...before.slice(-1), shape];
    return shape;
  }

  toggleSmooth(): void {
    this.shapes = this.shapes === null ? [] : null;
    store("heikin-ashi", this.shapes === null ? "off" : "on");
    this.render(new Set(["bars"]));
  }

  toggleProfile(): void {
    const { session } = this;
    session.candles.watchesProfile = !session.candles.watchesProfile;
    store("profile", session.candles.watchesProfile ? "on" : "off");
    void session.candles.loadProfile();
    this.render(new Set(["profile"]));
  }

  /** The kinds of bars that are switched on beside the usual intervals. */
  private offer(): void {
    const { status, view } = this.session;
    const kinds = status?.bars ?? [];
    this.smooth.setAttribute("aria-pressed", String(this.shapes !== null));
    const key = JSON.stringify(kinds);
    if (key !== this.offered) {
      this.offered = key;
      const head = h("option", { value: "", disabled: true, hidden: true }, "Other bars");
      this.kinds.replaceChildren(head, ...kinds.map((kind) => h("option", { value: kind }, kind)));
      show(this.kinds, kinds.length > 0);
    }
    const chosen = kinds.includes(view.interval) ? view.interval : "";
    if (this.kinds.value !== chosen) this.kinds.value = chosen;
    mark(this.kinds, "chosen", String(chosen !== ""));
  }

  /** The time of a place on the axis, in microseconds. */
  private timeAt(place: number): number {
    if (!isOrdinal(this.session.view.interval)) return place * 1e6;
    return this.byTime.get(place)?.ts_open ?? 0;
  }

  private hover(move: MouseEventParams<Time>): void {
    this.hovered = typeof move.time === "number" ? move.time : null;
    this.renderLegend();
  }

  private renderLegend(): void {
    const { view, market } = this.session;
    const row = market.rows.get(view.id);
    const bar = (this.hovered === null ? undefined : this.byTime.get(this.hovered)) ?? view.series.last;
    show(this.partial, bar !== undefined && !bar.complete);
    show(this.filled, bar?.flags.includes("FILLED") ?? false);
    show(this.venues, bar?.origin === "venue");
    if (!bar || !row) {
      this.legend.set("");
      return;
    }
    const p = (x: number): string => fixed(x, row.priceDecimals);
    const when = view.interval === "1d" ? day(bar.ts_open) : `${this.hovered === null ? "" : `${day(bar.ts_open)} `}${clock(bar.ts_open)}`;
    const parts = [
      when, `O ${p(bar.open)}`, `H ${p(bar.high)}`, `L ${p(bar.low)}`, `C ${p(bar.close)}`,
      `${signed((bar.close / bar.open - 1) * 100, 2)}%`, `V ${size(bar.volume, row.sizeDecimals)}`,
      bar.buy_volume === null || bar.volume === 0 ? "" : `buys ${fixed((bar.buy_volume / bar.volume) * 100, 0)}%`,
      bar.vwap === null ? "" : `VWAP ${p(bar.vwap)}`,
      bar.trades === null ? "" : `${fixed(bar.trades, 0)} trades`,
    ];
    // No line breaks inside a part: a letter must not stand on one line and its number on the next.
    const text = parts.filter(Boolean).map((part) => part.replaceAll(" ", "\u00a0")).join("  ");
    this.legend.set(text, bar.close);
    mark(this.legend.el, "side", bar.close >= bar.open ? "up" : "down");
  }

  private scale(): void {
    const row = this.session.market.rows.get(this.session.view.id);
    if (!row || row.priceDecimals === this.decimals) return;
    this.decimals = row.priceDecimals;
    const formatter = (price: number): string => fixed(price, this.decimals);
    this.candles.applyOptions({ priceFormat: { type: "custom", minMove: 10 ** -this.decimals, formatter } });
  }

  private paintTheme(): void {
    this.colors = { up: token("up"), down: token("down"), faint: token("muted"), hollow: token("panel") };
    this.chart.applyOptions(themeOptions());
    const { up, down } = this.colors;
    this.candles.applyOptions({
      upColor: up, downColor: down, borderUpColor: up, borderDownColor: down, wickUpColor: up, wickDownColor: down,
    });
  }
}

interface Axis {
  readonly timeAt: (place: number) => number;
  readonly ordinal: () => boolean;
}

const staticOptions = ({ timeAt, ordinal }: Axis): DeepPartial<ChartOptions> => ({
  layout: { attributionLogo: false }, // its style element is inline, which the policy forbids; the credit stands in the panel's head
  crosshair: { mode: CrosshairMode.Normal },
  localization: { locale: "en", timeFormatter: (t: Time) => `${day(timeAt(Number(t)))} ${clock(timeAt(Number(t)))} ${zoneAt(timeAt(Number(t)))}` },
  timeScale: {
    timeVisible: true,
    rightOffset: 6,
    barSpacing: 7,
    tickMarkFormatter: (t: Time, type: TickMarkType) => tick(timeAt(Number(t)), ordinal() ? TickMarkType.TimeWithSeconds : type),
  },
  handleScale: { axisPressedMouseMove: true },
});

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function tick(us: number, type: TickMarkType): string {
  if (type === TickMarkType.TimeWithSeconds) return clock(us);
  if (type === TickMarkType.Time) return clock(us).slice(0, 5);
  const date = dateOf(us);
  const word = `${date.day} ${MONTHS[date.month - 1] ?? ""}`;
  // The library's days begin at midnight UTC, which elsewhere is some hour of a day.
  if (date.hour + date.minute > 0) return `${word} ${clock(us).slice(0, 5)}`;
  if (type === TickMarkType.Year) return String(date.year);
  return type === TickMarkType.Month ? (MONTHS[date.month - 1] ?? "") : word;
}

function themeOptions(): DeepPartial<ChartOptions> {
  const line = token("line");
  const label = { color: token("muted"), labelBackgroundColor: token("label") };
  return {
    layout: {
      background: { type: ColorType.Solid, color: token("panel") },
      textColor: token("muted"),
      fontFamily: getComputedStyle(document.body).fontFamily,
      fontSize: 11,
    },
    grid: { vertLines: { color: token("grid") }, horzLines: { color: token("grid") } },
    rightPriceScale: { borderColor: line },
    timeScale: { borderColor: line },
    crosshair: { vertLine: label, horzLine: label },
  };
}
