"""Kraken's simulated wire: shapes as documented, acknowledgements, refusals, books proved by an independent client, REST."""

import json
import zlib
from decimal import Decimal

import pytest

from tapeline.clock import SECOND
from tapeline.sim import SimServer
from tapeline.sim import faults as f

SHAPES = {
    "book": "nautilus_ws_book_snapshot",
    "trade": "trade_update",
    "ticker": "ticker_snapshot_live",
    "ohlc": "ohlc_update_live",
    "instrument": "instrument_pair",
    "status": "status_live",
    "heartbeat": "heartbeat",
}


@pytest.fixture
async def kraken():
    """Time stands until `sim.play(seconds)`."""
    async with SimServer(venues=["kraken"], seed=3, live=False) as sim:
        yield sim


def connect(sim, session):
    return session.ws_connect(sim.ws_url("kraken") + "/v2", max_msg_size=0)


async def ask(ws, channel, *symbols, method="subscribe", **params):
    await ws.send_json({"method": method, "params": {"channel": channel, "symbol": list(symbols), **params}, "req_id": 5})


async def until_pong(ws):
    """All that was sent up to now, as texts."""
    await ws.send_json({"method": "ping", "req_id": 101})
    got = []
    while '"pong"' not in (text := await ws.receive_str(timeout=30)):
        got.append(text)
    return [text for text in got if "heartbeat" not in text]


def shape(value):
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


async def test_messages_have_the_documented_shape(kraken, session, shared_frames):
    async with connect(kraken, session) as ws:
        for channel, params in (("book", {"depth": 10}), ("trade", {}), ("ticker", {}), ("ohlc", {"interval": 1})):
            await ask(ws, channel, "BTC/USD", **params)
        await ws.send_json({"method": "subscribe", "params": {"channel": "instrument"}})
        got = [json.loads(text) for text in await until_pong(ws)]
        await kraken.play(3)
        got += [json.loads(text) for text in await until_pong(ws)]
    seen = {}
    for message in got:
        if "channel" in message:
            seen.setdefault((message["channel"], message.get("type")), message)
    assert got[0]["channel"] == "status"
    assert {kind for _, kind in seen} == {"snapshot", "update"}
    for (channel, kind), message in seen.items():
        document = json.loads((shared_frames / "documented" / "kraken_v2" / f"{SHAPES[channel]}.json").read_text())["payload"]
        if channel == "book" and kind == "update":
            assert shape(message)["data"][0].keys() == shape(document)["data"][0].keys()
        elif channel != "trade" or kind == "update":
            assert shape(message) == shape(document), channel


async def test_one_answer_a_symbol_then_snapshots(kraken, session, shared_frames):
    async with connect(kraken, session) as ws:
        await ask(ws, "book", "BTC/USD", "UNI/USD", "ETH/USD", depth=10, snapshot=True)
        got = [json.loads(text) for text in await until_pong(ws)][1:]
        assert [m.get("success", m.get("type")) for m in got] == [True, False, True, "snapshot", "snapshot"]
        ack = json.loads((shared_frames / "documented" / "kraken_v2" / "subscribe_ack_live.json").read_text())["payload"]
        refused = json.loads((shared_frames / "documented" / "kraken_v2" / "subscribe_error.json").read_text())["payload"]
        assert got[0]["result"] == {**ack["result"], "symbol": "BTC/USD"}
        assert set(got[0]) == {*ack, "req_id"}
        assert set(got[1]) == set(refused)
        assert got[1]["error"] == "Currency pair not supported UNI/USD"
        await ask(ws, "book", "BTC/USD", depth=10)
        await ask(ws, "book", "BTC/USD", depth=11)
        await ask(ws, "ticker", "BTC/USD")
        await ask(ws, "ticker", "BTC/USD", event_trigger="bbo")
        await ask(ws, "gossip", "BTC/USD")
        await ws.send_str("{")
        await ws.send_json({"method": "dance"})
        errors = [m["error"] for m in map(json.loads, await until_pong(ws)) if "error" in m]
        assert errors == [
            "Already subscribed", "Subscription depth not supported", "Already subscribed", "Subscription gossip not supported",
            "Invalid JSON", "Malformed request",
        ]  # fmt: skip
        await ask(ws, "book", "BTC/USD", depth=10, method="unsubscribe")
        (gone,) = [json.loads(text) for text in await until_pong(ws)]
        assert (gone["method"], gone["success"], gone["result"]) == (
            "unsubscribe",
            True,
            {"channel": "book", "depth": 10, "symbol": "BTC/USD"},
        )


async def test_too_many_messages_are_refused(kraken, session):
    async with connect(kraken, session) as ws:
        for _ in range(100):  # even if the second turns meanwhile
            await ws.send_json({"method": "ping"})
        answers = [json.loads(await ws.receive_str(timeout=30)) for _ in range(101)]
        assert [a.get("error") for a in answers].count("Exceeded msg rate") >= 9


