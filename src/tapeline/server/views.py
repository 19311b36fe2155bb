"""Events as the API shows them: times in integer microseconds, flags by name, everything else as the event has it.

One definition serves all formats. It is derived from the events' own fields (`events.fields`), so a field that is added to an
event is in every answer. A table has the same columns and values in every format; the formats differ only in how they write a list
of flag names (JSON, Arrow and Parquet: a list; CSV: joined by `|`), figures by name (JSON and CSV: an object; the others: a map)
and an unknown (null; CSV: empty).
"""

import csv
import io
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, get_origin

import msgspec

from tapeline.clock import MICRO
from tapeline.engine.source import BookView
from tapeline.events import Bar, Event, Flag, bare_type, fields
from tapeline.instruments import Instrument

if TYPE_CHECKING:
    import pyarrow as pa

Format = Literal["json", "csv", "arrow", "parquet"]
Row = dict[str, Any]
MEDIA: dict[Format, str] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
}
STATUS_TIMES = frozenset({"started", "now", "since", "last_frame", "last_event", "first", "last"})
INSTRUMENT_COLUMNS = {
    "id": str, "venue": str, "symbol": str, "kind": str, "base": str, "quote": str,
    "tick": float, "lot": float, "streaming": bool,
}  # fmt: skip

encode = msgspec.json.Encoder().encode
_asdict = msgspec.structs.asdict


@cache
def flag_names(flags: int) -> list[str]:
    return [f.name for f in Flag if f & flags and f.name is not None]


@cache
def _shape(event_type: type[Event]) -> tuple[str, tuple[str, ...]]:
    """The type's tag, and which of its fields are times."""
    times = tuple(name for name in fields(event_type) if name.startswith("ts_") or name == "next_funding")
    return str(event_type.__struct_config__.tag), times


def event_row(event: Event) -> Row:
    """`{"type": "trade", "instrument": …, "ts_event": <µs>, "ts_recv": <µs>, "flags": ["SIMULATED"], …}`."""
    tag, times = _shape(type(event))
    row = {"type": tag, **_asdict(event)}
    for name in times:
        if (ns := row[name]) is not None:
            row[name] = ns // MICRO
    row["flags"] = flag_names(event.flags)
    return row


def bar_row(bar: Bar, *, closed: bool) -> Row:
    """`nano`: of `ts_open` what its microseconds lack, so that bars of one microsecond (`tick:50`) can be told apart."""
    return {**event_row(bar), "closed": closed, "nano": bar.ts_open % MICRO}


def book_row(book: BookView) -> Row:
    return {
        "instrument": book.instrument,
        "ts_event": book.ts_event // MICRO,
        "ts_recv": book.ts_recv // MICRO,
        "seq": book.seq,
        "state": book.state,
        "bids": book.bids,
        "asks": book.asks,
        "complete_to": {"bid": book.bid_floor, "ask": book.ask_ceiling},
    }


def instrument_row(instrument: Instrument, *, streaming: bool) -> Row:
    return {name: getattr(instrument, name) for name in INSTRUMENT_COLUMNS if name != "streaming"} | {"streaming": streaming}


def status_row(value: Any) -> Any:
    """The engine's status with its times in microseconds, wherever in it they stand."""
    if isinstance(value, Event):
        return event_row(value)
    if isinstance(value, dict):
        return {k: v // MICRO if k in STATUS_TIMES and isinstance(v, int) else status_row(v) for k, v in value.items()}
    if isinstance(value, list):
        return [status_row(v) for v in value]
    return value


class Table:
    """Rows of one kind. `columns`: name → Python type, in order; `list` is a list of flag names, `dict` numbers by name."""

    def __init__(self, name: str, columns: dict[str, type], rows: Sequence[Row]) -> None:
        self.name, self.columns, self.rows = name, columns, rows

    def render(self, format: Format, head: Row) -> bytes:  # noqa: A002  the parameter is called so in the API
        """`head` stands beside the rows in JSON and in the Arrow metadata; CSV has no place for it."""
        if format == "json":
            return encode({**head, self.name: self.rows})
        if format == "csv":
            return self._csv()
        return self._arrow(format, head)

    def _csv(self) -> bytes:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([_cell(row[name]) for name in self.columns] for row in self.rows)
        return out.getvalue().encode()

    def _arrow(self, format: Format, head: Row) -> bytes:  # noqa: A002  as above
        import pyarrow as pa

        metadata = {f"tapeline.{k}": str(v) for k, v in head.items()} | {"tapeline.time_unit": "us"}
        table = pa.Table.from_pylist(list(self.rows), schema=self._schema().with_metadata(metadata))
        sink = io.BytesIO()
        if format == "parquet":
            import pyarrow.parquet as pq

            pq.write_table(table, sink, compression="zstd")
        else:
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)
        return sink.getvalue()

    def _schema(self) -> "pa.Schema":
        import pyarrow as pa

        types = {int: pa.int64(), float: pa.float64(), bool: pa.bool_(), str: pa.string(), list: pa.list_(pa.string()),
                 dict: pa.map_(pa.string(), pa.float64())}  # fmt: skip
        return pa.schema([pa.field(name, types[kind]) for name, kind in self.columns.items()])


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return encode(value).decode()
    return "|".join(value) if isinstance(value, list) else value


@cache
def event_columns(event_type: type[Event]) -> dict[str, type]:
    columns: dict[str, type] = {"type": str}
    for name, hint in fields(event_type).items():
        bare, _ = bare_type(hint)
        columns[name] = (
            list if name == "flags" else dict if get_origin(bare) is dict else bare if bare in (int, float, bool) else str
        )
    return columns | ({"closed": bool, "nano": int} if event_type is Bar else {})


def event_table(name: str, event_type: type[Event], rows: Iterable[Row]) -> Table:
    return Table(name, event_columns(event_type), list(rows))
