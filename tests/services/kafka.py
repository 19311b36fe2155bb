"""The small broker of `kafka_broker.py` in a process of its own, and everything that a topic holds, read by a plain consumer."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.services.server import Server, shared


class KafkaServer(Server):
    """`largest`: what Kafka calls message.max.bytes. Where there is a file `forbidden` in its folder, nobody may make topics."""

    def __init__(self, password: str = "", largest: int = 1_048_588) -> None:
        super().__init__()
        self.password, self.largest = password, largest

    def command(self) -> list[str]:
        root = Path(__file__).parents[2]
        os.environ["PYTHONPATH"] = os.pathsep.join(
            dict.fromkeys([str(root), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
        )
        return [
            sys.executable,
            "-m",
            "tests.services.kafka_broker",
            str(self.port),
            str(self.folder),
            str(self.largest),
            self.password,
        ]

    def ready(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


def shared_kafka() -> str:
    return shared("kafka", lambda: KafkaServer().start().address())


def consumed(brokers: str, prefix: str, isolation: str = "read_committed", *, crcs: bool = True) -> Iterator[Any]:
    """Every message of the topics that begin so, up to where they end now."""
    from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

    config = {"bootstrap.servers": brokers, "group.id": "tests", "isolation.level": isolation, "enable.partition.eof": True}
    consumer = Consumer({**config, "enable.auto.commit": False, "check.crcs": crcs})
    try:
        topics = consumer.list_topics(timeout=30).topics
        places = [
            TopicPartition(t, n, OFFSET_BEGINNING)
            for t, about in topics.items()
            if t.startswith(prefix)
            for n in about.partitions
        ]
        consumer.assign(places)
        left = len(places)
        while left:
            message = consumer.poll(30)
            assert message is not None, "the broker gives nothing"
            if message.error():
                assert message.error().name() == "_PARTITION_EOF", message.error()
                left -= 1
            else:
                yield message
    finally:
        consumer.close()
