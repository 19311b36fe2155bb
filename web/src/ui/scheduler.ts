// One paint for everything that changed since the last. In a hidden tab the browser gives no frames and nothing is drawn; a panel that
// cannot be seen is not painted either: what changed meanwhile is kept for it, and painted when it comes into view.

export type Topic =
  | "status" | "link" | "quotes" | "book" | "heatmap" | "trades" | "bars" | "events" | "metrics" | "profile" | "alerts" | "selection" | "clock" | "theme"
  | "zone"; // another time zone: every time on the page is written anew

export interface Panel {
  readonly topics: readonly Topic[];
  readonly render: (dirty: ReadonlySet<Topic>) => void;
}

interface Entry {
  readonly panel: Panel;
  shown: boolean;
  readonly missed: Set<Topic>;
}

export class Scheduler {
  private readonly entries: Entry[] = [];
  private dirty = new Set<Topic>();
  private queued = false;
  private readonly painted: (() => void)[] = [];

  add(panel: Panel, shown = true): void {
    this.entries.push({ panel, shown, missed: new Set(panel.topics) });
    if (shown) this.queue();
  }

  /** A panel came into view, or went out of it. */
  show(panel: Panel, shown: boolean): void {
    const entry = this.entries.find((e) => e.panel === panel);
    if (!entry || entry.shown === shown) return;
    entry.shown = shown;
    if (shown) this.queue();
  }

  /** Called after each paint: what latency is measured to. */
  afterPaint(f: () => void): void {
    this.painted.push(f);
  }

  touch(...topics: Topic[]): void {
    for (const topic of topics) this.dirty.add(topic);
    this.queue();
  }

  private queue(): void {
    if (this.queued) return;
    this.queued = true;
    requestAnimationFrame(() => this.paint());
  }

  private paint(): void {
    this.queued = false;
    const dirty = this.dirty;
    this.dirty = new Set();
    for (const entry of this.entries) {
      try {
        this.paintOne(entry, dirty);
      } catch (error) {
        reportError(error); // a panel that fails takes no other with it
      }
    }
    for (const f of this.painted) f();
  }

  private paintOne({ panel, shown, missed }: Entry, dirty: ReadonlySet<Topic>): void {
    const wanted = [...panel.topics, "zone" as const].filter((t) => dirty.has(t));
    if (!shown) for (const topic of wanted) missed.add(topic);
    if (!shown || (wanted.length === 0 && missed.size === 0)) return;
    const all = missed.size > 0 ? new Set([...dirty, ...missed]) : dirty;
    missed.clear();
    panel.render(all);
  }
}
