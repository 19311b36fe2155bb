"""Control messages, envelopes, limits, pings: the protocol around the data."""

import asyncio
import json

import aiohttp
import pytest

from tapeline.sim import SimServer
from tests.sim.client import drain

EXPECTED = "expected one of `SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`"


async def ask(ws, text):
    await ws.send_str(text if isinstance(text, str) else json.dumps(text))
    return (await ws.receive(timeout=30)).data


async def test_acks_are_verbatim_and_never_in_the_envelope(sim, session):
    async with session.ws_connect(sim.ws_url("binance") + "/stream") as ws:
        subscribe = {"method": "SUBSCRIBE", "params": ["btcusdt@aggTrade", "btcusdt@depth"], "id": 1}
        assert await ask(ws, subscribe) == '{"result":null,"id":1}'
        assert await ask(ws, {"method": "LIST_SUBSCRIPTIONS", "id": "x-1"}) == (
            '{"result":["btcusdt@aggTrade","btcusdt@depth"],"id":"x-1"}'
        )
        assert await ask(ws, {"method": "UNSUBSCRIBE", "params": ["btcusdt@depth"], "id": None}) == '{"result":null,"id":null}'
        assert await ask(ws, {"method": "GET_PROPERTY", "params": ["combined"], "id": 2}) == '{"result":true,"id":2}'
        assert await ask(ws, {"method": "SET_PROPERTY", "params": ["combined", False], "id": 5}) == '{"result":null,"id":5}'


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ("nonsense", {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}),
        ({"id": 1, "params": []}, {"code": 2, "msg": "Invalid request: missing field `method` at line 1 column 23"}),
        (
            '{"method":"SUBSCRIB","id":1}',
            {"code": 2, "msg": f"Invalid request: unknown variant SUBSCRIB, {EXPECTED} at line 1 column 20"},
        ),
        (
            {"method": "SUBSCRIBE", "params": [], "id": 1.5},
            {"code": 2, "msg": "Invalid request: request ID must be an unsigned integer"},
        ),
        ({"method": "SET_PROPERTY", "params": ["x", True], "id": 7}, {"code": 0, "msg": "Unknown property", "id": 7}),
        (
            {"method": "SET_PROPERTY", "params": ["combined", 1], "id": 8},
            {"code": 1, "msg": "Invalid value type: expected Boolean", "id": 8},
        ),
        (
            {"method": "GET_PROPERTY", "params": [1], "id": 9},
            {"code": 2, "msg": "Invalid request: property name must be a string", "id": 9},
        ),
        (
            {"method": "GET_PROPERTY", "params": ["combined", 1], "id": 10},
            {"code": 2, "msg": "Invalid request: too many parameters", "id": 10},
        ),
    ],
)
async def test_errors_are_the_documented_ones(sim, session, sent, answer):
    async with session.ws_connect(sim.ws_url("binance") + "/ws") as ws:
        assert json.loads(await ask(ws, sent)) == answer


async def test_raw_and_combined_and_switching_between_them(sim, session):
    async with session.ws_connect(sim.ws_url("binance") + "/ws/btcusdt@bookTicker/ethusdt@bookTicker") as ws:
        await sim.play(1)
        assert {"BTCUSDT", "ETHUSDT"} == {m["s"] for m in await drain(ws, session)}
        await ask(ws, {"method": "SET_PROPERTY", "params": ["combined", True], "id": 5})
        await sim.play(1)
        assert {m["stream"] for m in await drain(ws, session)} == {"btcusdt@bookTicker", "ethusdt@bookTicker"}


async def test_unknown_streams_and_wrong_paths_are_acknowledged_and_silent(sim, session):
    cases = [
        ("binance", "/ws", ["nopeusdt@trade", "btcusdt@depth7", "btcusdt@nothing"], []),
        ("binance-usdm", "/public/ws", ["btcusdt@aggTrade", "btcusdt@bookTicker"], ["bookTicker"]),
        ("binance-usdm", "/market/ws", ["btcusdt@depth", "btcusdt@aggTrade"], ["aggTrade"]),
        ("binance-usdm", "/binance-usdm/ws", ["btcusdt@aggTrade", "btcusdt@bookTicker"], ["bookTicker"]),
    ]
    for venue, path, streams, heard in cases:
        async with session.ws_connect(sim.ws_url(venue) + path) as ws:
            assert await ask(ws, {"method": "SUBSCRIBE", "params": streams, "id": 1}) == '{"result":null,"id":1}'
            await sim.play(3)
            assert sorted({m["e"] for m in await drain(ws, session)}) == heard


