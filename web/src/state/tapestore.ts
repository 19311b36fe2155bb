// The chosen instrument's tape: what the session hears is put into prints as it comes, while somebody looks. Who looks again is given what
// the session still has: nothing is joined over what was not heard.

import { apiPath } from "../api/base.ts";
import type { Subscription } from "../api/socket.ts";
import type { Message, Trade } from "../api/types.ts";
import type { Session } from "./session.ts";
import type { Store } from "./store.ts";
import { Tape } from "./tape.ts";

const PAGE = 1000;

export class TapeStore implements Store {
  readonly tape: Tape;
  /** Whether older trades are being fetched, or there are none; "failed" is tried again when the reader scrolls on. */
  older: "idle" | "loading" | "end" | "failed" = "idle";
  private readonly session: Session;
  private seen = { generation: -1, total: 0 };
  private signal: AbortSignal = AbortSignal.abort();

  private looks = false;

  constructor(session: Session, most?: number) {
    this.session = session;
    this.tape = new Tape(most);
  }

  look(looks: boolean): void {
    this.looks = looks;
    if (looks) this.sync();
    this.session.asks();
  }

  wants(): readonly Subscription[] {
    const { id } = this.session.view;
    return id && this.looks ? [{ channel: "trades", instruments: [id] }] : [];
  }

  put(message: Message): void {
    if (message.channel === "trades" && this.looks) this.sync();
  }

  chose(): void {
    this.seen.generation = -1;
    this.tape.replace([]);
    this.older = "idle";
  }

  fill(signal: AbortSignal): void {
    this.signal = signal;
    this.older = "idle";
  }

  /** Takes over the lines that came since: trades, and the holes between them. */
  sync(): void {
    const { lines } = this.session.view;
    const fresh = lines.total - this.seen.total;
    if (lines.generation !== this.seen.generation || fresh > lines.items.length) {
      this.tape.replace(lines.items);
      this.older = "idle";
    } else if (fresh > 0) this.tape.push(lines.items.slice(-fresh));
    this.seen = { generation: lines.generation, total: lines.total };
  }

  async fetchOlder(): Promise<void> {
    const { oldest } = this.tape;
    if (!oldest || this.older === "loading" || this.older === "end") return;
    this.older = "loading";
    const { signal } = this;
    // The microsecond of the oldest is asked for again: others of it may not be there.
    const query = new URLSearchParams({ instrument: oldest.instrument, to: String(oldest.ts_event + 1), limit: String(PAGE) });
    try {
      const answer = await fetch(`${apiPath("trades")}?${query}`, { signal });
      if (!answer.ok) throw new Error(String(answer.status));
      const { trades, more } = (await answer.json()) as { trades: Trade[]; more: boolean };
      if (signal.aborted) return;
      const added = this.tape.prepend(trades);
      this.older = added === 0 || !more ? "end" : "idle";
    } catch {
      if (!signal.aborted) this.older = "failed";
    }
    this.session.scheduler.touch("trades");
  }
}
