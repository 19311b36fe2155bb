// The cards of the health panel: one a venue, and one for this machine.

import type { Connection, InstrumentStatus, Sink, Status } from "../../api/types.ts";
import { connectionKey, LOW_DISK, type Vitals } from "../../state/vitals.ts";
import { h, mark, type Value, value } from "../../ui/dom.ts";
import { age, bytes, clock, count, day, fixed, venueOf } from "../../ui/format.ts";
import { type Row, Rows } from "../../ui/rows.ts";
import { connectionRow, instrumentRow, sinkRow, type Told } from "./rows.ts";

const HEADS = [
  ["instrument", ""], ["state", ""], ["last event", "How long ago, by the venue's clock."], ["book", "Whether its order book is proved right."],
  ["gaps", "Times that messages were missing since the start."], ["resyncs", "Times that its book was built anew since the start."],
] as const;

export interface OfVenue {
  readonly name: string;
  readonly status: Status;
}

export function venueCard(vitals: Vitals, choose: (of: string) => void): Row<OfVenue> {
  const [sum, cost] = [value("vital-sum"), value("vital-cost num")];
  const pick = h("button", { type: "button", class: "vital-pick" });
  const connections = new Rows<Told<Connection>>(h("ul", { class: "vital-connections" }), ({ it }) => connectionKey(it), connectionRow);
  const instruments = new Rows<Told<InstrumentStatus>>(h("tbody"), ({ it }) => it.id, () => instrumentRow(choose));
  const heads = HEADS.map(([text, title]) => h("th", { scope: "col", title: title || null }, text));
  const table = h("table", { class: "vital-instruments" }, h("thead", {}, h("tr", {}, ...heads)), instruments.el);
  const el = h("section", { class: "vital-card" }, h("header", {}, h("h4", {}, pick), sum.el, cost.el), connections.el, table);
  let shown = "";
  pick.addEventListener("click", () => choose(shown));
  return {
    el,
    tell: ({ name, status }) => {
      if (shown !== name) {
        shown = name;
        pick.textContent = name;
        pick.title = `${name}: show its events`;
        el.dataset["testid"] = `vital-venue-${name}`;
        el.setAttribute("aria-label", name);
      }
      const { now } = status;
      const own = status.connections.filter((c) => c.venue === name);
      const traded = status.instruments.filter((i) => venueOf(i.id) === name);
      const up = own.filter((c) => c.state === "up").length;
      const live = traded.filter((i) => i.state === "live" || i.state === "closed").length;
      mark(el, "tone", own.length > 0 && up === 0 ? "bad" : up < own.length || live < traded.length ? "warn" : "good");
      sum.set(`${up} of ${own.length} connections up · ${live} of ${traded.length} instruments as they should be`);
      cost.set(costText(status, name));
      connections.tell(own.map((it) => ({ it, now, lines: { first: vitals.latency.get(connectionKey(it)), second: vitals.rate.get(connectionKey(it)) } })));
      instruments.tell(traded.map((it) => ({ it, now, lines: { first: undefined } })));
      table.hidden = traded.length === 0;
    },
  };
}

/** What the venue costs; with several protocols under one label, all of them. */
function costText(status: Status, name: string): string {
  const own = (status.venues ?? []).filter((v) => v.label === name);
  if (own.length === 0) return "";
  const seconds = Math.max(1, (status.now - status.started) / 1e6);
  return `${fixed((100 * own.reduce((sum, v) => sum + v.cpu_seconds, 0)) / seconds, 1)}% of a CPU`;
}

export class Machine {
  readonly el: HTMLElement;
  private readonly vitals: Vitals;
  private readonly sinks = new Rows<Told<Sink>>(h("ul", { class: "vital-sinks" }), ({ it }) => it.name, sinkRow);
  private readonly facts: Record<string, { readonly box: HTMLElement; readonly text: Value }> = {};

  constructor(vitals: Vitals) {
    this.vitals = vitals;
    const list = h("dl", { class: "vital-facts" });
    for (const [key, label, title] of [
      ["tape", "Tape", "The journal of every message, from which everything else can be made again."],
      ["disk", "Disk", "Free space where the data directory stands."],
      ["viewers", "Viewers", "Who watches now, and how many were cut off because they did not read."],
      ["quality", "Data", "Since the start: gaps found, order books built anew, messages that could not be read."],
      ["session", "Session", "The name under which this run is recorded."],
    ] as const) {
      const text = value("num", `vital-${key}`);
      const box = h("div", { title }, h("dt", {}, label), h("dd", {}, text.el));
      this.facts[key] = { box, text };
      list.append(box);
    }
    this.el = h("section", { class: "vital-card", "aria-label": "This machine", "data-testid": "vital-machine" }, h("header", {}, h("h4", {}, "This machine")), this.sinks.el, list);
  }

  draw(status: Status): void {
    this.sinks.tell(status.sinks.map((it) => ({ it, now: status.now, lines: { first: this.vitals.lag.get(it.name) } })));
    const { tape, disk } = status;
    const unwritten = tape.lag_frames > 0 ? ` · ${count(tape.lag_frames)} frames not on the disk yet` : "";
    this.fact("tape", tape.reason || (tape.state === "recording" ? `recording · ${bytes(tape.bytes)} · ${count(tape.frames)} frames${unwritten}` : tape.state),
      tape.state === "failing" ? "bad" : tape.state === "off" ? "" : "good");
    const low = disk != null && disk.free < LOW_DISK;
    const free = disk == null ? "" : `${bytes(disk.free)} free of ${bytes(disk.total)} (${fixed((100 * disk.free) / Math.max(1, disk.total), 0)}%)`;
    this.fact("disk", disk == null ? "nothing is kept" : low ? `LOW: ${free}` : free, low ? "bad" : "");
    this.fact("viewers", `${status.viewers} watching · ${status.dropped_viewers} cut off`, status.dropped_viewers > 0 ? "warn" : "");
    this.fact("quality", `${count(status.gaps)} gaps · ${count(status.resyncs)} resyncs · ${count(status.rejected)} rejected`, status.gaps + status.rejected > 0 ? "warn" : "");
    this.fact("session", `${status.session} · since ${day(status.started)} ${clock(status.started)} (${age((status.now - status.started) / 1e6)}) · Tapeline ${status.version}`, "");
  }

  private fact(key: string, text: string, tone: string): void {
    const fact = this.facts[key];
    if (!fact) return;
    fact.text.set(text);
    mark(fact.box, "tone", tone);
  }
}
