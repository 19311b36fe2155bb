// Every instrument's touch and metrics, for lists of many: the market's rows.

import type { Subscription } from "../api/socket.ts";
import type { Message, Status } from "../api/types.ts";
import * as rest from "../api/rest.ts";
import type { Scheduler } from "../ui/scheduler.ts";
import { type Market, SPARK_POINTS } from "./market.ts";
import type { Store } from "./store.ts";

const SEEDED_ROWS = 40; // of a longer watchlist only the first are filled from history
const DAY_US = 86_400e6;
const SETTLED_US = 60e6; // into a new day its first bar is there, where anything is traded
const ALL: readonly Subscription[] = [
  { channel: "quotes", instruments: ["*"] },
  { channel: "metrics", instruments: ["*"], kind: "book" },
];

export class Quotes implements Store {
  private readonly market: Market;
  private readonly scheduler: Scheduler;
  private readonly seeded = new Set<string>();
  private day = 0; // of the changes that are shown, counted since 1970

  constructor(market: Market, scheduler: Scheduler) {
    this.market = market;
    this.scheduler = scheduler;
  }

  wants(): readonly Subscription[] {
    return ALL;
  }

  put(message: Message): void {
    if (message.channel === "quotes") for (const quote of message.data) this.market.row(quote.instrument).putQuote(quote);
    else if (message.channel === "metrics") {
      for (const metrics of message.data) if (!metrics.values) this.market.row(metrics.instrument).putMetrics(metrics);
    } else return;
    this.scheduler.touch("quotes");
  }

  /** Says whether the list of instruments changed, or another UTC day began: then all are to be seeded again. */
  putStatus(status: Status): boolean {
    const day = Math.floor((status.now - SETTLED_US) / DAY_US);
    const another = this.day !== 0 && day !== this.day;
    this.day = day;
    if (another) this.seeded.clear();
    return this.market.putInstruments(status.instruments) || another;
  }

  /** Where the day began and the last minutes' way, so that the watchlist is full when the page opens. `answers`: whether to go on. */
  async seed(answers: () => boolean): Promise<void> {
    for (const row of [...this.market.rows.values()].slice(0, SEEDED_ROWS)) {
      if (this.seeded.has(row.id) || !this.market.rows.has(row.id)) continue; // a replay may have gone to where it is not heard of
      if (!answers()) return; // the next snapshot of the status begins again
      this.seeded.add(row.id);
      const days = await rest.bars({ instrument: row.id, interval: "1d", limit: 1 }).catch(() => []);
      const day = days.at(-1);
      if (day) row.setReference(day.open, day.complete ? "the open of the UTC day" : "the first trade seen in this UTC day");
      if (row.spark.length > 10 || !this.market.rows.has(row.id)) continue;
      const ticks = await rest.bars({ instrument: row.id, interval: "1s", limit: SPARK_POINTS }).catch(() => []);
      row.seed(ticks.map((b) => b.close));
    }
    this.scheduler.touch("quotes");
  }

  clear(): void {
    this.market.clear();
    this.seeded.clear();
  }

  second(): void {
    for (const row of this.market.rows.values()) row.sample();
    this.scheduler.touch("quotes");
  }
}
