"""Old rows out of SQLite, a few thousand at a time, so that a commit never waits long for its turn.

A row goes once both its own time (of a bar, its label) and the time we received it lie before the limit: a time that cannot be true
does not take a fresh row with it. Rows are found through the index, instrument by instrument. Positions stay: no repair brings old
rows back, and the table `pruned` says up to when nobody is to miss them.

The file does not become smaller: freed pages are used again by the rows that come, so that it stays as large as the longest time
kept. Vacuuming it would copy it whole and keep everybody waiting.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from tapeline.events import Bar, Event
from tapeline.sinks.sqlite_schema import BAR_KEY, TABLES

BATCH_ROWS = 2_000
BUSY_SECONDS = 5.0
_LEAST = -(1 << 63)


def prune(path: Path, before: int, pause: Callable[[], None]) -> int:
    """Remove rows of before that time (ns); how many. `pause` is called after each transaction, and may raise. Blocks; beside the
    sink that writes there, on a connection of its own. Raises sqlite3.Error.
    """
    removed = 0
    with closing(sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS)) as db:
        db.execute("PRAGMA synchronous = NORMAL")
        _note(db, before)
        for event_type in TABLES:
            for key in _keys(db, event_type):
                for count in _delete(db, event_type, key, before):
                    removed += count
                    pause()
    return removed


def pruned(db: sqlite3.Connection) -> int:
    """The time (ns) before which rows have been removed, where both their times lie before it; 0 where none have. Raises
    sqlite3.Error.
    """
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'pruned'").fetchone() is None:
        return 0
    return int(db.execute("SELECT coalesce(max(before), 0) FROM pruned").fetchone()[0])


def _note(db: sqlite3.Connection, before: int) -> None:
    if before > (stands := pruned(db)):
        db.execute("INSERT INTO pruned VALUES (?)" if not stands else "UPDATE pruned SET before = ?", (before,))


def _index(event_type: type[Event]) -> tuple[str, tuple[str, ...], str]:
    """Table, the columns that its index begins with, and the time that follows them."""
    *first, last = BAR_KEY if event_type is Bar else ("instrument", "ts_event")
    return TABLES[event_type], tuple(f'"{name}"' for name in first), last


def _keys(db: sqlite3.Connection, event_type: type[Event]) -> Iterator[tuple[Any, ...]]:
    """What there is in the first columns of the index, from one to the next through the index."""
    table, columns, _ = _index(event_type)
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    least = f"SELECT {names} FROM {table}"  # noqa: S608 - our own names
    row = db.execute(f"{least} ORDER BY {names} LIMIT 1").fetchone()
    while row is not None:
        yield row
        row = db.execute(f"{least} WHERE ({names}) > ({marks}) ORDER BY {names} LIMIT 1", row).fetchone()


def _delete(db: sqlite3.Connection, event_type: type[Event], key: tuple[Any, ...], before: int) -> Iterator[int]:
    """The number of rows that went, a stretch of time after the other, each in a transaction of its own."""
    table, columns, when = _index(event_type)
    of_key = " AND ".join(f"{name} = ?" for name in columns)
    stretch = f"SELECT {when} FROM {table} WHERE {of_key} AND {when} >= ? AND {when} < ? ORDER BY {when} LIMIT 1 OFFSET ?"  # noqa: S608
    delete = f"DELETE FROM {table} WHERE {of_key} AND {when} >= ? AND {when} <= ? AND ts_recv < ?"  # noqa: S608
    start, last = _LEAST, before - 1
    while start <= last:
        row = db.execute(stretch, (*key, start, before, BATCH_ROWS - 1)).fetchone()
        end = last if row is None else int(row[0])
        yield db.execute(delete, (*key, start, end, before)).rowcount
        start = end + 1
