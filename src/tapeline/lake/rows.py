"""All rows of a kind, in order, a batch at a time: for exports, which may be larger than memory.

Days are read one after the other, as the lake's folders have them, and each is sorted by DuckDB in bounded memory, on disk where it
must. Two orders:

    time    by the label (`ts_event`, of bars `ts_open`), equal ones as they were made
    made    by (session, n): as events were made. What builds on what came before, books above all, only makes sense so: updates that
            waited for their snapshot were received before it and stand after it

A catalogue is taken for each day; where compaction swaps a day's files away before its first batch is there, it is read again.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import duckdb
import msgspec
import pyarrow as pa

from tapeline.errors import IntegrityError, TapelineError
from tapeline.events import Event, Flag
from tapeline.lake import database, views
from tapeline.lake.catalogue import Catalogue, read
from tapeline.lake.layout import root, time_field
from tapeline.lake.state import LakeFile
from tapeline.lake.turns import reading

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BATCH_ROWS = 20_000
TRIES = 5
Order = Literal["time", "made"]


class Selection(msgspec.Struct, frozen=True):
    """Rows of a view (`views.NAMES`) of these instruments (default all) with `start` <= label < `end`, ns. `where`: SQL of ours."""

    view: str
    instruments: tuple[str, ...] = ()
    start: int | None = None
    end: int | None = None
    where: str = ""

    @property
    def label(self) -> str:
        return time_field(self.event_type)

    @property
    def event_type(self) -> type[Event]:
        return views.VIEWS["bar_revisions" if self.view == "bars" else self.view]

    def files(self, catalogue: Catalogue) -> dict[str, list[LakeFile]]:
        """Day → its files, oldest first."""
        found = defaultdict(list)
        for file in catalogue.chosen(views.tag(self.view), self.instruments, self.start, self.end):
            found[file.date].append(file)
        return dict(sorted(found.items()))

    def sql(self, order: Order) -> str:
        conditions = [self.where] if self.where else []
        if self.instruments:
            conditions.append(f"instrument IN ({', '.join(map(views.quoted, self.instruments))})")
        if self.start is not None:
            conditions.append(f"{self.label} >= {self.start}")
        if self.end is not None:
            conditions.append(f"{self.label} < {self.end}")
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        by = f"{self.label}, session_id, n" if order == "time" else "session_id, n"
        return f"SELECT * FROM {self.view}{where} ORDER BY {by}"  # noqa: S608 - our own names, and quoted


def count(data: Path, selection: Selection) -> int:
    """Rows in the files that may hold some of it: for a progress bar."""
    return sum(f.rows for files in selection.files(read(data)).values() for f in files)


def batches(data: Path, selection: Selection, order: Order = "time", *, at_once: bool = False) -> Iterator[pa.RecordBatch]:
    """Batches of at most BATCH_ROWS rows with the view's columns. `at_once`: all days are sorted together, so that what was made
    after midnight of the day before stands in its place. Raises UsageError where there is no lake, IntegrityError where
    files that it lists cannot be read, TapelineError where the machine has no room for sorting.
    """
    for day in [""] if at_once else list(selection.files(read(data))):
        yield from _day(data, selection, day, order)


def schema(selection: Selection, left_out: Iterable[str] = ()) -> pa.Schema:
    """Of the batches: the same where there are none."""
    view = "bar_revisions" if selection.view == "bars" else selection.view
    with database.roomy() as connection:
        connection.register("_empty", views.empty(view))
        drawn = views.select(view, views.source(view, [], "_empty"))
        found = connection.sql(drawn).to_arrow_table().schema
    return pa.schema([field for field in found if field.name not in set(left_out)])


def _day(data: Path, selection: Selection, day: str, order: Order) -> Iterator[pa.RecordBatch]:
    for left in reversed(range(TRIES)):
        begun = False
        try:
            with database.roomy() as connection, ExitStack() as turn:
                if left < TRIES - 1:
                    turn.enter_context(reading(root(data)))
                catalogue = read(data)
                days = selection.files(catalogue)
                files = [catalogue.path(f) for name in ([day] if day else days) for f in days.get(name, [])]
                if not files:
                    return
                for batch in _rows(connection, selection, files, order):
                    begun = True
                    turn.close()
                    yield batch
        except FileNotFoundError as e:
            if begun or not left:
                raise IntegrityError(f"the lake in {data} is not whole ({e}); `tapeline repair` makes it anew") from e
        else:
            return


def _rows(connection: "DuckDBPyConnection", selection: Selection, files: list[str], order: Order) -> Iterator[pa.RecordBatch]:
    base = "bar_revisions" if selection.view == "bars" else selection.view
    try:
        connection.execute(f"CREATE VIEW {base} AS {views.select(base, views.source(base, files, None))}")
        if selection.view == "bars":
            connection.execute(views.bars())
        reader = connection.sql(selection.sql(order)).to_arrow_reader(BATCH_ROWS)
        yield from (batch for batch in database.batches(reader) if batch.num_rows)
    except duckdb.IOException as e:
        raise _said(e) from e
    except duckdb.Error as e:
        raise TapelineError(f"the lake cannot be sorted for the export: {e}") from e


def _said(error: Exception) -> Exception:
    """DuckDB says the same for a file that is gone and for a disk that is full."""
    text = str(error)
    if "No files found" in text or "No such file" in text or "Cannot open file" in text:
        return FileNotFoundError(text)
    return TapelineError(f"the lake cannot be read for the export: {text}")


def events(kind: type[Event], batch: pa.RecordBatch) -> list[Any]:
    """The events of a batch, as they were."""
    columns = [_column(batch.column(name), name) for name in kind.__struct_fields__]
    return list(map(kind, *columns)) if columns else []


def _column(column: pa.Array, name: str) -> list[Any]:
    if name in ("bids", "asks"):
        return _levels(column)
    values: list[Any] = column.to_pylist()
    return [None if v is None else dict(v) for v in values] if pa.types.is_map(column.type) else values


def _levels(column: pa.ListArray) -> list[list[tuple[float, float]]]:
    """Lists of (price, size), by flat columns: several times quicker than nested Python objects."""
    lengths = column.value_lengths().to_pylist()
    levels = column.flatten()
    pairs = list(zip(levels.field(0).to_pylist(), levels.field(1).to_pylist(), strict=True))
    return [pairs[a:b] for a, b in pairwise([0, *accumulate(lengths)])]


def numbered(kind: type[Event], found: Iterable[pa.RecordBatch]) -> Iterator[tuple[tuple[str, int], Any]]:
    """((session, n), event): the order of making, to merge several kinds by."""
    for batch in found:
        keys = zip(batch.column("session_id").to_pylist(), batch.column("n").to_pylist(), strict=True)
        yield from zip(keys, events(kind, batch), strict=True)


def book_selection(instrument: str, start: int | None, end: int | None) -> Selection:
    """The updates that make books: without those that were never joined to a snapshot. A snapshot may still wait for the update that
    proves it, and counts.
    """
    where = f"(snapshot OR flags & {int(Flag.BOOK_UNPROVEN)} = 0)"
    return Selection("book_updates", (instrument,), start, end, where)
