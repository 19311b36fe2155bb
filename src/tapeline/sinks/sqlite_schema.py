"""The tables of `tapeline.sqlite`, drawn from the events' one definition.

A table a kind of event, its columns the event's fields in order; times are integer nanoseconds UTC, prices and sizes REAL,
flags the bit set. Beside each table stands a view `…_iso` with the same columns and, in front, readable times
(`event_time`, `recv_time`, …) and `flag_names`; filter it by the integer columns, which are indexed.

`bars` also holds the `session` that made the row, see `UPSERT_BAR`. `positions`, `standing` and `pruned` (before which time
retention has removed rows) are the sink's own state.
"""

from typing import Any, Literal, get_origin

from tapeline.events import Bar, BookUpdate, Event, Flag, bare_type, fields
from tapeline.sinks import naming

VERSION = 1

TABLES = {event_type: name for event_type, name in naming.TABLES.items() if event_type is not BookUpdate}
BAR_KEY = ("instrument", "interval", "origin", "ts_open")

_POSITIONS = """
CREATE TABLE IF NOT EXISTS positions (
    session TEXT PRIMARY KEY, seq INTEGER NOT NULL, finished INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID"""
_STANDING = """
CREATE TABLE IF NOT EXISTS standing (
    session TEXT NOT NULL, kind TEXT NOT NULL, instrument TEXT NOT NULL, row TEXT NOT NULL, PRIMARY KEY (session, kind, instrument)
) STRICT, WITHOUT ROWID"""
_PRUNED = "CREATE TABLE IF NOT EXISTS pruned (before INTEGER NOT NULL) STRICT"
STATE = (_POSITIONS, _STANDING, _PRUNED)


def columns(event_type: type[Event]) -> dict[str, str]:
    """Column name → SQL type. REAL columns take null, which is how SQLite stores a number that is none."""
    return {name: _sql_type(hint) for name, hint in fields(event_type).items()}


def _sql_type(hint: Any) -> str:
    bare, optional = bare_type(hint)
    if bare is float:
        return "REAL"
    text = bare is str or get_origin(bare) in (Literal, dict)
    return ("TEXT" if text else "INTEGER") + ("" if optional else " NOT NULL")


def create(event_type: type[Event]) -> list[str]:
    """The statements that make an event type's table, its index and its view, where they are missing."""
    table = TABLES[event_type]
    drawn = ", ".join(f'"{name}" {kind}' for name, kind in columns(event_type).items())
    if event_type is Bar:
        key = f"session TEXT NOT NULL, PRIMARY KEY ({', '.join(BAR_KEY)})"
        made = [f"CREATE TABLE IF NOT EXISTS {table} ({drawn}, {key}) STRICT, WITHOUT ROWID"]
    else:
        made = [
            f"CREATE TABLE IF NOT EXISTS {table} ({drawn}) STRICT",
            f"CREATE INDEX IF NOT EXISTS {table}_by_time ON {table} (instrument, ts_event)",
        ]
    return [*made, _view(event_type, table)]


def widen(event_type: type[Event], there: set[str]) -> list[str]:
    """The statements that give a table of an earlier release the columns that it lacks; its view is made anew by `create`."""
    table = TABLES[event_type]
    missing = {name: kind for name, kind in columns(event_type).items() if name not in there}
    if not there or not missing:
        return []
    added = [f'ALTER TABLE {table} ADD COLUMN "{name}" {kind}' for name, kind in missing.items()]
    return [f"DROP VIEW IF EXISTS {table}_iso", *added]


def _view(event_type: type[Event], table: str) -> str:
    names = list(columns(event_type))
    times = [f"{_iso(n)} AS {n.removeprefix('ts_')}_time" for n in names if n.startswith("ts_") or n == "next_funding"]
    flags = " || ".join(f"iif(flags & {int(f)}, '{f.name} ', '')" for f in Flag)
    rest = f"rtrim({flags}) AS flag_names"
    return f"CREATE VIEW IF NOT EXISTS {table}_iso AS SELECT {', '.join(times)}, {table}.*, {rest} FROM {table}"  # noqa: S608 - our own names


def _iso(column: str) -> str:
    column = f'"{column}"'
    seconds = f"({column} / 1000000000)"
    return (
        f"CASE WHEN {column} IS NOT NULL THEN strftime('%Y-%m-%dT%H:%M:%S', {seconds}, 'unixepoch') "
        f"|| printf('.%09dZ', {column} % 1000000000) END"
    )


def insert(event_type: type[Event]) -> str:
    names = [f'"{name}"' for name in columns(event_type)] + (["session"] if event_type is Bar else [])
    marks = ", ".join("?" * len(names))
    statement = f"INSERT INTO {TABLES[event_type]} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608 - our own names
    return f"{statement} {_upsert(names)}" if event_type is Bar else statement


def _upsert(names: list[str]) -> str:
    """One row a bar: the latest revision of the session that made it.

    Two sessions can each make a part of one bar (a restart within its interval). A complete one wins over one with a hole,
    then the one with more trades, then the later session: the same row whichever session is committed first.
    """
    taken = ", ".join(f"{n} = excluded.{n}" for n in names if n.strip('"') not in BAR_KEY)
    rank = "({0}.complete, coalesce({0}.trades, -1), {0}.session)"
    return (
        f"ON CONFLICT ({', '.join(BAR_KEY)}) DO UPDATE SET {taken} WHERE iif(excluded.session = bars.session, "
        f"excluded.revision >= bars.revision, {rank.format('excluded')} > {rank.format('bars')})"
    )
