"""`tapeline lake`: what is listed, and merging by hand."""

import json
import os
import sys

import pytest

from tapeline.cli import main
from tapeline.sinks.lake import LakeSink
from tests.lake.upkeep_helpers import fill, listed


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    for name in [k for k in os.environ if k.startswith("TAPELINE_")]:
        monkeypatch.delenv(name)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["lake", *arguments])
        sys.stdout.flush()
        return code, *capfd.readouterr()

    return run


@pytest.fixture
def sink(tmp_path):
    sink = LakeSink(tmp_path / "data")
    sink.open()
    fill(sink, count=60)
    yield sink
    sink.close()


def test_ls_counts_what_is_there(sink, run):
    code, out, err = run("ls")
    assert (code, err) == (0, "")
    assert out.splitlines()[0].split() == ["kind", "instrument", "days", "from", "to", "files", "rows", "bytes", "compacted"]
    found = {(h["kind"], h["instrument"]): h for h in json.loads(run("ls", "--json")[1])}
    files = sink.store.state.files()
    trades = [f for f in files if (f.kind, f.venue, f.symbol) == ("trade", "binance", "BTC-USDT")]
    assert found["trade", "binance:BTC-USDT"] == {
        "kind": "trade",
        "instrument": "binance:BTC-USDT",
        "days": 2,
        "first": "2026-11-19",
        "last": "2026-11-20",
        "files": len(trades),
        "rows": sum(f.rows for f in trades),
        "bytes": sum(f.bytes for f in trades),
        "compacted": 0.0,
    }
    assert sum(h["rows"] for h in found.values()) == sum(f.rows for f in files)
    assert ("status", "sim") in found


def test_the_folder_is_named_as_everywhere_else(sink, run, tmp_path):
    place = str(tmp_path / "data")
    assert run("ls", place) == run("ls", "--data", place) == run("ls")


def test_compact_leaves_one_file_a_folder_and_the_same_rows(sink, run, tmp_path):
    before = listed(tmp_path / "data")
    sink.close()
    code, out, _ = run("compact")
    assert code == 0
    assert " became " in out
    assert listed(tmp_path / "data") == before
    assert all(h["files"] == h["days"] for h in json.loads(run("ls", "data", "--json")[1]))
    assert run("compact")[1].startswith("0 files became 0")


def test_compact_is_refused_while_another_writes(sink, run):
    code, out, err = run("compact", "data")
    assert (code, out) == (3, "")
    assert "another tapeline writes there" in err


def test_where_there_is_no_lake(run, tmp_path):
    (tmp_path / "empty").mkdir()
    for command in ("ls", "compact"):
        code, _, err = run(command, "empty")
        assert code == 2
        assert "there is no lake in" in err
        assert run(command, "nowhere")[0] == 2
