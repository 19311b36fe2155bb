// The bar that is always there: what the page may be believed, the reason, and the figures behind it.

import type { Status } from "../api/types.ts";
import { type Health, paceText } from "../state/health.ts";
import type { Session } from "../state/session.ts";
import { h, mark, show, Value, value } from "../ui/dom.ts";
import { age, bytes, clock, count, DASH, day, delay, fixed, isSimulated, venueOf, zoneAt } from "../ui/format.ts";
import { isLate, LOW_DISK } from "../state/vitals.ts";
import type { Panel, Topic } from "../ui/scheduler.ts";

const FIGURES = [
  ["latency", "Latency", "From the exchange's clock to this screen: median of the last hundred paints. Clocks that disagree show in it."],
  ["rate", "Msgs/s", "Messages a second from the venues."],
  ["gaps", "Gaps", "Gaps found since the start."],
  ["resyncs", "Resyncs", "Order books built anew since the start."],
  ["drops", "Drops", "Since the start: events that a sink dropped and fetches from the tape later, and viewers that were cut off because they did not read."],
  ["lag", "Sink lag", "How long the oldest event that a sink should have committed is overdue: 0 while its commit is not yet due."],
  ["tape", "Tape", "The journal of every message."],
  ["disk", "Disk", "Free space where the data directory stands."],
  ["viewers", "Viewers", "Pages and programs that watch now."],
] as const;

export class HealthBar implements Panel {
  readonly topics: readonly Topic[] = ["status", "link", "clock"];
  readonly el: HTMLElement;
  readonly strip: HTMLElement;
  private readonly session: Session;
  private readonly state = new Value(h("strong", { class: "state", "data-testid": "state" }));
  private readonly detail = new Value(h("span", { class: "state-detail", "data-testid": "reason" }));
  private readonly stripText = value("strip-text", "mode-text");
  private readonly again = h("a", { href: location.pathname, "data-testid": "again" }); // the server opens a recording for who asks for its page, and asks for a token
  private readonly back = h("a", { href: "/", "data-testid": "refused-back" }, "Back to live");
  private readonly ways = h("span", { class: "strip-ways", hidden: true }, this.again, this.back);
  private readonly time = value("utc", "utc");
  private readonly raised = h("button", { type: "button", class: "raised-chip", hidden: true, "data-testid": "raised" });
  onAlerts: () => void = () => undefined;
  private readonly figures: Record<string, Value> = {};
  private readonly boxes: Record<string, HTMLElement> = {};
  private said = "";

  constructor(session: Session, actions: HTMLElement) {
    this.session = session;
    const figures = h("dl", { class: "figures" });
    for (const [key, label, title] of FIGURES) {
      const text = new Value(h("dd", { "data-testid": `health-${key}` }));
      const box = h("div", { class: "figure", title, "data-figure": key }, h("dt", {}, label), text.el);
      this.figures[key] = text;
      this.boxes[key] = box;
      figures.append(box);
    }
    const live = h("div", { class: "state-box", role: "status", "aria-live": "polite" }, this.state.el, this.detail.el);
    const brand = h("h1", { class: "brand" }, "Tapeline");
    this.el = h("header", { class: "health" }, brand, live, this.raised, figures, this.time.el, actions);
    this.raised.addEventListener("click", () => this.onAlerts());
    this.strip = h("div", { class: "strip", role: "note", "data-testid": "mode-strip", hidden: true }, this.stripText.el, this.ways);
  }

  render(dirty: ReadonlySet<Topic>): void {
    const health = this.session.health;
    this.renderState(health);
    if (dirty.has("status") && this.session.status) this.renderFigures(this.session.status);
    const { status, now } = this.session;
    const replay = status?.mode === "replay";
    const us = replay ? now : Date.now() * 1000;
    this.time.set(`${replay ? `${day(us)} ` : ""}${clock(us)} ${zoneAt(us)}`);
  }

