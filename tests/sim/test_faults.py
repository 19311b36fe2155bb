"""Each fault does what it says, seen from the client's side of a real socket."""

import asyncio
import itertools
import json
import math

import aiohttp
import pytest

from tapeline.errors import UsageError
from tapeline.sim import SimServer
from tapeline.sim import faults as f
from tests.sim.client import Book, drain
from tests.waiting import until

DEPTH = "/ws/btcusdt@depth@100ms"


async def diffs(sim, session, *armed, seconds=2.0, path=DEPTH):
    """What a client gets while the faults act, raw."""
    async with session.ws_connect(sim.ws_url("binance") + path, max_msg_size=0, autoping=True) as ws:
        for fault in armed:
            sim.fault(fault)
        await sim.play(seconds)
        sim.pause()
        await ws.send_str('{"method":"LIST_SUBSCRIPTIONS","id":"end"}')
        got = []
        while b'"id":"end"' not in (body := await payload(ws)):
            got.append(body)
        sim.resume()
        return got


async def payload(ws):
    message = await ws.receive(timeout=30)
    return message.data if isinstance(message.data, bytes) else str(message.data).encode()


def ids(bodies):
    return [(d["U"], d["u"]) for d in map(json.loads, bodies)]


def holes(pairs):
    return sum(b[0] != a[1] + 1 for a, b in itertools.pairwise(pairs))


async def test_without_faults_there_are_no_holes(sim, session):
    assert holes(ids(await diffs(sim, session))) == 0


async def test_drop_makes_a_gap_as_often_as_asked(sim, session):
    armed = sim.fault(f.Drop(stream="btcusdt@depth*", after=3, every=4, times=2))
    assert holes(ids(await diffs(sim, session, seconds=3))) == 2
    assert (armed.hits, armed.spent) == (2, True)


async def test_duplicate_and_reorder(sim, session):
    pairs = ids(await diffs(sim, session, f.Duplicate(after=2, copies=2)))
    assert pairs[2] == pairs[3] == pairs[4] != pairs[5]
    sim.faults.clear()
    pairs = ids(await diffs(sim, session, f.Reorder(after=2)))
    assert pairs[3][1] + 1 == pairs[2][0]
    assert sorted(pairs) != pairs


async def test_split_covers_the_same_ids_and_the_book_still_holds(sim, session):
    async with session.ws_connect(sim.ws_url("binance") + DEPTH) as ws:
        sim.fault(f.Split(times=0))
        snapshot = await (await session.get(sim.http_url("binance") + "/api/v3/depth?symbol=BTCUSDT&limit=5000")).json()
        await sim.play(2)
        sim.pause()
        book = Book(spot=True)
        got = await drain(ws, session)
        for diff in got:
            book.diff(diff)
        book.snapshot(snapshot)
    assert len(got) > 25
    for part in got:  # removals never stand beside the rest, except in a diff of one id, which stays whole
        assert len({float(size) == 0 for _, size in part["b"] + part["a"]}) < 2 or part["U"] == part["u"]
    assert book.gaps == 0
    assert book.levels() == (sim.book("binance", "BTCUSDT").bids, sim.book("binance", "BTCUSDT").asks)


@pytest.mark.parametrize("how", ["truncated", "utf8", "empty", "not_json"])
async def test_what_cannot_be_read(sim, session, how):
    received = []
    async with session.ws_connect(sim.ws_url("binance") + "/ws/btcusdt@trade", decode_text=False) as ws:
        sim.fault(f.Malformed(stream="*@trade", how=how))
        await sim.play(2)
        received.append((await ws.receive(timeout=30)).data)
    with pytest.raises((UnicodeDecodeError, json.JSONDecodeError)):
        json.loads(received[0])


@pytest.mark.parametrize(
    ("how", "wrong"),
    [
        ("nan", lambda t: isinstance(t["p"], float) and math.isnan(t["p"])),
        ("exponent", lambda t: t["q"] == "1e-7"),
        ("negative", lambda t: t["q"] == "-1.00000000"),
        ("huge_id", lambda t: t["t"] > 2**63),
        ("wrong_type", lambda t: isinstance(t["p"], dict)),
    ],
)
async def test_what_can_be_read_but_must_not_be_believed(sim, session, how, wrong):
    trades = [
        json.loads(b) for b in await diffs(sim, session, f.Malformed(stream="*@trade", how=how), path="/ws/btcusdt@trade")
    ]
    assert wrong(trades[0])
    assert not any(wrong(t) for t in trades[1:])


async def test_crossed_skew_and_oversize(sim, session):
    first = json.loads((await diffs(sim, session, f.Crossed()))[0])
    assert max(float(p) for p, _ in first["b"]) > max(float(p) for p, _ in first["a"])
    sim.faults.clear()
    times = [json.loads(b)["E"] for b in await diffs(sim, session, f.Skew(after=5, ms=-60_000))]
    assert times[5] < times[0]
    sim.faults.clear()
    bodies = await diffs(sim, session, f.Oversize(after=1, megabytes=10), f.Fragment(after=2, parts=5))
    assert len(bodies[1]) > 10_000_000
    assert holes(ids(bodies)) == 0


async def test_stall_holds_back_and_lets_go(sim, session):
    pairs = ids(await diffs(sim, session, f.Stall(count=10), seconds=3))
    assert holes(pairs) == 0
    assert len(pairs) > 10


async def test_ids_begin_anew(sim, session):
    pairs = ids(await diffs(sim, session))
    sim.fault(f.Reset(venue="binance", symbol="BTCUSDT", last=0))
    again = ids(await diffs(sim, session))
    assert again[0][0] == 1
    assert again[-1][1] < pairs[0][0]


