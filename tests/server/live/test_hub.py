"""Viewers over real WebSockets: what they are told, what a slow one misses, and that nobody else feels it."""

import asyncio
import json
import socket
from contextlib import asynccontextmanager

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tapeline.clock import ReplayClock
from tapeline.config import ServerSettings
from tapeline.server.app import Server
from tapeline.server.live.hub import Limits
from tests.server.conftest import SETTINGS
from tests.server.fakes import BTC, ETH, T0, bar, book_event, metrics, quote, status, trade
from tests.waiting import until

US = T0 // 1000
STUCK = 1.5
"""Seconds: longer than a busy machine stands still, which makes nobody stuck."""


class Viewer:
    def __init__(self, ws):
        self.ws = ws
        self.told = []

    async def call(self, method, call_id=1, **params):
        await self.ws.send(json.dumps({"method": method, "params": params, "id": call_id}))
        return await self.until(lambda m: "channel" not in m)

    async def subscribe(self, channel, *instruments, **more):
        """The snapshot that follows."""
        answer = await self.call("subscribe", channel=channel, instruments=list(instruments), **more)
        assert "result" in answer, answer
        return await self.until(lambda m: m.get("channel") == channel and m["type"] == "snapshot")

    async def until(self, wanted):
        while True:
            message = json.loads(await self.ws.recv())
            if wanted(message):
                return message
            self.told.append(message)

    async def update(self, channel):
        """The next one: of two channels either may come first."""

        def wanted(m):
            return m.get("channel") == channel and m["type"] == "update"

        for n, message in enumerate(self.told):
            if wanted(message):
                return self.told.pop(n)
        return await self.until(wanted)


@asynccontextmanager
async def viewing(server, **more):
    async with connect(server.address.replace("http", "ws") + "/api/v1/ws", proxy=None, **more) as ws:
        yield Viewer(ws)


@pytest.fixture
async def viewer(server):
    async with viewing(server) as viewer:
        yield viewer


async def test_trades_snapshot_then_each_once(viewer, source):
    source.push(trade(0), trade(1), trade(2, ETH))
    snapshot = await viewer.subscribe("trades", BTC)
    assert [t["id"] for t in snapshot["data"]] == ["0", "1"]
    assert snapshot | {"data": []} == {"channel": "trades", "type": "snapshot", "mode": "simulated", "data": [], "missed": 0}
    assert snapshot["data"][1]["ts_event"] == US + 1000
    assert snapshot["data"][1]["flags"] == ["SIMULATED"]
    source.push(trade(3), trade(4, ETH))
    source.push(trade(5))
    update = await viewer.update("trades")
    assert [t["id"] for t in update["data"]] == ["3", "5"]  # conflated into one message, nothing lost
    assert update["missed"] == 0


async def test_a_second_viewer_gets_no_trade_twice(server, viewer, source):
    await viewer.subscribe("trades", BTC)
    async with viewing(server) as second:
        got = []
        source.push(trade(0))
        got += [t["id"] for t in (await second.subscribe("trades", BTC))["data"]]
        source.push(trade(1))
        while "1" not in got:
            got += [t["id"] for t in (await second.update("trades"))["data"]]
        assert got == ["0", "1"]


async def test_all_instruments_and_merged_order(viewer, source):
    await viewer.subscribe("trades", "*")
    source.push(trade(1, ETH), trade(2), trade(3, ETH))
    assert [t["id"] for t in (await viewer.update("trades"))["data"]] == ["1", "2", "3"]


async def test_more_trades_than_a_message_holds_are_counted(viewer, source):
    await viewer.subscribe("trades", BTC)
    source.push(*(trade(n) for n in range(2500)))
    update = await viewer.update("trades")
    assert [update["data"][0]["id"], update["data"][-1]["id"], len(update["data"])] == ["1500", "2499", 1000]
    assert update["missed"] == 1500


