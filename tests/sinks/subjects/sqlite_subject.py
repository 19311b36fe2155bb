"""SQLite, read by its own library."""

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tapeline.events import TYPES, Bar, BookUpdate, Event, Metrics, Quote
from tests.sinks.helpers import BestBars, Row, plain, row
from tests.sinks.subjects.base import Subject


def without_repetition(sessions: Iterable[Iterable[Event]]) -> list[Row]:
    """What SQLite keeps, worked out the slow way: no books, no unchanged touch, metrics or sample, one row a bar."""
    kept: list[Row] = []
    bars = BestBars()
    for session in sessions:
        events = list(session)
        bars.add(e for e in events if isinstance(e, Bar))
        last: dict[tuple[type[Event], str, bool], list[Any]] = {}
        for e in events:
            if isinstance(e, BookUpdate | Bar):
                continue
            if isinstance(e, Metrics) or (isinstance(e, Quote) and e.origin == "book"):
                values = [getattr(e, f) for f in e.__struct_fields__ if f not in ("ts_event", "ts_recv", "seq")]
                key = type(e), e.instrument, isinstance(e, Metrics) and e.values is not None
                if last.get(key) == values:
                    continue
                last[key] = values
            kept.append(row(e))
    return kept + bars.rows()


SQLITE_TABLES = {
    "trade": "trades",
    "quote": "quotes",
    "bar": "bars",
    "metrics": "metrics",
    "ticker": "tickers",
    "liquidation": "liquidations",
    "status": "status",
    "alert": "alerts",
}


def read_sqlite(data: Path) -> list[Row]:
    db = sqlite3.connect(f"file:{data}/tapeline.sqlite?mode=ro", uri=True)
    try:
        found: list[Row] = []
        for tag, table in SQLITE_TABLES.items():
            names = TYPES[tag].__struct_fields__
            for values in db.execute(f"SELECT {', '.join(f'{chr(34)}{n}{chr(34)}' for n in names)} FROM {table}"):
                typed = dict(zip(names, values, strict=True))
                if "complete" in typed:
                    typed["complete"] = bool(typed["complete"])
                if typed.get("values") is not None:
                    typed["values"] = plain(json.loads(typed["values"]))
                found.append((tag, *typed.values()))
        return found
    finally:
        db.close()


class SqliteSubject(Subject):
    name = "sqlite"

    def read(self, data: Path) -> list[Row]:
        return read_sqlite(data)

    def kept(self, sessions: Iterable[Iterable[Event]]) -> list[Row]:
        return without_repetition(sessions)


SUBJECT = SqliteSubject()
