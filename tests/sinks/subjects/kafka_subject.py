"""Kafka, read by a plain consumer of committed messages. Each data directory has topics of its own."""

import hashlib
from pathlib import Path

from tapeline.config import KafkaSettings, Settings
from tests.services.kafka import shared_kafka
from tests.sinks.helpers import Row
from tests.sinks.peers import read_kafka
from tests.sinks.subjects.base import Subject
from tests.sinks.subjects.bodies import row_of


class KafkaSubject(Subject):
    name = "kafka"
    local = False
    kill_within = 0.2

    def settings(self, data: Path) -> Settings:
        place = hashlib.sha256(str(data).encode()).hexdigest()[:12]
        return Settings(kafka=KafkaSettings(brokers=shared_kafka(), topic=f"{place}.{{kind}}", partitions=3))

    def read(self, data: Path) -> list[Row]:
        return [row_of(body) for body in read_kafka(self.settings(data).kafka).values()]


SUBJECT = KafkaSubject()
