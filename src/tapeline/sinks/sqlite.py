"""SQLite: `<data>/tapeline.sqlite`, one file that any tool opens and that can be read while it is written.

Rows and the tape position go into one transaction; WAL with synchronous=NORMAL, so that a `kill -9` loses nothing and a power
cut at most the last transactions, rows and position together: the tape gives them again.

What is left out, because it would fill the disk and say nothing new:
  * book updates. They are in the lake and on the tape.
  * a quote of origin "book" whose touch and flags, or metrics whose values and flags, equal the last one kept of that
    instrument: there is one after each book update, mostly the same. A row stands until the next one. What stands is committed with
    the rows (table `standing`), so that a restart leaves out the same rows. Quotes of origin "venue" are all kept. Samples of the
    metrics that are switched on, and the book's metrics after one update, are two rows of their own: each stands until the next
    of its kind.
  * earlier revisions of a bar: the table holds the latest one.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec

from tapeline.errors import ConfigError, IntegrityError
from tapeline.events import Bar, BookUpdate, Event, Metrics, Quote
from tapeline.sinks.hold import Hold
from tapeline.sinks.sqlite_schema import STATE, TABLES, VERSION, create, insert, widen
from tapeline.sinks.storable import storable, values_text

FILE = "tapeline.sqlite"
BUSY_SECONDS = 5.0

Standing = dict[tuple[str, str, str], tuple[Any, ...]]
"""(session, table, instrument) → the values of the last row kept. Samples stand as table `SAMPLES`."""
SAMPLES = "samples"

_VALUES: dict[type[Event], Callable[[Any], tuple[Any, ...]]] = {
    Quote: attrgetter("bid", "bid_size", "ask", "ask_size", "flags"),
    Metrics: attrgetter("mid", "spread", "spread_bps", "imbalance", "microprice", "flags"),
}
_OF_SAMPLE = attrgetter("mid", "spread", "spread_bps", "imbalance", "microprice", "flags", "values", "incomplete")
_INSERT = {event_type: insert(event_type) for event_type in TABLES}


class SqliteSink:
    name = "sqlite"

    def __init__(self, data: Path) -> None:
        self.path = Path(data) / FILE
        self._db: sqlite3.Connection | None = None
        self._hold: Hold | None = None
        self._standing: Standing = {}

    def open(self) -> None:
        self._hold = Hold(self.path.with_name(FILE + ".lock"))
        try:
            self._db = self._connect()
            self._standing = self._load_standing()
        except sqlite3.Error as e:
            self.close()
            raise ConfigError("data", str(self.path), f"cannot be used ({e}); make it writable, or move it away") from e
        except ConfigError:
            self.close()
            raise

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False)
        self._db = db
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA cache_size = -32000")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, VERSION):
            text = (
                f"has tables of version {version}, this program writes {VERSION}: move it away, it is made anew from the tape"
            )
            raise ConfigError("data", str(self.path), text)
        with _transaction(db):
            for event_type, table in TABLES.items():
                there = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
                for statement in widen(event_type, there):
                    db.execute(statement)
            for statement in (*STATE, *(s for t in TABLES for s in create(t)), f"PRAGMA user_version = {VERSION}"):
                db.execute(statement)
        return db

    def _load_standing(self) -> Standing:
        rows = self._open_db.execute("SELECT session, kind, instrument, row FROM standing")
        return {(s, k, i): tuple(msgspec.json.decode(row)) for s, k, i, row in rows}

    @property
    def _open_db(self) -> sqlite3.Connection:
        if self._db is None:
            raise IntegrityError("the SQLite sink is not open: call open() first")
        return self._db

    def position(self, session: str) -> int:
        row = self._open_db.execute("SELECT seq FROM positions WHERE session = ?", (session,)).fetchone()
        return -1 if row is None else int(row[0])

    def commit(self, session: str, seq: int, events: Sequence[Event]) -> None:
        if not self.path.exists():  # SQLite would go on writing what nobody will find
            raise OSError(f"{self.path} was removed while it was written; the next start makes it anew from the tape")
        if seq <= (stands := self.position(session)):
            raise IntegrityError(f"sqlite: frame {seq} of session {session} is not past the committed {stands}")
        try:
            self._write(session, seq, events)
        except (OverflowError, UnicodeEncodeError):
            self._write(session, seq, [storable(e) for e in events])

    def _write(self, session: str, seq: int, events: Sequence[Event]) -> None:
        changed: Standing = {}
        by_type = self._sort_out(session, events, changed)
        try:
            with _transaction(self._open_db) as db:
                for event_type, kept in by_type.items():
                    db.executemany(_INSERT[event_type], _rows(event_type, kept, session))
                db.executemany(
                    "INSERT OR REPLACE INTO standing VALUES (?, ?, ?, ?)",
                    [(*key, msgspec.json.encode(values).decode()) for key, values in changed.items()],
                )
                db.execute(
                    "INSERT INTO positions (session, seq) VALUES (?, ?) ON CONFLICT (session) DO UPDATE SET seq = excluded.seq",
                    (session, seq),
                )
        except sqlite3.Error as e:
            raise OSError(f"{self.path}: {e}") from e
        self._standing.update(changed)

    def _sort_out(self, session: str, events: Sequence[Event], changed: Standing) -> dict[type[Event], list[Event]]:
        """Events by type without those that are not kept; `changed` takes what stands afterwards."""
        by_type: dict[type[Event], list[Event]] = {t: [] for t in {type(e) for e in events} if t is not BookUpdate}
        for event in events:
            kind = type(event)
            if kind is BookUpdate:
                continue
            if isinstance(event, Metrics) or (isinstance(event, Quote) and event.origin == "book"):
                sample = isinstance(event, Metrics) and event.values is not None
                key = (session, SAMPLES if sample else TABLES[kind], event.instrument)
                values = (_OF_SAMPLE if sample else _VALUES[kind])(event)
                if values == (changed.get(key) or self._standing.get(key)):
                    continue
                changed[key] = values
            by_type[kind].append(event)
        return by_type

    def finished(self) -> Iterable[str]:
        return [row[0] for row in self._open_db.execute("SELECT session FROM positions WHERE finished")]

    def finish(self, session: str) -> None:
        try:
            with _transaction(self._open_db) as db:
                db.execute("DELETE FROM standing WHERE session = ?", (session,))
                db.execute(
                    "INSERT INTO positions VALUES (?, -1, 1) ON CONFLICT (session) DO UPDATE SET finished = 1", (session,)
                )
        except sqlite3.Error as e:
            raise OSError(f"{self.path}: {e}") from e
        self._standing = {key: values for key, values in self._standing.items() if key[0] != session}

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
        if self._hold is not None:
            self._hold.release()
            self._hold = None


class _transaction:  # noqa: N801 - reads as a statement
    """BEGIN IMMEDIATE … COMMIT, or ROLLBACK whatever went wrong."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    def __enter__(self) -> sqlite3.Connection:
        self.db.execute("BEGIN IMMEDIATE")
        return self.db

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.db.execute("COMMIT")
        finally:
            if self.db.in_transaction:
                with suppress(sqlite3.Error):
                    self.db.execute("ROLLBACK")


_AT_VALUES = Metrics.__struct_fields__.index("values")


def _rows(event_type: type[Event], events: list[Event], session: str) -> Iterable[tuple[Any, ...]]:
    astuple = msgspec.structs.astuple
    if event_type is Bar:
        return [(*astuple(e), session) for e in events]
    if event_type is Metrics:
        return map(_with_text, map(astuple, events))
    return map(astuple, events)


def _with_text(row: tuple[Any, ...]) -> tuple[Any, ...]:
    values = row[_AT_VALUES]
    return row if values is None else (*row[:_AT_VALUES], values_text(values), *row[_AT_VALUES + 1 :])
