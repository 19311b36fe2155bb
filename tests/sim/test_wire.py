"""The contract of `sim/wire.py`, proved by a venue that does not exist over a real socket."""

import asyncio
import json
import statistics

import pytest

from tapeline.clock import SECOND
from tapeline.errors import UsageError
from tapeline.sim import SimServer
from tapeline.sim import faults as f
from tapeline.sim.faultbox import FaultBox
from tapeline.sim.hub import Hub
from tapeline.sim.market import Market
from tapeline.sim.registry import choose, simulated, wire_class
from tests.sim.toy import Toy, checksum

BOOK, CUT, TRADES = "book.10:BTC-USD", "cut.5:BTC-USD", "trades:BTC-USD"


@pytest.fixture
async def toys():
    async with SimServer(venues=[Toy, "binance"], seed=5, live=False, patience=10.0) as sim:
        yield sim


def connect(sim, session, query=""):
    return session.ws_connect(sim.ws_url("toy") + "/v9" + query, max_msg_size=0)


async def until_pong(ws):
    """All that was sent up to now."""
    await ws.send_str("ping")
    got = []
    while (text := await ws.receive_str(timeout=30)) != "pong":
        got.append(json.loads(text))
    return got


async def subscribe(ws, *topics, op="subscribe"):
    await ws.send_json({"op": op, "topics": topics})


class Client:
    """The best N levels from snapshots and updates; texts, so that the checksum is the wire's own."""

    def __init__(self, depth=None):
        self.depth, self.u, self.gaps, self.sides = depth, None, 0, ({}, {})

    def feed(self, message):
        if message["type"] == "snapshot":
            self.sides = ({}, {})
        elif message["u"] != self.u + 1:
            self.gaps += 1
        self.u = message["u"]
        for side, changes in zip(self.sides, (message["bids"], message["asks"]), strict=True):
            for price, size in changes:
                side[price] = size
                if not float(size):
                    del side[price]
        bids, asks = self.levels()
        if self.depth:
            self.sides = tuple(dict(side[: self.depth]) for side in (bids, asks))
            bids, asks = self.levels()
        texts = (",".join(f'["{p}","{s}"]' for p, s in side) for side in (bids, asks))
        assert checksum(*texts) == message["checksum"]

    def levels(self):
        bids, asks = self.sides
        return (
            sorted(bids.items(), key=lambda level: -float(level[0])),
            sorted(asks.items(), key=lambda level: float(level[0])),
        )

    def floats(self):
        return tuple([(float(p), float(s)) for p, s in side] for side in self.levels())


async def test_several_acks_then_snapshots_then_what_continues_them(toys, session):
    async with connect(toys, session) as ws:
        assert await ws.receive_json(timeout=30) == {"status": "online", "n": 0}
        await toys.play(1)
        await subscribe(ws, BOOK, CUT, "nope:BTC-USD", TRADES)
        first = await until_pong(ws)
        assert [(m.get("ack"), m["topic"], m.get("ok"), m.get("type")) for m in first] == [
            *(("subscribe", topic, True, None) for topic in (BOOK, CUT, TRADES)),
            ("subscribe", "nope:BTC-USD", False, None),
            *((None, topic, None, "snapshot") for topic in (BOOK, CUT)),
        ]
        await toys.play(5)
        toys.pause()
        later = await until_pong(ws)
        assert [m["n"] for m in first + later] == list(range(1, 1 + len(first + later)))
        trades = [m["trade_id"] for m in later if m["topic"] == TRADES]
        assert trades == list(range(trades[0], trades[0] + len(trades)))
        truth = toys.book("toy", "BTC-USD")
        for topic, depth in ((BOOK, 10), (CUT, 5)):
            client = Client(depth if topic == CUT else None)
            updates = [m for m in first + later if m["topic"] == topic and "type" in m]
            for message in updates:
                client.feed(message)
            assert (client.gaps, len(updates) > 20) == (0, True)
            assert client.floats() == (truth.bids[:depth], truth.asks[:depth])


