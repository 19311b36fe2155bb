"""What is in the lake right now: one consistent list of files, for readers.

Whoever globs the folders sees what lies there at that moment, and for a blink, while compaction swaps files, that can be too much
or too little. A `Catalogue` is read in one transaction from the lake's state. A file of it may be gone by the time it is opened,
since compaction and retention do not wait for readers: then take a new catalogue and begin again (`fresh`).

Reading needs no lock and no writer; a lake that nobody writes is read the same way.
"""

import sqlite3
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from tapeline.errors import IntegrityError, UsageError
from tapeline.instruments import split_id
from tapeline.lake.layout import PENDING_DIR, STATE_FILE, root
from tapeline.lake.state import VERSION, LakeFile, file_of
from tapeline.lake.turns import reading

TRIES = 8
PAUSE = 0.005
"""Seconds before the second try; each further one waits twice as long: a swap moves its files in a moment, a slow disk in some."""
T = TypeVar("T")


class Committed(msgspec.Struct, frozen=True):
    """How far a session is in the lake: its frames up to `seq`, which made the events numbered 0 to `events` - 1."""

    seq: int
    events: int
    finished: bool


class Catalogue(msgspec.Struct, frozen=True):
    """`root`: the lake's folder. `sessions`: by session id. A file holds rows of several sessions once it is compacted.

    `pending`: the files that may not have come to their places yet, and their names in `_pending` (`lake/store.py`). `retired`: the
    days (YYYY-MM-DD) that retention took out.
    """

    root: Path
    files: tuple[LakeFile, ...]
    sessions: dict[str, Committed]
    pending: dict[str, str] = {}
    retired: frozenset[str] = frozenset()

    def chosen(
        self,
        kind: str,
        instruments: Collection[str] = (),
        start: int | None = None,
        end: int | None = None,
    ) -> list[LakeFile]:
        """The files of an event kind (`trade`, `book`, …) that may hold rows of these instruments (default all) with
        `start` <= time < `end` (ns, of `layout.time_field`), by time.
        """
        wanted = {split_id(name) for name in instruments}
        found = [
            f
            for f in self.files
            if f.kind == kind
            and (not wanted or (f.venue, f.symbol) in wanted)
            and (start is None or f.last_ts >= start)
            and (end is None or f.first_ts < end)
        ]
        return sorted(found, key=lambda f: (f.first_ts, f.path))

    def path(self, file: LakeFile) -> str:
        """Where it lies now. It may have been moved or removed by the time it is opened: see `fresh`."""
        if (waiting := self.pending.get(file.path)) is not None and (there := self.root / PENDING_DIR / waiting).exists():
            return there.as_posix()
        return (self.root / file.path).as_posix()


def read(data: Path) -> Catalogue:
    """Raises UsageError where there is no lake, IntegrityError where its state cannot be read."""
    place = root(data)
    state = place / STATE_FILE
    if not state.exists():
        raise UsageError(
            f"there is no lake in {data}: record with the sink `lake` on, or `tapeline repair` makes it from the tape"
        )
    try:
        db = sqlite3.connect(f"{state.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=5.0)
        try:
            db.execute("BEGIN")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version != VERSION:
                raise IntegrityError(
                    f"{state} is of version {version}, not {VERSION}: `tapeline repair` brings it up to date, as does the next start"
                )
            rows = db.execute(f"SELECT {', '.join(LakeFile.__struct_fields__)} FROM files").fetchall()  # noqa: S608 - our own names
            files = tuple(file_of(*row) for row in rows)
            kept = db.execute("SELECT session, seq, events, finished FROM positions").fetchall()
            moving = dict(db.execute("SELECT final, pending FROM intents").fetchall())
            retired = frozenset(row[0] for row in db.execute("SELECT date FROM retired"))
        finally:
            db.close()
    except sqlite3.Error as e:
        raise IntegrityError(f"{state} cannot be read ({e}); `tapeline repair` makes the lake anew from the tape") from e
    sessions = {s: Committed(seq, events, bool(done)) for s, seq, events, done in kept}
    return Catalogue(place, files, sessions, moving, retired)


def fresh(data: Path, function: Callable[[Catalogue], T], gone: tuple[type[Exception], ...] = (FileNotFoundError,)) -> T:
    """`function(catalogue)`, begun again with a new catalogue where a file was swapped away meanwhile (`gone` was raised).

    From the second attempt on swaps wait for it (`lake/turns.py`).
    """
    with suppress(*gone):
        return function(read(data))
    for attempt in range(TRIES - 2):
        time.sleep(PAUSE * 2**attempt)
        with suppress(*gone), reading(root(data)):
            return function(read(data))
    with reading(root(data)):
        return function(read(data))
