// The rows of the health panel: a connection, an instrument, a sink. Each tells in words on hover what its figures mean.

import type { Connection, InstrumentStatus, Sink } from "../../api/types.ts";
import { troubleText } from "../../state/health.ts";
import { isLate, type Line } from "../../state/vitals.ts";
import { h, mark, type Value, value } from "../../ui/dom.ts";
import { age, count, delay, DASH, fixed, symbolOf } from "../../ui/format.ts";
import type { Row } from "../../ui/rows.ts";
import { trend } from "../../ui/sparkline.ts";

const LEAST = 30; // points that fill the width of a line
const STATES = {
  up: ["●", "up", "good"], connecting: ["◌", "connecting", "warn"], down: ["○", "down", "bad"],
} as const;
const INSTRUMENT: Readonly<Record<string, readonly [string, string, string]>> = {
  live: ["●", "good", "Its data comes."], closed: ["◑", "", "Its market is closed: it says nothing, and need not."],
  stale: ["○", "warn", "It has said nothing for longer than it should."], resyncing: ["◌", "warn", "Its order book is being built anew."],
  waiting: ["◌", "", "Nothing of it has come yet."], disconnected: ["○", "bad", "Its connection is lost."],
};

export interface Told<T> {
  readonly it: T;
  readonly now: number; // microseconds
  readonly lines: { readonly first: Line | undefined; readonly second?: Line | undefined };
}

const figure = (label: string, title: string, of: Value): HTMLElement => h("span", { class: "vital-figure", title }, h("small", {}, label), of.el);
const canvas = (label: string): HTMLCanvasElement => h("canvas", { class: "vital-line", role: "img", "aria-label": label });

function draw(on: HTMLCanvasElement, line: Line | undefined): void {
  trend(on, line?.values ?? [], [], LEAST);
}

export function connectionRow(): Row<Told<Connection>> {
  const [state, name, latency, rate, frames, again, error] = [
    value("vital-state"), value("vital-name"), value("num"), value("num"), value("num"), value("num"), value("vital-error"),
  ];
  const line = canvas("Latency over the last two minutes");
  const el = h(
    "li", { class: "vital-connection", "data-testid": "vital-connection" },
    state.el, name.el,
    figure("latency", "From the venue's clock to ours, smoothed. Clocks that disagree show in it.", latency), line,
    figure("rate", "Messages a second over this connection.", rate),
    figure("frames", "Messages over this connection since it was first opened, and how many streams it carries.", frames),
    figure("reconnects", "How often it was lost and opened again.", again), error.el,
  );
  return {
    el,
    tell: ({ it: c, now, lines }) => {
      const [sign, word, tone] = STATES[c.state];
      mark(el, "tone", tone);
      const since = c.since > 0 ? ` ${age((now - c.since) / 1e6)}` : "";
      state.set(`${sign} ${word}${since}${c.state !== "up" && c.attempts > 0 ? `, attempt ${c.attempts}` : ""}`, c.state);
      name.set(c.protocol && c.protocol !== c.venue ? `#${c.id} · ${c.protocol} wire` : `#${c.id}`);
      name.el.title = c.url;
      latency.set(c.latency_ms === null ? DASH : `${fixed(c.latency_ms, 0)} ms`, c.latency_ms);
      const each = lines.second?.last ?? null;
      rate.set(each === null ? DASH : `${fixed(each, each < 10 ? 1 : 0)} msgs/s`);
      frames.set(`${count(c.frames)} · ${c.streams} streams`, c.frames);
      again.set(`${c.reconnects ?? 0}×`, c.reconnects ?? 0);
      error.set(c.last_error ? `last trouble: ${c.last_error}` : "");
      error.el.title = c.last_error ?? "";
      draw(line, lines.first);
    },
  };
}

export function instrumentRow(choose: (id: string) => void): Row<Told<InstrumentStatus>> {
  const [state, last, book, gaps, resyncs] = [value("vital-state"), value("num"), value(""), value("num"), value("num")];
  const name = h("button", { type: "button", class: "vital-pick" });
  const cells = [state.el, last.el, book.el, gaps.el, resyncs.el].map((cell) => h("td", {}, cell));
  const el = h("tr", { class: "vital-instrument" }, h("th", { scope: "row" }, name), ...cells);
  let id = "";
  name.addEventListener("click", () => choose(id));
  return {
    el,
    tell: ({ it: i, now }) => {
      if (id !== i.id) {
        id = i.id;
        name.textContent = symbolOf(i.id);
        name.title = `${i.id}: show its events`;
        el.dataset["testid"] = `vital-${i.id}`;
      }
      const [sign, tone, meaning] = INSTRUMENT[i.state] ?? ["?", "", i.state];
      mark(el, "tone", tone);
      state.set(`${sign} ${i.state}`, i.state);
      el.title = [meaning, troubleText(i, now)].filter(Boolean).join(" ");
      last.set(i.last_event ? `${age((now - i.last_event) / 1e6)} ago` : DASH);
      book.set(!i.book || i.book === "none" ? "no book" : i.book === "synced" ? "proved" : i.book, i.book);
      gaps.set(String(i.gaps ?? 0), i.gaps ?? 0);
      resyncs.set(String(i.resyncs ?? 0), i.resyncs ?? 0);
      mark(gaps.el, "some", String((i.gaps ?? 0) > 0));
    },
  };
}

export function sinkRow(): Row<Told<Sink>> {
  const [name, lag, depth, commits, dropped, error] = [
    value("vital-name"), value("num"), value("num"), value("num"), value("num"), value("vital-error"),
  ];
  const due = value("num");
  const line = canvas("Lag over the last two minutes");
  const el = h(
    "li", { class: "vital-sink" }, name.el,
    figure("lag", "How long the oldest event that waits is overdue; 0 while its commit is not yet due.", lag), line,
    figure("due", "How long an event may wait until its commit is due.", due),
    figure("waiting", "Events that are not committed yet.", depth),
    figure("commits", "Commits since the start, and the events in them.", commits),
    figure("dropped", "Events that did not fit and are fetched from the tape later.", dropped), error.el,
  );
  return {
    el,
    tell: ({ it: s, lines }) => {
      mark(el, "tone", s.error ? "bad" : s.dropped > 0 || isLate(s) ? "warn" : "good");
      el.dataset["testid"] = `vital-sink-${s.name}`;
      name.set(s.name);
      lag.set(delay(s.lag_seconds), s.lag_seconds);
      due.set(s.due_seconds === undefined ? DASH : `every ${fixed(s.due_seconds, s.due_seconds < 1 ? 2 : 0)} s`, s.due_seconds ?? null);
      depth.set(`${count(s.depth)} events`, s.depth);
      commits.set(`${count(s.commits)} of ${count(s.events)} events`, s.commits);
      dropped.set(`${count(s.dropped)} events`, s.dropped);
      error.set(s.error ? `trouble: ${s.error}` : "");
      error.el.title = s.error;
      draw(line, lines.first);
    },
  };
}
