// The chosen instrument's bars, the older ones fetched as they are scrolled to, and its volume by price.

import * as rest from "../api/rest.ts";
import type { Subscription } from "../api/socket.ts";
import type { Message } from "../api/types.ts";
import type { Scheduler } from "../ui/scheduler.ts";
import type { Store } from "./store.ts";
import type { View } from "./view.ts";

const HISTORY_BARS = 1000;
const PAST_TRIES = 5;
const PAST_AGAIN_MS = 2000;
const PROFILE_SECONDS = 2;

export class Candles implements Store {
  watchesProfile = false; // whether the chart shows it
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

  fill(signal: AbortSignal): void {
    this.signal = signal;
    void this.fillBars();
    void this.loadProfile();
  }

  second(): void {
    this.seconds += 1;
    if (this.seconds % PROFILE_SECONDS === 0 && !document.hidden) void this.loadProfile();
  }

  async loadOlder(): Promise<void> {
    const { view, signal } = this;
    const first = view.series.bars[0];
    if (!first || view.older !== "idle") return;
    view.older = "loading";
    const { series } = view;
    const query = { instrument: view.id, interval: view.interval, limit: HISTORY_BARS, to: first.ts_open };
    const bars = await rest.bars(query, signal).catch(() => null);
    if (series !== view.series) return;
    if (bars === null) {
      view.older = "idle";
      return;
    }
    const more = bars.filter((b) => b.ts_open < first.ts_open);
    view.older = more.length === 0 || series.bars.length + more.length > series.capacity ? "end" : "idle";
    if (more.length > 0 && view.older !== "end" && view.putBars(more)) this.scheduler.touch("bars");
  }

  async loadProfile(): Promise<void> {
    const { view } = this;
    if (!this.watchesProfile || !view.id) return;
    const profile = await rest.profile(view.id, view.samples.profile, this.signal).catch(() => null);
    if (profile?.instrument !== view.id) return;
    view.profile = profile;
    this.scheduler.touch("profile");
  }

  private async fillBars(): Promise<void> {
    const { view, signal } = this;
    const query = { instrument: view.id, interval: view.interval, limit: HISTORY_BARS };
    const bars = await rest.bars(query, signal).catch(() => []);
    if (query.instrument !== view.id || query.interval !== view.interval) return;
    if (view.putBars(bars)) this.scheduler.touch("bars");
    void this.fillPast(PAST_TRIES);
  }

  /** The venue's candles of before the start. Just after a start they are still on their way: ask again a few times. */
  private async fillPast(tries: number): Promise<void> {
    const { view, signal } = this;
    const { series } = view;
    const query = { instrument: view.id, interval: view.interval, limit: HISTORY_BARS, origin: "venue" } as const;
    const bars = await rest.bars(query, signal).catch(() => []);
    if (series !== view.series || signal.aborted) return;
    if (bars.length === 0 && tries > 1) window.setTimeout(() => void this.fillPast(tries - 1), PAST_AGAIN_MS);
    else if (view.putBars(bars)) this.scheduler.touch("bars");
  }
}
