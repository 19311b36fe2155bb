"""`tapeline import` as others use it: a process, files, what it says, and what is in the data directory afterwards."""

import gzip
import json
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import duckdb
import pytest

from tapeline.tape import reader
from tests.engine.feeds import T0, trade
from tests.engine.foreign_files import WRITERS, lines, messages, tardis

MANY = 500


def tapeline(*args: str, stdin: bytes = b"", code: int = 0) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run([sys.executable, "-m", "tapeline", *args], input=stdin, capture_output=True, timeout=100, check=False)
    assert done.returncode == code, done.stderr.decode()
    return done


def prints(count: int, first: int = 1) -> list[tuple[int, bytes]]:
    made = [(T0 + i * 1_000_000, trade(first + i, T0 // 1_000_000 + i)) for i in range(count)]
    return [(ts, json.dumps(m, separators=(",", ":")).encode()) for ts, m in made]


def kept(data: Path, kind: str = "trade") -> int:
    return int(duckdb.sql(f"SELECT count(*) FROM '{data}/lake/kind={kind}/**/*.parquet'").fetchall()[0][0])


def test_a_recording_comes_onto_the_tape_and_into_the_sinks(shared_frames: Path, tmp_path: Path) -> None:
    file = tmp_path / "feed.gz"
    file.write_bytes(WRITERS["tardis.gz"](messages(shared_frames, "binance")))
    data = tmp_path / "data"
    done = tapeline("import", "binance", str(file), "--data", str(data))
    assert done.stdout == b""
    said = done.stderr.decode()
    assert "6000 messages in 6004 frames of session 20240808T235413Z-" in said
    assert "0 gaps, 0 rejected" in said and "lake: " in said and "sqlite: " in said
    (info,) = reader.sessions(data)
    decoded = tapeline("decode", "binance", "-", "--events", "trade", stdin=lines(messages(shared_frames, "binance")))
    assert kept(data) == len(decoded.stdout.splitlines()) > 1000
    replayed = tapeline("replay", str(data), "--events", "--session", info.id)
    assert sum(line.startswith(b'{"type":"trade"') for line in replayed.stdout.splitlines()) == kept(data)


def test_a_second_import_of_the_same_adds_nothing(tmp_path: Path) -> None:
    data, plain, packed = tmp_path / "data", tmp_path / "a.txt", tmp_path / "b.gz"
    plain.write_bytes(lines(prints(MANY)))
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    tapeline("import", "binance", str(plain), "--data", str(data))
    for again in (plain, packed):
        done = tapeline("import", "binance", str(again), "--data", str(data))
        assert f"{again.name} was imported before, as session" in done.stderr.decode()
    assert kept(data) == MANY and len(reader.sessions(data)) == 1
    done = tapeline("import", "binance", str(plain), str(plain), "--data", str(tmp_path / "other"))
    assert "a.txt is the same as a.txt: left out" in done.stderr.decode()
    assert kept(tmp_path / "other") == MANY


def test_standard_input_and_json(tmp_path: Path) -> None:
    done = tapeline("import", "binance", "--data", str(tmp_path), "--json", stdin=tardis(prints(3)) + b"nonsense\n")
    told = json.loads(done.stdout)
    assert told["lines"]["messages"] == 3 and told["lines"]["bad"] == 1
    assert told["lines"]["named"] == ["standard input:4: it does not begin with an ISO time"]
    assert told["made"]["events"]["trade"] == 3 and told["made"]["rejected"] == 1
    assert set(told["made"]["sinks"]) == {"lake", "sqlite"}


def test_sinks_that_are_off_get_nothing_and_the_tape_has_all(tmp_path: Path) -> None:
    done = tapeline(
        "import", "binance", "-", "--data", str(tmp_path), "--set", "sinks.lake=false", "--set", "sinks.sqlite=false",
        stdin=lines(prints(MANY)),
    )  # fmt: skip
    assert f"{MANY} trade" in done.stderr.decode()
    assert [p.name for p in tmp_path.iterdir()] == ["tape"]


def test_beside_a_running_session_the_sinks_are_left_for_later(tmp_path: Path) -> None:
    from tapeline.sinks.lake import LakeSink

    held = LakeSink(tmp_path)
    held.open()
    try:
        done = tapeline("import", "binance", "--data", str(tmp_path), stdin=lines(prints(MANY)))
    finally:
        held.close()
    said = done.stderr.decode()
    assert "lake is not fed now" in said and f"{MANY} trade" in said
    (info,) = reader.sessions(tmp_path)
    assert info.frames == MANY + 4
    again = tapeline("import", "binance", "--data", str(tmp_path), stdin=lines(prints(MANY))).stderr.decode()
    assert "was imported before" in again and "lake: " in again and kept(tmp_path) == MANY


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ((), "requires an argument"),
        (("nowhere", "x"), "there is no venue 'nowhere'"),
        (("binance", "/no/such/file"), "cannot read /no/such/file"),
        (("binance", "-"), "its first lines are of no known raw recording"),
        (("binance", "-", "--format", "csv"), "csv"),
    ],
)
def test_what_makes_no_sense(tmp_path: Path, args: tuple[str, ...], told: str) -> None:
    done = tapeline("import", *args, "--data", str(tmp_path / "d"), stdin=b"a,b\n1,2\n", code=2)
    assert told in done.stderr.decode() and b"Traceback" not in done.stderr
    assert not (tmp_path / "d" / "tape").exists()


def test_a_killed_import_leaves_nothing_and_is_simply_begun_again(tmp_path: Path) -> None:
    data, file, many = tmp_path / "data", tmp_path / "many", 20_000
    file.write_bytes(lines(prints(many)))
    command = [sys.executable, "-m", "tapeline", "import", "binance", str(file), "--data", str(data)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        while not list(data.glob("importing/tape/*/*.open")) and process.poll() is None:
            time.sleep(0.001)
        process.kill()
    assert not (data / "tape").exists() or not reader.verify(data)
    tapeline(*command[3:])
    assert kept(data) == many and len(reader.sessions(data)) == 1


CSV = b"time,px,qty,side\n1618677816841,100,1,buy\n1618677816842,0,1,buy\n1618677816843,101,2,sell\n"


def test_plain_trades_with_a_file_of_rejects(tmp_path: Path) -> None:
    data, file, rejects = tmp_path / "data", tmp_path / "t.csv", tmp_path / "rejects.csv"
    file.write_bytes(CSV)
    args = (str(file), "--instrument", "binance:BTC-USDT", "--data", str(data))
    said = tapeline("import", *args, "--rejects", str(rejects)).stderr.decode()
    assert "t.csv: trades, times in ms (judged by their size)" in said and "t.csv:3: price is 0" in said
    assert f"{rejects} has the 1 row that could not be used" in said and "2 trade" in said
    assert rejects.read_text() == "file,line,reason,row\nt.csv,3,price is 0,1618677816842,0,1,buy\n"
    assert kept(data) == 2
    assert b"was imported before" in tapeline("import", *args).stderr
    done = tapeline("import", str(file), "--instrument", "kraken:BTC-USDT", "--data", str(data))
    assert b"2 trade" in done.stderr and kept(data) == 4


def test_plain_data_from_standard_input_and_from_a_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "BTCUSDT-trades.zip", "w") as archive:
        archive.writestr(
            "BTCUSDT-trades.csv", "7,100.5,2,201,1618677816841,true,true\n8,100.5,2,201,1618677816842,false,true\n"
        )
    data = str(tmp_path / "data")
    tapeline("import", str(tmp_path / "BTCUSDT-trades.zip"), "--instrument", "binance:BTC-USDT", "--data", data)
    mapped = (
        "--kind",
        "trades",
        "--map",
        "price=was",
        "--map",
        "size=much",
        "--time-unit",
        "s",
        "--instrument",
        "binance:ETH-USDT",
    )
    tapeline("import", "-", *mapped, "--data", data, stdin=b"time,was,much\n5,7,8\n")
    found = duckdb.sql(
        f"SELECT instrument_id, side, ts_event FROM '{data}/lake/kind=trade/**/*.parquet' ORDER BY ts_event"
    ).fetchall()
    assert [row[1:] for row in found] == [
        ("unknown", 5_000_000_000), ("sell", 1618677816841 * 10**6), ("buy", 1618677816842 * 10**6),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--kind", "trades"), "does not say of which instrument"),
        (("--instrument", "binance:BTC-USDT", "--map", "price"), "--map price: write"),
        (("--instrument", "binance:BTC-USDT", "--map", "price=x"), "no such column"),
        (("--instrument", "binance:BTC-USDT", "--tz", "Mars"), "--tz Mars"),
        (("--instrument", "binance:BTC-USDT", "--time-unit", "ns", "--kind", "quotes"), "quotes are told by them, without bid"),
    ],
)
def test_plain_data_that_cannot_be_told(tmp_path: Path, args: tuple[str, ...], told: str) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(CSV)
    done = tapeline("import", str(file), *args, "--data", str(tmp_path / "d"), code=2)
    assert told in done.stderr.decode() and b"Traceback" not in done.stderr
