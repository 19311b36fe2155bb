import assert from "node:assert/strict";
import { test } from "node:test";
import type { FeedState, Status } from "../src/api/types.ts";
import { health, type HealthInput, seekingText, troubleText } from "../src/state/health.ts";

const connection = { id: 1, venue: "sim", protocol: "binance", url: "", state: "up", since: 0, streams: 1, frames: 1, last_frame: 0, attempts: 0, latency_ms: 1 } as const;
const instrument = (state: FeedState, id = "sim:BTC-USDT") =>
  ({ id, state, book: "synced", last_event: 0, last_price: null, price_decimals: 2, size_decimals: 5, last_status: null }) as const;
const status = (change: Partial<Status> = {}): Status => ({
  mode: "live", reason: "", version: "0", session: "s", started: 0, now: 10_000_000, speed: null, frames: 0, events: 0, frames_per_second: 0,
  gaps: 0, rejected: 0, resyncs: 0, connections: [connection], instruments: [instrument("live")],
  tape: { state: "recording", reason: "", path: "", bytes: 0, frames: 0, lag_frames: 0 }, sinks: [], viewers: 1, dropped_viewers: 0, ...change,
});
const open = (change: Partial<Status> = {}, link: Partial<HealthInput> = {}) =>
  health({ link: "open", everOpen: true, silentMs: 100, retryInMs: null, status: status(change), ...link });

test("the mode is the state while all is well", () => {
  assert.deepEqual([open().kind, open().label, open().dead], ["live", "LIVE", false]);
  assert.equal(open({ mode: "simulated" }).label, "SIMULATED");
  assert.equal(open({ mode: "replay", speed: 10 }).label, "REPLAY ×10");
  assert.equal(open({ mode: "replay", speed: null }).label, "REPLAY MAX");
});

test("silence is never live: 3 s reconnecting, 10 s offline, and the age is said", () => {
  assert.equal(open({}, { silentMs: 2999 }).kind, "live");
  const silent = open({}, { silentMs: 4000 });
  assert.deepEqual([silent.kind, silent.dead], ["reconnecting", true]);
  assert.match(silent.detail, /for 4 s/);
  assert.equal(open({}, { silentMs: 12_000 }).kind, "offline");
});

test("a closed socket is dead at once and says when it tries again", () => {
  const closed = open({}, { link: "closed", silentMs: 300, retryInMs: 2000 });
  assert.deepEqual([closed.kind, closed.dead], ["reconnecting", true]);
  assert.match(closed.detail, /next try in 2 s/);
});

test("a page that is turned away says why, before and after its first status", () => {
  const closed = open({ mode: "replay", speed: 1 }, { link: "closed", refused: "closed" });
  assert.deepEqual([closed.kind, closed.label, closed.dead, closed.mode], ["offline", "REPLAY CLOSED", true, "replay"]);
  const never = health({ link: "closed", everOpen: false, silentMs: 100, retryInMs: 10, status: null, refused: "token" });
  assert.deepEqual([never.label, never.dead], ["SIGN IN", true]);
  assert.equal(open({}, { refused: "token" }).kind, "live"); // the link is there again: it holds no more
});

test("before the first status it is connecting, then offline", () => {
  assert.equal(health({ link: "connecting", everOpen: false, silentMs: 500, retryInMs: null, status: null }).kind, "connecting");
  assert.equal(health({ link: "closed", everOpen: false, silentMs: 11_000, retryInMs: 0, status: null }).kind, "offline");
  assert.equal(health({ link: "open", everOpen: true, silentMs: 0, retryInMs: null, status: null }).kind, "connecting");
});

test("without any instrument's data it is connecting, never live", () => {
  const none = open({ connections: [], instruments: [] });
  assert.deepEqual([none.kind, none.dead, none.detail], ["connecting", true, "nothing from the venues yet"]);
  const trying = open({ connections: [{ ...connection, venue: "binance", state: "connecting" }], instruments: [] });
  assert.deepEqual([trying.kind, trying.detail], ["connecting", "nothing from binance yet"]);
  assert.equal(open({ mode: "replay", connections: [], instruments: [] }).kind, "replay");
});

test("a recording that has ended says so", () => {
  assert.match(open({ mode: "replay", finished: true, connections: [] }).detail, /the recording has ended/);
});

test("a closed market is no trouble, and all of them closed are not stale", () => {
  const some = open({ instruments: [instrument("closed", "yahoo:AAPL"), instrument("live", "yahoo:BTC-USD")] });
  assert.deepEqual([some.kind, some.detail], ["live", ""]);
  const all = open({ instruments: [instrument("closed", "yahoo:AAPL"), instrument("closed", "yahoo:MSFT")] });
  assert.deepEqual([all.kind, all.label, all.dead], ["closed", "CLOSED", false]);
  const stale = open({ instruments: [instrument("closed", "yahoo:AAPL"), instrument("stale", "yahoo:BTC-USD")] });
  assert.deepEqual([stale.kind, stale.dead], ["stale", true]);
  assert.match(stale.detail, /^yahoo:BTC-USD stale/);
  assert.equal(open({ mode: "replay", speed: 1, instruments: [instrument("closed")] }).kind, "replay");
  assert.match(troubleText({ ...instrument("closed"), last_event: 1_000_000 }, 3_601_000_000), /^closed, last 60 m ago/);
});

test("trouble outranks the mode but never hides it", () => {
  const tape = { ...status().tape, state: "failing", reason: "disk full" } as const;
  const failing = open({ mode: "simulated", tape });
  assert.deepEqual([failing.kind, failing.label, failing.mode, failing.dead], ["failing", "TAPE FAILING", "simulated", false]);
  assert.match(failing.detail, /disk full/);
  const down = open({ connections: [{ ...connection, state: "down", attempts: 3, since: 6_000_000 }] });
  assert.deepEqual([down.kind, down.dead], ["reconnecting", true]);
  assert.match(down.detail, /sim for 4 s, attempt 3/);
});

test("stale when no instrument is live, a remark when some are not", () => {
  const all = open({ instruments: [instrument("stale"), instrument("disconnected", "b")] });
  assert.deepEqual([all.kind, all.dead], ["stale", true]);
  const one = open({ instruments: [instrument("live"), instrument("resyncing", "sim:ETH-USDT")] });
  assert.equal(one.kind, "live");
  assert.match(one.detail, /sim:ETH-USDT resynchronising/);
});

test("an instrument's trouble names its age and reason", () => {
  assert.equal(troubleText(instrument("live"), 0), "");
  assert.equal(troubleText({ ...instrument("stale"), last_event: 4_000_000 }, 16_000_000), "stale, last event 12 s ago");
  const said = { instrument: "", ts_event: 0, ts_recv: 0, flags: [], venue: "", channel: "", from_seq: null, to_seq: null, count: null };
  const resyncing = { ...instrument("resyncing"), last_status: { ...said, kind: "gap", reason: "ids 5–9 missing" } };
  assert.equal(troubleText(resyncing, 0), "resynchronising (ids 5–9 missing)");
  assert.equal(troubleText({ ...resyncing, state: "disconnected" }, 0), "disconnected");
});

test("a seek says how far it has come, once it has come anywhere", () => {
  assert.deepEqual([null, undefined, 0, 0.004, 0.436, 1].map(seekingText), ["seeking", "seeking", "seeking", "seeking, 0 %", "seeking, 43 %", "seeking, 100 %"]);
});
