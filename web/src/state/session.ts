// The page's one state: the feed's messages go to the stores, panels read them. Nothing here touches the DOM.
//
// What is asked of the server is what the stores want, together. A tab hidden for a while wants the status and the alerts only; shown
// again it wants everything and is filled by snapshots.

import { type Refusal, refusal } from "../api/rest.ts";
import { Feed, type Link, type Subscription } from "../api/socket.ts";
import type { ApiError, Interval, Message, Status, StatusEvent } from "../api/types.ts";
import type { Scheduler } from "../ui/scheduler.ts";
import { store, stored } from "../ui/theme.ts";
import { Latency, Recent } from "./buffers.ts";
import { Candles } from "./candles.ts";
import { Figures } from "./figures.ts";
import { type Health, health } from "./health.ts";
import { Market } from "./market.ts";
import { Prints } from "./prints.ts";
import { Quotes } from "./quotes.ts";
import { Rules } from "./rules.ts";
import type { Store } from "./store.ts";
import { Ticks } from "./ticks.ts";
import { isInterval, View } from "./view.ts";

const EVENTS = 300;
const HIDDEN_REST_MS = 20_000;
const CALM_MS = 250; // a held arrow key runs through the list without asking for every instrument on the way
const STATUS: Subscription = { channel: "status" };

export class Session {
  readonly market = new Market();
  readonly view = new View();
  readonly events = new Recent<StatusEvent>(EVENTS);
  readonly latency = new Latency();
  readonly quotes: Quotes;
  readonly prints: Prints;
  readonly candles: Candles;
  readonly figures: Figures;
  readonly rules: Rules;
  readonly ticks: Ticks;
  readonly feed: Feed;
  readonly scheduler: Scheduler;
  status: Status | null = null;
  /** Why the server turns this page away, while it does. */
  denied: Refusal | null = null;
  /** The instruments in the order of the list on the page: what the arrow keys go along. */
  order: () => readonly string[] = () => [...this.market.rows.keys()];
  private readonly stores: Store[];
  private statusAt = 0; // performance.now() of its arrival
  private readonly begun = performance.now();
  private abort = new AbortController();
  private chosen = 0; // performance.now() of the last choice
  private choosing: number | undefined;
  private away = false; // left between a choice and asking for it
  /** Nobody looks for a while: only the status and the alerts are asked for. */
  resting = false;
  private only = false; // that one or none, and no rules: an embedded panel
  private wish = ""; // the instrument of a link, or of an embedded panel
  private restingSoon: number | undefined;

