"""Redis streams: an entry an event (`sinks/messages.py` says what it holds), a stream a kind and instrument.

    tapeline:trade:binance:BTC-USDT    entries with the fields type, session, n, seq, event
    tapeline:positions                 a hash: how far each session has come
    tapeline:writer                    who writes, for LEASE_SECONDS after each commit

Entries and position go into one MULTI/EXEC, which Redis carries out wholly or not at all, also across its own crash where it keeps
an append-only file. A commit of many events is several of them, with what is out already in the position (`ahead`), because an
EXEC stands in the way of every other client for as long as it runs.

WATCH makes each of them depend on the position and the writer being what we believe. If the position is not (FLUSHALL, a restart
without persistence, a failover to a replica that was behind), the commit is refused, `position` tells what is there now, and
the runner begins again from the tape: the loss of entries and of the position go together, because both live in the same place.
What was trimmed (`redis.most_entries`) is not lost: the position stands.

No attempt is ever repeated behind our back (no retries in the client): an EXEC whose answer was lost may have been carried out, and
only the position tells. Not supported: Redis Cluster, where the keys of one transaction lie on several servers.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tapeline.config import RedisSettings
from tapeline.errors import ConfigError, IntegrityError
from tapeline.events import Event
from tapeline.keys import secret_of
from tapeline.masking import mask
from tapeline.sinks.messages import Claim, Message, Reached, check_follows, decode, encode, messages, portions

if TYPE_CHECKING:
    from redis import Redis
    from redis.client import Pipeline

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 5.0
LEASE_SECONDS = 30
EXEC_EVENTS = 5_000
EXEC_BYTES = 16 << 20


class RedisSink:
    name = "redis"

    def __init__(self, data: Path, settings: RedisSettings) -> None:
        self._data, self._settings = Path(data), settings
        self._positions, self._writer = f"{settings.prefix}:positions", f"{settings.prefix}:writer"
        self._claim: Claim | None = None
        self._id = b""
        self._redis: Redis | None = None
        self._known: dict[str, Reached] = {}
        """What we have read or written last, session by session: the server must still say so at the next commit."""

    def open(self) -> None:
        self._claim = Claim(self._data, self.name)
        self._id = self._claim.writer.encode()
        try:
            self._redis = self._connect()
            self._check(self._redis)
        except BaseException:
            self.close()
            raise

    def _connect(self) -> "Redis":
        try:
            from redis import Redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError as e:
            raise ConfigError("sinks.redis", True, f"{e.name} is not installed: `pip install 'tapeline[redis]'`") from None
        more: dict[str, Any] = {"password": secret} if (secret := secret_of("redis", "PASSWORD")) else {}
        try:
            return Redis.from_url(
                self._settings.address,
                socket_connect_timeout=CONNECT_SECONDS,
                socket_timeout=ANSWER_SECONDS,
                retry=Retry(NoBackoff(), 0),
                **more,
            )
        except ValueError:  # its text may quote a piece of a password that is not encoded
            text = "is no address: write redis://HOST:PORT/DATABASE; a password belongs into TAPELINE_REDIS_PASSWORD"
            raise self._unusable(text) from None

    def _check(self, redis: "Redis") -> None:
        """Everything that would stop the first commit, asked for beforehand."""
        from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

        try:
            if redis.info("cluster").get("cluster_enabled"):
                raise self._unusable("is a Redis Cluster, which is not supported: name a single server")
            self._take(redis)
            redis.xadd(f"{self._settings.prefix}:trade:_:_", {"may": "we"}, nomkstream=True)
            redis.hgetall(self._positions)
        except AuthenticationError as e:
            raise self._unusable(f"lets nobody in ({e}): set TAPELINE_REDIS_PASSWORD, and the user in the address") from None
        except NoPermissionError as e:
            text = f"does not allow it ({e}): give the user the keys {self._settings.prefix}:* and the commands that sinks.md names"
            raise self._unusable(text) from None
        except (RedisError, OSError) as e:
            raise self._unusable(f"cannot be used ({_one_line(e)}): start it, or set another address") from None

    def _unusable(self, text: str) -> ConfigError:
        return ConfigError("redis.address", mask(self._settings.address), mask(text))

    def _take(self, redis: "Redis") -> None:
        """Become the writer, unless another data directory has been within the last LEASE_SECONDS."""
        if not redis.set(self._writer, self._id, px=LEASE_SECONDS * 1000, nx=True):
            self._check_writer(redis.get(self._writer))

    def _check_writer(self, holder: Any) -> None:
        if holder is not None and holder != self._id:
            raise ConfigError(
                "redis.prefix",
                self._settings.prefix,
                f"another tapeline writes there, from another data directory; stop it and wait {LEASE_SECONDS} s, "
                "or set another prefix",
            )

    @property
    def _open_redis(self) -> "Redis":
        if self._redis is None:
            raise IntegrityError("the Redis sink is not open: call open() first")
        return self._redis

    def position(self, session: str) -> int:
        with self._as_oserror():
            raw: Any = self._open_redis.hget(self._positions, session)
        self._known[session] = decode(raw, self._positions)
        return self._known[session].seq

    def commit(self, session: str, seq: int, events: Sequence[Event]) -> None:
        if session not in self._known:
            self.position(session)
        stands = self._known[session]
        check_follows(self.name, session, seq, stands)
        rest = len(events) - stands.ahead
        out = messages(events, stands)
        with self._as_oserror():
            for portion in portions(out, EXEC_EVENTS, EXEC_BYTES):
                rest -= len(portion)
                goal = stands.advanced(len(portion))
                goal = goal if rest else goal.past(seq, len(events))
                self._execute(session, seq, portion, stands, goal)
                stands = goal
            if stands.seq < seq:
                self._execute(session, seq, (), stands, stands.past(seq, len(events)))

    def _execute(self, session: str, seq: int, portion: Iterable[Message], stands: Reached, goal: Reached) -> None:
        """One transaction, from `stands` to `goal`."""
        with self._open_redis.pipeline(transaction=True) as pipe:
            self._watch(pipe, session, stands)
            pipe.multi()
            for message in portion:
                self._xadd(pipe, message, session, seq)
            pipe.hset(self._positions, session, encode(goal))
            pipe.set(self._writer, self._id, px=LEASE_SECONDS * 1000)
            pipe.execute()
        self._known[session] = goal

    def _watch(self, pipe: "Pipeline", session: str, stands: Reached) -> None:
        pipe.watch(self._positions, self._writer)  # type: ignore[no-untyped-call]
        there: Any = pipe.hget(self._positions, session)
        self._check_writer(pipe.get(self._writer))
        if decode(there, self._positions) != stands:
            del self._known[session]
            raise OSError("Redis does not hold any more what was committed: it begins again from the tape")

    def _xadd(self, pipe: "Pipeline", message: Message, session: str, seq: int) -> None:
        pipe.xadd(
            f"{self._settings.prefix}:{message.kind}:{message.place}",
            {"type": message.kind, "session": session, "n": message.n, "seq": seq, "event": message.body},
            maxlen=self._settings.most_entries or None,
            approximate=True,
        )

    def finished(self) -> Iterable[str]:
        with self._as_oserror():
            kept: Any = self._open_redis.hgetall(self._positions)
        return [session.decode() for session, raw in kept.items() if decode(raw, self._positions).finished]

    def finish(self, session: str) -> None:
        self.position(session)
        stands = self._known[session]
        with self._as_oserror():
            self._execute(session, stands.seq, (), stands, Reached(stands.seq, stands.n, stands.ahead, finished=True))

    @contextmanager
    def _as_oserror(self) -> Iterator[None]:
        from redis.exceptions import RedisError, WatchError

        try:
            yield
        except WatchError as e:
            raise OSError("Redis: somebody else changed the positions at the same moment; it is tried again") from e
        except RedisError as e:
            raise OSError(f"Redis at {mask(self._settings.address)}: {mask(_one_line(e))}") from e

    def close(self) -> None:
        if self._redis is not None:
            with suppress(Exception):  # away or hanging: the lease ends by itself
                self._release(self._redis)
            self._redis.close()
            self._redis = None
        if self._claim is not None:
            self._claim.release()
            self._claim = None
        self._known.clear()

    def _release(self, redis: "Redis") -> None:
        with redis.pipeline(transaction=True) as pipe:
            pipe.watch(self._writer)  # type: ignore[no-untyped-call]
            if pipe.get(self._writer) == self._id:
                pipe.multi()
                pipe.delete(self._writer)
                pipe.execute()


def _one_line(error: BaseException) -> str:
    return " ".join((str(error) or type(error).__name__).split())
