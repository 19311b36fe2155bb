"""Trade ids and silences, judged one by one."""

from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
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


def test_a_long_message_that_comes_twice_is_no_reset():
    tracker = IdTracker()
    for _ in range(2):
        verdicts = [tracker.see(n, ts_recv=7) for n in range(1, 3 * OLD_RUN_IS_RESET)]
    assert set(verdicts) == {Seen.DUPLICATE}
    assert tracker.last == 3 * OLD_RUN_IS_RESET - 1


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
    last = 5 * MOST_HOLES
    assert tracker.missing(1, 1) == (1, 1)  # forgotten, not found
    assert tracker.missing(last - 1, last) is None
    assert tracker.see(1) is Seen.DUPLICATE


def test_a_record_of_several_ids_fills_all_of_them_or_none() -> None:
    tracker = IdTracker()
    assert [tracker.see(10), tracker.see(18, 15)] == [Seen.NEXT, Seen.GAP]
    assert tracker.see(12) is Seen.FILLED
    assert tracker.see(14, 11) is Seen.DUPLICATE  # with what came by itself it would count twice
    assert tracker.holes == [(11, 11), (13, 14)]
    assert tracker.see(14, 13) is Seen.FILLED
    assert tracker.holes == [(11, 11)]


def silence(
    channel: str, *heard: float, until: float = 400, market: Sequence[tuple[int, int]] = ((0, 10**9),), **options: float
) -> list[tuple[str, int]]:
    """What a stream's watch says and when, in seconds since it was opened, checked every second. `market`: when it is open."""
    settings = PipelineSettings(**options)
    watch, said, times = Silence("x@y", channel, T0, settings), [], deque(sorted(heard))
    for second in range(1, int(until) + 1):
        while times and times[0] <= second:
            watch.heard = T0 + int(times.popleft() * SECOND)
        opened = next((T0 + a * SECOND for a, b in market if a <= second < b), None)
        if change := watch.check(T0 + second * SECOND, settings, opened):
            said.append((change, second))
        assert not (watch.closed and opened is not None)
    return said


def test_a_book_that_rests_is_stale_and_recovers() -> None:
    assert silence("book", *range(1, 21), 50, *range(51, 401)) == [("stale", 30), ("recovered", 50)]


def test_its_own_longest_pause_widens_the_allowance() -> None:
    assert silence("book", *range(1, 400, 8), until=390) == []
    assert silence("book", 1, 9, 17, until=60) == [("stale", 41)]  # three times eight seconds after the last


def test_an_outage_does_not_excuse_the_next() -> None:
    """An hour of silence was called stale after 10 s: it teaches 10 s, so that the next is called stale after 30."""
    ticks = [*range(1, 100), *range(3700, 3800)]
    said = silence("book", *ticks, until=3900)
    assert said[:2] == [("stale", 109), ("recovered", 3700)]
    assert said[2:] == [("stale", 3826)]  # 30 s · e^(−126/1024) = 26.5 s after the last


def test_what_is_usual_is_forgotten() -> None:
    """A pair that was quiet (20 s between messages), then lively for two hours, is held to ten seconds again."""
    quiet, lively = range(1, 400, 20), range(400, 7600)
    assert silence("book", *quiet, *lively, until=7700)[-1] == ("stale", 7609)


@given(st.integers(1, 60), st.lists(st.floats(1.0, 2.0), min_size=20, max_size=60), st.integers(0, 59))
def test_a_stream_is_stale_when_it_stops_and_not_before(pause: int, jitter: list[float], offset: int) -> None:
    """Whatever its pace, once its pauses are known: silent only in its first three pauses, and told soon after the last message."""
    times = [1.0 + offset / 60]
    for j in jitter:
        times.append(times[-1] + pause * j)
    longest = max(b - a for a, b in pairwise(times))
    said = silence("book", *times, until=int(times[-1] + 3 * longest) + 15)
    assert all(at <= times[5] + 2 for _, at in said[:-1])
    assert said[-1][0] == "stale"
    assert times[-1] + 10 <= said[-1][1] <= times[-1] + max(10, 3 * (longest + 1)) + 1


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.sampled_from([0.05, 0.5, 5.0, 20.0]))
def test_chance_is_seldom_called_silence(seed: int, mean: float) -> None:
    """Messages that come by chance, an hour of them: after the first ten minutes nearly never."""
    chance = Random(seed)
    times, t = [], 0.0
    while t < 3600:
        times.append(t := t + chance.expovariate(1 / mean))
    said = [at for change, at in silence("book", *times, until=3600) if change == "stale" and at > 600]
    assert len(said) <= 2


def test_a_closed_market_is_not_silent() -> None:
    night, day = (1000, 2000), ((0, 1000), (2000, 10**9))
    ticks = [*range(1, 1000), *range(2005, 2100)]
    assert silence("book", *ticks, until=2100, market=day) == []  # five seconds into the new day are no thousand
    assert silence("book", *ticks[:999], until=2100, market=day) == [("stale", 2010)]  # the clock of silence begins at the open
    assert silence("book", *range(1, 900), until=night[1], market=day) == [("stale", 909)]  # and no more is said of it at night
    assert silence("quotes", until=5000, market=((4000, 10**9),)) == [("stale", 4010)]  # subscribed at night, and wrong


def test_what_speaks_at_night_is_not_closed() -> None:
    usual = PipelineSettings()
    watch = Silence("x@y", "trades", T0, usual)
    for second, heard, closed in ((1, 0, True), (10, 9, False), (300, 9, False), (320, 9, True), (330, 330, False)):
        watch.heard = T0 + heard * SECOND if heard else 0
        assert watch.check(T0 + second * SECOND, usual, None) == ""
        assert watch.closed is closed
        assert watch.usual == 0


def test_what_was_learned_outlives_the_connection() -> None:
    usual = PipelineSettings()
    first = Silence("x@y", "book", T0, usual)
    for second in range(1, 200):
        first.heard = T0 + second // 9 * 9 * SECOND
        first.check(T0 + second * SECOND, usual)
    second = Silence("x@y", "book", T0 + 300 * SECOND, usual)
    second.heard = first.heard
    second.resume(first)
    assert second.usual == first.usual > 7 * SECOND
    second.check(T0 + 301 * SECOND, usual)
    assert second.usual <= first.usual  # the time between the connections was no pause


def test_trades_may_rest_for_long() -> None:
    assert silence("trades", 1, until=500) == [("stale", 301)]


def test_trades_that_are_known_never_to_rest_may_not_rest_for_long() -> None:
    assert silence("trades", *range(1, 900), until=1300) == [("stale", 929)]


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
    watch.usual = 3 * SECOND
    assert watch.reason(T0 + 13 * SECOND) == "x@trade: silent for 12.0 s, where 3.0 s are usual"
