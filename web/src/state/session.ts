// The page's one state: the feed's messages go in, panels read it. Nothing here touches the DOM.

import type { AlertEvent } from "../api/alerts.ts";
import * as rest from "../api/rest.ts";
import { Feed, type Link, type Subscription } from "../api/socket.ts";
import type { ApiError, Interval, Message, Metrics, Status, StatusEvent } from "../api/types.ts";
import type { Scheduler } from "../ui/scheduler.ts";
import { store, stored } from "../ui/theme.ts";
import { Alerts } from "./alerts.ts";
import { calmly, fetchRules } from "./rules.ts";
import { Latency, Recent } from "./buffers.ts";
import { Catalogue } from "./catalogue.ts";
import { type Health, health } from "./health.ts";
import { Market, SPARK_POINTS } from "./market.ts";
import { SAMPLE_POINTS, Samples } from "./samples.ts";
import { isInterval, View } from "./view.ts";

const HISTORY_BARS = 1000;
const PAST_TRIES = 5;
const PAST_AGAIN_MS = 2000;
const LADDER_DEPTH = 50;
const SEEDED_ROWS = 40; // of a longer watchlist only the first are filled from history
const EVENTS = 300;
const HIDDEN_REST_MS = 20_000;
const RULES_MS = 2000;
const PROFILE_MS = 2000;
const CALM_MS = 250; // a held arrow key runs through the list without asking for every instrument on the way

const BOOK_METRICS: Subscription = { channel: "metrics", instruments: ["*"], kind: "book" };
const GROUP_METRICS: Subscription = { channel: "metrics", instruments: ["group:*"], kind: "sample" };

export class Session {
  readonly market = new Market();
  readonly view = new View();
  readonly events = new Recent<StatusEvent>(EVENTS);
  readonly latency = new Latency();
  readonly alerts = new Alerts();
  private readonly rulesSoon = calmly(() => void this.loadRules());
  watchesProfile = false; // whether the chart shows it
  watchesRules = false; // whether the panel of rules is shown
  onAlert: (alert: AlertEvent) => void = () => undefined;
  readonly groups = new Map<string, Samples>();
  catalogue = new Catalogue();
  readonly feed: Feed;
  status: Status | null = null;
  private statusAt = 0; // performance.now() of its arrival
  private readonly begun = performance.now();
  private readonly scheduler: Scheduler;
  private abort = new AbortController();
  private viewed: Subscription[] = [];
  private entered = 0;
  private entering: number | undefined;
  private readonly seeded = new Set<string>();
  private resting: number | undefined;

  constructor(url: string, scheduler: Scheduler) {
    this.scheduler = scheduler;
    this.feed = new Feed(url, {
      message: (m) => this.received(m),
      link: (l) => this.linked(l),
      error: (e) => this.refused(e),
    });
    const interval = stored("interval");
    if (isInterval(interval)) this.view.interval = interval;
    scheduler.afterPaint(() => {
      if (this.status?.mode !== "replay") this.latency.painted((performance.timeOrigin + performance.now()) * 1000);
    });
  }

  start(): void {
    this.feed.subscribe({ channel: "status" });
    this.feed.subscribe({ channel: "alerts" });
    this.subscribeAll();
    this.feed.open();
    window.setInterval(() => this.heartbeat(), 250);
    window.setInterval(() => this.sample(), 1000);
    window.setInterval(() => void this.lookAtRules(), RULES_MS);
    window.setInterval(() => void this.loadProfile(), PROFILE_MS);
    document.addEventListener("visibilitychange", () => this.visible(!document.hidden));
    window.addEventListener("online", () => this.feed.hurry());
  }

  get health(): Health {
    const now = performance.now();
    const { feed } = this;
    return health({
      link: feed.link,
      everOpen: feed.everOpen,
      silentMs: now - (feed.lastMessage || this.begun),
      retryInMs: feed.retryAt === null ? null : Math.max(0, feed.retryAt - now),
      status: this.status,
    });
  }

