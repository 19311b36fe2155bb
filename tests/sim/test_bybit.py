"""Bybit's wire against the venue's documents: the same keys in the same order, the same answers, books that continue by `u`."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tapeline.sim import SimServer
from tapeline.sim import faults as f
from tapeline.sim.instrument import Liquidation

MS = 1_000_000


@pytest.fixture
async def sim():
    """Time stands until `sim.play(seconds)`."""
    async with SimServer(venues=["bybit"], seed=7, live=False, rate=2.0) as sim:
        yield sim


@pytest.fixture
def documented(shared_frames: Path) -> dict[str, Any]:
    return {p.stem: json.loads(p.read_text())["payload"] for p in (shared_frames / "documented" / "bybit_v5").glob("*.json")}


class Client:
    """One connection: what it got, by topic."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.got: list[dict[str, Any]] = []

    async def say(self, message: Any) -> dict[str, Any]:
        """Send it, and give the answer; what else comes is kept."""
        await self.ws.send_str(message if isinstance(message, str) else json.dumps(message))
        while True:
            got = json.loads((await self.ws.receive(timeout=30)).data)
            if "topic" not in got:
                return got
            self.got.append(got)

    async def subscribe(self, *topics: str, op: str = "subscribe") -> dict[str, Any]:
        return await self.say({"req_id": "7", "op": op, "args": topics})

    async def of(self, topic: str) -> list[dict[str, Any]]:
        """All that the topic has said up to now."""
        await self.say({"op": "ping"})
        return [m for m in self.got if m["topic"] == topic]


@pytest.fixture
async def client(sim):
    async with aiohttp.ClientSession() as session:

        async def connect(category: str) -> Client:
            ws = await session.ws_connect(f"{sim.ws_url('bybit')}/v5/public/{category}", max_msg_size=0)
            return Client(ws)

        yield connect


def keys(message: Any) -> Any:
    """The order of keys, all the way down; of a list that of its first item."""
    if isinstance(message, dict):
        return [(k, keys(v)) for k, v in message.items()]
    return keys(message[0]) if isinstance(message, list) and message else None


def outer(message: dict[str, Any]) -> list[str]:
    return list(message)


@pytest.mark.parametrize(("category", "ack", "pong"), [("spot", "connect_public_spot_1", "connect_spot_1"),
                                                       ("linear", "connect_linear_inverse_2", "connect_linear_inverse_1"),
                                                       ("inverse", "connect_linear_inverse_2", "connect_linear_inverse_1")])  # fmt: skip
async def test_answers_are_the_documents(client, documented, category, ack, pong):
    symbol = "BTCUSD" if category == "inverse" else "BTCUSDT"
    c = await client(category)
    wanted = documented[ack]
    got = await c.say({"req_id": wanted["req_id"], "op": "subscribe", "args": [f"publicTrade.{symbol}"]})
    assert {**got, "conn_id": ""} == {**wanted, "conn_id": ""}
    assert outer(got) == outer(wanted)
    got = await c.say({"op": "ping"})
    assert {**got, "conn_id": ""} == {**documented[pong], "conn_id": ""}
    assert outer(got) == outer(documented[pong])
    gone = await c.subscribe(f"publicTrade.{symbol}", op="unsubscribe")
    assert (gone["success"], gone["req_id"], gone["op"]) == (True, "7", "unsubscribe")


