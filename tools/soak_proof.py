"""Does what was kept equal what was published? Judged from the tape alone, in memory that does not grow with the run.

Every event goes into a digest, in order; live and replay must give the same one. What a sink keeps is compared by fingerprint:
for each kind of event the number of rows and, for each column, a sum modulo a prime, so that a row that is missing,
doubled or changed shows. The database sums its own columns, in SQL, and the sums of the replay are made here:

    integer n: n    float x: trunc(x · 10⁸)    text: its length    list: its length    map: its values, as floats    unknown: 0

SQLite's table of bars keeps the latest revision, and book quotes, metrics and samples of metrics only where they change
(`sinks/sqlite.py`); the same rules are applied here, written a second time. A map is JSON there, and is read by Python: what SQLite
makes of a number in it may be one bit off.
"""

import hashlib
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_origin

import msgspec

from tapeline.events import TYPES, Bar, BookUpdate, Event, Metrics, Quote, bare_type, fields
from tapeline.lake.layout import dataset_glob
from tapeline.sinks.sqlite import FILE
from tapeline.sinks.sqlite_schema import TABLES
from tapeline.sinks.storable import storable

PRIME = 2_147_483_647
SCALE = 100_000_000
Sums = dict[str, dict[str, int]]
"""Kind of event → column → sum; the column `rows` counts."""


class Digest:
    """Of all events in order. `tap` is what a bus calls."""

    def __init__(self) -> None:
        self.events = 0
        self._hash = hashlib.blake2b()
        self._encode = msgspec.msgpack.Encoder().encode

    def add(self, events: list[Event]) -> None:
        self.events += len(events)
        self._hash.update(b"".join(map(self._encode, events)))

    def __str__(self) -> str:
        return self._hash.hexdigest()[:16]


def _remainder(n: int) -> int:
    """As SQL has it: with the sign of `n`."""
    if n.bit_length() > 63:
        raise OverflowError
    return n % PRIME if n >= 0 else -(-n % PRIME)


def _number(value: Any) -> int:
    if value is None:
        return 0
    if isinstance(value, float):
        return _remainder(int(value * SCALE))
    if isinstance(value, dict):
        return sum(map(_number, value.values()))
    return _remainder(int(value)) if isinstance(value, int) else len(value)


def _map_number(text: str | None) -> int:
    return 0 if text is None else _number(msgspec.json.decode(text, type=dict[str, float]))


def _add(sums: Sums, kind: type[Event], event: Event) -> None:
    row = sums[str(kind.__struct_config__.tag)]
    numbers = [_number(value) for value in msgspec.structs.astuple(event)]
    for name, number in zip(kind.__struct_fields__, numbers, strict=True):
        row[name] += number
    row["rows"] += 1


class Expected:
    """What each sink must hold of the events added: `lake()` and `sqlite()`."""

    def __init__(self) -> None:
        self._lake: Sums = defaultdict(lambda: defaultdict(int))
        self._sqlite: Sums = defaultdict(lambda: defaultdict(int))
        self._bars: dict[tuple[Any, ...], Bar] = {}
        self._standing: dict[tuple[str, str], tuple[Any, ...]] = {}

    def add(self, events: Iterable[Event]) -> None:
        for event in events:
            try:
                self._one(event)
            except OverflowError:  # no table holds such an integer
                self._one(storable(event))

    def _one(self, event: Event) -> None:
        kind = type(event)
        _add(self._lake, kind, event)
        if isinstance(event, Bar):
            key = (event.instrument, event.interval, event.origin, event.ts_open)
            if (old := self._bars.get(key)) is None or event.revision >= old.revision:
                self._bars[key] = event
        elif kind is not BookUpdate and self._changes(event):
            _add(self._sqlite, kind, event)

    def _changes(self, event: Event) -> bool:
        name = type(event).__name__
        if isinstance(event, Metrics):
            of_book = (event.mid, event.spread, event.spread_bps, event.imbalance, event.microprice, event.flags)
            sample = event.values is not None
            values: tuple[Any, ...] = (*of_book, event.values, event.incomplete) if sample else of_book
            name = f"{name} sampled" if sample else name
        elif isinstance(event, Quote) and event.origin == "book":
            values = (event.bid, event.bid_size, event.ask, event.ask_size, event.flags)
        else:
            return True
        key = (name, event.instrument)
        changed, self._standing[key] = self._standing.get(key) != values, values
        return changed

    def lake(self) -> Sums:
        return {kind: dict(row) for kind, row in self._lake.items()}

    def sqlite(self) -> Sums:
        sums: Sums = defaultdict(lambda: defaultdict(int), {kind: defaultdict(int, row) for kind, row in self._sqlite.items()})
        for bar in self._bars.values():
            _add(sums, Bar, bar)
        return {kind: dict(row) for kind, row in sums.items()}


