"""Events to Arrow tables and Parquet files.

Columns are those of `events.arrow_schema`, and `n`: the number of the event within its session, counted over all kinds by
this sink. (session, n) names an event for good; ordering by it gives the order in which the events were made. Rows are sorted
by `ts_event`, equal times in the order of `n`.

Readers that take columns from the path (`kind`, `venue`, `instrument`, `date`) hide columns of the same name in the file. So a
status' own `kind` is the column `status` here; and `instrument`, which is the whole id in the file, reads as the symbol there.

Encodings were chosen by measurement on a recorded futures session (`bench/sinks.py`): delta for integers and ids, dictionaries for
prices, sizes and the few texts, zstd-1 on top: 5.5 bytes a trade against 14.5 with the defaults, at the same speed.
"""

from array import array
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain, repeat
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tapeline.events import Event, Flag, Status, arrow_schema
from tapeline.lake.layout import ABSURD_BEFORE, DAY, Partition, date_text, day_of, time_field, venue_and_symbol

RENAMED: dict[tuple[type[Event], str], str] = {(Status, "kind"): "status"}
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
        columns.append(pa.field(RENAMED.get((event_type, field.name), field.name), kind, nullable=field.nullable))
    return pa.schema([*columns, pa.field("n", pa.int64(), nullable=False)], metadata=arrow_schema(event_type).metadata)


def parts(session: str, events: Sequence[Event], first_n: int) -> Iterator[Part]:
    """The events of one commit, numbered from `first_n`, by folder. Raises OverflowError or ValueError (ArrowInvalid,
    UnicodeError) where an event holds what Arrow cannot.
    """
    groups: dict[tuple[type[Event], str, str], tuple[list[Event], list[int]]] = {}
    seen: dict[tuple[type[Event], str], tuple[list[Event], list[int]]] = {}
    for n, event in enumerate(events, first_n):
        key = (type(event), event.instrument)
        if not event.instrument:
            venue, symbol = venue_and_symbol(event)
            group = groups.setdefault((type(event), venue, symbol), ([], []))
        elif (found := seen.get(key)) is not None:
            group = found
        else:
            group = seen[key] = groups.setdefault((type(event), *venue_and_symbol(event)), ([], []))
        group[0].append(event)
        group[1].append(n)
    for (event_type, venue, symbol), (rows, numbers) in groups.items():
        for day, table in _days(event_type, _table(event_type, rows, numbers, session)):
            yield Part(Partition(_tag(event_type), venue, symbol, date_text(day)), table)


def _tag(event_type: type[Event]) -> str:
    return str(event_type.__struct_config__.tag)


def _table(event_type: type[Event], rows: list[Event], numbers: list[int], session: str) -> pa.Table:
    schema = file_schema(event_type)
    columns = [_column(name, field, rows) for name, field in zip(event_type.__struct_fields__, schema, strict=False)]
    simulated = any(flags & Flag.SIMULATED for flags in set(columns[event_type.__struct_fields__.index("flags")].to_pylist()))
    about = {"tapeline.simulated": "true" if simulated else "false", "tapeline.session": session}
    columns.append(pa.array(array("q", numbers), pa.int64()))
    return pa.Table.from_arrays(columns, schema=schema.with_metadata({**schema.metadata, **about}))


def _column(name: str, field: pa.Field, rows: list[Event]) -> pa.Array:
    if name == "instrument" and (one := rows[0].instrument):
        return pa.DictionaryArray.from_arrays(pa.array(repeat(0, len(rows)), pa.int32(), size=len(rows)), pa.array([one]))
    values = list(map(attrgetter(name), rows))
    if pa.types.is_list(field.type):
        return _levels(values, field.type)
    if pa.types.is_dictionary(field.type):
        return pa.array(values, pa.string()).dictionary_encode()
    return pa.array(values, field.type)


def _levels(books: list[list[tuple[float, float]]], kind: pa.DataType) -> pa.Array:
    """Book levels by flat columns: several times quicker than nested Python objects."""
    ends, total = array("i", [0]), 0
    for levels in books:
        total += len(levels)
        ends.append(total)
    flat: list[Any] = list(chain.from_iterable(chain.from_iterable(books)))
    prices, sizes = (pa.array(array("d", column), pa.float64()) for column in (flat[::2], flat[1::2]))
    struct = pa.StructArray.from_arrays([prices, sizes], fields=list(kind.value_type))
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), struct, type=kind)


def _days(event_type: type[Event], table: pa.Table) -> Iterator[tuple[int, pa.Table]]:
    """The table, sorted, by the day its rows lie under: nearly always one."""
    label = time_field(event_type)
    low, high = pc.min_max(table[label]).as_py().values()
    earliest = pc.min(table["ts_recv"]).as_py()
    doubtful = pc.any(pc.not_equal(pc.bit_wise_and(table["flags"], int(Flag.BAD_TIME)), 0)).as_py()
    if low // DAY == high // DAY and low >= ABSURD_BEFORE and high <= earliest + DAY and not doubtful:
        yield low // DAY, _sorted(table)
        return
    columns = (table[name].to_pylist() for name in (label, "ts_recv", "flags"))
    days = pa.array([day_of(*row) for row in zip(*columns, strict=True)], pa.int64())
    for day in sorted(set(days.to_pylist())):
        yield day, _sorted(table.filter(pc.equal(days, day)))


def _sorted(table: pa.Table) -> pa.Table:
    times = table["ts_event"].combine_chunks()
    if len(times) < 2 or pc.all(pc.less_equal(times[:-1], times[1:])).as_py():
        return table
    return table.take(pc.sort_indices(table, [("ts_event", "ascending"), ("n", "ascending")]))


def write(table: pa.Table, path: Path) -> None:
    """One Parquet file. Raises OSError. Not fsynced here."""
    options = _options(table.schema)
    pq.write_table(table, path, compression="zstd", compression_level=1, **options)


def _options(schema: pa.Schema) -> dict[str, Any]:
    dictionary, encodings = [], {}
    for field in schema:
        if pa.types.is_list(field.type):
            dictionary += [f"{field.name}.list.element.price", f"{field.name}.list.element.size"]
        elif pa.types.is_int64(field.type):
            encodings[field.name] = "DELTA_BINARY_PACKED"
        elif field.name == "id":
            encodings[field.name] = "DELTA_BYTE_ARRAY"
        elif not pa.types.is_boolean(field.type):
            dictionary.append(field.name)
    return {"use_dictionary": dictionary, "column_encoding": encodings}
