// The chosen instrument's trades and its book.

import type { Subscription } from "../api/socket.ts";
import type { Message } from "../api/types.ts";
import type { Scheduler } from "../ui/scheduler.ts";
import type { Store } from "./store.ts";
import type { View } from "./view.ts";

const LEAST_DEPTH = 50;

export class Prints implements Store {
  /** How many levels each panel wants of the book; all get the same book. Who changes it calls session.asks(). */
  readonly depths = new Map<string, number>();
  private readonly view: View;
  private readonly scheduler: Scheduler;

  constructor(view: View, scheduler: Scheduler) {
    this.view = view;
    this.scheduler = scheduler;
  }

  get depth(): number {
    return Math.max(LEAST_DEPTH, ...this.depths.values());
  }

  wants(): readonly Subscription[] {
    if (!this.view.id) return [];
    const instruments = [this.view.id];
    return [{ channel: "trades", instruments }, { channel: "book", instruments, depth: this.depth }];
  }

  put(message: Message): void {
    if (message.channel === "trades") {
      this.view.putTrades(message.data, message.type === "snapshot", message.missed ?? 0);
      this.scheduler.touch("trades");
    } else if (message.channel === "book") {
      for (const book of message.data) {
        if (book.instrument !== this.view.id) continue;
        this.view.book = book;
        this.view.bookDepth = message.depth ?? LEAST_DEPTH;
      }
      this.scheduler.touch("book");
    }
  }
}
