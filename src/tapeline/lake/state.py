"""The lake's state, `<data>/lake/_state.sqlite`: how far each session is kept, and which files are about to appear.

A commit is one transaction here: the position and the files that hold the events. The files themselves lie in `_pending/` by then,
fsynced, and are moved to their places afterwards; a crash in between is finished at the next start (`Intent`s that are left).
synchronous=FULL, since a position must not be forgotten once its files are visible.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from tapeline.errors import ConfigError

VERSION = 1

_TABLES = """
CREATE TABLE IF NOT EXISTS positions (
    session TEXT PRIMARY KEY, seq INTEGER NOT NULL, events INTEGER NOT NULL, finished INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS intents (pending TEXT PRIMARY KEY, final TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""


class Intent(msgspec.Struct, frozen=True):
    """A committed file that may still have to be moved: its name in `_pending/`, its place relative to the lake's root."""

    pending: str
    final: str


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

    def intend(self, session: str, seq: int, events: int, intents: Sequence[Intent]) -> None:
        """The commit: from here on the events are in the lake, whatever happens."""
        with closing(self._db.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                cursor.executemany("INSERT INTO intents VALUES (?, ?)", [(i.pending, i.final) for i in intents])
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
