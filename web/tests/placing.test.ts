import assert from "node:assert/strict";
import { test } from "node:test";
import { groupOf, type Layout } from "../src/state/layout.ts";
import { decode } from "../src/state/layouttext.ts";
import { allot, dropAt, neighbour, place, type Rect } from "../src/state/placing.ts";

const KNOWN = ["cards", "watch", "chart", "ladder", "tape"];
const read = (text: string): Layout => decode(`1~${text}`, KNOWN) ?? null;
const room: Rect = { x: 0, y: 0, width: 1000, height: 600 };
const measures = { gap: 6, natural: (id: string) => (id === "cards" ? 62 : null) };
const rects = (text: string, within = room): Record<string, number[]> =>
  Object.fromEntries(place(read(text), within, measures).groups.map(({ group, rect: r }) => [group.active, [r.x, r.y, r.width, r.height]]));

test("pixels first, shares of the rest, what needs no more than its content", () => {
  assert.deepEqual(rects("r(284p:watch,1:c(a:cards,0.75:chart,0.25:tape))"), {
    watch: [0, 0, 284, 600], cards: [290, 0, 710, 62], chart: [290, 68, 710, 395], tape: [290, 469, 710, 131],
  });
});

test("too small a room: side bars give way, then all shrink, and nothing hangs out", () => {
  for (const width of [900, 700, 500, 320, 90]) {
    const all = Object.values(rects("r(300p:watch,1:chart,264p:ladder,244p:tape)", { ...room, width }));
    const right = Math.max(...all.map(([x = 0, , w = 0]) => x + w));
    assert.ok(right <= width + 1, `${width}: ${right}`);
    if (width >= 700) for (const [, , w = 0] of all) assert.ok(w >= 150);
  }
  assert.deepEqual(allot(100, [{ unit: "share", n: 1 }, { unit: "share", n: 9 }], [30, 30], [null, null]), [30, 70]);
  assert.deepEqual(allot(300, [{ unit: "px", n: 400 }, { unit: "share", n: 1 }], [50, 50], [null, null]), [250, 50]);
});

test("seams stand between neighbours and know what is on either side", () => {
  const { seams } = place(read("r(284p:watch,1:c(0.5:chart,0.5:tape))"), room, measures);
  assert.deepEqual(seams.map((s) => [s.kind, s.before, s.after, s.rect.x, s.rect.y, s.rect.width, s.rect.height]), [
    ["row", "watch", "chart", 284, 0, 6, 600], ["column", "chart", "tape", 290, 297, 710, 6],
  ]);
});

test("a drop: edges of the whole, tabs, sides of a group, its middle", () => {
  const layout = read("r(400p:watch,1:chart)");
  const placed = place(layout, room, measures);
  const chart = groupOf(layout, "chart")?.id;
  const drop = (x: number, y: number): unknown => dropAt(placed, room, x, y, 29)?.target;
  assert.deepEqual(drop(5, 300), { edge: "left" });
  assert.deepEqual(drop(995, 300), { edge: "right" });
  assert.deepEqual(drop(500, 595), { edge: "bottom" });
  assert.deepEqual(drop(700, 10), { group: chart });
  assert.deepEqual(drop(700, 300), { group: chart });
  assert.deepEqual(drop(430, 300), { group: chart, side: "left" });
  assert.deepEqual(drop(700, 60), { group: chart, side: "top" });
  assert.deepEqual(drop(700, 560), { group: chart, side: "bottom" });
  assert.deepEqual(dropAt(placed, room, 430, 300, 29)?.rect, { x: 406, y: 0, width: 297, height: 600 });
  assert.equal(drop(403, 300), undefined); // on a border
  assert.equal(drop(-5, 300), undefined);
});

test("the neighbour is the one with the most border in common", () => {
  const layout = read("r(0.5:watch,0.5:c(0.3:chart,0.7:tape))");
  const placed = place(layout, room, measures);
  const id = (panel: string): number => groupOf(layout, panel)?.id ?? 0;
  assert.equal(neighbour(placed, id("watch"), "right")?.active, "tape");
  assert.equal(neighbour(placed, id("chart"), "left")?.active, "watch");
  assert.equal(neighbour(placed, id("chart"), "bottom")?.active, "tape");
  assert.equal(neighbour(placed, id("chart"), "top"), null);
});
