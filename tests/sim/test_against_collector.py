"""Tapeline's own collector against the simulated venues, fault by fault: it says what happened, and its books are right afterwards."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from tapeline.config import PipelineSettings, Settings, VenueSettings, WireSettings
from tapeline.engine.collector import Collector
from tapeline.events import Status
from tapeline.market import renewal
from tapeline.sim import SimServer
from tapeline.sim import faults as f
from tapeline.venues.registry import venue_class
from tests.waiting import until

pytestmark = pytest.mark.slow  # books are made in real time
IDS = {"binance": "BTC-USDT", "binance-usdm": "BTC-USDT-PERP"}


def label(value):
    return value if isinstance(value, str) else str(value.__struct_config__.tag)


@asynccontextmanager
async def collecting(venue, *faults, channels=("trades", "book", "quotes"), **pipeline):
    """A running pair, and the list of status events that grows."""
    wire = WireSettings(backoff_first=0.05, backoff_most=0.2)
    async with SimServer(seed=5, venues=[venue], instruments=["BTCUSDT"], faults=faults) as sim:
        addresses = VenueSettings(ws_url=sim.ws_url(venue), http_url=sim.http_url(venue))
        settings = Settings(venues={venue: addresses}, wire=wire, pipeline=PipelineSettings(**pipeline))
        collector = Collector(settings, data=None)
        told: list[Status] = []
        collector.bus.tap(lambda batch: told.extend(e for e in batch.events if isinstance(e, Status)))
        await collector.start()
        await asyncio.sleep(0.3 if faults else 0)  # what is armed at the start grows old
        try:
            await collector.connect([f"{venue}:{IDS[venue]}"], channels)
            yield sim, collector, told
        finally:
            await collector.stop()


def name(collector):
    return next(i.id for i in collector.instruments())


def synced(collector):
    views = [collector.book(i.id, 10_000) for i in collector.instruments()]
    return bool(views) and all(view is not None and view.state == "synced" for view in views)


async def equal(sim, collector, venue):
    """The market stands; the book gets there and is the same to the last level. A book that was just then fetched anew cannot
    join while nothing happens: then the market goes on, and stops again."""
    while True:
        await until(lambda: synced(collector))
        sim.pause()
        truth = sim.book(venue, "BTCUSDT")
        try:
            async with asyncio.timeout(0.5):
                await until(
                    lambda last=truth.last_update_id: synced(collector) and collector.book(name(collector), 1).seq == last
                )
            break
        except TimeoutError:
            sim.resume()
    view = collector.book(name(collector), 10_000)
    assert (view.bids, view.asks) == (truth.bids, truth.asks)
    assert name(collector).startswith("sim:")


@pytest.mark.parametrize("venue", IDS)
async def test_without_faults_nothing_is_reported(venue):
    async with collecting(venue) as (sim, collector, told):
        await equal(sim, collector, venue)
        assert {s.kind for s in told} <= {"connected", "resyncing", "synced"}


@pytest.mark.parametrize(
    ("venue", "fault", "kind"),
    [
        ("binance", f.Drop(), "gap"),
        ("binance-usdm", f.Drop(), "gap"),
        ("binance", f.Reorder(), "gap"),
        ("binance", f.Crossed(), "crossed"),
        ("binance-usdm", f.Crossed(), "crossed"),
        ("binance-usdm", f.Reset(), "gap"),
        ("binance", f.Malformed(how="truncated"), "rejected"),
        ("binance-usdm", f.Malformed(how="utf8"), "rejected"),
        ("binance", f.Malformed(how="nan"), "rejected"),
        ("binance-usdm", f.Malformed(how="negative"), "rejected"),
        ("binance", f.Malformed(how="huge_id"), "rejected"),
        ("binance-usdm", f.Malformed(how="wrong_type"), "rejected"),
        ("binance", f.Malformed(how="empty"), "rejected"),
        ("binance-usdm", f.Malformed(how="not_json"), "rejected"),
        ("binance", f.Close(code=1006), "disconnected"),
        ("binance-usdm", f.Close(code=1008), "disconnected"),
    ],
    ids=label,
)
async def test_a_fault_is_reported_and_mended(venue, fault, kind):
    async with collecting(venue) as (sim, collector, told):
        await until(lambda: synced(collector))
        told.clear()
        sim.fault(fault)
        await until(lambda: any(s.kind == kind for s in told))
        await equal(sim, collector, venue)


@pytest.mark.parametrize(
    ("venue", "fault"),
    [
        ("binance", f.Duplicate()),
        ("binance", f.Split(times=5)),
        ("binance-usdm", f.Split(times=5)),
        ("binance", f.Fragment(times=5)),
        ("binance-usdm", f.Oversize()),
        ("binance-usdm", f.Skew(times=20)),
        ("binance-usdm", f.Stall(count=5)),
    ],
    ids=label,
)
async def test_what_is_legal_is_taken_without_a_gap(venue, fault):
    async with collecting(venue) as (sim, collector, told):
        await until(lambda: synced(collector))
        armed = sim.fault(fault)
        await until(lambda: armed.spent and not any(armed.held.values()))
        await equal(sim, collector, venue)
        assert not [s for s in told if s.kind in {"gap", "crossed", "disconnected", "rejected"}]


@pytest.mark.parametrize(
    ("venue", "fault"),
    [
        ("binance", f.StaleSnapshot(times=2)),
        ("binance-usdm", f.StaleSnapshot(times=2)),
        ("binance", f.LateSnapshot(seconds=0.5)),
        ("binance", f.HttpFail(path="*/depth", status=503, times=2)),
        ("binance-usdm", f.HttpFail(path="*/depth", status=429, retry_after=1)),
        ("binance", f.Refuse(status=503)),
    ],
    ids=label,
)
async def test_a_bad_start_ends_well(venue, fault):
    async with collecting(venue, fault) as (sim, collector, _):
        await equal(sim, collector, venue)
        assert sim.faults.armed[0].spent


async def test_a_shutdown_that_is_announced_loses_nothing():
    async with collecting("binance") as (sim, collector, told):
        await until(lambda: synced(collector))
        told.clear()
        sim.fault(f.Shutdown(grace=8.0))
        await until(lambda: any(s.kind == "disconnected" for s in told))
        await equal(sim, collector, "binance")
        assert not [s for s in told if s.kind == "gap"]


async def test_silence_is_noticed_on_an_open_connection():
    async with collecting("binance", stale_seconds=0.5) as (sim, collector, told):
        await until(lambda: synced(collector))
        told.clear()
        sim.fault(f.Silence(seconds=5.0))
        await until(lambda: any(s.kind == "stale" for s in told))
        assert not any(s.kind == "disconnected" for s in told)
        await equal(sim, collector, "binance")


async def test_an_error_in_answer_to_a_subscription_is_reported():
    async with collecting("binance", f.AckError(msg="Invalid request: no")) as (sim, _, told):
        await until(
            lambda: sim.faults.armed[0].spent and any(s.kind == "rejected" and "Invalid request: no" in s.reason for s in told)
        )


@pytest.mark.parametrize("venue", IDS)
async def test_a_book_that_knows_few_levels_is_renewed_as_the_market_moves(venue, monkeypatch):
    monkeypatch.setattr(venue_class(venue), "depth", (5, 5))  # a market moves past five levels at once
    monkeypatch.setattr(renewal, "PAUSE", 100_000_000)
    async with collecting(venue) as (sim, collector, told):
        await until(lambda: sum(s.kind == "synced" and "renewed" in s.reason for s in told) >= 3)
        await until(lambda: synced(collector))
        sim.pause()
        truth = sim.book(venue, "BTCUSDT")
        await until(lambda: collector.book(name(collector), 1).seq == truth.last_update_id)
        view = collector.book(name(collector), 10_000)
        assert view.bids == truth.bids[: len(view.bids)]
        assert view.asks == truth.asks[: len(view.asks)]
        assert not {s.kind for s in told} & {"gap", "crossed", "rejected"}
