"""The Parquet lake (`lake/layout.py` says where things lie). Keeps every event.

A commit, so that a glob over `*.parquet` never shows an uncommitted or a doubled event:

    1. write each file as `_pending/….tmp`, fsync it; fsync `_pending`     a crash here: swept away at the next start
    2. one transaction in `_state.sqlite`: the position and the files      from here on the events are kept
    3. move each file to its place, fsync the folders it came to           a crash here: moved at the next start
    4. forget the list of files

A failure in 1 or 2 leaves the earlier state. A failure in 3 cannot take the commit back: the files wait in `_pending`, and
are moved before anything else is committed; until that succeeds, `commit` raises.

Not done here: putting the many small files of a live session together (compaction), retention, queries.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tapeline.errors import ConfigError, IntegrityError
from tapeline.events import Event
from tapeline.lake import tables
from tapeline.lake.layout import PENDING_DIR, STATE_FILE, file_name, root
from tapeline.lake.state import Intent, LakeFile, LakeState
from tapeline.sinks.hold import Hold
from tapeline.sinks.storable import storable


class LakeSink:
    name = "lake"

    def __init__(self, data: Path) -> None:
        self.root = root(data)
        self.pending = self.root / PENDING_DIR
        self._state: LakeState | None = None
        self._hold: Hold | None = None
        self._unmoved = False

    def open(self) -> None:
        self._hold = Hold(self.root / "_lock")
        try:
            self._make(self.pending)
            self._state = LakeState(self.root / STATE_FILE)
            self._move()
            for left in self.pending.glob("*.tmp"):
                left.unlink()
        except (OSError, sqlite3.Error) as e:
            self.close()
            raise ConfigError("data", str(self.root), f"cannot be used as a lake ({e}); make it writable") from e
        except (ConfigError, IntegrityError):
            self.close()
            raise

    @property
    def _open_state(self) -> LakeState:
        if self._state is None:
            raise IntegrityError("the lake sink is not open: call open() first")
        return self._state

    def position(self, session: str) -> int:
        return self._open_state.position(session)[0]

    def commit(self, session: str, seq: int, events: Sequence[Event]) -> None:
        stands, count = self._open_state.position(session)
        if seq <= stands:
            raise IntegrityError(f"lake: frame {seq} of session {session} is not past the committed {stands}")
        if self._unmoved:
            self._move()
        name = file_name(session, stands + 1, seq)
        staged: list[tuple[Intent, LakeFile]] = []
        try:
            try:
                self._stage(session, name, events, count, staged)
            except (OverflowError, ValueError):
                self._stage(session, name, [storable(e) for e in events], count, staged)
            with self._sqlite_as_oserror():
                self._open_state.intend(session, seq, len(events), [i for i, _ in staged], [f for _, f in staged])
        except BaseException:
            for intent, _ in staged:
                with suppress(OSError):
                    (self.pending / intent.pending).unlink(missing_ok=True)
            raise
        self._unmoved = True
        with suppress(OSError, IntegrityError):  # the next commit tries again, and raises
            self._move()

    def _stage(
        self, session: str, name: str, events: Sequence[Event], count: int, staged: list[tuple[Intent, LakeFile]]
    ) -> None:
        for part in tables.parts(session, events, count):
            intent = Intent(f"{name}-{len(staged)}.tmp", f"{part.partition.path}/{name}")
            path = self.pending / intent.pending
            staged.append((intent, tables.described(part, intent.final, 0)))  # before the file is there, so that it is removed
            try:
                tables.write(part.table, path)
                _sync_file(path)
                staged[-1] = (intent, tables.described(part, intent.final, path.stat().st_size))
            except OSError as e:
                raise OSError(e.errno, f"{e.strerror or e}: the lake cannot write {path}") from e
        if staged:
            _sync_folder(self.pending)

    def _move(self) -> None:
        """Step 3 and 4 for everything that is committed and not yet in its place. May be repeated."""
        touched: set[Path] = set()
        with self._sqlite_as_oserror():
            intents = self._open_state.intents()
        for intent in intents:
            source, target = self.pending / intent.pending, self.root / intent.final
            if source.exists():
                self._make(target.parent)
                source.replace(target)
                touched.add(target.parent)
            elif not target.exists():
                raise IntegrityError(f"lake: {target} is committed but is not there; run `tapeline tape verify`")
        for folder in touched:
            _sync_folder(folder)
        if intents:
            with self._sqlite_as_oserror():
                self._open_state.moved()
        self._unmoved = False

    def _make(self, folder: Path) -> None:
        """The folder and its parents, each made durable in the one above."""
        missing = []
        while not folder.exists():
            missing.append(folder)
            folder = folder.parent
        for new in reversed(missing):
            new.mkdir(exist_ok=True)
            _sync_folder(new.parent)

    @contextmanager
    def _sqlite_as_oserror(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as e:
            raise OSError(f"{self.root / STATE_FILE}: {e}") from e

    def finished(self) -> Iterable[str]:
        return self._open_state.finished()

    def finish(self, session: str) -> None:
        with self._sqlite_as_oserror():
            self._open_state.finish(session)

    def close(self) -> None:
        if self._state is not None:
            self._state.close()
            self._state = None
        if self._hold is not None:
            self._hold.release()
            self._hold = None


def _sync_file(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    """Windows has no such thing, and needs none: its file system keeps renames in order."""
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