async def test_quotes_and_metrics_conflate_to_the_latest(viewer, source):
    source.push(quote(1), metrics(1), metrics(1, ETH))
    assert [q["seq"] for q in (await viewer.subscribe("quotes", BTC, ETH))["data"]] == [1]
    assert [m["seq"] for m in (await viewer.subscribe("metrics", BTC, ETH))["data"]] == [1, 1]
    source.push(*(e for n in range(2, 100) for e in (quote(n), metrics(n))))
    quotes, latest = await viewer.update("quotes"), await viewer.update("metrics")
    assert [q["seq"] for q in quotes["data"]] == [99]
    assert [(m["instrument"], m["seq"]) for m in latest["data"]] == [(BTC, 99)]  # ETH did not change


async def test_book_at_its_depth_and_state(viewer, source):
    snapshot = await viewer.subscribe("book", BTC, depth=3)
    assert snapshot["depth"] == 3
    assert snapshot["data"][0]["bids"] == [[99.0, 1.0], [98.0, 2.0], [97.0, 3.0]]
    source.book_at = 7
    source.push(book_event(7))
    assert (await viewer.update("book"))["data"][0]["seq"] == 7
    source.book_state = "invalid"
    source.push(status(8))
    assert (await viewer.update("book"))["data"][0]["state"] == "invalid"


async def test_bars_open_closed_and_revised(viewer, source):
    source.push(bar(0))
    source.open[BTC, "1m"] = bar(1, close=1.0)
    snapshot = await viewer.subscribe("bars", BTC, interval="1m")
    assert snapshot["interval"] == "1m"
    assert [(b["close"], b["closed"]) for b in snapshot["data"]] == [(105.0, True), (1.0, False)]
    source.open[BTC, "1m"] = bar(1, close=2.0)
    assert [(b["close"], b["closed"]) for b in (await viewer.update("bars"))["data"]] == [(2.0, False)]
    source.push(bar(1, close=3.0), bar(0, close=9.0, revision=1))
    source.open[BTC, "1m"] = bar(2, close=4.0)
    update = await viewer.update("bars")
    assert [(b["close"], b["closed"], b["revision"]) for b in update["data"]] == [
        (3.0, True, 0),
        (9.0, True, 1),
        (4.0, False, 0),
    ]


async def test_more_bars_than_the_log_holds_come_as_a_snapshot(viewer, source):
    await viewer.subscribe("bars", BTC)
    source.push(*(bar(n) for n in range(100)))
    again = await viewer.until(lambda m: m["type"] == "snapshot")
    assert [b["close"] for b in again["data"]] == [105.0 + n for n in range(100)]


async def test_status_beats_and_carries_events(viewer, source):
    source.push(status(1, "resyncing"))
    snapshot = await viewer.subscribe("status")
    assert [e["kind"] for e in snapshot["data"]["events"]] == ["resyncing"]
    assert snapshot["data"]["status"]["started"] == US
    assert snapshot["data"]["status"]["viewers"] == 1
    source.push(status(2), status(3, "synced"))
    update = await viewer.until(lambda m: m["data"]["events"])
    assert [e["kind"] for e in update["data"]["events"]] == ["gap", "synced"]
    assert update["data"]["missed"] == 0
    assert (await viewer.update("status"))["data"]["events"] == []  # the heartbeat


async def test_unsubscribed_is_silent(server, viewer, source):
    await viewer.subscribe("trades", BTC)
    await viewer.subscribe("metrics", BTC)
    assert (await viewer.call("unsubscribe", channel="trades", instruments=[BTC]))["result"]["instruments"] == [BTC]
    source.push(trade(1), metrics(1))
    await viewer.update("metrics")
    assert viewer.told == []
    again = await viewer.call("unsubscribe", channel="trades", instruments=[BTC])
    assert again["error"]["code"] == "not_subscribed"


async def test_one_encoding_for_all(server, viewer, source):
    async with viewing(server) as second:
        for v in (viewer, second):
            await v.subscribe("trades", BTC, ETH)
            await v.subscribe("trades", ETH, BTC)  # the same key: order and repetition do not matter
        assert len(server.hub._feeds) == 1
        source.push(trade(1))
        assert await viewer.update("trades") == await second.update("trades")


