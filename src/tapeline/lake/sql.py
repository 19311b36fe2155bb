"""One question in SQL, answered by DuckDB over just the files that it needs, in a database of its own.

    checked     one statement, and it reads: SELECT (WITH, FROM, VALUES, DESCRIBE, SUMMARIZE, SHOW) or EXPLAIN of one
    planned     over empty tables, so that the catalogue can say which files are needed (`lake/pruning.py`)
    answered    in a new database in memory: the views, over those files and what is still in memory elsewhere (`lake/tail.py`)

What shuts it off from the rest of the machine is DuckDB's own: no external access but to the listed files (`allowed_paths`), no
extension is installed or loaded, Python's variables are no tables, nothing is spilled to disk, and the configuration is locked
before the question is seen. The check of the statement stands in front of that, not instead.

Nothing here is shared between two questions but the empty tables. `stop()` may be called from any thread.
"""

import re
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec
import pyarrow as pa

from tapeline.errors import IntegrityError, TapelineError, UsageError
from tapeline.lake import pruning, tail, views
from tapeline.lake.catalogue import Catalogue, fresh

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BATCH_ROWS = 50_000
STOP_EVERY = 0.02
READING = frozenset({"SELECT", "EXPLAIN"})
_CLOSED: dict[str, str | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "allow_unsigned_extensions": False,
    "python_enable_replacements": False,
    "temp_directory": "",
}
_UNSURE = "statistics_propagation,empty_result_pullup"  # they would conclude from tables that are empty
_EXPLAIN = re.compile(r"\s*EXPLAIN\b\s*(?:ANALYZE\b)?\s*(?:\([^)]*\))?", re.IGNORECASE)
_PLANNING_MB = 256
_HUGE = 38


_PLAN = "EXPLAIN (FORMAT JSON)"
_LINE = re.compile(r"^LINE (\d+): ", re.MULTILINE)


class QueryError(UsageError):
    """DuckDB refuses the question; the text is DuckDB's, with the place of the mistake."""


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
        self.sql, self.explains = checked(sql)
        self._params = dict(params or {}) or None
        self._open: DuckDBPyConnection | None = None
        self._why = ""
        self._over = threading.Event()

    def stop(self, why: str = "the query was stopped") -> None:
        """From another thread. It ends within moments, with QueryStopped."""
        self._why = self._why or why
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
        with planning().cursor() as self._open:
            wanted = self._wanted(self._open)
        last = tail.ask(data, {views.tag(view) for view in wanted}) if wanted and not self.explains else tail.Tail()

        def answer(catalogue: Catalogue) -> Answer:
            self._check()
            rows, whole = tail.joined(last or tail.Tail(), catalogue)
            chosen = {view: pruning.files(catalogue, view, scans) for view, scans in wanted.items()}
            paths = {view: [catalogue.path(f) for f in files] for view, files in chosen.items()}
            with _database(self.limits) as self._open:
                _drawn(self._open, paths, {view: rows[views.tag(view)] for view in wanted if views.tag(view) in rows})
                try:
                    table, truncated = self._answer(self._open)
                except duckdb.IOException as e:
                    raise FileNotFoundError(str(e)) from None
            reach = None if last is not None and whole else max((f.last_ts for f in catalogue.files), default=0)
            return Answer(table, truncated, sum(map(len, paths.values())), reach)

        return fresh(data, answer)

    def _wanted(self, empty: "DuckDBPyConnection") -> dict[str, list[list[pruning.Test]]]:
        """The views that it reads, and what it filters them by. An EXPLAIN shows the plan over everything."""

        def parse(text: str) -> Any:
            return _tree(empty, text)

        mentioned = {view for view in views.VIEWS if self.explains or views.mentions(self.sql, view)}
        return pruning.wanted("[]" if self.explains else self._plan(empty), mentioned, parse)

    def _plan(self, empty: "DuckDBPyConnection") -> str:
        try:
            return str(empty.execute(f"{_PLAN}\n{self.sql}", self._params).fetchall()[0][1])
        except duckdb.InterruptException:
            raise
        except duckdb.Error as e:
            raise QueryError(_LINE.sub(_line_before, str(e))) from None

    def _answer(self, connection: "DuckDBPyConnection") -> tuple[pa.Table, bool]:
        """The rows, and whether there are more than the limits let through."""
        relation = connection.sql(self.sql, params=self._params)
        most, heaviest = self.limits.rows, self.limits.bytes
        reader = relation.to_arrow_reader(BATCH_ROWS if most is None else max(1, min(BATCH_ROWS, most + 1)))
        kept: list[pa.RecordBatch] = []
        rows = size = 0
        truncated = False
        for batch in reader:
            self._check()
            kept.append(batch)
            rows += batch.num_rows
            size += batch.nbytes
            if (most is not None and rows > most) or (heaviest is not None and size > heaviest):
                truncated = True
                break
        table = pa.Table.from_batches(kept, reader.schema)
        reader.close()
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
        if isinstance(error, duckdb.OutOfMemoryException):
            return QueryTooBig(f"the query needs more than its {self.limits.memory_mb} MB of memory: ask for less at a time")
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