MAP_IN_LAKE = f"list_sum(list_transform(map_values({{}}), lambda x: CAST(trunc(x * {SCALE}.0) AS BIGINT) % {PRIME}))"


def _expression(column: str, hint: Any, trunc: str, wide: str, of_map: str) -> str:
    bare, _ = bare_type(hint)
    column = f'"{column}"'
    if get_origin(bare) is list:
        number = f"len({column})"
    elif get_origin(bare) is dict:
        number = of_map.format(column)
    elif bare is float:
        number = f"CAST({trunc.format(f'{column} * {SCALE}.0')} AS {wide}) % {PRIME}"
    elif bare is int or bare is bool:
        number = f"CAST({column} AS {wide}) % {PRIME}"
    else:
        number = f"length({column})"
    return f"coalesce(sum({number}), 0)"


def _sums(db: Any, kind: type[Event], source: str, dialect: tuple[str, str, str], renamed: Mapping[str, str]) -> dict[str, int]:
    names = fields(kind)
    columns = ", ".join(_expression(renamed.get(name, name), hint, *dialect) for name, hint in names.items())
    row = db.execute(f"SELECT {columns}, count(*) FROM {source}").fetchone()
    return {name: int(value) for name, value in zip([*names, "rows"], row, strict=True)}


def kept_in_sqlite(data: Path) -> Sums:
    db = sqlite3.connect(data / FILE)
    db.create_function("map_number", 1, _map_number, deterministic=True)
    dialect = ("{}", "INTEGER", "map_number({})")
    try:
        found = {tag: _sums(db, kind, TABLES[kind], dialect, {}) for tag, kind in TYPES.items() if kind in TABLES}
    finally:
        db.close()
    return {tag: row for tag, row in found.items() if row["rows"]}


def kept_in_lake(data: Path) -> Sums:
    import duckdb

    from tapeline.lake.tables import RENAMED

    found: Sums = {}
    with duckdb.connect() as db:
        db.execute("SET threads = 1")
        for tag, kind in TYPES.items():
            glob = dataset_glob(data, tag)
            if any(data.glob(str(Path(glob).relative_to(data)))):
                source = f"read_parquet('{glob}', hive_partitioning = false)"
                found[tag] = _sums(db, kind, source, ("trunc({})", "BIGINT", MAP_IN_LAKE), RENAMED)
    return found


def differences(name: str, expected: Sums, kept: Sums) -> list[str]:
    """In plain sentences, one a kind; none where both are equal."""
    found = []
    for kind in sorted(expected.keys() | kept.keys()):
        want, have = expected.get(kind, {}), kept.get(kind, {})
        if want.get("rows", 0) != have.get("rows", 0):
            found.append(f"{name}: {have.get('rows', 0)} rows of kind {kind}, and the tape makes {want.get('rows', 0)}")
        elif wrong := [column for column in want if want[column] != have[column]]:
            found.append(f"{name}: the rows of kind {kind} differ from the tape's in {', '.join(wrong)}")
    return found
