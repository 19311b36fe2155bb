"""Streams that say nothing: the wrong path, a dead server, a quiet market. Each is told apart and none is passed over."""

import pytest

from tapeline.config import VenueSettings
from tapeline.engine import pipeline
from tapeline.errors import ConfigError
from tapeline.events import BookUpdate, Flag
from tapeline.sim import SimServer
from tapeline.sim import faults as f
from tapeline.venues.binance import Binance
from tapeline.venues.binance_usdm import BinanceUsdm
from tests.live.rig import BTC, NATIVE, PERP, PIPELINE, QUICK, SIM_BTC, SIM_PERP, running


async def test_a_stream_asked_for_on_the_wrong_path_is_reported(tmp_path, monkeypatch):
    """The futures' book on the path of trades: acknowledged, silent, and the others go on."""
    monkeypatch.setattr(BinanceUsdm, "path", lambda self, suffix: "/market/stream")
    async with (
        SimServer(seed=41, rate=5.0) as sim,
        running(sim, tmp_path, instruments=(PERP,), channels=("trades", "book")) as run,
    ):
        await run.until(lambda: "book" in {s.channel for s in run.statuses("stale", SIM_PERP)})
        (stale,) = [s for s in run.statuses("stale", SIM_PERP) if s.channel == "book"]
        assert "btcusdt@depth@100ms: acknowledged, and silent since it was asked for: wrong name or wrong path?" in stale.reason
        await run.until(lambda: run.trades(SIM_PERP))
        assert run.collector.status()["instruments"][0]["state"] == "stale"
    assert run.replayed() == run.published()


async def test_a_connection_of_which_nothing_ever_came_is_opened_again(tmp_path, monkeypatch):
    """Every stream of it on the wrong path, as after a change of the venue's addresses; then the right one."""
    right = BinanceUsdm.path
    monkeypatch.setattr(BinanceUsdm, "path", lambda self, suffix: "/market/stream")
    async with SimServer(seed=42) as sim, running(sim, tmp_path, instruments=(PERP,), channels=("book",)) as run:
        await run.until(lambda: any("none of its streams has ever spoken" in s.reason for s in run.statuses("connected")))
        await run.until(lambda: any("taking over" in s.reason for s in run.statuses("connected")))
    monkeypatch.setattr(BinanceUsdm, "path", right)
    assert run.replayed() == run.published()


@pytest.mark.parametrize(("channel", "other"), [("trades", "nosuch"), ("trades", "depth"), ("book", "trade")])
def test_a_stream_that_is_none_is_refused_before_anything_is_asked_for(channel, other):
    venue = Binance(VenueSettings(streams={channel: other}))
    with pytest.raises(ConfigError, match=rf"venues\.binance\.streams\.{channel}.*{other}"):
        venue.plan([venue.derive("BTCUSDT", "binance")], [channel])


async def test_a_server_that_is_dead_is_left_and_found_again(tmp_path):
    """No data and no pings: TCP says nothing is wrong."""
    wire = QUICK.__class__(connect_seconds=3.0, silence_seconds=1.5, backoff_first=0.05, backoff_most=0.2, stable_seconds=0.2)
    async with SimServer(seed=43) as sim, running(sim, tmp_path, instruments=(BTC,), wire=wire) as run:
        await run.synced(SIM_BTC)
        for conn in list(sim.hub.conns):
            conn.transport.pause_reading()  # our pings are not even read
        sim.fault(f.Silence(seconds=60.0, pings=False))
        await run.until(lambda: any("silent for 1.5 s" in s.reason for s in run.statuses("disconnected")))
        await run.synced(SIM_BTC)
        await run.quiet(SIM_BTC)
        run.assert_books_equal(SIM_BTC)


async def test_a_quiet_market_shows_its_book_unproven_until_the_first_update(tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "BOOK_PATIENCE", 500_000_000)
    async with SimServer(seed=44) as sim:
        await sim.play(0)
        sim.pause()
        async with running(sim, tmp_path, instruments=(BTC,), channels=("trades", "book"), pipeline=PIPELINE) as run:
            await run.until(lambda: run.state(SIM_BTC) == "joining")
            (first,) = [e for e in run.events if type(e) is BookUpdate]
            assert first.flags & Flag.BOOK_UNPROVEN
            assert first.snapshot
            truth = sim.book(*NATIVE[SIM_BTC])
            assert run.collector.book(SIM_BTC, 10).bids == [tuple(x) for x in truth.bids[:10]]
            assert any("no update came yet" in s.reason for s in run.statuses("resyncing"))
            sim.resume()
            await run.synced(SIM_BTC)
            await run.quiet(SIM_BTC)
            run.assert_books_equal(SIM_BTC)
            assert run.statuses("gap") == []
    assert run.replayed() == run.published()