async def test_a_newcomer_joins_the_stream_where_it_stands(toys, session):
    async with connect(toys, session) as old, connect(toys, session) as new:
        await subscribe(old, BOOK)
        await toys.play(1.05)  # in the middle of a cadence
        await subscribe(new, BOOK)
        before = await until_pong(new)
        await toys.play(2)
        toys.pause()
        clients = []
        for ws, earlier in ((old, []), (new, before)):
            client = Client()
            for message in [*earlier, *await until_pong(ws)]:
                if "type" in message:
                    client.feed(message)
            assert client.gaps == 0
            clients.append(client)
        assert clients[0].u == clients[1].u
        assert clients[0].levels() == clients[1].levels()


async def test_again_after_the_end_of_a_subscription(toys, session):
    async with connect(toys, session) as ws:
        client = Client()
        for _ in range(2):
            await subscribe(ws, BOOK)
            await toys.play(1)
            await subscribe(ws, BOOK, op="unsubscribe")
            await toys.play(1)
            got = [m for m in await until_pong(ws) if "type" in m]
            assert [m["type"] for m in got][:2] == ["snapshot", "update"]
            for message in got:
                client.feed(message)
        assert client.gaps == 0


async def test_a_drop_leaves_a_hole_in_the_connections_sequence(toys, session):
    async with connect(toys, session) as ws:
        await subscribe(ws, BOOK, TRADES)
        armed = toys.fault(f.Drop(venue="toy", after=3))
        await toys.play(2)
        numbers = [m["n"] for m in await until_pong(ws)]
        assert armed.hits == 1
        assert sorted(set(range(numbers[-1] + 1)) - set(numbers)) != []
        assert len(numbers) == numbers[-1]


async def test_who_says_nothing_is_closed(session):
    async with SimServer(venues=[Toy], live=False, patience=0.02) as sim:
        async with connect(sim, session) as ws:
            assert await ws.receive_json(timeout=30) == {"status": "online", "n": 0}
            await ws.receive(timeout=30)
            assert ws.close_code == 1008
        sim.wires["toy"].subscribe_seconds = 1500.0  # it may take its time to ask
        async with connect(sim, session) as ws:
            await subscribe(ws, "trades:BTC-USD")
            while ws.close_code is None:
                await ws.receive(timeout=30)
            assert ws.close_code == 4004
        assert sim.status()["closed_by_rule"] == 2


async def test_admission(toys, session):
    with pytest.raises(Exception, match="401"):
        await connect(toys, session, "?token=wrong")
    assert (await session.get(toys.http_url("toy") + "/depth?symbol=BTC-USD&token=wrong")).status == 401
    assert (await session.get(toys.http_url("toy") + "/depth?symbol=BTC-USD")).status == 200
    assert toys.ws_url("binance").endswith(str(toys.port))
    assert toys.ws_url("toy").endswith(f"{toys.port}/toy")


async def test_heartbeats_and_other_operations(toys, session):
    async with connect(toys, session) as ws:
        await subscribe(ws, "beat:")
        await ws.send_json({"op": "hello"})
        await ws.send_json({"op": "dance"})
        got = await until_pong(ws)
        await toys.play(3)
        got += await until_pong(ws)
    assert len([m for m in got if "beat" in m]) == 3
    assert {"hello": "you"} in [{k: v for k, v in m.items() if k != "n"} for m in got]
    assert any(m.get("code") == 13 for m in got)


def test_the_registry():
    assert simulated()[:2] == ["binance", "binance-usdm"]
    assert {wire_class(v).venue for v in simulated()} == set(simulated())
    with pytest.raises(UsageError, match="has no simulator"):
        wire_class("toy")
    names = [(s.venue, s.native) for s in choose([Toy, wire_class("binance")], ["toy:AAPL"])]
    assert names[0] == ("toy", "AAPL")
    assert len(names) == 1 + len(wire_class("binance").default)
    with pytest.raises(UsageError, match="not simulated"):
        choose([Toy], ["NOPE"])


