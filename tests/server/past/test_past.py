"""Scrolling back without end: pages of memory and lake put together are all that ever came, each once, whatever was committed and
whatever memory had room for.
"""

import asyncio
import gzip
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

import pytest

from tapeline.clock import MICRO, SECOND
from tapeline.config import QuerySettings, ServerSettings
from tapeline.engine.bus import Batch
from tapeline.engine.lines import frames
from tapeline.engine.pipeline import Pipeline
from tapeline.events import Bar, Trade
from tapeline.lake.lake import Lake
from tapeline.lake.tail import TailServer
from tapeline.market.barkinds.specs import parse
from tapeline.server.asked import MAX_TIME, ApiError
from tapeline.server.memory.history import History
from tapeline.server.past.past import Past
from tapeline.server.query.boxed_past import past_of
from tapeline.server.query.piped import Ask
from tapeline.server.query.query import Queries
from tapeline.venues.registry import venue_class
from tests.engine.feeds import T0
from tests.lake.keeping import NAME, keep, market, session
from tests.server.fakes import FakeSource

COMMIT = 300


class Near(Queries):
    """Answers in a thread of the test what a process answers in the program."""

    def __init__(self, data: Path) -> None:
        super().__init__(data, QuerySettings())
        self.asked = []

    async def ask(self, request, what):
        self.asked.append(what)
        ask = Ask(data=str(self.data), what=what, answer_bytes=1 << 26, seconds=20, memory_mb=512, threads=1)
        head, pieces = await asyncio.to_thread(past_of, ask)
        return head, b"".join(pieces)


@asynccontextmanager
async def recorded(data, events, committed, trades, bars, mode="live") -> AsyncIterator[Past]:
    """The first `committed` events are in the lake, all others asked for of the session; memory has room for so many."""
    source = FakeSource(mode)
    source.time = max(e.ts_recv for e in events)
    history = History(ServerSettings(history_trades=trades, history_bars=bars))
    history.tap(Batch("s", 0, 0, list(events)))
    keep(data, events[:committed], "s", COMMIT)
    first = (committed - 1) // COMMIT * COMMIT + 1 if committed else 0
    rest = [Batch("s", first, first + 5, list(events[committed:]))]
    async with TailServer(data, lambda: (rest, True)):
        yield Past(source, history, Near(data))


async def scrolled(page, limit):
    """All pages from the newest to the oldest, put one behind the other, and how many there were."""
    found, end, count = [], MAX_TIME, 0
    while True:
        rows, more = await page(end, limit)
        found, count = [*rows, *found], count + 1
        if not more:
            return found, count
        end = (rows[0].ts_event if isinstance(rows[0], Trade) else rows[0][0].ts_open) // MICRO * MICRO


def by_time(events):
    return sorted((e for e in events if type(e) is Trade), key=lambda t: t.ts_event)


def key(trade):
    return trade.ts_event, trade.id, trade.price, trade.size, trade.side


