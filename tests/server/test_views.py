"""One row an event, derived from the events' own fields: no field is forgotten, every time is cut to microseconds."""

import csv
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tapeline.clock import MICRO
from tapeline.engine.source import BookView
from tapeline.events import TYPES, Flag, Metrics, Ticker, bare_type, fields, from_json, to_json
from tapeline.server.views import encode, event_columns, event_row, event_table, flag_names, status_row

NS = 1_795_132_800_123_456_789


def example(kind):
    """An event with a value in every field."""
    made = {int: NS, float: 1.25, bool: True, str: "x", dict[str, float]: {"vwap_5m": 1.25}}
    values = {}
    for name, hint in fields(kind).items():
        bare, _ = bare_type(hint)
        values[name] = made.get(bare, [(1.5, 2.5)] if name in ("bids", "asks") else getattr(bare, "__args__", ("x",))[0])
    return kind(**values | {"flags": int(Flag.LATE | Flag.SIMULATED)})


@pytest.mark.parametrize("tag", sorted(TYPES))
def test_a_row_is_the_event_s_json_but_for_its_times(tag):
    event = example(TYPES[tag])
    plain = json.loads(to_json(event))
    row = json.loads(encode(event_row(event)))
    assert list(row) == list(plain)
    times = {name for name in plain if name.startswith("ts_") or name == "next_funding"}
    assert {"ts_event", "ts_recv"} <= times
    assert row == plain | dict.fromkeys(times, NS // MICRO)
    assert row["flags"] == ["LATE", "SIMULATED"]
    assert from_json(to_json(event)) == event


def test_an_unknown_time_stays_unknown():
    assert event_row(Ticker("sim:X", 1000, 2000, 0))["next_funding"] is None


def test_columns_name_every_key_of_a_row():
    for tag in ("trade", "quote", "metrics", "status"):
        assert list(event_columns(TYPES[tag])) == list(event_row(example(TYPES[tag])))


def test_values_by_name_in_every_format():
    one, other = example(Metrics), Metrics("sim:X", 1000, 2000, 0, 1.0, None, None, None, None, None)
    table = event_table("metrics", Metrics, map(event_row, (one, other)))
    assert [row["values"] for row in json.loads(table.render("json", {}))["metrics"]] == [one.values, None]
    rows = list(csv.DictReader(io.StringIO(table.render("csv", {}).decode())))
    assert json.loads(rows[0]["values"]) == one.values
    assert rows[1]["values"] == ""
    arrow = pa.ipc.open_stream(table.render("arrow", {})).read_all()
    parquet = pq.read_table(io.BytesIO(table.render("parquet", {})))
    for found in (arrow, parquet):
        assert [v and dict(v) for v in found["values"].to_pylist()] == [one.values, None]


def test_each_flag_has_its_name():
    assert flag_names(0) == []
    assert [flag_names(f.value) for f in Flag] == [[f.name] for f in Flag]


def test_status_times_are_cut_at_any_depth_and_nothing_else_is():
    row = {"now": 1999, "frames": 1999, "a": [{"since": 2000, "text": "now", "last_event": None}]}
    assert status_row(row) == {"now": 1, "frames": 1999, "a": [{"since": 2, "text": "now", "last_event": None}]}


def test_a_book_view_has_no_field_that_the_api_forgets():
    from tapeline.server.views import book_row

    view = BookView(
        instrument="sim:X", ts_event=NS, ts_recv=NS, seq=1, state="synced", bids=[], asks=[], bid_floor=1.0, ask_ceiling=2.0
    )
    row = book_row(view)
    assert set(row) == (set(view.__struct_fields__) - {"bid_floor", "ask_ceiling"}) | {"complete_to"}
    assert row["complete_to"] == {"bid": 1.0, "ask": 2.0}
