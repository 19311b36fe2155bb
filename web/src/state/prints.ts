// The chosen instrument's trades and its book.

import type { Subscription } from "../api/socket.ts";
import type { Message } from "../api/types.ts";
import type { Scheduler } from "../ui/scheduler.ts";
import type { Store } from "./store.ts";
import type { View } from "./view.ts";

const LADDER_DEPTH = 50;

export class Prints implements Store {
  depth = LADDER_DEPTH; // of the book; who changes it calls session.asks()
  private readonly view: View;
  private readonly scheduler: Scheduler;

  constructor(view: View, scheduler: Scheduler) {
    this.view = view;
    this.scheduler = scheduler;
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
      for (const book of message.data) if (book.instrument === this.view.id) this.view.book = book;
      this.scheduler.touch("book");
    }
  }
}
