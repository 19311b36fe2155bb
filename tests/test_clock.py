"""Times to the nanosecond, in text and back; clocks that never run backwards."""

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeline import clock
from tapeline.clock import LiveClock, ReplayClock, iso, parse_iso


@given(st.integers(-(2**63), 2**63 - 1))
def test_text_there_and_back(ns: int) -> None:
    assert parse_iso(iso(ns)) == ns


@given(st.datetimes(timezones=st.timezones() | st.builds(timezone, st.timedeltas(timedelta(hours=-12), timedelta(hours=12)))))
def test_any_zone_with_microseconds(moment: datetime) -> None:
    moment = moment.replace(fold=0)
    if moment.utcoffset().total_seconds() % 60:
        return  # ISO 8601 has no seconds in offsets
    delta = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC) if 1 < moment.year < 9999 else timedelta()
    if 1 < moment.year < 9999:
        assert parse_iso(moment.isoformat()) == (delta // timedelta(microseconds=1)) * 1000


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01", 0),
        ("1970-01-01T00:00:01", 1_000_000_000),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1970-01-01 00:00:00.5", 500_000_000),
        ("1970-01-01T02:00:00.25+02:00", 250_000_000),
        ("1969-12-31T23:59:59.999999999Z", -1),
        ("2026-11-20T09:00", 1_795_165_200_000_000_000),
    ],
)
def test_forms_that_people_write(text: str, ns: int) -> None:
    assert parse_iso(text) == ns


@pytest.mark.parametrize("text", ["", "now", "2026-13-01", "2026-11-20T25:00", "1.5", "2026-11-20T09:00:00.x"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError):
        parse_iso(text)


def test_all_nine_digits_are_written() -> None:
    assert iso(1_795_165_200_000_000_001) == "2026-11-20T09:00:00.000000001Z"


def test_the_live_clock_holds_when_the_machine_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    told = iter([100, 90, 101])
    monkeypatch.setattr(clock.time, "time_ns", lambda: next(told))
    live = LiveClock()
    assert [live.now(), live.now(), live.now()] == [100, 100, 101]


def test_the_live_clock_is_the_machines() -> None:
    before = time.time_ns()
    assert before <= LiveClock().now() <= time.time_ns()


def test_the_replay_clock_stands_until_it_is_moved_and_never_goes_back() -> None:
    tape = ReplayClock(5)
    tape.set(9)
    tape.set(7)
    assert tape.now() == 9
