import assert from "node:assert/strict";
import { test } from "node:test";
import { Held, slice } from "../src/state/held.ts";

test("who reads sees what there was, and how many came since", () => {
  const held = new Held();
  const list = { total: 10, dropped: 0, generation: 1 };
  held.saw(list);
  assert.deepEqual([held.upTo, held.waiting], [10, 0]);
  held.hold("pointer", true, list);
  held.saw({ ...list, total: 47 });
  assert.deepEqual([held.upTo, held.waiting, held.still], [10, 37, true]);
  held.hold("scroll", true, { ...list, total: 47 });
  held.hold("pointer", false, { ...list, total: 48 });
  assert.deepEqual([held.upTo, held.waiting], [10, 38]); // it is scrolled back still
  held.saw({ total: 148, dropped: 0, generation: 2 }); // a hundred older ones were put before
  assert.deepEqual([held.upTo, held.waiting], [110, 38]);
  held.saw({ total: 300, dropped: 120, generation: 2 }); // more than is kept came: the oldest that there is
  assert.deepEqual([held.upTo, held.waiting], [120, 180]);
  held.release({ total: 301, dropped: 120, generation: 2 });
  assert.deepEqual([held.upTo, held.waiting, held.still], [301, 0, false]);
});

test("only rows in view are there", () => {
  assert.deepEqual(slice(0, 190, 19, 2, 1000), [0, 12]);
  assert.deepEqual(slice(1900, 190, 19, 2, 1000), [98, 112]);
  assert.deepEqual(slice(19_000, 190, 19, 2, 1000), [998, 1000]);
  assert.deepEqual(slice(0, 190, 19, 2, 3), [0, 3]);
  assert.deepEqual(slice(500, 190, 19, 2, 0), [0, 0]);
});
