"""The lake against what the tape makes, row by row, and what it holds beyond that.

The events of each session, numbered as the sink numbers them, are turned into rows by the code that writes the lake; then DuckDB
counts and hashes both sides, a folder (kind, instrument, day) at a time. Equal sums of hashes mean equal rows in the right folder,
whatever their order and files. Asked for is what the frames up to the lake's position make: what has not been committed when the
audit begins is not judged, nor are the days that retention took out, nor the fields that events did not have yet when a session was
recorded.

What no tape proves any more is only counted: each event once, no number past the session's position.

The lake is read a kind and a day at a time, each by the catalogue of that moment: beside a live session compaction swaps files, and
what is read when that happens is read again. Memory is bounded: two numbers a folder and session here, `database.roomy` in DuckDB.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from tapeline.audit.report import MOST_DETAILS, Few, Report
from tapeline.errors import TapelineError
from tapeline.events import TYPES, Event
from tapeline.lake import database, tables, views
from tapeline.lake.catalogue import Catalogue, Committed, fresh, read
from tapeline.lake.layout import Partition, time_field
from tapeline.lake.state import LakeFile
from tapeline.lake.turns import reading
from tapeline.sinks.storable import storable

CHUNK = 50_000
T = TypeVar("T")
Sums = dict[Partition, tuple[int, int]]
"""Folder → rows, and the sum of their hashes."""


class LakeRows:
    """One session's events, on their way to be compared with the lake."""

    def __init__(self, session: str, committed: Committed) -> None:
        """`committed`: how far the lake says that it has the session. `earlier`: it was recorded before the events had the fields of
        `tables.GROWN`; those are not compared.
        """
        self.session, self.committed = session, committed
        self.earlier = False
        self.n = 0
        self._waiting: list[Event] = []
        self.sums: Sums = {}

    def take(self, seq: int, events: Sequence[Event]) -> None:
        """What frames up to `seq` made."""
        if seq <= self.committed.seq:
            self._waiting += events
            if len(self._waiting) >= CHUNK:
                self.flush()

    def flush(self) -> None:
        events, self._waiting = self._waiting, []
        if not events:
            return
        try:
            parts = list(tables.parts(self.session, events, self.n))
        except (OverflowError, ValueError):
            parts = list(tables.parts(self.session, [storable(e) for e in events], self.n))
        self.n += len(events)
        with duckdb.connect() as db:
            for part in parts:
                db.register("part", part.table)
                query = f"SELECT count(*), sum({_hash(part.partition.kind, earlier=self.earlier)}) FROM part"  # noqa: S608 - our own names
                (row,) = db.execute(query).fetchall()
                _add(self.sums, part.partition, *row)


def _hash(kind: str, *, earlier: bool) -> str:
    left_out = tables.GROWN.get(TYPES[kind], ()) if earlier else ()
    schema = [f for f in tables.file_schema(TYPES[kind]) if f.name not in left_out]
    columns = (f'"{f.name}"::VARCHAR' if pa.types.is_dictionary(f.type) else f'"{f.name}"' for f in schema)
    return f"hash({', '.join(columns)})::HUGEINT"


def _add(sums: Sums, place: Partition, count: int, total: int) -> None:
    before = sums.get(place, (0, 0))
    sums[place] = before[0] + count, before[1] + total


class _Read:
    """What the lake has of one kind and day, by session: `sums` of the events asked for, the number of all `rows`; and what is
    wrong whatever the tape says.
    """

    def __init__(self) -> None:
        self.sums: dict[str, Sums] = {}
        self.rows: dict[str, int] = {}
        self.past, self.twice = Few(), Few()


def _look(now: Catalogue, kind: str, date: str, asked: Sequence[LakeRows]) -> _Read:
    """Raises FileNotFoundError where a file was moved or taken away meanwhile."""
    files = {now.path(f): Partition(f.kind, f.venue, f.symbol, f.date) for f in now.files if (f.kind, f.date) == (kind, date)}
    if not files:
        return _Read()
    try:
        with database.roomy() as db:
            return _counted(db, now, kind, files, asked)
    except duckdb.Error as e:
        if all(Path(path).exists() for path in files):
            raise
        raise FileNotFoundError(str(e)) from e


