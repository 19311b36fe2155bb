"""Coinbase's simulated feeds as a client of the documents sees them, with json and no decoder of Tapeline's."""

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tapeline.sim import SimServer
from tapeline.sim.faults import Split

EXCHANGE, ADVANCED = "coinbase", "coinbase-advanced"


@pytest.fixture
async def sim():
    async with SimServer(venues=[EXCHANGE, ADVANCED], instruments=["BTC-USD", "ETH-USD"], seed=3, live=False) as sim:
        yield sim


def subscribe(*channels: Any, op: str = "subscribe", **more: Any) -> dict[str, Any]:
    return {"type": op, "channels": list(channels), **more}


def asked(channel: str, *products: str, op: str = "subscribe") -> dict[str, Any]:
    return {"type": op, "product_ids": list(products), "channel": channel}


async def said(ws: aiohttp.ClientWebSocketResponse, *messages: dict[str, Any], until: str) -> list[dict[str, Any]]:
    """Send, and read up to the first message of a kind, that one included."""
    for message in messages:
        await ws.send_str(json.dumps(message))
    got: list[dict[str, Any]] = []
    while not got or until not in {got[-1].get("type"), got[-1].get("channel")}:
        got.append(json.loads(await ws.receive_str(timeout=30)))
    return got


async def all_of(sim: SimServer, ws: aiohttp.ClientWebSocketResponse, seconds: float) -> list[dict[str, Any]]:
    """What comes in so many seconds of market, up to a whole one: an error that is asked for ends it."""
    await sim.play(seconds)
    sim.pause()
    return (await said(ws, {"type": "bye"}, until="error"))[:-1]


def folded(messages: list[dict[str, Any]]) -> dict[str, dict[Decimal, Decimal]]:
    """The book of one product, by the documents: a snapshot, then changes in their order."""
    sides: dict[str, dict[Decimal, Decimal]] = {"buy": {}, "sell": {}}
    for m in messages:
        if m["type"] == "snapshot":
            sides = {side: {Decimal(p): Decimal(s) for p, s in m[key]} for side, key in (("buy", "bids"), ("sell", "asks"))}
        for side, price, size in m.get("changes", []):
            sides[side][Decimal(price)] = Decimal(size)
            if not Decimal(size):
                del sides[side][Decimal(price)]
        assert max(sides["buy"]) < min(sides["sell"])
    return sides


async def test_one_message_is_answered_with_everything_that_is_subscribed(sim, session):
    async with session.ws_connect(sim.ws_url(EXCHANGE), max_msg_size=0) as ws:
        first = await said(ws, subscribe("level2_batch", {"name": "heartbeat", "product_ids": ["ETH-USD"]}, product_ids=["BTC-USD"]),
                           until="subscriptions")  # fmt: skip
        assert [m["type"] for m in first] == ["subscriptions"]  # the snapshot follows it
        assert first[0]["channels"] == [
            {"name": "level2_50", "product_ids": ["BTC-USD"], "account_ids": None},
            {"name": "heartbeat", "product_ids": ["ETH-USD"], "account_ids": None},
        ]
        *between, second = await said(ws, subscribe("matches", product_ids=["BTC-USD"]), until="subscriptions")
        assert [m["type"] for m in between] == ["snapshot"]
        assert [c["name"] for c in second["channels"]] == ["level2_50", "heartbeat", "matches"]
        *_, third = await said(ws, subscribe("heartbeat", "matches", op="unsubscribe"), until="subscriptions")
        assert [c["name"] for c in third["channels"]] == ["level2_50"]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (subscribe("level2", product_ids=["BTC-USD"]), "level2 channel requires authentication"),
        (subscribe("level9", product_ids=["BTC-USD"]), "level9 is not a valid channel"),
        (subscribe("level2_batch", product_ids=["BTC-USD", "NO-USD"]), "NO-USD is not a valid product"),
    ],
)
async def test_a_message_is_obeyed_as_a_whole_or_not_at_all(sim, session, message, reason):
    async with session.ws_connect(sim.ws_url(EXCHANGE), max_msg_size=0) as ws:
        (refused,) = await said(ws, message, until="error")
        assert refused == {"type": "error", "message": "Failed to subscribe", "reason": reason}
        assert not await all_of(sim, ws, 1)


