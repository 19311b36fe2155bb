"""Coinbase's two simulated feeds and the collector over a real socket: books without numbers, trades by their ids, the way back."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tapeline.config import VenueSettings
from tapeline.events import Bar, BookUpdate, Flag, Quote, Ticker, Trade
from tapeline.sim import SimServer
from tapeline.sim.faults import Close, Crossed, Drop, Oversize
from tests.live import rig

VENUES = ("coinbase", "coinbase-advanced")
MATCHES = {"coinbase": "matches:*", "coinbase-advanced": "market_trades:*"}


def names(venue: str) -> list[str]:
    return [f"sim-{venue}:BTC-USD", f"sim-{venue}:ETH-USD"]


@asynccontextmanager
async def feed(venue: str, tmp_path: Path, sim: SimServer, side: Any = "maker", **changes: Any) -> AsyncIterator[rig.Run]:
    at = {venue: VenueSettings(ws_url=sim.ws_url(venue), http_url=sim.http_url(venue), trade_side=side)}
    chosen = {"instruments": (f"{venue}:BTC-USD", f"{venue}:ETH-USD"), "venues": at, **changes}
    async with rig.running(sim, tmp_path, **chosen) as run:
        yield run


def market(venue: str, seed: int) -> SimServer:
    return SimServer(venues=[venue], seed=seed, rate=2.0, instruments=["BTC-USD", "ETH-USD"])


def as_the_simulator(run: rig.Run, venue: str, name: str) -> bool:
    view, truth = run.collector.book(name, 100_000), run.sim.book(venue, name.partition(":")[2])
    return view is not None and view.state == "synced" and (view.bids, view.asks) == (truth.bids, truth.asks)


async def equal(run: rig.Run, venue: str) -> None:
    """Stop the market; every level of every book is then the simulator's own."""
    await run.until(lambda: all(run.state(name) == "synced" for name in names(venue)))
    run.sim.pause()
    await run.until(lambda: all(as_the_simulator(run, venue, name) for name in names(venue)))
    assert all(len(run.sim.book(venue, name.partition(":")[2]).bids) > 50 for name in names(venue))


def whole(run: rig.Run, name: str) -> bool:
    return rig.contiguous(sorted(run.trades(name), key=lambda t: int(t.id)))


def prints_where_aggressors_do(run: rig.Run, name: str) -> tuple[int, int]:
    """(right, wrong): trades whose side agrees with the venue's quote before them. A buy prints at the ask or above."""
    right = wrong = 0
    quote: Quote | None = None
    for e in run.events:
        if e.instrument == name and isinstance(e, Quote) and e.origin == "venue":
            quote = e
        elif e.instrument == name and isinstance(e, Trade) and quote is not None and quote.bid and quote.ask:
            middle = (quote.bid + quote.ask) / 2
            right += (e.price > middle) is (e.side == "buy")
            wrong += (e.price > middle) is not (e.side == "buy")
    return right, wrong


@pytest.mark.parametrize("venue", VENUES)
async def test_the_simulated_venue(tmp_path: Path, venue: str) -> None:
    name = names(venue)[0]
    async with market(venue, 5) as sim, feed(venue, tmp_path, sim, history=True) as run:
        await run.until(lambda: len(run.trades(name)) > 20 and all(map(run.trades, names(venue))))
        kinds = {"Quote", "Ticker", "BookUpdate", "Trade", "Bar"}
        await run.until(lambda: kinds <= {type(e).__name__ for e in run.events})
        await run.until(lambda: {e.interval for e in run.events if isinstance(e, Bar) and e.origin == "venue"} >= {"1m", "1d"})
        await equal(run, venue)
        listed = {i.symbol: i for i in run.collector.instruments()}
        assert (listed["BTC-USD"].tick, listed["BTC-USD"].lot, listed["BTC-USD"].status) == (0.01, 1e-8, "online")
        assert all(rig.contiguous(run.trades(name)) for name in names(venue))
        assert all(e.flags & Flag.SIMULATED for e in run.events)
        assert any(e.volume for e in run.events if isinstance(e, Ticker))
        assert not run.statuses("gap")
        assert not run.statuses("rejected")
        right, wrong = prints_where_aggressors_do(run, name)
        assert right > 5 * wrong
        (connection,) = run.collector.pipeline.connections.values()
        await run.until(lambda: not connection.pending and all(s.acked for s in connection.silences.values()))
    assert run.replayed() == run.published()


async def test_a_side_that_is_taken_for_the_takers_prints_on_the_wrong_side(tmp_path: Path) -> None:
    """The check of `trade_side` against the best bid and offer: with the wrong setting buys print at the bid."""
    venue, name = "coinbase-advanced", "sim-coinbase-advanced:BTC-USD"
    async with market(venue, 6) as sim, feed(venue, tmp_path, sim, side="taker", channels=("trades", "quotes")) as run:
        await run.until(lambda: len(run.trades(name)) > 30)
        right, wrong = prints_where_aggressors_do(run, name)
        assert wrong > 5 * right
    assert run.replayed() == run.published()


