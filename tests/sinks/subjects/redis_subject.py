"""Redis streams, read by redis-cli. Each data directory has a prefix of its own."""

import hashlib
from pathlib import Path

from tapeline.config import RedisSettings, Settings
from tests.services.redis import shared_redis
from tests.sinks.helpers import Row
from tests.sinks.peers import read_redis
from tests.sinks.subjects.base import Subject
from tests.sinks.subjects.bodies import row_of


class RedisSubject(Subject):
    name = "redis"
    local = False
    kill_within = 0.1

    def settings(self, data: Path) -> Settings:
        prefix = hashlib.sha256(str(data).encode()).hexdigest()[:12]
        return Settings(redis=RedisSettings(address=f"{shared_redis()}/0", prefix=prefix, most_entries=0))

    def read(self, data: Path) -> list[Row]:
        return [row_of(body) for body in read_redis(self.settings(data).redis).values()]


SUBJECT = RedisSubject()
