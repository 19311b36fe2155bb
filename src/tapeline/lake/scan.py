"""Rows out of the lake's files, quickly: only the columns that are needed, only the row groups that can hold what is asked for.

Rows come file by file, files in the order in which their events were made (session, then number), each sorted by time as
`lake/tables.py` says. A stable sort by time of what `rows` gives therefore has equal times in the order of the events.

What a file's footer says is remembered, since committed files never change.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tapeline.lake.catalogue import Catalogue
from tapeline.lake.state import LakeFile

REMEMBERED = 4096
FOOTERS = 64  # files whose footers are kept as they were read: about a megabyte for a busy day of books

Span = tuple[Any, Any]
Ints = npt.NDArray[np.int64]


class Group(NamedTuple):
    """One row group: its number in the file, the names of its columns, and the least and greatest value of those that tell."""

    number: int
    rows: int
    spans: dict[str, Span]
    names: frozenset[str]

    def meets(self, column: str, start: Any, end: Any) -> bool:
        """Whether it may have rows with `start` <= value < `end`; None is no limit."""
        span = self.spans.get(column)
        return span is None or ((start is None or span[1] >= start) and (end is None or span[0] < end))

    def may_hold(self, column: str, value: Any) -> bool:
        span = self.spans.get(column)
        return span is None or span[0] <= value <= span[1]

    def may_reach(self, column: str, value: Any) -> bool:
        span = self.spans.get(column)
        return span is None or span[1] >= value


@lru_cache(maxsize=REMEMBERED)
def groups(path: str) -> tuple[Group, ...]:
    """The row groups of a file. Raises FileNotFoundError where it was swapped away."""
    metadata = _footer(path)
    found = []
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        spans, names = {}, set()
        for i in range(group.num_columns):
            column = group.column(i)
            names.add(column.path_in_schema.partition(".")[0])
            statistics = column.statistics if "." not in column.path_in_schema else None
            if statistics is not None and statistics.has_min_max:
                spans[column.path_in_schema] = (statistics.min, statistics.max)
        found.append(Group(number, group.num_rows, spans, frozenset(names)))
    return tuple(found)


@lru_cache(maxsize=FOOTERS)
def _footer(path: str) -> pq.FileMetaData:
    return pq.read_metadata(path)


def in_order(catalogue: Catalogue, files: Iterable[LakeFile]) -> list[tuple[str, tuple[Group, ...]]]:
    """(path, its row groups), in the order in which the events were made."""
    found = [(path := catalogue.path(f), groups(path)) for f in files]
    return sorted((f for f in found if f[1]), key=lambda f: (_first(f[1], "session_id", ""), _first(f[1], "n", 0), f[0]))


def _first(found: Sequence[Group], column: str, unknown: Any) -> Any:
    return min(g.spans[column][0] if column in g.spans else unknown for g in found)


def rows(
    placed: Iterable[tuple[str, tuple[Group, ...]]], columns: Sequence[str], *, column: str, start: int | None, end: int | None
) -> list[pa.Table]:
    """The row groups that may hold `start` <= `column` < `end`, a table a file that has any. Raises FileNotFoundError."""
    tables = []
    for path, found in placed:
        wanted = [g.number for g in found if g.meets(column, start, end)]
        if wanted:
            with pq.ParquetFile(path, metadata=_footer(path)) as file:
                tables.append(file.read_row_groups(wanted, columns))
    return tables


def numbers(tables: Sequence[pa.Table], name: str, kind: Any = np.int64) -> npt.NDArray[Any]:
    """One column of several tables as an array, which may be Arrow's own and read only; null is not expected there."""
    chunks = [chunk.to_numpy(zero_copy_only=False) for t in tables for chunk in t[name].chunks]
    found: npt.NDArray[Any] = chunks[0] if len(chunks) == 1 else np.concatenate(chunks) if chunks else np.empty(0)
    return found.astype(kind, copy=False)


def equals(tables: Sequence[pa.Table], name: str, text: str) -> npt.NDArray[np.bool_]:
    """Whether a dictionary-encoded text column is `text`, row by row."""
    found = []
    for chunk in (c for t in tables for c in t[name].chunks):
        code = chunk.dictionary.to_pylist()
        at = code.index(text) if text in code else -1
        found.append(chunk.indices.to_numpy(zero_copy_only=False) == at)
    return np.concatenate(found) if found else np.empty(0, np.bool_)


def texts(tables: Sequence[pa.Table], name: str) -> tuple[list[str], Ints]:
    """A dictionary-encoded text column as (its texts, sorted; the number of the text of each row)."""
    chunks = [c for t in tables for c in t[name].chunks]
    names = sorted({value for c in chunks for value in c.dictionary.to_pylist()})
    place = {value: i for i, value in enumerate(names)}
    codes = [
        np.array([place[v] for v in c.dictionary.to_pylist()] or [0], np.int64)[c.indices.to_numpy(zero_copy_only=False)]
        for c in chunks
    ]
    return names, np.concatenate(codes) if codes else np.empty(0, np.int64)
