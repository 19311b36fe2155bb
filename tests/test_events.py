"""The events: JSON there and back for every type, Arrow from the same definition, flags by name."""

from typing import Any, Literal, get_args, get_origin

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeline.events import (
    TYPES,
    Alert,
    Bar,
    BookUpdate,
    Event,
    Flag,
    Metrics,
    Trade,
    arrow_schema,
    bare_type,
    fields,
    from_json,
    to_json,
)

INT64 = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
ALL_FLAGS = sum(Flag)


def values(hint: Any) -> st.SearchStrategy[Any]:
    bare, optional = bare_type(hint)
    if get_origin(bare) is Literal:
        made: st.SearchStrategy[Any] = st.sampled_from(get_args(bare))
    elif get_origin(bare) is list:
        made = st.lists(st.tuples(FLOATS, FLOATS), max_size=4)
    elif get_origin(bare) is dict:
        made = st.dictionaries(st.text(), FLOATS, max_size=4)
    else:
        made = {int: INT64, float: FLOATS, bool: st.booleans(), str: st.text()}[bare]
    return st.none() | made if optional else made


@st.composite
def events(draw: st.DrawFn) -> Event:
    kind = draw(st.sampled_from(list(TYPES.values())))
    made = {name: draw(values(hint)) for name, hint in fields(kind).items() if name != "flags"}
    return kind(**made, flags=draw(st.integers(0, ALL_FLAGS)))


@given(events())
def test_json_there_and_back(event: Event) -> None:
    line = to_json(event)
    assert b"\n" not in line
    assert from_json(line) == from_json(line.decode()) == event
    plain = msgspec.json.decode(line)
    assert plain["type"] == event.__struct_config__.tag
    assert plain["flags"] == [f.name for f in Flag if event.flags & f]
    may_be_left_out = {
        Trade: ("conditions",),
        BookUpdate: ("bid_floor", "ask_ceiling", "depth"),
        Bar: ("sell_volume", "open_interest"),
        Metrics: ("values", "incomplete"),
        Alert: ("severity", "id"),
    }
    left_out = {name for name in may_be_left_out.get(type(event), ()) if getattr(event, name) is None}
    assert set(plain) == {"type", *event.__struct_fields__} - left_out


@given(events())
def test_arrow_holds_every_event(event: Event) -> None:
    schema = arrow_schema(type(event))
    row = {f: getattr(event, f) for f in event.__struct_fields__}
    for name in ("bids", "asks"):
        if name in row:
            row[name] = [{"price": p, "size": s} for p, s in row[name]]
    if row.get("values") is not None:
        row["values"] = list(row["values"].items())
    assert pa.Table.from_pylist([row], schema=schema).to_pylist() == [row]


@pytest.mark.parametrize("kind", TYPES.values())
def test_the_schema_follows_from_the_fields(kind: type[Event]) -> None:
    schema = arrow_schema(kind)
    assert schema.names == list(kind.__struct_fields__)
    assert {f.name for f in schema if f.nullable} == {n for n, h in fields(kind).items() if bare_type(h)[1]}
    assert schema.field("ts_event").type == schema.field("ts_recv").type == pa.int64()
    assert schema.field("flags").type == pa.int32()
    assert schema.metadata[b"tapeline.event"] == kind.__struct_config__.tag.encode()


def test_the_numbers_of_flags_are_stored_and_never_change() -> None:
    assert {f.name: f.value for f in Flag} == {
        "SNAPSHOT": 1, "LATE": 2, "RECOVERED": 4, "SAMPLED": 8, "AGGREGATED": 16, "OFF_BOOK": 32, "RPI": 64, "SIMULATED": 128,
        "BAD_TIME": 256, "NO_VENUE_TIME": 512, "INEXACT": 1024, "BOOK_UNPROVEN": 2048, "FILLED": 4096,
    }  # fmt: skip


def test_one_of_each_as_it_is_written() -> None:
    trade = Trade("binance:BTC-USDT", 1, 2, Flag.SIMULATED | Flag.LATE, 0.1, 1e-7, "buy", '"flags":2')
    assert to_json(trade) == (
        b'{"type":"trade","instrument":"binance:BTC-USDT","ts_event":1,"ts_recv":2,"flags":["LATE","SIMULATED"],'
        b'"price":0.1,"size":1e-7,"side":"buy","id":"\\"flags\\":2"}'
    )
    book = BookUpdate("x:y", 1, 2, 0, [(1.5, 2.0)], [], False, 7, None)
    assert to_json(book) == (
        b'{"type":"book","instrument":"x:y","ts_event":1,"ts_recv":2,"flags":[],'
        b'"bids":[[1.5,2.0]],"asks":[],"snapshot":false,"seq":7,"prev_seq":null}'
    )


def test_an_instrument_cannot_pose_as_the_flags() -> None:
    trade = Trade('x","flags":0,"y', 1, 2, 0, 1.0, 1.0, "buy", "")
    assert from_json(to_json(trade)) == trade


def test_a_flag_named_twice_counts_once() -> None:
    assert (
        from_json(to_json(Trade("", 1, 2, 2, 1.0, 1.0, "buy", "")).replace(b'["LATE"]', b'["LATE","LATE"]')).flags == Flag.LATE
    )


@pytest.mark.parametrize(
    "bad",
    [b"", b"{", b"[]", b"1", b"null", b"{}", b'{"type":"trade"}', b'{"type":"nothing","flags":[]}', b"\xff", b"[" * 100_000,
     b'{"type":"alert","instrument":"","ts_event":1,"ts_recv":2,"flags":["NOSUCH"],"rule":"","state":"","value":null,"text":""}',
     b'{"type":"alert","instrument":"","ts_event":1,"ts_recv":2,"flags":[["LATE"]],"rule":"","state":"","value":null,"text":""}',
     b'{"type":"alert","instrument":"","ts_event":1,"ts_recv":2,"flags":3,"rule":"","state":"","value":null,"text":""}',
     b'{"type":"alert","instrument":"","ts_event":"1","ts_recv":2,"flags":[],"rule":"","state":"","value":null,"text":""}'],
    ids=lambda raw: raw[:30],
)  # fmt: skip
def test_what_is_no_event(bad: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        from_json(bad)
