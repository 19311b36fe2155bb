"""A lake as version 1 wrote it: no list of files, no `session_id`, no version in the files. Written out by hand, without our code."""

import sqlite3
from collections import defaultdict
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from tapeline.events import Event, Status, arrow_schema
from tests.sinks.helpers import T0

RENAMED = {"instrument": "instrument_id", "kind": "status", "venue": "venue_id"}
TEXTS = {"instrument", "venue", "side", "origin", "interval", "kind", "channel", "rule", "state"}
DAY = 86_400_000_000_000
STATE = """
CREATE TABLE positions (
    session TEXT PRIMARY KEY, seq INTEGER NOT NULL, events INTEGER NOT NULL, finished INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE intents (pending TEXT PRIMARY KEY, final TEXT NOT NULL) STRICT, WITHOUT ROWID;
PRAGMA user_version = 1;
"""


def write_version_1(data: Path, session: str, made: list[list[Event]], step: int, *, unmoved: bool = False) -> None:
    """The commits of one session, `step` frames each. `unmoved`: the files of the last one still wait in `_pending`."""
    lake = data / "lake"
    (lake / "_pending").mkdir(parents=True, exist_ok=True)
    new = not (lake / "_state.sqlite").exists()
    db = sqlite3.connect(lake / "_state.sqlite", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    if new:
        db.executescript(STATE)
    n = 0
    for at in range(0, len(made), step):
        part = [e for events in made[at : at + step] for e in events]
        last = min(at + step, len(made)) - 1
        waiting = unmoved and last == len(made) - 1
        for k, (folder, table) in enumerate(_tables(session, part, n)):
            name = f"{quote(session, safe='-_.~')}-{at}-{last}.parquet"
            place = lake / "_pending" / f"{name}-{k}.tmp" if waiting else lake / folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, place, compression="zstd")
            if waiting:
                db.execute("INSERT INTO intents VALUES (?, ?)", (place.name, f"{folder}/{name}"))
        n += len(part)
    db.execute("INSERT INTO positions VALUES (?, ?, ?, 0)", (session, len(made) - 1, n))
    db.close()


def _tables(session: str, events: list[Event], first_n: int) -> list[tuple[str, pa.Table]]:
    groups: dict[tuple[type[Event], str], list[tuple[int, Event]]] = defaultdict(list)
    for n, e in enumerate(events, first_n):
        tag = type(e).__struct_config__.tag
        venue, _, symbol = e.instrument.partition(":")
        if not e.instrument and isinstance(e, Status):
            venue = e.venue
        label = getattr(e, "ts_open", e.ts_event)
        if not T0 - 3650 * DAY < label < e.ts_recv + DAY:
            label = e.ts_recv
        day = "2026-11-19" if label < T0 - T0 % DAY + DAY else "2026-11-20"
        instrument = quote(symbol, safe="-_.~") or "__HIVE_DEFAULT_PARTITION__"
        groups[type(e), f"kind={tag}/venue={venue}/instrument={instrument}/date={day}"].append((n, e))
    return [(folder, _table(kind, session, rows)) for (kind, folder), rows in groups.items()]


def _table(kind: type[Event], session: str, rows: list[tuple[int, Event]]) -> pa.Table:
    rows = sorted(rows, key=lambda pair: (pair[1].ts_event, pair[0]))
    fields, columns = [], []
    for field in arrow_schema(kind):
        values = [getattr(e, field.name) for _, e in rows]
        if pa.types.is_list(field.type):
            values = [[{"price": p, "size": s} for p, s in levels] for levels in values]
        if pa.types.is_map(field.type):
            values = [v and list(v.items()) for v in values]
        column = pa.array(values, field.type)
        if field.name in TEXTS:
            column = column.dictionary_encode()
        fields.append(pa.field(RENAMED.get(field.name, field.name), column.type, nullable=field.nullable))
        columns.append(column)
    fields.append(pa.field("n", pa.int64(), nullable=False))
    columns.append(pa.array([n for n, _ in rows], pa.int64()))
    about = {**arrow_schema(kind).metadata, "tapeline.session": session, "tapeline.simulated": "false"}
    return pa.Table.from_arrays(columns, schema=pa.schema(fields, metadata=about))
