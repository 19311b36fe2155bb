// What the heatmap knows of the chosen instrument: columns from history and from the socket, trades. It asks only while it is watched.
//
// Another step or sampling is fetched beside the old one, which stays on screen until the new one is there: nothing flashes empty.

import type { Subscription } from "../api/socket.ts";
import type { Every, Message } from "../api/types.ts";
import * as rest from "../api/rest.ts";
import type { Store } from "../state/store.ts";
import type { Scheduler } from "../ui/scheduler.ts";
import { Bubbles } from "./bubbles.ts";
import { CAPACITY, Columns } from "./columns.ts";

export const ROWS = 200; // bins each side of the mid
const PAGE = 1200; // columns that the server gives at once
const TRADES = 5000; // as above
const TRADE_PAGES = 4; // as many as the bubbles hold

export class HeatStore implements Store {
  columns: Columns | null = null;
  readonly bubbles = new Bubbles();
  trouble = ""; // why there is no history
  private next: Columns | null = null;
  private watched = false;
  private more = true;
  private loading = false;
  private traded = false; // the trades of before were fetched
  private abort = new AbortController();
  private readonly chosen: () => string;
  private readonly scheduler: Scheduler;
  private readonly asks: () => void;

  constructor(chosen: () => string, scheduler: Scheduler, asks: () => void) {
    this.chosen = chosen;
    this.scheduler = scheduler;
    this.asks = asks;
  }

  /** There are no older columns. */
  get ended(): boolean {
    return !this.more && !this.loading;
  }

  wants(): readonly Subscription[] {
    const set = this.next ?? this.columns;
    if (!this.watched || !set || !this.chosen()) return [];
    return [{ channel: "depths", instruments: [this.chosen()], step: set.step, every: set.every, rows: ROWS }];
  }

  watch(watched: boolean): void {
    if (watched === this.watched) return;
    this.watched = watched;
    if (watched) this.chose(); // what was missed meanwhile would be a gap
    this.asks();
  }

  /** Another price step or sampling. */
  choose(step: number, every: Every): void {
    const now = this.next ?? this.columns;
    if (now?.step === step && now.every === every) return;
    const set = new Columns(step, every);
    if (now) this.next = set;
    else this.columns = set; // nothing to keep on screen: what the socket sends is shown while the past is still fetched
    this.asks();
    void this.load(set);
  }

  put(message: Message): void {
    if (!this.watched) return;
    if (message.channel === "trades") {
      this.bubbles.put(message.data.filter((t) => t.instrument === this.chosen()));
    } else if (message.channel === "depths") {
      for (const set of [this.columns, this.next]) {
        if (!set || (message.step ?? set.step) !== set.step || (message.every ?? set.every) !== set.every) continue;
        set.put(message.data.filter((c) => c.instrument === this.chosen()));
      }
      this.scheduler.touch("heatmap");
    }
  }

  chose(): void {
    this.abort.abort();
    this.abort = new AbortController();
    this.columns = this.next = null;
    this.bubbles.clear();
    this.trouble = "";
    this.more = true;
    this.loading = this.traded = false;
    this.scheduler.touch("heatmap");
  }

  clear(): void {
    this.chose();
  }

  /** The server is there again: what was missed is fetched. */
  fill(): void {
    const set = this.next ?? this.columns;
    this.traded = false;
    if (this.watched && set) void this.load(set);
  }

  /** Older columns, as long as there are some and there is room. */
  async loadOlder(): Promise<void> {
    const { columns } = this;
    if (!columns || !this.more || this.loading || this.next || !Number.isFinite(columns.first)) return;
    if (columns.last - columns.first >= CAPACITY - 1) return;
    await this.fetch(columns, columns.first * columns.width);
  }

  private async load(set: Columns): Promise<void> {
    this.more = true;
    await this.fetch(set);
    if (set === this.next) {
      this.columns = set;
      this.next = null;
      this.asks();
    }
    if (!this.traded) await this.loadTrades();
  }

  private async fetch(set: Columns, to?: number): Promise<void> {
    const { signal } = this.abort;
    this.loading = true;
    try {
      const query = { instrument: this.chosen(), step: set.step, every: set.every, rows: ROWS, limit: PAGE, ...(to === undefined ? {} : { to }) };
      const found = await rest.bookHistory(query, signal);
      set.put(found.columns);
      this.more = found.more;
      this.trouble = "";
    } catch (error) {
      if (signal.aborted) return;
      this.more = false; // the next choice or connection asks again
      this.trouble = error instanceof Error ? error.message : String(error);
    } finally {
      if (!signal.aborted) this.loading = false;
    }
    this.scheduler.touch("heatmap");
  }

  private async loadTrades(): Promise<void> {
    const { signal } = this.abort;
    this.traded = true;
    let to: number | undefined;
    for (let page = 0; page < TRADE_PAGES; page++) {
      const found = await rest.trades({ instrument: this.chosen(), limit: TRADES, ...(to === undefined ? {} : { to }) }, signal).catch(() => []);
      if (signal.aborted) return;
      this.bubbles.put(found);
      this.scheduler.touch("heatmap");
      to = found[0]?.ts_event;
      if (to === undefined || !this.columns || to < this.columns.first * this.columns.width) return;
    }
  }
}