  /** The server's time now, in microseconds: its last word and what has passed since. A replay's time stands between words. */
  get now(): number {
    if (!this.status) return 0;
    const passed = this.status.mode === "replay" ? 0 : (performance.now() - this.statusAt) * 1000;
    return this.status.now + passed;
  }

  select(id: string): void {
    if (id === this.view.id) return;
    this.leave();
    this.view.reset(id);
    store("instrument", id);
    this.enterSoon();
    this.scheduler.touch("selection", "book", "trades", "bars", "quotes");
  }

  step(by: number): void {
    const ids = [...this.market.rows.keys()];
    const at = ids.indexOf(this.view.id);
    const next = ids[Math.min(ids.length - 1, Math.max(0, at + by))];
    if (next !== undefined) this.select(next);
  }

  setInterval(interval: Interval): void {
    if (interval === this.view.interval) return;
    this.leave();
    this.view.resetBars(interval);
    store("interval", interval);
    this.enterSoon();
    this.scheduler.touch("selection", "bars");
  }

  async loadOlder(): Promise<void> {
    const { view } = this;
    const first = view.series.bars[0];
    if (!first || view.older !== "idle") return;
    view.older = "loading";
    const { series } = view;
    const query = { instrument: view.id, interval: view.interval, limit: HISTORY_BARS, to: first.ts_open };
    const bars = await rest.bars(query, this.abort.signal).catch(() => null);
    if (series !== view.series) return;
    if (bars === null) {
      view.older = "idle";
      return;
    }
    const more = bars.filter((b) => b.ts_open < first.ts_open);
    view.older = more.length === 0 || series.bars.length + more.length > series.capacity ? "end" : "idle";
    if (more.length > 0 && view.older !== "end" && view.putBars(more)) this.scheduler.touch("bars");
  }

  private subscribeAll(): void {
    this.feed.subscribe({ channel: "quotes", instruments: ["*"] });
    this.feed.subscribe(BOOK_METRICS);
    this.feed.subscribe(GROUP_METRICS);
  }

  private enterSoon(): void {
    const since = performance.now() - this.entered;
    if (since > CALM_MS) this.enter();
    else this.entering = window.setTimeout(() => this.enter(), CALM_MS);
    this.entered = performance.now();
  }

  private enter(): void {
    const { id, interval } = this.view;
    if (!id || this.viewed.length > 0) return;
    const instruments = [id];
    this.viewed = [
      { channel: "trades", instruments },
      { channel: "book", instruments, depth: LADDER_DEPTH },
      { channel: "bars", instruments, interval },
      { channel: "metrics", instruments, kind: "sample" },
    ];
    for (const subscription of this.viewed) this.feed.subscribe(subscription);
    void this.fillBars();
    void this.fillSamples(id, this.view.samples);
    void this.loadProfile();
  }

  private leave(): void {
    window.clearTimeout(this.entering);
    for (const subscription of this.viewed) this.feed.unsubscribe(subscription);
    this.viewed = [];
    this.abort.abort();
    this.abort = new AbortController();
  }

  private async fillBars(): Promise<void> {
    const { view } = this;
    const query = { instrument: view.id, interval: view.interval, limit: HISTORY_BARS };
    const bars = await rest.bars(query, this.abort.signal).catch(() => []);
    if (query.instrument !== view.id || query.interval !== view.interval) return;
    if (view.putBars(bars)) this.scheduler.touch("bars");
    void this.fillPast(PAST_TRIES);
  }

  /** The venue's candles of before the start. Just after a start they are still on their way: ask again a few times. */
  private async fillPast(tries: number): Promise<void> {
    const { view, abort } = this;
    const { series } = view;
    const query = { instrument: view.id, interval: view.interval, limit: HISTORY_BARS, origin: "venue" } as const;
    const bars = await rest.bars(query, abort.signal).catch(() => []);
    if (series !== view.series || abort.signal.aborted) return;
    if (bars.length === 0 && tries > 1) window.setTimeout(() => void this.fillPast(tries - 1), PAST_AGAIN_MS);
    else if (view.putBars(bars)) this.scheduler.touch("bars");
  }

