"""Bars and books beside a session that has not committed its last seconds: what they are once it has. And what is said of an
instrument that is not there.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tapeline.engine.bus import Batch
from tapeline.engine.pipeline import Pipeline
from tapeline.errors import UsageError
from tapeline.events import Event
from tapeline.lake import known
from tapeline.lake.lake import Lake, nanoseconds
from tapeline.lake.tail import TailServer
from tests.engine.feeds import MS, SECOND, T0, Market, answer, closed, opened, recv
from tests.lake.keeping import NAME, keep, market, session
from tests.lake.oracle import watched

COMMIT = 300
KEPT = 3


@asynccontextmanager
async def beside(data: Path, events: Sequence[Event], kept: int) -> AsyncIterator[None]:
    """The first `kept` commits are in the lake; a session has the rest in memory."""
    if kept:
        keep(data, events[: kept * COMMIT], "s1", COMMIT)
    else:
        keep(data, [], "s1")
    first = (kept - 1) * COMMIT + 1 if kept else 0  # `keep` calls a commit by the number of its first event
    rest = [Batch("s1", first, first + 5, list(events[kept * COMMIT :]))]
    async with TailServer(data, lambda: (rest, True)):
        yield


@pytest.mark.parametrize("kept", [0, KEPT])
@pytest.mark.parametrize(("interval", "source"), [("7s", "auto"), ("1m", "auto"), ("1m", "trades"), ("5m", "auto")])
async def test_bars_go_up_to_now(tmp_path: Path, kept: int, interval: str, source: str) -> None:
    r = random.Random(3)
    events = session(r, market(r, T0, 1_500, 600))
    assert len(events) > 2 * KEPT * COMMIT
    keep(tmp_path / "whole", events, "s1", COMMIT)
    whole = Lake(tmp_path / "whole").bars(NAME, interval, source=source)
    async with beside(tmp_path / "part", events, kept):
        lake = Lake(tmp_path / "part")
        found = await asyncio.to_thread(lake.bars, NAME, interval, source=source)
        assert lake.reach is None
    assert found.equals(whole)
    if kept:  # the rest went with the session
        assert not lake.bars(NAME, interval, source=source).equals(whole)


def book_events() -> list[Event]:
    venue, frames = Market(1), [opened(T0, streams=("btcusdt@depth@100ms",))]
    frames += [recv(T0 + MS, venue.diff(T0 // MS)), answer(T0 + 2 * MS, venue.snapshot())]
    frames += [recv(T0 + i * 100 * MS, venue.diff(T0 // MS + i * 100)) for i in range(1, 900)]
    return watched([*frames, closed(T0 + 95 * SECOND, 1)], Pipeline(), 0.0)[0]


async def test_books_go_up_to_now_and_end_where_nobody_records(tmp_path: Path) -> None:
    events = book_events()
    keep(tmp_path / "whole", events, "s1", COMMIT)
    whole, late = Lake(tmp_path / "whole"), T0 + 85 * SECOND
    async with beside(tmp_path / "part", events, KEPT):
        lake = Lake(tmp_path / "part")
        view = await asyncio.to_thread(lake.book, NAME, late)
        assert view == whole.book(NAME, late)
        assert view.state == "synced"
        gone = await asyncio.to_thread(lake.book, NAME, T0 + 96 * SECOND)
        assert (gone.state, gone.reason) == ("unproven", "resyncing: connection 1 lost")
        rows = await asyncio.to_thread(lake.books, NAME, T0, late, "5s")
        assert rows.equals(whole.books(NAME, T0, late, "5s"))
    killed = lake.book(NAME, late)  # its memory went with it
    assert killed.state == "unproven"
    assert killed.reason.startswith("the recording ends at")


def test_a_book_is_shown_in_a_line(tmp_path: Path) -> None:
    keep(tmp_path, book_events(), "s1", COMMIT)
    view = Lake(tmp_path).book(NAME, T0 + 5 * SECOND)
    (price, size), text = view.asks[0], repr(view)
    assert text.startswith("<BookAt binance:BTC-USDT 2026-11-21T10:05:05.000000000Z synced, ")
    assert text.endswith(
        f"{len(view.asks)} asks: {view.bids[0][1]:.15g} at {view.bids[0][0]:.15g} | {size:.15g} at {price:.15g}>"
    )


@pytest.mark.parametrize("name", ["sim:BTC-USDT", "binance:BTCUSDT"])
def test_an_instrument_that_is_not_there_is_named_with_the_one_that_is(tmp_path: Path, name: str) -> None:
    keep(tmp_path, book_events(), "s1", COMMIT)
    lake = Lake(tmp_path)
    for ask in (lake.bars, lake.trades, lake.liquidations, lambda n: lake.trades([NAME, n]), lambda n: lake.book(n, T0)):
        with pytest.raises(UsageError, match=f"of {name}: did you mean {NAME}[?]"):
            ask(name)
    assert len(lake.trades(NAME)) == len(lake.bars(NAME)) == 0
    with pytest.raises(UsageError, match="there are trade, quote, book"):
        lake.span(NAME, "trades")


async def test_an_instrument_that_is_only_in_memory_is_there(tmp_path: Path) -> None:
    async with beside(tmp_path, book_events(), 0):
        lake = Lake(tmp_path)
        assert len(await asyncio.to_thread(lake.trades, NAME)) == 0
        with pytest.raises(UsageError, match=f"did you mean {NAME}"):
            await asyncio.to_thread(lake.trades, "binance:BTC-USDC")


def test_what_is_meant() -> None:
    assert known.nothing_of("a:B-C", []).endswith("it has nothing at all yet")
    assert known.nothing_of("a:B-C", ["x:QQQ"]) == "the lake has nothing of a:B-C. It has x:QQQ"
    many = [f"binance:A{i}-USDT" for i in range(30)]
    assert "It has 30 instruments: `tapeline lake ls`" in known.nothing_of("binance:A1-USDC", many)


def test_times_of_every_kind() -> None:
    ns = 1_763_719_500_123_456_789
    assert nanoseconds("start", "2025-11-21T10:05:00.123456789") == ns
    assert nanoseconds("start", pd.Timestamp(ns, tz="UTC")) == ns
    assert nanoseconds("start", pd.Timestamp(ns)) == ns
    assert nanoseconds("start", datetime(2025, 11, 21, 10, 5, 0, 123456, tzinfo=UTC)) == ns - 789
    assert nanoseconds("start", datetime(2025, 11, 21, 12, 5, tzinfo=timezone(timedelta(hours=2)))) == ns - 123_456_789
    assert nanoseconds("start", np.int64(ns)) == ns
    for nonsense in (1.5, "yesterday", object()):
        with pytest.raises(UsageError, match=r"start .* is no ISO 8601 time"):
            nanoseconds("start", nonsense)  # type: ignore[arg-type]
