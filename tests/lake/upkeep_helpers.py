"""What the tests of the lake's upkeep share."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq

from tapeline.config import KeepSettings, LakeSettings
from tapeline.events import Event
from tapeline.lake.catalogue import read
from tapeline.lake.upkeep import Upkeep
from tapeline.sinks.lake import LakeSink
from tests.sinks.helpers import T0, frames, in_order, row

SECOND = 1_000_000_000
DAY = 86_400 * SECOND


class Hands:
    """A clock that stands where it is set."""

    def __init__(self, now: int = T0) -> None:
        self.time = now

    def now(self) -> int:
        return self.time


def flat(made: Iterable[list[Event]]) -> list[Event]:
    return [e for events in made for e in events]


def rows(events: list[Event]) -> list[str]:
    return in_order([row(e) for e in events])


def commit_all(sink: LakeSink, session: str, made: list[list[Event]], step: int) -> None:
    for at in range(0, len(made), step):
        part = made[at : at + step]
        sink.commit(session, at + len(part) - 1, flat(part))


def fill(sink: LakeSink, session: str = "s", count: int = 100, step: int = 20, seed: int = 1) -> list[Event]:
    """Many small files; the events that are in them."""
    made = frames(count, seed)
    commit_all(sink, session, made, step)
    return flat(made)


def upkeep(
    sink: LakeSink | None, clock: Hands, said: list[str], *, keep: KeepSettings | None = None, fan: int = 4, **more
) -> Upkeep:
    lake = LakeSettings(compact_files=fan, compact_seconds=0.01)
    store = None if sink is None else sink.store
    return Upkeep(store, lake=lake, keep=keep or KeepSettings(), clock=clock, tell=said.append, busy=True, **more)


def listed(data: Path) -> list[tuple[str, int]]:
    """(session, n) of every row, by the catalogue."""
    catalogue = read(data)
    found = []
    for file in catalogue.files:
        table = pq.read_table(catalogue.path(file), columns=["session_id", "n"], partitioning=None)
        assert len(table) == file.rows
        assert Path(catalogue.path(file)).stat().st_size == file.bytes
        found += list(zip(table["session_id"].to_pylist(), table["n"].to_pylist(), strict=True))
    return sorted(found)


def folders(data: Path) -> Counter[str]:
    """The number of files in each folder, by glob, which is what the catalogue says too."""
    lake = data / "lake"
    found = Counter(p.parent.relative_to(lake).as_posix() for p in lake.rglob("*.parquet"))
    assert sorted(f.path for f in read(data).files) == sorted(p.relative_to(lake).as_posix() for p in lake.rglob("*.parquet"))
    return found


def is_sorted(path: Path) -> bool:
    table = pq.read_table(path, columns=["ts_event", "session_id", "n"], partitioning=None)
    keys = list(zip(*(table[c].to_pylist() for c in table.column_names), strict=True))
    return keys == sorted(keys)
