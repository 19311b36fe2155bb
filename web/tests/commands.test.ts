import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { type Command, fits, found } from "../src/state/commands.ts";
import { actionOf, hintOf, KEYS, keysNow } from "../src/state/keys.ts";
import { readLink, writeLink } from "../src/state/link.ts";
import { Settings, SETTINGS } from "../src/state/settings.ts";

const command = (group: string, title: string, detail = ""): Command => ({ group, title, detail, run: () => undefined });
const ALL = [
  command("Instruments", "ETH-USDT", "sim"), command("Instruments", "BTC-USDT", "sim"), command("Panels", "Trades"), command("Layouts", "Trading", "all at once"),
  command("Settings", "Theme: Dark"), command("Settings", "Theme: Light", "chosen"), command("Intervals", "1m"), command("Intervals", "15m"),
];
const titles = (query: string): string[] => found(query, ALL).map((c) => c.title);

test("a few letters find what begins with them first; every word must be found", () => {
  assert.deepEqual(titles("eth"), ["ETH-USDT"]);
  assert.deepEqual(titles("usdt"), ["ETH-USDT", "BTC-USDT"]);
  assert.deepEqual(titles("tra"), ["Trades", "Trading"]);
  assert.deepEqual(titles("dark"), ["Theme: Dark"]);
  assert.deepEqual(titles("theme li"), ["Theme: Light"]);
  assert.deepEqual(titles("1m"), ["1m"]);
  assert.deepEqual(titles("settings"), ["Theme: Dark", "Theme: Light"]);
  assert.deepEqual(titles("btc nothing"), []);
  assert.equal(titles("").length, ALL.length);
  assert.deepEqual([fits("btc", "btc-usdt"), fits("usdt", "btc-usdt"), fits("sdt", "btc-usdt"), fits("bus", "btc-usdt"), fits("bt", "b-t"), fits("x", "btc")], [5, 4, 2, 1, 0, 0]);
});

test("no key means two things, and each has an action or says where it works", () => {
  const keys = KEYS.flatMap((row) => row.keys);
  assert.equal(new Set(keys).size, keys.length);
  for (const row of KEYS) assert.ok(row.keys.length === 0 ? /^on a tab/.test(row.what) : row.action);
  assert.deepEqual(actionOf("5", false), { action: "interval", at: 4 });
  assert.equal(actionOf("q", false), null);
  assert.deepEqual([hintOf("interval", 2), hintOf("instrument", 1), hintOf("play"), hintOf("none")], ["3", "↓", "Space", ""]);
  const main = readFileSync(new URL("../src/main.ts", import.meta.url), "utf8");
  for (const { action } of KEYS) if (action) assert.match(main, new RegExp(`^  ${action}: `, "m"), action);
});

test("what plays a recording is there in a replay alone", () => {
  assert.deepEqual([actionOf(" ", false), actionOf(".", false)], [null, null]);
  assert.deepEqual([actionOf(" ", true)?.action, actionOf(".", true)?.action, actionOf("r", false)?.action], ["play", "step", "recordings"]);
  assert.deepEqual(KEYS.filter((row) => !keysNow(false).includes(row)).map((row) => row.action), ["play", "step"]);
});

test("a link is read part by part, and what is not of its form is not there", () => {
  const link = { layout: "1~r(284p:watch,0.5:chart.tape!)", instrument: "sim:BTC-USDT", interval: "1h@XNYS" };
  assert.deepEqual(readLink(writeLink(link)), link);
  assert.equal(writeLink(link), "#layout=1~r(284p:watch,0.5:chart.tape!)&instrument=sim:BTC-USDT&interval=1h@XNYS");
  assert.deepEqual(readLink("#layout=@monitor"), { layout: "@monitor" });
  assert.deepEqual(readLink(writeLink({ instrument: "yahoo:^GSPC", interval: "tick:500" })), { instrument: "yahoo:^GSPC", interval: "tick:500" });
  for (const bad of ["#layout=<script>", "#instrument=javascript:%3Cb%3E", "#instrument=BTC", "#interval=1m%20or%201", `#layout=${"a".repeat(2000)}`, "#", "", "#%", "#layout"]) {
    assert.deepEqual(readLink(bad), {}, bad);
  }
});

test("settings take what is among their options only, and know their first state", () => {
  const kept: Record<string, string> = { theme: "purple", volume: "7" };
  const told: string[] = [];
  const settings = new Settings({ get: (k) => kept[k] ?? null, set: (k, v) => void (kept[k] = v) }, (key) => told.push(key));
  assert.deepEqual(SETTINGS.map(({ key }) => settings.get(key)), ["system", "classic", "utc", "compact", "system", "off"]);
  assert.equal(settings.volume, 0.5);
  settings.set("zone", "mars");
  assert.deepEqual(told, []);
  settings.next("zone");
  settings.next("zone");
  assert.equal(settings.get("zone"), "exchange");
  settings.next("zone");
  assert.equal(settings.get("zone"), "utc");
  settings.volume = 3;
  assert.equal(settings.volume, 1);
  settings.set("palette", "red-up");
  settings.reset();
  assert.deepEqual([settings.get("palette"), settings.volume], ["classic", 0.5]);
});
