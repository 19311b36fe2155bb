"""Events to Arrow tables and Parquet files.

Columns are those of `events.arrow_schema`, and two more: `session_id`, and `n`, the number of the event within its session, counted
over all kinds by this sink. (session_id, n) names an event for good; ordering by it gives the order in which the events were made.
Rows are sorted by `ts_event`, equal times in the order of (session_id, n).

The folders already name `kind`, `venue`, `instrument` and `date`, and readers disagree about a column of the same name in the file:
some let the path win, others refuse. So the whole id is `instrument_id` here, and a status' own fields `kind` and `venue` are
`status` and `venue_id`; `instrument` and `venue`, from the path, are the id's two halves.

Encodings were chosen by measurement on a recorded futures session (`bench/sinks.py`): delta for integers and ids, dictionaries for
prices, sizes and the few texts, zstd-1 on top: 5.5 bytes a trade against 14.5 with the defaults, at the same speed.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import accumulate, chain, count, repeat
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tapeline.events import TYPES, Alert, Bar, Event, Flag, Metrics, arrow_schema
from tapeline.lake.layout import ABSURD_BEFORE, BAD_TIME, DAY, Partition, date_text, time_field, venue_and_symbol
from tapeline.lake.state import LakeFile

RENAMED = {"instrument": "instrument_id", "kind": "status", "venue": "venue_id"}
Places = npt.NDArray[np.int64]
VERSION = 2
"""Of the files' columns, in their metadata as `tapeline.lake`. 1 (unmarked) had no `session_id` column; the file's name said it."""
GROWN: dict[type[Event], tuple[str, ...]] = {
    Bar: ("sell_volume", "open_interest"),
    Metrics: ("values", "incomplete"),
    Alert: ("severity", "id"),
}
"""Fields that events got after the first release with files of version 2. Those files lack the columns until they are compacted
again, which makes them null; every reader takes what is not there for null.
"""
ROW_GROUP = 122_880
ROW_GROUP_BYTES = 8 << 20  # in memory; 500,000 levels: what a book at an instant has to read (bench/lake.py)
FEW_VALUES = frozenset({"instrument", "venue", "side", "origin", "interval", "kind", "channel", "rule", "state"})


class Part(msgspec.Struct, frozen=True):
    """The rows of one commit that lie in one folder."""

    partition: Partition
    table: pa.Table


@cache
def file_schema(event_type: type[Event]) -> pa.Schema:
    """The schema of a file: the event's, with `n`, and dictionaries where a text has few values."""
    columns = []
    for field in arrow_schema(event_type):
        kind = pa.dictionary(pa.int32(), pa.string()) if field.name in FEW_VALUES else field.type
        columns.append(pa.field(RENAMED.get(field.name, field.name), kind, nullable=field.nullable))
    own = [
        pa.field("session_id", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("n", pa.int64(), nullable=False),
    ]
    return pa.schema([*columns, *own], metadata={**arrow_schema(event_type).metadata, "tapeline.lake": str(VERSION)})


def parts(session: str, events: Sequence[Event], first_n: int) -> Iterator[Part]:
    """The events of one commit, numbered from `first_n`, by folder. Raises OverflowError or ValueError (ArrowInvalid,
    UnicodeError) where an event holds what Arrow cannot.
    """
    for (event_type, venue, symbol), places in _folders(events).items():
        rows = events if len(places) == len(events) else list(map(events.__getitem__, places.tolist()))
        for day, table in by_day(event_type, _table(event_type, rows, places + first_n, session)):
            yield Part(Partition(tag(event_type), venue, symbol, date_text(day)), table)


def _folders(events: Sequence[Event]) -> dict[tuple[type[Event], str, str], Places]:
    """Where the events of each kind, venue and symbol stand. Loops in C, since this is done for every event there is."""
    codes: defaultdict[tuple[type[Event], str], int] = defaultdict(count().__next__)
    keys = zip(map(type, events), map(attrgetter("instrument"), events), strict=True)
    found = np.fromiter(map(codes.__getitem__, keys), np.int32, len(events))
    found = found.astype(np.int16) if len(codes) < 1 << 15 else found  # sorted by radix
    order, ends = np.argsort(found, kind="stable"), np.cumsum(np.bincount(found, minlength=1))
    pieces: defaultdict[tuple[type[Event], str, str], list[Places]] = defaultdict(list)
    for (event_type, instrument), places in zip(codes, np.split(order, ends), strict=False):
        for ours in [places] if instrument else np.split(places, len(places)):  # without one, another field says the venue
            pieces[event_type, *venue_and_symbol(events[ours[0]])].append(ours)
    return {folder: found[0] if len(found) == 1 else np.sort(np.concatenate(found)) for folder, found in pieces.items()}


def described(part: Part, path: str, size: int) -> LakeFile:
    """What the catalogue says of a part once it lies at `path`, relative to the lake's root, with `size` bytes."""
    p = part.partition
    span = pc.min_max(part.table[time_field(TYPES[p.kind])]).as_py()
    return LakeFile(path, p.kind, p.venue, p.instrument, p.date, span["min"], span["max"], len(part.table), size)


def mixed(session: str, event_type: type[Event], rows: list[Event], numbers: list[int]) -> pa.Table:
    """Events of one type but any instruments and days, with the files' columns: what is not in a file yet. Raises as `parts`."""
    return _table(event_type, rows, numbers, session, one=False)


def tag(event_type: type[Event]) -> str:
    return str(event_type.__struct_config__.tag)


def _table(
    event_type: type[Event], rows: Sequence[Event], numbers: Sequence[int] | Places, session: str, *, one: bool = True
) -> pa.Table:
    """`one`: they are all of one instrument."""
    schema = file_schema(event_type)
    names = event_type.__struct_fields__
    columns = [_column(name, field, rows, one=one) for name, field in zip(names, schema, strict=False)]
    flags = pc.unique(columns[names.index("flags")]).to_pylist()
    simulated = any(f & Flag.SIMULATED for f in flags)
    about = {"tapeline.simulated": "true" if simulated else "false", "tapeline.session": session}
    columns += [constant(session, len(rows)), pa.array(numbers, pa.int64())]
    return pa.Table.from_arrays(columns, schema=schema.with_metadata({**schema.metadata, **about}))


def _column(name: str, field: pa.Field, rows: Sequence[Event], *, one: bool) -> pa.Array:
    if one and name == "instrument" and (instrument := rows[0].instrument):
        return constant(instrument, len(rows))
    values = list(map(attrgetter(name), rows))
    if pa.types.is_list(field.type):
        return levels(values, field.type)
    if pa.types.is_dictionary(field.type):
        return pa.array(values, pa.string()).dictionary_encode()
    if pa.types.is_map(field.type):
        return pa.array([None if v is None else list(v.items()) for v in values], field.type)
    return pa.array(values, field.type)


def constant(text: str, rows: int) -> pa.Array:
    """A column of one text."""
    return pa.DictionaryArray.from_arrays(pa.array(repeat(0, rows), pa.int32(), size=rows), pa.array([text]))


def levels(books: list[list[tuple[float, float]]], kind: pa.DataType) -> pa.Array:
    """Book levels by flat columns: several times quicker than nested Python objects."""
    ends = [0, *accumulate(map(len, books))]
    flat: list[Any] = list(chain.from_iterable(chain.from_iterable(books)))
    prices, sizes = (pa.array(column, pa.float64()) for column in (flat[::2], flat[1::2]))
    struct = pa.StructArray.from_arrays([prices, sizes], fields=list(kind.value_type))
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), struct, type=kind)


