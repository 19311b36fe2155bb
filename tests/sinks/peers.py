"""The durable logs with a server of their own for each test: one that can be killed, stopped and started again.

`bodies` reads everything with another client than ours, as (session, n) → the event's JSON, and finds doubles, holes and disorder.
"""

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import msgspec

from tapeline.config import KafkaSettings, NatsSettings, RedisSettings, Settings
from tapeline.events import Event, to_json
from tapeline.sinks.base import Sink
from tapeline.sinks.registry import SINKS
from tests.services.kafka import KafkaServer, consumed
from tests.services.nats import NatsServer, Raw
from tests.services.redis import RedisServer, redis_cli
from tests.services.server import Server

Bodies = dict[tuple[str, int], Any]


class Told:
    """Messages as they are read, place by place."""

    def __init__(self) -> None:
        self.bodies: Bodies = {}
        self._last: dict[tuple[str, str], int] = {}

    def add(self, place: str, session: str, n: int, body: str | bytes) -> None:
        assert (session, n) not in self.bodies, f"{session} {n} stands twice"
        assert n > self._last.get((place, session), -1), f"{session} {n} is out of order in {place}"
        self._last[place, session] = n
        self.bodies[session, n] = msgspec.json.decode(body)

    def whole(self) -> Bodies:
        for session in {s for s, _ in self.bodies}:
            numbers = sorted(n for s, n in self.bodies if s == session)
            assert numbers == list(range(len(numbers))), f"numbers of {session} have holes"
        return self.bodies


class Peer(ABC):
    """`patience`: seconds after which the sink under test gives up; enough for a server that answers."""

    name: str
    patience = 1.0

    def __init__(self) -> None:
        self.server = self.make_server()

    @abstractmethod
    def make_server(self) -> Server: ...

    @abstractmethod
    def assignments(self) -> dict[str, str]:
        """What leads a sink to this server, as `--set` takes it."""

    @abstractmethod
    def settings(self) -> Settings: ...

    @abstractmethod
    def bodies(self, *, settled: bool = True) -> Bodies:
        """`settled`: nothing is being written meanwhile, so numbers must have no holes."""

    def sink(self, data: Path) -> Sink:
        return SINKS[self.name](data, self.settings())


class RedisPeer(Peer):
    name = "redis"

    def make_server(self) -> Server:
        return RedisServer("--appendonly", "yes", "--appendfsync", "always").start()

    def assignments(self) -> dict[str, str]:
        return {"redis.address": f"redis://127.0.0.1:{self.server.port}/0"}

    def settings(self) -> Settings:
        return Settings(redis=RedisSettings(address=self.assignments()["redis.address"]))

    def bodies(self, *, settled: bool = True) -> Bodies:
        return read_redis(self.settings().redis, settled=settled)


def read_redis(settings: RedisSettings, *, settled: bool = True) -> Bodies:
    told = Told()
    for key in redis_cli(settings.address, "--scan", "--pattern", f"{settings.prefix}:*:*").split("\n"):
        said = redis_cli(settings.address, "-3", "--json", "XRANGE", key, "-", "+") if key else "[]"
        for _, values in json.loads(said):
            fields = dict(zip(values[::2], values[1::2], strict=True))
            body = msgspec.json.decode(fields["event"])
            assert fields["type"] == body["type"]
            assert key == f"{settings.prefix}:{body['type']}:{body['instrument'] or body.get('venue', '') + ':_'}"
            told.add(key, fields["session"], int(fields["n"]), fields["event"])
    return told.whole() if settled else told.bodies


class NatsPeer(Peer):
    name = "nats"

    def make_server(self) -> Server:
        return NatsServer().start()

    def assignments(self) -> dict[str, str]:
        return {"nats.servers": f"nats://127.0.0.1:{self.server.port}"}

    def settings(self) -> Settings:
        return Settings(nats=NatsSettings(servers=self.assignments()["nats.servers"]))

    def bodies(self, *, settled: bool = True) -> Bodies:
        return read_nats(self.settings().nats, settled=settled)


def read_nats(settings: NatsSettings, *, settled: bool = True) -> Bodies:
    told, pieces = Told(), Pieces()
    with Raw(settings.servers) as raw:
        for subject, headers, piece in raw.stream(settings.stream):
            body = pieces.joined(headers, piece)
            if body is None:
                continue
            event = msgspec.json.decode(body)
            assert headers["type"] == event["type"]
            place = event["instrument"] or f"{event.get('venue', '')}:_"
            assert subject == f"{settings.subject}.{event['type']}." + ".".join(place.split(":", 1))
            told.add(subject, headers["session"], int(headers["n"]), body)
    return told.whole() if settled else told.bodies


class KafkaPeer(Peer):
    name = "kafka"
    patience = 2.0  # librdkafka looks for its coordinator every half second

    def make_server(self) -> Server:
        return KafkaServer().start()

    def assignments(self) -> dict[str, str]:
        return {"kafka.brokers": f"127.0.0.1:{self.server.port}"}

    def settings(self) -> Settings:
        return Settings(kafka=KafkaSettings(brokers=self.assignments()["kafka.brokers"]))

    def bodies(self, *, settled: bool = True) -> Bodies:
        return read_kafka(self.settings().kafka, settled=settled)


def read_kafka(settings: KafkaSettings, *, settled: bool = True) -> Bodies:
    told = Told()
    pieces: dict[tuple[str, int], Pieces] = {}
    prefix = settings.topic.partition("{")[0]
    for message in consumed(settings.brokers, prefix):
        if message.topic() == f"{prefix}positions":
            continue
        headers = {name: value.decode() for name, value in message.headers()}
        partition = (message.topic(), message.partition())
        body = pieces.setdefault(partition, Pieces()).joined(headers, message.value())
        if body is None:
            continue
        event = msgspec.json.decode(body)
        assert headers["type"] == event["type"]
        assert message.topic() == f"{prefix}{event['type']}"
        assert message.key().decode() == (event["instrument"] or f"{event.get('venue', '')}:_")
        told.add(f"{message.topic()} {message.key().decode()}", headers["session"], int(headers["n"]), body)
    return told.whole() if settled else told.bodies


class Pieces:
    """Puts the parts of a large message together, as docs/sinks.md tells readers to."""

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self.joins = 0

    def joined(self, headers: dict[str, str], piece: bytes) -> bytes | None:
        if "parts" not in headers:
            return piece
        part, parts = int(headers["part"]), int(headers["parts"])
        self._held = [*(self._held if part > 1 else []), piece]
        assert part == len(self._held)
        if part < parts:
            return None
        self.joins += 1
        return b"".join(self._held)


PEERS: dict[str, type[Peer]] = {"redis": RedisPeer, "nats": NatsPeer, "kafka": KafkaPeer}


def expected(session: str, events: list[Event]) -> Bodies:
    return {(session, n): msgspec.json.decode(to_json(e)) for n, e in enumerate(events)}
