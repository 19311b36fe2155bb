import assert from "node:assert/strict";
import { test } from "node:test";
import type { Health } from "../src/state/health.ts";
import { Row } from "../src/state/market.ts";
import { titleOf } from "../src/state/title.ts";

const health = (label: string, dead = false): Health => ({ label, dead, kind: "live", detail: "", mode: "live" }) as unknown as Health;
function row(state: string): Row {
  const made = new Row("binance:BTC-USDT");
  made.info = { id: made.id, state, price_decimals: 2, size_decimals: 5, last_price: 67250.01 } as never;
  return made;
}
const title = (label: string, dead: boolean, state: string, raised: string[] = [], resting = false): string =>
  titleOf({ health: health(label, dead), row: row(state), raised, resting });

test("price and symbol while they hold", () => {
  assert.equal(title("LIVE", false, "live"), "67,250.01 BTC-USDT · Tapeline");
  assert.equal(title("SIMULATED", false, "live"), "SIMULATED · 67,250.01 BTC-USDT · Tapeline");
  assert.equal(title("LIVE", false, "closed", ["high"]), "▲ high · 67,250.01 BTC-USDT · Tapeline");
  assert.equal(title("LIVE", false, "live", ["a", "b"]), "▲ 2 alerts · 67,250.01 BTC-USDT · Tapeline");
});

test("of what may be old no price is told", () => {
  assert.equal(title("OFFLINE", true, "live"), "OFFLINE · BTC-USDT · Tapeline");
  assert.equal(title("STALE", false, "stale"), "STALE · BTC-USDT · Tapeline");
  assert.equal(title("LIVE", false, "live", [], true), "BTC-USDT · Tapeline");
  assert.equal(titleOf({ health: health("CONNECTING", true), row: undefined, raised: [], resting: false }), "CONNECTING · Tapeline");
});
