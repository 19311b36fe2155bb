"""Kafka: a message an event (`sinks/messages.py` says what it holds), a topic a kind, the instrument as key.

    tapeline.trade       key binance:BTC-USDT, headers type, session, n, seq (and `part` and `parts` where one message is too small)
    tapeline.positions   compacted, one partition: key session, value how far it has come

The messages of a commit and its position are one transaction: readers with `isolation.level=read_committed` (librdkafka's default;
Java's must be told) see both or nothing. Topics are made explicitly, with their partitions and without an end to retention, because
what a broker makes by itself has neither.

The transactional id belongs to the data directory. Whoever begins with it fences off whoever had it before, and the broker aborts
what that one left open; so at each start, and after each failure, a new producer begins (`init_transactions`), and only then
positions are read back, to the end of what is committed. A producer is used up by its first failure: an answer that was lost (was it
committed or not?) is decided by the broker while the next one begins.

A transaction must end within TRANSACTION_SECONDS or the broker aborts it, so a large commit is several; the position says how far it
has come in between (`ahead`).
"""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tapeline.config import KafkaSettings
from tapeline.errors import ConfigError, IntegrityError
from tapeline.events import TYPES, Event
from tapeline.keys import secret_of
from tapeline.masking import mask
from tapeline.sinks.messages import Claim, Message, Reached, check_follows, decode, encode, messages, parts, portions

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 5.0
TRANSACTION_SECONDS = 10
TRANSACTION_EVENTS = 50_000
TRANSACTION_BYTES = 32 << 20
PART_BYTES = 900_000  # librdkafka's and the broker's limit for a message is a little above a million
LEAST_PART_BYTES = 10_000

_silent = logging.getLogger("tapeline.librdkafka")  # librdkafka would write to standard error; what matters comes as an error
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


