// One paint for everything that changed since the last. In a hidden tab the browser gives no frames and nothing is drawn.

export type Topic = "status" | "link" | "quotes" | "book" | "trades" | "bars" | "events" | "metrics" | "profile" | "alerts" | "selection" | "clock" | "theme";

export interface Panel {
  readonly topics: readonly Topic[];
  readonly render: (dirty: ReadonlySet<Topic>) => void;
}

export class Scheduler {
  private readonly panels: Panel[] = [];
  private dirty = new Set<Topic>();
  private queued = false;
  private readonly painted: (() => void)[] = [];

  add(panel: Panel): void {
    this.panels.push(panel);
  }

  /** Called after each paint: what latency is measured to. */
  afterPaint(f: () => void): void {
    this.painted.push(f);
  }

  touch(...topics: Topic[]): void {
    for (const topic of topics) this.dirty.add(topic);
    if (this.queued) return;
    this.queued = true;
    requestAnimationFrame(() => this.paint());
  }

  private paint(): void {
    this.queued = false;
    const dirty = this.dirty;
    this.dirty = new Set();
    for (const panel of this.panels) if (panel.topics.some((t) => dirty.has(t))) panel.render(dirty);
    for (const f of this.painted) f();
  }
}