def _counted(
    db: duckdb.DuckDBPyConnection, now: Catalogue, kind: str, files: Mapping[str, Partition], asked: Sequence[LakeRows]
) -> _Read:
    found = _Read()
    events = pa.array([want.committed.events for want in asked], pa.int64())
    earlier = pa.array([want.earlier for want in asked], pa.bool_())
    sessions = pa.array([want.session for want in asked], pa.string())
    db.register("asked", pa.table({"_session": sessions, "_events": events, "_earlier": earlier}))
    source = views.files(TYPES[kind], "$files", "filename = '_file', hive_partitioning = false")
    names = {"files": list(files)}
    sums = f"""SELECT _session, _file, count(*), sum(CASE WHEN _earlier THEN {_hash(kind, earlier=True)}
        ELSE {_hash(kind, earlier=False)} END) FROM {source}
        JOIN asked ON session_id::VARCHAR = _session AND n < _events GROUP BY ALL"""  # noqa: S608 - our own names
    for session, path, count, total in db.execute(sums, names).fetchall():
        _add(found.sums.setdefault(session, {}), files[path], count, total)
    counts = f"SELECT session_id, count(*), max(n) FROM {source} GROUP BY 1"  # noqa: S608 - our own names
    for session, rows, last in db.execute(counts, names).fetchall():
        found.rows[session] = rows
        reached = now.sessions.get(session)
        if reached is None or last >= reached.events:
            found.past.add(f"{kind} {last} of session {session}: the lake says that it has {reached.events if reached else 0}")
    twice = f"""SELECT session_id, n, count(*), count(*) OVER () FROM {source}
        GROUP BY 1, 2 HAVING count(*) > 1 ORDER BY 1, 2 LIMIT {MOST_DETAILS}"""  # noqa: S608 - our own names
    doubled = db.execute(twice, names).fetchall()
    for session, n, count, _ in doubled:
        found.twice.add(f"{kind} {n} of session {session}: {count} times")
    found.twice.count = doubled[0][3] if doubled else 0
    return found


class LakeFiles:
    """The lake's files of now: those that are gone, damaged or not known to it are reported, and left out."""

    def __init__(self, data: Path, report: Report) -> None:
        self._data, self._report = data, report
        self._bad: set[str] = set()
        self.retired = frozenset[str]()
        before = read(data)
        found = [path.relative_to(before.root).as_posix() for path in sorted(before.root.glob("kind=*/**/*.parquet"))]
        self._judge({file.path for file in before.files}, found)

    def compare(self, wanted: Sequence[LakeRows]) -> Counter[str]:
        """All that these sessions want, and every row once; how many rows there are of each session that the lake knows."""
        sums: dict[str, Sums] = {}
        rows, past, twice = Counter[str](), Few(), Few()
        for kind, date in sorted({(f.kind, f.date) for f in read(self._data).files if f.kind in TYPES}):
            found = self._ask(kind, date, wanted)
            for session, mine in found.sums.items():
                sums.setdefault(session, {}).update(mine)
            rows.update(found.rows)
            past.join(found.past)
            twice.join(found.twice)
        self.retired = read(self._data).retired
        for want in wanted:
            _compare(want, sums.get(want.session, {}), self.retired, self._report)
        if twice.count:
            text = f"{twice.count} events are in the lake more than once; `tapeline repair` makes it anew"
            self._report.add("lake", "broken", text, count=twice.count, details=twice.details)
        if past.count:
            text = "the lake has events past the position that it tells: they would come a second time"
            self._report.add("lake", "broken", text, count=past.count, details=past.details)
        return rows

    def _ask(self, kind: str, date: str, asked: Sequence[LakeRows]) -> _Read:
        def good(catalogue: Catalogue) -> _Read:
            now = msgspec.structs.replace(catalogue, files=tuple(f for f in catalogue.files if f.path not in self._bad))
            try:
                return _look(now, kind, date, asked)
            except duckdb.Error as e:
                if self._leave_out([f for f in now.files if (f.kind, f.date) == (kind, date)], now):
                    raise FileNotFoundError(str(e)) from e  # to be read again: without them, or what came instead
                raise TapelineError(f"the lake cannot be read for the audit: {e}") from e

        return fresh(self._data, good)

    def _leave_out(self, files: Sequence[LakeFile], now: Catalogue) -> bool:
        """Those of which a page cannot be read. Whether there is one, or one that is gone."""
        damaged, gone = Few(), False
        for file in files:
            if (fault := _fault(now, file, whole=True)) is not None:
                gone = gone or not fault.damage
                if fault.damage:
                    self._bad.add(file.path)
                    damaged.add(f"{file.path}{fault.damage}")
        _tell(self._report, Few(), damaged, Few())
        return gone or bool(damaged.count)

    def _judge(self, before: set[str], found: Sequence[str]) -> None:
        gone, damaged, strange = Few(), Few(), Few()
        catalogue = read(self._data)
        for file in catalogue.files:
            if fault := _fault(catalogue, file):
                if not fault.damage and file.path not in {f.path for f in read(self._data).files}:
                    continue  # swapped away
                self._bad.add(file.path)
                (damaged if fault.damage else gone).add(f"{file.path}{fault.damage}")
        known = before | {file.path for file in catalogue.files}
        if unknown := [place for place in found if place not in known]:
            with reading(catalogue.root):  # a swap that is under way removes what it has taken out of the list
                for place in unknown:
                    if (catalogue.root / place).exists():
                        strange.add(place)
        _tell(self._report, gone, damaged, strange)