class KafkaSink:
    name = "kafka"

    def __init__(self, data: Path, settings: KafkaSettings) -> None:
        self._data, self._settings = Path(data), settings
        self._positions = self._topic("positions") if "{kind}" in settings.topic else f"{settings.topic}.positions"
        self._claim: Claim | None = None
        self._producer: Any = None
        self._known: dict[str, Reached] = {}
        self._told: dict[str, int] = {}
        """The positions that our callers know. One that moves back must be asked for before anything is committed."""
        self._part = self._smaller = PART_BYTES
        self._complaint = ""

    def _topic(self, kind: str) -> str:
        return self._settings.topic.replace("{kind}", kind)

    def open(self) -> None:
        try:
            from confluent_kafka import KafkaException
        except ImportError as e:
            raise ConfigError("sinks.kafka", True, f"{e.name} is not installed: `pip install 'tapeline[kafka]'`") from None
        self._claim = Claim(self._data, self.name)
        try:
            self._make_topics()
            self._begin()
        except (KafkaException, OSError) as e:
            self.close()
            raise self._unusable(e) from None
        except BaseException:
            self.close()
            raise

    def _config(self, **more: Any) -> dict[str, Any]:
        """Of a client, with the user's options; what exactly-once rests on cannot be changed by them."""
        given: dict[str, Any] = {}
        for option in self._settings.options:
            name, equals, value = option.partition("=")
            if not equals:
                raise ConfigError("kafka.options", option, "write NAME=VALUE, as in security.protocol=SASL_SSL")
            given[name.strip()] = value.strip()
        if secret := secret_of("kafka", "PASSWORD"):
            given["sasl.password"] = secret
        ours = {"bootstrap.servers": self._settings.brokers, "error_cb": self._complained, "logger": _silent}
        return {"client.id": "tapeline", **given, **ours, **more}

    def _complained(self, error: Any) -> None:
        if "auth" not in self._complaint.lower():  # what comes after it, that no broker can be reached, says less
            self._complaint = error.str()

    def _made(self, client: Any, config: dict[str, Any]) -> Any:
        from confluent_kafka import KafkaException

        try:
            return client(config)
        except (KafkaException, ValueError, TypeError) as e:
            raise ConfigError("kafka.options", mask(" ".join(self._settings.options)), _said(e)) from None

    def _make_topics(self) -> None:
        from confluent_kafka import KafkaError, KafkaException
        from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

        admin = self._made(AdminClient, self._config())
        try:
            there = admin.list_topics(timeout=CONNECT_SECONDS).topics
        except KafkaException:
            admin.poll(0)  # brings the complaints
            raise
        wanted = {self._topic(kind): (self._settings.partitions, {"retention.ms": "-1"}) for kind in TYPES}
        wanted[self._positions] = (1, {"cleanup.policy": "compact", "retention.ms": "-1"})
        missing = [NewTopic(t, n, config=config) for t, (n, config) in wanted.items() if t not in there or there[t].error]
        if not missing:
            return
        for topic, made in admin.create_topics(missing, request_timeout=CONNECT_SECONDS).items():
            try:
                made.result()
            except KafkaException as e:
                if e.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    text = f"topic {topic} is missing and cannot be made ({_said(e)}): make it, or allow it"
                    raise ConfigError("kafka.topic", self._settings.topic, text) from None

    def _begin(self) -> None:
        """A new producer, which fences off the one before, and the positions that are committed then."""
        from confluent_kafka import Producer

        self._complaint = ""
        self._smaller = max(LEAST_PART_BYTES, self._part // 2)
        writer = self._claim.writer if self._claim else ""
        config = self._config(
            **{
                "transactional.id": f"tapeline-{writer}",
                "transaction.timeout.ms": TRANSACTION_SECONDS * 1000,
                "enable.idempotence": True,
                "acks": "all",
                "partitioner": "murmur2_random",  # as Java's
                "linger.ms": 5,
                "batch.size": self._part + 2_000,  # the broker's limit is for a batch
                "queue.buffering.max.messages": 2 * TRANSACTION_EVENTS,
                "delivery.report.only.error": True,
                "on_delivery": self._undelivered,
            }
        )
        producer = self._made(Producer, config)
        producer.init_transactions(CONNECT_SECONDS)
        self._known = self._read_positions()
        self._producer = producer

    def _undelivered(self, error: Any, _: Any) -> None:
        from confluent_kafka import KafkaError

        self._complaint = error.str()
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:  # this topic takes less: smaller parts next time
            self._part = self._smaller

    def _read_positions(self) -> dict[str, Reached]:
        from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

        more = {"group.id": "tapeline-positions", "isolation.level": "read_committed", "enable.auto.commit": False}
        consumer = self._made(Consumer, self._config(**more, **{"enable.partition.eof": True}))
        found: dict[str, Reached] = {}
        try:
            consumer.assign([TopicPartition(self._positions, 0, 0)])
            while (message := consumer.poll(ANSWER_SECONDS)) is not None:
                if (error := message.error()) is None:
                    found[message.key().decode()] = decode(message.value(), self._positions)
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                    return found
                elif not error.retriable():
                    raise KafkaException(error)
        finally:
            consumer.close()
        raise TimeoutError(f"{self._positions} cannot be read to its end{f' ({self._complaint})' if self._complaint else ''}")

    def _unusable(self, error: Exception) -> ConfigError:
        text = _said(error)
        if self._complaint and self._complaint not in text:
            text = f"{text}; {mask(self._complaint)}"
        lowered = text.lower()
        if "authentication" in lowered or "sasl" in lowered:
            fix = f"let nobody in ({text}): set TAPELINE_KAFKA_PASSWORD, and sasl.username in kafka.options"
        elif "authorization" in lowered:
            fix = f"do not allow it ({text}): docs/sinks.md names the rights that are needed"
        else:
            fix = f"cannot be used ({text}): start it, or set another address"
        return ConfigError("kafka.brokers", self._settings.brokers, fix)

    def _ready(self) -> None:
        if self._claim is None:
            raise IntegrityError("the Kafka sink is not open: call open() first")
        if self._producer is None:
            self._begin()

    def position(self, session: str) -> int:
        with self._as_oserror():
            self._ready()
            self._told[session] = self._known.get(session, Reached()).seq
        return self._told[session]

    def commit(self, session: str, seq: int, events: Sequence[Event]) -> None:
        with self._as_oserror():
            self._ready()
            stands = self._known.get(session, Reached())
            if self._told.setdefault(session, stands.seq) != stands.seq:
                del self._told[session]
                raise OSError("Kafka stands elsewhere than before: it is asked again")
            check_follows(self.name, session, seq, stands)
            rest = len(events) - stands.ahead
            for portion in portions(messages(events, stands), TRANSACTION_EVENTS, TRANSACTION_BYTES):
                rest -= len(portion)
                stands = stands.advanced(len(portion))
                stands = stands if rest else stands.past(seq, len(events))
                self._transact(session, seq, portion, stands)
            if stands.seq < seq:
                self._transact(session, seq, (), stands.past(seq, len(events)))
        self._told[session] = seq

    def _transact(self, session: str, seq: int, portion: Iterable[Message], goal: Reached) -> None:
        try:
            self._producer.begin_transaction()
            for message in portion:
                self._produce(message, session, seq)
            self._offer(self._positions, encode(goal), session.encode(), [])
            self._flush()
            self._producer.commit_transaction(ANSWER_SECONDS)
        except BaseException:
            self._drop()
            raise
        self._known[session] = goal

    def _produce(self, message: Message, session: str, seq: int) -> None:
        headers = [
            ("type", message.kind.encode()),
            ("session", session.encode()),
            ("n", b"%d" % message.n),
            ("seq", b"%d" % seq),
        ]
        topic, key = self._topic(message.kind), message.place.encode()
        pieces = parts(message.body, self._part)
        for number, piece in enumerate(pieces, 1):
            more = [("part", b"%d" % number), ("parts", b"%d" % len(pieces))] if len(pieces) > 1 else []
            self._offer(topic, piece, key, [*headers, *more])

    def _offer(self, topic: str, body: bytes, key: bytes, headers: list[tuple[str, bytes]]) -> None:
        """Into librdkafka's queue; where that is full, wait until there is room."""
        while True:
            try:
                self._producer.produce(topic, body, key, headers=headers)
            except BufferError:
                self._progress()
            else:
                return

    def _flush(self) -> None:
        while len(self._producer):
            self._progress()

    def _progress(self) -> None:
        """Wait until fewer messages wait, at most ANSWER_SECONDS."""
        waiting, deadline = len(self._producer), time.monotonic() + ANSWER_SECONDS
        while len(self._producer) >= waiting:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no answer in {ANSWER_SECONDS:g} s{f' ({self._complaint})' if self._complaint else ''}")
            self._producer.flush(0.05)

    def finished(self) -> Iterable[str]:
        with self._as_oserror():
            self._ready()
        return [session for session, reached in self._known.items() if reached.finished]

    def finish(self, session: str) -> None:
        with self._as_oserror():
            self._ready()
            stands = self._known.get(session, Reached())
            self._transact(session, stands.seq, (), Reached(stands.seq, stands.n, stands.ahead, finished=True))

    @contextmanager
    def _as_oserror(self) -> Iterator[None]:
        from confluent_kafka import KafkaError, KafkaException

        fenced = (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)  # noqa: SLF001 - public names
        try:
            yield
        except KafkaException as e:
            if e.args[0].code() in fenced:
                text = "another tapeline publishes from a copy of this directory: stop one, and remove its publish/writer"
                raise ConfigError("data", str(self._data), text) from e
            why = f"; {mask(self._complaint)}" if self._complaint else ""
            raise OSError(f"Kafka at {self._settings.brokers}: {_said(e)}{why}") from e

    def _drop(self) -> None:
        if self._producer is not None:
            with suppress(Exception):  # what waits in it would only hold up its end
                self._producer.purge()
                self._producer.poll(0)
            self._producer = None

    def close(self) -> None:
        self._drop()
        if self._claim is not None:
            self._claim.release()
            self._claim = None
        self._known.clear()
        self._told.clear()


def _said(error: BaseException) -> str:
    first = error.args[0] if error.args else error
    text = first.str() if hasattr(first, "str") else str(error)
    return " ".join(mask(text or type(error).__name__).split())