  /** Where the day began and the last minutes' way, so that the watchlist is full when the page opens. */
  private async seed(): Promise<void> {
    for (const row of [...this.market.rows.values()].slice(0, SEEDED_ROWS)) {
      if (this.seeded.has(row.id)) continue;
      if (this.feed.link !== "open") return; // the next snapshot of the status begins again
      this.seeded.add(row.id);
      const days = await rest.bars({ instrument: row.id, interval: "1d", limit: 1 }).catch(() => []);
      const day = days.at(-1);
      if (day) row.setReference(day.open, day.complete ? "the open of the UTC day" : "the first trade seen in this UTC day");
      if (row.spark.length > 10) continue;
      const ticks = await rest.bars({ instrument: row.id, interval: "1s", limit: SPARK_POINTS }).catch(() => []);
      row.seed(ticks.map((b) => b.close));
    }
    this.scheduler.touch("quotes");
  }

  private received(message: Message): void {
    switch (message.channel) {
      case "status":
        this.putStatus(message.data.status, message.data.events, message.type === "snapshot");
        return;
      case "quotes":
        for (const quote of message.data) this.market.row(quote.instrument).putQuote(quote);
        this.scheduler.touch("quotes");
        break;
      case "metrics":
        for (const metrics of message.data) this.putMetrics(metrics);
        break;
      case "trades":
        this.view.putTrades(message.data, message.type === "snapshot", message.missed ?? 0);
        this.scheduler.touch("trades");
        break;
      case "alerts":
        this.putAlerts(message.data, message.type);
        return;
      case "book":
        for (const book of message.data) if (book.instrument === this.view.id) this.view.book = book;
        this.scheduler.touch("book");
        break;
      case "bars":
        if (this.view.putBars(message.data)) this.scheduler.touch("bars");
        return;
    }
    if (message.type === "update") for (const event of message.data) this.latency.saw(event.ts_event);
  }

  private putMetrics(metrics: Metrics): void {
    if (!metrics.values) {
      this.market.row(metrics.instrument).putMetrics(metrics);
      this.scheduler.touch("quotes");
    } else if (this.samplesOf(metrics.instrument)?.put(metrics)) this.scheduler.touch("metrics");
  }

  private putAlerts(alerts: readonly AlertEvent[], from: "update" | "snapshot"): void {
    for (const alert of this.alerts.put(alerts, from)) this.onAlert(alert);
    if (this.watchesRules || from === "snapshot") this.rulesSoon();
    this.scheduler.touch("alerts");
  }

  /** Rules and their states, as they stand now. */
  async loadRules(): Promise<void> {
    if (!this.status?.alerts) return; // a recording has no rules
    await fetchRules(this.alerts);
    this.scheduler.touch("alerts");
  }

  /** States change without an alert, too: warm, cooled down, sent. */
  private async lookAtRules(): Promise<void> {
    if (this.watchesRules && !document.hidden && this.feed.link === "open") await this.loadRules();
  }

  async loadProfile(): Promise<void> {
    const { view } = this;
    if (!this.watchesProfile || document.hidden || this.feed.link !== "open" || !view.id) return;
    const profile = await rest.profile(view.id, view.samples.profile, this.abort.signal).catch(() => null);
    if (profile?.instrument !== view.id) return;
    view.profile = profile;
    this.scheduler.touch("profile");
  }

  private samplesOf(id: string): Samples | undefined {
    if (id === this.view.id) return this.view.samples;
    if (!id.startsWith("group:")) return undefined;
    let samples = this.groups.get(id);
    if (!samples) {
      this.groups.set(id, (samples = new Samples()));
      void this.fillSamples(id, samples);
    }
    return samples;
  }

