import assert from "node:assert/strict";
import { test } from "node:test";
import { age, bps, bytes, clock, count, decimalsOf, delay, fixed, signed, size, symbolOf, venueOf } from "../src/ui/format.ts";

test("prices keep the instrument's decimals and group the integer part only", () => {
  assert.equal(fixed(64231.5, 2), "64,231.50");
  assert.equal(fixed(1234567.123456, 4), "1,234,567.1235");
  assert.equal(fixed(0.16001, 5), "0.16001");
  assert.equal(fixed(-1234.5, 1), "−1,234.5");
  assert.equal(fixed(-0.0001, 2), "0.00");
  assert.equal(fixed(null, 2), "–");
  assert.equal(fixed(Number.NaN, 2), "–");
});

test("signs, sizes, counts", () => {
  assert.equal(signed(1.234, 2), "+1.23");
  assert.equal(signed(0.001, 2), "0.00");
  assert.equal(signed(-1, 0), "−1");
  assert.equal(size(0.01234, 5), "0.01234");
  assert.equal(size(12345.678901, 5), "12,345.679");
  assert.equal(size(250_000, 3), "250.00K");
  assert.equal(size(12_345_678, 3), "12.346M");
  assert.equal(count(99_999), "99,999");
  assert.equal(count(1_234_567), "1.2M");
  assert.equal(bytes(999), "999 B");
  assert.equal(bytes(3_400_000), "3.4 MB");
});

test("ages never run backwards and shorten as they grow", () => {
  assert.deepEqual([-1, 0.44, 9.94, 9.96, 119, 120, 7200, 172_800].map(age), ["<1 s", "<1 s", "9 s", "9 s", "119 s", "2 m", "2 h", "2 d"]);
});

test("delays keep a tenth while short", () => {
  assert.deepEqual([0.04, 4.26, 12.7, null].map(delay), ["0.0 s", "4.3 s", "12 s", "–"]);
});

test("basis points are as fine as they are few", () => {
  assert.deepEqual([0.00103, 0.53, 12.34, null].map(bps), ["0.001 bps", "0.53 bps", "12.3 bps", "–"]);
});

test("clock is UTC", () => {
  assert.equal(clock(Date.UTC(2026, 10, 21, 9, 5, 7, 42) * 1000, true), "09:05:07.042");
  assert.equal(clock(0), "–");
});

test("decimals of a tick; parts of an id", () => {
  assert.deepEqual([0.01, 1, 0.00001, 1e-7, 67_250.5].map(decimalsOf), [2, 0, 5, 7, 1]);
  assert.deepEqual([symbolOf("sim:BTC-USDT"), venueOf("sim:BTC-USDT")], ["BTC-USDT", "sim"]);
});
