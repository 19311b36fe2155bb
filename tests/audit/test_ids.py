"""Ids counted again: spans against plain sets, and who tells of a hole."""

from hypothesis import given
from hypothesis import strategies as st

from tapeline.audit.ids import Spans, TradeIds, UpdateIds, less
from tapeline.audit.report import Point, Report
from tapeline.events import BookUpdate, Flag, Status, Trade
from tapeline.market.quality import IdTracker

NAME = "binance:BTC-USDT"


def trade(number: int | str, flags: int = 0) -> Trade:
    return Trade(NAME, 1, 1, flags, 1.0, 1.0, "buy", str(number))


def gap(first: int | None, last: int | None, channel: str = "trades", kind: str = "gap", reason: str = "missing") -> Status:
    return Status(NAME, 1, 1, 0, kind, "binance", channel, reason, first, last, None)  # type: ignore[arg-type]


def judged(*events: Trade | Status, numbers: IdTracker | None = None) -> list[Point]:
    ids, report = TradeIds(NAME), Report(data="d")
    for e in events:
        ids.trade(e) if isinstance(e, Trade) else ids.status(e)
    ids.judge("s", report, numbers if numbers is not None else lacking())
    return report.points


def lacking(*holes: tuple[int, int]) -> IdTracker:
    tracker = IdTracker()
    tracker.last = 1000
    for hole in holes:
        tracker.lack(*hole)
    return tracker


def states(points: list[Point]) -> list[str]:
    return [p.state for p in points]


@given(st.lists(st.integers(0, 60)))
def test_spans_are_a_set_of_integers(numbers):
    spans, plain = Spans(), set()
    for n in numbers:
        assert spans.add(n) is (n not in plain)
        plain.add(n)
    covered = [n for a, b in spans.spans for n in range(a, b + 1)]
    assert covered == sorted(plain)
    missing = {n for a, b in spans.holes() for n in range(a, b + 1)}
    assert missing == (set(range(min(plain), max(plain))) - plain if plain else set())


@given(st.tuples(st.integers(0, 30), st.integers(0, 30)), st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30))))
def test_what_is_left_of_a_span_is_what_no_other_covers(span, told):
    span, told = tuple(sorted(span)), [tuple(sorted(t)) for t in told]
    left = {n for a, b in less(span, told) for n in range(a, b + 1)}
    assert left == {n for n in range(span[0], span[1] + 1) if not any(a <= n <= b for a, b in told)}


def test_without_holes_and_doubles_the_ids_hold():
    assert states(judged(trade(1), trade(2), trade(3))) == ["holds"]


def test_an_id_that_comes_twice_breaks_them():
    (point, *_) = judged(trade(1), trade(2), trade(1))
    assert (point.state, point.count, point.details) == ("broken", 1, ("1",))


def test_ids_that_are_no_numbers_are_watched_for_doubles_too():
    assert states(judged(trade("a-1"), trade("b-2"), trade("a-1"))) == ["broken"]


def test_a_hole_that_a_status_tells_of_is_noted_and_one_that_none_tells_of_is_broken():
    told = judged(trade(1), gap(2, 4), trade(5), numbers=lacking((2, 4)))
    assert [(p.state, p.count) for p in told] == [("noted", 3)]
    (broken,) = judged(trade(1), trade(5), numbers=lacking((2, 4)))
    assert (broken.state, broken.details) == ("broken", ("2 to 4",))
    both = judged(trade(1), gap(2, 3), trade(5), numbers=lacking((2, 4)))
    assert sorted(states(both)) == ["broken", "noted"]


def test_a_hole_that_was_filled_later_is_none():
    assert states(judged(trade(1), gap(2, 2), trade(3), trade(2, int(Flag.RECOVERED)))) == ["holds"]


def test_ids_of_records_that_are_no_trades_are_no_holes():
    none, trades = judged(trade(1), trade(5))
    assert (none.state, none.count) == ("holds", 3)
    assert (trades.state, trades.count) == ("holds", 2)


def test_off_book_trades_and_aggregates_have_ids_of_their_own():
    assert states(judged(trade(1), trade(1, int(Flag.AGGREGATED)), trade(1, int(Flag.OFF_BOOK)), trade(2))) == ["holds"]


def test_ids_begin_anew_where_a_status_says_so():
    restart = gap(None, None, reason="trade ids went back from 9: the venue restarted its numbers")
    assert states(judged(trade(8), trade(9), restart, trade(8), trade(9))) == ["holds"]


def update(prev: int | None, seq: int | None, *, snapshot: bool = False) -> BookUpdate:
    return BookUpdate(NAME, 1, 1, 0, [], [], snapshot, seq, prev)


def judged_book(*events: BookUpdate | Status) -> list[Point]:
    ids, report = UpdateIds(NAME), Report(data="d")
    for e in events:
        ids.book(e) if isinstance(e, BookUpdate) else ids.status(e)
    ids.judge("s", report)
    return report.points


def test_updates_that_continue_one_another_hold_and_the_first_may_begin_before_its_snapshot():
    assert states(judged_book(update(None, 10, snapshot=True), update(8, 12), update(12, 13))) == ["holds"]


def test_a_jump_in_the_updates_must_be_told():
    jump = (update(None, 10, snapshot=True), update(10, 12), update(15, 16))
    (point,) = judged_book(*jump)
    assert (point.state, point.details) == ("broken", ("update 16 follows 15, and the one before was 12",))
    told = judged_book(*jump[:2], gap(13, 15, "book"), jump[2])
    assert [(p.state, p.count) for p in told] == [("noted", 1)]


def test_books_without_ids_have_nothing_to_jump():
    assert states(judged_book(update(None, None, snapshot=True), update(None, None), update(None, None))) == ["holds"]
