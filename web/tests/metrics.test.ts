// What is kept of the samples, where each metric stands, and how its number is written.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { MetricInfo, Metrics } from "../src/api/types.ts";
import { Catalogue, explained, grouped, meaning, metricText, short } from "../src/state/catalogue.ts";
import { SAMPLE_POINTS, Samples } from "../src/state/samples.ts";

const sample = (second: number, values: Record<string, number>, incomplete: string | null = null): Metrics => ({
  instrument: "sim:A-B", ts_event: second * 1e6, ts_recv: second * 1e6 + 5, flags: [], mid: 1, spread: 1, spread_bps: 1, imbalance: 0, microprice: 1,
  values, incomplete,
});

test("a metric that the newest sample does not name is not known now", () => {
  const samples = new Samples();
  assert.equal(samples.put(sample(1, { a: 1 }, "a")), true);
  assert.equal(samples.put(sample(2, { a: 2, "p_1h.poc": 9 }, "p_1h")), true);
  assert.equal(samples.put(sample(3, { a: 3 })), true);
  assert.deepEqual(samples.lines.get("a"), { values: [1, 2, 3], partial: [true, false, false] });
  assert.deepEqual(samples.lines.get("p_1h.poc"), { values: [null, 9, null], partial: [false, true, false] });
});

test("snapshots after a reconnection double nothing, and rows of the book are no samples", () => {
  const samples = new Samples();
  samples.put(sample(5, { a: 1 }));
  assert.equal(samples.put(sample(5, { a: 1 })), false);
  assert.equal(samples.put({ ...sample(6, {}), values: null }), false);
  assert.deepEqual(samples.times, [5e6]);
});

test("the server's history comes before what arrived meanwhile", () => {
  const samples = new Samples();
  for (const second of [3, 4, 5]) samples.put(sample(second, { a: second, b: 1 }, second === 5 ? "a" : null));
  const history = { instrument: "sim:A-B", times: [1e6, 2e6, 3e6, 4e6], values: { a: [1, null, 3, 4], c: [7, 7, 7, 7] }, incomplete: { a: [0] } };
  samples.fill(history);
  assert.deepEqual(samples.times, [1e6, 2e6, 3e6, 4e6, 5e6]);
  assert.deepEqual(samples.lines.get("a"), { values: [1, null, 3, 4, 5], partial: [true, false, false, false, true] });
  assert.deepEqual(samples.lines.get("b")?.values, [null, null, null, null, 1]);
  assert.deepEqual(samples.lines.get("c")?.values, [7, 7, 7, 7, null]);
});

test("memory is bounded, and a metric that is gone for so long is forgotten", () => {
  const samples = new Samples();
  samples.put(sample(0, { gone: 1 }));
  for (let second = 1; second < SAMPLE_POINTS * 3; second++) samples.put(sample(second, { a: second }));
  assert.ok(samples.times.length <= SAMPLE_POINTS * 1.2);
  assert.equal(samples.lines.get("a")?.values.length, samples.times.length);
  assert.deepEqual([...samples.lines.keys()], ["a"]);
});

const info = (name: string, more: Partial<MetricInfo> = {}): MetricInfo => ({
  name, form: name, family: "trading", unit: "", gap: "window", warm_up: "the window", parameters: [], text: "", ...more,
});

test("a full name is of the class with the longest name that fits", () => {
  const catalogue = new Catalogue([info("volume"), info("volume_profile"), info("rsi", { family: "technical" }), info("odd", { family: "my_own" })]);
  assert.equal(catalogue.of("volume_1m")?.name, "volume");
  assert.equal(catalogue.of("volume_profile_1h.poc")?.name, "volume_profile");
  assert.equal(catalogue.of("nothing_1m"), undefined);
  assert.deepEqual(grouped(["odd_1", "volume_1m", "rsi_14_1m", "vwap_5m", "volume_5m", "strange"], catalogue), [
    ["Price", ["vwap_5m"]],
    ["Flow", ["volume_1m", "volume_5m"]],
    ["Indicators", ["rsi_14_1m"]],
    ["My own", ["odd_1"]],
    ["Others", ["strange"]],
  ]);
});

test("numbers with their units", () => {
  assert.equal(metricText(96_812.0512, "price", 2), "96,812.05");
  assert.equal(metricText(0.5312, "bps", 2), "0.53 bps");
  assert.equal(metricText(null, "price", 2), "–");
  assert.equal(metricText(Number.NaN, "", 2), "–");
  assert.equal(metricText(12.345, "1/s", 2), "12.35/s");
  assert.equal(metricText(12, "size", 2), "12");
  assert.equal(metricText(0.5, "0 to 1", 2), "0.5000");
  assert.equal(metricText(0.25, "s", 2), "0.2500 s");
  assert.deepEqual(
    [0, 3, 0.00012346, 1.23456, 12.3456, 1234.56, 123_456, 12_345_678, -2.5e9, 1e-9].map(short),
    ["0", "3", "0.0001235", "1.235", "12.35", "1,234.6", "123.5K", "12.35M", "−2.50B", "1.00e−9"],
  );
});

test("what a metric means is the first part of its docstring, as one line", () => {
  assert.equal(explained(info("x", { text: "Mean of the `window`:\n  Σ pᵢ sᵢ / Σ sᵢ.\n\nSource: a book." })), "Mean of the window: Σ pᵢ sᵢ / Σ sᵢ.");
  assert.equal(explained(undefined), "");
});

test("figures of a group are not those of an instrument's metric of the same name", () => {
  const catalogue = new Catalogue([info("basis", { unit: "bps", text: "Of a perpetual." }), info("vwap", { unit: "price", text: "Mean price." })]);
  assert.match(meaning("group:btc", "basis.2", catalogue).text, /than the first/);
  assert.equal(meaning("sim:A-B", "basis", catalogue).text, "Of a perpetual.");
  assert.deepEqual(meaning("sim:A-B", "vwap_5m", catalogue), { unit: "price", text: "Mean price.", whole: "Mean price." });
});