  /** The samples that the page has a place for: of the chosen instrument, then of every group. */
  sampled(): [string, Samples][] {
    return [[this.view.id, this.view.samples], ...this.groups];
  }

  /** The last minutes, and, with the first of them, what the metrics mean. */
  private async fillSamples(id: string, samples: Samples): Promise<void> {
    const signal = id === this.view.id ? this.abort.signal : undefined;
    const history = await rest.metricHistory(id, SAMPLE_POINTS, signal).catch(() => null);
    if (history) samples.fill(history);
    if (history && history.times.length > 0 && !this.catalogue.known) this.catalogue = new Catalogue(await rest.catalogue().catch(() => []));
    this.scheduler.touch("metrics");
  }

  private putStatus(status: Status, events: readonly StatusEvent[], snapshot: boolean): void {
    const restarted = this.status !== null && this.status.session !== status.session;
    this.status = status;
    this.statusAt = performance.now();
    if (restarted) {
      this.market.clear();
      this.groups.clear();
      this.alerts.clear();
      this.seeded.clear();
      this.latency.clear();
    }
    if (restarted || !this.alerts.loaded) void this.loadRules();
    const changed = this.market.putInstruments(status.instruments);
    if (snapshot) this.events.replace(events);
    else {
      this.events.push(...events);
      for (const event of events) if (this.view.putEvent(event)) this.scheduler.touch("trades");
    }
    if (changed || snapshot) void this.seed();
    if (changed || restarted) {
      this.choose(restarted);
    }
    this.scheduler.touch("status", "events", "link");
  }

  private choose(again: boolean): void {
    const ids = [...this.market.rows.keys()];
    const wanted = [this.view.id, stored("instrument") ?? ""].find((id) => this.market.rows.has(id)) ?? ids[0];
    if (wanted === undefined) return;
    if (again && wanted === this.view.id) {
      this.leave();
      this.view.reset(wanted);
      this.enter();
    }
    this.select(wanted);
    this.scheduler.touch("selection", "quotes", "bars", "trades", "book");
  }

  private linked(link: Link): void {
    if (link === "open" && this.view.id) {
      void this.fillBars();
      for (const [id, samples] of this.sampled()) void this.fillSamples(id, samples);
    }
    if (link === "closed") this.latency.clear();
    this.scheduler.touch("link");
  }

  /** The server refused something: said in the list of events, since the page has no log that anyone reads. */
  private refused(error: ApiError): void {
    const at = this.now;
    const reason = [error.message, error.hint].filter(Boolean).join(" · ");
    const rest = { instrument: "", venue: "page", channel: "", from_seq: null, to_seq: null, count: null, flags: [] };
    this.events.push({ ...rest, ts_event: at, ts_recv: at, kind: "rejected", reason });
    this.scheduler.touch("events");
  }

  private heartbeat(): void {
    this.feed.watch(performance.now());
    this.scheduler.touch("link", "clock");
  }

  private sample(): void {
    if (this.health.dead) return;
    for (const row of this.market.rows.values()) row.sample();
    this.scheduler.touch("quotes");
  }

  /** A tab hidden for a while asks for status only; shown again it asks for everything and is filled by snapshots. */
  private visible(shown: boolean): void {
    window.clearTimeout(this.resting);
    if (!shown) {
      this.resting = window.setTimeout(() => this.rest(), HIDDEN_REST_MS);
      return;
    }
    this.feed.hurry();
    this.subscribeAll();
    if (this.viewed.length === 0) this.enter();
    this.scheduler.touch("status", "link", "quotes", "book", "trades", "bars", "events", "clock");
  }

  private rest(): void {
    this.feed.unsubscribe({ channel: "quotes", instruments: ["*"] });
    this.feed.unsubscribe(BOOK_METRICS);
    this.feed.unsubscribe(GROUP_METRICS);
    this.leave();
  }
}
