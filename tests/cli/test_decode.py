"""`tapeline decode` as others use it: a process, its standard output and its exit code."""

import gzip
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tapeline.events import from_json
from tests.engine.feeds import levels, snapshot, spot_diff, trade
from tests.engine.recordings import INSTRUMENTS, Book, oracle, recording

T0 = 1_795_255_500_000_000_000
BIDS, ASKS = {"100.0": "1", "99.0": "2"}, {"101.0": "3"}


def decode(*args: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "tapeline", "decode", *args], input=stdin, capture_output=True, timeout=100, check=False
    )


def compact(message: Any) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def timed(*messages: Any) -> bytes:
    return b"".join(b"%d %s\n" % (T0 + i * 1_000_000, compact(m)) for i, m in enumerate(messages))


def events(done: subprocess.CompletedProcess[bytes], **wanted: Any) -> list[dict[str, Any]]:
    """The events that have these values; each line must be one that reads back."""
    made = [json.loads(line) for line in done.stdout.splitlines() if from_json(line)]
    return [e for e in made if all(e.get(k) == v for k, v in wanted.items())]


SESSION = [
    spot_diff(9, 10),
    snapshot(10, levels(BIDS), levels(ASKS)),
    spot_diff(11, 12, [["100.5", "4"]]),
    trade(1, T0 // 1_000_000),
    trade(2, T0 // 1_000_000 + 5),
]


def touch(q: dict[str, Any]) -> tuple[Any, ...]:
    return q["bid"], q["bid_size"], q["ask"], q["ask_size"]


@pytest.mark.parametrize("venue", ["binance", "binance-usdm"])
def test_the_recorded_sessions(shared_frames: Path, venue: str) -> None:
    """The issue's own check: after every depth diff the touch is the venue's, nothing crossed, no gap."""
    done = decode(venue, str(recording(shared_frames, venue).path), "--events", "quote,status")
    assert done.returncode == 0
    quotes = [q for q in events(done, origin="book") if "SNAPSHOT" not in q["flags"]]
    assert {q["seq"]: touch(q) for q in quotes} == oracle(shared_frames, venue)
    assert len(quotes) == len(oracle(shared_frames, venue))
    assert all(q["bid"] < q["ask"] for q in events(done, origin="book"))
    assert [s["kind"] for s in events(done, type="status")] == ["connected", "resyncing", "synced"]
    assert b"0 gaps, 0 rejected" in done.stderr


@pytest.mark.parametrize(("venue", "place"), [("binance", 1700), ("binance-usdm", 3000)])
def test_with_a_diff_removed_and_a_snapshot_later(shared_frames: Path, tmp_path: Path, venue: str, place: int) -> None:
    file = recording(shared_frames, venue)
    missing, again = file.diffs[place], file.diffs[place + 40]
    truth = Book()
    for diff, book in file.books():
        if diff["u"] == file.messages[again]["u"]:
            truth.sides, truth.id = book.sides, book.id
            break
    lines = [
        *file.lines[:missing],
        *file.lines[missing + 1 : again + 1],
        truth.snapshot(),
        *file.lines[again + 1 : again + 4000],
    ]
    path = tmp_path / "cut"
    path.write_bytes(b"\n".join(lines))
    done = decode(venue, str(path))
    (gap,) = events(done, type="status", kind="gap")
    assert (gap["from_seq"], gap["to_seq"]) == (file.messages[file.diffs[place - 1]]["u"] + 1, file.messages[missing]["u"])
    assert gap["instrument"] == INSTRUMENTS[venue]
    right = oracle(shared_frames, venue)
    quotes = [q for q in events(done, origin="book") if "SNAPSHOT" not in q["flags"]]
    assert all(touch(q) == right[q["seq"]] for q in quotes)
    told = {q["seq"] for q in quotes}
    assert not told & {file.messages[i]["u"] for i in file.diffs[place : place + 41]}
    assert told >= {file.messages[i]["u"] for i in file.diffs[place + 41 :] if i < again + 4000}


def test_standard_input_and_the_summary() -> None:
    done = decode("binance", stdin=timed(*SESSION))
    assert done.returncode == 0
    assert Counter(e["type"] for e in events(done)) == {"trade": 2, "book": 2, "quote": 2, "metrics": 2, "status": 3, "bar": 9}
    assert done.stderr.decode().strip().endswith("0 gaps, 0 rejected")
    assert decode("binance", "-", stdin=timed(*SESSION)).stdout == done.stdout
    assert {e["ts_recv"] for e in events(done, type="trade")} == {T0 + 3_000_000, T0 + 4_000_000}


def test_a_file_zipped_or_not(tmp_path: Path) -> None:
    plain, zipped, named = tmp_path / "a", tmp_path / "b", tmp_path / "c.gz"
    plain.write_bytes(timed(*SESSION))
    zipped.write_bytes(gzip.compress(plain.read_bytes()))
    named.write_bytes(plain.read_bytes())  # told by its first bytes, not by its name
    made = [events(decode("binance", str(p), "--events", "trade,book,quote,bar")) for p in (plain, zipped, named)]
    assert made[0] == made[1] == made[2]
    assert len(made[0]) == 15


def test_without_receive_times_the_venues_own_stand_in() -> None:
    done = decode("binance", stdin=b"\n\n" + b"\r\n".join(compact(m) for m in SESSION))
    assert [e["ts_recv"] - T0 for e in events(done, type="trade")] == [0, 5_000_000]
    assert [touch(q) for q in events(done, origin="book")] == [(100.0, 1.0, 101.0, 3.0), (100.5, 4.0, 101.0, 3.0)]


def test_chosen_events() -> None:
    assert {e["type"] for e in events(decode("binance", "--events", "bar, trade", stdin=timed(*SESSION)))} == {"bar", "trade"}
    done = decode("binance", "--events", "trade,candle", stdin=timed(*SESSION))
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"'candle'" in done.stderr and b"liquidation" in done.stderr


@pytest.mark.parametrize("args", [("nowhere",), ("binance", "/no/such/file"), ("binance", "/")])
def test_what_does_not_exist(args: tuple[str, ...]) -> None:
    done = decode(*args)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"tapeline: ") and args[-1].encode() in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_damaged_gzip_gives_everything_before_the_damage(tmp_path: Path) -> None:
    """Five thousand trades, and the file is cut off: what can be unpacked is printed, open bars too, then it is said."""
    raw = timed(*(trade(i, T0 // 1_000_000 + i) for i in range(1, 5001)))
    path = tmp_path / "cut.gz"
    whole = gzip.compress(raw)
    path.write_bytes(whole[: len(whole) * 9 // 10])
    done = decode("binance", str(path))
    ids = [int(e["id"]) for e in events(done, type="trade")]
    assert done.returncode == 2
    assert ids == list(range(1, len(ids) + 1))
    assert 4000 < len(ids) < 5000
    assert sum(e["trades"] for e in events(done, type="bar", interval="1d")) == len(ids)
    assert b"damaged or cut off" in done.stderr and b"Traceback" not in done.stderr


def test_snapshots_of_two_instruments_land_on_their_books() -> None:
    """REST answers name no symbol: each must find its book by its ids and prices, in any order, or be reported."""
    eth = {"2000.0": "5"}, {"2001.0": "6"}
    lines = [
        spot_diff(9, 10, [["100.0", "7"]]), spot_diff(509, 510, [["2000.0", "7"]], symbol="ETHUSDT"),
        snapshot(509, levels(eth[0]), levels(eth[1])), snapshot(9, levels(BIDS), levels(ASKS)),
        spot_diff(11, 12), spot_diff(511, 512, symbol="ETHUSDT"), snapshot(77_777_777, [["5", "1"]], [["6", "1"]]),
    ]  # fmt: skip
    done = decode("binance", stdin=timed(*lines))
    books = {e["instrument"]: touch(e) for e in events(done, origin="book")}
    assert books == {"binance:BTC-USDT": (100.0, 7.0, 101.0, 3.0), "binance:ETH-USDT": (2000.0, 7.0, 2001.0, 6.0)}
    assert not events(done, kind="gap") and not events(done, kind="crossed")
    assert len(events(done, kind="rejected")) == 1


@pytest.mark.parametrize(
    "bad",
    [
        b"{",
        b"hello",
        b"123 456",
        b"99999999999999999999 {}",
        b"9999999999999999999 {}",
        b"\xff\xfe",
        b'1795255500000000000 {"e":"trade"}',
        b"1 ",
        b'{"e":"trade","E":99999999999999999}',
    ],
)
def test_lines_that_are_no_messages_are_counted_and_survived(bad: bytes) -> None:
    done = decode("binance", stdin=bad + b"\n" + timed(*SESSION))
    assert done.returncode == 0
    assert len(events(done, type="trade")) == 2
    assert len(events(done, kind="rejected")) == 1 or b"not used: 1" in done.stderr
    assert all(e["ts_recv"] < 2**63 for e in events(done))


def test_messages_that_are_not_used_are_named() -> None:
    done = decode("binance", stdin=timed({"e": "avgPrice", "s": "BTCUSDT"}, {"e": "avgPrice", "s": "BTCUSDT"}))
    assert b"not used: 2 \xc3\x97 avgPrice" in done.stderr


def test_nothing_in_nothing_out() -> None:
    done = decode("binance")
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr == b"tapeline: nothing; 0 gaps, 0 rejected\n"


def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    path = tmp_path / "many"
    path.write_bytes(timed(*(trade(i, T0 // 1_000_000 + i) for i in range(1, 30_001))))
    program = [sys.executable, "-m", "tapeline", "decode", "binance", str(path)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline().startswith(b'{"type"')
        process.stdout.close()
        assert process.wait(60) == 0
        assert process.stderr.read() == b""


def test_a_mark_before_the_first_line_is_none_of_it() -> None:
    """Editors on Windows write it."""
    done = decode("binance", stdin=b"\xef\xbb\xbf" + timed(*SESSION))
    assert done.stdout == decode("binance", stdin=timed(*SESSION)).stdout


@pytest.mark.parametrize(("closed", "lines"), [("<&-", 0), (">&-", 0), ("2>&-", 15)])
def test_a_standard_stream_that_is_closed(closed: str, lines: int, tmp_path: Path) -> None:
    """No trace, and what was meant for one stream does not get into another."""
    path = tmp_path / "session"
    path.write_bytes(timed(*SESSION))
    name = "-" if closed == "<&-" else str(path)
    command = f"exec '{sys.executable}' -m tapeline decode binance {name} --events trade,book,quote,bar {closed}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=100, check=False)
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    assert len(events(done)) == lines


@pytest.mark.parametrize(
    ("flags", "instrument"),
    [((), "bybit:BTC-USDT-PERP"), (("--url", "wss://stream.bybit.com/v5/public/spot"), "bybit:BTC-USDT")],
)
def test_the_address_where_it_decides_what_a_symbol_means(flags: tuple[str, ...], instrument: str) -> None:
    quote = {
        "topic": "orderbook.1.BTCUSDT",
        "type": "snapshot",
        "ts": T0 // 1_000_000,
        "data": {"b": [], "a": [["101", "2"]], "u": 5},
    }
    (made,) = events(decode("bybit", *flags, stdin=timed(quote)), type="quote")
    assert (made["instrument"], made["ask"]) == (instrument, 101.0)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_program_that_is_stopped_and_goes_on_loses_nothing(tmp_path: Path, unbuffered: str) -> None:
    """Ctrl-Z and `fg` interrupt its writing in the middle. 3,000 trades are more than a pipe holds."""
    path = tmp_path / "lines"
    path.write_bytes(timed(*(trade(i, T0 // 1_000_000 + i) for i in range(1, 3001))))
    words = [sys.executable, "-m", "tapeline", "decode", "binance", str(path), "--events", "trade"]
    env, read = os.environ | {"PYTHONUNBUFFERED": unbuffered}, b""
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as program:
        assert program.stdout is not None
        while piece := os.read(program.stdout.fileno(), 5000):
            read += piece
            program.send_signal(signal.SIGSTOP)
            program.send_signal(signal.SIGCONT)
    assert [json.loads(line)["id"] for line in read.splitlines()] == [str(i) for i in range(1, 3001)]
