import assert from "node:assert/strict";
import { test } from "node:test";
import type { Book, Column as Sample, Side, Trade } from "../src/api/types.ts";
import { between, Bubbles, lengthFor, radiusOf, together } from "../src/heatmap/bubbles.ts";
import { shadesOf } from "../src/heatmap/colours.ts";
import { binOf, CAPACITY, Columns, live, sizeAt, walls } from "../src/heatmap/columns.ts";
import { cuts } from "../src/heatmap/raster.ts";
import { boundsOf, highOf, keptHigh, legendValues, niceUp, SHADES, shadeOf } from "../src/heatmap/scale.ts";
import { followed, pan, Playhead, priceAt, snapped, timeAt, type Viewport, xOf, yOf, zoomPrice, zoomTime } from "../src/heatmap/viewport.ts";

const sample = (second: number, sizes: number[], change: Partial<Sample> = {}): Sample => ({
  instrument: "sim:A-B", ts: second * 1e6, bid: 100, ask: 101, low: 98, sizes, proved: true, ...change,
});

test("a column stands for its own slot; a missing one is a gap", () => {
  const columns = new Columns(1, "1s");
  columns.put([sample(10, [1, 2]), sample(12, [3])]);
  assert.deepEqual([columns.at(10)?.sizes.length, columns.at(11), columns.at(12)?.sizes[0]], [2, undefined, 3]);
  columns.put([sample(10, [9])]); // the same slot again: the later word
  assert.equal(columns.at(10)?.sizes[0], 9);
  const fine = new Columns(1, "250ms"); // older columns are of whole seconds: each stands for its second and no longer
  fine.put([sample(10, [1]), { ...sample(12, [2]), ts: 12_250_000 }]);
  assert.deepEqual([40, 43, 44, 49].map((slot) => fine.at(slot)?.sizes[0]), [1, 1, undefined, 2]);
});

test("columns are bounded: the oldest go", () => {
  const columns = new Columns(1, "1s");
  for (let second = 0; second < CAPACITY + 500; second++) columns.put([sample(second, [1])]);
  assert.deepEqual([columns.bySlot.size, columns.first, columns.last], [CAPACITY, 500, CAPACITY + 499]);
  columns.put([sample(3, [1])]); // too old to be taken
  assert.equal(columns.first, 500);
});

const book = (change: Partial<Book> = {}): Book => ({
  instrument: "sim:A-B", ts_event: 1, ts_recv: 1, seq: 1, state: "synced", complete_to: { bid: null, ask: null },
  bids: [[100.5, 1], [100.2, 2], [99.9, 4]], asks: [[101, 8], [101.9, 16], [102.5, 32]], ...change,
});

test("the column that fills is the book as far as it reaches, and the last sample beyond", () => {
  const before = new Columns(1, "1s");
  before.put([sample(10, [7, 7, 7, 7, 7, 7, 7, 7], { low: 96 })]); // 96 to 103
  const now = live(book(), 3, before.at(10), 11, 1, { price: 1, size: 2 });
  // The view is full (three levels were asked for): the farthest bins, 99 and 102, may lack levels, so that the sample tells them.
  assert.deepEqual([...now.sizes], [7, 7, 7, 7, 3, 24, 7, 7]);
  assert.deepEqual([now.low, now.bid, now.ask, now.slot, now.proved], [96, 100.5, 101, 11, true]);
  assert.deepEqual([...live(book(), 50, undefined, 11, 1, { price: 1, size: 2 }).sizes], [4, 3, 24, 32]); // all of the book
  assert.equal(live(book({ state: "invalid" }), 50, before.at(10), 11, 1, { price: 1, size: 2 }).proved, false);
  assert.deepEqual([binOf(0.3, 0.1), binOf(99.99, 0.5), sizeAt(now, 200)], [3, 199, null]);
});

test("walls are the largest sizes of now, and as old as half of them is", () => {
  const columns = new Columns(1, "1s");
  columns.put([sample(10, [1, 9, 0, 50]), sample(11, [30, 9, 0, 50]), sample(12, [40, 9, 0, 50])]);
  const [first, second] = walls(columns, columns.at(12)!, 2);
  assert.deepEqual(first, { bin: 101, size: 50, side: "ask", since: 10e6, older: true });
  assert.deepEqual(second, { bin: 98, size: 40, side: "bid", since: 11e6, older: false });
});

test("colours are logarithmic between round bounds that stay while they fit", () => {
  assert.deepEqual([0.013, 0.2, 3, 51, 700, 0].map(niceUp), [0.02, 0.2, 5, 100, 1000, 1]);
  const bounds = boundsOf(100, 100);
  assert.ok(Math.abs(bounds.low - 100 / 10 ** 0.5) < 1e-9);
  const ten = { low: 1, high: 100 };
  assert.deepEqual([0, 0.5, 1, 10, 100, 1e6].map((s) => shadeOf(s, ten)), [0, 1, 1, 128, SHADES - 1, SHADES - 1]);
  assert.ok(boundsOf(100, 0).low < boundsOf(100, 50).low);
  assert.deepEqual(legendValues({ low: 0.05, high: 20 }), [0.1, 1, 10]);
  assert.deepEqual([keptHigh(null, 7), keptHigh(10, 14), keptHigh(10, 16), keptHigh(10, 2)], [10, 10, 20, 2]);
  const columns = new Columns(1, "1s");
  assert.equal(highOf(columns), null);
  columns.put([sample(1, [...Array(199).fill(1), 50, 0])]);
  assert.equal(highOf(columns), 50);
});

const luminance = (rgb: readonly number[]): number => {
  const [r, g, b] = rgb.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4)) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
