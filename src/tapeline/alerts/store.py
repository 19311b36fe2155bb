"""`alerts.sqlite` beside the data: rules that were added, the state of each rule, the history, and the outbox.

An alert is one transaction: its line of the history, the states of the rules and one delivery a target (`commit`). A delivery is

    waiting ──begin──▶ sending ──▶ sent
       ▲                  ├──▶ failed      tried `alerts.attempts` times
       └──────────────────┘  waiting again, later
    dropped: the outbox was full; the alert stands in the history all the same

What is found `sending` by the next start was under way when the program died. Whether it arrived cannot be known: it is sent again,
`doubtful`, in a message of the same id and content, so that a receiver can tell. Deliveries that were put into one message stay in
one: `message` is its id.

One thread uses a store; other processes (`tapeline alerts add`) may write beside it, and `changed` tells when they did. Bounded: the
outbox by `alerts.outbox`, the history by `alerts.history`, the attempts by ATTEMPTS_KEPT.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from tapeline.config import RuleSettings
from tapeline.errors import ConfigError, UsageError
from tapeline.events import Alert, from_json, to_json
from tapeline.masking import mask
from tapeline.statefile import connect, transaction

FILE = "alerts.sqlite"


def unusable(data: Path, error: sqlite3.Error) -> ConfigError:
    """What SQLite says of the file, for whoever named the directory."""
    fix = "make it readable and writable, or move it away (rules that were added and the history go with it)"
    return ConfigError("data", str(data), f"the alerts' file {data / FILE} cannot be used: {error}; {fix}")


VERSION = 1
ATTEMPTS_KEPT = 20_000
Outcome = Literal["waiting", "sending", "sent", "failed", "dropped"]

_TABLES = """
CREATE TABLE IF NOT EXISTS rules (name TEXT PRIMARY KEY, settings TEXT NOT NULL, added INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS muted (name TEXT PRIMARY KEY, since INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS states (name TEXT PRIMARY KEY, state BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS history (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL, state TEXT NOT NULL, rule TEXT NOT NULL, instrument TEXT NOT NULL,
    severity TEXT NOT NULL, ts_event INTEGER NOT NULL, event BLOB NOT NULL,
    session TEXT, seq INTEGER, published INTEGER NOT NULL DEFAULT 0, UNIQUE (id, state)
) STRICT;
CREATE INDEX IF NOT EXISTS unpublished ON history (n) WHERE NOT published;
CREATE INDEX IF NOT EXISTS history_of_rule ON history (rule, n);
CREATE INDEX IF NOT EXISTS history_by_time ON history (ts_event);
CREATE TABLE IF NOT EXISTS outbox (
    n INTEGER PRIMARY KEY, alert INTEGER NOT NULL REFERENCES history (n) ON DELETE CASCADE, target TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'waiting', due INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, message TEXT,
    doubtful INTEGER NOT NULL DEFAULT 0, error TEXT NOT NULL DEFAULT '', ended INTEGER, UNIQUE (alert, target)
) STRICT;
CREATE INDEX IF NOT EXISTS open_deliveries ON outbox (target, n) WHERE status IN ('waiting', 'sending');
CREATE TABLE IF NOT EXISTS attempts (
    n INTEGER PRIMARY KEY, message TEXT NOT NULL, target TEXT NOT NULL, began INTEGER NOT NULL, ended INTEGER, error TEXT
) STRICT;
"""

_COUNT_OPEN = "SELECT count(*) FROM outbox WHERE status IN ('waiting', 'sending')"
_DEPTHS = "SELECT target, count(*) FROM outbox WHERE status IN ('waiting', 'sending') GROUP BY target"
_TRIM = """
DELETE FROM history WHERE n <= (SELECT max(n) FROM history) - ? AND session IS NOT NULL
AND NOT EXISTS (SELECT 1 FROM outbox WHERE alert = history.n AND status IN ('waiting', 'sending'))
"""

_STRAND = """
UPDATE outbox SET status = 'failed', error = 'there is no such target any more'
WHERE status IN ('waiting', 'sending') AND target NOT IN ({})
"""

_REARM = """
UPDATE states SET state = CAST(json_remove(CAST(state AS TEXT), '$.spent') AS BLOB)
WHERE name = ? AND json_valid(CAST(state AS TEXT))
"""


class Added(msgspec.Struct, frozen=True):
    """A rule that was added at run time. `added` is ns UTC."""

    name: str
    settings: RuleSettings
    added: int


class Delivery(msgspec.Struct, frozen=True):
    """One alert on its way to one target."""

    n: int
    alert: Alert
    attempts: int
    message: str | None
    doubtful: bool


class Store:
    """Raises sqlite3.Error from every method, and ConfigError where the file is of another version."""

    def __init__(self, data: Path) -> None:
        self.path = data / FILE
        self._db = connect(self.path, VERSION, "data", str(self.path), "and add the rules again that were added by hand")
        self._db.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
        self._db.execute("PRAGMA foreign_keys = ON")
        self._seen = self._data_version()

    def close(self) -> None:
        self._db.close()

    def _data_version(self) -> int:
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def changed(self) -> bool:
        """Whether another process has written since the last call."""
        before, self._seen = self._seen, self._data_version()
        return before != self._seen

    # Rules

    def rules(self) -> list[Added]:
        rows = self._db.execute("SELECT name, settings, added FROM rules ORDER BY added, name")
        return [Added(name, msgspec.json.decode(text, type=RuleSettings), added) for name, text, added in rows]

    def add(self, name: str, settings: RuleSettings, now: int) -> None:
        """Raises UsageError where the name is taken."""
        try:
            with transaction(self._db) as cursor:
                cursor.execute("INSERT INTO rules VALUES (?, ?, ?)", (name, msgspec.json.encode(settings).decode(), now))
                cursor.execute("DELETE FROM states WHERE name = ?", (name,))
                cursor.execute("DELETE FROM muted WHERE name = ?", (name,))
        except sqlite3.IntegrityError:
            raise UsageError(
                f"there is a rule {name} already: `tapeline alerts rm {name}` removes it, or give another --name"
            ) from None

    def change(self, name: str, settings: RuleSettings) -> bool:
        """Other settings for a rule that was added, which stays muted if it is. Whether there is such a rule."""
        with transaction(self._db) as cursor:
            found = cursor.execute(
                "UPDATE rules SET settings = ? WHERE name = ?", (msgspec.json.encode(settings).decode(), name)
            )
            if found.rowcount:
                cursor.execute("DELETE FROM states WHERE name = ?", (name,))
        return found.rowcount > 0

    def remove(self, name: str) -> bool:
        """Whether there was such a rule. Its history stays, and what is to be sent is still sent."""
        with transaction(self._db) as cursor:
            gone = cursor.execute("DELETE FROM rules WHERE name = ?", (name,)).rowcount > 0
            if gone:
                cursor.execute("DELETE FROM states WHERE name = ?", (name,))
                cursor.execute("DELETE FROM muted WHERE name = ?", (name,))
        return gone

    def mute(self, name: str, now: int | None) -> None:
        """`now` None: no longer; then a rule that was to be raised once, and was, may be raised again."""
        if now is not None:
            self._db.execute("INSERT OR IGNORE INTO muted VALUES (?, ?)", (name, now))
            return
        with transaction(self._db) as cursor:
            if cursor.execute("DELETE FROM muted WHERE name = ?", (name,)).rowcount:
                cursor.execute(_REARM, (name,))

    def muted(self) -> dict[str, int]:
        """Since when, ns UTC."""
        return dict(self._db.execute("SELECT name, since FROM muted"))

    def states(self) -> dict[str, bytes]:
        return dict(self._db.execute("SELECT name, state FROM states"))

    # An alert

    def commit(
        self, alerts: Sequence[tuple[Alert, Sequence[str]]], states: Mapping[str, bytes], now: int, *, outbox: int, history: int
    ) -> int:
        """Alerts with the targets of each, and the states of rules, at once. An alert that is there already is passed over.

        `outbox` deliveries may wait, `history` alerts are kept. The number of deliveries for which there was no room.
        """
        with transaction(self._db) as cursor:
            room = outbox - cursor.execute(_COUNT_OPEN).fetchone()[0]
            dropped = 0
            for alert, targets in alerts:
                n = self._write(cursor, alert)
                for target in targets if n is not None else ():
                    status, room = ("waiting", room - 1) if room > 0 else ("dropped", room)
                    dropped += status == "dropped"
                    cursor.execute(
                        "INSERT INTO outbox (alert, target, status, due) VALUES (?, ?, ?, ?)", (n, target, status, now)
                    )
            cursor.executemany("INSERT OR REPLACE INTO states VALUES (?, ?)", list(states.items()))
            if alerts:
                self._trim(cursor, history)
        return dropped

    def _write(self, cursor: sqlite3.Cursor, alert: Alert) -> int | None:
        row = (alert.id or "", alert.state, alert.rule, alert.instrument, alert.severity or "", alert.ts_event, to_json(alert))
        cursor.execute(
            "INSERT OR IGNORE INTO history (id, state, rule, instrument, severity, ts_event, event) VALUES (?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        return cursor.lastrowid if cursor.rowcount else None

    def _trim(self, cursor: sqlite3.Cursor, keep: int) -> None:
        """The oldest go, but for what is still to be sent or published."""
        cursor.execute(
            _TRIM,
            (keep,),
        )
        cursor.execute("DELETE FROM attempts WHERE n <= (SELECT max(n) FROM attempts) - ?", (ATTEMPTS_KEPT,))

    def placed(self, alerts: Iterable[Alert], session: str, seq: int) -> None:
        """They stand on the tape of `session`, at `seq` or before, if it has come so far. The disk is not waited for: a crash of the
        machine that forgets it takes the tape's last moment, too.
        """
        self._db.execute("PRAGMA synchronous = NORMAL")
        try:
            with transaction(self._db) as cursor:
                cursor.executemany(
                    "UPDATE history SET session = ?, seq = ? WHERE id = ? AND state = ?",
                    [(session, seq, a.id or "", a.state) for a in alerts],
                )
        finally:
            self._db.execute("PRAGMA synchronous = FULL")

    def unpublished(self, reached: Mapping[str, int]) -> list[Alert]:
        """Those that are not on the tape, oldest first. `reached`: how far the tape of each earlier session goes; one that is not
        there any more had them.
        """
        with transaction(self._db) as cursor:
            rows = cursor.execute("SELECT n, session, seq FROM history WHERE NOT published AND session IS NOT NULL").fetchall()
            there = [(n,) for n, session, seq in rows if reached.get(session, seq) >= seq]
            cursor.executemany("UPDATE history SET published = 1 WHERE n = ?", there)
        return [_alert(raw) for (raw,) in self._db.execute("SELECT event FROM history WHERE NOT published ORDER BY n")]

    # What is shown

    def history(
        self,
        *,
        start: int = 0,
        end: int = 2**63 - 1,
        rule: str = "",
        instrument: str = "",
        severities: Sequence[str] = (),
        limit: int = 500,
    ) -> list[dict[str, Any]]:
        """The newest first: `event` (an Alert) and `deliveries`, of alerts with `start` <= `ts_event` < `end`."""
        where = ["ts_event >= ?", "ts_event < ?"]
        values: list[Any] = [start, end]
        for column, value in (("rule", rule), ("instrument", instrument)):
            if value:
                where.append(f"{column} = ?")
                values.append(value)
        if severities:
            where.append(f"severity IN ({', '.join('?' * len(severities))})")
            values += severities
        rows = self._db.execute(
            f"SELECT n, event FROM history WHERE {' AND '.join(where)} ORDER BY n DESC LIMIT ?",  # noqa: S608  only our own words
            (*values, limit),
        ).fetchall()
        return [{"event": _alert(raw), "deliveries": self._deliveries(n)} for n, raw in rows]

    def _deliveries(self, alert: int) -> list[dict[str, Any]]:
        rows = self._db.execute(
            "SELECT target, status, attempts, error, ended FROM outbox WHERE alert = ? ORDER BY n", (alert,)
        )
        return [dict(zip(("target", "status", "attempts", "error", "ended"), row, strict=True)) for row in rows]

    def depths(self) -> dict[str, int]:
        """Target → deliveries that are still to be made."""
        return dict(self._db.execute(_DEPTHS))

    def counts(self) -> dict[str, dict[str, int]]:
        """Target → status → how many."""
        counts: dict[str, dict[str, int]] = {}
        for target, status, n in self._db.execute("SELECT target, status, count(*) FROM outbox GROUP BY 1, 2"):
            counts.setdefault(target, {})[status] = n
        return counts

    def attempts(self, limit: int = 100) -> list[dict[str, Any]]:
        """The newest first; `error` is empty where it went through, None where its end is not known."""
        rows = self._db.execute("SELECT message, target, began, ended, error FROM attempts ORDER BY n DESC LIMIT ?", (limit,))
        return [dict(zip(("message", "target", "began", "ended", "error"), row, strict=True)) for row in rows]

    # The outbox

    def revive(self, now: int) -> int:
        """At the start: what was under way when the program died is doubtful, and is sent again. How many."""
        return self._db.execute(
            "UPDATE outbox SET status = 'waiting', doubtful = 1, due = min(due, ?) WHERE status = 'sending'", (now,)
        ).rowcount

    def waiting(self, target: str, limit: int) -> tuple[list[Delivery], int | None]:
        """What may be sent next, oldest first, and when, ns UTC; one message's deliveries where a message is to be tried again.
        None where nothing waits.
        """
        rows = self._db.execute(
            "SELECT o.n, h.event, o.attempts, o.message, o.doubtful, o.due FROM outbox o JOIN history h ON h.n = o.alert "
            "WHERE o.target = ? AND o.status = 'waiting' AND o.status IN ('waiting', 'sending') ORDER BY o.n LIMIT ?",
            (target, limit),
        ).fetchall()
        again = [row for row in rows if row[3] is not None]
        if again:
            rows = [row for row in again if row[3] == again[0][3]]
        return [Delivery(n, _alert(raw), tries, message, bool(doubt)) for n, raw, tries, message, doubt, _ in rows], (
            rows[0][5] if rows else None
        )

    def begin(self, deliveries: Sequence[Delivery], message: str, target: str, now: int) -> int:
        """From here on the message may have arrived, whatever happens. The attempt's number."""
        with transaction(self._db) as cursor:
            cursor.executemany(
                "UPDATE outbox SET status = 'sending', message = ?, attempts = attempts + 1 WHERE n = ?",
                [(message, d.n) for d in deliveries],
            )
            cursor.execute("INSERT INTO attempts (message, target, began) VALUES (?, ?, ?)", (message, target, now))
            return int(cursor.lastrowid or 0)

    def end(self, deliveries: Sequence[Delivery], attempt: int, now: int, outcome: Outcome, error: str, due: int) -> None:
        """How it ended. `due`: when it is tried again, of one that is `waiting`."""
        error = mask(error)
        with transaction(self._db) as cursor:
            cursor.executemany(
                "UPDATE outbox SET status = ?, error = ?, due = ?, doubtful = 0, ended = ? WHERE n = ?",
                [(outcome, error, due, None if outcome == "waiting" else now, d.n) for d in deliveries],
            )
            cursor.execute("UPDATE attempts SET ended = ?, error = ? WHERE n = ?", (now, error, attempt))

    def strand(self, targets: Iterable[str]) -> int:
        """What waits for a target that there is no more is given up. How many."""
        known = list(targets)
        marks = ", ".join("?" * len(known))
        return self._db.execute(_STRAND.format(marks), known).rowcount


def _alert(raw: bytes) -> Alert:
    event = from_json(raw)
    if not isinstance(event, Alert):
        raise ConfigError("data", FILE, "holds an event that is no alert: move the file away")
    return event
