// The sampled metrics of the chosen instrument and of every group, and what each metric means.

import * as rest from "../api/rest.ts";
import type { Subscription } from "../api/socket.ts";
import type { Message } from "../api/types.ts";
import type { Scheduler } from "../ui/scheduler.ts";
import { Catalogue } from "./catalogue.ts";
import { SAMPLE_POINTS, Samples } from "./samples.ts";
import type { Store } from "./store.ts";
import type { View } from "./view.ts";

const GROUPS: Subscription = { channel: "metrics", instruments: ["group:*"], kind: "sample" };

export class Figures implements Store {
  catalogue = new Catalogue();
  private readonly groups = new Map<string, Samples>();
  private readonly view: View;
  private readonly scheduler: Scheduler;
  private signal: AbortSignal = AbortSignal.abort();

  constructor(view: View, scheduler: Scheduler) {
    this.view = view;
    this.scheduler = scheduler;
  }

  wants(): readonly Subscription[] {
    const { id } = this.view;
    return id ? [GROUPS, { channel: "metrics", instruments: [id], kind: "sample" }] : [GROUPS];
  }

  put(message: Message): void {
    if (message.channel !== "metrics") return;
    for (const metrics of message.data) {
      if (metrics.values && this.of(metrics.instrument)?.put(metrics)) this.scheduler.touch("metrics");
    }
  }

  fill(signal: AbortSignal): void {
    this.signal = signal;
    for (const [id, samples] of this.sampled()) if (id) void this.fillOne(id, samples);
  }

  clear(): void {
    this.groups.clear();
  }

  /** The samples that the page has a place for: of the chosen instrument, then of every group. */
  sampled(): [string, Samples][] {
    return [[this.view.id, this.view.samples], ...this.groups];
  }

  private of(id: string): Samples | undefined {
    if (id === this.view.id) return this.view.samples;
    if (!id.startsWith("group:")) return undefined;
    let samples = this.groups.get(id);
    if (!samples) {
      this.groups.set(id, (samples = new Samples()));
      void this.fillOne(id, samples);
    }
    return samples;
  }

  /** The last minutes, and, with the first of them, what the metrics mean. */
  private async fillOne(id: string, samples: Samples): Promise<void> {
    const signal = id === this.view.id ? this.signal : undefined;
    const history = await rest.metricHistory(id, SAMPLE_POINTS, signal).catch(() => null);
    if (history) samples.fill(history);
    if (history && history.times.length > 0 && !this.catalogue.known) this.catalogue = new Catalogue(await rest.catalogue().catch(() => []));
    this.scheduler.touch("metrics");
  }
}
