"""When the touch of an instrument is known, and since when, whatever happens to its book and its quotes."""

from typing import Any

import numpy as np
import pytest

from tapeline.clock import MILLI, SECOND
from tapeline.config import PipelineSettings
from tapeline.events import Event, Flag, Quote, Status, Ticker, Trade
from tapeline.market.bars import Bars
from tapeline.market.metrics import registry
from tapeline.market.metrics.analytics import Analytics, Source
from tapeline.market.metrics.base import Metric, Sample
from tapeline.market.metrics.touching import Touching
from tapeline.market.metrics.venue_clock import VenueClock

NAME = "sim:BTC-USDT"
T0 = 1_795_255_500 * SECOND
LAG = 20 * MILLI


def quote(at: int, bid: float | None = 100.0, *, flags: int = 0, origin: Any = "book", lag: int = LAG) -> Quote:
    return Quote(NAME, T0 + at - lag, T0 + at, flags, bid, 1.0, 101.0, 2.0, None, origin)


def status(at: int, kind: Any, channel: str = "book") -> Status:
    return Status(NAME, T0 + at, T0 + at, 0, kind, "sim", channel, "", None, None, None)


def settled(*came: Quote | tuple[str, int], by_book: bool = True) -> Touching:
    touching = Touching()
    for e in came:
        if isinstance(e, Quote):
            touching.take(e)
        else:
            touching.broken(e[0], T0 + e[1])
    clock = VenueClock()
    touching.learn(clock, by_book=by_book)
    touching.settle(clock, T0 + SECOND, by_book=by_book)
    return touching


def test_a_hole_begins_when_the_proof_is_lost_and_ends_with_the_next_touch() -> None:
    made = settled(quote(100 * MILLI), ("book", 300 * MILLI), quote(500 * MILLI))
    assert (made.touches.ts - (T0 - LAG)).tolist() == [100 * MILLI, 300 * MILLI, 500 * MILLI]
    assert np.isnan(made.touches.bid).tolist() == [False, True, False]
    assert made.known_since == T0 - LAG + 500 * MILLI
    assert made.latest == (100.0, 1.0, 101.0, 2.0)


def test_the_lag_of_a_hole_is_that_of_all_that_came() -> None:
    made = settled(quote(100 * MILLI, lag=90 * MILLI), ("book", 300 * MILLI), quote(500 * MILLI, lag=10 * MILLI))
    assert (made.touches.ts - T0).tolist() == [10 * MILLI, 290 * MILLI, 490 * MILLI]


