"""Sorted Parquet files of one folder, merged into one without ever being in memory whole.

A merge by batches: of each open file a batch of rows is held; whatever lies before the earliest end of these batches (and before
the first row of the files not yet opened) cannot be preceded by anything still unread, so it is sorted and written. Files are opened
in the order of their first row and closed with their last one; the commits of one session hardly overlap, so that two or three
are open at a time.

Memory is bounded by `HELD_ROWS` rows of all open files together (fewer a file, the more of them overlap), one page a column of
each, and one row group that is being written: `ROW_GROUP` rows, or `ROW_GROUP_BYTES` in Arrow's form where rows are large (books).
Measured: a day of 10 M trades takes 75 MB more than the process had, 1.5 M updates of wide books 220 MB, however many there are.

A row group of 122,880 rows is what DuckDB gives one thread; measured on 10 M trades, larger ones are no smaller on disk and slower
to read (docs/sinks.md).
"""

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tapeline.errors import IntegrityError
from tapeline.lake.tables import ROW_GROUP, ROW_GROUP_BYTES, conform, options, row_group

HELD_ROWS = 200_000
LEAST_BATCH, MOST_BATCH = 1_024, 16_384
BUFFER = 1 << 18
KEY = ("ts_event", "session_id", "n")
_OURS = (None, errno.ENOENT, errno.EIO)  # the file's own fault: not that of this machine's limits or rights


class Damaged(IntegrityError):
    """A file that cannot be read; `path` is its."""

    def __init__(self, path: Path, why: object) -> None:
        self.path = path
        super().__init__(f"{path} cannot be read: {why}")


class Input(msgspec.Struct, frozen=True):
    """A file to merge. `first`, `last`: no row has a `ts_event` outside them; None where that is not known."""

    path: Path
    first: int | None = None
    last: int | None = None


class Source:
    """The unwritten rows of one open file, in order: `held` is never empty while there are any."""

    def __init__(self, path: Path, schema: pa.Schema, batch_rows: int) -> None:
        self.path, self._schema = path, schema
        self.held = schema.empty_table()
        self.times = np.empty(0, np.int64)
        self.exhausted = False
        with damage(self.path):
            self._file = pq.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False)
            self._batches = self._file.iter_batches(batch_size=batch_rows, use_threads=False)
        self.more()

    def more(self) -> None:
        """Read further rows."""
        with damage(self.path):
            batch = next((b for b in self._batches if b.num_rows), None)
            if batch is None:
                self.exhausted = True
                self._file.close()
                return
            self.held = pa.concat_tables([self.held, conform(pa.Table.from_batches([batch]), self._schema)])
        self.times = self.held["ts_event"].to_numpy()

    def take(self, before: int | None) -> pa.Table:
        """The held rows before that time (None: all), which are held no more."""
        count = len(self.times) if before is None else int(np.searchsorted(self.times, before))
        taken, self.held, self.times = self.held[:count], self.held[count:], self.times[count:]
        if not len(self.times) and not self.exhausted:
            self.more()
        return taken

    def close(self) -> None:
        self._file.close()


@contextmanager
def damage(path: Path) -> Iterator[None]:
    """What reading `path` raises is Damaged, unless it is a lack of this machine (open files, rights)."""
    try:
        yield
    except OSError as e:
        if e.errno not in _OURS:
            raise
        raise Damaged(path, e) from e
    except (pa.ArrowException, ValueError) as e:
        raise Damaged(path, e) from e


def merged(inputs: Sequence[Input], schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows of all, sorted by `KEY`, in tables of any size. Raises Damaged."""
    waiting = sorted(inputs, key=lambda i: (i.first is not None, i.first or 0))
    batch_rows = max(LEAST_BATCH, min(MOST_BATCH, HELD_ROWS // max(1, _depth(inputs))))
    sources: list[Source] = []
    try:
        while waiting or sources:
            following = waiting[0].first if waiting else None
            if waiting and (not sources or following is None or min(int(s.times[0]) for s in sources) >= following):
                sources.append(Source(waiting.pop(0).path, schema, batch_rows))
            else:
                yield from _round(sources, following)
            sources = [s for s in sources if len(s.times)]
    finally:
        for source in sources:
            source.close()


def _round(sources: list[Source], following: int | None) -> Iterator[pa.Table]:
    """What can be written now; where that is nothing, since a whole batch has one time, more of it is read instead."""
    ends = [int(s.times[-1]) for s in sources if not s.exhausted]
    before = min([*ends, *([] if following is None else [following])], default=None)
    parts = [part for part in (s.take(before) for s in sources) if len(part)]
    if parts:
        yield in_order(parts)
        return
    for source in sources:
        if not source.exhausted and int(source.times[-1]) == before:
            source.more()


def _depth(inputs: Sequence[Input]) -> int:
    """How many of the files overlap at most."""
    if any(i.first is None or i.last is None for i in inputs):
        return len(inputs)
    steps = sorted([(i.first, -1) for i in inputs] + [(i.last, 1) for i in inputs])  # a begin before an end of the same time
    depth = most = 0
    for _, step in steps:
        depth -= step
        most = max(most, depth)
    return most


def in_order(parts: Sequence[pa.Table]) -> pa.Table:
    """Tables that are sorted by `KEY`, as one that is."""
    if len(parts) == 1:
        return parts[0]
    table = pa.concat_tables(parts).unify_dictionaries()
    keys = pa.table({name: pc.cast(table[name], pa.string()) if name == "session_id" else table[name] for name in KEY})
    return table.take(pc.sort_indices(keys, [(name, "ascending") for name in KEY]))


def write_merged(inputs: Sequence[Input], schema: pa.Schema, path: Path, pause: Callable[[], None]) -> int:
    """Write one file of all rows; how many there are. `pause` is called after each row group, and may raise.

    Raises Damaged where an input cannot be read, OSError where `path` cannot be written. A file that is not whole stays behind.
    """
    sorting = [pq.SortingColumn(schema.get_field_index("ts_event"))]
    rows, last = 0, -(1 << 63)
    with pq.ParquetWriter(
        path, schema, compression="zstd", compression_level=1, write_page_index=True, sorting_columns=sorting, **options(schema)
    ) as writer:
        for group in _groups(merged(inputs, schema)):
            times = group["ts_event"].to_numpy()
            if times[0] < last or (times[1:] < times[:-1]).any():
                raise IntegrityError(f"{path}: rows are not in order, one of the files was not sorted")
            last = times[-1]
            writer.write_table(group.unify_dictionaries().combine_chunks(), row_group_size=len(group))
            rows += len(group)
            pause()
    return rows


def _groups(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in tables of one row group each."""
    held: list[pa.Table] = []
    rows = size = 0
    for table in tables:
        held.append(table)
        rows, size = rows + len(table), size + table.nbytes
        while rows >= ROW_GROUP or size >= ROW_GROUP_BYTES:
            whole = pa.concat_tables(held)
            count = min(ROW_GROUP, row_group(rows, size), rows)
            yield whole[:count]
            held = [whole[count:]] if count < rows else []
            rows -= count
            size = sum(t.nbytes for t in held)
    if held:
        yield pa.concat_tables(held)