@pytest.mark.parametrize("venue", VENUES)
async def test_lost_trades_are_noticed_fetched_and_given_once(tmp_path: Path, venue: str) -> None:
    """A lost match shows at the next one or the next heartbeat; a lost connection at the `last_match` of the new one."""
    name = names(venue)[0]
    async with market(venue, 7) as sim, feed(venue, tmp_path, sim, channels=("trades",)) as run:
        await run.until(lambda: len(run.trades(name)) > 5)
        sim.fault(Drop(stream=MATCHES[venue], times=3))
        await run.until(lambda: [s for s in run.statuses("recovered") if s.channel == "trades"])
        sim.fault(Close(code=1006))
        await run.until(lambda: len(run.statuses("connected")) >= 2)
        before = len(run.trades(name))
        await run.until(lambda: len(run.trades(name)) > before + 5)
        await run.until(lambda: not any(lane.trades.repair.wanted for lane in run.collector.pipeline.lanes.values()))
        await run.until(lambda: all(whole(run, each) for each in names(venue)))
        assert any(t.flags & Flag.RECOVERED for each in names(venue) for t in run.trades(each))
    assert run.replayed() == run.published()


async def test_a_heartbeat_tells_of_a_trade_that_nothing_followed(tmp_path: Path) -> None:
    venue, name = "coinbase", "sim-coinbase:BTC-USD"
    async with (
        market(venue, 8) as sim,
        feed(venue, tmp_path, sim, channels=("trades",), instruments=("coinbase:BTC-USD",)) as run,
    ):
        await run.until(lambda: len(run.trades(name)) > 5)
        sim.fault(Drop(stream="matches:*", times=0))  # from here on no match comes at all
        await run.until(lambda: len([t for t in run.trades(name) if t.flags & Flag.RECOVERED]) > 10)
        await run.until(lambda: whole(run, name))


@pytest.mark.parametrize("venue", VENUES)
async def test_a_crossed_book_begins_anew_on_the_same_connection(tmp_path: Path, venue: str) -> None:
    async with market(venue, 9) as sim, feed(venue, tmp_path, sim, channels=("book",)) as run:
        await run.until(lambda: all(run.state(name) == "synced" for name in names(venue)))
        sim.fault(Crossed(times=1))
        await run.until(lambda: run.statuses("crossed"))
        await equal(run, venue)
        assert len(run.statuses("connected")) == 1
        (crossed,) = run.statuses("crossed")
        assert len(run.statuses("synced", crossed.instrument)) == 2
    assert run.replayed() == run.published()


async def test_a_lost_update_shows_where_messages_are_counted_and_nowhere_else(tmp_path: Path) -> None:
    """Advanced begins every book of the connection anew. On Exchange nothing tells: docs/venues.md says so."""
    async with market("coinbase-advanced", 10) as sim, feed("coinbase-advanced", tmp_path, sim, channels=("book",)) as run:
        await run.until(lambda: all(run.state(name) == "synced" for name in names("coinbase-advanced")))
        sim.fault(Drop(times=1))
        await run.until(lambda: run.statuses("gap"))
        await equal(run, "coinbase-advanced")
        assert all(len(run.statuses("synced", name)) == 2 for name in names("coinbase-advanced"))
        assert len(run.statuses("connected")) == 1
    assert run.replayed() == run.published()


async def test_a_snapshot_of_megabytes(tmp_path: Path) -> None:
    """One frame of 10 MB, as a large product's may be, is a message like any other."""
    async with market("coinbase", 11) as sim:
        sim.fault(Oversize(megabytes=10, times=1))
        async with feed("coinbase", tmp_path, sim, channels=("book",)) as run:
            await equal(run, "coinbase")
            assert len([e for e in run.events if isinstance(e, BookUpdate) and e.snapshot]) == 2
            assert not run.statuses("rejected")


async def test_a_usdc_product_comes_by_the_name_of_its_book(tmp_path: Path) -> None:
    venue, name = "coinbase-advanced", "sim-coinbase-advanced:BTC-USDC"
    async with market(venue, 12) as sim, feed(venue, tmp_path, sim, instruments=(f"{venue}:BTC-USDC",)) as run:
        await run.until(lambda: len(run.trades(name)) > 3 and run.state(name) == "synced")
        assert {e.instrument for e in run.events} <= {"", name}
        (connection,) = run.collector.pipeline.connections.values()
        await run.until(lambda: all(s.acked for s in connection.silences.values()))


@pytest.mark.parametrize("venue", VENUES)
async def test_a_book_without_numbers_survives_a_change_of_connection(tmp_path: Path, venue: str) -> None:
    """A successor says the book anew from its snapshot on: nothing that it says is a double, since nothing says so."""
    async with market(venue, 14) as sim, feed(venue, tmp_path, sim, channels=("book",)) as run:
        await run.until(lambda: all(run.state(name) == "synced" for name in names(venue)))
        run.collector.supervisors[0].replace("a test of it")
        await run.until(lambda: len(run.statuses("connected")) >= 2)
        await run.until(lambda: run.statuses("disconnected"))
        seen = len(run.events)
        await run.until(lambda: len([e for e in run.events[seen:] if isinstance(e, BookUpdate)]) > 10)
        await equal(run, venue)
        assert not run.statuses("gap")
        assert not run.statuses("crossed")
    assert run.replayed() == run.published()