@pytest.mark.parametrize("seed", range(4))
async def test_every_trade_once(tmp_path, seed):
    r = random.Random(seed)
    events = session(r, market(r, T0, 900, 400))
    committed = r.choice([0, 1, 3, len(events) // COMMIT]) * COMMIT
    async with recorded(tmp_path, events, committed, r.choice([100, 150, 10_000]), 100) as past:
        limit = r.choice([41, 60, 333, 5000])
        found, _ = await scrolled(lambda end, most: past.trades(None, NAME, 0, end, most), limit)
    assert [key(t) for t in found] == [key(t) for t in by_time(events)]


@pytest.mark.parametrize("interval", ["1s", "1m", "90s", "heikin-ashi:1m"])
async def test_every_bar_once(tmp_path, interval):
    r = random.Random(interval)
    events = session(r, market(r, T0, 900, 900))
    keep(tmp_path / "whole", events, "s", COMMIT)
    spec = parse(interval)
    whole = Lake(tmp_path / "whole").bars(NAME, interval)
    async with recorded(tmp_path / "part", events, 4 * COMMIT, 100, 100) as past:
        found, pages = await scrolled(lambda end, most: past.bars(None, NAME, spec, "trades", 0, end, most), 40)
        assert pages > len(found) / 41
    made = [(bar.ts_open, bar.volume, bar.trades, bar.complete) for bar, _ in found]
    rows = zip(*(whole[name].to_pylist() for name in ("ts_open", "volume", "trades", "complete")), strict=True)
    assert made == list(rows)
    if spec.base is None:
        assert [bar.close for bar, _ in found] == whole["close"].to_pylist()
    else:  # a view that begins in the middle is the same after some bars
        assert [bar.close for bar, _ in found] == pytest.approx(whole["close"].to_pylist())


async def test_bars_by_trades_that_nobody_streams(tmp_path):
    r = random.Random(5)
    events = session(r, market(r, T0, 400, 900))
    async with recorded(tmp_path, events, COMMIT, 100, 100) as past:
        found, more = await past.bars(None, NAME, parse("tick:50"), "trades", 0, MAX_TIME, 3000)
        whole = await asyncio.to_thread(Lake(tmp_path).bars, NAME, "tick:50")
    assert [bar.ts_open for bar, _ in found] == whole["ts_open"].to_pylist()
    assert not more


async def test_what_memory_has_whole_nobody_is_asked_for(tmp_path):
    r = random.Random(6)
    events = session(r, market(r, T0, 900, 400))
    async with recorded(tmp_path, events, 3 * COMMIT, 200, 200) as past:
        page, more = await past.trades(None, NAME, 0, MAX_TIME, 50)
        assert (len(page) > 40, more, past.queries.asked) == (True, True, [])
        bars, more = await past.bars(None, NAME, parse("1s"), "trades", 0, MAX_TIME, 30)
        assert (len(bars), more, past.queries.asked) == (30, True, [])


async def test_a_replay_does_not_look_ahead(tmp_path):
    r = random.Random(7)
    events = session(r, market(r, T0, 900, 400))
    half = events[: len(events) // 2]
    keep(tmp_path, events, "s", COMMIT)
    source = FakeSource("replay")
    source.time = max(e.ts_recv for e in half)
    history = History(ServerSettings(history_trades=100, history_bars=100))
    history.tap(Batch("s", 0, 0, list(half)))
    past = Past(source, history, Near(tmp_path))
    found, _ = await scrolled(lambda end, most: past.trades(None, NAME, 0, end, most), 60)
    assert [key(t) for t in found] == [key(t) for t in by_time(half)]
    for text in ("1s", "1m", "90s"):
        bars, _ = await scrolled(lambda end, most, text=text: past.bars(None, NAME, parse(text), "trades", 0, end, most), 60)
        assert all(bar.ts_event <= source.time for bar, closed in bars if closed)
        assert len({bar.ts_open for bar, _ in bars}) == len(bars)


async def test_where_the_lake_cannot_be_asked_memory_is_the_page(tmp_path):
    r = random.Random(8)
    events = session(r, market(r, T0, 600, 400))
    async with recorded(tmp_path, events, 3 * COMMIT, 100, 100) as past:

        async def busy(request, what):
            raise ApiError(503, "busy", "no place", "")

        past.queries.ask = busy
        page, more = await past.trades(None, NAME, 0, MAX_TIME, 5000)
        assert (len(page), more) == (100, True)
        with pytest.raises(ApiError, match="no place"):
            await past.trades(None, NAME, 0, page[0].ts_event, 50)
        past.queries.data = None
        assert (await past.trades(None, NAME, 0, MAX_TIME, 5000))[1] is False


async def test_a_recorded_session_without_a_seam(shared_frames, tmp_path):
    recording = shared_frames / "recorded" / "binance-spot" / "btcusdt_20240808.gz"
    pipeline, events = Pipeline(), []
    with gzip.open(recording) as lines:
        for n, frame in enumerate(islice(frames(venue_class("binance")(), lines, "recorded"), 4000)):
            pipeline.feed_many(n, [frame], events)
    committed = len(events) * 2 // 3 // COMMIT * COMMIT
    name = next(e.instrument for e in events if type(e) is Trade)
    async with recorded(tmp_path, events, committed, 100, 100) as past:
        found, _ = await scrolled(lambda end, most: past.trades(None, name, 0, end, most), 77)
        assert [key(t) for t in found] == [key(t) for t in by_time(events)]
        bars, _ = await scrolled(lambda end, most: past.bars(None, name, parse("1s"), "trades", 0, end, most), 50)
    closed = {e.ts_open: e for e in events if type(e) is Bar and e.interval == "1s"}
    assert {bar.ts_open: bar.volume for bar, _ in bars if bar.ts_open in closed} == {o: b.volume for o, b in closed.items()}
    assert len(bars) - len(closed) in (0, 1)
    assert bars[0][0].ts_open == min(t.ts_event for t in found) // SECOND * SECOND


async def test_memory_alone_is_never_more_than_memory_and_says_what_the_lake_has(tmp_path):
    r = random.Random(9)
    events = session(r, market(r, T0, 900, 900))
    async with recorded(tmp_path, events, 3 * COMMIT, 100, 100) as past:
        page, more = await past.trades(None, NAME, 0, MAX_TIME, 5000, memory=True)
        assert ([key(t) for t in page], more) == (
            [key(t) for t in by_time([e for e in events if type(e) is Trade][-100:])],
            True,
        )
        bars, more = await past.bars(None, NAME, parse("1s"), "trades", 0, MAX_TIME, 3000, memory=True)
        assert (len(bars), more) == (100, True)
        assert (await past.bars(None, NAME, parse("1s"), "trades", 0, MAX_TIME, 50, memory=True))[1] is True
        nothing = await past.bars(None, "binance:NEW-USDT", parse("1s"), "trades", 0, MAX_TIME, 50, memory=True)
        assert nothing == ([], False)
        assert past.queries.asked == []


async def test_the_day_of_a_session_that_began_at_noon(tmp_path):
    """What was there before noon is in the lake alone, though the first day of all began after the bar of the day did."""
    r = random.Random(10)
    hour = 3600 * SECOND
    day = T0 - T0 % (24 * hour)
    later = [(1000 + number, *of) for number, *of in market(r, day + 12 * hour, 300, 400)]
    morning, noon = session(r, market(r, day + 9 * hour, 300, 400)), session(r, later)
    keep(tmp_path, morning, "s0", COMMIT)
    keep(tmp_path, noon, "s", COMMIT)
    source = FakeSource("live")
    source.time = max(e.ts_recv for e in noon)
    told = source.status()
    source.status = lambda: told | {"started": day + 12 * hour}
    history = History(ServerSettings())
    history.tap(Batch("s", 0, 0, list(noon)))
    past = Past(source, history, Near(tmp_path))
    [(ours, _)], more = await past.bars(None, NAME, parse("1d"), "trades", 0, MAX_TIME, 1, memory=True)
    assert (ours.complete, more, past.queries.asked) == (False, True, [])
    [(whole, _)], more = await past.bars(None, NAME, parse("1d"), "trades", 0, MAX_TIME, 1)
    first = min((e for e in morning if type(e) is Trade), key=lambda t: t.ts_event)
    assert (whole.open, whole.ts_open, more) == (first.price, ours.ts_open, False)
    assert whole.trades > ours.trades
