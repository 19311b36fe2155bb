"""What sinks hold against what the tape makes: the lake row by row, SQLite by counts.

The lake. The events of a session, numbered as the sink numbers them, are turned into rows by the code that writes the lake; then
DuckDB counts and hashes both sides, by kind and instrument. Equal sums of hashes mean equal rows, whatever their order and files.
What the lake has not been given yet (its position) is not judged, nor are the days that retention took out of it.

SQLite keeps no session with its rows and leaves some out; so of the kinds of which it keeps every event, the counts are compared,
and only where every session of the tape is committed; without the rows that retention has removed or is about to.
"""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from tapeline.audit.report import Few, Report
from tapeline.events import TYPES, Event, Liquidation, Quote, Status, Ticker, Trade
from tapeline.lake import tables
from tapeline.lake.catalogue import Catalogue, fresh, read
from tapeline.lake.state import LakeFile
from tapeline.sinks.sqlite import FILE
from tapeline.sinks.sqlite_retention import pruned
from tapeline.sinks.sqlite_schema import TABLES
from tapeline.sinks.storable import storable

CHUNK = 50_000
T = TypeVar("T")
Place = tuple[str, str]
"""Kind and instrument id."""
Sum = tuple[int, int]
"""Rows, and the sum of their hashes."""


class LakeRows:
    """One session's events, on their way to be compared with the lake."""

    def __init__(self, session: str, upto: int, first_n: int = 0, retired: frozenset[str] = frozenset()) -> None:
        """`upto`: how many events of the session the lake says that it has. `retired`: days that are not compared."""
        self.session, self.upto, self.retired = session, upto, retired
        self.n = first_n
        self._waiting: list[Event] = []
        self._db = duckdb.connect()
        self.sums: dict[Place, Sum] = {}

    def take(self, events: Sequence[Event]) -> None:
        room = self.upto - self.n - len(self._waiting)
        self._waiting += events[: max(0, room)]
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
        for part in parts:
            if part.partition.date in self.retired:
                continue
            _add(self.sums, part.partition.kind, _sums(self._db, part.table, part.partition.kind))


def _hash(kind: str) -> str:
    schema = tables.file_schema(TYPES[kind])
    columns = (f'"{f.name}"::VARCHAR' if pa.types.is_dictionary(f.type) else f'"{f.name}"' for f in schema)
    return f"hash({', '.join(columns)})::HUGEINT"


def _sums(db: duckdb.DuckDBPyConnection, table: pa.Table, kind: str) -> list[tuple[str, int, int]]:
    db.register("part", table)
    try:
        return db.execute(
            f"SELECT coalesce(instrument_id::VARCHAR, ''), count(*), sum({_hash(kind)}) FROM part GROUP BY 1"  # noqa: S608 - our own names
        ).fetchall()
    finally:
        db.unregister("part")


def _add(sums: dict[Place, Sum], kind: str, rows: Sequence[tuple[str, int, int]]) -> None:
    for instrument, count, total in rows:
        before = sums.get((kind, instrument), (0, 0))
        sums[kind, instrument] = before[0] + count, before[1] + total


def in_lake(catalogue: Catalogue, session: str, upto: int) -> dict[Place, Sum]:
    """What the lake holds of the first `upto` events of a session."""
    sums: dict[Place, Sum] = {}
    with duckdb.connect() as db:
        for kind in TYPES:
            files = [catalogue.path(f) for f in catalogue.chosen(kind) if f.date not in catalogue.retired]
            if files:
                rows = db.execute(
                    f"SELECT coalesce(instrument_id::VARCHAR, ''), count(*), sum({_hash(kind)}) "  # noqa: S608 - our own names
                    "FROM read_parquet(?, hive_partitioning = false) WHERE session_id::VARCHAR = ? AND n < ? GROUP BY 1",
                    [files, session, upto],
                ).fetchall()
                _add(sums, kind, rows)
    return sums


def compare(want: LakeRows, have: dict[Place, Sum], report: Report) -> None:
    want.flush()
    wrong = Few()
    for place in sorted(want.sums.keys() | have.keys()):
        expected, found = want.sums.get(place, (0, 0)), have.get(place, (0, 0))
        if expected != found:
            name = f"{place[0]} of {place[1] or 'connections'}"
            if expected[0] != found[0]:
                wrong.add(f"{name}: the tape makes {expected[0]} rows, the lake has {found[0]}")
            else:
                wrong.add(f"{name}: {found[0]} rows as on the tape, but some of them differ")
    rows = sum(count for count, _ in have.values())
    if wrong.count:
        text = "the lake does not hold what the tape makes; `tapeline repair` makes it anew"
        report.add("lake", "broken", text, session=want.session, count=wrong.count, details=wrong.details)
    else:
        report.add("lake", "holds", f"{rows} rows, each equal to what the tape makes", session=want.session, count=rows)


class LakeFiles:
    """The lake's files of now: beside a live session compaction swaps those that the audit began with.

    Files that are gone or damaged are reported and left out; files that the lake does not know are reported.
    """

    def __init__(self, data: Path, report: Report) -> None:
        self._data = data
        self._bad: set[str] = set()
        before = read(data)
        found = [path.relative_to(before.root).as_posix() for path in sorted(before.root.glob("kind=*/**/*.parquet"))]
        self._judge(report, {file.path for file in before.files}, found)

    def ask(self, function: Callable[[Catalogue], T]) -> T:
        """`function` of a catalogue of good files, begun again where one of them was swapped away meanwhile."""

        def good(catalogue: Catalogue) -> T:
            return function(
                msgspec.structs.replace(catalogue, files=tuple(f for f in catalogue.files if f.path not in self._bad))
            )

        return fresh(self._data, good, (FileNotFoundError, duckdb.IOException))

    def _judge(self, report: Report, before: set[str], found: Sequence[str]) -> None:
        gone, damaged, strange = Few(), Few(), Few()
        catalogue = read(self._data)
        for file in catalogue.files:
            if fault := _fault(catalogue, file):
                if not fault.damage and file.path not in {f.path for f in read(self._data).files}:
                    continue  # swapped away
                self._bad.add(file.path)
                (damaged if fault.damage else gone).add(f"{file.path}{fault.damage}")
        known = before | {file.path for file in catalogue.files}
        for place in found:
            if place not in known and (catalogue.root / place).exists():
                strange.add(place)
        _tell(report, gone, damaged, strange)


