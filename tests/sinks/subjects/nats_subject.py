"""NATS JetStream, read over a plain socket. Each data directory has a stream of its own."""

import hashlib
from pathlib import Path

from tapeline.config import NatsSettings, Settings
from tests.services.nats import shared_nats
from tests.sinks.helpers import Row
from tests.sinks.peers import read_nats
from tests.sinks.subjects.base import Subject
from tests.sinks.subjects.bodies import row_of


class NatsSubject(Subject):
    name = "nats"
    local = False
    whole_commits = False
    kill_within = 0.2

    def settings(self, data: Path) -> Settings:
        place = hashlib.sha256(str(data).encode()).hexdigest()[:12]
        return Settings(nats=NatsSettings(servers=shared_nats(), stream=f"S{place}", subject=f"s{place}"))

    def read(self, data: Path) -> list[Row]:
        return [row_of(body) for body in read_nats(self.settings(data).nats).values()]


SUBJECT = NatsSubject()