  constructor(url: string, scheduler: Scheduler) {
    this.scheduler = scheduler;
    this.quotes = new Quotes(this.market, scheduler);
    this.prints = new Prints(this.view, scheduler);
    this.candles = new Candles(this.view, scheduler);
    this.figures = new Figures(this.view, scheduler);
    this.rules = new Rules(scheduler);
    this.ticks = new Ticks(this.market, () => this.view.id, scheduler);
    this.stores = [this.quotes, this.prints, this.candles, this.figures, this.rules, this.ticks];
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

  /** A further store, before or after the start. */
  add(...stores: Store[]): void {
    this.stores.push(...stores);
    this.asks();
  }

  start(): void {
    this.asks();
    this.feed.open();
    window.setInterval(() => this.heartbeat(), 250);
    window.setInterval(() => this.second(), 1000);
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
      refused: this.denied,
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
    this.chose();
    this.scheduler.touch("selection", "book", "trades", "bars", "quotes");
  }

  /** What an address asks for: chosen now, or when the server is there. `only`: that instrument or none. */
  prefer(id: string | undefined, interval: string | undefined, only = false): void {
    this.only = only;
    if (interval !== undefined) this.setInterval(interval);
    if (id === undefined) return;
    this.wish = id;
    if (this.market.rows.has(id)) this.select(id);
  }

  step(by: number): void {
    const ids = this.order();
    const at = ids.indexOf(this.view.id);
    const next = ids[Math.min(ids.length - 1, Math.max(0, at + by))];
    if (next !== undefined) this.select(next);
  }

  setInterval(interval: Interval): void {
    if (interval === this.view.interval) return;
    this.leave();
    this.view.resetBars(interval);
    store("interval", interval);
    this.chose();
    this.scheduler.touch("selection", "bars");
  }

  /** Asks the server for what the stores want now. */
  asks(): void {
    const always = [STATUS, ...(this.rules.wants())];
    const chosen = this.away ? [this.quotes] : this.stores;
    this.feed.want(this.resting ? always : [...always, ...chosen.flatMap((s) => s.wants?.() ?? [])]);
  }

  private chose(): void {
    for (const s of this.stores) s.chose?.();
    const since = performance.now() - this.chosen;
    this.chosen = performance.now();
    if (since > CALM_MS) this.enter();
    else this.choosing = window.setTimeout(() => this.enter(), CALM_MS);
  }

  private enter(): void {
    this.away = false;
    this.asks();
    this.fill();
  }

  private leave(): void {
    window.clearTimeout(this.choosing);
    this.abort.abort();
    this.abort = new AbortController();
    this.away = true;
    this.asks();
  }

  private fill(): void {
    if (this.view.id) for (const s of this.stores) s.fill?.(this.abort.signal);
  }

  private received(message: Message): void {
    if (message.channel === "status") {
      this.putStatus(message.data.status, message.data.events, message.type === "snapshot");
      return;
    }
    for (const s of this.stores) s.put?.(message);
    if (message.type !== "update" || message.channel === "bars" || message.channel === "alerts" || message.channel === "depths") return;
    for (const event of message.data) this.latency.saw(event.ts_event);
  }

  private putStatus(status: Status, events: readonly StatusEvent[], snapshot: boolean): void {
    const before = this.status; // after a seek in a replay nothing that was known holds, as after a restart
    const restarted = before !== null && (before.session !== status.session || before.replay?.epoch !== status.replay?.epoch);
    this.status = status;
    this.statusAt = performance.now();
    this.rules.exist = status.alerts != null;
    if (restarted) this.forget();
    if (!this.only && (restarted || !this.rules.alerts.loaded)) void this.rules.load();
    const wished = this.only ? null : stored("interval"); // a kind that the server may have, or not
    if (!this.view.id && wished && status.bars?.includes(wished)) this.view.resetBars(wished);
    const changed = this.quotes.putStatus(status);
    if (snapshot) this.events.replace(events);
    else {
      this.events.push(...events);
      for (const event of events) if (this.view.putEvent(event)) this.scheduler.touch("trades");
    }
    if (changed || snapshot) void this.quotes.seed(() => this.feed.link === "open");
    if (changed || restarted) this.choose(restarted);
    this.scheduler.touch("status", "events", "link");
  }

  private forget(): void {
    for (const s of this.stores) s.clear?.();
    this.view.reset(this.view.id); // at a recording's beginning there may be no instrument that could be chosen
    this.latency.clear();
  }

  private choose(again: boolean): void {
    const ids = this.only && this.wish !== "" ? [] : [...this.market.rows.keys()];
    const wanted = [this.view.id, this.wish, stored("instrument") ?? ""].find((id) => this.market.rows.has(id)) ?? ids[0];
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
    if (link === "open") this.fill();
    if (link === "open") this.denied = null;
    if (link === "closed") {
      this.latency.clear();
      void this.askWhy();
    }
    this.scheduler.touch("link");
  }

  private async askWhy(): Promise<void> {
    const why = await refusal();
    if (this.feed.link !== "open") this.denied = why;
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

  private second(): void {
    if (this.health.dead) return;
    for (const s of this.stores) s.second?.();
  }

  private visible(shown: boolean): void {
    window.clearTimeout(this.restingSoon);
    if (!shown) {
      this.restingSoon = window.setTimeout(() => this.rest(true), HIDDEN_REST_MS);
      return;
    }
    this.feed.hurry();
    this.rest(false);
    this.scheduler.touch("status", "link", "quotes", "book", "trades", "bars", "events", "clock");
  }

  private rest(resting: boolean): void {
    if (resting === this.resting) return;
    this.resting = resting;
    if (resting) this.leave();
    else this.enter();
  }
}