// Machado, Oliveira and Fernandes (2009): what people without one kind of cone see, on linear light.
const BLIND = {
  protan: [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
  deutan: [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
  tritan: [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
};

test("each colour map runs in one direction of lightness, for the colour blind as well", () => {
  for (const theme of ["dark", "light"] as const) {
    const shades = shadesOf(theme);
    assert.equal(shades.length, SHADES);
    const sign = theme === "dark" ? 1 : -1;
    const falls = (values: readonly number[]): number => values.filter((v, i) => i > 0 && (v - (values[i - 1] ?? 0)) * sign < -1e-3).length;
    assert.equal(falls(shades.map(luminance)), 0, theme);
    for (const [kind, matrix] of Object.entries(BLIND)) {
      const seen = shades.map((rgb) => {
        const linear = rgb.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
        const [r, g, b] = matrix.map((row) => row.reduce((sum, k, i) => sum + k * (linear[i] ?? 0), 0)) as [number, number, number];
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      });
      assert.ok(falls(seen) <= 4, `${theme} ${kind} ${falls(seen)}`);
      assert.ok((seen.at(-1)! - seen[0]!) * sign > 0.7, `${theme} ${kind}`);
    }
  }
});

const view: Viewport = { right: 100e6, perPx: 1e6, centre: 50, pricePerPx: 0.5 };
const area = { width: 60, height: 40 };
const limits = { perPx: [1e5, 1e7], pricePerPx: [0.01, 10] } as const;

test("places and times are one another's inverse; zooming keeps what is under the pointer", () => {
  assert.deepEqual([xOf(view, area, 90e6), timeAt(view, area, 50), yOf(view, area, 55), priceAt(view, area, 10)], [50, 90e6, 10, 55]);
  const closer = zoomTime(view, area, 2, 20, limits);
  assert.deepEqual([closer.perPx, timeAt(closer, area, 20)], [5e5, timeAt(view, area, 20)]);
  assert.equal(zoomTime(view, area, 1e9, 20, limits).perPx, 1e5);
  const nearer = zoomPrice(view, area, 5, 10, limits);
  assert.ok(Math.abs(priceAt(nearer, area, 10) - 55) < 1e-9 && Math.abs(nearer.pricePerPx - 0.1) < 1e-12);
  const moved = pan(view, 10, -4);
  assert.deepEqual([moved.right, moved.centre], [90e6, 48]);
  assert.deepEqual(snapped({ ...view, right: 100.3e6, centre: 50.3 }, 2), { ...view, right: 100.5e6, centre: 50.25 });
  assert.deepEqual([followed(view, area, 53), followed(view, area, 56), followed(view, area, null)], [50, 56, 50]);
});

test("the clock runs smoothly through the server's words, and jumps where they jump", () => {
  const head = new Playhead();
  assert.equal(head.at(5e6, 1000), 5e6);
  assert.ok(Math.abs(head.at(6.1e6, 2000) - 6.002e6) < 1); // 100 ms late: 2 of them are taken over
  assert.equal(head.at(60e6, 3000), 60e6);
});

const trade = (id: number, at: number, price: number, size: number, side: Side = "buy", flags: string[] = []): Trade => ({
  instrument: "sim:A-B", ts_event: at - 5, ts_recv: at, flags, price, size, side, id: String(id),
});

test("prints of one instant and side are one bubble at their average price", () => {
  const bubbles = new Bubbles();
  bubbles.put([trade(1, 100, 10, 1), trade(2, 100, 12, 3), trade(3, 100, 9, 1, "sell"), trade(4, 100, 12, 1), trade(5, 200, 9, 2)]);
  assert.deepEqual(bubbles.items.map((b) => [b.at, b.side, b.price, b.size, b.prints]), [
    [100, "buy", (10 + 36 + 12) / 5, 5, 3], [100, "sell", 9, 1, 1], [200, "buy", 9, 2, 1]]);
  bubbles.put([trade(1, 100, 10, 1), trade(6, 50, 8, 1), trade(7, 999, 8, 1, "buy", ["RECOVERED"])]); // known; older; told long after
  assert.deepEqual(bubbles.items.map((b) => b.at), [50, 100, 100, 200, 994]);
  assert.deepEqual(between(bubbles.items, 100, 200).map((b) => b.side), ["buy", "sell"]);
});

test("bubbles come together where there is no room, in times that are powers of two", () => {
  assert.deepEqual([lengthFor(100), lengthFor(1000), lengthFor(500_000)], [0, 8000, 4_096_000]);
  const items = [trade(1, 10, 10, 1), trade(2, 20, 10.4, 3), trade(3, 30, 10, 1, "sell"), trade(4, 40, 20, 1), trade(5, 1010, 10, 1)];
  const bubbles = new Bubbles();
  bubbles.put(items);
  assert.deepEqual(together(bubbles.items, 1000, 1).map((b) => [b.at, b.side, b.size, b.prints]), [[10, "buy", 4, 2], [30, "sell", 1, 1], [40, "buy", 1, 1], [1010, "buy", 1, 1]]);
  assert.equal(radiusOf(1, { size: 4, radius: 16 }), 8); // a quarter of the area
  assert.equal(radiusOf(1e9, { size: 4, radius: 16 }), 16);
});

test("a range of slots is one piece of the ring, or two around its end", () => {
  assert.deepEqual(cuts(5, 9), [{ x: 5, columns: 5, slot: 5 }]);
  assert.deepEqual(cuts(CAPACITY - 2, CAPACITY + 2), [{ x: CAPACITY - 2, columns: 2, slot: CAPACITY - 2 }, { x: 0, columns: 3, slot: CAPACITY }]);
  assert.deepEqual(cuts(9, 5), []);
  assert.equal(cuts(0, 3 * CAPACITY).reduce((sum, c) => sum + c.columns, 0), CAPACITY);
});
