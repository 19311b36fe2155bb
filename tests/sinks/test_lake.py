"""The lake's own promises: a crash at each step of a commit, what lies where, and how small it is."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tapeline.errors import ConfigError, IntegrityError
from tapeline.events import Event
from tapeline.lake import tables
from tapeline.lake.state import LakeState
from tapeline.sinks import lake
from tapeline.sinks.lake import LakeSink
from tests.sinks.helpers import BTC, T0, frames, in_order, one_of_each, row
from tests.sinks.subjects.lake_subject import read_lake


class Crash(BaseException):
    """The process is gone: nothing may tidy up after it."""


@pytest.fixture
def opened(tmp_path):
    sinks: list[LakeSink] = []

    def make() -> LakeSink:
        for old in sinks:
            old.close()
        sinks.append(LakeSink(tmp_path))
        sinks[-1].open()
        return sinks[-1]

    yield make
    for sink in sinks:
        sink.close()


def flat(made: list[list[Event]]) -> list[Event]:
    return [e for events in made for e in events]


def rows(events: list[Event]) -> list[str]:
    return in_order([row(e) for e in events])


def crash_at(call: int):
    """A function that crashes at its n-th call, before it does anything; `real` is called otherwise."""
    calls = iter(range(1 << 30))

    def wrap(real):
        def instead(*args, **kwargs):
            if next(calls) == call:
                raise Crash
            return real(*args, **kwargs)

        return instead

    return wrap


STEPS = [
    ("writing the first file", tables, "write", 0, False),
    ("writing the third file", tables, "write", 2, False),
    ("syncing a file", lake, "sync_file", 1, False),
    ("before the intent", LakeState, "intend", 0, False),
    ("right after the intent", LakeState, "intents", 0, True),
    ("moving the first file", Path, "replace", 0, True),
    ("moving the third file", Path, "replace", 2, True),
    ("before the list is forgotten", LakeState, "moved", 0, True),
]


@pytest.mark.parametrize(("where", "name", "call", "kept"), [s[1:] for s in STEPS], ids=[s[0] for s in STEPS])
def test_a_crash_at_each_step(opened, tmp_path, monkeypatch, where, name, call, kept):
    before, after = frames(40)[:20], frames(40)[20:]
    sink = opened()
    sink.commit("s", 19, flat(before))
    with monkeypatch.context() as broken:
        broken.setattr(where, name, crash_at(call)(getattr(where, name)))
        broken.setattr(Path, "unlink", lambda *_, **__: None)  # a dead process tidies nothing
        with pytest.raises(Crash):
            sink.commit("s", 39, flat(after))
    seen = read_lake(tmp_path)
    assert set(in_order(seen)) <= set(rows(flat(before) + flat(after)))
    sink = opened()
    assert sink.position("s") == (39 if kept else 19)
    assert in_order(read_lake(tmp_path)) == rows(flat(before) + (flat(after) if kept else []))
    assert list(sink.store.pending.iterdir()) == []


def test_files_that_cannot_be_moved_wait_and_go_before_the_next_commit(opened, tmp_path, monkeypatch):
    made = frames(40)
    sink = opened()
    with monkeypatch.context() as broken:
        broken.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("no inode left")))
        sink.commit("s", 19, flat(made[:20]))
        assert sink.position("s") == 19
        with pytest.raises(OSError, match="no inode left"):
            sink.commit("s", 39, flat(made[20:]))
        assert sink.position("s") == 19
    sink.commit("s", 39, flat(made[20:]))
    assert in_order(read_lake(tmp_path)) == rows(flat(made))


def test_a_committed_file_that_is_gone_is_reported(opened, tmp_path, monkeypatch):
    sink = opened()
    with monkeypatch.context() as broken:
        broken.setattr(LakeState, "moved", lambda _: (_ for _ in ()).throw(Crash()))
        with pytest.raises(Crash):
            sink.commit("s", 0, one_of_each())
    next(tmp_path.rglob("*.parquet")).unlink()
    with pytest.raises(IntegrityError, match="is committed but is not there"):
        opened()


def test_a_lake_of_another_version_is_refused(opened, tmp_path, monkeypatch):
    opened().close()
    monkeypatch.setattr("tapeline.lake.state.VERSION", 3)
    with pytest.raises(ConfigError, match="is of version 2, this program writes 3"):
        opened()


def test_simulated_data_says_so_in_path_rows_and_metadata(opened, tmp_path):
    opened().commit("s", 9, flat(frames(30)))
    for path in (tmp_path / "lake").rglob("*.parquet"):
        table = pq.read_table(path, partitioning=None)
        about = table.schema.metadata
        if "venue=sim" in str(path) and "kind=status" not in str(path):
            assert about[b"tapeline.simulated"] == b"true"
            assert all(flags & 128 for flags in table["flags"].to_pylist())
        else:
            assert about[b"tapeline.simulated"] == b"false"
        assert about[b"tapeline.event"].decode() == path.relative_to(tmp_path / "lake").parts[0].removeprefix("kind=")
        assert about[b"tapeline.session"] == b"s"


def test_a_file_covers_the_frames_in_its_name_and_rows_are_sorted_and_numbered(opened, tmp_path):
    made = frames(200)
    sink = opened()
    sink.commit("s-1", 99, flat(made[:100]))
    sink.commit("s-1", 199, flat(made[100:]))
    names = {p.name for p in tmp_path.rglob("*.parquet")}
    assert names == {"s-1-0-99.parquet", "s-1-100-199.parquet"}
    numbers: list[int] = []
    for path in tmp_path.rglob("*.parquet"):
        table = pq.read_table(path, partitioning=None)
        order = list(zip(table["ts_event"].to_pylist(), table["n"].to_pylist(), strict=True))
        assert order == sorted(order)
        numbers += table["n"].to_pylist()
    assert sorted(numbers) == list(range(len(flat(made))))


def test_every_tool_reads_the_folders(opened, tmp_path):
    import duckdb
    import pyarrow.dataset as ds

    opened().commit("s", 0, one_of_each())
    with duckdb.connect() as db:
        glob = f"{tmp_path}/lake/kind=status/**/*.parquet"
        found = db.execute(f"SELECT kind, venue, instrument, date, status FROM '{glob}' ORDER BY n").fetchall()
    assert [(k, v, i, d.isoformat(), s) for k, v, i, d, s in found] == [
        ("status", "binance", None, "2026-11-19", "disconnected"),
        ("status", "binance", "BTC-USDT", "2026-11-19", "gap"),
    ]
    trades = tmp_path / "lake" / "kind=trade"
    for whole in (ds.dataset(trades, partitioning="hive").to_table(), pq.read_table(trades)):  # the latter is pandas' way
        assert sorted(map(str, whole["instrument"].to_pylist())) == ["BTC-USDT", "ETH-USDT"]
        assert sorted(whole["instrument_id"].to_pylist()) == ["binance:BTC-USDT", "sim:ETH-USDT"]


def test_a_realistic_trade_takes_less_than_13_bytes(opened, tmp_path, shared_frames):
    import gzip

    from tapeline.events import Trade

    made: list[Event] = []
    with gzip.open(shared_frames / "recorded" / "binance-usdm" / "btcusdt_20240808.gz", "rt") as lines:
        for line in lines:
            ts, _, raw = line.partition(" ")
            if '@trade"' in raw:
                d = json.loads(raw)["data"]
                side = "sell" if d["m"] else "buy"
                made.append(Trade(BTC, d["T"] * 1_000_000, int(ts), 0, float(d["p"]), float(d["q"]), side, str(d["t"])))
    opened().commit("s", 0, made)
    (path,) = tmp_path.rglob("*.parquet")
    assert len(made) > 20_000
    assert path.stat().st_size / len(made) < 7


def test_what_is_committed_but_empty_makes_no_file(opened, tmp_path):
    opened().commit("s", T0 % 1000, [])
    assert list(tmp_path.rglob("*.parquet")) == []
