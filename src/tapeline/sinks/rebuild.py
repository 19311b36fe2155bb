"""Lake and SQLite made anew from the tape, beside what is there, and put in its place in one step.

    1. `<data>/_rebuild/` gets an empty lake or SQLite file; every session of the tape is played into it
    2. what the tape does not have any more is carried over from the old one, as far as that can be read:
       of the lake, whole sessions; of SQLite, which does not know which session a row is of, the rows received at a time
       of which the tape has no session
    3. `_rebuild/ready` is written                      a crash before: thrown away by the next rebuild
    4. the old one moves into `_rebuild`, the new one to its place
    5. `_rebuild` is removed, `ready` first              a crash between 3 and 5: `settle` of the next start or rebuild finishes it

The old one stays untouched and locked until 4, so that readers go on meanwhile and nobody writes.
"""

import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tapeline.errors import TapelineError, UsageError
from tapeline.events import TYPES
from tapeline.lake import catalogue, layout, tables
from tapeline.lake.catalogue import Catalogue
from tapeline.lake.files import sync_file, sync_folder
from tapeline.lake.state import Added, Intent, LakeFile
from tapeline.lake.store import Store
from tapeline.sinks.base import Sink
from tapeline.sinks.feed import CatchUp
from tapeline.sinks.hold import Hold
from tapeline.sinks.lake import LakeSink
from tapeline.sinks.recovery import Report, repair
from tapeline.sinks.sqlite import FILE, SqliteSink
from tapeline.sinks.sqlite_schema import TABLES

FOLDER, READY, OLD = "_rebuild", "ready", "old"
PLACES = {"lake": "lake", "sqlite": FILE}
"""The sinks that can be made anew, and where they lie in the data directory."""
SQLITE_FILES = ("-wal", "-shm", "")
"""In this order: a new database must never meet the old one's log."""
Say = Callable[[str], None]


def settle(data: Path) -> list[str]:
    """Finish what a crash left of a rebuild; the names of the sinks that are new now. Raises OSError."""
    work = data / FOLDER
    if not (work / READY).exists():
        shutil.rmtree(work, ignore_errors=True)
        return []
    names = (work / READY).read_text().split()
    (work / OLD).mkdir(exist_ok=True)
    for name in names:
        for suffix in SQLITE_FILES if name == "sqlite" else ("",):
            new, place = work / (PLACES[name] + suffix), data / (PLACES[name] + suffix)
            aside = work / OLD / place.name
            if (new.exists() or suffix) and place.exists() and not aside.exists():
                place.replace(aside)
            if new.exists():
                new.replace(place)
    sync_folder(data)
    sync_folder(work)
    (work / READY).unlink()  # first: what comes into the new one's places from here on is nothing old
    sync_folder(work)
    shutil.rmtree(work, ignore_errors=True)
    return names


class OnTape(msgspec.Struct, frozen=True):
    """A closed session of the tape: its last frame, its first and last receive time (ns), and whether all of it is there."""

    last_seq: int
    first_ts: int
    last_ts: int
    whole: bool


def rebuild(data: Path, names: Sequence[str], sessions: Mapping[str, OnTape], catch_up: CatchUp, say: Say) -> list[Report]:
    """Make these sinks (of `PLACES`) anew. A session that is not whole on the tape is carried over where the old lake has it.

    Raises ConfigError where another process writes them, OSError where there is no room. Until it returns the old ones stand.
    """
    settle(data)
    work = data / FOLDER
    work.mkdir()
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, work, ignore_errors=True)
        for name in names:
            stack.enter_context(_held(data, name))
        sinks: list[Sink] = [LakeSink(work) if name == "lake" else SqliteSink(work) for name in names]
        for sink in sinks:
            sink.open()
            stack.callback(sink.close)
        old = _old(data, say) if "lake" in names else None
        if old is not None:
            again = {name for name, s in sessions.items() if s.whole}
            _carry_lake(old, next(s for s in sinks if isinstance(s, LakeSink)), again, say)
        if "sqlite" in names:
            _carry_sqlite(data / FILE, work / FILE, sessions, say)
        reports = repair(work, sinks, {name: s.last_seq for name, s in sessions.items()}, catch_up)
        for sink in sinks:
            sink.close()
        _mark(work, names)
        stack.pop_all()  # from here on it is to be finished, not thrown away
    settle(data)
    return reports


@contextmanager
def _held(data: Path, name: str) -> Iterator[None]:
    """The old one's lock, and through the swap: nobody may open what is about to move."""
    hold = Hold(data / "lake" / "_lock" if name == "lake" else data / (FILE + ".lock"))
    try:
        yield
    finally:
        hold.release()