def by_day(event_type: type[Event], table: pa.Table) -> Iterator[tuple[int, pa.Table]]:
    """The table, sorted, by the day its rows lie under: nearly always one."""
    days = days_of(table[time_field(event_type)], table["ts_recv"], table["flags"])
    distinct = sorted(pc.unique(days).to_pylist())
    for day in distinct:
        yield day, _sorted(table if len(distinct) == 1 else table.filter(pc.equal(days, day)))


def days_of(label: pa.Array, ts_recv: pa.Array, flags: pa.Array) -> pa.Array:
    """The day, counted from 1970-01-01, of the folder each row belongs into (see `lake/layout.py`)."""
    return pc.divide(placed_at(label, ts_recv, flags), DAY)


def placed_at(label: pa.Array, ts_recv: pa.Array, flags: pa.Array) -> pa.Array:
    """`layout.placed_at` of rows; `label` is their `layout.time_field`."""
    absurd = pc.or_(pc.less(label, ABSURD_BEFORE), pc.greater(pc.subtract(label, ts_recv), DAY))
    flagged = pc.not_equal(pc.bit_wise_and(flags, BAD_TIME), 0)
    return pc.if_else(pc.or_(absurd, flagged), ts_recv, label)


def _sorted(table: pa.Table) -> pa.Table:
    times = table["ts_event"].combine_chunks()
    if len(times) < 2 or pc.all(pc.less_equal(times[:-1], times[1:])).as_py():
        return table
    return table.take(pc.sort_indices(table, [("ts_event", "ascending"), ("n", "ascending")]))


def write(table: pa.Table, path: Path) -> None:
    """One Parquet file. Raises OSError. Not fsynced here."""
    size = row_group(len(table), table.nbytes)
    pq.write_table(table, path, compression="zstd", compression_level=1, row_group_size=size, **options(table.schema))


def row_group(rows: int, size: int) -> int:
    """How many of so many rows that take `size` bytes in memory make a row group."""
    return min(ROW_GROUP, max(1, rows * ROW_GROUP_BYTES // max(size, 1)))


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with the columns of today's schema: a column that an earlier release did not have is null. Raises ValueError
    (ArrowInvalid) where a column is needed, or where there is one that we do not know and would lose.
    """
    if table.schema.equals(schema, check_metadata=False):
        return table.replace_schema_metadata(schema.metadata)
    if unknown := set(table.column_names) - set(schema.names):
        raise ValueError(f"columns that this program does not know: {', '.join(sorted(unknown))}")
    columns = []
    for field in schema:
        there = field.name in table.column_names
        if not there and not field.nullable:
            raise ValueError(f"the column {field.name} is missing")
        columns.append(table[field.name].cast(field.type) if there else pa.nulls(len(table), field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def options(schema: pa.Schema) -> dict[str, Any]:
    dictionary, encodings = [], {}
    for field in schema:
        if pa.types.is_list(field.type):
            dictionary += [f"{field.name}.list.element.price", f"{field.name}.list.element.size"]
        elif pa.types.is_map(field.type):
            dictionary.append(f"{field.name}.key_value.key")  # the values as they are: a fifth smaller than by a dictionary
        elif pa.types.is_int64(field.type):
            encodings[field.name] = "DELTA_BINARY_PACKED"
        elif field.name == "id":
            encodings[field.name] = "DELTA_BYTE_ARRAY"
        elif not pa.types.is_boolean(field.type):
            dictionary.append(field.name)
    return {"use_dictionary": dictionary, "column_encoding": encodings}
