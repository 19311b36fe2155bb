"""What SQLite holds against what the tape makes.

It keeps no session with its rows and leaves some out; so of the kinds of which it keeps every event, the counts are compared:
those of one moment before the tape is read, with what the frames up to SQLite's positions of that moment make. Left out are the
rows that retention has removed or is about to. Where it has rows of a session that is not whole on the tape, counts tell nothing.
"""

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from tapeline.audit.report import Few, Report
from tapeline.events import Event, Liquidation, Quote, Status, Ticker, Trade
from tapeline.sinks.sqlite import FILE
from tapeline.sinks.sqlite_retention import pruned
from tapeline.sinks.sqlite_schema import TABLES

WHOLE: tuple[type[Event], ...] = (Trade, Ticker, Liquidation, Status)
"""The kinds of which it keeps every event; and of quotes the venue's own."""


class SqliteRows:
    """`reached`: the last frame that it has, by session."""

    def __init__(self, data: Path) -> None:
        self.reached: dict[str, int] = {}
        self._before = 0  # rows of which both times lie before it (ns) are not compared
        self._kept: dict[str, int] = {}
        self._made: Counter[str] = Counter()
        self._damage: tuple[str, tuple[str, ...]] | None = None
        self._path = data / FILE
        if self._path.exists():
            try:
                with closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)) as db:
                    db.isolation_level = None
                    db.execute("BEGIN")
                    self._read(db)
            except sqlite3.Error as e:
                self._damage = f"{self._path} cannot be read ({e}); `tapeline repair` makes it anew", ()

    def _read(self, db: sqlite3.Connection) -> None:
        check = [row[0] for row in db.execute("PRAGMA quick_check(5)")]
        if check != ["ok"]:
            self._damage = "the file is damaged; `tapeline repair` makes it anew", tuple(check)
            return
        self._before = pruned(db)
        self.reached = dict(db.execute("SELECT session, seq FROM positions WHERE seq >= 0").fetchall())
        kinds: tuple[type[Event], ...] = (*WHOLE, Quote)
        for kind in kinds:
            table, where = TABLES[kind], " AND origin = 'venue'" if kind is Quote else ""
            count = f"SELECT count(*) FROM {table} WHERE (ts_event >= ? OR ts_recv >= ?){where}"  # noqa: S608 - our own names
            (self._kept[table],) = db.execute(count, (self._before, self._before)).fetchone()

    def take(self, session: str, seq: int, events: Sequence[Event]) -> None:
        """What frames up to `seq` made."""
        if seq > self.reached.get(session, -1):
            return
        for e in events:
            if e.ts_event < self._before and e.ts_recv < self._before:
                continue
            kind: type[Event] = type(e)
            if kind in WHOLE or (isinstance(e, Quote) and e.origin == "venue"):
                self._made[TABLES[kind]] += 1

    def compare(self, whole: Mapping[str, int], report: Report) -> None:
        """`whole`: the sessions that were played whole, and the last frame of each."""
        if self._damage is not None:
            report.add("sqlite", "broken", self._damage[0], details=self._damage[1])
        if self._damage is not None or not self._path.exists():
            return
        if strange := sorted(self.reached.keys() - whole.keys()):
            text = "not compared: it also holds sessions that are not, or not whole, on the tape"
            report.add("sqlite", "skipped", text, details=tuple(strange[:10]))
            return
        if behind := [name for name, last in whole.items() if self.reached.get(name, -1) < last]:
            text = f"it lacks the end of {len(behind)} session(s): the next start, or `tapeline repair`, adds it"
            report.add("sqlite", "noted", text, count=len(behind), details=tuple(behind[:10]))
        wrong = Few()
        for table, found in self._kept.items():
            if found != self._made[table]:
                wrong.add(f"{table}: the tape makes {self._made[table]} rows, SQLite has {found}")
        if wrong.count:
            text = "SQLite does not hold what the tape makes; `tapeline repair --anew sqlite` makes it anew"
            report.add("sqlite", "broken", text, count=wrong.count, details=wrong.details)
        else:
            total = sum(self._kept.values())
            report.add("sqlite", "holds", f"{total:,} rows of the kinds it keeps whole, as the tape makes them", count=total)
