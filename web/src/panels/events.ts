// What went wrong and what was mended, newest on top; and the state of every connection, sink and the tape.

import type { Status, StatusEvent } from "../api/types.ts";
import type { Session } from "../state/session.ts";
import { isLate } from "../state/vitals.ts";
import { h, mark, panel } from "../ui/dom.ts";
import { age, bytes, clock, count, day, delay, fixed, zoneAt } from "../ui/format.ts";
import type { Panel, Topic } from "../ui/scheduler.ts";

const ROWS = 100;
const NUMBERED = new Set(["connected", "disconnected"]); // their count is the connection's number, which the reason names
const TONES: Readonly<Record<string, string>> = {
  gap: "bad", crossed: "bad", disconnected: "bad", stale: "warn", resyncing: "warn", rejected: "warn", late: "warn",
  synced: "good", connected: "good", recovered: "good",
};

export class Events implements Panel {
  readonly topics: readonly Topic[] = ["events"];
  readonly el: HTMLElement;
  private readonly session: Session;
  private readonly list = h("ol", { class: "events", "data-testid": "events", tabindex: "0", "aria-label": "Recent events" });
  private readonly empty = h("p", { class: "empty" }, "Nothing to report yet.");
  private seen = { generation: -1, total: 0 };

  constructor(session: Session, title: HTMLElement) {
    this.session = session;
    this.el = panel("events", "Events", title, this.list, this.empty);
  }

  render(dirty: ReadonlySet<Topic>): void {
    const { events } = this.session;
    const again = dirty.has("zone") || events.generation !== this.seen.generation;
    const fresh = again ? ROWS : Math.min(ROWS, events.total - this.seen.total);
    this.seen = { generation: events.generation, total: events.total };
    if (again) this.list.replaceChildren();
    if (fresh > 0) this.list.prepend(...events.newest(fresh).map(eventLine));
    while (this.list.childElementCount > ROWS) this.list.lastElementChild?.remove();
    this.empty.hidden = events.items.length > 0;
  }
}

export function eventLine(event: StatusEvent): HTMLElement {
  const where = event.instrument || event.venue;
  const ids = event.from_seq === null ? "" : ` ids ${event.from_seq}–${event.to_seq ?? "?"}`;
  const many = event.count === null || NUMBERED.has(event.kind) ? "" : ` (${event.count})`;
  const channel = event.reason.startsWith(event.channel) ? "" : event.channel; // "book begins: …" needs no "book: " before it
  const text = [channel, event.reason].filter(Boolean).join(": ") + ids + many;
  const kind = h("b", { class: "kind", "data-tone": TONES[event.kind] ?? "" }, event.kind);
  const time = h("time", { class: "num", title: `${day(event.ts_recv || 0)} ${zoneAt(event.ts_recv)}` }, clock(event.ts_recv));
  return h("li", { class: "event", title: text }, time, kind, h("span", { class: "where" }, where), h("span", { class: "what" }, text));
}

export class Pipeline implements Panel {
  readonly topics: readonly Topic[] = ["status"];
  readonly el: HTMLElement;
  private readonly session: Session;
  private readonly body = h("div", { class: "pipeline", "data-testid": "pipeline", tabindex: "0", role: "group", "aria-label": "Pipeline" });
  private said = "";

  constructor(session: Session, title: HTMLElement) {
    this.session = session;
    this.el = panel("pipeline", "Pipeline", title, this.body);
  }

  render(): void {
    const { status } = this.session;
    if (!status) return;
    const parts = [...connections(status), ...venues(status), ...sinks(status), ...rest(status)];
    const said = JSON.stringify(parts);
    if (said === this.said) return;
    this.said = said;
    this.body.replaceChildren(...parts.map(item));
  }
}

interface Item {
  readonly tone: string;
  readonly name: string;
  readonly text: string;
  readonly more: string;
}

function item(i: Item): HTMLElement {
  const el = h("div", { class: "item", title: i.more }, h("b", {}, i.name), h("span", { class: "num" }, i.text), h("small", {}, i.more));
  mark(el, "tone", i.tone);
  return el;
}

/** What each venue costs. */
function venues(status: Status): Item[] {
  const seconds = Math.max(1, (status.now - status.started) / 1e6);
  return (status.venues ?? []).map((v) => ({
    tone: "",
    name: `cost of ${v.protocol}`,
    text: `${fixed((100 * v.cpu_seconds) / seconds, 1)}% CPU`,
    more: `${fixed(v.cpu_seconds, 1)} s · ${count(v.frames)} frames · ${count(v.events)} events`,
  }));
}

function connections(status: Status): Item[] {
  return status.connections.map((c) => ({
    tone: c.state === "up" ? "good" : c.state === "down" ? "bad" : "warn",
    name: c.protocol && c.protocol !== c.venue ? `${c.venue} (${c.protocol} wire)` : c.venue,
    text: c.state === "up" ? `up ${age((status.now - c.since) / 1e6)}` : `${c.state}${c.attempts > 0 ? `, attempt ${c.attempts}` : ""}`,
    more: `${c.streams} streams · ${count(c.frames)} frames${c.latency_ms === null ? "" : ` · ${fixed(c.latency_ms, 0)} ms from its clock`}${c.reconnects ? ` · ${c.reconnects} reconnects` : ""}${c.last_error ? ` · last trouble: ${c.last_error}` : ""}`,
  }));
}

function sinks(status: Status): Item[] {
  return status.sinks.map((s) => ({
    tone: s.error ? "bad" : s.dropped > 0 || isLate(s) ? "warn" : "good",
    name: `sink ${s.name}`,
    text: s.error || `lag ${delay(s.lag_seconds)}`,
    more: `${count(s.events)} events · ${count(s.commits)} commits · ${count(s.depth)} waiting · ${count(s.dropped)} dropped`,
  }));
}

function rest(status: Status): Item[] {
  const { tape } = status;
  const tone = tape.state === "failing" ? "bad" : tape.state === "off" ? "" : "good";
  const shown = { tone, name: "tape", text: tape.reason || tape.state, more: `${count(tape.frames)} frames · ${bytes(tape.bytes)} · ${tape.path}` };
  const viewers = { tone: "", name: "viewers", text: String(status.viewers), more: `${status.dropped_viewers} dropped · ${count(status.rejected)} messages rejected` };
  const session = { tone: "", name: "session", text: status.session, more: `Tapeline ${status.version} · since ${day(status.started)} ${clock(status.started)} ${zoneAt(status.started)}` };
  return [shown, viewers, session];
}