@pytest.mark.parametrize(
    ("raw", "code", "call_id"),
    [
        ("{", "bad_json", None),
        ("[1]", "bad_call", None),
        (b"\xff\xfe", "bad_json", None),
        (b'{"x":' + b"[" * 16_000, "bad_call", None),
        (b'{"id":7,"params":' + b'{"channel":' * 1000, "bad_call", None),
        ('{"method": "fly", "id": 7}', "bad_call", 7),
        ('{"method": "subscribe", "id": "a"}', "missing_parameter", "a"),
        ('{"method": "subscribe", "params": {"channel": "news"}, "id": 1}', "bad_call", 1),
        ('{"method": "subscribe", "params": {"channel": "trades"}, "id": 1}', "missing_parameter", 1),
        ('{"method": "subscribe", "params": {"channel": "trades", "instruments": ["x"]}, "id": 1}', "unknown_instrument", 1),
        ('{"method": "subscribe", "params": {"channel": "book", "instruments": ["*"]}, "id": 1}', "bad_parameter", 1),
        (
            '{"method": "subscribe", "params": {"channel": "book", "instruments": ["sim:BTC-USDT"], "depth": 9999}}',
            "bad_parameter",
            None,
        ),
        ('{"method": "subscribe", "params": {"channel": "trades", "instruments": ["*"], "dept": 1}, "id": 1}', "bad_call", 1),
        ('{"method": "ping", "id": 5, "params": null, "pad": "%s"}' % ("x" * 20_000), "too_large", None),
    ],
)
async def test_a_wrong_call_gets_an_error_and_the_connection_stays(viewer, raw, code, call_id):
    await viewer.ws.send(raw)
    answer = json.loads(await viewer.ws.recv())
    assert answer["id"] == call_id
    assert answer["error"]["code"] == code
    assert set(answer["error"]) == {"code", "message", "hint"}
    await viewer.ws.send('{"method": "ping", "id": 2}')
    assert json.loads(await viewer.ws.recv()) == {"id": 2, "result": "pong", "now": US}


async def test_subscriptions_and_calls_are_bounded(source, tmp_path):
    limits = Limits(subscriptions=2, calls_burst=4, calls_per_second=0.001, call_seconds=60)  # none counts as several
    async with serving(source, tmp_path, limits) as server, viewing(server) as viewer:
        await viewer.subscribe("quotes", BTC)
        await viewer.subscribe("metrics", BTC)
        full = await viewer.call("subscribe", channel="trades", instruments=[BTC])
        assert full["error"]["code"] == "too_many_subscriptions"
        assert (await viewer.call("ping", 3))["result"] == "pong"
        assert (await viewer.call("ping", 4))["error"]["code"] == "too_many_calls"


async def test_viewers_are_bounded(source, tmp_path):
    async with serving(source, tmp_path, Limits(viewers=1)) as server, viewing(server) as first:
        async with viewing(server) as second:
            with pytest.raises(ConnectionClosed) as refused:
                await second.ws.recv()
            assert refused.value.rcvd.code == 1013
        assert (await first.call("ping"))["result"] == "pong"


async def test_no_timer_without_viewers(server):
    assert server.hub._timer is None
    async with viewing(server) as viewer:
        await viewer.subscribe("trades", BTC)
        assert server.hub._timer is not None
    await until(lambda: not server.hub.viewers)
    assert server.hub._timer is None
    assert server.hub._feeds == {}


@asynccontextmanager
async def serving(source, tmp_path, limits):
    settings = ServerSettings(port=0, push_hz=50, history_trades=6000)
    server = Server(source, settings, ReplayClock(T0), page=tmp_path, limits=limits)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def viewing_slowly(server):
    """A viewer with a small receive buffer, so that not reading shows after some 100 kB."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    client.connect(("127.0.0.1", int(server.address.rpartition(":")[2])))
    return viewing(server, sock=client, max_queue=1)


async def flood(source, until):
    """Trades and metrics, a message's worth at a time, until it is so."""
    n = 0
    while not until():
        source.push(*(trade(n + i) for i in range(500)), metrics(n))
        n += 500
        await asyncio.sleep(0.02)
    return n


