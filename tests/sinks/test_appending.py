"""Plain files that rows are appended to: what a crash leaves, what users do to their files, and what is written all the same."""

import gzip
import os
import resource
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tapeline.config import FilesSettings
from tapeline.errors import ConfigError
from tapeline.events import Alert, Event, Trade
from tapeline.sinks import appending
from tapeline.sinks.csv import CsvSink
from tapeline.sinks.jsonl import JsonlSink
from tests.sinks.helpers import BTC, T0, batches, everything, frames, in_order, one_of_each, row
from tests.sinks.subjects.csv_subject import read_csv, text_of
from tests.sinks.subjects.jsonl_subject import read_jsonl

DAY = 86_400 * 10**9
PLACE = "trade/binance/BTC-USDT/2026-11-19"
KINDS = [(CsvSink, read_csv), (JsonlSink, read_jsonl)]


def trade(n: int, ts: int = T0, instrument: str = BTC) -> Trade:
    return Trade(instrument, ts, ts, 0, 100.5 + n, 0.25, "buy", str(n))


def make(data: Path, compression: str = "none", path: str = "", kind=CsvSink):
    sink = kind(data, FilesSettings(compression=compression, path=path))
    sink.open()
    return sink


@pytest.fixture
def sink(tmp_path):
    made = make(tmp_path)
    yield made
    made.close()


def ids(path: Path) -> list[str]:
    """The ids in a CSV file of trades, by position of their column alone."""
    header, *lines = text_of(path).splitlines()
    at = header.split(",").index("id")
    return [line.split(",")[at] for line in lines]


def files(data: Path) -> list[str]:
    return sorted(str(p.relative_to(data / "csv")) for p in (data / "csv").glob("*/*/*/*"))


def test_one_file_a_kind_instrument_and_day_with_its_header_once(sink, tmp_path):
    sink.commit("s", 0, [trade(1), trade(2, T0 + DAY), trade(3, instrument="sim:ETH-USDT")])
    sink.commit("s", 1, [trade(4)])
    sink.close()
    sink.open()
    sink.commit("s", 2, [trade(5)])
    other = ["trade/binance/BTC-USDT/2026-11-20.csv", "trade/sim/ETH-USDT/2026-11-19.csv"]
    assert files(tmp_path) == [f"{PLACE}.csv", *other]
    assert (tmp_path / "csv" / f"{PLACE}.csv").read_text() == (
        "time,instrument,price,size,side,id,conditions,flags,ts_event,ts_recv\n"
        f"2026-11-19T23:59:59.000000000Z,binance:BTC-USDT,101.5,0.25,buy,1,,,{T0},{T0}\n"
        f"2026-11-19T23:59:59.000000000Z,binance:BTC-USDT,104.5,0.25,buy,4,,,{T0},{T0}\n"
        f"2026-11-19T23:59:59.000000000Z,binance:BTC-USDT,105.5,0.25,buy,5,,,{T0},{T0}\n"
    )


@pytest.mark.parametrize(("kind", "read"), KINDS)
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_packed_or_not_everything_comes_back(tmp_path, compression, kind, read):
    made = frames(400)
    sink = make(tmp_path, compression, kind=kind)
    for batch in batches(made, "s", 40):
        sink.commit("s", batch.seq, batch.events)
    sink.close()
    assert in_order(read(tmp_path)) == in_order(everything(made))


