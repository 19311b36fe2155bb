// Which alerts are told, how a mistake is marked, and what a rule's state is called.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { AlertEvent, RuleRow } from "../src/api/alerts.ts";
import { Alerts, KEPT, marked, severityOf, stateOf } from "../src/state/alerts.ts";

const alert = (n: number, state = "raised", more: Partial<AlertEvent> = {}): AlertEvent => ({
  instrument: "sim:A-B", ts_event: n * 1e6, ts_recv: n * 1e6, flags: [], rule: "r", state, value: n, text: "r", severity: "warning", id: `a${n}`, ...more,
});

test("an alert is told once, and only when it is raised while one looks on", () => {
  const alerts = new Alerts();
  assert.deepEqual(alerts.put([alert(1), alert(2)], false), []);
  assert.deepEqual(alerts.put([alert(2), alert(3)], true).map((a) => a.id), ["a3"]);
  assert.deepEqual(alerts.put([alert(3), alert(3, "resolved")], true), []);
  assert.deepEqual(alerts.history.map((a) => [a.id, a.state]), [["a3", "resolved"], ["a3", "raised"], ["a2", "raised"], ["a1", "raised"]]);
});

test("what became of an alert is filled in when the history is asked", () => {
  const alerts = new Alerts();
  alerts.put([alert(1)], true);
  alerts.put([alert(1, "raised", { deliveries: [{ target: "ops", status: "sent", error: "" }] })], false);
  assert.deepEqual(alerts.history.map((a) => a.deliveries?.[0]?.status), ["sent"]);
});

test("the history is bounded", () => {
  const alerts = new Alerts();
  for (let n = 0; n < KEPT * 2; n++) alerts.put([alert(n)], true);
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

test("states have one word each; muted comes before all", () => {
  const rule = (state: string, muted = false): RuleRow => ({
    name: "r", rule: "x", origin: "added", muted, severity: "info", state, since: 0, value: null, raised: 0,
  });
  assert.deepEqual(
    ["quiet", "armed", "raised", "cooling", "cooling down", "warming", "waiting", "done", "never heard of"].map((s) => stateOf(rule(s))),
    ["armed", "armed", "raised", "cooling", "cooling", "warming", "waiting", "done", "waiting"],
  );
  assert.equal(stateOf(rule("raised", true)), "muted");
  assert.deepEqual(["info", "critical", null, "odd"].map(severityOf), ["info", "critical", "warning", "warning"]);
});
