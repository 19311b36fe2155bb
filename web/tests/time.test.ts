import assert from "node:assert/strict";
import { test } from "node:test";
import { clock, dateOf, day, useZone, zoneAt } from "../src/ui/format.ts";
import { exchangeZone, isZone, localZone, offsetMs, partsOf, UTC, zoneFor, zoneName } from "../src/ui/time.ts";

const at = (text: string): number => Date.parse(text) * 1000; // microseconds
const words = (us: number, zone: string): string => {
  const p = partsOf(us, zone);
  return `${p.year}-${p.month}-${p.day} ${p.hour}:${p.minute}:${p.second}.${p.millis}`;
};

test("New York's clocks go forward at 07:00 UTC in March and back at 06:00 UTC in November", () => {
  const zone = "America/New_York";
  assert.equal(words(at("2026-03-08T06:59:59.999Z"), zone), "2026-3-8 1:59:59.999");
  assert.equal(words(at("2026-03-08T07:00:00Z"), zone), "2026-3-8 3:0:0.0");
  assert.equal(words(at("2026-11-01T05:59:59Z"), zone), "2026-11-1 1:59:59.0");
  assert.equal(words(at("2026-11-01T06:00:00Z"), zone), "2026-11-1 1:0:0.0"); // the same hour again
  assert.deepEqual([zoneName(at("2026-07-01T00:00:00Z"), zone), zoneName(at("2026-12-01T00:00:00Z"), zone)], ["EDT", "EST"]);
  assert.equal(words(at("2026-11-21T02:30:00Z"), zone), "2026-11-20 21:30:0.0"); // another day
});

test("zones of half and quarter hours, of both sides of the world", () => {
  assert.equal(offsetMs(Date.parse("2026-01-15T12:00Z"), "Asia/Kathmandu"), 345 * 60_000);
  assert.equal(offsetMs(Date.parse("2026-01-15T12:00Z"), "Australia/Lord_Howe"), 660 * 60_000);
  assert.equal(offsetMs(Date.parse("2026-07-15T12:00Z"), "Australia/Lord_Howe"), 630 * 60_000); // it saves half an hour
  assert.equal(words(at("2026-12-31T10:00:00Z"), "Pacific/Kiritimati"), "2027-1-1 0:0:0.0");
  assert.deepEqual(
    [["2026-01-15", "Europe/Berlin"], ["2026-07-15", "Europe/Berlin"], ["2026-01-15", "Asia/Tokyo"], ["2026-01-15", "Asia/Kolkata"], ["2026-01-15", "Europe/London"], ["2026-07-15", "Europe/London"]]
      .map(([date, zone]) => zoneName(at(`${date}T12:00Z`), zone ?? "")),
    ["CET", "CEST", "UTC+9", "UTC+5:30", "GMT", "BST"],
  );
});

test("the offset is that of the moment, also when others of the zone were asked before", () => {
  const zone = "Europe/Berlin";
  for (const [text, hours] of [["2026-10-25T00:59:59Z", 2], ["2026-10-25T01:00:00Z", 1], ["2026-10-25T00:45:00Z", 2], ["2026-03-29T01:00:00Z", 2], ["2026-03-29T00:59:59.999Z", 1]] as const) {
    assert.equal(offsetMs(Date.parse(text), zone), hours * 3_600_000, text);
  }
  assert.equal(offsetMs(-1, zone), 3_600_000); // 1969
});

test("an exchange's zone follows from the instrument; what is traded around the clock is UTC", () => {
  const zones = {
    "binance:BTC-USDT": UTC, "yahoo:AAPL": "America/New_York", "finnhub:AAPL": "America/New_York", "yahoo:BMW.DE": "Europe/Berlin", "yahoo:7203.T": "Asia/Tokyo",
    "yahoo:BRK.B": "America/New_York", "yahoo:BTC-USD": UTC, "finnhub:EUR-USD": UTC, "sim-yahoo:AAPL": "America/New_York", "sim:BTC-USDT": UTC, "": UTC,
  };
  for (const [instrument, zone] of Object.entries(zones)) assert.equal(exchangeZone(instrument), zone, instrument);
  assert.deepEqual([zoneFor("utc", "yahoo:AAPL"), zoneFor("exchange", "yahoo:AAPL"), zoneFor("local", "yahoo:AAPL")], [UTC, "America/New_York", localZone()]);
  for (const [zone, known] of [["Europe/Berlin", true], ["UTC", true], ["Mars/Olympus", false], ["<b>", false]] as const) assert.equal(isZone(zone), known);
});

test("the page's clock follows the zone that was chosen", () => {
  const us = at("2026-07-04T23:05:07.042Z");
  assert.deepEqual([clock(us, true), day(us), zoneAt(us)], ["23:05:07.042", "2026-07-04", "UTC"]);
  assert.equal(useZone("Asia/Tokyo"), true);
  assert.equal(useZone("Asia/Tokyo"), false);
  assert.deepEqual([clock(us), day(us), zoneAt(us), dateOf(us).day], ["08:05:07", "2026-07-05", "UTC+9", 5]);
  useZone(UTC);
  assert.equal(clock(us), "23:05:07");
});