@pytest.mark.parametrize(("compression", "command"), [("gzip", "gzip"), ("zstd", "zstd")])
def test_the_usual_programs_unpack_a_file_that_is_still_written(tmp_path, compression, command):
    if shutil.which(command) is None:
        pytest.skip(f"needs {command}")
    sink = make(tmp_path, compression)
    for n in range(5):
        sink.commit("s", n, [trade(n)])
    (path,) = (tmp_path / "csv").glob("trade/*/*/*.csv.*")
    unpacked = subprocess.run([command, "-dc", path], capture_output=True, check=True, text=True).stdout
    sink.close()
    assert [line.split(",")[5] for line in unpacked.splitlines()] == ["id", "0", "1", "2", "3", "4"]


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_what_a_crash_left_beyond_the_commit_is_cut_off(tmp_path, compression):
    sink = make(tmp_path, compression)
    sink.commit("s", 0, [trade(1)])
    (path,) = (tmp_path / "csv").glob("trade/*/*/*.csv*")
    whole = path.read_bytes()
    crashed(sink)
    path.write_bytes(whole + whole[: len(whole) // 2])  # half a row, half a member
    sink = make(tmp_path, compression)
    assert path.read_bytes() == whole
    sink.commit("s", 1, [trade(2)])
    sink.close()
    assert ids(path) == ["1", "2"]


def crashed(sink) -> None:
    """As the kernel does it: files and locks are let go of, nothing is tidied up."""
    for target in sink._targets.values():
        target.close()
    sink._state.close()
    sink._hold.release()


def test_a_file_that_was_begun_and_never_committed_is_gone_after_a_crash(sink, tmp_path, monkeypatch):
    monkeypatch.setattr(type(sink._state), "commit", lambda *_: os._exit(0))
    child = os.fork()
    if not child:
        sink.commit("s", 0, [trade(1)])
    os.waitpid(child, 0)
    monkeypatch.undo()
    assert ids(tmp_path / "csv" / f"{PLACE}.csv") == ["1"]
    crashed(sink)
    sink.open()
    assert files(tmp_path) == []
    sink.commit("s", 0, [trade(1)])
    assert ids(tmp_path / "csv" / f"{PLACE}.csv") == ["1"]


@pytest.mark.parametrize("committed", [True, False])
def test_what_is_cut_off_stays_so_through_a_power_cut(sink, tmp_path, monkeypatch, committed):
    """Before the state calls the file settled the disk has its new end, or has forgotten the file; else the rows that come back would
    be taken for somebody else's, and stand there twice.
    """
    path = tmp_path / "csv" / f"{PLACE}.csv"
    if committed:
        sink.commit("s", 0, [trade(1)])
    else:
        monkeypatch.setattr(type(sink._state), "commit", lambda *_: os._exit(0))
        child = os.fork()
        if not child:
            sink.commit("s", 0, [trade(1)])
        os.waitpid(child, 0)
        monkeypatch.undo()
    with path.open("ab") as file:
        file.write(b"torn")
    crashed(sink)
    steps: list[tuple[str, int]] = []
    fsync, settle = os.fsync, appending.FilesState.settle

    def synced(number: int) -> None:
        steps.append(("synced", os.fstat(number).st_ino))
        fsync(number)

    def settled(state: appending.FilesState) -> None:
        steps.append(("settled", 0))
        settle(state)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(appending.FilesState, "settle", settled)
    inode = path.stat().st_ino if committed else path.parent.stat().st_ino
    sink.open()
    assert steps.index(("synced", inode)) < steps.index(("settled", 0))


def test_a_commit_that_fails_is_undone_at_once(sink, tmp_path, monkeypatch):
    sink.commit("s", 0, [trade(1)])

    def fails(*_):
        raise sqlite3.OperationalError("disk full")

    monkeypatch.setattr(type(sink._state), "commit", fails)
    with pytest.raises(OSError, match="disk full"):
        sink.commit("s", 1, [trade(2), trade(3, T0 + DAY)])
    assert files(tmp_path) == [f"{PLACE}.csv"]
    assert ids(tmp_path / "csv" / f"{PLACE}.csv") == ["1"]
    monkeypatch.undo()
    sink.commit("s", 1, [trade(2)])
    assert ids(tmp_path / "csv" / f"{PLACE}.csv") == ["1", "2"]


def test_what_could_not_be_cut_off_at_once_is_cut_off_before_anything_else(sink, tmp_path, monkeypatch):
    sink.commit("s", 0, [trade(1)])

    def fails(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(type(sink._state), "commit", fails)
    monkeypatch.setattr(appending.os, "truncate", fails)
    with pytest.raises(OSError, match="Input/output"):
        sink.commit("s", 1, [trade(2)])
    assert ids(tmp_path / "csv" / f"{PLACE}.csv") == ["1", "2"]
    monkeypatch.undo()
    sink.commit("s", 1, [trade(2)])
    assert ids(tmp_path / "csv" / f"{PLACE}.csv") == ["1", "2"]


def test_a_commit_that_seemed_to_fail_and_did_not_is_not_undone(sink, tmp_path, monkeypatch):
    commit = type(sink._state).commit

    def answer_is_lost(*given):
        commit(*given)
        raise sqlite3.OperationalError("the answer got lost")

    monkeypatch.setattr(type(sink._state), "commit", answer_is_lost)
    with pytest.raises(OSError, match="the answer got lost"):
        sink.commit("s", 0, [trade(1)])
    monkeypatch.undo()
    assert sink.position("s") == 0
    sink.commit("s", 1, [trade(2)])
    assert ids(tmp_path / "csv" / f"{PLACE}.csv") == ["1", "2"]


def test_a_file_that_was_moved_away_is_forgotten_and_begun_anew(sink, tmp_path):
    path = tmp_path / "csv" / f"{PLACE}.csv"
    sink.commit("s", 0, [trade(1)])
    path.rename(tmp_path / "mine.csv")
    sink.commit("s", 1, [trade(2)])
    assert (ids(tmp_path / "mine.csv"), ids(path)) == (["1"], ["2"])
    sink.close()
    path.unlink()
    sink.open()
    sink.commit("s", 2, [trade(3)])
    assert ids(path) == ["3"]


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("change", [b"", b"one line more\n"])
def test_a_file_that_somebody_changed_is_told_and_left_alone(sink, tmp_path, change, running):
    path = tmp_path / "csv" / f"{PLACE}.csv"
    sink.commit("s", 0, [trade(1), trade(2)])
    if not running:
        sink.close()
    path.write_bytes(path.read_bytes() + change if change else path.read_bytes()[:-5])
    theirs = path.read_bytes()
    if not running:
        sink.open()
    with capture_logs() as said:
        sink.commit("s", 1, [trade(3)])
    assert "somebody else changed it" in said[0]["event"]
    assert said[0]["file"] == str(path)
    sink.commit("s", 2, [trade(4)])
    assert path.read_bytes() == theirs
    assert ids(path.with_name("2026-11-19-2.csv")) == ["3", "4"]


def test_a_file_that_stands_in_the_way_is_not_touched(sink, tmp_path):
    path = tmp_path / "csv" / f"{PLACE}.csv"
    path.parent.mkdir(parents=True)
    path.write_text("theirs")
    sink.commit("s", 0, [trade(1)])
    assert path.read_text() == "theirs"
    assert ids(path.with_name("2026-11-19-2.csv")) == ["1"]


def test_rows_of_other_columns_get_a_file_of_their_own(sink, tmp_path, monkeypatch):
    sink.commit("s", 0, [trade(1)])
    sink.close()
    monkeypatch.setattr(CsvSink, "header", lambda *_: "time,of,another,release")
    sink.open()
    sink.commit("s", 1, [trade(2)])
    sink.commit("s", 2, [trade(3)])
    sink.close()
    monkeypatch.undo()
    assert files(tmp_path) == [f"{PLACE}-2.csv", f"{PLACE}.csv"]
    assert (tmp_path / "csv" / f"{PLACE}-2.csv").read_text().splitlines()[0] == "time,of,another,release"
    sink.open()
    sink.commit("s", 3, [trade(4)])  # and back again
    assert ids(tmp_path / "csv" / f"{PLACE}.csv") == ["1", "4"]


def test_another_compression_begins_another_file(tmp_path):
    for n, compression in enumerate(("none", "gzip", "none")):
        sink = make(tmp_path, compression)
        sink.commit("s", n, [trade(n)])
        sink.close()
    assert ids(tmp_path / "csv" / f"{PLACE}.csv") == ["0", "2"]
    assert gzip.decompress((tmp_path / "csv" / f"{PLACE}.csv.gz").read_bytes()).count(b"\n") == 2


def test_a_bounded_number_of_files_is_open_and_each_gets_its_rows(sink, tmp_path, monkeypatch):
    monkeypatch.setattr(appending, "MOST_OPEN", 3)
    days = 10
    for n in range(3):
        sink.commit("s", n, [trade(n, T0 + day * DAY) for day in range(days)])
        assert len(sink._targets) == 3
        assert all(target.file is not None for target in sink._targets.values())
    assert len(files(tmp_path)) == days
    assert all(ids(tmp_path / "csv" / name) == ["0", "1", "2"] for name in files(tmp_path))


def test_with_many_files_and_no_space_for_one_none_gets_anything(sink, tmp_path, monkeypatch):
    monkeypatch.setattr(appending, "MOST_OPEN", 3)
    sink.commit("s", 0, [trade(0, T0 + day * DAY) for day in range(10)])
    before = {name: (tmp_path / "csv" / name).read_bytes() for name in files(tmp_path)}
    many: list[Event] = [trade(n, T0 + 7 * DAY) for n in range(2000)]
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limit[1]))
    try:
        with pytest.raises(OSError, match="the csv sink cannot write"):
            sink.commit("s", 1, [*(trade(1, T0 + day * DAY) for day in range(10)), *many])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert {name: (tmp_path / "csv" / name).read_bytes() for name in files(tmp_path)} == before
    assert sink.position("s") == 0


def test_they_go_where_the_setting_says(tmp_path):
    sink = make(tmp_path / "data", path=str(tmp_path / "there"))
    sink.commit("s", 0, one_of_each())
    sink.close()
    assert not (tmp_path / "data").exists()
    assert (tmp_path / "there" / "csv" / f"{PLACE}.csv").exists()


def test_only_the_kinds_that_are_asked_for_are_written_and_the_position_counts_all(tmp_path):
    sink = CsvSink(tmp_path, FilesSettings(kinds=("trade", "alert")))
    sink.open()
    sink.commit("s", 3, one_of_each())
    sink.commit("s", 4, [e for e in one_of_each() if not isinstance(e, (Trade, Alert))])
    assert sink.position("s") == 4
    sink.close()
    kept = [row(e) for e in one_of_each() if isinstance(e, (Trade, Alert))]
    assert in_order(read_csv(tmp_path)) == in_order(kept)
    assert {name.split("/")[0] for name in files(tmp_path)} == {"trade", "alert"}


def test_a_state_of_another_version_is_refused(sink, tmp_path):
    sink._state._db.execute("PRAGMA user_version = 99")
    sink.close()
    with pytest.raises(ConfigError, match=r"version 99.*made anew from the tape"):
        make(tmp_path)
    (tmp_path / "csv" / "_state.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(ConfigError, match="cannot be used"):
        make(tmp_path)