@pytest.mark.parametrize("code", [1000, 1001, 1005, 1006, 1008, 1011, 1013, 4004])
async def test_every_way_to_close(sim, session, code):
    async with session.ws_connect(sim.ws_url("binance") + DEPTH) as ws:
        sim.fault(f.Close(code=code, reason="test"))
        message = await ws.receive(timeout=30)
        if code == 1006:
            assert message.type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}
        else:
            assert message.type is aiohttp.WSMsgType.CLOSE
            assert message.data == (code if code != 1005 else 0) or message.data == code


async def test_silence_keeps_the_line_open_and_says_nothing(sim, session):
    async with session.ws_connect(sim.ws_url("binance") + DEPTH) as ws:
        sim.fault(f.Silence(seconds=3.0))
        await sim.play(0.5)  # little, so that a busy machine is done with it long before the silence ends
        with pytest.raises(asyncio.TimeoutError):
            await ws.receive(timeout=0.1)
        await asyncio.sleep(3.0)
        await sim.play(1)
        assert len(await drain(ws, session)) > 3


async def test_a_shutdown_is_announced_then_done(sim, session):
    async with (
        session.ws_connect(sim.ws_url("binance") + "/ws") as raw,
        session.ws_connect(sim.ws_url("binance") + "/stream") as combined,
    ):
        sim.fault(f.Shutdown(grace=0.1))
        assert list(await raw.receive_json(timeout=30)) == ["e", "E"]
        wrapped = await combined.receive_json(timeout=30)
        assert (wrapped["stream"], wrapped["data"]["e"]) == ("!serverShutdown", "serverShutdown")
        assert (await raw.receive(timeout=30)).type is aiohttp.WSMsgType.CLOSE


async def test_acks_that_fail_or_never_come(sim, session):
    async with session.ws_connect(sim.ws_url("binance") + "/ws") as ws:
        sim.fault(f.AckError(code=2, msg="Invalid request: no"))
        sim.fault(f.NeverAck())
        await ws.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1})
        await ws.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@depth"], "id": 2})
        await ws.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 3})
        assert await ws.receive_json(timeout=30) == {"code": 2, "msg": "Invalid request: no", "id": 2}
        assert await ws.receive_json(timeout=30) == {"result": ["btcusdt@trade"], "id": 3}


@pytest.mark.parametrize("status", [403, 418, 429, 451, 503])
async def test_handshakes_and_requests_are_refused(sim, session, status):
    sim.fault(f.Refuse(status=status, retry_after=7, times=2))
    sim.fault(f.HttpFail(status=status, path="*/depth", retry_after=7))
    for _ in range(2):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(sim.ws_url("binance") + "/ws")
        assert refused.value.status == status
        assert refused.value.headers["Retry-After"] == "7"
        assert refused.value.headers["X-Tapeline-Simulated"] == "1"
    await (await session.ws_connect(sim.ws_url("binance") + "/ws")).close()
    url = sim.http_url("binance") + "/api/v3/"
    assert (await session.get(url + "time")).status == 200
    assert (await session.get(url + "depth?symbol=BTCUSDT")).status == status
    assert (await session.get(url + "depth?symbol=BTCUSDT")).status == 200


async def test_stale_and_late_snapshots(sim, session):
    url = sim.http_url("binance") + "/api/v3/depth?symbol=BTCUSDT&limit=5"
    sim.fault(f.StaleSnapshot(times=1))
    old = sim.book("binance", "BTCUSDT").last_update_id
    await sim.play(2)
    assert (await (await session.get(url)).json())["lastUpdateId"] == old
    assert (await (await session.get(url)).json())["lastUpdateId"] > old
    for fresh in (False, True):
        before = sim.book("binance", "BTCUSDT").last_update_id
        armed = sim.fault(f.LateSnapshot(seconds=3.0, fresh=fresh))
        asking = asyncio.create_task(session.get(url))
        await until(lambda armed=armed: armed.hits)
        await sim.play(0.5)
        assert not asking.done()
        assert ((await (await asking).json())["lastUpdateId"] > before) is fresh


async def test_deflate_is_offered_where_asked(session):
    async with (
        SimServer(seed=1, live=False, instruments=["BTCUSDT"], deflate=True) as sim,
        session.ws_connect(sim.ws_url("binance") + DEPTH, compress=15) as ws,
    ):
        assert ws.compress
        await sim.play(2)
        assert len(await drain(ws, session)) > 5


async def test_faults_over_http(sim, session):
    url = sim.http_url("binance") + "/_sim/faults"
    answer = await session.post(url, json=[{"fault": "drop", "times": 2}, {"fault": "refuse", "status": 451}])
    assert [r["fault"] for r in await answer.json()] == ["drop", "refuse"]
    assert (await session.post(url, json={"fault": "nope"})).status == 400
    assert await (await session.delete(url)).json() == []
    book = await (await session.get(sim.http_url("binance") + "/_sim/book?venue=binance&symbol=BTCUSDT")).json()
    assert book["last_update_id"] == sim.book("binance", "BTCUSDT").last_update_id


def test_faults_as_text():
    assert f.parse("drop:stream=btcusdt@depth*,times=3") == f.Drop(stream="btcusdt@depth*", times=3)
    assert f.parse("silence:seconds=2.5,pings=false") == f.Silence(seconds=2.5, pings=False)
    for wrong in ("dorp", "drop:times", "drop:times=x", "drop:colour=red"):
        with pytest.raises(UsageError):
            f.parse(wrong)
