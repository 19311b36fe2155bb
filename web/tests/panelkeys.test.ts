import assert from "node:assert/strict";
import { test } from "node:test";
import { CHART_KEYS, DEPTH_KEYS, HEATMAP_KEYS, LADDER_KEYS, PANEL_KEYS, panelAction, spokenKeys } from "../src/state/panelkeys.ts";

const press = (key: string, shiftKey = false) => ({ key, shiftKey });

test("a key does what its panel's row says; Shift is heard where it means something", () => {
  assert.deepEqual([press("ArrowUp"), press("ArrowUp", true), press("+", true), press("f"), press("q")].map((key) => panelAction(HEATMAP_KEYS, key)), ["higher", "taller", "closer", "follow", undefined]);
  assert.deepEqual([panelAction(LADDER_KEYS, press("[")), panelAction(CHART_KEYS, press("End")), panelAction(DEPTH_KEYS, press("="))], ["finer", "last", "closer"]);
  assert.equal(panelAction(LADDER_KEYS, press("toString")), undefined);
});

test("no key stands twice in a panel, and each row is shown", () => {
  for (const [title, rows] of PANEL_KEYS) {
    const keys = rows.flatMap((row) => Object.keys(row.keys));
    assert.equal(new Set(keys).size, keys.length, title);
    for (const row of rows) assert.ok(row.shown && row.what, title);
  }
});

test("a label says signs in words", () => {
  assert.match(spokenKeys(HEATMAP_KEYS), /Shift up down: zoom price; comma full stop: contrast; left bracket right bracket: price step/);
});
