"""The lake, read by DuckDB, file by file as anyone would find them."""

from pathlib import Path
from typing import Any

import duckdb

from tapeline.events import TYPES
from tests.sinks.helpers import Row, plain
from tests.sinks.subjects.base import Subject

LAKE_NAMES = {"instrument": "instrument_id", "kind": "status", "venue": "venue_id"}


def read_lake(data: Path) -> list[Row]:
    """By DuckDB, file by file as anyone would find them."""
    found: list[tuple[tuple[str, int], Row]] = []
    for tag, event_type in TYPES.items():
        glob = f"{data}/lake/kind={tag}/**/*.parquet"
        if not list((data / "lake").glob(f"kind={tag}/**/*.parquet")):
            continue
        names = [LAKE_NAMES.get(f, f) for f in event_type.__struct_fields__]
        columns = ", ".join(f'"{n}"' for n in names)
        with duckdb.connect() as db:
            rows = db.execute(
                f"SELECT session_id, n, {columns} FROM read_parquet('{glob}', hive_partitioning = false)"
            ).fetchall()
        for session, n, *values in rows:
            found.append(((session, n), (tag, *(_levels(v) for v in values))))
    keys = [key for key, _ in found]
    assert len(set(keys)) == len(keys), "an event stands twice in the lake"
    return [values for _, values in sorted(found, key=lambda pair: pair[0])]


def _levels(value: Any) -> Any:
    return tuple((x["price"], x["size"]) for x in value) if isinstance(value, list) else plain(value)


class LakeSubject(Subject):
    name = "lake"
    kill_within = 0.1

    def read(self, data: Path) -> list[Row]:
        return read_lake(data)


SUBJECT = LakeSubject()
