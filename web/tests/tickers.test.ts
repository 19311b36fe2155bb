import assert from "node:assert/strict";
import { test } from "node:test";
import * as rest from "../src/api/rest.ts";
import type { Bar, Ticker } from "../src/api/types.ts";
import type { Market } from "../src/state/market.ts";
import { Tickers, volumeOf } from "../src/state/tickers.ts";

const told = (instrument: string, volume: number | null, notional: number | null): Ticker => ({
  instrument, volume, notional, change_pct: null, mark: null, index: null, funding_rate: null, next_funding: null, open_interest: null,
});

/** All that is asked from now on is answered so; what was asked comes back. */
function answering(answer: () => Response): readonly string[] {
  const asked: string[] = [];
  globalThis.fetch = (url) => {
    asked.push(String(url));
    return Promise.resolve().then(answer);
  };
  return asked;
}

test("volume is the venue's, else the day's, in the quote asset; what is only reckoned says so", () => {
  const ticker = told("x", 10, 900);
  assert.deepEqual(volumeOf(ticker, undefined, 100), { value: 900, of: "24h", exact: true });
  assert.deepEqual(volumeOf({ ...ticker, notional: null }, undefined, 100), { value: 1000, of: "24h", exact: false });
  const bar = { volume: 3, vwap: 50, notional: 151, complete: true } as unknown as Bar;
  assert.deepEqual(volumeOf({ ...ticker, notional: null, volume: null }, bar, 100), { value: 151, of: "day", exact: true });
  assert.deepEqual(volumeOf(undefined, { ...bar, complete: false }, 100), { value: 151, of: "day", exact: false });
  assert.equal(volumeOf(undefined, undefined, 100), null);
});

test("the question of all tickers, and an answer that is none", async () => {
  const asked = answering(() => Response.json({ tickers: [told("x", 1, 2)] }));
  assert.deepEqual(await rest.tickers(), [told("x", 1, 2)]);
  assert.deepEqual(asked, ["/api/v1/tickers?"]);
  answering(() => Response.json({ error: { code: "busy" } }, { status: 503 }));
  await assert.rejects(rest.tickers(), (error) => error instanceof rest.Refused && error.status === 503);
});

test("a server that refuses or is gone takes no figures away, one that tells no more does", async () => {
  Object.assign(globalThis, { document: { hidden: false } });
  let changed = (): void => undefined;
  const tickers = new Tickers({ rows: new Map() } as unknown as Market, () => changed());
  tickers.look(true);
  const asks = async (answer: () => Response): Promise<Ticker | undefined> => {
    answering(answer);
    tickers.fill(); // at once, not after its seconds
    await new Promise<void>((done) => {
      changed = done;
      tickers.second();
    });
    await new Promise((done) => setImmediate(done)); // it has said so, and is done
    return tickers.ticker("x");
  };
  const known = told("x", 1, 2);
  assert.deepEqual(await asks(() => Response.json({ tickers: [known] })), known);
  assert.deepEqual(await asks(() => Response.json({}, { status: 503 })), known);
  assert.deepEqual(await asks(() => new Response("<html>")), known);
  const gone = (): Response => {
    throw new TypeError("fetch failed");
  };
  assert.deepEqual(await asks(gone), known);
  assert.equal(await asks(() => Response.json({ tickers: [] })), undefined);
});
