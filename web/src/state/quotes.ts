// Every instrument's touch and metrics, for lists of many: the market's rows.

import type { Subscription } from "../api/socket.ts";
import type { Message, Status } from "../api/types.ts";
import * as rest from "../api/rest.ts";
import type { Scheduler } from "../ui/scheduler.ts";
import { byInstrument, pieces } from "./days.ts";
import { type Market, type Row, SPARK_POINTS } from "./market.ts";
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
    const rows = [...this.market.rows.values()].slice(0, SEEDED_ROWS).filter((row) => !this.seeded.has(row.id));
    if (rows.length === 0 || !answers()) return; // the next snapshot of the status begins again
    for (const row of rows) {
      this.seeded.add(row.id);
      row.referenceAsked = true;
    }
    const older = await this.days(rows);
    for (const row of rows) row.referenceAsked = false;
    await this.ways(rows.filter((row) => row.spark.length <= 10));
    this.scheduler.touch("quotes");
    if (older) await this.mornings(rows, answers);
  }

  /** Says whether the lake knows more of some. */
  private async days(rows: readonly Row[]): Promise<boolean> {
    const { bars, more } = await rest.heldBars(ids(rows), "1d", 1).catch(() => this.unheard(rows));
    const days = byInstrument(bars);
    for (const row of rows) {
      const day = days.get(row.id);
      if (day) row.putDay(day);
    }
    return more;
  }

  /** A replay may have gone to where one of them is not heard of: what follows begins again. */
  private unheard(rows: readonly Row[]): rest.BarsPage {
    for (const row of rows) this.seeded.delete(row.id);
    return { bars: [], more: false };
  }

  private async ways(rows: readonly Row[]): Promise<void> {
    for (const some of pieces(rows, rest.MOST_HELD / SPARK_POINTS)) {
      const { bars } = await rest.heldBars(ids(some), "1s", SPARK_POINTS).catch(() => ({ bars: [] }));
      for (const row of some) row.seed(bars.filter((bar) => bar.instrument === row.id).map((bar) => bar.close));
    }
  }

  /** What of the day was before the server began: one after the other, so that others find a place at the lake. */
  private async mornings(rows: readonly Row[], answers: () => boolean): Promise<void> {
    for (const row of rows) {
      if (row.day?.complete || this.market.rows.get(row.id) !== row) continue;
      if (!answers()) return;
      const day = (await rest.bars({ instrument: row.id, interval: "1d", limit: 1 }).catch(() => [])).at(-1);
      if (day) row.putDay(day);
      this.scheduler.touch("quotes");
    }
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

const ids = (rows: readonly Row[]): readonly string[] => rows.map((row) => row.id);