  private renderState(health: Health): void {
    markRoot(this.session, health);
    mark(this.el, "kind", health.kind);
    this.state.set(health.label, health.kind);
    // The counted seconds change each second: shown, but a screen reader is told only when the state itself changes.
    this.detail.el.setAttribute("aria-hidden", String(health.kind === this.said));
    this.said = health.kind;
    this.detail.set(health.detail);
    this.detail.el.title = health.detail;
    this.renderStrip(health);
    const raised = health.dead ? [] : (this.session.status?.alerts?.raised_now ?? []); // what was raised when the link died is not known
    const many = raised.length === 1 ? (raised[0] ?? "") : `${raised.length} alerts`;
    show(this.raised, raised.length > 0);
    if (this.raised.title !== raised.join(", ")) {
      this.raised.textContent = raised.length > 0 ? `▲ ${many}` : "";
      this.raised.title = raised.join(", ");
      this.raised.setAttribute("aria-label", `Raised now: ${raised.join(", ")}. Show the alerts`);
    }
  }

  private renderStrip(health: Health): void {
    const { status, denied } = this.session;
    show(this.ways, denied !== null && health.kind === "offline");
    if (!this.ways.hidden) {
      this.renderRefused(health);
      return;
    }
    const visible = health.mode === "simulated" || health.mode === "replay";
    show(this.strip, visible);
    if (!visible || !status) return;
    mark(this.strip, "mode", health.mode ?? "");
    const why = status.reason ? ` · ${status.reason}` : "";
    if (health.mode === "simulated") this.stripText.set(`SIMULATED MARKET · no real market is behind these numbers${why}`);
    else this.stripText.set(`REPLAY ${paceText(status)} · ${recording(status)}, tape time ${day(status.now)} ${clock(status.now)} ${zoneAt(status.now)}${why}`);
    this.strip.title = this.stripText.el.textContent ?? "";
  }

  private renderRefused(health: Health): void {
    const closed = this.session.denied === "closed";
    show(this.strip, true);
    mark(this.strip, "mode", "refused");
    this.stripText.set(`${health.label} · ${health.detail}`);
    this.strip.title = health.detail;
    const text = closed ? "Open it again" : "Enter the token";
    if (this.again.textContent !== text) this.again.textContent = text;
    show(this.back, closed);
  }

  private renderFigures(status: Status): void {
    const ms = this.session.latency.median;
    this.figure("latency", ms === null ? "–" : latencyText(ms), ms, ms !== null && ms > 1000 ? "warn" : "");
    this.figure("rate", count(Math.round(status.frames_per_second)), status.frames_per_second);
    this.figure("gaps", count(status.gaps), status.gaps, status.gaps > 0 ? "warn" : "");
    this.figure("resyncs", count(status.resyncs), status.resyncs);
    const lag = status.sinks.length > 0 ? Math.max(...status.sinks.map((s) => s.lag_seconds)) : null;
    const broken = status.sinks.some((s) => s.error !== "");
    this.figure("lag", broken ? "error" : delay(lag), lag, broken ? "bad" : status.sinks.some(isLate) ? "warn" : "");
    const { tape } = status;
    const text = tape.state === "recording" ? bytes(tape.bytes) : tape.state;
    const dropped = status.dropped_viewers + status.sinks.reduce((sum, s) => sum + s.dropped, 0);
    this.figure("drops", count(dropped), dropped, dropped > 0 ? "warn" : "");
    const free = status.disk?.free ?? null;
    this.figure("disk", free === null ? DASH : bytes(free), free, free === null ? "muted" : free < LOW_DISK ? "bad" : "");
    this.figure("viewers", count(status.viewers), status.viewers);
    this.figure("tape", text, tape.state, tape.state === "failing" ? "bad" : tape.state === "off" ? "muted" : "");
  }

  private figure(key: string, text: string, raw: number | string | null, tone = ""): void {
    this.figures[key]?.set(text, raw);
    const box = this.boxes[key];
    if (box) mark(box, "tone", tone);
  }
}

/** What the style sheets dim by: the link, the mode, the state of the chosen instrument's feed. */
export function markRoot(session: Session, health: Health): void {
  const root = document.documentElement;
  mark(root, "link", health.dead ? "dead" : "ok");
  mark(root, "mode", health.mode ?? "none");
  mark(root, "feed", session.market.rows.get(session.view.id)?.info?.state ?? "waiting");
}

function recording(status: Status): string {
  const simulated = status.instruments.length > 0 && status.instruments.every((i) => isSimulated(venueOf(i.id)));
  return simulated ? "a recording of the SIMULATED market: no real market is behind these numbers" : "a recording";
}

function latencyText(ms: number): string {
  if (Math.abs(ms) >= 10_000) return `${ms < 0 ? "−" : ""}${age(Math.abs(ms) / 1000)}`;
  return `${fixed(ms, 0)} ms`;
}
