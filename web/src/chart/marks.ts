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
