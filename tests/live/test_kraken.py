"""Kraken against its simulator over a real socket: what is special to a book that nothing numbers and a checksum proves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tapeline.config import Settings, TapeSettings, VenueSettings
from tapeline.engine.collector import Collector
from tapeline.events import Bar, BookUpdate, Flag, Quote, Ticker, Trade
from tapeline.sim import SimServer
from tapeline.sim import faults as f
from tests.live.rig import PIPELINE, QUICK, Run, contiguous
from tests.waiting import until

BTC, DOGE = "kraken:BTC-USD", "kraken:DOGE-USD"
NATIVE = {"sim-kraken:BTC-USD": "BTC/USD", "sim-kraken:DOGE-USD": "DOGE/USD"}
SIM_BTC, SIM_DOGE = NATIVE


@asynccontextmanager
async def streaming(
    data: Path, channels: tuple[str, ...] = ("trades", "book"), **streams: str
) -> AsyncIterator[tuple[SimServer, Run]]:
    async with SimServer(venues=["kraken"], seed=7, rate=3.0) as sim:
        venue = VenueSettings(ws_url=sim.ws_url("kraken"), http_url=sim.http_url("kraken"), streams=streams)
        base: dict[str, Any] = {
            "instruments": (BTC, DOGE),
            "channels": channels,
            "data": str(data),
            "wire": QUICK,
            "history": False,
        }
        settings = Settings(**base, pipeline=PIPELINE, tape=TapeSettings(flush_ms=20, sync_ms=200), venues={"kraken": venue})
        collector = Collector(settings, data=data)
        run = Run(collector, data, sim)
        await collector.start()
        try:
            await collector.connect(settings.instruments, settings.channels)
            yield sim, run
        finally:
            await collector.stop()


def equal(run: Run, name: str, depth: int = 100) -> bool:
    view, truth = run.collector.book(name, depth), run.sim.book("kraken", NATIVE[name])
    return (
        view is not None
        and view.state == "synced"
        and view.bids == [tuple(level) for level in truth.bids[:depth]]
        and view.asks == [tuple(level) for level in truth.asks[:depth]]
    )


async def books_equal(run: Run, depth: int = 100) -> None:
    """The market stands still, so that what is on its way arrives."""
    await run.synced(*NATIVE)
    run.sim.pause()
    await until(lambda: all(equal(run, name, depth) for name in NATIVE))
    run.sim.resume()


async def test_everything_that_kraken_gives(tmp_path: Path) -> None:
    async with streaming(tmp_path, ("trades", "book", "quotes", "ticker", "bars")) as (_, run):
        await run.synced(*NATIVE)
        await until(lambda: len(run.trades(SIM_BTC)) > 20)
        kinds = {Trade, BookUpdate, Quote, Ticker, Bar}
        await until(lambda: kinds <= {type(e) for e in run.events if e.instrument == SIM_BTC})
        await books_equal(run)
        assert all(e.flags & Flag.SIMULATED for e in run.events if type(e) is not Bar)
        assert contiguous(run.trades(SIM_BTC))
        assert not run.statuses("rejected")
        assert not run.statuses("gap")
    assert run.published() == run.replayed()


@pytest.mark.parametrize(
    "fault", [f.Drop(stream="book-*:BTC/USD", times=4), f.Checksum(stream="book-*:BTC/USD", times=1)], ids=["drop", "checksum"]
)
async def test_a_book_that_its_checksum_disproves_begins_anew_on_the_same_connection(tmp_path: Path, fault: f.Fault) -> None:
    async with streaming(tmp_path, book="book-10") as (sim, run):
        await run.synced(*NATIVE)
        sim.fault(fault)
        await until(lambda: run.statuses("gap", SIM_BTC))
        await until(lambda: len(run.statuses("synced", SIM_BTC)) >= 2)
        await books_equal(run, 10)
        assert "checksum" in run.statuses("gap", SIM_BTC)[0].reason
        assert len(run.statuses("connected")) == 1
        assert len(run.statuses("synced", SIM_DOGE)) == 1
    assert run.published() == run.replayed()


async def test_a_lost_connection_costs_no_trade_and_no_book(tmp_path: Path) -> None:
    async with streaming(tmp_path) as (sim, run):
        await run.synced(*NATIVE)
        await until(lambda: len(run.trades(SIM_BTC)) > 5)
        sim.fault(f.Close(code=1006))
        await until(lambda: len(run.statuses("synced", SIM_BTC)) >= 2)
        before = len(run.trades(SIM_BTC))
        await until(lambda: len(run.trades(SIM_BTC)) > before + 5)
        await until(lambda: contiguous(sorted(run.trades(SIM_BTC), key=lambda t: int(t.id))))
        await books_equal(run)
    assert run.published() == run.replayed()


async def test_one_symbol_refused_leaves_the_others_alone(tmp_path: Path) -> None:
    async with SimServer(venues=["kraken"], seed=7, rate=3.0) as sim:
        sim.fault(f.AckError(one=True, times=2, msg="Currency pair not supported"))
        venue = VenueSettings(ws_url=sim.ws_url("kraken"), http_url=sim.http_url("kraken"))
        settings = Settings(
            instruments=(BTC, DOGE),
            channels=("trades",),
            data=str(tmp_path),
            wire=QUICK,
            venues={"kraken": venue},
            history=False,
        )
        collector = Collector(settings, data=None)
        run = Run(collector, tmp_path, sim)
        await collector.start()
        try:
            await collector.connect(settings.instruments, settings.channels)
            await until(lambda: run.trades(SIM_DOGE))
            await until(lambda: len(run.statuses("rejected")) == 2)
            assert [s.reason for s in run.statuses("rejected")] == [
                "sim-kraken refused instrument: Currency pair not supported",
                "sim-kraken refused trade:BTC/USD: Currency pair not supported",
            ]
            assert not run.trades(SIM_BTC)
        finally:
            await collector.stop()


async def test_maintenance_is_told(tmp_path: Path) -> None:
    async with streaming(tmp_path, ("trades",)) as (sim, run):
        await until(lambda: run.trades(SIM_BTC))
        sim.fault(f.Shutdown(grace=0.2))
        await until(lambda: any("maintenance" in s.reason for s in run.statuses("stale")))
        await until(lambda: any("online" in s.reason for s in run.statuses("recovered")))  # the connection that follows
        before = len(run.trades(SIM_BTC))
        await until(lambda: len(run.trades(SIM_BTC)) > before)


async def test_a_pair_that_is_halted_is_told(tmp_path: Path) -> None:
    async with streaming(tmp_path) as (sim, run):
        await run.synced(*NATIVE)
        sim.fault(f.Halt(symbol="BTC/USD", seconds=1.0))
        await until(lambda: any("cancel_only" in s.reason for s in run.statuses("stale", SIM_BTC)))
        await until(lambda: any("online" in s.reason for s in run.statuses("recovered", SIM_BTC)))
        await books_equal(run)
