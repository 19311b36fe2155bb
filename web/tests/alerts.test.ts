// Which alerts are told, how a mistake is marked, and what a rule's state is called.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { AlertEvent, RuleRow } from "../src/api/alerts.ts";
import { Alerts, inOrder, KEPT, marked, severityOf, spanUs, stateOf } from "../src/state/alerts.ts";

const alert = (n: number, state = "raised", more: Partial<AlertEvent> = {}): AlertEvent => ({
  instrument: "sim:A-B", ts_event: n * 1e6, ts_recv: n * 1e6, flags: [], rule: "r", state, value: n, text: "r", severity: "warning", id: `a${n}`, ...more,
});

test("an alert is told once, and only when it is raised while one looks on", () => {
  const alerts = new Alerts();
  assert.deepEqual(alerts.put([alert(1), alert(2)], "snapshot"), []);
  assert.deepEqual(alerts.put([alert(2), alert(3)], "update").map((a) => a.id), ["a3"]);
  assert.deepEqual(alerts.put([alert(3), alert(3, "resolved")], "update"), []);
  assert.deepEqual(alerts.history.map((a) => [a.id, a.state]), [["a3", "resolved"], ["a3", "raised"], ["a2", "raised"], ["a1", "raised"]]);
});

test("one that the history brings before the socket says it is told all the same", () => {
  const alerts = new Alerts();
  assert.deepEqual(alerts.put([alert(1)], "history"), []);
  assert.deepEqual(alerts.put([alert(1)], "update").map((a) => a.id), ["a1"]);
  assert.deepEqual(alerts.put([alert(1)], "update"), []);
  assert.equal(alerts.history.length, 1);
});

test("what became of an alert is filled in when the history is asked", () => {
  const alerts = new Alerts();
  alerts.put([alert(1)], "update");
  alerts.put([alert(1, "raised", { deliveries: [{ target: "ops", status: "sent", error: "" }] })], "history");
  assert.deepEqual(alerts.history.map((a) => a.deliveries?.[0]?.status), ["sent"]);
});

test("the history is bounded", () => {
  const alerts = new Alerts();
  for (let n = 0; n < KEPT * 2; n++) alerts.put([alert(n)], "update");
  assert.equal(alerts.history.length, KEPT);
  assert.equal(alerts.history[0]?.id, `a${KEPT * 2 - 1}`);
});

test("a mistake is marked at its place, also at the end and beyond", () => {
  const problem = { message: "", hint: "", option: "rule", column: 5, length: 3 };
  assert.deepEqual(marked("a:b mdi > 5", problem), ["a:b ", "mdi", " > 5"]);
  assert.deepEqual(marked("a:b", { ...problem, column: 4 }), ["a:b", "\u00a0", ""]);
  assert.deepEqual(marked("a:b", { ...problem, column: 99, length: null }), ["a:b", "\u00a0", ""]);
  assert.deepEqual(marked("a:b", { ...problem, column: null }), ["a:b", "", ""]);
});

test("states: muted before all, cooling down while the cool-down lasts, warming up while its windows are not whole", () => {
  const rule = (state: string, more: Partial<RuleRow> = {}): RuleRow => ({
    name: "r", rule: "a:b mid > 1", origin: "added", muted: false, severity: "info", state, since: 0, value: 5, raised: 0, ...more,
  });
  const now = 1000e6;
  assert.deepEqual(["armed", "raised", "waiting", "spent"].map((s) => stateOf(rule(s), now)), ["armed", "raised", "waiting", "done"]);
  assert.equal(stateOf(rule("raised", { muted: true }), now), "muted");
  assert.equal(stateOf(rule("armed", { since: 950e6, cooldown: "1m" }), now), "cooling");
  assert.equal(stateOf(rule("armed", { since: 930e6, cooldown: "1m" }), now), "armed");
  assert.equal(stateOf(rule("armed", { warming: 12 }), now), "warming");
  assert.equal(stateOf(rule("armed", { value: null, warming: 0 }), now), "armed");
  assert.deepEqual(["5m", "1h30m", "250ms", ""].map(spanUs), [300e6, 5400e6, 250e3, 0]);
  assert.deepEqual(["info", "critical", null, "odd"].map(severityOf), ["info", "critical", "warning", "warning"]);
});

test("what is raised stands first, the others as they were", () => {
  const rule = (name: string, state: string): RuleRow => ({
    name, rule: "mid > 1", origin: "added", muted: false, severity: "info", state, since: 0, value: null, raised: 0,
  });
  const rules = [rule("a", "armed"), rule("b", "raised"), rule("c", "waiting"), rule("d", "raised")];
  assert.deepEqual(inOrder(rules, 0).map((r) => r.name), ["b", "d", "a", "c"]);
});