async def test_messages_have_the_documents_keys(sim, session, shared_frames: Path):
    """Every key that a document shows stands in what the simulator sends, and is of the same kind."""
    kinds = {
        "heartbeat": "heartbeat_channel*2.json",
        "match": "match_*1.json",
        "ticker": "ticker_channel*2.json",
        "l2update": "multiple*.json",
    }
    async with session.ws_connect(sim.ws_url(EXCHANGE), max_msg_size=0) as ws:
        channels = ("heartbeat", "matches", "ticker", "level2_batch")
        await said(ws, subscribe(*channels, product_ids=["BTC-USD"]), until="subscriptions")
        messages = {m["type"]: m for m in await all_of(sim, ws, 10)}
    for kind, pattern in kinds.items():
        (path,) = (shared_frames / "documented" / "coinbase_exchange").glob(pattern)
        payload = json.loads(path.read_text())["payload"]
        sent = {k: type(v) for k, v in messages[kind].items()}
        assert sent == {k: type(v) for k, v in payload.items()}, kind


async def test_books_by_the_documents_and_over_http(sim, session):
    async with session.ws_connect(sim.ws_url(EXCHANGE), max_msg_size=0) as ws:
        await said(ws, subscribe("level2_batch", product_ids=["BTC-USD"]), until="subscriptions")
        sim.fault(Split(times=0, stream="level2*"))
        messages = await all_of(sim, ws, 20)
    assert len(messages) > 300
    sides, truth = folded(messages), sim.book(EXCHANGE, "BTC-USD")
    assert sorted(sides["buy"], reverse=True) == [Decimal(str(p)) for p, _ in truth.bids]
    async with session.get(f"{sim.http_url(EXCHANGE)}/products/BTC-USD/book?level=2") as answer:
        book = await answer.json()
    assert {Decimal(p): Decimal(s) for p, s, _ in book["bids"]} == sides["buy"]
    assert {Decimal(p): Decimal(s) for p, s, _ in book["asks"]} == sides["sell"]


async def test_trades_are_paged_by_their_ids(sim, session):
    async with session.ws_connect(sim.ws_url(EXCHANGE), max_msg_size=0) as ws:
        await said(ws, subscribe("matches", product_ids=["BTC-USD"]), until="subscriptions")
        matches = await all_of(sim, ws, 20)

    async def rows(query: str) -> list[int]:
        async with session.get(f"{sim.http_url(EXCHANGE)}/products/BTC-USD/trades{query}") as answer:
            assert answer.status == 200
            return [row["trade_id"] for row in await answer.json()]

    ids = [m["trade_id"] for m in matches if m["type"] == "match"]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert len(ids) > 20
    assert (await rows(""))[:5] == ids[:-6:-1]
    assert await rows(f"?after={ids[9]}&limit=4") == ids[8:4:-1]
    assert await rows(f"?before={ids[-4]}") == ids[:-4:-1]
    async with session.get(f"{sim.http_url(EXCHANGE)}/products/BTC-USD/trades?after=x") as answer:
        assert answer.status == 400


async def test_who_subscribes_to_nothing_is_disconnected(session):
    async with SimServer(venues=[EXCHANGE], seed=1) as sim:
        sim.wires[EXCHANGE].patience = 0.02
        async with session.ws_connect(sim.ws_url(EXCHANGE)) as ws:
            message = await ws.receive(timeout=30)
        assert message.type is aiohttp.WSMsgType.CLOSE