async def test_ack_faults(toys, session):
    for fault, wanted in (
        (f.NeverAck(venue="toy"), [("snapshot", BOOK)]),
        (f.LateAck(venue="toy", seconds=0.1), [("snapshot", BOOK), ("ack", BOOK)]),
        (f.AckError(venue="toy", one=True, msg="no"), [("no", BOOK), ("ack", TRADES)]),
        (f.AckError(venue="toy", msg="all"), [("all", "")]),
    ):
        async with connect(toys, session) as ws:
            toys.fault(fault)
            await subscribe(ws, BOOK, *([TRADES] if isinstance(fault, f.AckError) else []))
            got = []
            while len(got) < len(wanted):
                message = await ws.receive_json(timeout=30)
                if "status" not in message:
                    what = message.get("why") or message.get("type") or message.get("error") or "ack"
                    got.append((what, message.get("topic", "")))
            assert sorted(got) == sorted(wanted)
            if isinstance(fault, f.LateAck):
                assert got == wanted


async def test_acks_in_the_wrong_order(toys, session):
    async with connect(toys, session) as ws:
        toys.fault(f.SwapAcks(venue="toy", times=2))
        await subscribe(ws, BOOK)
        await subscribe(ws, TRADES)
        topics = [m["topic"] for m in await until_pong(ws) if "ack" in m]
    assert topics == [TRADES, BOOK]


async def test_snapshots_in_mid_stream_and_restarts_continue(toys, session):
    async with connect(toys, session) as ws:
        await subscribe(ws, BOOK)
        await toys.play(1)
        toys.fault(f.Resnapshot(venue="toy"))
        await toys.play(1)
        toys.fault(f.Reset(venue="toy"))
        await toys.play(1)
        got = [m for m in await until_pong(ws) if "type" in m]
    kinds = [m["type"] for m in got]
    assert kinds.count("snapshot") == 2
    assert got[kinds.index("restart")]["u"] == 1
    client = Client()
    for message in got[: kinds.index("restart")]:
        client.feed(message)
    assert client.gaps == 0


async def test_a_halt_empties_the_book_and_its_end_fills_it(toys, session):
    async with connect(toys, session) as ws:
        await subscribe(ws, BOOK, TRADES)
        await toys.play(1)
        toys.fault(f.Halt(venue="toy", symbol="BTC-USD", seconds=0.05))
        assert toys.book("toy", "BTC-USD").bids == []
        await toys.play(1)
        while toys.market.instrument("toy", "BTC-USD").halted:
            await asyncio.sleep(0.01)
        await toys.play(1)
        toys.pause()
        got = await until_pong(ws)
        client, empty = Client(), False
        for message in got:
            if "type" in message:
                client.feed(message)
                empty = empty or client.levels() == ([], [])
        assert empty
        assert client.floats()[0] == toys.book("toy", "BTC-USD").bids[:10]
        assert [m["trading"] for m in got if "trading" in m] == [False, True]


async def test_checksum_and_crossing_act_on_books_that_no_one_wrote_code_for(toys, session):
    async with connect(toys, session) as ws:
        await subscribe(ws, BOOK)
        before = await until_pong(ws)
        wrong = toys.fault(f.Checksum(venue="toy", after=2))
        crossed = toys.fault(f.Crossed(venue="toy", after=5))
        await toys.play(2)
        got = [m for m in before + await until_pong(ws) if "type" in m]
    assert (wrong.hits, crossed.hits) == (1, 1)
    client, failed = Client(), []
    for n, message in enumerate(got):
        try:
            client.feed(message)
        except AssertionError:
            failed.append(n)
    bids, asks = client.levels()
    assert failed[:2] == [3, 6]
    assert float(bids[0][0]) > float(asks[0][0])


@pytest.mark.parametrize(
    ("fault", "order"),
    [
        (f.Duplicate(venue="toy", stream=TRADES, after=1), [0, 1, 1, 2]),
        (f.Reorder(venue="toy", stream=TRADES, after=1), [0, 2, 1, 3]),
        (f.Stall(venue="toy", stream=TRADES, after=1, count=3), [0, 1, 2, 3]),
        (f.Fragment(venue="toy", stream=TRADES, after=1), [0, 1, 2, 3]),
        (f.Oversize(venue="toy", stream=TRADES, after=1, megabytes=0.1), [0, 1, 2, 3]),
        (f.Split(venue="toy", stream=TRADES, after=1), [0, 1, 2, 3]),
    ],
)
async def test_faults_act_on_what_is_stamped(toys, session, fault, order):
    async with connect(toys, session) as ws:
        await subscribe(ws, TRADES)
        await until_pong(ws)
        armed = toys.fault(fault)
        await toys.play(4)
        numbers = [m["n"] for m in await until_pong(ws)]
    assert armed.hits == 1
    assert [n - numbers[0] for n in numbers[:4]] == order