class Book:
    """A client by the documents' rules, in texts and Decimals."""

    def __init__(self, depth):
        self.depth, self.sides, self.proved = depth, ({}, {}), 0

    def feed(self, text):
        message = json.loads(text, parse_float=str, parse_int=str)
        (data,) = message["data"]
        if message["type"] == "snapshot":
            self.sides = ({}, {})
        for side, name, sign in zip(self.sides, ("bids", "asks"), (-1, 1), strict=True):
            for level in data[name]:
                side[Decimal(level["price"])] = (level["price"], level["qty"])
                if not Decimal(level["qty"]):
                    del side[Decimal(level["price"])]
            for price in sorted(side, key=lambda p: sign * p)[self.depth :]:
                del side[price]
        digits = "".join(t.replace(".", "").lstrip("0") for side in self.levels()[::-1] for level in side[:10] for t in level)
        assert str(zlib.crc32(digits.encode())) == data["checksum"]
        self.proved += 1

    def feed_all(self, texts):
        for text in texts:
            if text.startswith('{"channel":"book"'):
                self.feed(text)

    def levels(self):
        bids, asks = self.sides
        return [bids[p] for p in sorted(bids, reverse=True)], [asks[p] for p in sorted(asks)]


@pytest.mark.parametrize(("symbol", "depth"), [("BTC/USD", 10), ("DOGE/USD", 25), ("ETH/USD", 1000)])
async def test_books_by_an_independent_client(kraken, session, symbol, depth):
    async with connect(kraken, session) as ws:
        await ask(ws, "book", symbol, depth=depth)
        book = Book(depth)
        for _ in range(4):
            await kraken.play(2)
            book.feed_all(await until_pong(ws))
        kraken.pause()
        book.feed_all(await until_pong(ws))
        truth = kraken.book("kraken", symbol)
        for ours, theirs in zip(book.levels(), (truth.bids, truth.asks), strict=True):
            assert [(float(p), float(s)) for p, s in ours] == [tuple(level) for level in theirs[:depth]]
        assert book.proved > 50
        kraken.resume()
        kraken.fault(f.Checksum(times=1))
        await kraken.play(1)
        spoiled = await until_pong(ws)
        with pytest.raises(AssertionError):
            book.feed_all(spoiled)


async def test_rest(kraken, session):
    async def get(path):
        async with session.get(kraken.http_url("kraken") + "/0/public/" + path) as answer:
            assert answer.status == 200
            return await answer.json()

    await kraken.play(5)
    pairs = (await get("AssetPairs"))["result"]
    assert pairs["XXBTZUSD"]["wsname"] == "XBT/USD"
    assert pairs["XXDGZUSD"]["altname"] == "XDGUSD"
    assert "SOLUSD" in pairs
    assert (await get("Trades?pair=NOPE")) == {"error": ["EQuery:Unknown asset pair"]}
    assert (await get("OHLC?pair=XBTUSD&interval=7"))["error"]
    assert (await get("Trades?pair=XBTUSD&count=x"))["error"]
    for name in ("XBTUSD", "XXBTZUSD", "BTC/USD"):
        result = (await get(f"Trades?pair={name}&count=5"))["result"]
        assert len(result["XXBTZUSD"]) == 5
    rows = result["XXBTZUSD"]
    assert [row[6] for row in rows] == list(range(rows[0][6], rows[0][6] + 5))
    since = (await get(f"Trades?pair=XBTUSD&since={round(rows[1][2] * SECOND) + 200}"))["result"]["XXBTZUSD"]
    assert since[0][6] in {rows[1][6], rows[2][6]}
    candles = (await get("OHLC?pair=XBTUSD&interval=5"))["result"]["XXBTZUSD"]
    assert candles[1][0] - candles[0][0] == 300
    assert (await get("Depth?pair=XBTUSD&count=3"))["result"]["XXBTZUSD"]["asks"][0][
        0
    ] == f"{kraken.book('kraken', 'BTC/USD').asks[0][0]:.1f}"


async def test_halts_and_shutdowns_are_told(kraken, session):
    async with connect(kraken, session) as ws:
        await ws.send_json({"method": "subscribe", "params": {"channel": "instrument", "snapshot": False}})
        assert len(await until_pong(ws)) == 2  # the status, the acknowledgement
        kraken.fault(f.Halt(symbol="BTC/USD"))
        await kraken.play(1)
        (told,) = [json.loads(text) for text in await until_pong(ws)]
        assert [(p["symbol"], p["status"]) for p in told["data"]["pairs"]] == [("BTC/USD", "cancel_only")]
        kraken.fault(f.Shutdown(grace=5))
        await kraken.play(1)
        (told,) = [json.loads(text) for text in await until_pong(ws)]
        assert told["data"][0]["system"] == "maintenance"
