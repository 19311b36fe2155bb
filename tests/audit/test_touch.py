"""Crossed books and delays, counted by hand."""

import pytest

from tapeline.audit.report import Report
from tapeline.audit.touch import Crossings, Delays
from tapeline.clock import MILLI
from tapeline.events import Event, Flag, Quote, Status, Trade

NAME = "binance:BTC-USDT"


def touch(ts: int, bid: float | None, ask: float | None, flags: int = 0, origin: str = "book") -> Quote:
    return Quote(NAME, ts, ts, flags, bid, 1.0, ask, 1.0, 1, origin)  # type: ignore[arg-type]


def status(ts: int, kind: str) -> Status:
    return Status(NAME, ts, ts, 0, kind, "binance", "book", "told", None, None, None)  # type: ignore[arg-type]


GOOD, CROSSED = touch(1, 9.0, 10.0), touch(2, 10.0, 10.0)


@pytest.mark.parametrize(
    ("events", "state", "count"),
    [
        ([GOOD, touch(2, None, 10.0), touch(3, 11.0, 10.0, origin="venue")], "holds", 2),
        ([GOOD, CROSSED, touch(3, 9.0, 10.0)], "broken", 1),
        ([GOOD, CROSSED], "broken", 1),
        ([CROSSED, status(2, "crossed")], "noted", 1),
        ([CROSSED, status(2, "synced")], "broken", 1),
        ([CROSSED, status(3, "crossed")], "broken", 1),  # of a later moment
        ([CROSSED, CROSSED, status(2, "resyncing"), touch(3, 10.0, 9.0)], "broken", 1),
        ([touch(1, 11.0, 10.0, int(Flag.BOOK_UNPROVEN))], "noted", 1),
    ],
)
def test_a_crossed_book_is_honest_where_something_tells_of_it(events: list[Quote | Status], state: str, count: int) -> None:
    crossings, report = Crossings(NAME), Report(data="d")
    for e in events:
        crossings.quote(e) if isinstance(e, Quote) else crossings.status(e)
    crossings.judge("s", report)
    assert [(p.state, p.count) for p in report.points] == [(state, count)]


def test_crossed_touches_that_wait_for_a_status_are_few() -> None:
    crossings = Crossings(NAME)
    for ts in range(1, 1000):
        crossings.quote(touch(ts, 10.0, 9.0))
    assert len(crossings._waiting) == 1
    assert crossings.untold.count == 998


def trade(ms: int, flags: int = 0) -> Event:
    return Trade(NAME, 10**18, 10**18 + ms * MILLI, flags, 1.0, 1.0, "buy", "1")


def test_delays_are_of_events_with_a_time_of_their_own() -> None:
    delays = Delays(NAME)
    assert delays.latency() is None
    for ms in (-10, 0, 10, 20, 80):
        delays.take(trade(ms))
    for flag in (Flag.NO_VENUE_TIME, Flag.BAD_TIME, Flag.RECOVERED, Flag.SNAPSHOT):
        delays.take(trade(99_999, int(flag)))
    delays.take(status(1, "gap"))
    found = delays.latency()
    assert found is not None
    assert (found.events, found.skew, found.p50, found.most, found.negative) == (5, -10.0, 10.0, 80.0, 0.2)


def test_samples_are_thinned_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tapeline.audit.touch.MOST_SAMPLES", 64)
    delays = Delays(NAME)
    for ms in range(10_000):
        delays.take(trade(ms))
        assert len(delays._samples) < 64
    found = delays.latency()
    assert found is not None
    assert found.events == 10_000
    assert abs(found.p50 - 5000) < 500
