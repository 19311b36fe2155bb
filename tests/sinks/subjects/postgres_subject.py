"""PostgreSQL, read by SQL of our own over a connection of our own; each test has a schema of its own."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tapeline.config import PostgresSettings, Settings
from tapeline.events import TYPES, Bar, Event
from tests.services import postgres
from tests.sinks.helpers import BestBars, Row, plain, row
from tests.sinks.subjects.base import Subject

TABLES = {
    "trade": "trades",
    "quote": "quotes",
    "book": "book_updates",
    "bar": "bars",
    "metrics": "metrics",
    "ticker": "tickers",
    "liquidation": "liquidations",
    "status": "status",
    "alert": "alerts",
}


def schema_of(data: Path) -> str:
    return "t" + hashlib.sha256(str(data).encode()).hexdigest()[:16]


def read(server: postgres.Server, schema: str, database: str = "postgres") -> list[Row]:
    """In the order of (session_id, n), the bars at the end."""
    found: list[tuple[tuple[Any, ...], Row]] = []
    with server.connect(database) as db:
        for tag, table in TABLES.items():
            cursor = db.execute(f'SELECT * FROM "{schema}".{table}')  # type: ignore[arg-type]
            names = [column.name for column in cursor.description or ()]
            for values in cursor:
                typed = dict(zip(names, values, strict=True))
                if tag == "book":
                    for side in ("bid", "ask"):
                        typed[f"{side}s"] = tuple(zip(typed[f"{side}_prices"], typed[f"{side}_sizes"], strict=True))
                key = (tag == "bar", typed["session_id"], typed["n"])
                found.append((key, (tag, *(plain(typed[f]) for f in TYPES[tag].__struct_fields__))))
    keys = [key for key, _ in found]
    assert len(set(keys)) == len(keys), "an event stands twice"
    return [values for _, values in sorted(found, key=lambda pair: pair[0])]


def latest_bars(sessions: Iterable[Iterable[Event]]) -> list[Row]:
    """Everything, but one row a bar."""
    kept: list[Row] = []
    bars = BestBars()
    for session in sessions:
        events = list(session)
        bars.add(e for e in events if isinstance(e, Bar))
        kept += [row(e) for e in events if not isinstance(e, Bar)]
    return kept + bars.rows()


class PostgresSubject(Subject):
    name = "postgres"
    local = False
    kill_within = 0.2

    def settings(self, data: Path) -> Settings:
        return Settings(postgres=PostgresSettings(url=postgres.shared().url(), schema=schema_of(data)))

    def read(self, data: Path) -> list[Row]:
        return read(postgres.shared(), schema_of(data))

    def kept(self, sessions: Iterable[Iterable[Event]]) -> list[Row]:
        return latest_bars(sessions)


SUBJECT = PostgresSubject()
