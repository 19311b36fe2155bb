"""Bars against a group-by in Decimal: whatever the order of arrival, the last revision of each bar is the truth."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeline.config import PipelineSettings
from tapeline.events import Bar, Event, Flag, Trade
from tapeline.market.bars import NEVER, Bars
from tests.market.reference import INTERVALS, SECOND, figures, grouped, last_bars, make, told

T0 = 1_795_255_500 * SECOND  # 2026-11-21T10:05:00Z, a multiple of five minutes
MS = 1_000_000
Row = tuple[int, str, str, bool]


def decimals(digits: int, places: int) -> st.SearchStrategy[str]:
    return st.integers(1, 10**digits - 1).map(lambda n: f"{Decimal(n).scaleb(-places):f}")


def rows(spread_seconds: int = 400, digits: int = 9, places: int = 4) -> st.SearchStrategy[list[Row]]:
    offset = st.integers(0, spread_seconds * 1000).map(lambda ms: T0 + ms * MS)
    edge = st.integers(0, spread_seconds).map(lambda s: T0 + s * SECOND)
    return st.lists(
        st.tuples(offset | edge, decimals(digits, places), decimals(digits, places), st.booleans()), min_size=1, max_size=60
    )


def fed(arriving: list[Trade], **options: int) -> tuple[Bars, list[Event]]:
    bars, out = Bars("binance:BTC-USDT", PipelineSettings(**options)), []
    for trade in arriving:
        assert bars.add(trade, out)
    return bars, out


def all_equal(out: list[Event], trades: list[Row]) -> None:
    for interval in INTERVALS:
        assert {start: told(bar) for start, bar in last_bars(out, interval).items()} == grouped(trades, interval), interval


@settings(max_examples=150)
@given(rows(), st.randoms(use_true_random=False))
def test_any_order_of_arrival_gives_the_same_bars(trades: list[Row], random) -> None:
    """All within the lateness, so each trade must count, in every interval."""
    random.shuffle(trades)
    bars, out = fed([make(*t, ts_recv=T0 + 401 * SECOND) for t in trades])
    bars.finish(T0, out)
    all_equal(out, trades)


@settings(max_examples=100)
@given(rows(), st.randoms(use_true_random=False), st.lists(st.integers(0, 500), max_size=8))
def test_the_clock_may_close_at_any_moment(trades: list[Row], random, moments: list[int]) -> None:
    """Closing early only means that what follows is a revision."""
    random.shuffle(trades)
    bars, out = Bars("binance:BTC-USDT", PipelineSettings()), []
    ticks = sorted(moments)
    for i, t in enumerate(trades):
        bars.add(make(*t, ts_recv=t[0]), out)
        if i < len(ticks):
            bars.close_by_clock(T0 + ticks[i] * SECOND, out)
    bars.finish(T0, out)
    all_equal(out, trades)


@settings(max_examples=100)
@given(rows(digits=15, places=12) | rows(digits=15, places=3) | rows(digits=15, places=6))
def test_sums_are_exact_for_every_number_of_fifteen_digits(trades: list[Row]) -> None:
    """More than eight decimals, and numbers so large that a float64 times 10⁸ cannot hold their last digit."""
    trades.sort()
    bars, out = fed([make(*t, ts_recv=T0 + 401 * SECOND) for t in trades])
    bars.finish(T0, out)
    all_equal(out, trades)


@settings(max_examples=100)
@given(
    rows(digits=15, places=3) | rows(digits=6, places=0), st.sampled_from(["100", "10", "0.01", "3.3", "1e-05", "123456789.1"])
)
def test_the_notional_of_inverse_contracts_is_their_number_times_their_value(trades: list[Row], value: str) -> None:
    """To the last digit, in every interval, and everything else as of any instrument: the mean price is weighted by contracts."""
    trades.sort()
    bars, out = Bars("x:y", PipelineSettings(), contract_value=float(value)), []
    for t in trades:
        bars.add(make(*t), out)
    bars.finish(T0, out)
    for interval, seconds in INTERVALS.items():
        wanted = grouped(trades, interval)
        for start, figure in wanted.items():
            contracts = sum(Decimal(t[2]) for t in trades if start <= t[0] < start + seconds * SECOND)
            wanted[start] = (*figure[:6], float(contracts * Decimal(value)), *figure[7:])
        assert {start: told(bar) for start, bar in last_bars(out, interval).items()} == wanted, interval


@settings(max_examples=60)
@given(st.lists(decimals(15, 5), min_size=200, max_size=200))
def test_volumes_of_many_large_trades_are_exact(sizes: list[str]) -> None:
    trades = [(T0 + i, "0.00000012", s, True) for i, s in enumerate(sizes)]
    one, many = [], []
    bars, again = Bars("x:y", PipelineSettings()), Bars("x:y", PipelineSettings())
    for t in trades:
        bars.add(make(*t), one)
    again.add_many([make(*t) for t in trades], many)
    for b in (bars, again):
        assert told(b.open_bar("1s", T0)) == figures(trades)


@settings(max_examples=150)
@given(rows(digits=11, places=10) | rows(spread_seconds=3) | rows(), st.booleans(), st.data())
def test_add_many_equals_add(trades: list[Row], in_order: bool, data: st.DataObject) -> None:
    if in_order:
        trades.sort()
    lags = data.draw(st.lists(st.integers(-3000, 3000), min_size=len(trades), max_size=len(trades)))
    bad = data.draw(st.sets(st.integers(0, len(trades) - 1), max_size=3))
    arriving = [
        make(*t, t[0] + lag * MS, Flag.BAD_TIME if i in bad else 0) for i, (t, lag) in enumerate(zip(trades, lags, strict=True))
    ]
    singly, out = fed([])[0], []
    for trade in arriving:
        singly.add(trade, out)
    together, made = Bars("binance:BTC-USDT", PipelineSettings()), []
    cut = data.draw(st.integers(0, len(arriving)))
    together.add_many(arriving[:cut], made)
    together.add_many(arriving[cut:], made)
    assert (together.due, together.closed_second) == (singly.due, singly.closed_second)
    singly.finish(T0, out)
    together.finish(T0, made)
    assert made == out


@settings(max_examples=100)
@given(rows(spread_seconds=100))
def test_the_open_bar_is_the_group_by_of_this_moment(trades: list[Row]) -> None:
    trades.sort()
    bars, out = Bars("binance:BTC-USDT", PipelineSettings()), []
    for n, t in enumerate(trades, 1):
        bars.add(make(*t), out)
        for interval, seconds in INTERVALS.items():
            start = t[0] // (seconds * SECOND) * seconds * SECOND
            bar = bars.open_bar(interval, t[0])
            assert bar is not None
            assert (bar.ts_open, told(bar)) == (start, grouped(trades[:n], interval)[start])
            assert not bar.complete or start > trades[0][0]


def test_right_open() -> None:
    """A trade at 12:01:00.000 is in the bar that opens at 12:01; one a nanosecond before is not."""
    bars, out = fed([make(T0 + 60 * SECOND - 1, "1", "1", True), make(T0 + 60 * SECOND, "2", "1", True)])
    assert [(b.interval, b.ts_open, b.close) for b in out if isinstance(b, Bar) and b.interval in {"1s", "1m"}] == [
        ("1s", T0 + 59 * SECOND, 1.0),
        ("1m", T0, 1.0),
    ]
    assert bars.open_bar("1m", 0).ts_open == T0 + 60 * SECOND


def closings(lag: int) -> list[tuple[str, int, int]]:
    """When, by our clock, the bars of one trade close; `lag` is our clock minus the venue's."""
    bars, out = fed([make(T0 + 500 * MS, "1", "1", True, T0 + 500 * MS + lag)])
    found = []
    for _ in range(4):
        due = bars.due
        bars.close_by_clock(due - 1, out)
        assert len(out) == len(found)
        bars.close_by_clock(due, out)
        found += [(b.interval, due - lag - T0, b.ts_recv - lag - T0) for b in out[len(found) :]]
    return found


