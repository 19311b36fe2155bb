"""Making derived snapshots of books (`derived.py`), in the background, by the process that holds the lake.

One is made whenever the levels changed since the last one exceed `TIMES` × the levels of the book, and `LEAST`. So to have a book at
an instant no more than so many levels are applied to a snapshot, however busy the market is; and of all levels that are stored at
most one in `TIMES` is a snapshot's. In bytes it was 5 % of a made-up busy day (bench/lake.py).

A pass takes up each session of each instrument at its last snapshot and reads what was committed since. Nothing is remembered but
where the reading ended, and that only to spare the reading: deleted files are made anew. As one pass makes one file a folder, small
ones are put together, `FAN` at a time, so that a snapshot is written again only so often as there are levels of that.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from tapeline.lake import derived
from tapeline.lake.books import book_levels, sessions_of, take
from tapeline.lake.catalogue import Catalogue
from tapeline.lake.derived import KIND, Snapshot
from tapeline.lake.layout import DAY, Partition, date_text, unique_name
from tapeline.lake.rebuilding import Rebuilt
from tapeline.lake.state import Added, Intent, LakeFile
from tapeline.lake.store import Store
from tapeline.lake.updates import UNTIMED, Updates

TIMES = 12
LEAST = 20_000
HELD_LEVELS = 1_000_000
FAN = 16
MOST_MERGED = 64 << 20


class Made(msgspec.Struct):
    """What a pass did. `unreadable`: of which books there is no more to be made, since a file cannot be read."""

    snapshots: int = 0
    files: int = 0
    bytes: int = 0
    unreadable: list[str] = []


class SnapshotMaker:
    """`pause` is called between two pieces of work, and may raise to end the pass."""

    def __init__(self, store: Store, pause: Callable[[], None]) -> None:
        self._store, self._pause = store, pause
        self._reached: dict[tuple[str, str], int] = {}  # (instrument, session) → the last event looked at

    def run(self) -> Made:
        """One pass over the lake. Raises OSError, sqlite3.Error, and what `pause` raises; what was made until then stays."""
        made = Made()
        catalogue = Catalogue(self._store.root, tuple(self._store.state.files()), {})
        for venue, symbol in sorted({(f.venue, f.symbol) for f in catalogue.files if f.kind == "book"}):
            updates = Updates(catalogue, f"{venue}:{symbol}")
            for session, last in sessions_of(updates).items():
                if self._reached.get((updates.instrument, session), -1) < last:
                    self._reached[updates.instrument, session] = last
                    try:
                        self._session(updates, session, made)
                    except pa.ArrowException as e:
                        made.unreadable.append(f"{updates.instrument} in session {session}: {e}")
        self._merge(made)
        return made

    def _session(self, updates: Updates, session: str, made: Made) -> None:
        held: list[Snapshot] = []
        levels, day = 0, -1
        for snapshot in self._walk(updates, session):
            if held and (levels > HELD_LEVELS or snapshot.ts_event // DAY != day):
                self._write(updates, held, made)
                held, levels = [], 0
            held.append(snapshot)
            day = snapshot.ts_event // DAY
            levels += len(snapshot.kept.bids) + len(snapshot.kept.asks)
        if held:
            self._write(updates, held, made)

    def _walk(self, updates: Updates, session: str) -> Iterator[Snapshot]:
        """The snapshots that are to be made after the last one that there is."""
        max_levels = book_levels(updates.catalogue.root.parent, session)
        rebuilt, event, recv, since, n = Rebuilt(max_levels), -(1 << 63), -(1 << 63), None, -1
        last = derived.latest(
            derived.pieces(updates.catalogue, updates.instrument, None, None), session, max_levels, "n", 1 << 62
        )
        if last is not None:
            rebuilt.resume(last.kept)
            n, event, recv, since = last.n, last.ts_event, last.ts_recv, min(last.ts_event, last.ts_recv)
        size = 0
        for i, row in enumerate(updates.rows(session, n, since, None)):
            take(rebuilt, row)
            recv = max(recv, row.ts_recv)
            if not row.kind and not row.flags & UNTIMED:
                event = max(event, row.ts_event)
            if rebuilt.changed >= LEAST and rebuilt.changed >= TIMES * size and event > 0:
                size = rebuilt.book.size
                if rebuilt.changed >= TIMES * size:
                    rebuilt.changed = 0
                    yield Snapshot(session, row.n, event, recv, max_levels, rebuilt.keep())
            if i % 1000 == 0:
                self._pause()

    def _write(self, updates: Updates, held: Sequence[Snapshot], made: Made) -> None:
        table = derived.table(held)
        day = date_text(held[0].ts_event // DAY)
        file = self._add(Partition(KIND, updates.venue, updates.symbol, day), table, ())
        made.snapshots += len(held)
        made.files += 1
        made.bytes += file.bytes

    def _add(self, place: Partition, table: pa.Table, instead: Sequence[LakeFile]) -> LakeFile:
        name = unique_name("snapshots")
        pending = self._store.pending / f"{name}.tmp"
        try:
            derived.write(table, pending)
            times = table["ts_event"].to_numpy()
            file = LakeFile(
                f"{place.path}/{name}", KIND, place.venue, place.instrument, place.date,
                int(times.min()), int(times.max()), len(table), pending.stat().st_size,
            )  # fmt: skip
        except BaseException:
            pending.unlink(missing_ok=True)
            raise
        added: Added = (Intent(pending.name, file.path), file)
        self._store.swap(instead, [added])
        return file

    def _merge(self, made: Made) -> None:
        """Put the small files of a folder together."""
        files = sorted((f for f in self._store.state.files() if f.kind == KIND), key=_folder)
        for _, group in groupby(files, _folder):
            small = sorted((f for f in group if f.bytes < MOST_MERGED // FAN), key=lambda f: f.bytes)[:FAN]
            if len(small) == FAN:
                self._pause()
                tables = [_read(self._store.root / f.path) for f in small]
                table = pa.concat_tables(tables).unify_dictionaries().sort_by([("ts_event", "ascending"), ("n", "ascending")])
                self._add(Partition(KIND, small[0].venue, small[0].symbol, small[0].date), table, small)
                made.files += 1


def _folder(file: LakeFile) -> tuple[str, str, str]:
    return file.venue, file.symbol, file.date


def _read(path: Path) -> pa.Table:
    with pq.ParquetFile(path) as file:
        return file.read().cast(derived.SCHEMA)
