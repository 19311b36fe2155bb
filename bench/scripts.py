"""How a weekend script keeps the same rows, one way a sink: what tutorials show, without a promise.

No position, no identity of a row, no index, nothing fsynced but by SQLite and PostgreSQL themselves. Each class takes the events
of one batch at a time; levels of a book become JSON in one column, where columns there are.

    lake      a DataFrame a batch, `to_parquet` as it comes out of the box     csv, jsonl  row by row, with a flush
    sqlite    `executemany` and a commit a batch                               postgres    `executemany` and a commit a batch
    redis     `xadd` one by one                                                nats        `publish` one by one, acknowledged
"""

import asyncio
import csv
import json
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from tapeline.events import BookUpdate, Event

ONE_BY_ONE = 2_000  # rows are enough where each waits for an answer


class Script(Protocol):
    way: str

    def take(self, events: Sequence[Event]) -> int:
        """How many it kept: of those that wait for each answer, the first."""

    def close(self) -> None: ...


def _values(e: Event) -> tuple[Any, ...]:
    values = msgspec.structs.astuple(e)
    return tuple(json.dumps(v) if isinstance(v, list) else v for v in values) if isinstance(e, BookUpdate) else values


class Csv:
    way = "csv.writer, a flush a row"

    def __init__(self, folder: Path, _: str) -> None:
        self._file = (folder / "script.csv").open("a", newline="")

    def take(self, events: Sequence[Event]) -> int:
        writer = csv.writer(self._file)
        for e in events:
            writer.writerow(_values(e))
            self._file.flush()
        return len(events)

    def close(self) -> None:
        self._file.close()


class Lines:
    way = "json.dumps, a flush a row"

    def __init__(self, folder: Path, _: str) -> None:
        self._file = (folder / "script.jsonl").open("a")

    def take(self, events: Sequence[Event]) -> int:
        for e in events:
            self._file.write(json.dumps(msgspec.structs.asdict(e)) + "\n")
            self._file.flush()
        return len(events)

    def close(self) -> None:
        self._file.close()


class Parquet:
    way = "pandas to_parquet a batch"

    def __init__(self, folder: Path, _: str) -> None:
        self._folder, self._n = folder, 0

    def take(self, events: Sequence[Event]) -> int:
        import pandas as pd

        self._n += 1
        frame = pd.DataFrame([_values(e) for e in events], columns=list(events[0].__struct_fields__))
        frame.to_parquet(self._folder / f"script-{self._n}.parquet")
        return len(events)

    def close(self) -> None:
        pass


class Sqlite:
    way = "executemany, a commit a batch"

    def __init__(self, folder: Path, _: str) -> None:
        self._db = sqlite3.connect(folder / "script.db")

    def take(self, events: Sequence[Event]) -> int:
        names = events[0].__struct_fields__
        self._db.execute(f"CREATE TABLE IF NOT EXISTS rows ({', '.join(names)})")
        marks = ", ".join("?" * len(names))
        self._db.executemany(f"INSERT INTO rows VALUES ({marks})", map(_values, events))
        self._db.commit()
        return len(events)

    def close(self) -> None:
        self._db.close()


class Postgres:
    way = "psycopg executemany, a commit a batch"

    def __init__(self, _: Path, url: str) -> None:
        import psycopg

        self._db = psycopg.connect(url)

    def take(self, events: Sequence[Event]) -> int:
        first, some, table = _values(events[0]), events[: 10 * ONE_BY_ONE], f"script_{type(events[0]).__name__}"
        kinds = {int: "bigint", float: "double precision", bool: "boolean"}
        columns = ", ".join(
            f'"{name}" {"bigint" if name.startswith(("seq", "prev")) else kinds.get(type(value), "text")}'
            for name, value in zip(events[0].__struct_fields__, first, strict=True)
        )
        with self._db.cursor() as cursor:
            cursor.execute(f"CREATE TABLE IF NOT EXISTS {table} ({columns})")
            cursor.executemany(f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(first))})", list(map(_values, some)))
        self._db.commit()
        return len(some)

    def close(self) -> None:
        self._db.close()


class Redis:
    way = "xadd one by one"

    def __init__(self, _: Path, url: str) -> None:
        import redis

        self._db = redis.Redis.from_url(url)

    def take(self, events: Sequence[Event]) -> int:
        some = events[:ONE_BY_ONE]
        for e in some:
            self._db.xadd("script", {"event": json.dumps(msgspec.structs.asdict(e))})
        return len(some)

    def close(self) -> None:
        self._db.close()


class Nats:
    way = "publish one by one, acknowledged"

    def __init__(self, _: Path, url: str) -> None:
        self._url = url

    def take(self, events: Sequence[Event]) -> int:
        some = events[:ONE_BY_ONE]
        asyncio.run(self._publish(some))
        return len(some)

    async def _publish(self, events: Sequence[Event]) -> None:
        import nats

        link = await nats.connect(self._url)
        stream = link.jetstream()
        await stream.add_stream(name="script", subjects=["script"])
        for e in events:
            await stream.publish("script", json.dumps(msgspec.structs.asdict(e)).encode())
        await link.close()

    def close(self) -> None:
        pass


SCRIPTS: dict[str, Callable[[Path, str], Script]] = {
    "lake": Parquet,
    "sqlite": Sqlite,
    "csv": Csv,
    "jsonl": Lines,
    "postgres": Postgres,
    "redis": Redis,
    "nats": Nats,
}
"""`SCRIPTS[sink](folder, address of the server)`. None beside a stand-in: its pace would be the stand-in's."""
