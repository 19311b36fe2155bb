"""A small SQLite file that keeps where something stands: made durable at each commit, and of one version.

On floor 1, beside the tape, because it opens a file; the sinks and the lake keep their positions in such files.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tapeline.errors import ConfigError


def connect(path: Path, version: int, key: str, what: str, then: str = "it is made anew from the tape") -> sqlite3.Connection:
    """WAL, synchronous=FULL, transactions by hand, usable from several threads in turns. The caller makes the tables and sets
    `user_version`. Raises sqlite3.Error, and ConfigError naming the setting `key` where the file is of another version than ours:
    then `what` it belongs to is to be moved away, and `then` says what becomes of it.
    """
    db = sqlite3.connect(path, timeout=5.0, check_same_thread=False, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        found = db.execute("PRAGMA user_version").fetchone()[0]
    except BaseException:
        db.close()
        raise
    if found not in (0, version):
        db.close()
        text = f"is of version {found}, this program writes {version}: move {what} away, {then}"
        raise ConfigError(key, str(path), text)
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[sqlite3.Cursor]:
    """BEGIN IMMEDIATE … COMMIT, or ROLLBACK whatever went wrong."""
    with closing(db.cursor()) as cursor:
        cursor.execute("BEGIN IMMEDIATE")
        try:
            yield cursor
            cursor.execute("COMMIT")
        finally:
            if db.in_transaction:
                cursor.execute("ROLLBACK")
