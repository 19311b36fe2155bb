"""An answer as CSV, JSON, JSON lines, Arrow (the stream format) or Parquet, piece by piece.

Times that are `time` or another TIMESTAMP are ISO 8601 texts, dates too; `ts_event` and its kin stay integers. What JSON has no
word for (NaN, infinity) is null there. Lists, maps and structs are JSON inside of CSV; a map by names is an object. Arrow and
Parquet are the table as it is.
"""

import csv
import io
from collections.abc import Callable, Iterator
from typing import Any, Literal, get_args

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

Format = Literal["csv", "json", "jsonl", "arrow", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
BINARY = frozenset({"arrow", "parquet"})
MICRO_COLUMNS = frozenset({"ts_event", "ts_recv", "ts_open", "next_funding"})
"""What the API gives in microseconds in JSON and CSV, for JavaScript cannot hold the nanoseconds."""
ROWS = 10_000

_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=str)
encode = _encoder.encode


def pieces(table: pa.Table, form: Format) -> Iterator[bytes | memoryview]:
    """The whole of it, in order. Takes a while: not for the loop."""
    yield from _WRITERS[form](table)


def micros(table: pa.Table) -> pa.Table:
    """The known times in microseconds."""
    for at, field in enumerate(table.schema):
        if field.name in MICRO_COLUMNS and pa.types.is_int64(field.type):
            table = table.set_column(at, field, pc.divide(table.column(at), pa.scalar(1000, pa.int64())))
    return table


def rows(table: pa.Table) -> Iterator[list[dict[str, Any]]]:
    """Rows as JSON can say them, some thousand at a time."""
    plain = readable(table)
    named = [field.name for field in plain.schema if _is_named(field.type)]
    for batch in plain.to_batches(ROWS):
        found = batch.to_pylist()
        for name in named:
            for row in found:
                row[name] = None if row[name] is None else dict(row[name])
        yield found


def values(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """A column as JSON can say it: a map by names, as the metrics' values are, as an object."""
    found: list[Any] = column.to_pylist()
    return [None if v is None else dict(v) for v in found] if _is_named(column.type) else found


def _is_named(kind: pa.DataType) -> bool:
    return bool(pa.types.is_map(kind) and pa.types.is_string(kind.key_type))


def readable(table: pa.Table) -> pa.Table:
    """Times as ISO texts, whatever their unit; what only Arrow knows as text."""
    for at, field in enumerate(table.schema):
        column = table.column(at)
        if pa.types.is_timestamp(field.type):
            text = pc.replace_substring(column.cast(pa.string()), " ", "T", max_replacements=1)
            table = table.set_column(at, field.name, text)
        elif pa.types.is_time(field.type) or pa.types.is_duration(field.type):
            table = table.set_column(at, field.name, column.cast(pa.string()))
        elif pa.types.is_binary(field.type):
            texts = [None if v is None else v.hex() for v in column.to_pylist()]
            table = table.set_column(at, field.name, pa.array(texts, pa.string()))
    return _spans(table)


def _spans(table: pa.Table) -> pa.Table:
    """Intervals as text: only Arrow has a type for months, days and nanoseconds."""
    for at, field in enumerate(table.schema):
        if pa.types.is_interval(field.type):
            texts = [_interval(v) for v in table.column(at).to_pylist()]
            table = table.set_column(at, field.name, pa.array(texts, pa.string()))
    return table


def _interval(value: Any) -> str | None:
    if value is None:
        return None
    parts = ((value.months, "months"), (value.days, "days"), (value.nanoseconds / 1e9, "s"))
    return " ".join(f"{n:g} {unit}" for n, unit in parts if n) or "0 s"


def _csv(table: pa.Table) -> Iterator[bytes]:
    head = io.StringIO()
    csv.writer(head, lineterminator="\n").writerow(table.column_names)
    yield head.getvalue().encode()
    for batch in _flat(readable(table)).to_batches(ROWS):
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        columns = [_cells(column) for column in batch.columns]
        writer.writerows(zip(*columns, strict=True))
        yield out.getvalue().encode()


def _cells(column: pa.Array) -> list[Any]:
    values = column.to_pylist()
    return [None if v is None else "true" if v else "false" for v in values] if pa.types.is_boolean(column.type) else values


def _flat(table: pa.Table) -> pa.Table:
    for at, field in enumerate(table.schema):
        if pa.types.is_nested(field.type):
            texts = [None if v is None else encode(v).decode() for v in values(table.column(at))]
            table = table.set_column(at, field.name, pa.array(texts, pa.string()))
    return table


def _jsonl(table: pa.Table) -> Iterator[bytes]:
    for some in rows(table):
        yield _encoder.encode_lines(some)


def _json(table: pa.Table) -> Iterator[bytes]:
    """A list of objects, one a line."""
    yield b"["
    before = b"\n"
    for some in rows(table):
        for row in some:
            yield before + encode(row)
            before = b",\n"
    yield b"\n]\n"


def _arrow(table: pa.Table) -> Iterator[memoryview]:
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, table.schema) as stream:
        stream.write_table(table)
    yield memoryview(out.getvalue())


def _parquet(table: pa.Table) -> Iterator[memoryview]:
    import pyarrow.parquet as pq

    out = pa.BufferOutputStream()
    pq.write_table(_spans(table), out, compression="zstd")
    yield memoryview(out.getvalue())


_WRITERS: dict[str, Callable[[pa.Table], Iterator[bytes | memoryview]]] = {
    "csv": _csv,
    "json": _json,
    "jsonl": _jsonl,
    "arrow": _arrow,
    "parquet": _parquet,
}
