"""QuestDB: the tables of `questdb_schema`, written over HTTP by QuestDB's own client.

QuestDB has transactions over one table, not over several, so exactly once is reached another way:

    rows, a table after the other ──▶ position          a crash in between, and the same rows are sent again
    DEDUP UPSERT KEYS (timestamp, session_id, n)         and replace themselves

`n` counts from the position's own row, and a replay gives the same events in the same order, so a row that is sent again has
the same keys whatever the commits it comes in. After a crash rows past the position may be there already; they are never there
twice. What was written becomes visible a moment later (WAL), so a position that is read at start may be an old one: then more
is sent again, with the same result. While we run, the position is what we wrote.

QuestDB has no locks. The data directory is held against a second process; two directories may share tables, because their
sessions differ. A commit is as durable as `cairo.commit.mode` makes it: with QuestDB's default a power cut can take rows whose
position survives. Every event is kept, every revision of a bar too.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from questdb import QuestDBError, QuestDBErrorCode, Sender, TimestampNanos

from tapeline.config import QuestdbSettings
from tapeline.errors import ConfigError, IntegrityError
from tapeline.events import BookUpdate, Event, Metrics
from tapeline.lake.layout import placed_at
from tapeline.sinks import questdb_schema as schema
from tapeline.sinks.messages import Claim
from tapeline.sinks.questdb_http import ANSWER_SECONDS, Door, Refused
from tapeline.sinks.storable import storable, values_text

REQUEST_BYTES = 8 << 20
"""A transaction of one table is sent once it is this long. Several may make one commit: rows before their position do no harm."""
_PROTOCOL_OF_ARRAYS = 2
_DENIED = (401, 403)


class QuestdbSink:
    name = "questdb"

    def __init__(self, data: Path, settings: QuestdbSettings, seconds: float = ANSWER_SECONDS) -> None:
        """`seconds`: for one answer of the server."""
        self._data, self._prefix = Path(data), settings.prefix
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,99}", settings.prefix):
            raise ConfigError(
                "questdb.prefix", settings.prefix, "a prefix is up to 100 letters, digits and _, and begins with no digit"
            )
        self._door = Door(settings, seconds)
        self._claim: Claim | None = None
        self._sender: Sender | None = None
        self._known: dict[str, tuple[int, int, bool]] = {}
        """Session → frame, events and whether it is finished, as read or written last."""

    def open(self) -> None:
        self._claim = Claim(self._data, self.name)
        self._known.clear()
        try:
            self._set_up()
            self._check_version(self._ready().protocol_version)
        except ConfigError:
            self.close()
            raise
        except OSError as e:
            self.close()
            raise self._unusable(e) from e

    def _check_version(self, spoken: int) -> None:
        if spoken < _PROTOCOL_OF_ARRAYS:
            text = f"the server speaks version {spoken} of the line protocol only; QuestDB 9.1 or newer is needed"
            raise ConfigError("questdb.address", self._door.shown, text)

    def _unusable(self, error: OSError) -> ConfigError:
        if isinstance(error, Refused) and error.status in _DENIED:
            fix = f"{error}; set TAPELINE_QUESTDB_TOKEN, or questdb.user and TAPELINE_QUESTDB_PASSWORD, of one who may make tables"
        elif isinstance(error, Refused):
            fix = f"{error}; it must be QuestDB 9.1 or newer; set another questdb.prefix where tables of that name are not ours"
        else:
            fix = f"{error}; start it, or set another address"
        return ConfigError("questdb.address", self._door.shown, fix)

    def _set_up(self) -> None:
        for bare, (wanted, keys) in schema.tables().items():
            table = self._prefix + bare
            self._door.execute(schema.create(table, wanted, keys, schema.partition(bare)))
            there = {row[0]: row[1:] for row in self._door.execute(schema.described(table))}
            for column, kind in wanted.items():
                if column not in there:
                    self._door.execute(f'ALTER TABLE "{table}" ADD COLUMN "{column}" {kind}')
                elif there[column][0] != kind:
                    raise self._shape(f"column {column} of {table} is {there[column][0]}, not {kind}")
            if {column for column, row in there.items() if row[2]} != set(keys):
                raise self._shape(f"{table} does not have DEDUP UPSERT KEYS({', '.join(keys)})")

    def _shape(self, what: str) -> ConfigError:
        return ConfigError(
            "questdb.prefix", self._prefix, f"{what}: it was not made by us; move it away, or set another prefix"
        )

    def _ready(self) -> Sender:
        self._check_open()
        if self._sender is None:
            self._sender = self._door.sender()
        return self._sender

    def _check_open(self) -> None:
        if self._claim is None:
            raise IntegrityError("the QuestDB sink is not open: call open() first")

    def position(self, session: str) -> int:
        return self._standing(session)[0]

    def _standing(self, session: str) -> tuple[int, int, bool]:
        self._check_open()
        if session not in self._known:
            quoted = session.replace("'", "''")
            rows = self._door.execute(
                f"SELECT seq, events, finished FROM \"{self._prefix}{schema.POSITIONS}\" WHERE session_id = '{quoted}'"  # noqa: S608
            )
            self._known[session] = (int(rows[0][0]), int(rows[0][1]), bool(rows[0][2])) if rows else (-1, 0, False)
        return self._known[session]

    def commit(self, session: str, seq: int, events: Sequence[Event]) -> None:
        stands, count, finished = self._standing(session)
        if seq <= stands:
            raise IntegrityError(f"questdb: frame {seq} of session {session} is not past the committed {stands}")
        try:
            self._send(session, count, events)
        except (OverflowError, ValueError):
            self._drop()
            self._send(session, count, [storable(e) for e in events])
        self._place(session, seq, count + len(events), finished=finished)

    def _send(self, session: str, first: int, events: Sequence[Event]) -> None:
        by_type: dict[type[Event], list[tuple[int, Event]]] = {}
        for n, event in enumerate(events, first):
            by_type.setdefault(type(event), []).append((n, event))
        try:
            for event_type, numbered in by_type.items():
                self._send_table(session, event_type, numbered)
        except QuestDBError as e:
            self._drop()
            if e.code is QuestDBErrorCode.InvalidUtf8:
                raise ValueError(str(e)) from e
            raise self._door.trouble(e) from e

    def _send_table(self, session: str, event_type: type[Event], numbered: list[tuple[int, Event]]) -> None:
        sender, table = self._ready(), self._prefix + schema.name_of(event_type)
        few = schema.symbols(event_type)
        rest = [name for name in event_type.__struct_fields__ if name not in few]
        rows = iter(numbered)
        sent = 0
        while sent < len(numbered):
            with sender.transaction(table) as transaction:
                for n, event in rows:
                    symbols: dict[str, str | None] = {name: getattr(event, name) or None for name in few}
                    symbols["session_id"] = session
                    values: dict[str, Any] = {name: getattr(event, name) for name in rest}
                    if event_type is BookUpdate:
                        values["bids"], values["asks"] = _levels(values["bids"]), _levels(values["asks"])
                    elif event_type is Metrics and values["values"] is not None:
                        values["values"] = values_text(values["values"])
                    values["flags"], values["n"] = int(event.flags), n  # the client wants plain numbers
                    transaction.row(symbols=symbols, columns=values, at=TimestampNanos(_time(event)))
                    sent += 1
                    if len(sender) >= REQUEST_BYTES:
                        break

    def _place(self, session: str, seq: int, events: int, *, finished: bool) -> None:
        columns: dict[str, Any] = {"seq": seq, "events": events, "finished": finished}
        try:
            with self._ready().transaction(self._prefix + schema.POSITIONS) as transaction:
                transaction.row(symbols={"session_id": session}, columns=columns, at=TimestampNanos(0))
        except QuestDBError as e:
            self._drop()
            raise self._door.trouble(e) from e
        self._known[session] = (seq, events, finished)

    def finished(self) -> Iterable[str]:
        self._check_open()
        rows = self._door.execute(f'SELECT session_id FROM "{self._prefix}{schema.POSITIONS}" WHERE finished')  # noqa: S608
        return sorted({str(row[0]) for row in rows} | {s for s, (_, _, done) in self._known.items() if done})

    def finish(self, session: str) -> None:
        seq, events, _ = self._standing(session)
        self._place(session, seq, events, finished=True)

    def _drop(self) -> None:
        """A sender that failed may hold rows; they come again."""
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.close(flush=False)

    def close(self) -> None:
        self._drop()
        if self._claim is not None:
            self._claim.release()
            self._claim = None


def _levels(side: list[tuple[float, float]]) -> "np.ndarray[Any, np.dtype[np.float64]] | None":
    """Prices in the first row, sizes in the second."""
    return np.array(side, np.float64).T.copy() if side else None


def _time(event: Event) -> int:
    return max(placed_at(event), 0)  # a timestamp of QuestDB's has no sign
