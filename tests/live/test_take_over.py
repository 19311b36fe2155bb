"""Planned reconnects: the successor takes over with no event lost, none doubled, and books that stay proved."""

import asyncio
from itertools import pairwise

import msgspec
import pytest

from tapeline.events import Bar, BookUpdate, Quote, Ticker
from tapeline.sim import SimServer
from tapeline.sim import faults as f
from tapeline.venues.binance import Binance
from tapeline.venues.binance_usdm import BinanceUsdm
from tests.live.rig import BTC, PERP, SIM_BTC, SIM_PERP, contiguous, running

BUSY = 10.0  # far more than 50 trades and 50 quotes while both connections are up


def untouched(run, instrument):
    """Everything in order, once, and proved."""
    assert contiguous(run.trades(instrument))
    books = [e for e in run.events if type(e) is BookUpdate and e.instrument == instrument]
    diffs = [b for b in books if not b.snapshot]
    assert len(diffs) > 5
    assert all(b.prev_seq <= a.seq < b.seq for a, b in pairwise(diffs))
    quotes = [e.seq for e in run.events if type(e) is Quote and e.instrument == instrument and e.origin == "venue"]
    assert quotes == sorted(set(quotes))
    for kind in (Ticker, Bar):
        slow = [
            (getattr(e, "interval", ""), getattr(e, "mark", None) is not None, e.ts_event)
            for e in run.events
            if type(e) is kind and e.instrument == instrument and getattr(e, "origin", "venue") == "venue"
        ]
        assert len(slow) == len(set(slow))


def unbroken(run):
    """To be asked before the end, which is a loss like any other."""
    assert run.statuses("gap") == []
    assert run.statuses("crossed") == []
    assert [s for s in run.statuses("resyncing") if "book begins" not in s.reason] == []


async def test_a_shutdown_that_is_announced_loses_and_doubles_nothing(tmp_path):
    async with SimServer(seed=7, rate=BUSY) as sim, running(sim, tmp_path, instruments=(BTC, PERP)) as run:
        names = (SIM_BTC, SIM_PERP)
        await run.synced(*names)
        old = [s.id for s in (v.state for v in run.collector.supervisors)]
        sim.fault(f.Shutdown(grace=30.0))  # we are gone long before, but on a busy machine
        await run.until(lambda: len(run.statuses("disconnected")) >= len(old))
        assert [s.reason for s in run.statuses("disconnected") if "planned" not in s.reason] == []
        await asyncio.sleep(0.3)
        await run.quiet(*names)
        run.assert_books_equal(*names)
        for name in names:
            untouched(run, name)
        assert len(run.trades(SIM_BTC)) > 100
        unbroken(run)
    assert run.replayed() == run.published()


@pytest.fixture
def short_lived(monkeypatch):
    """Venues that are said to close every connection at this age; we are to be gone before they do (they wait longer, for the
    sake of a busy machine).
    """
    for venue in (Binance, BinanceUsdm):
        monkeypatch.setattr(venue, "limits", msgspec.structs.replace(venue.limits, max_age_seconds=3.0))


async def test_a_connection_is_replaced_before_the_venue_closes_it_for_its_age(tmp_path, short_lived):
    async with SimServer(seed=8, rate=6.0, max_age=30.0) as sim, running(sim, tmp_path, instruments=(BTC, PERP)) as run:
        names = (SIM_BTC, SIM_PERP)
        await run.until(lambda: len(run.statuses("disconnected")) >= 4, 60)
        assert [s.reason for s in run.statuses("disconnected") if "planned" not in s.reason] == []
        await run.quiet(*names)
        run.assert_books_equal(*names)
        for name in names:
            untouched(run, name)
        assert run.statuses("rejected") == []
        unbroken(run)
    assert run.replayed() == run.published()