def test_an_unproven_touch_is_none() -> None:
    made = settled(quote(0), quote(SECOND // 2, flags=int(Flag.BOOK_UNPROVEN | Flag.SNAPSHOT)))
    assert (made.latest, made.known_since) == (None, None)


def test_an_empty_side_is_not_known_while_the_other_one_is() -> None:
    touch = settled(quote(0, None)).latest
    assert touch is not None
    assert np.isnan(touch[0])
    assert touch[2:] == (101.0, 2.0)


def test_what_bears_no_time_is_placed_by_our_clock() -> None:
    flags = int(Flag.NO_VENUE_TIME)
    made = settled(quote(100 * MILLI), quote(200 * MILLI, 99.0, flags=flags, lag=0), quote(10**12, 98.0, lag=-(10**12)))
    assert (made.touches.ts - (T0 - LAG)).tolist() == [100 * MILLI, 200 * MILLI, 10**12]


def test_a_change_of_sources_is_a_hole() -> None:
    """The venue's own quotes are let go while the book tells the touch: they tell it from the next one on."""
    touching, clock = settled(quote(0)), VenueClock()
    touching.take(quote(SECOND, 99.0, origin="venue"))
    touching.settle(clock, T0 + 2 * SECOND, by_book=False)
    assert (np.isnan(touching.touches.bid).tolist(), touching.latest) == ([False, True], None)
    touching.take(quote(3 * SECOND, 99.0, origin="venue"))
    touching.settle(clock, T0 + 4 * SECOND, by_book=False)
    assert (np.isnan(touching.touches.bid).tolist(), touching.latest) == ([False, True, False], (99.0, 1.0, 101.0, 2.0))
    touching.settle(clock, T0 + 5 * SECOND, by_book=True)
    assert (touching.latest, touching.known_since) == (None, None)


def test_the_other_channel_breaks_nothing() -> None:
    assert settled(quote(0), ("quotes", MILLI), ("trades", MILLI), ("ticker", 2)).latest is not None
    assert settled(quote(0, origin="venue"), ("quotes", MILLI), by_book=False).latest is None


class _Mid(Metric):
    """The mean of the touch, of the moment and of a window."""

    name = "test_mid"
    needs = frozenset({"touches"})
    window = SECOND

    def sample(self, s: Sample) -> float | None:
        return None if s.touch is None else (s.touch[0] + s.touch[2]) / 2


def sampled(analytics: Analytics, seconds: int, *events: Event) -> str | None:
    for e in events:
        analytics.take(e)
    bars = Bars(NAME, PipelineSettings())
    analytics.sample(T0 + seconds * SECOND, Source(by_book=True, book=None, bars=bars, aggregated=None))
    return ",".join(analytics.incomplete) if analytics.values else None


@pytest.mark.parametrize("kind", ["gap", "crossed", "resyncing", "stale", "disconnected"])
def test_what_breaks_it(kind: str) -> None:
    analytics = Analytics(NAME, 0, 5, None)
    analytics.add([_Mid("test_mid")])
    assert sampled(analytics, 1, quote(0)) == "", "whole from the first touch on"
    assert sampled(analytics, 2, status(SECOND * 3 // 2, kind)) is None
    assert sampled(analytics, 3, status(SECOND * 5 // 2, "recovered")) is None, "that it speaks is no touch"
    assert sampled(analytics, 4, quote(3 * SECOND + 1)) == "test_mid", "the window reaches into the hole"
    assert sampled(analytics, 5) == ""


def test_a_metric_that_is_switched_on_later_is_incomplete_at_first() -> None:
    analytics = Analytics(NAME, 0, 5, None)
    sampled(analytics, 1, quote(0))
    analytics.add([_Mid("test_mid")])
    assert sampled(analytics, 1) == "test_mid"
    assert sampled(analytics, 2) == ""


def test_figures_are_forgotten_with_their_stream() -> None:
    analytics = Analytics(NAME, 0, 5, None)
    analytics.take(Ticker(NAME, T0, T0, 0, mark=1.0))
    assert analytics.figures.mark == 1.0
    analytics.take(status(0, "stale", "ticker"))
    assert analytics.figures.mark is None


def test_times_that_cannot_be_true_teach_no_lag() -> None:
    clock = VenueClock()
    trade = Trade(NAME, T0, T0 + 50 * MILLI, 0, 1.0, 1.0, "buy", "1")
    for e in (trade, quote(10**9, lag=-(10**11)), quote(10**9, flags=int(Flag.RECOVERED), lag=0)):
        clock.learn(e)
    assert clock.place(trade) == T0
    assert clock.place(quote(10**9, lag=-(10**11))) == T0 + 10**9 - 50 * MILLI
    assert clock.place(quote(10**9, flags=int(Flag.RECOVERED), lag=0)) == T0 + 10**9
    assert clock.lag == 50 * MILLI


def test_a_false_time_that_came_first_is_overcome() -> None:
    """As in the bars: an hour ahead of all that follows, so that nothing would lie within a window for an hour."""
    analytics = Analytics(NAME, 0, 5, None)
    analytics.add(map(registry.metric, ("volume_10s", "spread_10s")))
    bars = Bars(NAME, PipelineSettings())
    analytics.take(Trade(NAME, T0 + 3600 * SECOND, T0, 0, 1.0, 1.0, "buy", "0"))
    said = []
    for n in range(1, 90):
        at = T0 + n * SECOND // 2
        trade = Trade(NAME, at - LAG, at, 0, 1.0, 1.0, "buy", str(n))
        for e in (trade, quote(at - T0)):
            analytics.take(e)
        analytics.sample(at, Source(True, None, bars, None))
        said.append((analytics.values.get("volume_10s"), analytics.values.get("spread_10s")))
    assert said[-1] == (20.0, 1.0)
    assert analytics.now == T0 + 89 * SECOND // 2 - LAG