async def test_microseconds_are_asked_for_in_the_address(sim, session):
    names = "?streams=btcusdt@trade/btcusdt@kline_1s/btcusdt@depth@100ms"
    async with (
        session.ws_connect(sim.ws_url("binance") + "/stream" + names) as plain,
        session.ws_connect(sim.ws_url("binance") + "/stream" + names + "&timeUnit=MICROSECOND") as fine,
    ):
        await sim.play(2)
        coarse, exact = await drain(plain, session), await drain(fine, session)
    assert len(coarse) == len(exact) > 10
    for a, b in zip(coarse, exact, strict=True):
        assert a["data"]["E"] == b["data"]["E"] // 1000
        assert b["data"]["E"] > 10**15


async def test_more_messages_a_second_than_allowed_close_the_connection(sim, session):
    for venue, path, most in (("binance", "/ws", 5), ("binance-usdm", "/market/ws", 10)):
        async with session.ws_connect(sim.ws_url(venue) + path) as ws:
            for n in range(3 * most):  # even if the second turns meanwhile
                await ws.send_str(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": n}))
            answered = 0
            while (last := await ws.receive(timeout=30)).type is aiohttp.WSMsgType.TEXT:
                assert json.loads(last.data)["id"] == answered
                answered += 1
            assert most <= answered < 3 * most
            assert (last.type, last.data, last.extra) == (aiohttp.WSMsgType.CLOSE, 1008, "Too many requests")


async def test_streams_past_the_limit_are_refused(sim, session):
    async with session.ws_connect(sim.ws_url("binance-usdm") + "/public/ws") as ws:
        many = [f"s{n}usdt@depth" for n in range(201)]
        assert "too many" in await ask(ws, {"method": "SUBSCRIBE", "params": many, "id": 1})
        assert await ask(ws, {"method": "SUBSCRIBE", "params": many[:200], "id": 2}) == '{"result":null,"id":2}'


async def test_a_ping_must_be_answered(session):
    async with (
        SimServer(seed=1, live=False, instruments=["BTCUSDT"], ping_seconds=0.2, pong_seconds=2.5) as sim,
        session.ws_connect(sim.ws_url("binance") + "/ws", autoping=False) as ws,
    ):
        first = await ws.receive(timeout=30)
        assert first.type is aiohttp.WSMsgType.PING
        await ws.pong(first.data)
        unanswered = 0
        while (message := await ws.receive(timeout=30)).type is aiohttp.WSMsgType.PING:
            unanswered += 1
            await ws.pong(b"not what you asked")
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1008)
        assert unanswered >= 2
        assert sim.status()["closed_for_pong"] == 1


async def test_a_connection_grows_old(session):
    async with (
        SimServer(seed=1, live=False, instruments=["BTCUSDT"], max_age=0.1) as sim,
        session.ws_connect(sim.ws_url("binance") + "/ws") as ws,
    ):
        assert (await ws.receive(timeout=30)).type is aiohttp.WSMsgType.CLOSE


async def test_a_slow_consumer_is_bounded_and_counted():
    async with SimServer(seed=1, live=False, instruments=["BTCUSDT"], max_buffer=200_000) as sim:
        reader, writer = await asyncio.open_connection("127.0.0.1", sim.port, limit=1024)
        writer.write(
            b"GET /ws/btcusdt@depth20@100ms/btcusdt@bookTicker HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )
        assert b"101" in await reader.readline()
        while not sim.hub.slow_closed:
            await sim.play(20)
        assert sim.status()["slow_closed"] == 1
        writer.transport.abort()
        await asyncio.sleep(0)
