"""DuckDB, opened for one purpose and shut to all others.

Three kinds of database:

    `planning()`   one for the process, with an empty table for each view: to look at a question before anything is opened
    `opened(…)`    one a question, with the views drawn over the files that it needs
    `roomy()`      for SQL of our own over more than fits into memory (exports, audits)

What shuts the first two off from the rest of the machine is DuckDB's own: no external access but to listed files
(`allowed_paths`), no extension is installed or loaded, Python's variables are no tables, nothing is spilled to disk, and the
configuration is locked before a question is seen. That a question is one statement that reads (`checked`) stands in front of that,
not instead.
"""

import re
import shutil
import tempfile
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec
import pyarrow as pa

from tapeline.errors import UsageError
from tapeline.lake import views

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

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
_LISTS = re.compile(r"\b(?:show|describe|information_schema|sqlite_master|duckdb_\w+|pg_\w+)\b", re.IGNORECASE)
_LINE = re.compile(r"^LINE (\d+): ", re.MULTILINE)
_PLANNING_MB = 256
_TOLD: dict[str, type[duckdb.Error]] = {
    "INTERRUPT Error": duckdb.InterruptException,
    "Out of Memory Error": duckdb.OutOfMemoryException,
    "maximum total string size": duckdb.OutOfMemoryException,
    "malloc of size": duckdb.OutOfMemoryException,
    "IO Error": duckdb.IOException,
}
_ROOMY_MB = 768


class QueryError(UsageError):
    """DuckDB refuses the question; the text is DuckDB's, with the place of the mistake."""


def checked(sql: str) -> tuple[str, bool]:
    """The one statement in `sql`, and whether it is an EXPLAIN. Raises QueryError on anything that does more than read."""
    try:
        with planning().cursor() as parser:
            statements = parser.extract_statements(sql)
            if len(statements) != 1:
                raise QueryError(f"one query at a time, not {len(statements)}" if statements else "there is no query")
            kind, text = statements[0].type.name, statements[0].query
            explains = kind == "EXPLAIN"
            if explains:
                inner = parser.extract_statements(_EXPLAIN.sub("", text, count=1))
                kind = "SELECT" if [s.type.name for s in inner] == ["SELECT"] else "EXPLAIN of something else"
    except duckdb.Error as e:
        raise QueryError(str(e)) from None
    if kind != "SELECT":
        reading = "SELECT, FROM, WITH, DESCRIBE, SUMMARIZE, SHOW and EXPLAIN"
        raise QueryError(f"{kind} is not for here: the lake is read with {reading}")
    return text, explains


@cache
def planning() -> "DuckDBPyConnection":
    """To be used through `.cursor()`: threads share it."""
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


def plan(cursor: "DuckDBPyConnection", sql: str, params: Mapping[str, Any] | None) -> str:
    """DuckDB's plan of a question over the empty tables, in JSON. Raises QueryError with the place in the question."""
    try:
        return str(cursor.execute(f"EXPLAIN (FORMAT JSON)\n{sql}", params).fetchall()[0][1])
    except (duckdb.InterruptException, duckdb.OutOfMemoryException):
        raise
    except duckdb.Error as e:
        raise QueryError(_LINE.sub(_line_before, str(e))) from None


def _line_before(found: re.Match[str]) -> str:
    """The mistake's line in the question, which is asked one line below; as wide, so that the caret stays under its place."""
    return f"LINE {int(found[1]) - 1}: ".ljust(len(found[0]))


def tree(cursor: "DuckDBPyConnection", condition: str) -> Any:
    """DuckDB's syntax tree of a condition, None where it cannot be read."""
    row = cursor.execute("SELECT json_serialize_sql('SELECT 1 FROM t WHERE ' || $c)", {"c": condition}).fetchone()
    said: Any = msgspec.json.decode(row[0]) if row else {"error": True}
    return None if said["error"] else said["statements"][0]["node"]["where_clause"]


def opened(memory_mb: int | None, threads: int | None) -> "DuckDBPyConnection":
    own: dict[str, str | int | float | list[str]] = {}
    if memory_mb is not None:
        own["memory_limit"] = f"{memory_mb}MB"
    if threads is not None:
        own["threads"] = threads
    return duckdb.connect(":memory:", config={**_CLOSED, **own})


@contextmanager
def roomy() -> Iterator["DuckDBPyConnection"]:
    """Bounded in memory; what is more lies on disk, in a folder that goes away with it."""
    room = tempfile.mkdtemp(prefix="tapeline-")
    try:
        with closing(duckdb.connect(":memory:")) as connection:
            connection.execute(f"SET memory_limit = '{_ROOMY_MB}MB'")
            connection.execute(f"SET temp_directory = {views.quoted(room)}")
            connection.execute("SET threads = 2")
            connection.execute("SET preserve_insertion_order = false")
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET python_enable_replacements = false")
            yield connection
    finally:
        shutil.rmtree(room, ignore_errors=True)


def batches(reader: pa.RecordBatchReader) -> Generator[pa.RecordBatch, None, None]:
    """Those of an answer. What goes wrong in the middle of one, Arrow passes on as an OSError with DuckDB's words in it: it is
    raised as the duckdb.Error that it was.
    """
    with closing(reader):
        try:
            yield from reader
        except (OSError, pa.ArrowException) as e:
            text = str(e)
            kind = next((kind for words, kind in _TOLD.items() if words in text), duckdb.InvalidInputException)
            raise kind(text) from e


def drawn_for(sql: str, needed: Iterable[str]) -> list[str]:
    """The views that have to be there: those that it needs, all where it asks what there is."""
    return list(views.VIEWS) if _LISTS.search(sql) else list(needed)


def draw(
    connection: "DuckDBPyConnection", names: Iterable[str], files: Mapping[str, list[str]], tails: Mapping[str, pa.Table]
) -> None:
    """These views, over these files and tails, and the doors shut."""
    _prepare(connection, [path for paths in files.values() for path in paths])
    for view in names:
        _draw(connection, view, files.get(view, []), tails.get(view))
    connection.execute("SET lock_configuration = true")


def _draw(connection: "DuckDBPyConnection", view: str, paths: list[str], tail: pa.Table | None) -> None:
    if not paths and tail is None:
        tail = views.empty(view)
    if tail is not None:
        connection.register(f"_{view}", tail)
    drawn = views.select(view, views.source(view, paths, None if tail is None else f"_{view}"))
    connection.execute(f"CREATE VIEW {view} AS {drawn}")
    if view == "bar_revisions":
        connection.execute(views.bars())


def _prepare(connection: "DuckDBPyConnection", paths: list[str]) -> None:
    """The macros, and no way out but to `paths`."""
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = true")
    connection.execute("SET enable_progress_bar_print = false")
    for macro in views.MACROS:
        connection.execute(macro)
    connection.execute(f"SET allowed_paths = [{', '.join(map(views.quoted, paths))}]")
    connection.execute("SET enable_external_access = false")
