"""Schedules by wall clocks: over midnight, in the hour that comes twice, and in the one that does not come."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeline.alerts.schedule import DAYS, Schedule
from tapeline.clock import SECOND, parse_iso

NEW_YORK = "mon-fri 09:30-16:00 America/New_York"


@pytest.mark.parametrize(
    ("text", "when", "open_"),
    [
        ("", "2026-11-21T03:00", True),
        (NEW_YORK, "2026-11-20T14:30", True),
        (NEW_YORK, "2026-11-20T14:29:59", False),
        (NEW_YORK, "2026-11-20T20:59:59", True),
        (NEW_YORK, "2026-11-20T21:00", False),
        (NEW_YORK, "2026-07-20T13:30", True),  # summer: an hour earlier by UTC
        (NEW_YORK, "2026-11-21T15:00", False),  # a Saturday
        ("fri 22:00-06:00 Europe/Berlin", "2026-11-21T04:59", True),  # Saturday morning, begun on Friday
        ("fri 22:00-06:00 Europe/Berlin", "2026-11-20T04:59", False),
        ("sat-mon", "2026-11-23T12:00", True),
        ("sat-mon", "2026-11-24T12:00", False),
        ("08:00-12:00,13:00-17:00", "2026-11-24T12:30", False),
        ("01:00-02:00 America/New_York", "2026-11-01T05:30", True),  # 01:30, the first time
        ("01:00-02:00 America/New_York", "2026-11-01T06:30", True),  # and the second
        ("02:00-02:30 America/New_York", "2026-03-08T07:10", False),  # 03:10: there is no 02:10 on that day
    ],
)
def test_open(text, when, open_):
    assert Schedule.of(text).is_open(parse_iso(when)) is open_


@pytest.mark.parametrize(
    ("text", "after", "opens"),
    [
        (NEW_YORK, "2026-11-20T21:00", "2026-11-23T14:30"),
        (NEW_YORK, "2026-03-06T21:00", "2026-03-09T13:30"),  # the clock went forward on Sunday
        ("02:30-04:00 America/New_York", "2026-03-08T06:00", "2026-03-08T07:00"),  # 02:30 is skipped: it begins at 03:00
        ("02:00-02:30 America/New_York", "2026-03-08T06:00", "2026-03-09T06:00"),  # all of it is skipped
        ("01:00-01:30 America/New_York", "2026-11-01T05:45", "2026-11-01T06:00"),  # the same again, an hour later
        ("fri 22:00-06:00 Europe/Berlin", "2026-11-21T05:00", "2026-11-27T21:00"),
    ],
)
def test_next_open(text, after, opens):
    assert Schedule.of(text).next_open(parse_iso(after)) == parse_iso(opens)


@settings(max_examples=40, deadline=None)
@given(
    zone=st.sampled_from(["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]),
    days=st.lists(st.sampled_from(DAYS), min_size=1, max_size=7, unique=True),
    begin=st.integers(0, 95),
    length=st.integers(1, 60),
    at=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)),  # noqa: DTZ001
)
def test_the_next_opening_is_the_first_minute_that_is_open(zone, days, begin, length, at):
    """Against a walk from quarter to quarter of an hour by the zone's own clock."""
    first, last = begin * 15, (begin * 15 + length * 15) % 1440
    text = f"{','.join(days)} {first // 60:02}:{first % 60:02}-{last // 60:02}:{last % 60:02} {zone}"
    if first == last:
        return
    at = at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0, tzinfo=UTC)
    found = Schedule.of(text).next_open(int(at.timestamp()) * SECOND)

    def is_open(moment: datetime) -> bool:
        local = moment.astimezone(ZoneInfo(zone))
        minute, day, before = local.hour * 60 + local.minute, DAYS[local.weekday()], DAYS[(local.weekday() - 1) % 7]
        if first < last:
            return day in days and first <= minute < last
        return (day in days and minute >= first) or (before in days and minute < last)

    step = at
    while not is_open(step):
        step += timedelta(minutes=15)
    assert found == int(step.timestamp()) * SECOND
