"""Compaction: the same rows in fewer files, sorted, whatever was committed and in whatever order it is done."""

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tapeline.errors import IntegrityError
from tapeline.lake import compaction, merging
from tapeline.lake.compaction import DAY, MOST_BYTES, Job, level, plan
from tapeline.lake.layout import unique_name
from tapeline.lake.merging import Input, merged, write_merged
from tapeline.lake.state import LakeFile
from tests.lake import upkeep_helpers as helpers
from tests.lake.upkeep_helpers import Hands, fill, folders, is_sorted, listed, rows, upkeep
from tests.sinks.helpers import T0, frames, in_order
from tests.sinks.subjects.lake_subject import read_lake

TODAY, YESTERDAY = "2026-11-20", "2026-11-19"


def file(n: int, size: int = 1000, name: str = "", date: str = TODAY, kind: str = "trade") -> LakeFile:
    folder = f"kind={kind}/venue=x/instrument=A/date={date}"
    return LakeFile(f"{folder}/{name or f's-{n}-{n}.parquet'}", kind, "x", "A", date, n, n + 1, 10, size, bool(name))


def of_level(n: int, at: int, size: int = 1000, date: str = TODAY) -> LakeFile:
    return file(n, size, unique_name("day" if at == DAY else f"level{at}"), date)


def planned(files: list[LakeFile], fan: int = 3) -> list[tuple[list[int], int]]:
    return [([f.first_ts for f in job.files], job.level) for job in plan(files, today=TODAY, fan=fan)]


def test_an_open_day_merges_as_many_as_the_fan_of_one_level():
    assert planned([file(1), file(2)]) == []
    assert planned([file(3), file(1), file(2)]) == [([1, 2, 3], 1)]
    assert planned([file(1), file(2), of_level(3, 1)]) == []
    assert planned([of_level(i, 1) for i in range(3)] + [of_level(9, 2)]) == [([0, 1, 2], 2)]
    assert planned([of_level(i, DAY) for i in range(5)]) == []


def test_each_folder_by_itself_and_only_kinds_of_events():
    other = [file(n, kind="quote") for n in range(3)]
    derived = [file(n, kind="book_snapshot") for n in range(5)]
    assert planned([file(1), file(2), *other, *derived]) == [([0, 1, 2], 1)]


def test_a_closed_day_becomes_one_file():
    files = [file(n, date=YESTERDAY) for n in range(2)] + [of_level(5, 1, date=YESTERDAY)]
    assert planned(files) == [([0, 1, 5], DAY)]
    assert planned(files[:1]) == []
    assert planned([of_level(1, DAY, date=YESTERDAY)]) == []


def test_a_large_day_becomes_several_files_of_bounded_size():
    half = MOST_BYTES // 2
    files = [of_level(n, 2, half - 1, YESTERDAY) for n in range(5)]
    assert planned(files) == [([0, 1], DAY), ([2, 3], DAY)]


def test_very_many_files_are_merged_in_steps():
    files = [file(n, date=YESTERDAY) for n in range(250)]
    assert [(len(times), at) for times, at in planned(files)] == [(100, 1), (100, 1), (50, 1)]


def test_stragglers_of_a_closed_day_wait_until_they_are_worth_it():
    day = of_level(0, DAY, 8000, YESTERDAY)
    assert planned([day, file(1, 400, date=YESTERDAY), file(2, 500, date=YESTERDAY)]) == []
    assert planned([day, file(1, 500, date=YESTERDAY), file(2, 500, date=YESTERDAY)]) == [([0, 1, 2], DAY)]
    assert planned([day, *(file(n, 1, date=YESTERDAY) for n in (1, 2, 3))]) == [([1, 2, 3], DAY)]


def test_an_event_is_written_again_once_a_level():
    """A day of 2880 commits: what is written over the day, by the plan alone."""
    files: list[LakeFile] = []
    written = 0
    for n in range(2880):
        files.append(file(n, 1))
        while jobs := plan(files, today=TODAY, fan=20):
            for job in jobs:
                size = sum(f.bytes for f in job.files)
                written += size
                files = [f for f in files if f not in job.files] + [of_level(job.files[0].first_ts, job.level, size)]
    assert written / 2880 <= 2
    assert len(files) <= 3 * 20


