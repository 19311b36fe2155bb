// The chosen instrument's bars, as a window of at most View.BARS over all that there are, and its volume by price.
//
// The window begins at the newest. Scrolled to its left edge it takes in a page of older bars, from memory or from the lake, and where it
// is full lets the newest go; scrolled back to the right it takes in newer ones, until the newest is there again. So history goes on
// without end, and memory does not grow. Bars made from trades stand before the venue's own candles of the same time: both are asked for,
// and where one answer ends before the other one (`more`), what lies beyond that is left to the next page.

import * as rest from "../api/rest.ts";
import type { Subscription } from "../api/socket.ts";
import { type Bar, INTERVAL_SECONDS, type Message } from "../api/types.ts";
import type { Scheduler } from "../ui/scheduler.ts";
import { BarSeries, orderOf } from "./buffers.ts";
import type { Store } from "./store.ts";
import type { View } from "./view.ts";

export const PAGE_BARS = 1000;
const BUSY = 503; // all places of the query processes are taken
const BUSY_AGAIN_MS = 3000;
const PAST_TRIES = 5;
const PAST_AGAIN_MS = 2000;
const PROFILE_SECONDS = 2;
const SPAN_TRIES = 12;
const ORIGINS = ["trades", "venue"] as const;

export class Candles implements Store {
  watchesProfile = false; // whether the chart shows it
  looked = true; // whether the chart is looked at
  /** Why older or newer bars could not be had; empty while they can. */
  trouble = "";
  private readonly view: View;
  private readonly scheduler: Scheduler;
  private signal: AbortSignal = AbortSignal.abort();
  private seconds = 0;

  constructor(view: View, scheduler: Scheduler) {
    this.view = view;
    this.scheduler = scheduler;
  }

  wants(): readonly Subscription[] {
    const { id, interval } = this.view;
    return id ? [{ channel: "bars", instruments: [id], interval }] : [];
  }

  put(message: Message): void {
    if (message.channel === "bars" && this.view.putBars(message.data)) this.scheduler.touch("bars");
  }

  chose(): void {
    this.trouble = "";
  }

  fill(signal: AbortSignal): void {
    this.signal = signal;
    void this.fillBars();
    void this.loadProfile();
  }

  second(): void {
    this.seconds += 1;
    if (this.seconds % PROFILE_SECONDS === 0 && this.looked && !document.hidden) void this.loadProfile();
  }

  async loadOlder(): Promise<void> {
    const { view, signal } = this;
    const first = view.series.bars[0];
    if (!first || view.older !== "idle") return;
    await this.page("older", async () => {
      const pages = await Promise.all(ORIGINS.map((origin) => this.ask({ origin, to: first.ts_open }, signal)));
      const more = whole(pages).filter((bar) => orderOf(bar, first) < 0);
      return { more, end: more.length === 0 };
    });
  }

  async loadNewer(now: number): Promise<void> {
    const { view, signal } = this;
    const last = view.series.last;
    if (!last || view.newer !== "idle") return;
    await this.page("newer", async () => {
      let span = spanOf(view.series, view.interval) * PAGE_BARS;
      for (let tries = 0; tries < SPAN_TRIES; tries++) {
        const end = last.ts_open + span > now;
        const range = { from: last.ts_open, ...(end ? {} : { to: last.ts_open + span }) };
        const pages = await Promise.all(ORIGINS.map((origin) => this.ask({ origin, ...range, limit: 3 * PAGE_BARS }, signal)));
        const more = merged(pages.flatMap((p) => p.bars)).filter((bar) => orderOf(bar, last) > 0);
        if (pages.some((p) => p.more)) span /= 4; // the answer's older part was left out: it would stand beside a hole
        else if (end || more.length > 0) return { more, end };
        else span *= 8;
      }
      return { more: [], end: false };
    });
  }

  /** The window at the newest bar again. */
  toNewest(): void {
    if (this.view.newer === "end") return;
    this.view.resetBars(this.view.interval);
    void this.fillBars();
    this.scheduler.touch("bars");
  }