class _Fault(msgspec.Struct, frozen=True):
    """`damage`: empty where the file is gone."""

    damage: str = ""


def _fault(catalogue: Catalogue, file: LakeFile) -> _Fault | None:
    try:
        if pq.read_metadata(catalogue.path(file)).num_rows != file.rows:
            return _Fault(f": it has not the {file.rows} rows that were written")
    except FileNotFoundError:
        return _Fault()
    except (OSError, pa.ArrowException) as e:
        return _Fault(f": {e}")
    return None


def _tell(report: Report, gone: Few, damaged: Few, strange: Few) -> None:
    for found, text in (
        (gone, "files of the lake are gone; `tapeline repair` makes it anew"),
        (damaged, "files of the lake are damaged; `tapeline repair` makes it anew"),
        (strange, "files lie in the lake's folders that it does not know: who reads the folders takes them for its own"),
    ):
        if found.count:
            report.add("lake", "broken", f"{found.count} {text}", count=found.count, details=found.details)


def doubled(catalogue: Catalogue) -> Few:
    """The events that are in the lake twice: (session, n) names one."""
    ask: Callable[..., Any] = duckdb.execute
    twice = Few()
    for kind in TYPES:
        files = [catalogue.path(f) for f in catalogue.chosen(kind)]
        if not files:
            continue
        rows = ask(
            "SELECT session_id, n, count(*) FROM read_parquet(?, hive_partitioning = false) GROUP BY ALL HAVING count(*) > 1",
            [files],
        ).fetchall()
        for session, n, count in rows:
            twice.add(f"{kind} {n} of session {session}: {count} times")
    return twice


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)


class SqliteRows:
    """Counts of what SQLite keeps whole, by table."""

    WHOLE: tuple[type[Event], ...] = (Trade, Ticker, Liquidation, Status)

    def __init__(self, data: Path) -> None:
        self.counts: Counter[str] = Counter()
        self.before = 0
        """Rows of which both times lie before it (ns) are not compared."""
        with suppress(sqlite3.Error), closing(_read_only(data / FILE)) as db:  # `compare` says what is wrong with it
            self.before = pruned(db)

    def take(self, events: Sequence[Event]) -> None:
        for e in events:
            kind: type[Event] = type(e)
            if e.ts_event < self.before and e.ts_recv < self.before:
                continue
            if kind in self.WHOLE or (isinstance(e, Quote) and e.origin == "venue"):
                self.counts[TABLES[kind]] += 1

    def compare(self, data: Path, sessions: Sequence[tuple[str, int]], report: Report) -> None:
        """`sessions`: what is on the tape, and the last frame of each."""
        path = data / FILE
        if not path.exists():
            return
        try:
            db = _read_only(path)
            try:
                self._compare(db, sessions, report)
            finally:
                db.close()
        except sqlite3.Error as e:
            report.add("sqlite", "broken", f"{path} cannot be read ({e}); `tapeline repair` makes it anew")

    def _compare(self, db: sqlite3.Connection, sessions: Sequence[tuple[str, int]], report: Report) -> None:
        check = [row[0] for row in db.execute("PRAGMA quick_check(5)")]
        if check != ["ok"]:
            report.add("sqlite", "broken", "the file is damaged; `tapeline repair` makes it anew", details=tuple(check))
            return
        reached = {row[0]: row[1] for row in db.execute("SELECT session, seq FROM positions")}
        if pruned(db) != self.before:
            report.add("sqlite", "skipped", "not compared: old rows were removed from it meanwhile (keep.sqlite_days)")
            return
        behind = [name for name, last in sessions if reached.get(name, -1) < last]
        if behind or reached.keys() - {name for name, _ in sessions}:
            why = "it is still being brought up to date" if behind else "it also holds sessions that are not on the tape"
            report.add("sqlite", "skipped", f"not compared: {why}", details=tuple(behind[:10]))
            return
        wrong = Few()
        counts: dict[str, int] = defaultdict(int, self.counts)
        kinds: tuple[type[Event], ...] = (*self.WHOLE, Quote)
        for kind in kinds:
            table = TABLES[kind]
            where = " AND origin = 'venue'" if kind is Quote else ""
            count = f"SELECT count(*) FROM {table} WHERE (ts_event >= ? OR ts_recv >= ?){where}"  # noqa: S608 - our own names
            found = db.execute(count, (self.before, self.before)).fetchone()[0]
            if found != counts[table]:
                wrong.add(f"{table}: the tape makes {counts[table]} rows, SQLite has {found}")
        if wrong.count:
            text = "SQLite does not hold what the tape makes; `tapeline repair --anew sqlite` makes it anew"
            report.add("sqlite", "broken", text, count=wrong.count, details=wrong.details)
        else:
            total = sum(counts.values())
            report.add("sqlite", "holds", f"{total} rows of the kinds it keeps whole, as the tape makes them", count=total)
