"""The lake's folders and its state together: how files come into it and go out of it, so that no crash shows.

    1. write each new file as `_pending/….tmp`, fsync it; fsync `_pending`  a crash here: swept away at the next start
    2. one transaction in `_state.sqlite`: what comes, what goes            from here on it is so
    3. move the new files to their places                                   a crash here or below: finished at the next start
    4. unlink those that go, then fsync the folders
    5. forget both lists

A failure in 1 or 2 leaves the earlier state. A failure in 3 cannot take 2 back: the files wait in `_pending` and are moved before
anything else is committed. A file that cannot be unlinked (Windows, while somebody reads it) is remembered and tried again.

Between 2 and 5 whoever globs the folders may for a blink see both the old and the new files of a swap, an event twice, and never
one too few. New before old and no fsync in between: the blink is as long as the renames and unlinks take. Whoever goes by the list
in the state (`lake/catalogue.py`) sees either the old or the new.

Two threads share a store: a sink's commits, and what swaps files (compaction, retention, snapshots). Files are written outside the
lock; it is held for steps 2 to 5. A swap that takes files away waits for readers that have asked for it (`lake/turns.py`).
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from threading import Event

from tapeline.errors import ConfigError, IntegrityError, TapelineError
from tapeline.lake.files import sync_file, sync_folder
from tapeline.lake.layout import PENDING_DIR, STATE_FILE, root
from tapeline.lake.migration import migrate
from tapeline.lake.state import Added, LakeFile, LakeState
from tapeline.lake.turns import swapping

PROBE = ".probe"


class Store:
    """The lake under `data`, to be written; whoever opens it holds the lake's lock (`sinks/lake.py`). `hurry`: while it is set,
    swaps do not wait for readers.
    """

    def __init__(self, data: Path) -> None:
        self.root = root(data)
        self.hurry = Event()
        self.pending = self.root / PENDING_DIR
        self._state: LakeState | None = None
        self._unsettled = False

    @property
    def state(self) -> LakeState:
        if self._state is None:
            raise IntegrityError("the lake is not open: call open() first")
        return self._state

    def open(self) -> None:
        """Make the folders where they are missing, bring an older lake up to date, finish or undo what a crash left.

        Raises ConfigError, IntegrityError.
        """
        try:
            self._make(self.pending)
            migrate(self.root)
            self._state = LakeState(self.root / STATE_FILE)
            self.settle()
            for left in self.pending.glob("*.tmp"):
                left.unlink()
        except (OSError, sqlite3.Error) as e:
            self.close()
            raise ConfigError("data", str(self.root), f"cannot be used as a lake ({e}); make it writable") from e
        except TapelineError:
            self.close()
            raise

    def commit(self, session: str, seq: int, events: int, add: Sequence[Added]) -> None:
        """Add files that lie durable in `_pending`, and the position, in one step. Raises OSError, also where files of an earlier
        step still cannot be moved; nothing is changed then, and the files in `_pending` are removed.
        """
        with self.state.lock:
            with self._or_discard(add):
                if self._unsettled:
                    self.settle()
                self.state.intend(session, seq, events, [i for i, _ in add], [f for _, f in add])
            self._settle_or_wait()

    def swap(self, remove: Sequence[LakeFile], add: Sequence[Added], retired: str | None = None) -> None:
        """Put the files `add` in the place of `remove` in one step; either may be empty.

        `retired`: a day (YYYY-MM-DD) whose rows are no longer kept from here on.

        Each of `add` lies in `_pending` under its intent's name, which ends in `.tmp`; it is fsynced here. Its place must be new:
        no file of the lake, also none of `remove`, has ever lain there (`layout.unique_name` gives such names).

        Raises OSError where it cannot be done, Outdated (IntegrityError) where one of `remove` is no longer in the lake; nothing is
        changed then, and the files in `_pending` are removed.
        """
        with self._or_discard(add):
            for intent, _ in add:
                sync_file(self.pending / intent.pending)
            if add:
                sync_folder(self.pending)
        with swapping(self.root, self.hurry) if remove else nullcontext(), self.state.lock:
            with self._or_discard(add):
                if self._unsettled:
                    self.settle()
                for folder in {(self.root / file.path).parent for file in (*remove, *(f for _, f in add))}:
                    self._probe(folder)
                self.state.swap(remove, [i for i, _ in add], [f for _, f in add], retired)
            self._settle_or_wait()

    def finish(self, session: str) -> None:
        with self._told():
            self.state.finish(session)

    def discard(self, names: Iterable[str]) -> None:
        """Remove files of `_pending` that nothing came of. What cannot be removed is swept away at the next start."""
        for name in names:
            with suppress(OSError):
                (self.pending / name).unlink(missing_ok=True)

    def settle(self) -> None:
        """Steps 3 to 5 for everything that is committed. May be repeated. Raises OSError, IntegrityError."""
        with self.state.lock:
            self._unsettled = True
            with self._told():
                intents, going = self.state.intents(), self.state.removed()
            touched: set[Path] = set()
            for intent in intents:
                source, target = self.pending / intent.pending, self.root / intent.final
                if source.exists():
                    self._make(target.parent)
                    source.replace(target)
                    touched.add(target.parent)
                elif not target.exists():
                    raise IntegrityError(f"lake: {target} is committed but is not there; run `tapeline tape verify`")
            gone = [path for path in going if _unlink(self.root / path)]
            touched.update((self.root / path).parent for path in gone)
            self._sync_or_prune(touched)
            with self._told():
                if intents:
                    self.state.moved()
                if gone:
                    self.state.unlinked(gone)
            self._unsettled = len(gone) < len(going)

    def close(self) -> None:
        if self._state is not None:
            self._state.close()
            self._state = None

    def _settle_or_wait(self) -> None:
        """The step is committed and cannot fail any more: what could not be moved is tried again before the next one."""
        with suppress(OSError, IntegrityError):
            self.settle()

    def _probe(self, folder: Path) -> None:
        """A folder that cannot be written is found out before a swap is committed, not after it."""
        self._make(folder)
        probe = folder / PROBE
        probe.touch()
        probe.unlink()

    def _sync_or_prune(self, folders: Iterable[Path]) -> None:
        """Make what was done in these folders durable; remove those that have become empty, and their parents likewise."""
        for folder in folders:
            left = folder
            (left / PROBE).unlink(missing_ok=True)  # of a crash
            with suppress(OSError):  # not empty: the usual case
                while left != self.root:
                    left.rmdir()
                    left = left.parent
            sync_folder(left)

    def _make(self, folder: Path) -> None:
        """The folder and its parents, each made durable in the one above."""
        missing = []
        while not folder.exists():
            missing.append(folder)
            folder = folder.parent
        for new in reversed(missing):
            new.mkdir(exist_ok=True)
            sync_folder(new.parent)

    @contextmanager
    def _or_discard(self, add: Sequence[Added]) -> Iterator[None]:
        try:
            with self._told():
                yield
        except BaseException:
            self.discard(intent.pending for intent, _ in add)
            raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as e:
            raise OSError(f"{self.root / STATE_FILE}: {e}") from e


def _unlink(path: Path) -> bool:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True
