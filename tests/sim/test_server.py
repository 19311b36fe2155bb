"""Over real sockets, with a client that knows only the venue's documents."""

import itertools
from decimal import Decimal

import aiohttp
import pytest

from tapeline.errors import UsageError
from tapeline.sim import SimServer
from tests.sim.client import Book, drain, receive

VENUES = [
    ("binance", "/stream", "/api/v3/", 5000),
    ("binance-usdm", "/public/stream", "/fapi/v1/", 1000),
]


def by_stream(messages):
    found = {}
    for message in messages:
        found.setdefault(message["stream"], []).append(message["data"])
    return found


@pytest.mark.parametrize(("venue", "path", "rest", "limit"), VENUES)
async def test_a_book_built_by_the_documents_is_the_simulators_own(sim, session, venue, path, rest, limit):
    async with session.ws_connect(f"{sim.ws_url(venue)}{path}?streams=btcusdt@depth@100ms/btcusdt@bookTicker") as ws:
        await sim.play(1)
        answer = await session.get(f"{sim.http_url(venue)}{rest}depth?symbol=BTCUSDT&limit={limit}")
        snapshot = await answer.json()
        await sim.play(6)
        sim.pause()
        streams = by_stream(await drain(ws, session))
        book, touches, compared = Book(spot=venue == "binance"), streams["btcusdt@bookTicker"], 0
        for diff in streams["btcusdt@depth@100ms"]:
            book.diff(diff)
            if book.id is None and diff["u"] > snapshot["lastUpdateId"]:
                assert book.snapshot(snapshot)
            if book.id is not None and book.id == diff["u"]:
                latest = [t for t in touches if t["u"] <= diff["u"]][-1]
                assert book.touch() == tuple(Decimal(latest[key]) for key in "bBaA")
                compared += 1
        truth = sim.book(venue, "BTCUSDT")
        assert compared > 40
        assert book.gaps == 0
        assert book.id == truth.last_update_id
        assert book.levels() == (truth.bids, truth.asks)
        assert len(truth.bids) > 100


async def test_ids_are_continuous_as_each_venue_promises(sim, session):
    spot = await session.ws_connect(f"{sim.ws_url('binance')}/stream?streams=btcusdt@depth/btcusdt@depth@100ms/btcusdt@trade")
    perp = await session.ws_connect(f"{sim.ws_url('binance-usdm')}/public/stream?streams=btcusdt@depth/btcusdt@depth@0ms")
    await sim.play(8)
    sim.pause()
    streams = by_stream(await drain(spot, session))
    ids = [t["t"] for t in streams["btcusdt@trade"]]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert len(ids) > 20
    for name in ("btcusdt@depth", "btcusdt@depth@100ms"):
        diffs = streams[name]
        assert all(b["U"] == a["u"] + 1 for a, b in itertools.pairwise(diffs))
    streams = by_stream(await drain(perp, session))
    for diffs in streams.values():
        pairs = list(itertools.pairwise(diffs))
        assert all(b["pu"] == a["u"] for a, b in pairs)
        assert sum(b["U"] == a["u"] + 1 for a, b in pairs) < len(pairs) / 2
    await spot.close()
    await perp.close()


async def test_klines_are_the_sums_of_their_trades(sim, session):
    async with session.ws_connect(
        f"{sim.ws_url('binance')}/stream?streams=btcusdt@kline_1s/btcusdt@trade/btcusdt@aggTrade"
    ) as ws:
        await sim.play(6)
        sim.pause()
        streams = by_stream(await drain(ws, session))
    closed = [m["k"] for m in streams["btcusdt@kline_1s"] if m["k"]["x"]]
    assert len(closed) >= 5
    for bar in closed[1:]:
        trades = [t for t in streams["btcusdt@trade"] if bar["t"] <= t["T"] <= bar["T"]]
        assert bar["n"] == len(trades)
        if not trades:
            assert bar["f"] == bar["L"] == -1
            continue
        prices = [Decimal(t["p"]) for t in trades]
        assert (bar["f"], bar["L"]) == (trades[0]["t"], trades[-1]["t"])
        assert (Decimal(bar["o"]), Decimal(bar["c"])) == (prices[0], prices[-1])
        assert (Decimal(bar["h"]), Decimal(bar["l"])) == (max(prices), min(prices))
        assert Decimal(bar["v"]) == sum(Decimal(t["q"]) for t in trades)
        assert Decimal(bar["q"]) == sum(Decimal(t["q"]) * Decimal(t["p"]) for t in trades)
        assert Decimal(bar["V"]) == sum(Decimal(t["q"]) for t in trades if not t["m"])
    by_id = {t["t"]: t for t in streams["btcusdt@trade"]}
    for one in streams["btcusdt@aggTrade"]:
        fills = [by_id[n] for n in range(one["f"], one["l"] + 1)]
        assert Decimal(one["q"]) == sum(Decimal(t["q"]) for t in fills)
        assert {(t["p"], t["m"]) for t in fills} == {(one["p"], one["m"])}


async def test_everything_answers_with_the_label_and_nothing_else_gives_it_away(sim, session):
    base = sim.http_url("binance")
    for path in ("/api/v3/ping", "/api/v3/depth?symbol=NOPE", "/nothing/here"):
        answer = await session.get(base + path)
        assert answer.headers["X-Tapeline-Simulated"] == "1"
        assert answer.headers["Server"] == "nginx"
    async with session.ws_connect(sim.ws_url("binance") + "/ws") as ws:
        assert ws._response.headers["X-Tapeline-Simulated"] == "1"


def test_under_uvloop_too():
    uvloop = pytest.importorskip("uvloop")

    async def go():
        async with (
            SimServer(seed=1, instruments=["BTCUSDT"]) as sim,
            aiohttp.ClientSession() as session,
            session.ws_connect(sim.ws_url("binance") + "/ws/btcusdt@bookTicker") as ws,
        ):
            return await receive(ws)

    assert uvloop.run(go())["s"] == "BTCUSDT"


async def test_live_it_follows_the_clock(session):
    async with (
        SimServer(seed=1, instruments=["BTCUSDT"]) as sim,
        session.ws_connect(sim.ws_url("binance") + "/ws/btcusdt@bookTicker") as ws,
    ):
        for _ in range(5):
            assert (await receive(ws))["s"] == "BTCUSDT"


def test_a_thread_of_its_own_for_those_without_a_loop():
    with SimServer.in_thread(seed=1, instruments=["BTCUSDT"], live=False) as sim:
        assert sim.http_url("binance").startswith("http://127.0.0.1:")
        assert sim.book("binance", "BTCUSDT").bids[0] < sim.book("binance", "BTCUSDT").asks[0]


def test_unknown_names_are_usage_errors():
    with pytest.raises(UsageError, match="no simulator"):
        SimServer(venues=["nasdaq"])
    with pytest.raises(UsageError, match="not simulated"):
        SimServer(instruments=["NOPEUSDT"])
