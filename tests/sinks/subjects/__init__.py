"""The sinks under test, one file each: how to make one in an empty place of its own, and how to read it without our code.

A new sink adds its file, with a subclass of `Subject` in `SUBJECT`, and its name to `NAMES`. A sink that needs a server starts it
in `settings` (once a process, on a free port; `tests/services/` holds what starts servers) and gives each test a place of its own in it.
"""

from functools import cache
from importlib import import_module

from tests.sinks.subjects.base import Subject

NAMES = (
    "lake",
    "sqlite",
    "csv",
    "jsonl",
    "kafka",
    "nats",
    "redis",
    "postgres",
    "questdb",
)


@cache
def subject(name: str) -> Subject:
    found = import_module(f"tests.sinks.subjects.{name}_subject").SUBJECT
    assert found.name == name
    return found
