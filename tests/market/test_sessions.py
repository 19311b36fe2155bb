"""When markets trade. Times and holidays from the exchanges' own published calendars, written out by hand."""

import subprocess
import sys
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeline.clock import parse_iso
from tapeline.market.sessions import open_since, part_of, prepare

SECOND = 1_000_000_000


def at(text: str, zone: str = "America/New_York") -> int:
    """A wall clock's time as ns UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * SECOND


@pytest.mark.parametrize(
    ("when", "part"),
    [
        ("2026-11-20 03:59:59", "overnight"),
        ("2026-11-20 04:00", "pre"),
        ("2026-11-20 09:29:59", "pre"),
        ("2026-11-20 09:30", "regular"),
        ("2026-11-20 15:59:59", "regular"),
        ("2026-11-20 16:00", "post"),
        ("2026-11-20 19:59:59", "post"),
        ("2026-11-20 20:00", ""),  # Friday night
        ("2026-11-21 12:00", ""),  # Saturday
        ("2026-11-22 19:59", ""),  # Sunday
        ("2026-11-22 20:00", "overnight"),
        ("2026-07-15 09:30", "regular"),  # summer time
        ("2026-07-15 16:00", "post"),
        ("2026-11-26 12:00", ""),  # Thanksgiving
        ("2026-11-25 23:00", ""),  # the night before it
        ("2026-11-27 12:59:59", "regular"),  # the half day after it
        ("2026-11-27 13:00", "post"),
        ("2026-11-27 16:59:59", "post"),
        ("2026-11-27 17:00", ""),
        ("2026-12-25 10:00", ""),
        ("2026-01-01 10:00", ""),
        ("2026-01-02 10:00", "regular"),
        ("2026-04-03 10:00", ""),  # Good Friday
        ("2025-12-31 15:00", "regular"),
        ("2025-12-31 21:00", ""),
        ("2026-03-09 09:30", "regular"),  # the Monday after the clocks went forward
        ("2026-03-08 20:00", "overnight"),
    ],
)
def test_new_york(when: str, part: str) -> None:
    assert part_of("XNYS", at(when)) == part
    assert (open_since("XNYS", at(when)) is None) == (part != "regular")


def test_trading_has_a_beginning() -> None:
    assert open_since("XNYS", at("2026-11-20 12:00")) == at("2026-11-20 09:30")
    assert open_since("XLON", at("2026-11-20 12:00", "Europe/London")) == at("2026-11-20 08:00", "Europe/London")
    assert open_since("", at("2026-12-25 03:00")) == 0
    assert part_of("", 0) == "regular"


def test_a_lunch_break_is_a_break() -> None:
    tokyo = [
        at(f"2026-11-20 {t}", "Asia/Tokyo") for t in ("08:59", "09:00", "11:29", "11:30", "12:29", "12:30", "15:29", "15:30")
    ]
    assert [part_of("XTKS", t) for t in tokyo] == ["", "regular", "regular", "", "", "regular", "regular", ""]
    assert open_since("XTKS", tokyo[6]) == tokyo[5]


@pytest.mark.parametrize(
    ("when", "is_open"),
    [
        ("2026-11-22 16:59:59", False),  # Sunday
        ("2026-11-22 17:00", True),
        ("2026-11-25 03:00", True),
        ("2026-11-27 16:59:59", True),  # Friday
        ("2026-11-27 17:00", False),
        ("2026-11-28 12:00", False),
        ("2026-07-12 17:00", True),  # summer time
        ("2026-07-12 16:59:59", False),
    ],
)
def test_the_week_of_currencies(when: str, is_open: bool) -> None:
    assert (open_since("FX", at(when)) is not None) == is_open


def test_the_week_of_currencies_has_a_beginning() -> None:
    assert open_since("FX", at("2026-11-25 03:00")) == at("2026-11-22 17:00")
    assert open_since("FX", at("2026-11-01 20:00")) == at("2026-11-01 17:00")  # the clocks went back that morning


@given(st.integers(parse_iso("1991-01-01"), parse_iso("2040-01-01")))
def test_the_week_of_currencies_is_five_days(ts: int) -> None:
    began = open_since("FX", ts)
    local = datetime.fromtimestamp(ts // SECOND, ZoneInfo("America/New_York"))
    hours = (local.isoweekday() % 7) * 24 + local.hour
    assert (began is not None) == (17 <= hours < 5 * 24 + 17)
    assert began is None or began <= ts < began + (5 * 24 + 1) * 3600 * SECOND


def test_what_no_calendar_knows_is_always_open() -> None:
    """A venue may name any exchange, and a recording may be of any time: nothing may raise."""
    assert part_of("NOWHERE", at("2026-11-21 12:00")) == "regular"
    for ts in (-(2**62), 0, 2**62, 2**63 - 1):
        assert part_of("XNYS", ts) in {"pre", "regular", "post", "overnight", ""}
        assert part_of("FX", ts) in {"regular", ""}


def test_pandas_is_read_only_where_an_exchange_is_asked_for() -> None:
    program = (
        "import sys; from tapeline.market.sessions import *; import tapeline.engine.pipeline; prepare(['', 'FX'], 10**18);"
        "assert 'pandas' not in sys.modules; prepare(['XNYS'], 10**18); assert 'pandas' in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


def test_what_is_prepared_is_there() -> None:
    prepare(["XNYS", "FX", "", "XNYS"], at("2026-11-20 12:00"))
    assert part_of("XNYS", at("2026-11-20 12:00")) == "regular"