def _mark(work: Path, names: Sequence[str]) -> None:
    staged = work / (READY + ".tmp")
    staged.write_text(" ".join(names))
    sync_file(staged)
    staged.replace(work / READY)
    sync_folder(work)


def _old(data: Path, say: Say) -> Catalogue | None:
    try:
        return catalogue.read(data)
    except TapelineError as e:
        say(f"nothing can be carried over from the old lake: {e}")
        return None


def _carry_lake(old: Catalogue, sink: LakeSink, again: set[str], say: Say) -> None:
    """All sessions but those that are made `again`: their rows and positions as they are, and which days are missing of them."""
    carried = {s: c for s, c in old.sessions.items() if s not in again and c.events}
    if not carried:
        return
    added: list[Added] = []
    rows = 0
    for file in (f for f in old.files if f.kind in TYPES):  # what is derived is made anew
        try:
            found = _copied(old, file, list(carried), sink.store)
        except (OSError, pa.ArrowException) as e:
            say(f"{file.path} of the old lake cannot be read, its rows are lost where the tape does not have them: {e}")
            continue
        if found is not None:
            added.append(found)
            rows += found[1].rows
    sink.store.swap([], added)
    for day in sorted(old.retired):
        sink.store.swap([], [], retired=day)
    for session, committed in carried.items():
        sink.store.commit(session, committed.seq, committed.events, [])
        if committed.finished:
            sink.finish(session)
    say(f"{rows} rows of {len(carried)} session(s) that the tape does not have whole are carried over from the old lake")


def _copied(old: Catalogue, file: LakeFile, sessions: list[str], store: Store) -> Added | None:
    """The rows of these sessions as a file of their own, a row group at a time; None where there are none."""
    name = layout.unique_name("carried")
    intent = Intent(f"{name}.tmp", f"{file.path.rpartition('/')[0]}/{name}")
    path, time = store.pending / intent.pending, layout.time_field(TYPES[file.kind])
    rows, spans = 0, []
    with pq.ParquetFile(old.path(file)) as source:
        schema = source.schema_arrow
        with pq.ParquetWriter(path, schema, compression="zstd", compression_level=1, **tables.options(schema)) as writer:
            for number in range(source.num_row_groups):
                group = source.read_row_group(number)
                part = group.filter(pc.is_in(group["session_id"].cast(pa.string()), pa.array(sessions)))
                if len(part):
                    writer.write_table(part.unify_dictionaries().combine_chunks())
                    spans.append(pc.min_max(part[time]).as_py())
                    rows += len(part)
    if not rows:
        store.discard([intent.pending])
        return None
    span = {"first_ts": min(s["min"] for s in spans), "last_ts": max(s["max"] for s in spans)}
    changed = {"path": intent.final, "rows": rows, "bytes": path.stat().st_size, **span}
    return intent, msgspec.structs.replace(file, **changed)


def _carry_sqlite(old: Path, new: Path, on_tape: Mapping[str, OnTape], say: Say) -> None:
    """Rows received while no session of the tape went on, where sessions are in the old file that the tape does not have, or not
    from their beginning on.
    """
    if not old.exists():
        return
    try:
        with closing(sqlite3.connect(new, isolation_level=None)) as db:
            db.execute("ATTACH ? AS old", (str(old),))
            kept = db.execute("SELECT session, seq, finished FROM old.positions").fetchall()
            gone = [row for row in kept if row[0] not in on_tape]
            partly = [row for row in kept if row[0] in on_tape and not on_tape[row[0]].whole]
            if not gone and not partly:
                return
            db.execute("CREATE TEMPORARY TABLE spans (first INTEGER, last INTEGER)")
            db.executemany("INSERT INTO spans VALUES (?, ?)", [(s.first_ts, s.last_ts) for s in on_tape.values()])
            db.execute("BEGIN IMMEDIATE")
            for table in TABLES.values():
                columns = ", ".join(f'"{row[1]}"' for row in db.execute(f"PRAGMA old.table_info({table})"))
                if columns:
                    db.execute(
                        f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM old.{table} "  # noqa: S608 - our own names
                        "WHERE NOT EXISTS (SELECT 1 FROM spans WHERE ts_recv BETWEEN first AND last)"
                    )
            db.executemany("INSERT INTO main.positions VALUES (?, ?, ?)", gone)
            db.execute("COMMIT")
    except sqlite3.Error as e:
        say(f"nothing can be carried over from the old {FILE}: {e}")
    else:
        say(
            f"rows of {len(gone) + len(partly)} session(s) that the tape does not have whole are carried over from the old {FILE}"
        )


def check(names: Sequence[str]) -> None:
    for name in names:
        if name not in PLACES:
            raise UsageError(f"--anew {name}: only {' and '.join(PLACES)} can be made anew; the others are brought up to date")
