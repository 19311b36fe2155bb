// Rules and the alerts they raised, as the page knows them. Pure.
//
// A toast is for what is raised while the page looks on: not for the history that a snapshot brings, nor twice for one alert, whatever
// the socket repeats. An alert that ended takes its toast's urgency away, not the toast.

import type { AlertEvent, Problem, RuleRow, Severity } from "../api/alerts.ts";
import { fixed } from "../ui/format.ts";
import { short } from "./catalogue.ts";

export const KEPT = 200;

export class Alerts {
  rules: readonly RuleRow[] = [];
  targets: readonly string[] = [];
  /** Newest first. */
  history: AlertEvent[] = [];
  /** Why nothing can be shown or changed; empty while all is well. */
  trouble = "";
  loaded = false;
  private readonly seen = new Set<string>();
  private readonly told = new Set<string>();

  /**
   * Takes alerts in, oldest first, and gives those to tell of: raised just now, by the socket's word. The history that was asked for may
   * have one before the socket says it.
   */
  put(alerts: readonly AlertEvent[], from: "update" | "snapshot" | "history"): AlertEvent[] {
    const told: AlertEvent[] = [];
    for (const alert of alerts) {
      const key = keyOf(alert);
      if (from === "update" && alert.state === "raised" && !this.told.has(key)) told.push(alert);
      if (from !== "history") this.told.add(key);
      if (this.seen.has(key)) {
        if (alert.deliveries) this.history = this.history.map((old) => (keyOf(old) === key ? alert : old));
        continue;
      }
      this.seen.add(key);
      this.history.unshift(alert);
    }
    this.history.sort((a, b) => b.ts_event - a.ts_event);
    for (const old of this.history.splice(KEPT)) this.forget(keyOf(old));
    return told;
  }

  private forget(key: string): void {
    this.seen.delete(key);
    this.told.delete(key);
  }

  clear(): void {
    this.history = [];
    this.rules = [];
    this.seen.clear();
    this.told.clear();
    this.loaded = false;
    this.trouble = "";
  }
}

const keyOf = (a: AlertEvent): string => `${a.id ?? `${a.rule} ${a.instrument} ${a.ts_event}`} ${a.state}`;

export type RuleState = "raised" | "armed" | "cooling" | "warming" | "muted" | "waiting" | "unstreamed" | "done";

const WORDS: Readonly<Record<RuleState, { readonly sign: string; readonly text: string; readonly meaning: string }>> = {
  raised: { sign: "▲", text: "raised", meaning: "it is true now" },
  armed: { sign: "○", text: "armed", meaning: "it is watched, and not true now" },
  cooling: { sign: "◷", text: "cooling down", meaning: "it was raised lately and waits before it is raised again" },
  warming: { sign: "◐", text: "warming up", meaning: "its windows are not whole yet" },
  muted: { sign: "∅", text: "muted", meaning: "it raises nothing until it is unmuted" },
  waiting: { sign: "…", text: "waiting", meaning: "nothing of its instrument has come yet" },
  unstreamed: { sign: "⊘", text: "not streamed", meaning: "nobody streams its instrument, so it can never be raised: add the instrument" },
  done: { sign: "✓", text: "done", meaning: "it was to be raised once, and was" },
};

/** The server's word, and what follows from the row: a rule that was raised within its cool-down waits, and so does one whose windows
 * are not whole yet.
 */
export function stateOf(rule: RuleRow, now: number): RuleState {
  if (rule.muted) return "muted";
  if (rule.state === "raised" || rule.state === "waiting") return rule.state;
  if (rule.state === "not_streamed") return "unstreamed";
  if (rule.state === "spent") return "done";
  if (rule.since > 0 && now - rule.since < spanUs(rule.cooldown ?? "")) return "cooling";
  return (rule.warming ?? 0) > 0 ? "warming" : "armed";
}

/** Raised ones first, else as they are: what is true now must not be looked for among those that wait. */
export const inOrder = (rules: readonly RuleRow[], now: number): RuleRow[] =>
  [...rules].sort((a, b) => Number(stateOf(b, now) === "raised") - Number(stateOf(a, now) === "raised"));

const SPANS: Readonly<Record<string, number>> = { ms: 1e3, s: 1e6, m: 60e6, h: 3600e6, d: 86_400e6 };

/** `5m`, `1h30m` in microseconds. */
export function spanUs(text: string): number {
  return [...text.matchAll(/(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)/g)].reduce((sum, [, n, unit]) => sum + Number(n) * (SPANS[unit ?? ""] ?? 0), 0);
}

export const stateWords = (state: RuleState): (typeof WORDS)[RuleState] => WORDS[state];

/** Shape and word beside the colour, so that nobody needs to tell colours apart. */
export const SEVERITY_SIGNS: Readonly<Record<Severity, string>> = { info: "●", warning: "▲", critical: "◆" };

export const severityOf = (severity: string | null | undefined): Severity =>
  severity === "info" || severity === "critical" ? severity : "warning";

/** The rule's text in three: before the mistake, the mistake, after it. A mistake at the end is marked as one blank place. */
export function marked(text: string, problem: Problem): [string, string, string] {
  if (problem.column === null) return [text, "", ""];
  const at = Math.max(0, Math.min(text.length, problem.column - 1));
  const end = Math.min(text.length, at + Math.max(1, problem.length ?? 1));
  return [text.slice(0, at), text.slice(at, end) || "\u00a0", text.slice(end)];
}

export function alertValue(value: number | null): string {
  if (value === null) return "";
  return Math.abs(value) >= 1000 ? fixed(value, 2) : short(value);
}
