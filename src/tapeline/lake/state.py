"""The lake's state, `<data>/lake/_state.sqlite`: how far each session is kept, which files there are, and which are about to appear
or to go.

A commit is one transaction here: the position, the files that hold the events, and their names in `_pending/`, where they lie by
then, fsynced. They are moved to their places afterwards; a crash in between is finished at the next start (`Intent`s that are
left). A swap is the same with files that go: they leave the list in the transaction that brings the new ones, and are remembered
in `removed` until they are unlinked; `retired` names the days that retention took out, so that nobody misses them.
synchronous=FULL, since a position must not be forgotten once its files are visible.

`files` is the list a reader goes by (`lake/catalogue.py`): one read of it is a consistent view of the lake, whatever compaction and
retention do to the folders meanwhile. `lake/store.py` does the moving and unlinking.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

import msgspec

from tapeline.errors import IntegrityError
from tapeline.statefile import connect

VERSION = 2

_TABLES = """
CREATE TABLE IF NOT EXISTS positions (
    session TEXT PRIMARY KEY, seq INTEGER NOT NULL, events INTEGER NOT NULL, finished INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, kind TEXT NOT NULL, venue TEXT NOT NULL, symbol TEXT NOT NULL, date TEXT NOT NULL,
    first_ts INTEGER NOT NULL, last_ts INTEGER NOT NULL, rows INTEGER NOT NULL, bytes INTEGER NOT NULL, compacted INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_by_place ON files (kind, venue, symbol, date);
CREATE TABLE IF NOT EXISTS intents (pending TEXT PRIMARY KEY, final TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS removed (path TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS retired (date TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
"""


class LakeFile(msgspec.Struct, frozen=True):
    """One Parquet file: its place relative to the lake's root, and what is in it. `first_ts`, `last_ts`: least and greatest of
    the rows' `layout.time_field` (ns). `compacted`: made of several, sorted, in large row groups.
    """

    path: str
    kind: str
    venue: str
    symbol: str
    date: str
    first_ts: int
    last_ts: int
    rows: int
    bytes: int
    compacted: bool = False


class Intent(msgspec.Struct, frozen=True):
    """A committed file that may still have to be moved: its name in `_pending/`, its place relative to the lake's root."""

    pending: str
    final: str


Added = tuple[Intent, LakeFile]
_COLUMNS = ", ".join(LakeFile.__struct_fields__)
_MARKS = ", ".join("?" * len(LakeFile.__struct_fields__))


class Outdated(IntegrityError):
    """A swap would replace a file that is no longer in the lake: plan anew."""


class LakeState:
    """Raises sqlite3.Error from every method; the store says what that means. Usable from several threads: each call holds
    `lock`, which a caller may hold over several.
    """

    def __init__(self, path: Path) -> None:
        self.lock = RLock()
        self._db = connect(path, VERSION, "data", "the lake")
        with self._transaction() as db:
            create(db)
            db.execute(f"PRAGMA user_version = {VERSION}")

    def position(self, session: str) -> tuple[int, int]:
        """(last committed frame, events so far); (-1, 0) where there is nothing."""
        rows = self._read("SELECT seq, events FROM positions WHERE session = ?", session)
        return (int(rows[0][0]), int(rows[0][1])) if rows else (-1, 0)

    def intend(self, session: str, seq: int, events: int, intents: Sequence[Intent], files: Sequence[LakeFile]) -> None:
        """The commit: from here on the events are in the lake, whatever happens."""
        with self._transaction() as db:
            _intend(db, intents)
            record(db, files)
            db.execute(
                "INSERT INTO positions (session, seq, events) VALUES (?, ?, ?) "
                "ON CONFLICT (session) DO UPDATE SET seq = excluded.seq, events = events + excluded.events",
                (session, seq, events),
            )

    def swap(
        self, remove: Sequence[LakeFile], intents: Sequence[Intent], files: Sequence[LakeFile], retired: str | None = None
    ) -> None:
        """From here on the lake has `files` in the place of `remove`. Raises Outdated, with nothing changed, where one of those is
        not in the lake. `retired`: a day (YYYY-MM-DD) whose rows are no longer kept.
        """
        with self._transaction() as db:
            for file in remove:
                if db.execute("DELETE FROM files WHERE path = ?", (file.path,)).rowcount != 1:
                    raise Outdated(f"{file.path} is no longer in the lake")
            db.executemany("INSERT INTO removed VALUES (?)", [(f.path,) for f in remove])
            if retired is not None:
                db.execute("INSERT OR IGNORE INTO retired VALUES (?)", (retired,))
            _intend(db, intents)
            record(db, files)

    def files(self) -> list[LakeFile]:
        rows = self._read(f"SELECT {_COLUMNS} FROM files")  # noqa: S608 - our own names
        return [file_of(*row) for row in rows]

    def intents(self) -> list[Intent]:
        return [Intent(*row) for row in self._read("SELECT pending, final FROM intents ORDER BY pending")]

    def moved(self) -> None:
        """Every intent is carried out."""
        with self._transaction() as db:
            db.execute("DELETE FROM intents")

    def removed(self) -> list[str]:
        """Places of files that are no longer in the lake and may still lie there."""
        return [row[0] for row in self._read("SELECT path FROM removed ORDER BY path")]

    def unlinked(self, paths: Iterable[str]) -> None:
        with self._transaction() as db:
            db.executemany("DELETE FROM removed WHERE path = ?", [(path,) for path in paths])

    def finished(self) -> Iterable[str]:
        return [row[0] for row in self._read("SELECT session FROM positions WHERE finished")]

    def finish(self, session: str) -> None:
        with self._transaction() as db:
            db.execute(
                "INSERT INTO positions VALUES (?, -1, 0, 1) ON CONFLICT (session) DO UPDATE SET finished = 1", (session,)
            )

    def close(self) -> None:
        with self.lock:
            self._db.close()

    def _read(self, query: str, *values: object) -> list[Any]:
        with self.lock:
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self.lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")


def file_of(path: str, kind: str, venue: str, symbol: str, date: str, *numbers: int) -> LakeFile:
    """A row of `files`."""
    first, last, rows, size, compacted = numbers
    return LakeFile(path, kind, venue, symbol, date, first, last, rows, size, bool(compacted))


def _intend(db: sqlite3.Connection, intents: Sequence[Intent]) -> None:
    db.executemany("INSERT INTO intents VALUES (?, ?)", [(i.pending, i.final) for i in intents])


def create(db: sqlite3.Connection) -> None:
    """The tables that are missing, within the caller's transaction."""
    for statement in _TABLES.split(";"):
        db.execute(statement)


def record(db: sqlite3.Connection, files: Sequence[LakeFile]) -> None:
    """Into the list, within the caller's transaction."""
    db.executemany(f"INSERT INTO files VALUES ({_MARKS})", [msgspec.structs.astuple(f) for f in files])  # noqa: S608