def test_the_level_is_in_the_name():
    assert [level(f) for f in (file(1), of_level(1, 1), of_level(1, 12), of_level(1, DAY))] == [0, 1, 12, DAY]
    assert level(file(1, name="level1-0-4.parquet")) == 0, "a session may have any name"


def test_files_become_few_sorted_and_hold_the_same_events(sink, tmp_path):
    made = fill(sink)
    before = listed(tmp_path)
    said: list[str] = []
    keeper = upkeep(sink, Hands(T0 + 2 * helpers.DAY), said)
    assert keeper.run_once()
    assert said == []
    assert listed(tmp_path) == before
    assert in_order(read_lake(tmp_path)) == rows(made)
    assert set(folders(tmp_path).values()) == {1}
    for path in (tmp_path / "lake").rglob("*.parquet"):
        assert is_sorted(path)
        assert pq.read_schema(path).metadata[b"tapeline.lake"] == b"2"
        assert pq.read_schema(path).metadata[b"tapeline.session"] == b"s"
        if "kind=trade" in str(path):
            simulated = pq.read_schema(path).metadata[b"tapeline.simulated"]
            assert simulated == (b"true" if "venue=sim" in str(path) else b"false")
    assert list(sink.store.pending.iterdir()) == []
    assert keeper.stats.rows >= len(made) - 10


def test_an_open_day_keeps_few_files_and_takes_further_commits(sink, tmp_path):
    made = frames(100)
    keeper = upkeep(sink, Hands(T0 - helpers.DAY), [], fan=2)
    for at in range(0, 100, 10):
        sink.commit("s", at + 9, helpers.flat(made[at : at + 10]))
        assert keeper.run_once()
    assert in_order(read_lake(tmp_path)) == rows(helpers.flat(made))
    assert max(folders(tmp_path).values()) <= 4
    levels = {level(f) for f in sink.store.state.files()}
    assert levels >= {0, 1, 2}
    assert DAY not in levels


@pytest.mark.parametrize("seed", range(5))
def test_any_commits_and_any_order_of_merges_give_the_same_rows_sorted(sink, tmp_path, seed, monkeypatch):
    r = random.Random(seed)
    monkeypatch.setattr(merging, "ROW_GROUP", r.choice((7, 50, 1000)))
    monkeypatch.setattr(merging, "LEAST_BATCH", 1)
    monkeypatch.setattr(merging, "HELD_ROWS", r.choice((10, 100, 10_000)))
    compactor = compaction.Compactor(sink.store, lambda: None)
    made = {f"s{k}": frames(r.randrange(20, 60), r.randrange(9)) for k in range(3)}
    at = dict.fromkeys(made, 0)
    while any(at[s] < len(made[s]) for s in made):
        session = r.choice([s for s in made if at[s] < len(made[s])])
        part = made[session][at[session] : at[session] + r.randrange(1, 25)]
        at[session] += len(part)
        sink.commit(session, at[session] - 1, helpers.flat(part))
        if r.random() < 0.6:
            compactor.do(_any_job(r, sink.store.state.files()))
    assert in_order(read_lake(tmp_path)) == in_order([row for s in made for row in map(helpers.row, helpers.flat(made[s]))])
    folders(tmp_path)
    assert all(is_sorted(p) for p in (tmp_path / "lake").rglob("*.parquet"))
    listed(tmp_path)


def _any_job(r: random.Random, files: list[LakeFile]) -> Job:
    one = r.choice(files)
    same = [f for f in files if Path(f.path).parent == Path(one.path).parent]
    return Job(tuple(r.sample(same, r.randrange(1, len(same) + 1))), r.choice((1, 2, DAY)))


