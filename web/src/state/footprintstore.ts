// The footprint of the chosen instrument and interval: the last bars, the two newest asked for again each second while somebody looks,
// older ones as they are scrolled to. Bound: MOST bars, the oldest forgotten.

import { apiPath } from "../api/base.ts";
import type { ApiError, Bar, Footprint } from "../api/types.ts";
import { words } from "../api/subscriptions.ts";
import { autoStep, type Column, joined, read } from "./footprint.ts";
import type { Session } from "./session.ts";
import type { Store } from "./store.ts";

const PAGE = 60;
const MOST = 1200;
const REST = 15; // seconds after an answer that was an error
const RANGED = 30; // bars that the automatic step is made from

export class FootprintStore implements Store {
  columns: Column[] = [];
  /** null: automatic. */
  chosen: number | null = null;
  step = 0;
  trouble = "";
  older: "idle" | "loading" | "end" = "idle";
  private readonly session: Session;
  private readonly changed: () => void;
  private looks = false;
  private asking = false;
  private rest = REST;
  private abort = new AbortController();

  constructor(session: Session, changed: () => void) {
    this.session = session;
    this.changed = changed;
  }

  get tick(): number {
    return 10 ** -(this.session.market.rows.get(this.session.view.id)?.priceDecimals ?? 2);
  }

  /** What would be chosen by itself now: from the middle range of the last bars. */
  get auto(): number {
    const ranges = this.session.view.series.bars.slice(-RANGED).map((b: Bar) => b.high - b.low).filter((r) => r > 0).sort((a, b) => a - b);
    return autoStep(ranges[ranges.length >> 1] ?? 0, this.tick);
  }

  look(looks: boolean): void {
    this.looks = looks;
    if (looks) void this.ask(PAGE);
  }

  choose(step: number | null): void {
    this.chosen = step;
    this.forget();
    void this.ask(PAGE);
  }

  chose(): void {
    this.forget();
  }

  fill(): void {
    if (this.looks) void this.ask(PAGE);
  }

  clear(): void {
    this.forget();
  }

  second(): void {
    if (this.trouble !== "" && this.rest-- > 0) return;
    this.rest = REST;
    if (this.looks && !document.hidden) void this.ask(this.columns.length === 0 ? PAGE : 2);
  }

  async fetchOlder(): Promise<void> {
    const first = this.columns[0];
    if (!first || this.older !== "idle" || this.columns.length >= MOST) return;
    this.older = "loading";
    const answer = await this.get({ limit: String(PAGE), to: String(first.ts) });
    if (!answer) {
      if (this.older === "loading") this.older = "idle";
      return;
    }
    this.older = answer.bars.length === 0 || !answer.more ? "end" : "idle";
    this.took(answer);
  }

  private forget(): void {
    this.abort.abort();
    this.abort = new AbortController();
    this.columns = [];
    this.step = 0;
    this.older = "idle";
    this.asking = false;
    this.trouble = "";
    this.changed();
  }

  private async ask(limit: number): Promise<void> {
    if (this.asking || this.session.view.id === "" || this.session.view.series.bars.length === 0) return;
    this.asking = true;
    if (this.step === 0) this.step = this.chosen ?? this.auto;
    const { signal } = this.abort;
    const answer = await this.get({ limit: String(limit) });
    if (signal.aborted) return;
    this.asking = false;
    if (answer) this.took(answer);
  }

  private took(answer: Footprint): void {
    this.columns = joined(this.columns, answer.bars.map(read), MOST);
    this.changed();
  }

  private async get(params: Record<string, string>): Promise<Footprint | null> {
    const { signal } = this.abort;
    const { id, interval } = this.session.view;
    const query = new URLSearchParams({ instrument: id, interval, step: String(this.step), ...params });
    try {
      const answer = await fetch(`${apiPath("footprint")}?${query}`, { signal });
      const body = (await answer.json()) as Footprint & { error?: ApiError };
      if (signal.aborted) return null;
      this.trouble = body.error ? words(body.error) : "";
      if (body.error) this.changed();
      return body.error ? null : body;
    } catch {
      return null; // the socket's state says whether the server is there
    }
  }
}