def _compare(want: LakeRows, have: Sums, retired: frozenset[str], report: Report) -> None:
    wrong, rows = Few(), 0
    for place in sorted(want.sums.keys() | have.keys(), key=lambda p: p.path):
        if place.date in retired:
            continue
        expected, found = want.sums.get(place, (0, 0)), have.get(place, (0, 0))
        rows += found[0]
        if expected != found:
            name = f"{place.kind} of {place.venue}:{place.instrument or 'connections'} on {place.date}"
            if expected[0] != found[0]:
                wrong.add(f"{name}: the tape makes {expected[0]} rows, the lake has {found[0]}")
            else:
                wrong.add(f"{name}: {found[0]} rows as on the tape, but some of them differ")
    if wrong.count:
        text = "the lake does not hold what the tape makes; `tapeline repair` makes it anew"
        report.add("lake", "broken", text, session=want.session, count=wrong.count, details=wrong.details)
    else:
        report.add("lake", "holds", f"{rows:,} rows, each equal to what the tape makes", session=want.session, count=rows)


class _Fault(msgspec.Struct, frozen=True):
    """`damage`: empty where the file is gone."""

    damage: str = ""


def _fault(catalogue: Catalogue, file: LakeFile, *, whole: bool = False) -> _Fault | None:
    """By its footer; `whole`: by every page."""
    try:
        with pq.ParquetFile(catalogue.path(file)) as parquet:
            for _ in parquet.iter_batches() if whole else ():
                pass
            if parquet.metadata.num_rows != file.rows:
                return _Fault(f": it has not the {file.rows} rows that were written")
            if not _within(parquet.metadata, file):
                return _Fault(": it has rows of other times than the list says, questions would pass it over")
    except FileNotFoundError:
        come = file.path in catalogue.pending and (catalogue.root / file.path).exists()  # to its place, in this moment
        return _fault(msgspec.structs.replace(catalogue, pending={}), file, whole=whole) if come else _Fault()
    except (OSError, pa.ArrowException) as e:
        return _Fault(f": {e}")
    return None


def _within(about: pq.FileMetaData, file: LakeFile) -> bool:
    """Whether its times are within the span that readers choose it by."""
    label = time_field(TYPES[file.kind]) if file.kind in TYPES else "ts_event"
    at = about.schema.names.index(label) if label in about.schema.names else 0
    found = [about.row_group(i).column(at).statistics for i in range(about.num_row_groups)]
    return all(s is None or not s.has_min_max or file.first_ts <= s.min <= s.max <= file.last_ts for s in found)


def _tell(report: Report, gone: Few, damaged: Few, strange: Few) -> None:
    for found, text in (
        (gone, "files of the lake are gone; `tapeline repair` makes it anew"),
        (damaged, "files of the lake are damaged; `tapeline repair` makes it anew"),
        (strange, "files lie in the lake's folders that it does not know: who reads the folders takes them for its own"),
    ):
        if found.count:
            report.add("lake", "broken", f"{found.count} {text}", count=found.count, details=found.details)
