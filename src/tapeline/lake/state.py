"""The lake's state, `<data>/lake/_state.sqlite`: how far each session is kept, which files there are, and which are about to appear.

A commit is one transaction here: the position, the files that hold the events, and their names in `_pending/`, where they lie by
then, fsynced. They are moved to their places afterwards; a crash in between is finished at the next start (`Intent`s that are
left). synchronous=FULL, since a position must not be forgotten once its files are visible.

`files` is the list a reader goes by (`lake/catalogue.py`): one read of it is a consistent view of the lake, whatever compaction and
retention do to the folders meanwhile.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from tapeline.errors import ConfigError

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


_MARKS = ", ".join("?" * len(LakeFile.__struct_fields__))


class LakeState:
    """Raises sqlite3.Error from every method; the sink says what that means."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=5.0, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, VERSION):
            self._db.close()
            text = f"is of version {version}, this program writes {VERSION}: move the lake away, it is made anew from the tape"
            raise ConfigError("data", str(path), text)
        self._db.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")

    def position(self, session: str) -> tuple[int, int]:
        """(last committed frame, events so far); (-1, 0) where there is nothing."""
        row = self._db.execute("SELECT seq, events FROM positions WHERE session = ?", (session,)).fetchone()
        return (-1, 0) if row is None else (int(row[0]), int(row[1]))

    def intend(self, session: str, seq: int, events: int, intents: Sequence[Intent], files: Sequence[LakeFile]) -> None:
        """The commit: from here on the events are in the lake, whatever happens."""
        with closing(self._db.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                cursor.executemany("INSERT INTO intents VALUES (?, ?)", [(i.pending, i.final) for i in intents])
                cursor.executemany(f"INSERT INTO files VALUES ({_MARKS})", [msgspec.structs.astuple(f) for f in files])  # noqa: S608
                cursor.execute(
                    "INSERT INTO positions (session, seq, events) VALUES (?, ?, ?) "
                    "ON CONFLICT (session) DO UPDATE SET seq = excluded.seq, events = events + excluded.events",
                    (session, seq, events),
                )
                cursor.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    cursor.execute("ROLLBACK")

    def intents(self) -> list[Intent]:
        return [Intent(*row) for row in self._db.execute("SELECT pending, final FROM intents ORDER BY pending")]

    def moved(self) -> None:
        """Every intent is carried out."""
        self._db.execute("DELETE FROM intents")

    def finished(self) -> Iterable[str]:
        return [row[0] for row in self._db.execute("SELECT session FROM positions WHERE finished")]

    def finish(self, session: str) -> None:
        self._db.execute(
            "INSERT INTO positions VALUES (?, -1, 0, 1) ON CONFLICT (session) DO UPDATE SET finished = 1", (session,)
        )

    def close(self) -> None:
        self._db.close()