def test_merged_holds_few_rows_though_the_files_are_long(tmp_path):
    """Ten files of 30,000 rows that all overlap: no more than HELD_ROWS and a little are ever out."""
    schema = pa.schema([("ts_event", pa.int64()), ("session_id", pa.string()), ("n", pa.int64())])
    r, inputs, expected = random.Random(4), [], []
    for k in range(10):
        keys = sorted((r.randrange(1000), f"s{k % 3}", r.randrange(1 << 40)) for _ in range(30_000))
        expected += keys
        path = tmp_path / f"{k}.parquet"
        pq.write_table(pa.Table.from_arrays([pa.array(c) for c in zip(*keys, strict=True)], schema=schema), path)
        inputs.append(Input(path, keys[0][0], keys[-1][0]))
    tables = list(merged(inputs, schema))
    assert max(map(len, tables)) <= merging.HELD_ROWS
    got = [k for t in tables for k in zip(*(t[c].to_pylist() for c in schema.names), strict=True)]
    assert got == sorted(expected)


def test_row_groups_are_prunable_and_of_the_said_size(tmp_path):
    schema = pa.schema([("ts_event", pa.int64()), ("session_id", pa.string()), ("n", pa.int64())])
    inputs = []
    for k in range(3):
        at = range(k * 100_000, (k + 1) * 100_000)
        path = tmp_path / f"{k}.parquet"
        pq.write_table(pa.table([pa.array(at), pa.array(["s"] * len(at)), pa.array(at)], schema=schema), path)
        inputs.append(Input(path, at[0], at[-1]))
    out = tmp_path / "out.parquet"
    assert write_merged(inputs, schema, out, lambda: None) == 300_000
    about = pq.ParquetFile(out).metadata
    sizes = [about.row_group(i).num_rows for i in range(about.num_row_groups)]
    assert sizes == [122_880, 122_880, 300_000 - 2 * 122_880]
    spans = [about.row_group(i).column(0).statistics for i in range(about.num_row_groups)]
    assert [(s.min, s.max) for s in spans] == [(0, 122_879), (122_880, 245_759), (245_760, 299_999)]
    assert about.row_group(0).column(0).has_offset_index


def test_a_file_that_is_not_sorted_is_left_alone(tmp_path):
    schema = pa.schema([("ts_event", pa.int64()), ("session_id", pa.string()), ("n", pa.int64())])
    columns = [pa.array([*range(500, 1000), *range(500)]), pa.array(["s"] * 1000), pa.array(range(1000))]
    pq.write_table(pa.table(columns, schema=schema), tmp_path / "in.parquet")
    with pytest.raises(IntegrityError, match="not sorted"):
        write_merged([Input(tmp_path / "in.parquet", 0, 999)], schema, tmp_path / "out.parquet", lambda: None)


@pytest.mark.parametrize("damage", ["cut short", "gone", "overwritten"])
def test_a_damaged_file_is_left_told_once_and_the_others_merged(sink, tmp_path, damage):
    fill(sink)
    trades = sorted((f for f in sink.store.state.files() if f.kind == "trade"), key=lambda f: f.rows)
    path = sink.store.root / trades[-1].path
    whole = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(
            whole[:-20] if damage == "cut short" else whole[:8] + bytes(len(whole) // 2) + whole[8 + len(whole) // 2 :]
        )
    said: list[str] = []
    keeper = upkeep(sink, Hands(T0 + 2 * helpers.DAY), said)
    keeper.run_once()
    keeper.run_once()
    assert len(said) == 1
    assert path.name in said[0]
    assert keeper.stats.left == 1
    assert trades[-1] in sink.store.state.files()
    assert len([f for f in sink.store.state.files() if Path(f.path).parent == Path(trades[-1].path).parent]) == 2
    path.write_bytes(whole)
    assert in_order(read_lake(tmp_path)) == rows(helpers.flat(frames(100)))


def test_a_row_too_few_is_not_accepted(sink, tmp_path, monkeypatch):
    made = fill(sink)
    real = merging.write_merged
    monkeypatch.setattr(merging, "write_merged", lambda *a: real(*a) - 1)
    said: list[str] = []
    upkeep(sink, Hands(T0 + 2 * helpers.DAY), said).run_once()
    assert all("left as they are" in line for line in said)
    assert said
    assert in_order(read_lake(tmp_path)) == rows(made)
    assert list(sink.store.pending.iterdir()) == []
