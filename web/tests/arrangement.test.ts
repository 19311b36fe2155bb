import assert from "node:assert/strict";
import { test } from "node:test";
import { Arrangement } from "../src/state/arrangement.ts";
import { remove } from "../src/state/layout.ts";
import { PRESETS } from "../src/state/presets.ts";

const KNOWN = ["cards", "watch", "chart", "ladder", "tape", "events", "pipeline", "metrics", "alerts"];
function made(kept: Record<string, string> = {}, width = 1440): [Arrangement, Record<string, string>] {
  const arrangement = new Arrangement(KNOWN, { get: (k) => kept[k] ?? null, set: (k, v) => void (kept[k] = v) });
  arrangement.recall(width);
  return [arrangement, kept];
}

test("untouched, the preset follows the window; changed, it stays as it was left", () => {
  const [a, kept] = made();
  assert.equal(a.text, "@trading");
  const wide = a.layout;
  assert.equal(a.fit(1000), true);
  assert.notDeepEqual(a.layout, wide);
  a.change(remove(a.layout, "alerts"));
  assert.equal(a.fit(1440), false);
  const [b] = made(kept);
  assert.equal(b.text, a.text);
  assert.equal(b.preset, null);
});

test("what cannot be read is as if there were nothing", () => {
  for (const layout of ["", "@none", "1~r(", "{}"]) assert.equal(made({ layout })[0].text, "@trading");
  for (const layouts of ["", "{}", "[1]", '[{"name":"x","text":"bad"}]', "not json"]) assert.deepEqual(made({ layouts })[0].named, []);
});

test("a layout of a link is shown and not kept until it is changed", () => {
  const [a, kept] = made();
  assert.equal(a.borrow("1~r(0.5:chart,0.5:tape)"), true);
  assert.equal(kept["layout"], undefined);
  assert.equal(a.borrowed, true);
  a.change(remove(a.layout, "tape"));
  assert.equal(kept["layout"], "1~chart");
  for (const bad of ["", "1~", "1~none", "1~r(1:<b>)", "javascript:alert(1)"]) assert.equal(a.borrow(bad), false, bad);
  assert.equal(a.text, "1~chart");
  assert.equal(a.borrow("@monitor"), true);
});

test("named layouts: kept, replaced, bounded, forgotten", () => {
  const [a, kept] = made();
  assert.equal(a.saveAs("   "), "");
  const [, chart] = PRESETS;
  if (chart) a.choose(chart);
  for (let i = 0; i < 40; i++) a.saveAs(`mine ${i}`);
  a.saveAs("mine 39");
  assert.equal(a.named.length, 24);
  assert.equal(a.named.at(-1)?.name, "mine 39");
  const [b] = made(kept);
  b.useNamed("mine 39");
  assert.equal(b.preset, null);
  assert.deepEqual(b.named, a.named);
  b.forget("mine 39");
  assert.equal(b.named.length, 23);
  assert.equal(a.saveAs("x".repeat(100)).length, 40);
});
