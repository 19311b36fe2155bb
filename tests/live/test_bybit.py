"""Bybit's simulator and the collector over real sockets: one symbol in three categories, books proved by `u`, and the way back."""

from pathlib import Path
from typing import Any

import pytest

from tapeline.config import VenueSettings
from tapeline.events import Bar, Liquidation, Quote, Ticker, Trade
from tapeline.sim import SimServer, bybit
from tapeline.sim import faults as f
from tests.live import rig

SPOT, PERP, INVERSE = "sim-bybit:BTC-USDT", "sim-bybit:BTC-USDT-PERP", "sim-bybit:BTC-USD-PERP"
NATIVE = {SPOT: "spot/BTCUSDT", PERP: "linear/BTCUSDT", INVERSE: "inverse/BTCUSD"}
DEPTH = 200


def running(sim: SimServer, data: Path, *names: str, streams: dict[str, str] | None = None, **changes: Any) -> Any:
    at = {"bybit": VenueSettings(ws_url=sim.ws_url("bybit"), http_url=sim.http_url("bybit"), streams=streams or {})}
    instruments = tuple(name.removeprefix("sim-") for name in names or NATIVE)
    return rig.running(sim, data, instruments=instruments, venues=at, **changes)


async def books_are_equal(run: rig.Run, *names: str, depth: int = DEPTH) -> None:
    """The best `depth` levels of the market, once it stands."""
    names = names or tuple(NATIVE)
    await run.synced(*names)
    run.sim.pause()

    def differing() -> list[str]:
        return [name for name in names if not same(run, name, depth)]

    await rig.until(lambda: not differing())
    for name in names:
        view = run.collector.book(name, 100_000)
        assert view is not None
        assert len(view.bids) == len(view.asks) == depth
        assert (view.bid_floor, view.ask_ceiling) == (view.bids[-1][0], view.asks[-1][0])


def same(run: rig.Run, name: str, depth: int) -> bool:
    view, truth = run.collector.book(name, 100_000), run.sim.book("bybit", NATIVE[name])
    return view is not None and view.state == "synced" and (view.bids, view.asks) == (truth.bids[:depth], truth.asks[:depth])


def trades_are_whole(run: rig.Run) -> bool:
    """From the first that we got to the last: each of the market's trades once, those of a lost connection fetched."""
    line = run.sim.wires["bybit"].lines[NATIVE[PERP]]
    made = [bybit.trade_id(line, t) for t in line.instrument.recent_trades]
    got = [t.id for t in run.trades(PERP)]
    assert len(got) == len(set(got))
    return sorted(got) == sorted(made[made.index(got[0]) :])


async def test_one_symbol_in_three_categories(tmp_path: Path) -> None:
    async with SimServer(seed=21, venues=["bybit"], rate=3.0) as sim, running(sim, tmp_path, history=True) as run:
        await run.synced(*NATIVE)
        for name in NATIVE:
            await run.until(lambda n=name: len(run.trades(n)) > 5)
            for kind in (Quote, Ticker, Bar):
                await run.until(lambda n=name, k=kind: any(type(e) is k and e.instrument == n for e in run.events))
        await run.until(lambda: {e.origin for e in run.events if isinstance(e, Bar)} == {"venue", "trades"})
        await books_are_equal(run)
        assert len(run.statuses("connected")) == 3
        assert [s.reason for s in run.statuses() if s.kind in {"gap", "rejected", "crossed"}] == []
        ids = [(t.instrument, t.id) for t in run.events if isinstance(t, Trade)]
        assert len(ids) == len(set(ids))
        assert {i.id: (i.inverse, i.lot) for i in run.collector.instruments()} == {
            SPOT: (False, 0.000001),
            PERP: (False, 0.001),
            INVERSE: (True, 1.0),
        }
        assert all(b.notional == b.volume for b in run.events if isinstance(b, Bar) and b.instrument == INVERSE)
        assert not {e.instrument for e in run.events if isinstance(e, Liquidation)} & {SPOT}
    assert run.replayed() == run.published()