async def test_messages_have_the_documents_keys_in_their_order(sim, client, documented):
    c, spot = await client("linear"), await client("spot")
    await c.subscribe("publicTrade.BTCUSDT", "orderbook.200.BTCUSDT", "kline.5.BTCUSDT")
    await spot.subscribe("tickers.BTCUSDT", "publicTrade.BTCUSDT", "orderbook.50.BTCUSDT")
    await sim.play(2)
    for topic, name in (("orderbook.200.BTCUSDT", "orderbook_snapshot_1"), ("kline.5.BTCUSDT", "kline_response_example_1")):
        assert keys((await c.of(topic))[0]) == keys(documented[name]), topic
    ((trade_keys, rows),) = [(outer(m), m["data"]) for m in (await c.of("publicTrade.BTCUSDT"))[:1]]
    assert trade_keys == outer(documented["trade_response_example_1"])
    assert set(rows[0]) == {*documented["trade_response_example_1"]["data"][0], "RPI"}
    (ticker, *_) = await spot.of("tickers.BTCUSDT")
    assert outer(ticker) == outer(documented["ticker_spot_1"])
    assert {*ticker["data"], "usdIndexPrice"} == set(documented["ticker_spot_1"]["data"])
    for topic in ("publicTrade.BTCUSDT", "orderbook.50.BTCUSDT"):
        assert outer((await spot.of(topic))[0])[:3] == ["topic", "ts", "type"]


@pytest.mark.parametrize(("category", "native"), [("spot", "BTCUSDT"), ("linear", "ETHUSDT"), ("inverse", "BTCUSD")])
@pytest.mark.parametrize("depth", [50, 200, 1000])
async def test_books_continue_by_u_and_keep_their_depth(sim, client, category, native, depth):
    c = await client(category)
    await sim.play(1)
    await c.subscribe(f"orderbook.{depth}.{native}")
    await sim.play(4)
    sim.pause()
    messages = await c.of(f"orderbook.{depth}.{native}")
    assert [m["type"] for m in messages] == ["snapshot", *["delta"] * (len(messages) - 1)]
    assert len(messages) > 10
    bids, asks = book_of(messages)
    truth = sim.book("bybit", f"{category}/{native}")
    assert bids == truth.bids[:depth]
    assert asks == truth.asks[:depth]


def book_of(messages: list[dict[str, Any]]) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    sides: tuple[dict[float, float], dict[float, float]] = ({}, {})
    u = None
    for m in messages:
        if m["type"] == "snapshot" or m["data"]["u"] == 1:
            sides = ({}, {})
        else:
            assert m["data"]["u"] == u + 1
        u = m["data"]["u"]
        for side, key in zip(sides, "ba", strict=True):
            for price, size in m["data"][key]:
                if size == "0":
                    del side[float(price)]
                else:
                    side[float(price)] = float(size)
    return sorted(sides[0].items(), reverse=True), sorted(sides[1].items())


async def test_level_one_is_snapshots_repeated_after_three_seconds(sim, client):
    c = await client("linear")
    await c.subscribe("orderbook.1.BTCUSDT")
    await sim.play(2)
    messages = await c.of("orderbook.1.BTCUSDT")
    assert {m["type"] for m in messages} == {"snapshot"}
    ids = [m["data"]["u"] for m in messages]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    sim.market.halt("bybit", "linear/BTCUSDT")
    await sim.play(7)
    *_, last, once, twice = await c.of("orderbook.1.BTCUSDT")
    assert last["data"]["b"] == []
    assert (once["data"], twice["data"]) == (last["data"], last["data"])
    assert twice["ts"] - once["ts"] == once["ts"] - last["ts"] == 3_000


async def test_a_reset_is_a_snapshot_numbered_one(sim, client):
    c = await client("linear")
    await c.subscribe("orderbook.200.BTCUSDT")
    await sim.play(1)
    sim.fault(f.Reset())
    await sim.play(1)
    sim.pause()
    messages = await c.of("orderbook.200.BTCUSDT")
    whole = [i for i, m in enumerate(messages) if m["type"] == "snapshot"]
    assert [messages[i]["data"]["u"] == 1 for i in whole] == [False, True]
    bids, asks = book_of(messages)
    truth = sim.book("bybit", "linear/BTCUSDT")
    assert (bids, asks) == (truth.bids[:200], truth.asks[:200])


