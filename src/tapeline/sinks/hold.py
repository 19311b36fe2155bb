"""One writer at a time: a file that stays locked as long as the process lives.

SQLite's exclusive transaction is used as the lock, because it is the same on every system, is released by the kernel when the
process dies, however it dies, and also holds between two users within one process.
"""

import sqlite3
from pathlib import Path

from tapeline.errors import ConfigError


class Hold:
    def __init__(self, path: Path) -> None:
        """Raises ConfigError where another holds `path`, or where it cannot be made."""
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, timeout=0.5, check_same_thread=False)
        except (OSError, sqlite3.Error) as e:
            raise _unusable(path, e) from e
        try:
            self._db.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as e:
            self._db.close()
            if "locked" in str(e):
                raise ConfigError(
                    "data", str(path.parent), "another tapeline writes there; stop it, or set another place"
                ) from e
            raise _unusable(path, e) from e

    def release(self) -> None:
        self._db.close()


def _unusable(path: Path, error: Exception) -> ConfigError:
    return ConfigError("data", str(path.parent), f"cannot be written ({error}); set a directory that can")
