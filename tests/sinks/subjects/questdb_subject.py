"""QuestDB's stand-in, read out of its memory; each test has tables of its own."""

import hashlib
import json
from pathlib import Path
from typing import Any

from tapeline.config import QuestdbSettings, Settings
from tapeline.events import TYPES
from tests.services import questdb
from tests.sinks.helpers import Row, plain
from tests.sinks.subjects.base import Subject
from tests.sinks.subjects.postgres_subject import TABLES

ADDRESS = questdb.address()  # started here, in the test process, before any child asks for it
EMPTY = {"instrument": "", "venue": "", "channel": "", "rule": "", "state": ""}


def prefix_of(data: Path) -> str:
    return "t" + hashlib.sha256(str(data).encode()).hexdigest()[:16] + "_"


def read(server: questdb.QuestDB, prefix: str) -> list[Row]:
    """The events up to the position: after a crash there may be some past it, which are to come again."""
    with server.lock:
        for table in server.tables.values():
            table.apply()
        events = {row["session_id"]: row["events"] for row in server.tables[prefix + "positions"].rows.values()}
        found: list[tuple[tuple[str, int], Row]] = []
        for tag, table in TABLES.items():
            for stored in server.tables[prefix + table].rows.values():
                if stored["n"] < events.get(stored["session_id"], 0):
                    values = tuple(_value(f, stored.get(f)) for f in TYPES[tag].__struct_fields__)
                    found.append(((stored["session_id"], stored["n"]), (tag, *values)))
    assert len({key for key, _ in found}) == len(found), "an event stands twice"
    return [row for _, row in sorted(found, key=lambda pair: pair[0])]


def _value(name: str, value: Any) -> Any:
    if name in ("bids", "asks"):
        return () if value is None else tuple(zip(*value.tolist(), strict=True))
    if name == "values" and value is not None:
        return plain(json.loads(value))
    return EMPTY.get(name) if value is None else value


class QuestdbSubject(Subject):
    name = "questdb"
    local = False
    kill_within = 0.2

    def settings(self, data: Path) -> Settings:
        return Settings(questdb=QuestdbSettings(address=ADDRESS, prefix=prefix_of(data)))

    def read(self, data: Path) -> list[Row]:
        return read(questdb.shared, prefix_of(data))


SUBJECT = QuestdbSubject()
