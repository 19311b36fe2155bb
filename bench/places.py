"""Where each sink writes while it is measured, and what its rows take there: folders, and the servers that the tests start.

PostgreSQL runs with fsync, Redis with an append-only file, NATS with JetStream on disk. Kafka and QuestDB are stand-ins of the
tests in a process of their own: what is measured there is the client's side, and bytes are those sent. A program that is not
installed makes `Missing`.
"""

import multiprocessing
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tapeline.config import KafkaSettings, NatsSettings, PostgresSettings, QuestdbSettings, RedisSettings, Settings

sys.path.insert(0, str(Path(__file__).parents[1]))  # for tests.services


class Missing(Exception):
    """What is not installed."""


class Place(NamedTuple):
    """`settings(case)`: an empty place for each case. `size(data, case)`: the bytes taken there, of a stand-in by all cases."""

    settings: Callable[[str], Settings]
    size: Callable[[Path, str], int]
    counted: str
    url: str = ""
    stand_in: bool = False


FILES = {
    "lake": ("lake/**/*.parquet", "Parquet files"),
    "sqlite": ("tapeline.sqlite*", "file with its indexes"),
    "csv": ("csv/**/*.csv", "files, not packed"),
    "jsonl": ("jsonl/**/*.jsonl", "files, not packed"),
}


@contextmanager
def place(name: str) -> Iterator[Place]:
    """Raises Missing; KeyError for a sink that nobody has a place for."""
    if name in FILES:
        pattern, counted = FILES[name]
        yield Place(lambda _: Settings(), lambda data, _: sum(f.stat().st_size for f in data.glob(pattern)), counted)
        return
    import pytest

    try:
        with SERVERS[name]() as found:
            yield found
    except (pytest.skip.Exception, ImportError) as e:
        raise Missing(str(e)) from e


@contextmanager
def _postgres() -> Iterator[Place]:
    from tests.services import postgres

    postgres.SETTINGS.update(fsync="on", max_wal_size="1GB", shared_buffers="128MB")
    server = postgres.own("bench")
    try:
        yield Place(
            lambda case: Settings(postgres=PostgresSettings(url=server.url(), schema=case)),
            lambda _, case: _tables(server, case),
            "tables with their indexes",
            server.url(),
        )
    finally:
        server.remove()


def _tables(server: Any, schema: str) -> int:
    rows = server.run(
        "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        f" WHERE n.nspname = '{schema}' AND c.relkind = 'r'"
    )
    return int(rows[0][0])


@contextmanager
def _redis() -> Iterator[Place]:
    from tests.services.redis import RedisServer

    server = RedisServer()
    server.start()
    try:
        yield Place(
            lambda case: Settings(redis=RedisSettings(address=server.url(), prefix=case, most_entries=0)),
            lambda _, case: sum(int(server.cli("memory", "usage", key, "samples", "0")) for key in _keys(server, case)),
            "in the server's memory",
            server.url(1),
        )
    finally:
        server.end()


def _keys(server: Any, prefix: str) -> list[str]:
    return str(server.cli("keys", f"{prefix}:*")).split()


@contextmanager
def _nats() -> Iterator[Place]:
    from tests.services.nats import NatsServer, Raw

    server = NatsServer()
    server.start()

    def size(_: Path, case: str) -> int:
        with Raw(server.url()) as raw:
            return int(raw.ask(f"$JS.API.STREAM.INFO.{case}")["state"]["bytes"])

    try:
        yield Place(
            lambda case: Settings(nats=NatsSettings(servers=server.url(), stream=case, subject=case)),
            size,
            "stream on disk",
            server.url(),
        )
    finally:
        server.end()


@contextmanager
def _kafka() -> Iterator[Place]:
    from tests.services.kafka import KafkaServer

    server = KafkaServer()
    server.start()
    try:
        yield Place(
            lambda case: Settings(kafka=KafkaSettings(brokers=server.address(), topic=f"{case}.{{kind}}", partitions=3)),
            lambda *_: sum(f.stat().st_size for f in server.folder.glob("journal*")),
            "journal of the stand-in",
            stand_in=True,
        )
    finally:
        server.end()


@contextmanager
def _questdb() -> Iterator[Place]:
    context = multiprocessing.get_context("spawn")
    counter, here, there = context.Value("q", 0), *context.Pipe()
    process = context.Process(target=_swallow, args=(there, counter), daemon=True)
    process.start()
    address = here.recv()
    try:
        yield Place(
            lambda case: Settings(questdb=QuestdbSettings(address=address, prefix=f"{case}_")),
            lambda *_: counter.value,
            "on the wire",
            stand_in=True,
        )
    finally:
        process.terminate()
        process.join()


def _swallow(there: Any, counter: Any) -> None:
    """A stand-in for QuestDB that counts rows' bytes and keeps the positions only."""
    import threading

    from tests.services.questdb import QuestDB

    class Swallowing(QuestDB):
        def write(self, body: bytes) -> None:
            with counter.get_lock():
                counter.value += len(body)
            if b"positions," in body[:100]:
                super().write(body)

    there.send(Swallowing().start().address)
    threading.Event().wait()


SERVERS = {"postgres": _postgres, "redis": _redis, "nats": _nats, "kafka": _kafka, "questdb": _questdb}
