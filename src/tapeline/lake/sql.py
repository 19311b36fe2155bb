"""One question in SQL, answered by DuckDB over just the files that it needs, in a database of its own.

    checked     one statement, and it reads: SELECT (WITH, FROM, VALUES, DESCRIBE, SUMMARIZE, SHOW) or EXPLAIN of one
    planned     over empty tables, so that the catalogue can say which files are needed (`lake/pruning.py`)
    answered    in a new database (`lake/database.py`): the views, over those files and what is in memory (`lake/tail.py`)

Nothing here is shared between two questions but the empty tables. `stop()` may be called from any thread.
"""

import threading
from collections.abc import Mapping
from contextlib import closing, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec
import pyarrow as pa

from tapeline.errors import IntegrityError, TapelineError, UsageError
from tapeline.lake import database, pruning, tail, views
from tapeline.lake.catalogue import Catalogue, fresh
from tapeline.lake.database import QueryError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BATCH_ROWS = 50_000
STOP_EVERY = 0.02
_HUGE = 38


class QueryTooBig(UsageError):
    """It needs more memory than it may have."""


class QueryStopped(TapelineError):
    """It took longer than it may, or nobody waits for it any more."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """None: none. `rows` and `bytes` cut the answer (`Answer.truncated`); `seconds` and `memory_mb` end the question."""

    rows: int | None = None
    bytes: int | None = None
    seconds: float | None = None
    memory_mb: int | None = None
    threads: int | None = None


class Answer(msgspec.Struct, frozen=True):
    """`truncated`: there are more rows than the limits let through. `files`: how many were opened.

    `reach`: None where it goes up to now (or nobody records); else the last time (ns) that is committed, because the session that
    records did not say what is not.
    """

    table: pa.Table
    truncated: bool
    files: int
    reach: int | None = None


class Question:
    """`Question(sql, params, limits).ask(data)`, once; `stop()` ends it."""

    def __init__(self, sql: str, params: Mapping[str, Any] | None = None, limits: Limits | None = None) -> None:
        """Raises QueryError on what is not one reading statement."""
        self.limits = limits or Limits()
        self.sql, self.explains = database.checked(sql)
        self._params = dict(params or {}) or None
        self._open: DuckDBPyConnection | None = None
        self._why = ""
        self._over = threading.Event()

    def stop(self, why: str = "the query was stopped") -> None:
        """From another thread. It ends within moments, with QueryStopped. A second call does nothing."""
        if self._why:
            return
        self._why = why
        threading.Thread(target=self._interrupt, name="query-stop", daemon=True).start()

    def _interrupt(self) -> None:
        """Again and again: between two steps there is nothing to interrupt."""
        while not self._over.wait(STOP_EVERY):
            with suppress(duckdb.ConnectionException):  # closed in between
                if (connection := self._open) is not None:
                    connection.interrupt()

    @property
    def progress(self) -> float:
        """How much is done, in per cent; negative where that is not known."""
        connection = self._open
        with suppress(duckdb.ConnectionException):
            return -1.0 if connection is None else float(connection.query_progress())
        return -1.0

    def ask(self, data: Path) -> Answer:
        """The answer of the lake under `data` and, where a session records into it, of that session's memory. Blocks.

        Raises QueryError, QueryTooBig, QueryStopped; UsageError where there is no lake, IntegrityError where it is not whole.
        """
        seconds = self.limits.seconds
        timer = None if seconds is None else threading.Timer(seconds, self.stop, [f"it took longer than {seconds:g} s"])
        if timer is not None:
            timer.daemon = True
            timer.start()
        try:
            return self._ask(data)
        except duckdb.Error as e:
            raise self._said(e) from None
        except FileNotFoundError as e:
            raise IntegrityError(f"the lake in {data} is not whole ({e}); `tapeline repair` makes it anew") from None
        finally:
            if timer is not None:
                timer.cancel()
            self._over.set()
            self._open = None

    def _ask(self, data: Path) -> Answer:
        """The tail before the catalogue: see `lake/tail.py`."""
        with database.planning().cursor() as self._open:
            wanted = self._wanted(self._open)
        kinds = {views.tag(view) for view in wanted}
        last = tail.ask(data, kinds) if kinds and not self.explains else tail.Tail()
        return fresh(data, lambda catalogue: self._answered(catalogue, wanted, last))

    def _answered(self, catalogue: Catalogue, wanted: Mapping[str, list[list[pruning.Test]]], last: tail.Tail | None) -> Answer:
        """Raises FileNotFoundError where a file of the catalogue is gone by now."""
        self._check()
        rows, whole = tail.joined(last or tail.Tail(), catalogue)
        tails = {view: rows[kind] for view in wanted if (kind := views.tag(view)) in rows}
        chosen = {view: pruning.files(catalogue, view, scans) for view, scans in wanted.items()}
        paths = {view: [catalogue.path(f) for f in files] for view, files in chosen.items()}
        with database.opened(self.limits.memory_mb, self.limits.threads) as self._open:
            try:
                database.draw(self._open, database.drawn_for(self.sql, wanted), paths, tails)
                table, truncated = self._answer(self._open)
            except duckdb.Error as e:  # DuckDB says many things of a file that is gone
                if not all(Path(path).exists() for some in paths.values() for path in some):
                    raise FileNotFoundError(str(e)) from None
                raise
        reach = None if last is not None and whole else max((f.last_ts for f in catalogue.files), default=0)
        return Answer(table, truncated, sum(map(len, paths.values())), reach)

    def _wanted(self, empty: "DuckDBPyConnection") -> dict[str, list[list[pruning.Test]]]:
        """The views that it reads, and what it filters them by. An EXPLAIN shows the plan over everything."""

        def parse(text: str) -> Any:
            return database.tree(empty, text)

        mentioned = {view for view in views.VIEWS if self.explains or views.mentions(self.sql, view)}
        return pruning.wanted("[]" if self.explains else database.plan(empty, self.sql, self._params), mentioned, parse)

    def _answer(self, connection: "DuckDBPyConnection") -> tuple[pa.Table, bool]:
        """The rows, and whether there are more than the limits let through."""
        relation = connection.sql(self.sql, params=self._params)
        most, heaviest = self.limits.rows, self.limits.bytes
        reader = relation.to_arrow_reader(BATCH_ROWS if most is None else max(1, min(BATCH_ROWS, most + 1)))
        kept: list[pa.RecordBatch] = []
        rows = size = 0
        truncated = False
        with closing(database.batches(reader)) as batches:
            for batch in batches:
                self._check()
                kept.append(batch)
                rows += batch.num_rows
                size += batch.nbytes
                if (most is not None and rows > most) or (heaviest is not None and size > heaviest):
                    truncated = True
                    break
        table = pa.Table.from_batches(kept, reader.schema)
        if truncated and heaviest is not None and size > heaviest:
            table = table.slice(0, rows * heaviest // size)
        return _usual(table if most is None else table.slice(0, most)), truncated

    def _check(self) -> None:
        if self._why:
            raise QueryStopped(self._why)

    def _said(self, error: duckdb.Error) -> Exception:
        """What DuckDB's error means here."""
        if self._why:
            return QueryStopped(self._why)
        text = str(error)
        if isinstance(error, duckdb.IOException) or (".parquet" in text and isinstance(error, duckdb.InvalidInputException)):
            return IntegrityError(f"the lake cannot be read ({text}); `tapeline verify` tells more")
        if isinstance(error, duckdb.OutOfMemoryException):
            most = self.limits.memory_mb
            has = "there is" if most is None else f"its {most} MB"
            return QueryTooBig(f"the query needs more memory than {has}: ask for less at a time")
        return QueryError(text)


def _usual(table: pa.Table) -> pa.Table:
    """Each column's name once, and whole numbers as such: a sum of integers is DuckDB's HUGEINT, for which Arrow has a decimal."""
    names: list[str] = []
    for name in table.column_names:
        doubles = (f"{name}_{k}" for k in count(2))
        names.append(name if name not in names else next(other for other in doubles if other not in names))
    table = table.rename_columns(names)
    for at, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type) and field.type.scale == 0 and field.type.precision == _HUGE:
            with suppress(pa.ArrowInvalid):  # it does not fit
                table = table.set_column(at, field.name, table.column(at).cast(pa.int64()))
    return table


__all__ = ["Answer", "Limits", "QueryError", "QueryStopped", "QueryTooBig", "Question"]
