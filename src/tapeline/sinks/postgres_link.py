"""The connection to PostgreSQL: how it is made, who else may have one, and how long it may stay silent.

Three nets under a server that does not answer, because each has holes. The server's own `statement_timeout`, which a stopped
server does not keep. TCP's keepalive and user timeout, which a stopped process does not trip, since its kernel still answers. And a
timer of ours that shuts the socket down, which ends any wait.

One writer: an advisory lock named after the schema, held by the connection. It is also the fence after a lost connection: a
backend that we gave up may still be about to commit, and until it has ended nobody gets the lock, so the position that is read
then is the true one. The lock is waited for a moment, because a killed program's backend takes one to notice.
"""

import hashlib
import socket
import threading
from types import TracebackType
from typing import Any

import msgspec
import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from tapeline.config import PostgresSettings
from tapeline.errors import ConfigError
from tapeline.keys import secret_of
from tapeline.masking import hide, mask

PASSWORD = "set TAPELINE_POSTGRES_PASSWORD, PGPASSWORD or ~/.pgpass"  # noqa: S105 - where it comes from
EXAMPLE = "write it as in postgresql://user@localhost:5432/market"


class Patience(msgspec.Struct, frozen=True):
    """Seconds: to connect, for one statement (the server's clock), for one call in all (ours), for another writer's lock."""

    connect: int = 5
    statement: float = 45.0
    call: float = 60.0
    lock: float = 3.0


class Address:
    """`postgres.url` taken apart, with the password from where it stands. Raises ConfigError; its text never shows a password."""

    def __init__(self, settings: PostgresSettings) -> None:
        self.shown = mask(settings.url)
        rest = settings.url.partition("://")[2].partition("?")[0]
        try:
            if "@" in rest.partition("/")[2]:  # the rest of a password with a slash in it was taken for a database
                raise psycopg.ProgrammingError
            self.options: dict[str, Any] = conninfo_to_dict(settings.url)
        except psycopg.Error:  # its text quotes pieces of a password that is not encoded
            text = f"is no address of PostgreSQL: {EXAMPLE}; a password does not belong there: {PASSWORD}"
            raise ConfigError("postgres.url", f"{settings.url.partition('://')[0]}://***", text) from None
        password = str(self.options.get("password") or "") or secret_of("postgres", "PASSWORD")
        if password:
            hide(password)
            self.options["password"] = password

    def connect(self, patience: Patience) -> psycopg.Connection:
        """Raises psycopg.OperationalError."""
        limits = {
            "connect_timeout": patience.connect,
            "tcp_user_timeout": int(patience.call * 1000),
            "keepalives_idle": 20,
            "keepalives_interval": 5,
            "keepalives_count": 4,
            "application_name": "tapeline",
        }
        db = psycopg.connect(**{**limits, **self.options}, autocommit=True, prepare_threshold=None)
        with Deadline(db, patience.call):
            for name, value in {
                "statement_timeout": f"{int(patience.statement * 1000)}ms",
                "lock_timeout": f"{int(patience.lock * 1000)}ms",
                "idle_in_transaction_session_timeout": f"{int(patience.call * 1000)}ms",
                "timezone": "UTC",
            }.items():
                db.execute("SELECT set_config(%s, %s, false)", (name, value))
        return db

    def refused(self, error: psycopg.Error) -> ConfigError:
        """What to say of a connection that did not come about."""
        said = in_words(error)
        if "password" in said or "authentication" in said or "pg_hba" in said:
            fix = f"the server does not let us in ({said}); {PASSWORD}"
        elif "does not exist" in said:
            fix = f"{said}; create it (createdb, createuser), or name another"
        else:
            fix = f"PostgreSQL cannot be reached ({said}); start it, or set another address"
        return ConfigError("postgres.url", self.shown, fix)


def in_words(error: psycopg.Error) -> str:
    """One line, masked: the server's own message without what it quotes, or the last line of libpq's."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = error.diag.message_primary or (lines[0] if lines else type(error).__name__)
    return mask(said)


def take_lock(db: psycopg.Connection, schema: str) -> bool:
    """False where another holds it for longer than `Patience.lock`."""
    number = int.from_bytes(hashlib.sha256(f"tapeline {schema}".encode()).digest()[:8], signed=True)
    try:
        db.execute("SELECT pg_advisory_lock(%s)", (number,))
    except errors.LockNotAvailable:
        return False
    return True


class Deadline:
    """Ends whatever waits for the server after `seconds`, by shutting the socket down; `expired` then says so."""

    def __init__(self, db: psycopg.Connection, seconds: float) -> None:
        self.seconds = seconds
        self.expired = False
        # a handle of our own: the connection's may be closed, and its number be another's, when the timer fires
        self._socket = socket.fromfd(db.fileno(), socket.AF_UNSPEC, socket.SOCK_STREAM)
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def _cut(self) -> None:
        self.expired = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:  # it has gone by itself
            return

    def __enter__(self) -> "Deadline":
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._timer.cancel()
        self._timer.join()
        self._socket.close()
