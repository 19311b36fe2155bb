"""What keeps a lake in order beside the feed: compaction, snapshots of books, and retention of lake and SQLite; one daemon thread,
in no hurry.

It takes part of one core: after each row group it rests as long as the group took, its thread is the last to be served where the
system knows such a thing, and Arrow works in it alone. It holds the lake's lock only while files change places. When asked to
stop it ends at the next row group and throws the unfinished file away; the next session begins it anew.

Nothing that goes wrong here reaches the feed. It is told once, counted, kept in `stats.error` until a pass goes through, and tried
again at the next one. Files that cannot be read are left alone until the next start.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from threading import Event, Thread, get_native_id

import msgspec

from tapeline.clock import SECOND, Clock, cpu_time
from tapeline.config import KeepSettings, LakeSettings, Settings
from tapeline.errors import IntegrityError
from tapeline.lake.compaction import Compactor, Job, plan
from tapeline.lake.layout import DAY, date_text
from tapeline.lake.merging import Damaged
from tapeline.lake.retention import expired
from tapeline.lake.snapshots import SnapshotMaker
from tapeline.lake.state import Outdated
from tapeline.lake.store import Store
from tapeline.sinks.base import Serial, Sink
from tapeline.sinks.lake import LakeSink
from tapeline.sinks.sqlite import SqliteSink
from tapeline.sinks.sqlite_retention import prune

CLOSED_AFTER = 900 * SECOND
"""A day is over for good this long after midnight: late trades have come, the last commits are made."""
FIRST_SECONDS = 10.0
"""The first look comes soon: what many short sessions left would otherwise never be put together."""
RETENTION_SECONDS = 600
SWAP_FILES = 500
NICE = 15
Tell = Callable[[str], None]


class UpkeepStats(msgspec.Struct):
    """`left`: files that are not merged since they cannot be read. `error`: the last failure, empty once a pass went through."""

    merged_files: int = 0
    made_files: int = 0
    rows: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    removed_files: int = 0
    removed_bytes: int = 0
    removed_rows: int = 0
    left: int = 0
    book_snapshots: int = 0
    errors: int = 0
    error: str = ""


class Stopped(Exception):
    """Asked to end."""


class Upkeep:
    """`store`: that of the open lake sink, None where there is none; `sqlite`: the file, None likewise. `tell` takes a line for a
    person and is called from the thread. `busy`: do not rest (nothing else is going on).
    """

    def __init__(
        self,
        store: Store | None,
        *,
        lake: LakeSettings,
        keep: KeepSettings,
        clock: Clock,
        tell: Tell,
        sqlite: Path | None = None,
        busy: bool = False,
    ) -> None:
        self._store, self._sqlite = store, sqlite
        self._lake, self._keep, self._clock, self._tell = lake, keep, clock, tell
        self._busy = busy
        self._stop = Event()
        if store is not None:
            store.hurry = self._stop
        self._used = 0
        self._retained_at: int | None = None
        self._said = ""
        self._left: set[str] = set()
        self._maker: SnapshotMaker | None = None
        self._thread: Thread | None = None
        self.stats = UpkeepStats()

    def start(self) -> None:
        self._thread = Thread(target=self._run, name="upkeep", daemon=True)
        self._thread.start()

    def ask_to_stop(self) -> None:
        self._stop.set()

    def join(self, seconds: float = 0.5) -> bool:
        """Stop; whether it has ended within that time. The thread never keeps the program from ending."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(seconds)
        return self._thread is None or not self._thread.is_alive()

    def _run(self) -> None:
        _be_humble()
        seconds = min(FIRST_SECONDS, self._lake.compact_seconds)
        while not self._stop.wait(seconds):
            seconds = self._lake.compact_seconds
            try:
                self.run_once()
            except Exception as e:  # noqa: BLE001 - a fault of ours must be seen, and must not end the upkeep
                self._failed(f"upkeep of the lake failed: {type(e).__name__}: {e}")

    def run_once(self) -> bool:
        """One pass: what is too old goes, what is small is merged until nothing is left to do. True where all went well."""
        failed = self.stats.errors
        try:
            self._retain()
            if self._lake.compact:
                self.compact()
            if self._lake.book_snapshots:
                self.snapshots()
        except Stopped:
            return False
        if self.stats.errors == failed:
            self.stats.error = self._said = ""
        return self.stats.errors == failed

    def compact(self, today: str | None = None) -> None:
        """Merge until nothing is left to do. `today`: the first day that is not over, by the clock where none is given.

        Raises Stopped.
        """
        if self._store is None:
            return
        compactor = Compactor(self._store, self._rest)
        tried: set[tuple[str, ...]] = set()
        failed = self.stats.errors
        while self.stats.errors == failed:
            day = today or date_text((self._clock.now() - CLOSED_AFTER) // DAY)
            jobs: list[Job] = []
            with self._failures("the lake cannot be compacted"):
                jobs = plan(self._store.state.files(), today=day, fan=self._lake.compact_files, left=self._left)
            fresh = [j for j in jobs if _paths(j) not in tried]
            if not fresh:
                return
            for job in fresh:
                if self.stats.errors > failed:
                    return
                tried.add(_paths(job))
                self._do(compactor, job)

    def snapshots(self) -> None:
        """Make the snapshots of books that are missing. Raises Stopped."""
        if self._store is None:
            return
        if self._maker is None:
            self._maker = SnapshotMaker(self._store, self._rest)
        with suppress(Outdated), self._failures("snapshots of books cannot be made now"):
            made = self._maker.run()
            self.stats.book_snapshots += made.snapshots
            for reason in made.unreadable:
                self._tell(f"snapshots of books: {reason}; left out")

    def _do(self, compactor: Compactor, job: Job) -> None:
        self._rest()
        place = Path(job.files[0].path).parent.as_posix()
        try:
            with self._failures(f"{len(job.files)} files of {place} cannot be put together now"):
                done = compactor.do(job)
                self.stats.made_files += 1
                self.stats.merged_files += done.files
                self.stats.rows += done.file.rows
                self.stats.bytes_before += done.bytes_before
                self.stats.bytes_after += done.file.bytes
        except Outdated:
            return
        except Damaged as e:
            self._leave([e.path.relative_to(compactor.store.root).as_posix()], f"{e}; left as it is")
        except IntegrityError as e:
            self._leave(_paths(job), str(e))

    def _retain(self) -> None:
        now = self._clock.now()
        if self._retained_at is not None and now - self._retained_at < RETENTION_SECONDS * SECOND:
            return
        keep, failed = self._keep, self.stats.errors
        if self._store is not None and (keep.lake_days or keep.lake_gb):
            with self._failures("old days of the lake cannot be removed"):
                self._retain_lake(self._store, now)
        if self._sqlite is not None and keep.sqlite_days:
            with self._failures("old rows of SQLite cannot be removed"):
                self._retain_sqlite(self._sqlite, now)
        if self.stats.errors == failed:
            self._retained_at = now

    def _retain_lake(self, store: Store, now: int) -> None:
        for day, files in expired(store.state.files(), now=now, days=self._keep.lake_days, gb=self._keep.lake_gb).items():
            for at in range(0, len(files), SWAP_FILES):
                store.swap(files[at : at + SWAP_FILES], [], retired=day)
                self._rest()
            size = sum(f.bytes for f in files)
            self.stats.removed_files += len(files)
            self.stats.removed_bytes += size
            self._tell(f"lake: {day} removed, {len(files)} files, {size / 1e6:.1f} MB (keep.lake_days, keep.lake_gb)")

    def _retain_sqlite(self, path: Path, now: int) -> None:
        rows = prune(path, now - int(self._keep.sqlite_days * DAY), self._rest)
        self.stats.removed_rows += rows
        if rows:
            self._tell(f"sqlite: {rows} rows removed (keep.sqlite_days)")

    def _leave(self, paths: Sequence[str], why: str) -> None:
        """Told once a folder: somebody may have taken a whole day away."""
        told = {PurePosixPath(path).parent for path in self._left}
        self._left.update(paths)
        self.stats.left = len(self._left)
        if not {PurePosixPath(path).parent for path in paths} <= told:
            self._tell(why)

    @contextmanager
    def _failures(self, what: str) -> Iterator[None]:
        """What the machine does not allow at present is told and counted."""
        try:
            yield
        except (OSError, sqlite3.Error, IntegrityError) as e:
            if self._stop.is_set():  # the sink may have closed the lake meanwhile
                raise Stopped from e
            if isinstance(e, IntegrityError):
                raise
            self._failed(f"{what}: {e}")

    def _failed(self, text: str) -> None:
        self.stats.errors += 1
        self.stats.error = text
        if text != self._said:
            self._said = text
            self._tell(f"{text}; tried again later")

    def _rest(self) -> None:
        """Wait as long as was worked since the last time. Raises Stopped."""
        used = cpu_time()
        worked, self._used = max(0, used - self._used) / SECOND, used
        if self._stop.wait(0 if self._busy else min(worked, 1.0)):
            raise Stopped


def beside(sinks: Sequence[Sink], settings: Settings, clock: Clock, tell: Tell) -> Upkeep | None:
    """The upkeep of a session's open sinks, not yet started; None where there is nothing to keep in order."""
    by_name = {sink.name: sink.sink if isinstance(sink, Serial) else sink for sink in sinks}
    lake, sqlite = by_name.get("lake"), by_name.get("sqlite")
    store = lake.store if isinstance(lake, LakeSink) else None
    path = sqlite.path if isinstance(sqlite, SqliteSink) and settings.keep.sqlite_days else None
    if store is None and path is None:
        return None
    return Upkeep(store, lake=settings.lake, keep=settings.keep, clock=clock, tell=tell, sqlite=path)


def _paths(job: Job) -> tuple[str, ...]:
    return tuple(f.path for f in job.files)


def _be_humble() -> None:
    """Linux lets one thread stand back; elsewhere that would be the whole program."""
    if hasattr(os, "setpriority") and os.uname().sysname == "Linux":
        try:
            os.setpriority(os.PRIO_PROCESS, get_native_id(), NICE)
        except OSError:
            return
