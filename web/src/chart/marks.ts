// Rules and alerts on the chart: which lines are of the instrument that is shown, and on which bar an alert was raised. Pure.

import type { AlertEvent, RuleRow, Severity } from "../api/alerts.ts";
import { type RuleState, severityOf, stateOf } from "../state/alerts.ts";
import type { Rows } from "./rows.ts";

export interface RuleLine {
  readonly rule: string;
  readonly field: string;
  readonly price: number;
  readonly state: RuleState;
  readonly severity: Severity;
}

/** `*` alone, a beginning and `*`, or the name itself. */
export const meant = (pattern: string, id: string): boolean =>
  pattern.endsWith("*") ? id.startsWith(pattern.slice(0, -1)) : pattern === id;

export function ruleLines(rules: readonly RuleRow[], id: string, now: number): RuleLine[] {
  return rules.flatMap((rule) =>
    (rule.lines ?? []).filter((line) => meant(line.instrument, id)).map((line) => ({
      rule: rule.name, field: line.field, price: line.value, state: stateOf(rule, now), severity: severityOf(rule.severity),
    })));
}

/** A chart of a thousand lines shows nothing else: those nearest to the price, in their order. */
export const MOST_RULE_LINES = 12;

export function nearest(lines: readonly RuleLine[], price: number | null): readonly RuleLine[] {
  if (lines.length <= MOST_RULE_LINES || price === null) return lines.slice(0, MOST_RULE_LINES);
  const away = (line: RuleLine): number => Math.abs(line.price - price);
  const near = new Set([...lines].sort((a, b) => away(a) - away(b)).slice(0, MOST_RULE_LINES));
  return lines.filter((line) => near.has(line));
}

/** Alerts that were raised, by the index of the row they fell in; those of before the first row are not shown. */
export function raisedOn(alerts: readonly AlertEvent[], id: string, rows: Rows): Map<number, AlertEvent[]> {
  const found = new Map<number, AlertEvent[]>();
  for (const alert of alerts) {
    if (alert.state !== "raised" || alert.instrument !== id) continue;
    const at = rows.indexAt(alert.ts_event);
    if (at >= 0) found.set(at, [...(found.get(at) ?? []), alert]);
  }
  return found;
}
