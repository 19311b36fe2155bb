"""JSON lines, read by Python's own module."""

import json
from pathlib import Path
from typing import Any

from tapeline.events import TYPES, Flag
from tests.sinks.helpers import Row, plain
from tests.sinks.subjects.base import Subject
from tests.sinks.subjects.csv_subject import text_of


def _row(line: str) -> Row:
    said = json.loads(line)
    event_type = TYPES[said.pop("type")]
    said["flags"] = sum(Flag[name] for name in said["flags"])
    assert said.keys() <= set(event_type.__struct_fields__)
    return (str(event_type.__struct_config__.tag), *(plain(said.get(name)) for name in event_type.__struct_fields__))


def read_jsonl(data: Path) -> list[Row]:
    found: list[Any] = []
    for path in sorted((data / "jsonl").glob("*/*/*/*")):
        lines = text_of(path).split("\n")
        assert lines.pop() == "", "the last line is torn"
        found += map(_row, lines)
    return found


class JsonlSubject(Subject):
    name = "jsonl"

    def read(self, data: Path) -> list[Row]:
        return read_jsonl(data)


SUBJECT = JsonlSubject()
