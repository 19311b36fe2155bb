"""Further bars of time, beside the usual ones: against a group-by in Decimal, whatever the order of arrival; and holes.

Reference: `tests/market/reference.py`, and spans of time told apart the plain way by `slots`, which has tests of its own.
"""

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeline.config import PipelineSettings
from tapeline.events import Bar, Event, Trade
from tapeline.market.barkinds.specs import parse
from tapeline.market.bars import Bars
from tests.market.reference import figures, make, told
from tests.market.test_bars import MS, SECOND, T0, Row, rows

KINDS = ("7s", "90s", "2h", "1w", "1d@America/New_York", "15m@Europe/Berlin", "5m@XNYS", "1d@FX")
OPENED = 1_795_444_200 * SECOND  # Monday 2026-11-23, 09:30 in New York: FX trades, too


def shifted(trades: list[Row]) -> list[Row]:
    """Around the open of New York: some before it."""
    return [(ts - T0 + OPENED - 200 * SECOND, price, size, buy) for ts, price, size, buy in trades]


def new(*kinds: str) -> Bars:
    bars = Bars("binance:BTC-USDT", PipelineSettings())
    bars.also(map(parse, kinds))
    return bars


def last(out: list[Event], kind: str) -> dict[tuple[int, int], Bar]:
    found: dict[tuple[int, int], Bar] = {}
    for e in out:
        if isinstance(e, Bar) and e.interval == kind:
            key = e.ts_open, e.ts_event
            assert e.revision == (found[key].revision + 1 if key in found else 0)
            found[key] = e
    return found


@settings(max_examples=60)
@given(rows(), st.randoms(use_true_random=False), st.booleans())
def test_any_order_of_arrival_gives_the_same_bars(trades: list[Row], random, as_a_run: bool) -> None:
    trades = shifted(trades)
    random.shuffle(trades)
    bars, out = new(*KINDS), []
    arriving = [make(*t, ts_recv=OPENED + 401 * SECOND) for t in trades]
    if as_a_run:
        bars.add_many(arriving, out)
    else:
        for t in arriving:
            bars.add(t, out)
    bars.finish(T0, out)
    for kind in KINDS:
        groups: dict[tuple[int, int], list[Row]] = defaultdict(list)
        for t in trades:
            if (span := parse(kind).slots.span(t[0])) is not None:
                groups[span].append(t)
        found = last(out, kind)
        assert {span: told(bar) for span, bar in found.items()} == {s: figures(g) for s, g in groups.items()}, kind
        for span, bar in found.items():
            sold = [(ts, p, s, not buy) for ts, p, s, buy in groups[span]]
            assert bar.sell_volume == figures(sold)[5]


def test_the_usual_ones_are_made_once() -> None:
    bars = new("1m", "7s", "7s")
    assert [level.name for level in bars.further] == ["7s"]


def test_a_side_that_is_unknown_is_neither() -> None:
    bars, out = new(), []
    bars.add_many(
        [Trade("x:y", T0 + n * MS, T0, 0, 1.0, 2.0, s, "") for n, s in enumerate(["buy", "sell", "unknown"] * 9)], out
    )
    bar = bars.open_bar("1s", T0)
    assert bar is not None
    assert (bar.volume, bar.buy_volume, bar.sell_volume) == (54.0, 18.0, 18.0)


def test_switched_on_in_the_middle_the_first_bar_is_incomplete() -> None:
    """The seconds of before are not in it. The one that is open is, and the bars that begin with it or later are whole."""
    bars, out = new(), []
    start = T0 - T0 % (7 * SECOND)
    for n in range(3):
        bars.add(make(start + n * SECOND, "1", "1", buy=True), out)
    bars.also([parse("7s")])
    for n in range(3, 22):
        bars.add(make(start + n * SECOND, "1", "1", buy=True), out)
    bars.finish(T0, out)
    assert [(b.ts_open - start, b.trades, b.complete) for b in out if isinstance(b, Bar) and b.interval == "7s"] == [
        (0, 5, False), (7 * SECOND, 7, True), (14 * SECOND, 7, True), (21 * SECOND, 1, False),
    ]  # fmt: skip


def test_the_clock_closes_them_too() -> None:
    bars, out = new("7s"), []
    start = T0 - T0 % (35 * SECOND)
    bars.add(make(start, "1", "1", buy=True), out)
    moments = []
    for _ in range(3):
        moments.append((bars.due - start) // (500 * MS))
        bars.close_by_clock(bars.due, out)
    assert moments == [3, 11, 15]
    assert [b.interval for b in out if isinstance(b, Bar)] == ["1s", "5s", "7s"]


def test_what_is_open_can_be_seen() -> None:
    bars, out = new("90s", "5m@XNYS"), []
    opened = make(OPENED - SECOND, "1", "1", buy=True)
    bars.add(opened, out)
    assert bars.open_bar("5m@XNYS", T0) is None
    assert bars.open_bar("tick:9", T0) is None
    for n in range(3):
        bars.add(make(OPENED + n * SECOND, str(n + 1), "1", buy=False), out)
    bar, longer = bars.open_bar("5m@XNYS", T0), bars.open_bar("90s", T0)
    assert bar is not None
    assert longer is not None
    assert (bar.ts_open, bar.open, bar.close, bar.trades, bar.sell_volume) == (OPENED, 1.0, 3.0, 3, 3.0)
    assert longer.trades == len([t for t in range(-1, 3) if longer.ts_open <= OPENED + t * SECOND])


@pytest.mark.parametrize("kind", ["7s", "tick:3"])
def test_a_hole_and_its_mending_are_told(kind: str) -> None:
    """A bar is given out again where a hole turns out to touch it, and again where nothing is missing after all."""
    bars, out = new(kind), []
    start = T0 - T0 % (7 * SECOND)

    def take(second: float, flags: int = 0) -> None:
        trade = make(start + int(second * SECOND), "1", "1", True, None, flags)
        bars.add(trade, out)
        bars.kinds.add(trade, out)

    for n in range(9):
        take(n)
    hole = bars.damage(T0, out)
    for n in range(9, 12):
        take(n)
    bars.mend(hole, T0, out)
    bars.finish(T0, out)
    told_of = [(b.trades, b.complete, b.revision) for b in out if isinstance(b, Bar) and b.interval == kind]
    if kind == "7s":
        assert told_of == [
            (7, False, 0),
            (5, False, 0),
        ]  # the feed began inside the first; the hole is mended before the second ends
    else:
        assert told_of == [
            (3, False, 0),  # the feed began inside its first second
            (3, True, 0),
            (3, True, 0),
            (3, False, 1),  # the hole begins in its last second
            (3, False, 0),
            (3, True, 2),
            (3, True, 1),
            (3, False, 2),  # the session ends inside its last second
        ]


def test_the_open_interest_is_the_last_before_the_close() -> None:
    bars, out = new("7s", "tick:2"), []
    start = T0 - T0 % (35 * SECOND)
    for n, interest in enumerate([None, 5.0, 6.0, 7.0]):
        bars.open_interest = interest
        trade = make(start + n * 4 * SECOND, "1", "1", buy=True)
        bars.add(trade, out)
        bars.kinds.add(trade, out)
    found = [(b.interval, b.open_interest) for b in out if isinstance(b, Bar) and b.interval in ("7s", "tick:2")]
    assert found == [("tick:2", 5.0), ("7s", 6.0), ("tick:2", 7.0)]