async def test_tickers_of_contracts_tell_what_changed_from_where_the_stream_stands(sim, client):
    c, late = await client("inverse"), await client("inverse")
    await c.subscribe("tickers.BTCUSD")
    await sim.play(2)
    await late.subscribe("tickers.BTCUSD")
    await sim.play(2)
    merged = []
    for one in (c, late):
        first, *rest = await one.of("tickers.BTCUSD")
        assert (first["type"], {m["type"] for m in rest}) == ("snapshot", {"delta"})
        assert all(m["data"].keys() < first["data"].keys() for m in rest)
        data = dict(first["data"])
        for m in rest:
            data |= m["data"]
        merged.append(data)
    assert merged[0] == merged[1]


def test_liquidations_are_gathered_for_half_a_second_and_name_the_position(documented):
    """They are rare: one is put by hand."""
    sim = SimServer(venues=["bybit"], seed=1, live=False)
    wire = sim.wires["bybit"]
    line = wire.lines["linear/BTCUSDT"]
    line.instrument.liquidations.append(Liquidation(1_739_502_302_929 * MS, True, 20, 970_000, 970_000.0))
    assert list(wire.payloads("allLiquidation", line, 10_000_000_025 * MS)) == []
    line.instrument.liquidations.clear()
    (text,) = wire.payloads("allLiquidation", line, 10_000_000_500 * MS)
    message = json.loads(text)
    assert keys(message) == keys(documented["all_liquidation_response_example_1"])
    # sold by force, so a long position was closed; 20 lots of 0.001 at 970,000 ticks of 0.10
    assert message["data"] == [{"T": 1739502302929, "s": "BTCUSDT", "S": "Buy", "v": "0.020", "p": "97000.00"}]
    assert list(wire.payloads("allLiquidation", line, 10_000_001_000 * MS)) == []


REFUSALS = [
    ("linear", ["publicTrade.NOPE"], "error:handler not found,topic:publicTrade.NOPE"),
    ("linear", ["publicTrade.BTCUSDT", "orderbook.7.BTCUSDT"], "error:handler not found,topic:orderbook.7.BTCUSDT"),
    ("spot", ["allLiquidation.BTCUSDT"], "error:handler not found,topic:allLiquidation.BTCUSDT"),
    ("spot", ["publicTrade.BTCUSDT"] * 11, "error:args size >10"),
    ("inverse", ["publicTrade.BTCUSDT"], "error:handler not found,topic:publicTrade.BTCUSDT"),
]


@pytest.mark.parametrize(("category", "topics", "error"), REFUSALS)
async def test_one_bad_topic_costs_the_message(sim, client, category, topics, error):
    c = await client(category)
    got = await c.subscribe(*topics)
    assert (got["success"], got["ret_msg"], got["req_id"], got["op"]) == (False, error, "7", "subscribe")
    await sim.play(1)
    assert await c.of("publicTrade.BTCUSDT") == []


async def test_what_is_no_request(client):
    c = await client("linear")
    for message in ("{", "[]", '{"op":"dance"}', '{"op":"subscribe","args":"x"}'):
        assert (await c.say(message))["success"] is False
    await c.subscribe("publicTrade.BTCUSDT")
    assert (await c.subscribe("publicTrade.BTCUSDT"))["ret_msg"] == "error:already subscribed,topic:publicTrade.BTCUSDT"


async def test_who_says_nothing_is_cut_and_a_ping_is_something():
    async with SimServer(venues=["bybit"], live=False, patience=0.005) as sim, aiohttp.ClientSession() as session:  # 3 s
        address = f"{sim.ws_url('bybit')}/v5/public/linear"
        async with session.ws_connect(address) as mute, session.ws_connect(address) as alive:
            mute_is_cut = asyncio.ensure_future(mute.receive(timeout=30))
            while not mute_is_cut.done():
                assert (await Client(alive).say({"op": "ping"}))["ret_msg"] == "pong"
                await asyncio.sleep(0.1)
            assert (await mute_is_cut).type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}
            assert (await Client(alive).say({"op": "ping"}))["success"]


async def ask(sim: SimServer, path: str) -> Any:
    async with aiohttp.ClientSession() as session, session.get(f"{sim.http_url('bybit')}/v5/market/{path}") as answer:
        assert answer.status == 200
        return await answer.json()


