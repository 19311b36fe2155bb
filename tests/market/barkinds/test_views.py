"""Views of bars: Heikin-Ashi by its formula, and what is filled in where nothing was traded."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeline.config import PipelineSettings
from tapeline.errors import UsageError
from tapeline.events import Bar, Event, Flag
from tapeline.market.barkinds.specs import parse
from tapeline.market.barkinds.views import filled, heikin_ashi
from tapeline.market.bars import Bars
from tests.market.reference import make

SECOND = 1_000_000_000
T0 = 1_795_255_500 * SECOND


def bar(start: int, o: float, h: float, low: float, c: float, *, end: int = 0, complete: bool = True) -> Bar:
    end = end or start + 60 * SECOND
    return Bar("x:A-B", end, end, 0, "1m", start, o, h, low, c, 2.0, 1.0, 2 * c, c, 3, complete, 0, "trades", 1.0)


def test_heikin_ashi_by_hand() -> None:
    given_bars = [bar(0, 10, 14, 9, 12), bar(1, 12, 13, 11, 11.5), bar(2, 11.5, 11.5, 8, 8.5)]
    found = list(heikin_ashi(given_bars))
    assert [(b.open, b.high, b.low, b.close) for b in found] == [
        (11.0, 14.0, 9.0, 11.25),
        (11.125, 13.0, 11.0, 11.875),
        (11.5, 11.5, 8.0, 9.875),
    ]
    assert {b.interval for b in found} == {"heikin-ashi:1m"}
    assert [(b.volume, b.trades, b.ts_open) for b in found] == [(b.volume, b.trades, b.ts_open) for b in given_bars]


@given(st.lists(st.tuples(st.integers(1, 999), st.integers(1, 999)), min_size=1, max_size=30))
def test_heikin_ashi_is_a_bar(prices: list[tuple[int, int]]) -> None:
    for b in heikin_ashi(bar(i, o, max(o, c) + 1, min(o, c) - 1, c) for i, (o, c) in enumerate(prices)):
        assert b.low <= min(b.open, b.close) <= max(b.open, b.close) <= b.high


@given(st.lists(st.integers(0, 300), min_size=1, max_size=20), st.sampled_from(["7s", "1m", "45s"]))
def test_filled_bars_lie_one_behind_the_other(offsets: list[int], kind: str) -> None:
    bars, out = Bars("binance:BTC-USDT", PipelineSettings()), []
    bars.also([parse(kind)])
    for at in sorted(offsets):
        bars.add(make(T0 + at * SECOND, str(100 + at), "1.5", buy=True), out)
    bars.finish(T0, out)
    made = [e for e in out if isinstance(e, Bar) and e.interval == kind]
    whole = list(filled(made, parse(kind)))
    assert [b for b in whole if not b.flags & Flag.FILLED] == made
    assert all(a.ts_event == b.ts_open for a, b in pairwise(whole))
    assert {b.ts_event - b.ts_open for b in whole} == {made[0].ts_event - made[0].ts_open}
    for before, b in pairwise(whole):
        if b.flags & Flag.FILLED:
            assert (b.open, b.high, b.low, b.close) == (before.close,) * 4
            assert (b.volume, b.buy_volume, b.sell_volume, b.notional, b.vwap, b.trades) == (0, 0, 0, 0, None, 0)


def test_filled_beside_a_hole_is_not_complete() -> None:
    given_bars = [bar(0, 1, 1, 1, 1), bar(120 * SECOND, 2, 2, 2, 2, complete=False), bar(240 * SECOND, 3, 3, 3, 3)]
    found = list(filled(given_bars, parse("1m")))
    assert [(b.ts_open // SECOND, b.complete) for b in found] == [
        (0, True),
        (60, False),
        (120, False),
        (180, False),
        (240, True),
    ]


def test_nothing_is_filled_while_the_exchange_is_closed() -> None:
    """Friday's last hour of New York and Monday's second: Monday's first lies between them, the weekend does not."""
    friday, monday = 1_795_209_300 * SECOND - 1800 * SECOND, 1_795_444_200 * SECOND
    slots = parse("1h@XNYS").slots
    assert slots is not None
    last, first, second = slots.span(friday - 1), slots.span(monday), slots.span(monday + 3600 * SECOND)
    assert last and first and second
    given_bars = [bar(last[0], 1, 1, 1, 1, end=last[1]), bar(second[0], 2, 2, 2, 2, end=second[1])]
    found = list(filled(given_bars, parse("1h@XNYS")))
    assert [(b.ts_open, b.ts_event) for b in found] == [last, first, second]


def test_only_bars_of_time_can_be_empty() -> None:
    out: list[Event] = []
    with pytest.raises(UsageError, match="leave the filling out"):
        out += filled([], parse("tick:5"))
