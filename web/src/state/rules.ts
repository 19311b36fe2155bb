// Rules, what they raised, and asking for both.

import * as api from "../api/alerts.ts";
import type { AlertEvent } from "../api/alerts.ts";
import type { Subscription } from "../api/socket.ts";
import type { Message } from "../api/types.ts";
import type { Scheduler } from "../ui/scheduler.ts";
import { Alerts } from "./alerts.ts";
import type { Store } from "./store.ts";

const PAST_ALERTS = 100;
const CALM_MS = 200;
const AGAIN_SECONDS = 2;
const SOCKET: readonly Subscription[] = [{ channel: "alerts" }];

export class Rules implements Store {
  readonly alerts = new Alerts();
  watched = false; // whether a panel of rules is shown
  drawn = false; // whether a chart draws their lines
  exist = false; // whether the server watches rules: a recording has none
  onAlert: (alert: AlertEvent) => void = () => undefined;
  private readonly soon = calmly(() => void this.load());
  private readonly scheduler: Scheduler;
  private seconds = 0;

  constructor(scheduler: Scheduler) {
    this.scheduler = scheduler;
  }

  wants(): readonly Subscription[] {
    return SOCKET;
  }

  put(message: Message): void {
    if (message.channel !== "alerts") return;
    for (const alert of this.alerts.put(message.data, message.type)) this.onAlert(alert);
    if (this.watched || this.drawn || message.type === "snapshot") this.soon();
    this.scheduler.touch("alerts");
  }

  clear(): void {
    this.alerts.clear();
  }

  /** States change without an alert, too: warm, cooled down, sent. */
  second(): void {
    this.seconds += 1;
    if (this.seconds % AGAIN_SECONDS === 0 && this.watched && !document.hidden) void this.load();
  }

  /** Rules and their states as they stand now, and the newest alerts with what became of each. */
  async load(): Promise<void> {
    if (!this.exist) return;
    const { alerts } = this;
    const answer = await api.rules();
    if ("error" in answer) alerts.trouble = [answer.error.message, answer.error.hint].filter(Boolean).join(" · ");
    else {
      alerts.trouble = "";
      alerts.rules = answer.ok.rules;
      alerts.targets = answer.ok.targets.map((t) => t.name);
      alerts.loaded = true;
    }
    const past = await api.history({ limit: PAST_ALERTS });
    if ("ok" in past) alerts.put([...past.ok.alerts].reverse(), "history");
    this.scheduler.touch("alerts");
  }
}

/** `act` soon, and once, however often it is called for: a burst of alerts is one question. */
function calmly(act: () => void): () => void {
  let timer: number | undefined;
  return () => {
    timer ??= window.setTimeout(() => {
      timer = undefined;
      act();
    }, CALM_MS);
  };
}
