"""The sinks by name, and how often each commits.

A new sink is one file, one line in `SINKS` and, where its pace differs, one in `pace`. The conformance suite picks it up from
here. Heavy imports wait until a sink is made.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec

from tapeline.config import Settings, SinkSettings
from tapeline.errors import ConfigError
from tapeline.sinks.base import Serial, Sink


class Pace(msgspec.Struct, frozen=True):
    """A commit is made after `seconds`, or as soon as `events` wait."""

    seconds: float
    events: int


def _sqlite(data: Path, _: Settings) -> Sink:
    from tapeline.sinks.sqlite import SqliteSink

    return SqliteSink(data)


def _lake(data: Path, _: Settings) -> Sink:
    from tapeline.sinks.lake import LakeSink

    return LakeSink(data)


def _csv(data: Path, settings: Settings) -> Sink:
    from tapeline.sinks.csv import CsvSink

    return CsvSink(data, settings.files)


def _jsonl(data: Path, settings: Settings) -> Sink:
    from tapeline.sinks.jsonl import JsonlSink

    return JsonlSink(data, settings.files)


def _redis(data: Path, settings: Settings) -> Sink:
    from tapeline.sinks.redis import RedisSink

    return RedisSink(data, settings.redis)


def _postgres(_: Path, settings: Settings) -> Sink:
    from tapeline.sinks.postgres import PostgresSink

    return PostgresSink(settings.postgres)


def _questdb(data: Path, settings: Settings) -> Sink:
    from tapeline.sinks.questdb import QuestdbSink

    return QuestdbSink(data, settings.questdb)


def _nats(data: Path, settings: Settings) -> Sink:
    from tapeline.sinks.nats import NatsSink

    return NatsSink(data, settings.nats)


def _kafka(data: Path, settings: Settings) -> Sink:
    from tapeline.sinks.kafka import KafkaSink

    return KafkaSink(data, settings.kafka)


SINKS: dict[str, Callable[[Path, Settings], Sink]] = {
    "lake": _lake,
    "sqlite": _sqlite,
    "csv": _csv,
    "jsonl": _jsonl,
    "kafka": _kafka,
    "nats": _nats,
    "redis": _redis,
    "postgres": _postgres,
    "questdb": _questdb,
}


def pace(name: str, settings: SinkSettings) -> Pace:
    if name == "lake":
        return Pace(settings.lake_seconds, settings.lake_events)
    return Pace(settings.commit_seconds, settings.batch_events)


def make(data: Path, settings: Settings) -> list[Sink]:
    """The sinks that are switched on, not yet opened; a runner and a repair may share each of them."""
    return [Serial(_made(name, data, settings)) for name in SINKS if getattr(settings.sinks, name)]


def _made(name: str, data: Path, settings: Settings) -> Sink:
    try:
        return SINKS[name](data, settings)
    except ImportError as e:
        lack = f"installed ({e.name})" if isinstance(e, ModuleNotFoundError) else f"whole ({str(e).partition(chr(10))[0]})"
        fix = f"needs a package that is not {lack}: pip install 'tapeline[{name}]'"
        raise ConfigError(f"sinks.{name}", value=True, fix=fix) from e