async def test_every_message_of_an_advanced_connection_is_counted(sim, session):
    async with session.ws_connect(sim.ws_url(ADVANCED), max_msg_size=0) as ws:
        messages = await said(ws, {"type": "subscribe", "channel": "heartbeats"}, until="subscriptions")
        for channel in ("level2", "market_trades", "candles", "ticker_batch"):
            messages += await said(ws, asked(channel, "BTC-USD"), until="subscriptions")
        begun = [m["channel"] for m in messages]
        assert begun == [
            "subscriptions", "l2_data", "subscriptions", "market_trades", "subscriptions", "candles", "subscriptions", "ticker_batch",
            "subscriptions",
        ]  # fmt: skip
        assert messages[-1]["events"][0]["subscriptions"]["heartbeats"] == ["heartbeats"]
        messages += await all_of(sim, ws, 12)
    assert [m["sequence_num"] for m in messages] == list(range(len(messages)))
    beats = [m["events"][0]["heartbeat_counter"] for m in messages if m["channel"] == "heartbeats"]
    assert beats == list(range(beats[0], beats[0] + len(beats)))
    assert len(beats) >= 11
    trades = [
        t
        for m in messages
        if m["channel"] == "market_trades" and m["events"][0]["type"] == "update"
        for t in m["events"][0]["trades"][::-1]
    ]
    ids = [int(t["trade_id"]) for t in trades]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    whole = next(m for m in messages if m["channel"] == "l2_data")["events"][0]
    assert {level["event_time"] for level in whole["updates"]} == {"1970-01-01T00:00:00Z"}


async def test_a_usdc_product_is_acknowledged_and_told_by_the_usd_name(sim, session):
    async with session.ws_connect(sim.ws_url(ADVANCED), max_msg_size=0) as ws:
        snapshot, ack = await said(ws, asked("level2", "BTC-USDC"), until="subscriptions")
        assert snapshot["events"][0]["product_id"] == "BTC-USD"
        assert ack["events"] == [{"subscriptions": {"level2": ["BTC-USD"]}}]
        (refused,) = await said(ws, asked("level2", "NO-USDC"), until="error")
        assert refused["message"] == "failure to subscribe"


async def test_silence_ends_an_advanced_connection_unless_it_hears_heartbeats(session):
    async with SimServer(venues=[ADVANCED], instruments=["LTC-USD"], seed=1, rate=0.001) as sim:
        sim.wires[ADVANCED].patience = 0.06  # 75 s become 4.5; a heartbeat comes every second, and later on a busy machine
        async with session.ws_connect(sim.ws_url(ADVANCED)) as silent, session.ws_connect(sim.ws_url(ADVANCED)) as alive:
            await alive.send_str('{"type":"subscribe","channel":"heartbeats"}')
            assert (await silent.receive(timeout=30)).type is aiohttp.WSMsgType.CLOSE
            await asyncio.sleep(0.3)
            assert not alive.closed


async def test_advanced_over_http(sim, session):
    await sim.play(5)
    root = f"{sim.http_url(ADVANCED)}/api/v3/brokerage/market"

    async def got(path: str, status: int = 200) -> Any:
        async with session.get(root + path) as answer:
            assert answer.status == status, path
            return await answer.json()

    listed = (await got("/products"))["products"]
    assert [(p["product_id"], p["alias"]) for p in listed[:2]] == [("BTC-USD", ""), ("BTC-USDC", "BTC-USD")]
    trades = (await got("/products/BTC-USD/ticker?limit=3"))["trades"]
    assert [int(t["trade_id"]) - int(trades[-1]["trade_id"]) for t in trades] == [2, 1, 0]
    book = (await got("/product_book?product_id=ETH-USD"))["pricebook"]
    truth = sim.book(ADVANCED, "ETH-USD")
    assert [(float(level["price"]), float(level["size"])) for level in book["asks"]] == list(truth.asks)
    now = sim.now() // 10**9
    candles = (await got(f"/products/BTC-USD/candles?start={now - 3600}&end={now}&granularity=FIVE_MINUTE"))["candles"]
    assert len(candles) == 12
    assert int(candles[0]["start"]) - int(candles[-1]["start"]) == 11 * 300
    await got("/products/NO-USD/ticker?limit=3", 400)
    await got("/products/BTC-USD/candles?start=1&end=2&granularity=ONE_YEAR", 400)
    await got("/nothing", 404)
