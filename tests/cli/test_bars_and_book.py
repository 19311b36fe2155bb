"""`tapeline bars` and `tapeline book` on a small lake, in every format."""

import csv
import io
import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tapeline.cli import main
from tapeline.engine.pipeline import Pipeline
from tapeline.lake.lake import Lake
from tests.engine.feeds import MS, SECOND, T0, Market, answer, opened, recv
from tests.lake.keeping import NAME, keep, market, session
from tests.lake.oracle import watched


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("data")
    r = random.Random(1)
    keep(place, session(r, market(r, T0, 300, 12_000)), "a")
    venue, frames = Market(1), [opened(T0, streams=("btcusdt@depth@100ms",))]
    frames += [recv(T0 + MS, venue.diff(T0 // MS)), answer(T0 + 2 * MS, venue.snapshot())]
    frames += [recv(T0 + i * 100 * MS, venue.diff(T0 // MS + i * 100)) for i in range(1, 100)]
    keep(place, watched(frames, Pipeline(), 0.0)[0], "b")
    return place


def run(capsys: pytest.CaptureFixture[str], *args: str | Path) -> tuple[int, str]:
    code = main([str(a) for a in args])
    return code, capsys.readouterr().out


def test_bars_for_the_eye_and_as_csv_and_json(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = Lake(data).bars(NAME, "90s")
    code, text = run(capsys, "bars", NAME, "90s", "--data", data)
    assert code == 0
    assert text.splitlines()[0].split()[:5] == ["ts_open", "open", "high", "low", "close"]
    assert len(text.splitlines()) == len(table) + 1
    assert text.splitlines()[1].startswith("2026-11-21T10:04:30Z  ")
    _, text = run(capsys, "bars", NAME, "90s", "--data", data, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(int(r["ts_open"]), float(r["notional"])) for r in rows] == list(
        zip(table["ts_open"].to_pylist(), table["notional"].to_pylist(), strict=True)
    )
    _, text = run(capsys, "bars", NAME, "90s", "--data", data, "--format", "json")
    assert [json.loads(line) for line in text.splitlines()] == table.to_pylist()


def test_bars_into_files_and_between_times(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    span = ("--from", "2026-11-21T10:06", "--to", "2026-11-21T10:10")
    expected = Lake(data).bars(NAME, "1m", start="2026-11-21T10:06", end="2026-11-21T10:10")
    assert len(expected) == 4
    for name in ("b.parquet", "b.arrow", "b.csv", "b.jsonl"):
        code, text = run(capsys, "bars", NAME, "1m", *span, "--data", data, "--output", tmp_path / name)
        assert (code, text) == (0, "")
    assert pq.read_table(tmp_path / "b.parquet").equals(expected)
    with pa.ipc.open_stream(tmp_path / "b.arrow") as reader:
        assert reader.read_all().equals(expected)
    assert len((tmp_path / "b.csv").read_text().splitlines()) == 5
    assert [json.loads(line) for line in (tmp_path / "b.jsonl").read_text().splitlines()] == expected.to_pylist()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.arrow", "b.csv", "b.jsonl", "b.parquet"]


def test_bars_of_other_kinds_and_filled_in(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for args in (("tick:20",), ("heikin-ashi:1m",), ("5s", "--fill"), ("15m@XNYS", "--fill")):
        code, text = run(capsys, "bars", NAME, *args, "--data", data, "--format", "json")
        table = Lake(data).bars(NAME, args[0], fill="--fill" in args)
        assert code == 0
        assert [json.loads(line) for line in text.splitlines()] == table.to_pylist()
    assert main(["bars", NAME, "tick:20", "--fill", "--data", str(data)]) == 2
    assert "only bars of time can be empty" in capsys.readouterr().err


def test_a_book_for_the_eye_and_as_rows(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    view = Lake(data).book(NAME, T0 + 5 * SECOND, depth=2)
    code, text = run(capsys, "book", NAME, "--at", "2026-11-21T10:05:05", "--depth", "2", "--data", data)
    head, names, *rows = text.splitlines()
    assert code == 0
    assert head.startswith(f"{NAME} at 2026-11-21T10:05:05Z: synced, last update 2026-11-21T10:05:05")
    assert names.split() == ["bid", "size", "bid", "ask", "ask", "size"]
    assert [tuple(map(float, row.split())) for row in rows] == [
        (b[1], b[0], a[0], a[1]) for b, a in zip(view.bids, view.asks, strict=True)
    ]
    _, text = run(capsys, "book", NAME, "--at", "2026-11-21T10:05:05", "--depth", "2", "--data", data, "--format", "csv")
    found = [(r["side"], float(r["price"]), float(r["size"])) for r in csv.DictReader(io.StringIO(text))]
    assert found == [("bid", *level) for level in view.bids] + [("ask", *level) for level in view.asks]
    _, text = run(capsys, "book", NAME, "--at", "2026-11-21T10:05:05", "--depth", "2", "--data", data, "--format", "json")
    row = json.loads(text)
    assert [(level["price"], level["size"]) for level in row["asks"]] == view.asks
    assert (row["seq"], row["state"]) == (view.seq, "synced")


def test_books_every_so_often(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    span = ("--from", "2026-11-21T10:05:01", "--to", "2026-11-21T10:05:03", "--every", "500ms", "--depth", "3", "--data", data)
    table = Lake(data).books(NAME, T0 + SECOND, T0 + 3 * SECOND, "500ms", depth=3)
    code, text = run(capsys, "book", NAME, *span)
    assert code == 0
    assert [line.split()[0] for line in text.splitlines()][:2] == ["at", "2026-11-21T10:05:01Z"]
    assert len(text.splitlines()) == 5
    run(capsys, "book", NAME, *span, "--output", tmp_path / "b.parquet")
    assert pq.read_table(tmp_path / "b.parquet").equals(table)
    _, text = run(capsys, "book", NAME, *span, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [float(r["ask_3"]) for r in rows] == [prices[2] for prices in table["ask_prices"].to_pylist()]
    assert [float(r["bid_size_1"]) for r in rows] == [sizes[0] for sizes in table["bid_sizes"].to_pylist()]


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("bars", NAME, "5x"), "5x' is no kind of bar"),
        (("bars", "BTC", "5m"), "venue:symbol"),
        (("bars", NAME, "5m", "--from", "yesterday"), "no ISO 8601 time"),
        (("bars", NAME, "5m", "--output", "bars.xls"), "--format"),
        (("book", NAME), "--at"),
        (("book", NAME, "--at", "2026-11-21", "--from", "2026-11-21"), "--at"),
        (("book", "binance:ETH-USDT", "--at", "2026-11-21"), "no book of binance:ETH-USDT: did you mean binance:BTC-USDT?"),
        (("bars", "sim:BTC-USDT"), "nothing of sim:BTC-USDT: did you mean binance:BTC-USDT?"),
    ],
)
def test_what_makes_no_sense_is_told(data: Path, capsys: pytest.CaptureFixture[str], args: tuple[str, ...], told: str) -> None:
    assert main([*args, "--data", str(data)]) == 2
    assert told in capsys.readouterr().err


def test_a_file_that_cannot_be_written_leaves_nothing(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "b.csv").mkdir()
    assert main(["bars", NAME, "1m", "--data", str(data), "--output", str(tmp_path / "b.csv")]) == 3
    assert "cannot be written" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["b.csv"]
