"""What the appending sinks know of their files, `_state.sqlite` beside them: positions, and how long each file is by right.

A file is `busy` from before its first byte of a run is written until the sink is closed in order. So after a crash only the busy
ones have to be looked at, however many years of files there are. synchronous=FULL: a length that is forgotten would cut off rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from tapeline.statefile import connect, transaction

VERSION = 1

_TABLES = """
CREATE TABLE IF NOT EXISTS positions (
    session TEXT PRIMARY KEY, seq INTEGER NOT NULL, finished INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, columns TEXT NOT NULL, length INTEGER NOT NULL, busy INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS busy_files ON files (path) WHERE busy;
"""


class Known(msgspec.Struct, frozen=True):
    """One file: its path below the sink's folder, the header it began with, and its committed length in bytes."""

    path: str
    columns: str
    length: int
    busy: bool


class FilesState:
    """Raises sqlite3.Error from every method; the sink says what that means."""

    def __init__(self, path: Path) -> None:
        self._db = connect(path, VERSION, "files", "the folder")
        self._db.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")

    def position(self, session: str) -> int:
        row = self._db.execute("SELECT seq FROM positions WHERE session = ?", (session,)).fetchone()
        return -1 if row is None else int(row[0])

    def file(self, path: str) -> Known | None:
        row = self._db.execute("SELECT * FROM files WHERE path = ?", (path,)).fetchone()
        return None if row is None else _known(row)

    def busy(self) -> list[Known]:
        return [_known(row) for row in self._db.execute("SELECT * FROM files WHERE busy")]

    def begin(self, files: Sequence[Known]) -> None:
        """From here on these may be longer than they are by right, until they are committed."""
        with transaction(self._db) as cursor:
            cursor.executemany(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, 1)", [(f.path, f.columns, f.length) for f in files]
            )

    def commit(self, session: str, seq: int, lengths: Mapping[str, int]) -> None:
        """From here on the rows are in the files, whatever happens."""
        with transaction(self._db) as cursor:
            cursor.executemany("UPDATE files SET length = ? WHERE path = ?", [(n, path) for path, n in lengths.items()])
            cursor.execute(
                "INSERT INTO positions (session, seq) VALUES (?, ?) ON CONFLICT (session) DO UPDATE SET seq = excluded.seq",
                (session, seq),
            )

    def forget(self, path: str) -> None:
        self._db.execute("DELETE FROM files WHERE path = ?", (path,))

    def settle(self) -> None:
        """Every file is as long as it is by right."""
        self._db.execute("UPDATE files SET busy = 0 WHERE busy")

    def finished(self) -> Iterable[str]:
        return [row[0] for row in self._db.execute("SELECT session FROM positions WHERE finished")]

    def finish(self, session: str) -> None:
        self._db.execute("INSERT INTO positions VALUES (?, -1, 1) ON CONFLICT (session) DO UPDATE SET finished = 1", (session,))

    def close(self) -> None:
        self._db.close()


def _known(row: tuple[str, str, int, int]) -> Known:
    return Known(row[0], row[1], row[2], bool(row[3]))