async def test_trades_over_http_are_those_of_the_stream_newest_first(sim, client):
    for category, symbol in (("spot", "BTCUSDT"), ("linear", "BTCUSDT"), ("inverse", "BTCUSD")):
        c = await client(category)
        await c.subscribe(f"publicTrade.{symbol}")
        await sim.play(3)
        live = [t for m in await c.of(f"publicTrade.{symbol}") for t in m["data"]][-20:]
        answer = await ask(sim, f"recent-trade?category={category}&symbol={symbol}&limit={len(live)}")
        rows = answer["result"]["list"]
        assert [(r["execId"], r["price"], r["size"], r["side"], int(r["time"])) for r in reversed(rows)] == [
            (t["i"], t["p"], t["v"], t["S"], t["T"]) for t in live
        ]
    assert len((await ask(sim, "recent-trade?category=spot&symbol=BTCUSDT&limit=1000"))["result"]["list"]) <= 60


async def test_other_answers(sim):
    listed = {
        c: (await ask(sim, f"instruments-info?category={c}&limit=1000"))["result"]["list"]
        for c in ("spot", "linear", "inverse")
    }
    assert {c: [i["symbol"] for i in items] for c, items in listed.items()} == {
        "spot": ["BTCUSDT", "ETHUSDT"],
        "linear": ["BTCUSDT", "ETHUSDT", "SOLUSDT"],
        "inverse": ["BTCUSD"],
    }
    assert listed["linear"][0]["lotSizeFilter"]["qtyStep"] == "0.001"
    candles = (await ask(sim, "kline?category=inverse&symbol=BTCUSD&interval=60&limit=5"))["result"]["list"]
    starts = [int(c[0]) for c in candles]
    assert starts == sorted(starts, reverse=True)
    assert len(starts) == 5
    for _, _, high, low, _, volume, turnover in candles:
        assert float(low) <= float(volume) / float(turnover) <= float(high)  # contracts of 1 USD, worth so many BTC
    book = (await ask(sim, "orderbook?category=linear&symbol=BTCUSDT&limit=50"))["result"]
    truth = sim.book("bybit", "linear/BTCUSDT")
    assert [(float(p), float(s)) for p, s in book["b"]] == truth.bids[:50]
    for path, text in (
        ("kline?category=linear&symbol=BTCUSDT&interval=7", "Invalid period!"),
        ("kline?category=linear&symbol=NOPE&interval=5", "Not supported symbols"),
        ("recent-trade?category=stocks&symbol=BTCUSDT", "params error: Category is invalid"),
        ("recent-trade?category=spot&symbol=BTCUSDT&limit=0", "params error: limit is invalid"),
    ):
        answer = await ask(sim, path)
        assert (answer["retCode"], answer["retMsg"]) == (10001, text)


async def test_a_category_of_which_nothing_runs_is_an_empty_list():
    async with SimServer(venues=["bybit"], seed=7, live=False, instruments=["spot/BTCUSDT"]) as sim:
        for category in ("linear", "inverse"):
            answer = await ask(sim, f"instruments-info?category={category}&limit=1000")
            assert (answer["retCode"], answer["result"]) == (0, {"category": category, "list": [], "nextPageCursor": ""})


async def test_a_dated_future_and_one_in_usdc():
    natives = ["linear/BTCUSDT-26MAR27", "linear/BTCPERP", "inverse/BTCUSDH27"]
    async with SimServer(venues=["bybit"], seed=7, live=False, instruments=natives) as sim:
        await sim.play(1)
        for native in natives:
            category, symbol = native.split("/")
            (listed,) = (await ask(sim, f"instruments-info?category={category}&symbol={symbol}"))["result"]["list"]
            assert (listed["deliveryTime"] == "0") == (symbol == "BTCPERP")
            assert listed["contractType"] == f"{category.title()}{'Perpetual' if symbol == 'BTCPERP' else 'Futures'}"
            price = sim.book("bybit", native).bids[0][0]
            assert 50_000 < price < 200_000
