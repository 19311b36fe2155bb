"""What SQLite holds against what the tape makes.

It keeps no session with its rows and leaves some out; so of the kinds of which it keeps every event, the counts are compared, and
only where every session of the tape is committed; without the rows that retention has removed or is about to.
"""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

from tapeline.audit.report import Few, Report
from tapeline.events import Event, Liquidation, Quote, Status, Ticker, Trade
from tapeline.sinks.sqlite import FILE
from tapeline.sinks.sqlite_retention import pruned
from tapeline.sinks.sqlite_schema import TABLES


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
            why = (
                "it is still being brought up to date"
                if behind
                else "it also holds sessions that are not, or not whole, on the tape"
            )
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
            report.add("sqlite", "holds", f"{total:,} rows of the kinds it keeps whole, as the tape makes them", count=total)
