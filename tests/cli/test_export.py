"""`tapeline export` as others use it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tapeline.events import Status, Trade, to_json
from tests.lake.exports import BTC, events_of, lake_of, market

EVENTS = events_of([m for i, m in enumerate(market()) if not 300 <= i < 304])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("data")
    lake_of(place, EVENTS)
    return place


def export(*args: object, code: int = 0) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run(
        [sys.executable, "-m", "tapeline", "export", *map(str, args)], capture_output=True, timeout=100, check=False
    )
    assert done.returncode == code, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    return done


def test_rows_to_standard_output_and_the_rest_beside_it(data: Path) -> None:
    done = export("trades", "--data", data, "--format", "jsonl")
    trades = sorted((e for e in EVENTS if isinstance(e, Trade)), key=lambda e: e.ts_event)
    assert done.stdout.splitlines() == [to_json(e) for e in trades]
    said = done.stderr.decode()
    assert f"tapeline: {len(trades)} rows, {len(done.stdout)} bytes to standard output" in said
    gaps = [e for e in EVENTS if isinstance(e, Status) and e.kind == "gap"]
    assert gaps and f"{len(gaps)} gap" in said and "it is not whole" in said


def test_a_file_by_its_name_and_json_about_it(data: Path, tmp_path: Path) -> None:
    target = tmp_path / "t.parquet"
    told = json.loads(export("trades", "--instrument", BTC, "--data", data, "-o", target, "--json").stdout)
    assert told["output"] == str(target) and told["exported"]["bytes"] == target.stat().st_size
    assert told["exported"]["rows"] == sum(isinstance(e, Trade) for e in EVENTS) and told["gaps"]
    assert target.read_bytes()[:4] == b"PAR1"
    done = export("trades", "--data", data, "-o", target, code=2)
    assert b"is there already; --force replaces it" in done.stderr
    export("trades", "--data", data, "-o", target, "--force")


@pytest.mark.parametrize(
    ("args", "head"),
    [
        (("ohlcv", "--interval", "1s"), b"Time,Open,High,Low,Close,Volume\n"),
        (("tardis",), b"exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"),
        (
            ("tardis", "--type", "incremental_book_L2"),
            b"exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\n",
        ),
        (
            ("book",),
            b"time,instrument,side,price,size,more,snapshot,seq,prev_seq,bid_floor,ask_ceiling,depth,flags,ts_event,ts_recv\n",
        ),
    ],
)
def test_the_other_formats(data: Path, args: tuple[str, ...], head: bytes) -> None:
    done = export(*args, "--instrument", BTC, "--data", data, "--from", "2026-11-21", "--to", "2026-11-21T10:05:20")
    assert done.stdout.startswith(head) and done.stdout.count(b"\n") > 10


def test_an_archive(data: Path, tmp_path: Path) -> None:
    export("hftbacktest", "--instrument", BTC, "--data", data, "-o", tmp_path / "a.npz")
    assert (tmp_path / "a.npz").read_bytes()[:2] == b"PK"
    assert b"name a file" in export("hftbacktest", "--instrument", BTC, "--data", data, code=2).stderr


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("candles",), "export candles: there are trades, quotes"),
        (("ohlcv",), "--instrument binance:BTC-USDT"),
        (("trades", "--instrument", "binance:X-Y"), "the lake has nothing of binance:X-Y"),
        (("trades", "--from", "yesterday"), "--from yesterday: write an ISO time"),
        (("trades", "-o", "/no/such/place/a.csv"), "there is no folder"),
        (("trades", "--json"), "name one with --output"),
        (("trades", "-o", "excel.xlsx"), "say --format too, or end it in .csv"),
        (("tardis", "--instrument", BTC, "--type", "x"), "--type x"),
    ],
)
def test_what_makes_no_sense(data: Path, args: tuple[str, ...], told: str) -> None:
    assert told in export(*args, "--data", data, code=2).stderr.decode()


def test_where_there_is_no_lake(tmp_path: Path) -> None:
    assert b"there is no lake" in export("trades", "--data", tmp_path, code=2).stderr