  async loadProfile(): Promise<void> {
    const { view } = this;
    if (!this.watchesProfile || !view.id) return;
    const profile = await rest.profile(view.id, view.samples.profile, this.signal).catch(() => null);
    if (profile?.instrument !== view.id) return;
    view.profile = profile;
    this.scheduler.touch("profile");
  }

  private async page(side: "older" | "newer", load: () => Promise<{ more: readonly Bar[]; end: boolean }>): Promise<void> {
    const { view, scheduler, signal } = this;
    const { series } = view;
    view[side] = "loading";
    scheduler.touch("bars");
    const found = await load().catch((e: unknown) => (e instanceof Error ? e : new Error(String(e))));
    if (series !== view.series) return;
    scheduler.touch("bars");
    if (found instanceof Error) {
      view[side] = "idle";
      if (signal.aborted) return; // nobody waits for it any more
      this.trouble = found.message;
      if (side === "older" && found instanceof rest.Refused && found.status === BUSY) window.setTimeout(() => series === view.series && void this.loadOlder(), BUSY_AGAIN_MS);
      return;
    }
    this.trouble = "";
    view[side] = found.end ? "end" : "idle";
    if (found.more.length > 0) view.join(found.more, side);
    if (side === "newer" && found.end && view.newest) view.putBars([view.newest]);
  }

  private async ask(more: Partial<rest.BarsQuery>, signal: AbortSignal): Promise<rest.BarsPage> {
    const { id, interval } = this.view;
    return await rest.barsPage({ instrument: id, interval, limit: PAGE_BARS, ...more }, signal);
  }

  private async fillBars(): Promise<void> {
    const { view, signal } = this;
    const { series } = view;
    const page = await this.ask({}, signal).catch(() => ({ bars: [], more: false }));
    if (series !== view.series || view.newer !== "end") return;
    if (view.putBars(page.bars)) this.scheduler.touch("bars");
    const cut = page.more && page.bars.length > PAGE_BARS / 2; // a short page: the lake was busy, and the venue's candles fill in for now
    const floor = cut ? (page.bars[0]?.ts_open ?? 0) : 0;
    void this.fillPast(PAST_TRIES, floor);
  }

  /** The venue's candles of before the start. Just after a start they are still on their way: ask again a few times. */
  private async fillPast(tries: number, floor: number): Promise<void> {
    const { view, signal } = this;
    const { series } = view;
    const { bars } = await this.ask({ origin: "venue" }, signal).catch(() => ({ bars: [] }));
    if (series !== view.series || signal.aborted || view.newer !== "end") return;
    if (bars.length === 0 && tries > 1) window.setTimeout(() => void this.fillPast(tries - 1, floor), PAST_AGAIN_MS);
    else if (view.putBars(bars.filter((bar) => bar.ts_open >= floor))) this.scheduler.touch("bars");
  }
}

/** What several answers that end somewhere cover together: nothing older than the newest of those ends. */
export function whole(pages: readonly rest.BarsPage[]): Bar[] {
  const floor = Math.max(0, ...pages.filter((p) => p.more).map((p) => p.bars[0]?.ts_open ?? 0));
  return merged(pages.flatMap((p) => p.bars)).filter((bar) => bar.ts_open >= floor);
}

function merged(bars: readonly Bar[]): Bar[] {
  const series = new BarSeries(Number.MAX_SAFE_INTEGER);
  for (const bar of [...bars].sort(orderOf)) series.put(bar);
  return series.bars;
}

/** How long a bar is, in microseconds: by its interval, or of other kinds as those that are there. */
function spanOf(series: BarSeries, interval: string): number {
  const seconds = INTERVAL_SECONDS[interval];
  if (seconds !== undefined) return seconds * 1e6;
  const { bars } = series;
  const [first, last] = [bars[0], bars.at(-1)];
  return first && last && bars.length > 1 ? Math.max(1, (last.ts_open - first.ts_open) / (bars.length - 1)) : 60e6;
}
