import assert from "node:assert/strict";
import { test } from "node:test";
import { activate, groupOf, groupsOf, insert, type Layout, panelsOf, remove, resize, type Side } from "../src/state/layout.ts";
import { decode, encode, LONGEST } from "../src/state/layouttext.ts";
import { PRESETS } from "../src/state/presets.ts";

const KNOWN = ["cards", "watch", "chart", "ladder", "tape", "events", "pipeline", "metrics", "alerts"];
const read = (text: string): Layout => {
  const layout = decode(`1~${text}`, KNOWN);
  assert.notEqual(layout, undefined, text);
  return layout ?? null;
};
const text = (layout: Layout): string => encode(layout).slice(2);
const idOf = (layout: Layout, panel: string): number => groupOf(layout, panel)?.id ?? -1;

test("a layout is written as it was read, and the panel on top is kept", () => {
  for (const it of ["chart", "chart.metrics!.alerts", "r(284p:watch,1:c(a:cards,0.7:chart,0.3:tape))"]) assert.equal(text(read(it)), it);
  assert.equal(groupOf(read("chart.metrics!"), "chart")?.active, "metrics");
  assert.equal(text(read("r(2:watch,6:chart)")), "r(0.25:watch,0.75:chart)"); // shares of one
});

test("a text that is not a layout gives none; unknown and repeated panels are left out", () => {
  for (const bad of ["", "chart", "2~chart", "1~Chart", "1~r()", "1~r(chart)", "1~r(0:chart)", "1~r(1:chart", "1~r(1:chart))", "1~r(10p:chart,1:tape)",
    "1~<img>", "1~chart..tape", "1~r(1:chart;1:tape)", `1~${"r(1:".repeat(41)}chart${")".repeat(41)}`, `1~${"chart.".repeat(LONGEST)}`,
    `1~r(${Array(41).fill("1:chart").join()})`, "1~constructor(1:chart)", "1~__proto__"]) {
    assert.equal(decode(bad, KNOWN), undefined, bad);
  }
  assert.equal(text(read("r(1:chart.nothing,1:chart,1:void)")), "chart");
  assert.equal(text(read("r(1:chart.tape!,1:tape.watch)")), "r(0.5:chart.tape!,0.5:watch)");
  assert.equal(decode("1~", KNOWN), null);
});

test("a star is every panel that is named nowhere else", () => {
  assert.equal(text(read("r(1:chart.*,1:watch.tape)")), "r(0.5:chart.cards.ladder.events.pipeline.metrics.alerts,0.5:watch.tape)");
});

test("every preset is a layout at every width, and the first has every panel", () => {
  for (const { id, texts } of PRESETS) {
    for (const [, it] of texts) {
      const layout = decode(it, KNOWN);
      assert.ok(layout, id);
      assert.equal(new Set(panelsOf(layout)).size, panelsOf(layout).length);
      if (id === "trading") assert.deepEqual([...panelsOf(layout)].sort(), [...KNOWN].sort());
    }
  }
});

test("a panel is dropped among tabs, beside a group and along an edge", () => {
  const at = read("r(0.5:watch,0.5:chart.tape)");
  assert.equal(text(insert(at, "alerts", { group: idOf(at, "chart"), at: 1 })), "r(0.5:watch,0.5:chart.alerts!.tape)");
  const sides: [Side, string][] = [
    ["left", "r(0.5:watch,0.25:alerts,0.25:chart.tape)"], ["right", "r(0.5:watch,0.25:chart.tape,0.25:alerts)"],
    ["top", "r(0.5:watch,0.5:c(0.5:alerts,0.5:chart.tape))"], ["bottom", "r(0.5:watch,0.5:c(0.5:chart.tape,0.5:alerts))"],
  ];
  for (const [side, it] of sides) assert.equal(text(insert(at, "alerts", { group: idOf(at, "chart"), side })), it);
  assert.equal(text(insert(at, "alerts", { edge: "bottom" })), "c(0.75:r(0.5:watch,0.5:chart.tape),0.25:alerts)");
  assert.equal(text(insert(at, "alerts", { edge: "left" })), "r(0.25:alerts,0.375:watch,0.375:chart.tape)");
  assert.equal(text(insert(null, "chart")), "chart");
});

