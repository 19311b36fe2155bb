"""Trade ids and silences, judged one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeline.config import PipelineSettings
from tapeline.market.quality import MOST_HOLES, OLD_RUN_IS_RESET, IdTracker, Seen, Silence

SECOND = 1_000_000_000
T0 = 1_795_255_500 * SECOND


def seen(*numbers: int) -> list[str]:
    tracker = IdTracker()
    return [tracker.see(n).value for n in numbers]


def test_each_verdict() -> None:
    assert seen(7, 8, 8, 7, 11, 9, 9, 10, 12) == [
        "next", "next", "duplicate", "duplicate", "gap", "filled", "duplicate", "filled", "next",
    ]  # fmt: skip


@given(st.permutations(range(1, 40)))
def test_every_id_counts_once_in_any_order(order: list[int]) -> None:
    """After an id below all others nothing is double but what was said twice."""
    tracker = IdTracker()
    tracker.see(0)
    first = [tracker.see(n) for n in order]
    assert Seen.DUPLICATE not in first
    assert tracker.holes == []
    assert [tracker.see(n) for n in order] == [Seen.DUPLICATE] * 39
    assert all(tracker.has(n) for n in range(40)) and not tracker.has(40)


def test_a_restart_of_the_numbers_is_seen_after_a_run_of_old_ones() -> None:
    verdicts = seen(10_000, *range(1, OLD_RUN_IS_RESET + 3))
    assert verdicts == ["next"] + ["duplicate"] * (OLD_RUN_IS_RESET - 1) + ["reset", "next", "next"]


def test_doubles_that_are_scattered_are_no_restart() -> None:
    """The caller advances `last` itself on its quick way."""
    tracker = IdTracker()
    tracker.see(1)
    for n in range(2, 500):
        tracker.last = n
        assert tracker.see(n - 1) is Seen.DUPLICATE


def test_holes_are_bounded() -> None:
    tracker = IdTracker()
    for n in range(0, 5 * MOST_HOLES, 2):
        tracker.see(n)
    assert len(tracker.holes) == MOST_HOLES


def silence(channel: str, *heard: float, until: float = 400, **options: float) -> list[tuple[str, int]]:
    """What a stream's watch says and when, in seconds since it was opened, checked every second."""
    settings = PipelineSettings(**options)
    watch, said, times = Silence("x@y", channel, T0, settings), [], sorted(heard)
    for second in range(1, int(until) + 1):
        while times and times[0] <= second:
            watch.heard = T0 + int(times.pop(0) * SECOND)
        if change := watch.check(T0 + second * SECOND, settings):
            said.append((change, second))
    return said


def test_a_book_that_rests_is_stale_and_recovers() -> None:
    assert silence("book", *range(1, 21), 50, *range(51, 401)) == [("stale", 30), ("recovered", 50)]


def test_its_own_longest_pause_widens_the_allowance() -> None:
    assert silence("book", *range(1, 400, 8), until=390) == []
    assert silence("book", 1, 9, 17, until=60) == [("stale", 41)]  # three times eight seconds after the last


def test_trades_may_rest_for_long() -> None:
    assert silence("trades", 1, until=500) == [("stale", 301)]


@pytest.mark.parametrize(("channel", "at"), [("book", 10), ("quotes", 10), ("trades", 30), ("ticker", 10)])
def test_what_never_spoke_is_told_sooner(channel: str, at: int) -> None:
    """An unknown stream is acknowledged and stays silent: a wrong name or a wrong path."""
    assert silence(channel) == [("stale", at)]


def test_liquidations_say_nothing_for_hours() -> None:
    assert silence("liquidations", until=10_000) == []


def test_the_reason_tells_what_to_do() -> None:
    watch = Silence("x@trade", "trades", T0, PipelineSettings())
    assert "not acknowledged" in watch.reason(T0)
    watch.acked = True
    assert watch.reason(T0) == "x@trade: acknowledged, and silent since it was asked for: wrong name or wrong path?"
    watch.heard = T0 + SECOND
    assert watch.reason(T0 + 3 * SECOND) == "x@trade: silent for 2.0 s"