FAULTS: list[tuple[f.AnyFault, str, str]] = [
    (f.Drop(stream="orderbook.200:linear/*"), "gap", "updates missing"),
    (f.Duplicate(stream="orderbook.200:linear/*"), "", ""),
    (f.Crossed(stream="orderbook.200:linear/*"), "crossed", "at or above best ask"),
    (f.Reset(venue="bybit"), "synced", "joined"),
    (f.Close(code=1006), "disconnected", "1006"),
]


@pytest.mark.parametrize(
    ("fault", "kind", "reason"), FAULTS, ids=lambda x: x.__struct_config__.tag if isinstance(x, f.Fault) else ""
)
async def test_the_way_back(tmp_path: Path, fault: f.AnyFault, kind: str, reason: str) -> None:
    async with (
        SimServer(seed=22, venues=["bybit"], rate=3.0) as sim,
        running(sim, tmp_path, PERP, channels=("trades", "book", "quotes")) as run,
    ):
        await run.until(lambda: run.state(PERP) == "synced" and len(run.trades(PERP)) > 5)
        before = len(run.events)
        armed = sim.fault(fault)
        await run.until(lambda: armed.hits)
        await run.until(lambda: not kind or any(reason in s.reason for s in run.events[before:] if s in run.statuses(kind)))
        after = len(run.trades(PERP))
        await run.until(lambda: len(run.trades(PERP)) > after + 5)
        await books_are_equal(run, PERP)
        await run.until(lambda: trades_are_whole(run))
        assert run.collector.pipeline.faults == 0
        if not kind:
            assert {s.kind for s in run.events[before:] if s in run.statuses()} <= {"stale", "recovered"}  # of a busy machine
    assert run.replayed() == run.published()


async def test_a_planned_reconnect_loses_nothing_and_says_nothing_twice(tmp_path: Path) -> None:
    async with (
        SimServer(seed=26, venues=["bybit"], rate=3.0) as sim,
        running(sim, tmp_path, PERP, channels=("trades", "book", "quotes", "ticker")) as run,
    ):
        await run.until(lambda: run.state(PERP) == "synced" and len(run.trades(PERP)) > 5)
        (supervisor,) = run.collector.supervisors
        supervisor.replace("for the test")
        await run.until(lambda: any(s.count == 1 for s in run.statuses("disconnected")))
        after = len(run.trades(PERP))
        await run.until(lambda: len(run.trades(PERP)) > after + 20)
        await books_are_equal(run, PERP)
        await run.until(lambda: trades_are_whole(run))
        assert run.statuses("gap") == []
    assert run.replayed() == run.published()


async def test_a_topic_that_the_venue_refuses(tmp_path: Path) -> None:
    """It costs the message that it stood in, and what stood in that is named."""
    async with SimServer(seed=23, venues=["bybit"]) as sim:
        sim.fault(f.AckError(msg="error:handler not found,topic:orderbook.200.BTCUSDT"))
        async with running(sim, tmp_path, PERP, channels=("book", "trades"), connect=True) as run:
            await run.until(lambda: run.statuses("rejected"))
            (refused,) = run.statuses("rejected")
            assert "linear/orderbook.200.BTCUSDT, linear/publicTrade.BTCUSDT" in refused.reason
            assert "handler not found" in refused.reason


@pytest.mark.parametrize("reset", [False, True])
async def test_a_full_book_is_joined_to_its_http_snapshot(tmp_path: Path, reset: bool) -> None:
    async with (
        SimServer(seed=25, venues=["bybit"], rate=3.0) as sim,
        running(sim, tmp_path, SPOT, channels=("book",), streams={"book": "orderbook.full"}) as run,
    ):
        await run.synced(SPOT)
        if reset:
            sim.fault(f.Reset(venue="bybit"))
            await run.until(lambda: [s for s in run.statuses("gap") if s.channel == "book"])
        await run.synced(SPOT)
        sim.pause()
        await rig.until(lambda: same(run, SPOT, 1_000_000))
        assert len(run.collector.book(SPOT, 100_000).bids) > 200  # type: ignore[union-attr]
    assert run.replayed() == run.published()


async def test_another_depth(tmp_path: Path) -> None:
    async with (
        SimServer(seed=24, venues=["bybit"], rate=3.0) as sim,
        running(sim, tmp_path, SPOT, channels=("book",), streams={"book": "orderbook.50"}) as run,
    ):
        await books_are_equal(run, SPOT, depth=50)
