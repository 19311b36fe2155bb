"""Events in Arrow tables: their day, their order, their numbers; the times are worked out by hand."""

import pyarrow as pa
import pytest

from tapeline.events import BookUpdate, Event, Flag, Status, Trade
from tapeline.lake.layout import DAY
from tapeline.lake.tables import days_of, parts

NOON = 1_795_132_800_000_000_000 + DAY // 2  # 2026-11-20T12:00Z
TODAY = NOON // DAY


@pytest.mark.parametrize(
    ("label", "flags", "day"),
    [
        (NOON, 0, TODAY),
        (NOON - DAY // 2, 0, TODAY),  # midnight belongs to the day it begins
        (NOON - DAY // 2 - 1, 0, TODAY - 1),
        (NOON + DAY, 0, TODAY + 1),  # a clock may run ahead
        (NOON + DAY + 1, 0, TODAY),  # but not by more than a day
        (NOON - 3000 * DAY, 0, TODAY - 3000),  # a bar of the past
        (NOON // 1_000_000, 0, TODAY),  # milliseconds taken for nanoseconds
        (NOON // 1_000_000_000, 0, TODAY),
        (0, 0, TODAY),
        (-5, 0, TODAY),
        ((1 << 63) - 1, 0, TODAY),
        (NOON - 3 * DAY, int(Flag.BAD_TIME), TODAY),
        (NOON - 3 * DAY, int(Flag.NO_VENUE_TIME), TODAY - 3),
    ],
)
def test_the_day_of_an_event(label, flags, day):
    columns = (pa.array([value], kind) for value, kind in ((label, pa.int64()), (NOON, pa.int64()), (flags, pa.int32())))
    assert days_of(*columns).to_pylist() == [day]


def trade(ts: int, name: str = "x:A", flags: int = 0) -> Event:
    return Trade(name, ts, NOON + DAY, flags, 1.0, 1.0, "buy", "")


def test_rows_are_sorted_by_time_and_keep_their_number_and_equal_times_their_order():
    (part,) = parts("s", [trade(NOON + 2), trade(NOON), trade(NOON + 2), trade(NOON + 1)], 10)
    assert part.table["n"].to_pylist() == [11, 13, 10, 12]
    assert part.table["ts_event"].to_pylist() == [NOON, NOON + 1, NOON + 2, NOON + 2]


def test_one_part_for_each_kind_venue_instrument_and_day():
    events = [trade(NOON), trade(NOON, "x:B"), trade(NOON, "y:A"), trade(NOON + DAY), trade(NOON, flags=int(Flag.BAD_TIME))]
    events.append(BookUpdate("x:A", NOON, NOON, 0, [], [], False, None, None))
    found = {p.partition.path: p.table["n"].to_pylist() for p in parts("s", events, 0)}
    assert found == {
        "kind=trade/venue=x/instrument=A/date=2026-11-20": [0],
        "kind=trade/venue=x/instrument=B/date=2026-11-20": [1],
        "kind=trade/venue=y/instrument=A/date=2026-11-20": [2],
        "kind=trade/venue=x/instrument=A/date=2026-11-21": [4, 3],
        "kind=book/venue=x/instrument=A/date=2026-11-20": [5],
    }


def test_what_speaks_of_a_whole_connection_lies_under_the_venue_it_names():
    def status(venue: str) -> Event:
        return Status("", NOON, NOON, 0, "connected", venue, "", "", None, None, None)

    events = [status("x"), trade(NOON), status("y"), status("x")]
    found = {(p.partition.kind, p.partition.venue): p.table["n"].to_pylist() for p in parts("s", events, 5)}
    assert found == {("status", "x"): [5, 8], ("status", "y"): [7], ("trade", "x"): [6]}
    assert list(parts("s", [], 0)) == []