@pytest.mark.parametrize("lag", [0, 40 * MS, 90 * SECOND, -1270 * MS, -50 * SECOND])
def test_the_clock_closes_by_the_venues_time_however_wrong_ours_is(lag: int) -> None:
    wanted = [(i, INTERVALS[i] * SECOND + 500 * MS) for i in ("1s", "5s", "15s", "1m")]
    assert closings(lag) == [(i, at, at) for i, at in wanted]


def test_the_grace_is_a_setting() -> None:
    bars, _ = fed([make(T0, "1", "1", True)], bar_grace_ms=0)
    assert bars.due == T0 + SECOND
    assert Bars("x:y", PipelineSettings()).due == NEVER


def test_a_watermark_closes_at_once_and_each_interval_in_turn() -> None:
    _, out = fed([make(T0 + SECOND, "1", "1", True), make(T0 + 60 * SECOND, "1", "1", True)])
    assert [b.interval for b in out] == ["1s", "5s", "15s", "1m"]


def complete(trades: list[Trade | int | None]) -> dict[str, dict[int, bool]]:
    """Whether each bar is complete in the end. None: the connection is lost. A number: trades up to that time are missing."""
    bars, out = Bars("binance:BTC-USDT", PipelineSettings()), []
    for t in trades:
        if isinstance(t, Trade):
            bars.add(t, out)
        else:
            bars.damage(T0, out, t)
    bars._close_until(T0 + 10**6 * SECOND, T0, out)
    return {i: {(s - T0) // SECOND: b.complete for s, b in last_bars(out, i).items()} for i in INTERVALS}


def at(seconds: float) -> Trade:
    return make(T0 + int(seconds * 1000) * MS, "1", "1", True)


def test_the_bar_that_the_feed_begins_inside_is_incomplete() -> None:
    made = complete([at(2.5), at(3.5), at(20)])
    assert made["1s"] == {2: False, 3: True, 20: True}
    assert made["5s"] == {0: False, 20: True}
    assert made["15s"] == {0: False, 15: True}
    assert made["1m"] == {0: False}


def test_even_if_the_first_trade_stands_on_its_edge() -> None:
    """Others of the same millisecond may have come before we listened."""
    assert complete([at(5), at(6)])["1s"] == {5: False, 6: True}


def test_a_gap_marks_what_it_may_touch_and_nothing_else() -> None:
    made = complete([at(0.5), at(1.5), at(7.5), T0 + 9500 * MS, at(9.5), at(10.5), at(21)])
    assert made["1s"] == {0: False, 1: True, 7: False, 9: False, 10: True, 21: True}
    assert made["5s"] == {0: False, 5: False, 10: True, 20: True}
    assert made["15s"] == {0: False, 15: True}


def test_a_gap_that_ends_on_an_edge_marks_the_bar_that_opens_there() -> None:
    """The missing trades may have the very time of the one after them."""
    assert complete([at(0.5), at(1.5), T0 + 3 * SECOND, at(3), at(4)])["1s"] == {0: False, 1: False, 3: False, 4: True}


def test_a_gap_marks_bars_that_the_clock_had_closed_already() -> None:
    bars, out = fed([at(0.5), at(1.5)])
    bars.close_by_clock(T0 + 10 * SECOND, out)
    assert last_bars(out, "1s")[T0 + SECOND].complete
    bars.damage(T0 + 11 * SECOND, out, T0 + 11 * SECOND)
    revised = last_bars(out, "1s")[T0 + SECOND]
    assert (revised.complete, revised.revision, revised.flags) == (False, 1, 0)


def test_a_lost_connection_marks_until_the_next_trade() -> None:
    made = complete([at(0.5), at(1.5), None, at(8.5), at(9.5)])
    assert made["1s"] == {0: False, 1: False, 8: False, 9: True}


def test_a_second_hole_does_not_heal_the_first() -> None:
    """Holes are told when their end is seen, and late trades may tell an older one last."""
    made = complete([at(0.5), T0 + 8500 * MS, at(8.5), T0 + 4500 * MS, at(9.2)])
    assert made["1s"][8] is False


def test_a_late_trade_revises_every_interval_that_had_closed() -> None:
    _, out = fed([at(0.2), at(16), at(0.4)])
    late = [b for b in out if b.flags & Flag.LATE]
    assert [(b.interval, b.revision, b.trades) for b in late] == [("1s", 1, 2), ("5s", 1, 2), ("15s", 1, 2)]


def test_a_late_trade_may_open_a_bar_that_never_was() -> None:
    _, out = fed([at(0.2), at(16), at(2.5)])
    assert [(b.interval, b.revision, b.trades) for b in out if b.flags & Flag.LATE] == [
        ("1s", 0, 1),
        ("5s", 1, 2),
        ("15s", 1, 2),
    ]


def test_a_trade_that_is_too_late_is_told_and_changes_nothing() -> None:
    bars, out = fed([at(0), at(700)])
    before = len(out)
    assert not bars.add(at(99.9), out)
    assert bars.add(at(100), out)
    assert {b.ts_open for b in out[before:] if b.interval == "1s"} == {T0 + 100 * SECOND}


def test_what_is_just_not_too_late_finds_its_bar() -> None:
    """The clock may close bars past the watermark; the memory of closed bars goes by the watermark all the same."""
    bars, out = fed([at(0.1), at(600.05)])
    bars.close_by_clock(T0 + 650 * SECOND, out)
    assert bars.add(at(0.2), out)
    assert last_bars(out, "1s")[T0].trades == 2


def test_memory_is_bounded() -> None:
    bars, _ = fed([at(i) for i in range(5000)])
    assert max(len(level.closed) for level in bars.levels) <= 602


def test_a_wild_time_does_not_wreck_bars() -> None:
    """More than a minute ahead of everything before cannot be true: it is filed by our clock, and the rest goes on."""
    wild = make(T0 + 36_000 * SECOND, "5", "1", True, T0 + 1500 * MS)
    _, out = fed([at(0.5), at(1.2), wild, at(1.7), at(2.5), at(3.5)])
    assert {s: b.trades for s, b in last_bars(out, "1s").items()} == {T0: 1, T0 + SECOND: 3, T0 + 2 * SECOND: 1}


@pytest.mark.parametrize("wrong", [-40_000, 40_000])
def test_a_flagged_time_is_filed_by_our_clock(wrong: int) -> None:
    bad = make(T0 + wrong * SECOND, "5", "1", True, T0 + 1500 * MS, Flag.BAD_TIME)
    _, out = fed([at(0.5), at(1.2), bad, at(2.5)])
    assert last_bars(out, "1s")[T0 + SECOND].trades == 2


def test_a_wild_first_time_is_forgotten_after_a_while() -> None:
    """Nothing came before it to be judged by, so it is believed; when everything else is too late, it was the lie."""
    bars, out = Bars("binance:BTC-USDT", PipelineSettings()), []
    bars.add(make(T0 + 36_000 * SECOND, "5", "1", True, T0), out)
    counted = sum(bars.add(at(i / 10), out) for i in range(300))
    assert counted > 200
    bars.add(at(31), out)
    whole = [b for b in last_bars(out, "1s").values() if b.ts_open < T0 + 30 * SECOND and b.complete]
    assert len(whole) > 20
    assert {b.trades for b in whole} == {10}


def test_a_stale_first_trade_is_no_measure_of_our_clock() -> None:
    """Some venues repeat their last trade, hours old, when asked; what follows is not ahead of its time."""
    _, out = fed([make(T0 - 3600 * SECOND, "1", "1", True, T0), at(0.5), at(1.5)])
    assert list(last_bars(out, "1s")) == [T0 - 3600 * SECOND, T0]


def test_flags_follow_from_the_trades() -> None:
    """What all trades of a bar share in kind; an inexact number of one trade is no matter of the bar."""
    bars, out = Bars("binance:BTC-USDT", PipelineSettings(), Flag.SIMULATED), []
    for i, flags in enumerate((Flag.AGGREGATED | Flag.INEXACT, 0)):
        bars.add(make(T0 + i * SECOND, "1", "1", True, flags=flags), out)
    assert out[0].flags == Flag.AGGREGATED | Flag.SIMULATED
