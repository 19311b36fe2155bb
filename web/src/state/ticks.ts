// The smallest price step of the chosen instrument, as its venue lists it.

import { instrument } from "../api/rest.ts";
import type { Scheduler } from "../ui/scheduler.ts";
import type { Market } from "./market.ts";
import type { Store } from "./store.ts";

const MOST = 500; // remembered; then all are forgotten

export class Ticks implements Store {
  private readonly known = new Map<string, number>();
  private readonly market: Market;
  private readonly chosen: () => string;
  private readonly scheduler: Scheduler;

  constructor(market: Market, chosen: () => string, scheduler: Scheduler) {
    this.market = market;
    this.chosen = chosen;
    this.scheduler = scheduler;
  }

  /** Until the venue's word has come, or where it has none: one unit of the last decimal. */
  of(id: string): number {
    return this.known.get(id) ?? Number(`1e-${this.market.rows.get(id)?.priceDecimals ?? 2}`);
  }

  fill(signal: AbortSignal): void {
    const id = this.chosen();
    if (id && !this.known.has(id)) void this.load(id, signal);
  }

  private async load(id: string, signal: AbortSignal): Promise<void> {
    const found = await instrument(id, signal).catch(() => null); // asked again at the next choice
    if (!found?.tick) return;
    if (this.known.size >= MOST) this.known.clear();
    this.known.set(id, found.tick);
    this.scheduler.touch("book");
  }
}
