"""PostgreSQL: the tables of `postgres_schema`, written by COPY in one transaction with the tape position they reach.

    BEGIN · the position's row, which must still say what we read · COPY a table at a time · bars by upsert · COMMIT

A `kill -9` of us or of the server leaves all of it or nothing. Where the connection breaks during COMMIT nobody can know which;
the next `position` says, on a new connection, once the old one's lock is free (`postgres_link`). Should two writers get past the
lock (a pooler between us and the server hands locks out by the transaction), the condition on the position's row stops the second.

A connection that failed is thrown away; the next call makes another. Every event is kept, but of a bar only the latest revision.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import psycopg
import pyarrow as pa
from psycopg import errors, sql

from tapeline.config import PostgresSettings
from tapeline.errors import ConfigError, IntegrityError
from tapeline.events import Bar, Event
from tapeline.sinks import postgres_rows as rows
from tapeline.sinks import postgres_schema as schema
from tapeline.sinks.naming import TABLES
from tapeline.sinks.postgres_link import Address, Deadline, Patience, in_words, take_lock
from tapeline.sinks.postgres_setup import set_up
from tapeline.sinks.storable import storable

PATIENCE = Patience()

_MOVE = """
INSERT INTO {} AS old (session_id, seq, events, finished) VALUES (%(session)s, %(seq)s, %(events)s, false)
ON CONFLICT (session_id) DO UPDATE SET seq = excluded.seq, events = excluded.events WHERE old.seq = %(stands)s"""
_FINISH = """
INSERT INTO {} (session_id, seq, events, finished) VALUES (%s, -1, 0, true) ON CONFLICT (session_id) DO UPDATE SET finished = true"""


class PostgresSink:
    name = "postgres"

    def __init__(self, settings: PostgresSettings, patience: Patience = PATIENCE) -> None:
        self._schema, self._patience = settings.schema, patience
        self._address = Address(settings)
        self._positions = sql.Identifier(settings.schema, schema.POSITIONS)
        self._db: psycopg.Connection | None = None
        self._opened = False

    def open(self) -> None:
        try:
            db = self._address.connect(self._patience)
        except psycopg.Error as e:
            raise self._address.refused(e) from e
        self._db = db
        try:
            with self._timed(db):
                self._prepare(db)
        except psycopg.Error as e:
            self.close()
            raise self._unusable(e) from e
        except ConfigError:
            self.close()
            raise
        except OSError as e:
            self.close()
            raise ConfigError("postgres.url", self._address.shown, f"{e}; start it anew, or set another address") from e
        self._opened = True

    def _prepare(self, db: psycopg.Connection) -> None:
        if not take_lock(db, self._schema):
            raise ConfigError("postgres.schema", self._schema, "another tapeline writes there; stop it, or set another schema")
        set_up(db, self._schema)
        db.execute(schema.stage(self._schema))

    def _unusable(self, error: psycopg.Error) -> ConfigError:
        said = in_words(error)
        if isinstance(error, errors.InsufficientPrivilege):
            said += "; GRANT it (CREATE ON DATABASE, CREATE ON SCHEMA, TEMPORARY ON DATABASE), or set a schema that may be used"
        elif isinstance(error, errors.ReadOnlySqlTransaction):
            said += "; name a server that may be written, no standby, and no user with default_transaction_read_only"
        else:
            said += "; set another schema, or move what is there away"
        return ConfigError("postgres.schema", self._schema, f"cannot be used: {said}")

    def position(self, session: str) -> int:
        with self._calling() as db:
            return self._standing(db, session)[0]

    def _standing(self, db: psycopg.Connection, session: str) -> tuple[int, int]:
        """The last frame and the number of events committed."""
        found = db.execute(
            sql.SQL("SELECT seq, events FROM {} WHERE session_id = %s").format(self._positions), (session,)
        ).fetchone()
        return (-1, 0) if found is None else (int(found[0]), int(found[1]))

    def commit(self, session: str, seq: int, events: Sequence[Event]) -> None:
        try:
            self._write(session, seq, events)
        except (OverflowError, ValueError, psycopg.DataError):
            try:
                self._write(session, seq, [rows.without_nul(storable(e)) for e in events])
            except psycopg.DataError as e:
                raise OSError(f"PostgreSQL at {self._address.shown}: {in_words(e)}") from e

    def _write(self, session: str, seq: int, events: Sequence[Event]) -> None:
        with self._calling() as db:
            stands, count = self._standing(db, session)
            if seq <= stands:
                raise IntegrityError(f"postgres: frame {seq} of session {session} is not past the committed {stands}")
            tables = self._tables(session, events, count)
            with db.transaction():
                to = {"session": session, "seq": seq, "events": count + len(events), "stands": stands}
                if db.execute(sql.SQL(_MOVE).format(self._positions), to).rowcount != 1:
                    raise IntegrityError(
                        f"postgres: session {session} is no longer at frame {stands}: somebody else wrote to it"
                    )
                for event_type, table in tables.items():
                    self._copy(db, event_type, table)

    def _tables(self, session: str, events: Sequence[Event], first: int) -> dict[type[Event], pa.Table]:
        sorted_out: dict[type[Event], tuple[list[Event], list[int]]] = {}
        for n, event in enumerate(events, first):
            kept, numbers = sorted_out.setdefault(type(event), ([], []))
            kept.append(event)
            numbers.append(n)
        return {t: rows.table(t, kept, numbers, session) for t, (kept, numbers) in sorted_out.items()}

    def _copy(self, db: psycopg.Connection, event_type: type[Event], table: pa.Table) -> None:
        if event_type is Bar:
            db.execute(schema.stage(self._schema))
        parts = (self._schema, TABLES[event_type]) if event_type is not Bar else ("pg_temp", schema.STAGE)
        statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(sql.Identifier(*parts), schema.names(event_type))
        with db.cursor() as cursor:
            with cursor.copy(statement) as copy:
                copy.write(rows.csv(table))
            if cursor.rowcount != len(table):
                raise IntegrityError(f"postgres: {cursor.rowcount} of {len(table)} {TABLES[event_type]} arrived")
        if event_type is Bar:
            db.execute(schema.upsert_bars(self._schema))

    def finished(self) -> Iterable[str]:
        with self._calling() as db:
            return [row[0] for row in db.execute(sql.SQL("SELECT session_id FROM {} WHERE finished").format(self._positions))]

    def finish(self, session: str) -> None:
        with self._calling() as db:
            db.execute(sql.SQL(_FINISH).format(self._positions), (session,))

    @contextmanager
    def _calling(self) -> Iterator[psycopg.Connection]:
        """The connection, made anew where it was lost, with a deadline on all of it. Raises OSError for what the server says no to,
        but psycopg.DataError as it is: the events are at fault there.
        """
        try:
            db = self._db or self._again()
            with self._timed(db):
                yield db
        except psycopg.DataError:
            raise
        except psycopg.Error as e:
            raise OSError(f"PostgreSQL at {self._address.shown}: {in_words(e)}") from e

    @contextmanager
    def _timed(self, db: psycopg.Connection) -> Iterator[None]:
        deadline = None
        try:
            with Deadline(db, self._patience.call) as deadline:
                yield
        except (psycopg.OperationalError, psycopg.InterfaceError) as e:
            self._drop()
            if deadline is not None and deadline.expired:
                text = f"PostgreSQL at {self._address.shown} did not answer within {deadline.seconds:g} s"
                raise OSError(text) from e
            raise

    def _again(self) -> psycopg.Connection:
        if not self._opened:
            raise IntegrityError("the PostgreSQL sink is not open: call open() first")
        db = self._db = self._address.connect(self._patience)
        with self._timed(db):
            if not take_lock(db, self._schema):
                self._drop()
                raise OSError(
                    f"PostgreSQL, schema {self._schema}: another tapeline, or our lost connection, still writes there"
                )
        return db

    def _drop(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def close(self) -> None:
        self._opened = False
        self._drop()
