"""Retention: whole days, the oldest first, never today's; and nothing comes back."""

import sqlite3
from contextlib import closing

import pytest

from tapeline.config import KeepSettings
from tapeline.events import Bar, Trade
from tapeline.lake.retention import expired
from tapeline.lake.state import LakeFile
from tapeline.lake.upkeep import RETENTION_SECONDS
from tapeline.sinks.sqlite import SqliteSink
from tapeline.sinks.sqlite_retention import prune
from tapeline.sinks.sqlite_schema import TABLES
from tests.lake.upkeep_helpers import DAY, SECOND, Hands, fill, flat, folders, upkeep
from tests.sinks.helpers import BTC, T0, frames, in_order, row
from tests.sinks.subjects.lake_subject import read_lake

NOON = 1_795_132_800_000_000_000 + DAY // 2  # 2026-11-20T12:00Z
GB = 10**9


def of(day: str, size: float = 0.1, kind: str = "trade") -> LakeFile:
    return LakeFile(f"{kind}-{day}-{size}", kind, "x", "A", day, 0, 0, 1, int(size * GB))


DAYS = [of(f"2026-11-{d}") for d in (15, 16, 17, 18, 19, 20, 21)]


@pytest.mark.parametrize(
    ("days", "gb", "gone"),
    [
        (0, 0, []),
        (1, 0, [15, 16, 17, 18]),  # the 18th ended 36 hours ago
        (1.5, 0, [15, 16, 17]),
        (0.5, 0, [15, 16, 17, 18]),  # the 19th ended twelve hours ago, not more
        (0.4, 0, [15, 16, 17, 18, 19]),
        (0.0001, 0, [15, 16, 17, 18, 19]),  # never today's, nor what a clock ahead of ours made
        (30, 0, []),
        (0, 0.7, []),
        (0, 0.65, [15]),
        (0, 0.31, [15, 16, 17, 18]),
        (0, 0.001, [15, 16, 17, 18, 19]),
        (2, 0.45, [15, 16, 17]),
    ],
)
def test_what_is_expired(days, gb, gone):
    found = expired(DAYS, now=NOON, days=days, gb=gb)
    assert [int(day[-2:]) for day in found] == gone
    assert list(found) == sorted(found)


def test_all_kinds_of_a_day_go_together():
    files = [of("2026-11-18"), of("2026-11-18", 0.2, "book_snapshot"), of("2026-11-19", 0.3, "bar")]
    assert expired(files, now=NOON, days=0, gb=0.5) == {"2026-11-18": files[:2]}


def test_the_lake_forgets_a_day_and_stays_where_it_stood(sink, tmp_path):
    made = fill(sink)
    assert {f.date for f in sink.store.state.files()} == {"2026-11-19", "2026-11-20"}
    said: list[str] = []
    clock = Hands(NOON)
    keeper = upkeep(sink, clock, said, keep=KeepSettings(lake_days=0.25))
    position = sink.position("s")
    keeper.run_once()
    assert {f.date for f in sink.store.state.files()} == {"2026-11-20"}
    assert {folder.rpartition("date=")[2] for folder in folders(tmp_path)} == {"2026-11-20"}
    assert not list((tmp_path / "lake").rglob("date=2026-11-19"))
    left = in_order([row(e) for e in made if getattr(e, "ts_open", e.ts_event) >= T0 + SECOND])
    assert in_order(read_lake(tmp_path)) == left
    assert len(said) == 1
    assert said[0].startswith("lake: 2026-11-19 removed, ")
    assert sink.position("s") == position
    assert keeper.stats.removed_files > 0
    keeper.run_once()
    clock.time += RETENTION_SECONDS * SECOND
    keeper.run_once()
    assert len(said) == 1


def sqlite_rows(path, table: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return sorted(db.execute(f"SELECT * FROM {table}").fetchall(), key=repr)


def test_sqlite_loses_what_is_old_by_both_clocks_and_stays_where_it_stood(tmp_path, monkeypatch):
    monkeypatch.setattr("tapeline.sinks.sqlite_retention.BATCH_ROWS", 7)
    sink = SqliteSink(tmp_path)
    sink.open()
    made = frames(300)
    old = Trade(BTC, 5, NOON, 256, 1.0, 1.0, "buy", "a fresh row with a time of 1970")
    late = Trade(BTC, NOON, 5, 0, 1.0, 1.0, "buy", "received long ago, of a time to come")
    candles = [
        Bar(BTC, T0, T0, 0, "1s", T0 + k * SECOND, 1, 1, 1, 1, 1, None, None, None, None, True, 0, "venue") for k in range(50)
    ]
    sink.commit("s", 299, [*flat(made), old, late, *candles])
    before = {table: sqlite_rows(sink.path, table) for table in TABLES.values()}
    limit = T0 + 2 * SECOND
    pauses = []
    removed = prune(sink.path, limit, lambda: pauses.append(1))
    kept = 0
    for kind, table in TABLES.items():
        names = kind.__struct_fields__
        label = names.index("ts_open" if kind is Bar else "ts_event")
        received = names.index("ts_recv")
        expected = [r for r in before[table] if not (r[label] < limit and r[received] < limit)]
        assert sqlite_rows(sink.path, table) == expected
        kept += len(expected)
    assert removed == sum(map(len, before.values())) - kept > 50
    assert len(pauses) >= removed / 7
    assert sink.position("s") == 299
    sink.commit("s", 300, flat(frames(301)[300:]))
    sink.close()


def test_upkeep_prunes_sqlite_beside_the_sink_and_says_so(tmp_path):
    sink = SqliteSink(tmp_path)
    sink.open()
    sink.commit("s", 99, flat(frames(100)))
    said: list[str] = []
    keeper = upkeep(None, Hands(T0 + 10 * DAY), said, keep=KeepSettings(sqlite_days=3), sqlite=sink.path)
    assert keeper.run_once()
    assert sqlite_rows(sink.path, "trades") == []
    assert said == [f"sqlite: {keeper.stats.removed_rows} rows removed (keep.sqlite_days)"]
    sink.close()


def test_what_cannot_be_removed_is_told_once_and_tried_again(tmp_path):
    sink = SqliteSink(tmp_path)
    sink.open()
    sink.commit("s", 99, flat(frames(100)))
    clock, said = Hands(T0 + 10 * DAY), []
    keeper = upkeep(None, clock, said, keep=KeepSettings(sqlite_days=3), sqlite=sink.path)
    with closing(sqlite3.connect(sink.path)) as db:
        db.execute("ALTER TABLE trades RENAME TO gone")
        for _ in range(2):
            assert not keeper.run_once()
            clock.time += RETENTION_SECONDS * SECOND
        assert len(said) == 1
        assert "old rows of SQLite cannot be removed: no such table: trades; tried again later" in said[0]
        db.execute("ALTER TABLE gone RENAME TO trades")
    assert keeper.run_once()
    assert keeper.stats.error == ""
    assert sqlite_rows(sink.path, "trades") == []
    sink.close()