test("a move takes the panel from where it stood, and its empty place closes", () => {
  const at = read("r(0.5:watch,0.5:c(0.5:chart,0.5:tape))");
  assert.equal(text(insert(at, "tape", { group: idOf(at, "watch") })), "r(0.5:watch.tape!,0.5:chart)");
  assert.equal(text(insert(at, "watch", { group: idOf(at, "tape"), side: "bottom" })), "c(0.5:chart,0.25:tape,0.25:watch)");
  assert.equal(insert(at, "watch", { group: idOf(at, "watch"), side: "left" }), at); // beside itself
  const tabs = read("chart.tape.watch");
  assert.equal(text(insert(tabs, "chart", { group: idOf(tabs, "chart"), at: 2 })), "tape.chart!.watch");
  assert.equal(text(insert(tabs, "watch", { group: idOf(tabs, "chart"), at: 0 })), "watch.chart.tape");
  assert.equal(text(insert(tabs, "tape", { group: idOf(tabs, "chart"), side: "right" })), "r(0.5:chart.watch,0.5:tape)");
});

test("closing shows the neighbour, and the last one leaves nothing", () => {
  assert.equal(text(remove(read("chart.tape!.watch"), "tape")), "chart.watch!");
  assert.equal(text(remove(read("chart.tape!"), "tape")), "chart");
  assert.equal(text(remove(read("r(300p:watch,1:chart)"), "chart")), "watch");
  assert.equal(remove(read("chart"), "chart"), null);
  assert.equal(text(remove(read("r(300p:watch,1:chart,200p:tape)"), "chart")), "r(1:watch,200p:tape)"); // somebody must take the room
  assert.equal(text(activate(read("chart.tape"), "tape")), "chart.tape!");
});

test("a border moves between its two neighbours only, and stops at what they need", () => {
  const at = read("r(300p:watch,0.5:chart,0.5:tape)");
  assert.ok(at);
  const sizes = [300, 400, 400];
  const moved = (i: number, by: number): string => text(resize(at, at.id, i, by, sizes, [150, 150, 150]));
  assert.equal(moved(0, 50), "r(350p:watch,0.467:chart,0.533:tape)"); // 350 of 750
  assert.equal(moved(1, -100), "r(300p:watch,0.375:chart,0.625:tape)");
  assert.equal(moved(0, -1e5), "r(150p:watch,0.579:chart,0.421:tape)");
  assert.equal(moved(1, 1e5), "r(300p:watch,0.813:chart,0.188:tape)");
  const auto = read("c(a:cards,1:chart)");
  assert.ok(auto);
  assert.equal(text(resize(auto, auto.id, 0, 20, [62, 500], [30, 84])), "c(82p:cards,1:chart)");
});

test("what only one panel can have is given up when a second one joins it", () => {
  const at = read("c(a:cards,0.5:chart,0.5:tape)");
  assert.equal(text(insert(at, "alerts", { group: idOf(at, "cards") })), "c(0.333:cards.alerts!,0.333:chart,0.333:tape)");
  assert.equal(text(insert(at, "alerts", { group: idOf(at, "cards"), side: "bottom" })), "c(a:cards,0.333:alerts,0.333:chart,0.333:tape)");
});

test("any number of moves keeps every panel exactly once and the tree in its one shape", () => {
  let seed = 7;
  const random = (n: number): number => (seed = (seed * 1103515245 + 12345) % 2147483648) % n;
  const sides: Side[] = ["left", "right", "top", "bottom"];
  let layout = read("r(284p:c(0.6:watch,0.4:events.pipeline),1:c(a:cards,1:r(1:c(0.6:chart,0.4:metrics.alerts),264p:ladder,244p:tape)))");
  for (let i = 0; i < 500; i++) {
    const panel = KNOWN[random(KNOWN.length)] ?? "";
    const groups = groupsOf(layout);
    const group = groups[random(groups.length)]?.id ?? 0;
    const side = sides[random(4)] ?? "left";
    layout = insert(layout, panel, [{ group }, { group, side }, { edge: side }, { group, at: random(4) }][random(4)]);
    assert.deepEqual([...panelsOf(layout)].sort(), [...KNOWN].sort());
    const numbers = groupsOf(layout).map((g) => g.id);
    assert.equal(new Set(numbers).size, numbers.length);
    for (const g of groupsOf(layout)) assert.ok(g.tabs.includes(g.active));
    const again = encode(layout);
    const back = decode(again, KNOWN);
    assert.ok(back, again);
    assert.equal(encode(back), again);
  }
});