async def test_a_slow_viewer_is_told_what_it_missed(source, tmp_path):
    async with serving(source, tmp_path, Limits(stuck_seconds=60)) as server, viewing_slowly(server) as slow:
        await slow.subscribe("trades", BTC)
        await slow.subscribe("metrics", BTC)
        total = await flood(source, lambda: server.hub.missed_trades > 2000)
        (state,) = server.hub.viewers
        assert state.pipe.backlog() < 1_000_000
        got = missed = latest = 0
        while got + missed < total:
            message = await slow.until(lambda m: True)
            if message["channel"] == "trades":
                got += len(message["data"])
                missed += message["missed"]
            else:
                latest = message["data"][0]["seq"]
        assert got + missed == total
        assert missed >= 2000
        while latest != total - 500:  # the last of the metrics comes even though many were skipped
            latest = (await slow.until(lambda m: m["channel"] == "metrics"))["data"][0]["seq"]


async def test_a_stuck_viewer_is_dropped_without_harm_to_another(source, tmp_path):
    limits = Limits(stuck_seconds=STUCK, goodbye_seconds=0.1)
    async with serving(source, tmp_path, limits) as server, viewing(server) as good:
        await good.subscribe("trades", BTC)
        async with viewing_slowly(server) as stuck:
            await stuck.subscribe("trades", BTC)
            stuck.ws.transport.pause_reading()
            seen = []

            async def read():
                while True:
                    message = await good.update("trades")
                    assert message["missed"] == 0
                    seen.extend(int(t["id"]) for t in message["data"])

            reader = asyncio.create_task(read())
            total = await flood(source, lambda: server.hub.dropped and len(server.hub.viewers) == 1)
            await until(lambda: len(seen) >= total)
            reader.cancel()
            assert seen == list(range(total))  # each trade once, in order
            assert server.hub.status()["dropped_viewers"] == 1
            stuck.ws.transport.abort()


async def test_a_dropped_viewer_that_wakes_up_reads_why(source, tmp_path):
    limits = Limits(stuck_seconds=STUCK, goodbye_seconds=30)
    async with serving(source, tmp_path, limits) as server, viewing_slowly(server) as sleeper:
        await sleeper.subscribe("trades", BTC)
        sleeper.ws.transport.pause_reading()
        await flood(source, lambda: server.hub.dropped)
        sleeper.ws.transport.resume_reading()
        with pytest.raises(ConnectionClosed) as closed:
            await sleeper.until(lambda _: False)
        assert closed.value.rcvd.code == 1013
        assert "too slow" in closed.value.rcvd.reason


async def test_stopping_while_a_viewer_says_goodbye(source, tmp_path):
    """Its close frame has been read and its socket is not gone yet: one turn of the loop, or as long as it reads nothing."""
    async with serving(source, tmp_path, Limits()) as server, viewing(server) as leaving:
        await leaving.subscribe("trades", BTC)
        (protocol,) = server._uvicorn.server_state.connections
        protocol.data_received(b"\x88\x82\x00\x00\x00\x00" + (1000).to_bytes(2, "big"))
        protocol.shutdown()  # what stopping does to each connection
        await server.stop()
        with pytest.raises(ConnectionClosed):
            await leaving.update("trades")


async def test_a_push_that_has_no_time_for_all_is_counted(source, tmp_path):
    """Twenty nanoseconds a push: the first message is paid for, and then for long."""
    server = Server(source, SETTINGS, ReplayClock(T0), page=tmp_path / "none", limits=Limits(updates_share=1e-6))
    async with server as address, httpx.AsyncClient(base_url=address, trust_env=False, timeout=30) as http:
        assert (await http.get("/api/v1/status")).json()["short_pushes"] == 0
        async with connect(f"ws{address.removeprefix('http')}/api/v1/ws", proxy=None) as socket:
            await socket.send(json.dumps({"method": "subscribe", "params": {"channel": "quotes", "instruments": ["*"]}}))
            async with asyncio.timeout(30):
                while (await http.get("/api/v1/status")).json()["short_pushes"] < 3:
                    source.push(quote(server.hub.short))
                    await asyncio.sleep(0.02)
        assert "tapeline_pushes_short_total" in (await http.get("/metrics")).text
