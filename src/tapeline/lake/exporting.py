"""Events out of the lake into files that other programs read: CSV, JSON lines, Parquet, Arrow.

CSV and JSON lines are what the sinks of these names write (`sinks/csv.py`; events as `tapeline decode` prints them). Parquet and
Arrow have the columns of the views (docs/lake.md), `date` apart. Rows come by time, those of books as they were made.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from tapeline.events import BookUpdate, Event, Status, to_json
from tapeline.instruments import split_id
from tapeline.lake import outputs, rows
from tapeline.lake.outputs import Counted
from tapeline.lake.rows import Selection
from tapeline.lake.views import quoted
from tapeline.sinks import csv

Form = Literal["csv", "jsonl", "parquet", "arrow"]
FORMS: tuple[str, ...] = get_args(Form)
ENDINGS = {
    ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".parquet": "parquet",
    ".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow",
}  # fmt: skip
LEFT_OUT = ("date",)
ROW_GROUP = 100_000
GAPS = ("gap", "disconnected")
_PACKED = (".gz", ".zst")
Told = Callable[[int], None]


class Exported(msgspec.Struct):
    """`rows`: of the file; `bytes`: of it; `left_out`: what was not written, and why; `notes`: what else a reader must know."""

    rows: int = 0
    bytes: int = 0
    left_out: dict[str, int] = {}
    notes: list[str] = []


class Gap(msgspec.Struct, frozen=True):
    time: int
    instrument: str
    kind: str
    channel: str
    reason: str


def form_of(target: str) -> str | None:
    """The format that a file's name tells."""
    path = Path(target)
    return ENDINGS.get(Path(path.stem).suffix if path.suffix in _PACKED else path.suffix)


def nothing(_: int) -> None:
    pass


def export(data: Path, selection: Selection, form: Form, target: str, told: Told = nothing) -> Exported:
    """Write the rows of a selection to a file, or to standard output (`-`). `told` is given the rows of each batch.

    Raises UsageError, IntegrityError and TapelineError as `rows.batches`, OSError where the file cannot be written.
    """
    done = Exported()
    made = selection.event_type is BookUpdate
    with outputs.opened(target) as file, _writer(form, selection, file, target) as write:
        for batch in rows.batches(data, selection, "made" if made else "time"):
            done.rows += write(batch)
            told(batch.num_rows)
    done.bytes = file.bytes
    return done


Write = Callable[[pa.RecordBatch], int]
"""Writes a batch; the rows that it made of it."""


@contextmanager
def _writer(form: Form, selection: Selection, file: Counted, target: str) -> Iterator[Write]:
    kind = selection.event_type
    if form in ("csv", "jsonl"):
        with outputs.packed(file, target) as out:
            yield _lines(kind, form, out)
        return
    with _columnar(form, selection, file) as write:
        yield write


def _lines(kind: type[Event], form: str, out: Any) -> Write:
    if form == "csv":
        out.write(",".join(csv.columns(kind)).encode() + b"\n")

    def write(batch: pa.RecordBatch) -> int:
        events = rows.events(kind, batch)
        text = csv.table(kind, events) if form == "csv" else b"".join(to_json(e) + b"\n" for e in events)
        out.write(text)
        return text.count(b"\n") if kind is BookUpdate else len(events)

    return write


@contextmanager
def _columnar(form: str, selection: Selection, file: Counted) -> Iterator[Write]:
    """The writer is made with the first batch, whose columns are the file's; where there is none, with an empty one."""
    made: list[Any] = []

    def begin(schema: pa.Schema) -> Any:
        sink = pa.PythonFile(file, mode="w")
        if form == "parquet":
            return pq.ParquetWriter(sink, schema, compression="zstd", compression_level=3)
        return pa.ipc.new_file(sink, schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))

    gathered: list[pa.RecordBatch] = []

    def flush() -> None:
        if gathered:
            table = pa.Table.from_batches(gathered)
            made[0].write_table(table, **({"row_group_size": ROW_GROUP} if form == "parquet" else {}))
            gathered.clear()

    def write(batch: pa.RecordBatch) -> int:
        kept = batch.drop_columns([name for name in LEFT_OUT if name in batch.schema.names])
        if not made:
            made.append(begin(kept.schema))
        gathered.append(kept)
        if sum(b.num_rows for b in gathered) >= ROW_GROUP:
            flush()
        return int(kept.num_rows)

    yield write
    if not made:
        made.append(begin(rows.schema(selection, LEFT_OUT)))
    flush()
    made[0].close()


def gaps(data: Path, instruments: tuple[str, ...], start: int | None, end: int | None) -> list[Gap]:
    """What is missing in a span, as the status events tell it: gaps of these instruments (default all), lost connections of their
    venues. By time.
    """
    told = ", ".join(f"'{kind}'" for kind in (*GAPS, "connected"))
    where = f"kind IN ({told})"
    if instruments:
        own = ", ".join(map(quoted, instruments))
        venues = ", ".join(sorted({quoted(split_id(name)[0]) for name in instruments}))
        where += f" AND (instrument IN ({own}) OR (instrument = '' AND venue IN ({venues})))"
    events = [e for batch in rows.batches(data, Selection("status", (), start, end, where)) for e in rows.events(Status, batch)]
    again = {e.venue: e.ts_event for e in events if e.kind == "connected"}
    return [Gap(e.ts_event, e.instrument, e.kind, e.channel, e.reason) for e in events if _missing(e, again)]


def _missing(e: Status, again: dict[str, int]) -> bool:
    """`again`: when each venue was connected last. The end of a recording is no gap in it, its pause between two is."""
    if e.kind != "disconnected":
        return e.kind == "gap"
    ended = e.reason.endswith("stopped") and again.get(e.venue, 0) < e.ts_event
    return "planned" not in e.reason and not ended
