// Bars of other instruments, for a chart of several: asked for while the chart is looked at, over the stretch that it shows.
//
// Of each instrument one unbroken stretch is known. Where the chart's window goes beyond it, the piece that lacks is asked for; where it
// left it behind altogether, what was known is forgotten. So at most twice the window's bars are kept of each.

import type { Subscription } from "../api/socket.ts";
import type { Bar, Message } from "../api/types.ts";
import * as rest from "../api/rest.ts";
import type { Scheduler } from "../ui/scheduler.ts";
import { supersedes } from "./buffers.ts";
import type { Store } from "./store.ts";
import { BARS, type View } from "./view.ts";

const LIMIT = 3000;
const MOST_PAGES = 4;

export class Other {
  readonly id: string;
  readonly bars = new Map<number, Bar>(); // by when they open
  newest: Bar | undefined;
  from = 0; // what is known: from <= time < to
  to = 0;
  asked: { readonly from: number; readonly to: number } | null = null; // which stretch is on its way
  stretches = 0; // that were learnt: bars before the newest came or went

  constructor(id: string) {
    this.id = id;
  }

  put(bar: Bar): boolean {
    const old = this.bars.get(bar.ts_open);
    if (old && !supersedes(bar, old)) return false;
    this.bars.set(bar.ts_open, bar);
    if (!this.newest || bar.ts_open >= this.newest.ts_open) this.newest = bar;
    return true;
  }

  /** The pieces of a stretch that are not known. */
  lacks(from: number, to: number): [number, number][] {
    if (this.from === this.to || from > this.to || to < this.from) return [[from, to]];
    const pieces: [number, number][] = [];
    if (from < this.from) pieces.push([from, this.from]);
    if (to > this.to) pieces.push([this.to, to]);
    return pieces;
  }

  knows(from: number, to: number): void {
    this.stretches += 1;
    const apart = this.from === this.to || from > this.to || to < this.from;
    [this.from, this.to] = apart ? [from, to] : [Math.min(this.from, from), Math.max(this.to, to)];
    if (!apart && this.bars.size <= 2 * BARS) return;
    [this.from, this.to] = [from, to];
    for (const open of this.bars.keys()) if (open < from || open >= to) this.bars.delete(open);
  }
}

export class Compare implements Store {
  shown = true; // whether the chart is looked at
  private ids: readonly string[] = [];
  private readonly others = new Map<string, Other>();
  private readonly view: View;
  private readonly scheduler: Scheduler;
  private signal: AbortSignal = AbortSignal.abort();

  constructor(view: View, scheduler: Scheduler) {
    this.view = view;
    this.scheduler = scheduler;
  }

  /** Says whether the list changed. */
  choose(ids: readonly string[]): boolean {
    if (ids.join() === this.ids.join()) return false;
    this.ids = ids;
    for (const id of this.others.keys()) if (!ids.includes(id)) this.others.delete(id);
    return true;
  }

  /** Without the instrument that is shown itself. */
  get list(): Other[] {
    return this.ids.filter((id) => id !== this.view.id).map((id) => this.of(id));
  }

  wants(): readonly Subscription[] {
    if (!this.shown || !this.view.id) return [];
    return this.list.map(({ id }) => ({ channel: "bars", instruments: [id], interval: this.view.interval }));
  }

  put(message: Message): void {
    if (message.channel !== "bars") return;
    let any = false;
    for (const bar of message.data) {
      if (bar.interval === this.view.interval) any = (this.others.get(bar.instrument)?.put(bar) ?? false) || any;
    }
    if (any) this.scheduler.touch("bars");
    for (const other of this.others.values()) this.trim(other);
  }

  chose(): void {
    this.others.clear();
  }

  clear(): void {
    this.others.clear();
  }

  fill(signal: AbortSignal): void {
    this.signal = signal;
    for (const other of this.others.values()) other.to = other.from; // what came while the link was down is lacking
    void this.cover();
  }

  /** Asks for what the window shows and is not known here. */
  async cover(): Promise<void> {
    const { series, newer } = this.view;
    const [first, last] = [series.bars[0], series.last];
    if (!first || !last || !this.shown) return;
    const to = newer === "end" ? Number.POSITIVE_INFINITY : last.ts_open + 1;
    await Promise.all(this.list.map((other) => this.coverOne(other, first.ts_open, to)));
  }

  private async coverOne(other: Other, from: number, to: number): Promise<void> {
    if ((other.asked && from <= other.asked.to && to >= other.asked.from) || other.lacks(from, to).length === 0) return;
    const { view, signal } = this;
    const { interval } = view;
    const asked = (other.asked = { from, to }); // in place of another one, which the window has left
    const valid = (): boolean => interval === view.interval && this.others.get(other.id) === other && other.asked === asked;
    try {
      for (const [begin, end] of other.lacks(from, to)) {
        for (const bar of await this.load(other.id, begin, end, signal)) if (valid()) other.put(bar);
      }
      if (valid()) other.knows(from, to);
    } catch {
      if (signal === this.signal) return this.answered(other, asked); // the link's own state says that the server is not there; the next fill asks again
    }
    this.scheduler.touch("bars");
    const again = valid();
    this.answered(other, asked);
    if (again) void this.cover(); // the window may have moved meanwhile, or a fill have found it asked for
  }

  private answered(other: Other, asked: Other["asked"]): void {
    if (other.asked === asked) other.asked = null;
  }

  private async load(instrument: string, from: number, to: number, signal: AbortSignal): Promise<Bar[]> {
    const { interval } = this.view;
    const found: Bar[] = [];
    for (const origin of ["trades", "venue"] as const) {
      let end = to;
      for (let page = 0; page < MOST_PAGES; page++) {
        const range = Number.isFinite(end) ? { from, to: end } : { from };
        const { bars, more } = await rest.barsPage({ instrument, interval, limit: LIMIT, origin, ...range }, signal);
        found.push(...bars);
        end = bars[0]?.ts_open ?? from;
        if (!more || end <= from) break;
      }
    }
    return found;
  }

  /** The chart's window moves on with each new bar: what it left behind goes here as well. */
  private trim(other: Other): void {
    const first = this.view.series.bars[0]?.ts_open ?? 0;
    if (other.bars.size > 2 * BARS && first > other.from && first < other.to) other.knows(first, other.to);
  }

  private of(id: string): Other {
    let other = this.others.get(id);
    if (!other) this.others.set(id, (other = new Other(id)));
    return other;
  }
}