def checked(sql: str) -> tuple[str, bool]:
    """The one statement in `sql`, and whether it is an EXPLAIN. Raises QueryError on anything that does more than read."""
    try:
        statements = planning().extract_statements(sql)
        if len(statements) != 1:
            raise QueryError(f"one query at a time, not {len(statements)}" if statements else "there is no query")
        kind, text = statements[0].type.name, statements[0].query
        if kind == "EXPLAIN":
            inner = planning().extract_statements(_EXPLAIN.sub("", text, count=1))
            kind = "SELECT" if [s.type.name for s in inner] == ["SELECT"] else "EXPLAIN of something else"
            explains = True
        else:
            explains = False
    except duckdb.Error as e:
        raise QueryError(str(e)) from None
    if kind != "SELECT":
        raise QueryError(
            f"{kind} is not for here: the lake is read with SELECT, FROM, WITH, DESCRIBE, SUMMARIZE, SHOW and EXPLAIN"
        )
    return text, explains


@cache
def planning() -> "DuckDBPyConnection":
    """A database with an empty table for each view: for looking at questions, never for answering one."""
    connection = duckdb.connect(":memory:", config={**_CLOSED, "threads": 1, "memory_limit": f"{_PLANNING_MB}MB"})
    connection.execute(f"SET disabled_optimizers = '{_UNSURE}'")
    _prepare(connection, [])
    for view in views.VIEWS:
        connection.register("_empty", views.empty(view))
        connection.execute(f"CREATE TABLE {view} AS {views.select(view, views.source(view, [], '_empty'))}")
        connection.unregister("_empty")
    connection.execute(views.bars())
    connection.execute("SET lock_configuration = true")
    return connection


def _line_before(found: re.Match[str]) -> str:
    """The mistake's line in the question, which is asked one line below; as wide, so that the caret stays under its place."""
    return f"LINE {int(found[1]) - 1}: ".ljust(len(found[0]))


def _tree(connection: "DuckDBPyConnection", condition: str) -> Any:
    """DuckDB's syntax tree of a condition, None where it cannot be read."""
    row = connection.execute("SELECT json_serialize_sql('SELECT 1 FROM t WHERE ' || $c)", {"c": condition}).fetchone()
    said: Any = msgspec.json.decode(row[0]) if row else {"error": True}
    return None if said["error"] else said["statements"][0]["node"]["where_clause"]


def _database(limits: Limits) -> "DuckDBPyConnection":
    own: dict[str, str | int | float | list[str]] = {}
    if limits.memory_mb is not None:
        own["memory_limit"] = f"{limits.memory_mb}MB"
    if limits.threads is not None:
        own["threads"] = limits.threads
    return duckdb.connect(":memory:", config={**_CLOSED, **own})


def _drawn(connection: "DuckDBPyConnection", paths: Mapping[str, list[str]], tails: Mapping[str, pa.Table]) -> None:
    try:
        draw(connection, paths, tails)
    except (duckdb.IOException, duckdb.PermissionException) as e:  # what is not there is taken for a folder, and refused
        raise FileNotFoundError(str(e)) from None


def draw(connection: "DuckDBPyConnection", files: Mapping[str, list[str]], tails: Mapping[str, pa.Table]) -> None:
    """The views, over these files and tails, and the doors shut."""
    _prepare(connection, [path for paths in files.values() for path in paths])
    for view in views.VIEWS:
        paths, tail = files.get(view, []), tails.get(view)
        if not paths and tail is None:
            tail = views.empty(view)
        if tail is not None:
            connection.register(f"_{view}", tail)
        drawn = views.select(view, views.source(view, paths, None if tail is None else f"_{view}"))
        connection.execute(f"CREATE VIEW {view} AS {drawn}")
    connection.execute(views.bars())
    connection.execute("SET lock_configuration = true")


def _prepare(connection: "DuckDBPyConnection", paths: list[str]) -> None:
    """The macros, and no way out but to `paths`."""
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = true")
    connection.execute("SET enable_progress_bar_print = false")
    for macro in views.MACROS:
        connection.execute(macro)
    connection.execute(f"SET allowed_paths = [{', '.join(map(views.quoted, paths))}]")
    connection.execute("SET enable_external_access = false")
