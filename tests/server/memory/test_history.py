"""The rings against plain lists: whatever comes, in whatever order, the same is left."""

from hypothesis import given
from hypothesis import strategies as st

from tapeline.clock import SECOND
from tapeline.config import ServerSettings
from tapeline.engine.bus import Batch
from tapeline.events import Liquidation
from tapeline.server.memory.history import Bars, History, Log
from tests.server.fakes import BTC, ETH, T0, bar, book_event, metrics, quote, trade

CAPACITY = 10


@given(before=st.integers(0, 30), after=st.integers(0, 30), limit=st.integers(1, 30))
def test_a_reader_of_the_log_gets_or_is_told_of_every_item(before, after, limit):
    log: Log[int] = Log(CAPACITY)
    for n in range(before):
        log.append(n)
    cursor = log.total
    for n in range(before, before + after):
        log.append(n)
    got, missed = log.since(cursor, limit)
    assert len(got) + missed == after
    assert got == list(range(before + after - len(got), before + after))
    assert len(got) == min(after, limit, CAPACITY)
    held = [n for n in range(before + after) if n >= before + after - CAPACITY]
    assert log.until(cursor, limit) == [n for n in held if n < before][-limit:]


@given(st.lists(st.integers(0, 15), max_size=120))
def test_bars_are_sorted_unique_and_the_latest_revision(minutes):
    bars = Bars(1000)
    expected = {}
    for revision, minute in enumerate(minutes):
        bars.put(bar(minute, revision=revision))
        expected[minute] = revision
    assert [(b.ts_open, b.revision) for b in bars.last(1000)] == [(T0 + m * 60 * SECOND, expected[m]) for m in sorted(expected)]
    assert bars.changed.total == len(minutes)
    start, end = T0 + 3 * 60 * SECOND, T0 + 7 * 60 * SECOND
    assert [b.ts_open for b in bars.between(start, end)] == [b.ts_open for b in bars.last(1000) if start <= b.ts_open < end]


def test_bars_are_bounded():
    bars = Bars(100)
    for n in range(1000):
        bars.put(bar(n))
        assert len(bars._bars) <= 112
    assert [b.ts_open for b in bars.last(500)] == [bar(n).ts_open for n in range(900, 1000)]


def test_a_revision_of_a_bar_that_has_left_does_not_push_newer_ones_out():
    bars = Bars(100)
    for n in range(10, 1000):
        bars.put(bar(n))
    bars.put(bar(1, revision=1))
    assert bars.last(100)[0] == bar(900)


def test_the_tap_sorts_events_into_place_and_lets_others_pass():
    history = History(ServerSettings(history_trades=100))
    other = Liquidation(BTC, 1, 1, 0, 1.0, 1.0, "buy", None, "")
    events = [trade(n) for n in range(250)] + [
        quote(1),
        quote(2, origin="venue"),
        metrics(3),
        bar(4),
        book_event(5),
        trade(6, ETH),
        other,
    ]
    history.tap(Batch("s", 0, 0, events))
    assert [t.id for t in history.trades[BTC].items] == [str(n) for n in range(150, 250)]
    assert history.trades[BTC].total == 250
    assert [q.seq for q in history.quotes(BTC)] == [2, 1]
    assert list(history.quotes(ETH)) == []
    assert history.metrics[BTC].seq == 3
    assert history.series(BTC, "1m", "trades").last(9) == [bar(4)]
    first = history.books[BTC]
    history.tap(Batch("s", 1, 1, [book_event(6)]))
    assert history.books[BTC] != first