async def test_a_fault_without_a_stream_acts_on_books_and_on_each_connection_by_itself(toys, session):
    async with connect(toys, session) as one, connect(toys, session) as two:
        for ws in (one, two):
            await subscribe(ws, BOOK, TRADES)
            await until_pong(ws)
        armed = toys.fault(f.Skew(venue="toy", stream="", ms=-3_600_000, times=2))
        await toys.play(0.3)
        start = toys.market.now // 1_000_000
        late = [[m["topic"] for m in await until_pong(ws) if m["ts"] < start - 3_000_000] for ws in (one, two)]
    assert armed.hits == 2
    assert late == [[BOOK], [BOOK]]


async def test_a_burst_is_as_busy_as_asked_and_ends(toys, session):
    async with connect(toys, session) as ws:
        await subscribe(ws, TRADES)
        counts = []
        for fault in (None, f.Burst(factor=20, seconds=2), None):
            await until_pong(ws)
            if fault:
                toys.fault(fault)
            await toys.play(2)
            counts.append(len(await until_pong(ws)))
    assert counts[1] > 5 * max(counts[0], counts[2])


async def test_recent_trades_are_paged_by_id(toys, session):
    async with connect(toys, session) as ws:
        await subscribe(ws, TRADES)
        await until_pong(ws)
        await toys.play(8)
        told = [m["trade_id"] for m in await until_pong(ws)]
    line = toys.wires["toy"].lines["BTC-USD"]
    assert [t.id for t in line.recent(1000)] == told
    assert [t.id for t in line.recent(3)] == told[-3:]
    assert [t.id for t in line.recent(3, after=told[4])] == told[5:8]
    assert [t.id for t in line.recent(3, before=told[9])] == told[6:9]
    assert [t.id for t in line.recent(100, after=told[1], before=told[5])] == told[2:5]


def test_an_asset_costs_the_same_at_each_venue_in_whatever_it_is_quoted():
    """Mids of a minute, in dollars, against the first venue's: within a spread, a basis and what makers are late by."""
    wires = [wire_class(venue) for venue in simulated()] + [Toy]
    natives = [f"{w.venue}:{s.native}" for w in wires for s in w.specs if s.base in {"BTC", "AAPL", "EUR"}]
    market = Market(choose(wires, natives), {w.venue: w.rules for w in wires}, seed=4, start=1_790_000_000 * SECOND)
    assert {i.spec.base for i in market.instruments.values()} == {"BTC", "AAPL", "EUR"}
    for now in market.advance(market.now + 60 * SECOND):
        if now % SECOND:
            continue
        for key, instrument in market.instruments.items():
            spec = instrument.spec
            middle = (instrument.lob.bids.best + instrument.lob.asks.best) / 2 * spec.tick_size
            away = abs(middle / market.index(spec) - 1) * 1e4
            assert away < (8 if spec.kind in {"perp", "future"} else 5), (key, away)


def test_contracts_are_as_large_as_what_they_stand_for():
    """A median order of the same asset in dollars, whatever it is counted in."""
    market = Market(choose([Toy], [s.native for s in Toy.specs]), {"toy": Toy.rules}, seed=4, start=1_790_000_000 * SECOND)
    dollars = {"BTC-USD": 97_000 * 1e-6, "BTC-LIN": 97_000 * 0.001, "BTC-INV": 100.0}  # of one lot
    for native, worth in dollars.items():
        orders = [size for queue in market.instrument("toy", native).lob.bids.orders.values() for size in queue]
        assert 0.8 < statistics.median(orders) * worth / (97_000 * 0.012) < 1.25, native
    size = market.book("toy", "BTC-LIN").bids[0][1]
    assert Toy(market, Hub(FaultBox())).truth("BTC-LIN").bids[0][1] == size * 0.001
    assert Toy(market, Hub(FaultBox())).truth("BTC-INV").bids[0][1] == market.book("toy", "BTC-INV").bids[0][1]
    bid, _, ask, _ = market.instrument("toy", "EUR-JPY").lob.touch()
    assert 150 < bid / 1000 < ask / 1000 < 175
