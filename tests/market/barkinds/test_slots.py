"""Where bars of time begin: against the clock on the wall, minute by minute, and against published sessions of exchanges."""

import random
from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from tapeline.market.barkinds.slots import Fixed, Slots, Trading, Zoned
from tapeline.market.barkinds.specs import parse

SECOND = 1_000_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND


def ns(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * SECOND


def walls(zone: str, start: int, days: int, width: int) -> list[int]:
    """Where bars begin, the plain way: a look at the wall each minute. One begins where the number of the part of the day changes,
    or where the clock stands at such a beginning after it was put back.
    """
    tz, found, before = ZoneInfo(zone), [], None
    for ts in range(start, start + days * DAY, MINUTE):
        wall = datetime.fromtimestamp(ts // SECOND, UTC).astimezone(tz)
        minutes = wall.hour * 60 + wall.minute
        key = (wall.date(), minutes * MINUTE // width)
        if before is not None and (key != before or minutes * MINUTE % width == 0):
            found.append(ts)
        before = key
    return found


def spans(slots: Slots, start: int, days: int) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    ts = start
    while ts < start + days * DAY:
        span = slots.span(ts)
        assert span is not None
        found.append(span)
        ts = span[1]
    return found


CHANGES = [
    ("America/New_York", "2026-03-07"), ("America/New_York", "2026-10-31"), ("Europe/Berlin", "2026-03-28"),
    ("Europe/Berlin", "2026-10-24"), ("Australia/Lord_Howe", "2026-04-04"), ("Australia/Lord_Howe", "2026-10-03"),
    ("America/Havana", "2026-03-07"), ("America/Havana", "2026-10-31"), ("Asia/Kathmandu", "2026-06-01"),
    ("Africa/Casablanca", "2026-02-14"),
]  # fmt: skip


@pytest.mark.parametrize(("zone", "day"), CHANGES)
@pytest.mark.parametrize("width", [15 * MINUTE, 45 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 12 * HOUR, DAY])
def test_bars_by_the_wall_begin_where_its_clock_says(zone: str, day: str, width: int) -> None:
    start = ns(day) + 3 * HOUR
    expected = walls(zone, start, 3, width)
    found = spans(Zoned(zone, width), start, 3)
    assert all(a[1] == b[0] for a, b in pairwise(found))
    assert [begin for begin, _ in found if start < begin < start + 3 * DAY] == expected
    dice = random.Random(day)
    for _ in range(50):  # asked in any order
        ts = start + dice.randrange(3 * DAY)
        begin, end = Zoned(zone, width).span(ts)
        assert begin <= ts < end
        assert (begin, end) in found


def test_a_day_of_summer_time_has_23_hours_and_one_of_winter_time_25() -> None:
    slots = Zoned("America/New_York", DAY)
    spring, autumn = slots.span(ns("2026-03-08T18:00")), slots.span(ns("2026-11-01T18:00"))
    assert spring == (ns("2026-03-08T05:00"), ns("2026-03-09T04:00"))
    assert (spring[1] - spring[0]) // HOUR == 23
    assert (autumn[1] - autumn[0]) // HOUR == 25


def test_weeks_begin_on_mondays_and_days_go_on_over_the_week() -> None:
    assert parse("1w").slots.span(ns("2026-11-21T10:00")) == (ns("2026-11-16"), ns("2026-11-23"))
    assert parse("1w@Europe/Berlin").slots.span(ns("2026-11-21T10:00")) == (ns("2026-11-15T23:00"), ns("2026-11-22T23:00"))
    assert Fixed(7 * SECOND).span(20 * SECOND + 1) == (14 * SECOND, 21 * SECOND)


def test_hours_of_new_york_begin_at_half_past_and_end_with_the_session() -> None:
    """XNYS, Friday 2026-11-27: a half day, 09:30 to 13:00 (nyse.com, holidays and trading hours)."""
    slots, day = Trading("XNYS", HOUR), "2026-11-27"
    found = [slots.span(ns(f"{day}T{t}", "America/New_York")) for t in ("09:29", "09:30", "10:29", "12:59", "13:00")]
    opened = ns(f"{day}T09:30", "America/New_York")
    assert found == [
        None,
        (opened, opened + HOUR),
        (opened, opened + HOUR),
        (opened + 3 * HOUR, opened + 3 * HOUR + HOUR // 2),
        None,
    ]
    assert slots.span(ns("2026-11-26T15:00")) is None  # Thanksgiving
    assert slots.resume(ns("2026-11-26T15:00")) == opened
    assert Trading("XNYS", DAY).span(opened + HOUR) == (opened, opened + 7 * HOUR // 2)


def test_a_lunch_break_ends_a_bar_but_not_the_day() -> None:
    """XHKG: 09:30 to 12:00 and 13:00 to 16:00 (hkex.com.hk)."""
    at = {t: ns(f"2026-11-24T{t}", "Asia/Hong_Kong") for t in ("09:30", "11:30", "12:00", "12:30", "13:00", "14:00", "16:00")}
    hours = Trading("XHKG", HOUR)
    assert hours.span(at["11:30"]) == (at["11:30"], at["12:00"])
    assert hours.span(at["12:30"]) is None
    assert hours.resume(at["12:30"]) == at["13:00"]
    assert hours.span(at["13:00"]) == (at["13:00"], at["14:00"])
    for time in ("09:30", "12:30", "14:00"):
        assert Trading("XHKG", DAY).span(at[time]) == (at["09:30"], at["16:00"])
    assert Trading("XHKG", DAY).span(at["16:00"]) is None


def test_days_of_currencies_begin_at_five_in_new_york() -> None:
    slots = Trading("FX", DAY)
    sunday = ns("2026-11-22T17:00", "America/New_York")
    assert slots.span(sunday + DAY + 1) == (sunday + DAY, sunday + 2 * DAY)
    assert slots.span(sunday - 1) is None
    assert slots.resume(sunday - 1) == sunday
    assert slots.resume(sunday - 9 * DAY // 2) == sunday


def test_where_no_calendar_reaches_there_are_no_bars() -> None:
    assert Trading("XHKG", HOUR).span(ns("1903-05-05T03:00")) is None
