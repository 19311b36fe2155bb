"""Plain exports, read back by the programs they are for."""

import gzip
import io
import json
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tapeline.errors import IntegrityError, UsageError
from tapeline.events import TYPES, Bar, BookUpdate, Event, Status, Trade, from_json, to_json
from tapeline.lake import exporting, outputs, rows
from tapeline.lake.rows import Selection
from tests.lake.exports import BTC, SESSION, events_of, lake_of, market, over_midnight
from tests.sinks.helpers import one_of_each


@pytest.fixture
def made(tmp_path: Path) -> list[Event]:
    return lake_of(tmp_path, over_midnight())


def of(kind: type[Event], events: list[Event]) -> list[Any]:
    return [e for e in events if type(e) is kind]


def by_time(events: list[Any]) -> list[Any]:
    return sorted(events, key=lambda e: getattr(e, "ts_open", e.ts_event))


def exported(data: Path, view: str, form: Any, name: str, *more: Any) -> Path:
    target = data / name
    exporting.export(data, Selection(view, *more), form, str(target))
    return target


def test_json_lines_are_the_events(tmp_path: Path, made: list[Event]) -> None:
    for kind, name in ((Trade, "trades"), (BookUpdate, "book_updates"), (Status, "status")):
        lines = exported(tmp_path, name, "jsonl", f"{name}.jsonl").read_bytes().splitlines()
        wanted = of(kind, made) if kind is BookUpdate else by_time(of(kind, made))
        assert [from_json(line) for line in lines] == wanted
        assert lines == [to_json(e) for e in wanted]


def test_csv_in_duckdb_and_pandas(tmp_path: Path, made: list[Event]) -> None:
    path = exported(tmp_path, "trades", "csv", "trades.csv")
    wanted = [(e.ts_event, e.price, e.size, e.side) for e in by_time(of(Trade, made))]
    assert duckdb.sql(f"SELECT ts_event, price, size, side FROM '{path}'").fetchall() == wanted
    frame = pd.read_csv(path)
    assert list(zip(frame.ts_event, frame.price, frame["size"], frame.side, strict=True)) == wanted
    book = duckdb.sql(
        f"SELECT count(*), sum(CAST(more = 0 AS INT)) FROM '{exported(tmp_path, 'book_updates', 'csv', 'b.csv')}'"
    )
    levels = sum(len(e.bids) + len(e.asks) or 1 for e in of(BookUpdate, made))
    assert book.fetchall() == [(levels, len(of(BookUpdate, made)))]


@pytest.mark.parametrize(("name", "unpack"), [("t.csv.gz", gzip.decompress), ("t.csv.zst", None)])
def test_packed_texts(tmp_path: Path, made: list[Event], name: str, unpack: Any) -> None:
    plain, packed = exported(tmp_path, "trades", "csv", "t.csv"), exported(tmp_path, "trades", "csv", name)
    content = packed.read_bytes()
    opened = unpack(content) if unpack else zstandard.ZstdDecompressor().stream_reader(io.BytesIO(content)).read()
    assert opened == plain.read_bytes() and len(of(Trade, made)) + 1 == opened.count(b"\n")


def test_parquet_and_arrow_in_polars_and_pyarrow(tmp_path: Path, made: list[Event]) -> None:
    wanted = [(e.ts_event, e.price, e.id) for e in by_time(of(Trade, made))]
    parquet, arrow = (exported(tmp_path, "trades", form, f"t.{form}") for form in ("parquet", "arrow"))
    assert pl.read_parquet(parquet).select("ts_event", "price", "id").rows() == wanted
    assert pl.read_ipc(arrow).select("ts_event", "price", "id").rows() == wanted
    assert pq.read_table(parquet).schema.names == pa.ipc.open_file(arrow).schema.names
    books = pl.read_parquet(exported(tmp_path, "book_updates", "parquet", "b.parquet"))
    found = [[(level["price"], level["size"]) for level in update] for update in books["bids"].to_list()]
    assert found == [e.bids for e in of(BookUpdate, made)]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet", "arrow"])
def test_every_kind_in_every_format(tmp_path: Path, form: Any) -> None:
    lake_of(tmp_path, one_of_each(), parts=1)
    for view, kind in rows.views.VIEWS.items():
        done = exporting.export(tmp_path, Selection(view), form, str(tmp_path / f"{view}.{form}"))
        of_kind = of(kind, one_of_each())
        levels = sum(len(e.bids) + len(e.asks) or 1 for e in of_kind) if kind is BookUpdate else 0
        assert done.rows == (levels if form == "csv" and kind is BookUpdate else len(of_kind)), view
        assert done.bytes == (tmp_path / f"{view}.{form}").stat().st_size


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet", "arrow"])
def test_a_span_without_rows_gives_a_whole_file(tmp_path: Path, made: list[Event], form: Any) -> None:
    path = exported(tmp_path, "trades", form, f"t.{form}", (BTC,), 5, 6)
    assert made
    if form == "parquet":
        assert pq.read_table(path).schema == pq.read_table(exported(tmp_path, "trades", form, "all.parquet")).schema
    elif form == "arrow":
        assert pa.ipc.open_file(path).read_all().num_rows == 0
    else:
        assert path.read_bytes().count(b"\n") == (form == "csv")


def test_a_span_and_an_instrument(tmp_path: Path, made: list[Event]) -> None:
    times = [e.ts_event for e in by_time(of(Trade, made))]
    start, end = times[20], times[60]
    lines = exported(tmp_path, "trades", "jsonl", "t.jsonl", (BTC,), start, end).read_bytes().splitlines()
    assert [json.loads(line)["ts_event"] for line in lines] == [t for t in times if start <= t < end]


def test_bars_are_the_latest_revisions(tmp_path: Path) -> None:
    first = Bar(BTC, 60, 61, 0, "1m", 0, 1.0, 2.0, 0.5, 1.5, 10.0, 4.0, 15.0, 1.5, 3, True, 0, "trades")
    second = Bar(BTC, 60, 99, 2, "1m", 0, 1.0, 9.0, 0.5, 1.5, 11.0, 4.0, 15.0, 1.5, 4, True, 1, "trades")
    lake_of(tmp_path, [first, second])
    lines = exported(tmp_path, "bars", "jsonl", "b.jsonl").read_bytes().splitlines()
    assert [from_json(line) for line in lines] == [second]
    assert exporting.export(tmp_path, Selection("bar_revisions"), "jsonl", str(tmp_path / "r.jsonl")).rows == 2


def test_batches_of_any_size_give_the_same(tmp_path: Path, made: list[Event], monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = exported(tmp_path, "book_updates", "jsonl", "a.jsonl").read_bytes()
    monkeypatch.setattr(rows, "BATCH_ROWS", 7)
    assert exported(tmp_path, "book_updates", "jsonl", "b.jsonl").read_bytes() == wanted
    assert made


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path, made: list[Event], monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "t.csv"
    target.write_text("old")
    monkeypatch.setattr(exporting.csv, "table", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        exporting.export(tmp_path, Selection("trades"), "csv", str(target))
    assert target.read_text() == "old" and made
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["t.csv"]


def test_what_is_in_the_way(tmp_path: Path) -> None:
    there = tmp_path / "there.csv"
    there.write_text("x")
    outputs.check(str(there), force=True)
    outputs.check("-", force=False)
    for target in (str(there), str(tmp_path), str(tmp_path / "no" / "a.csv")):
        with pytest.raises(UsageError, match=target):
            outputs.check(target, force=False)


def test_a_lake_that_lacks_a_file_is_said(tmp_path: Path, made: list[Event]) -> None:
    for path in (tmp_path / "lake").glob("kind=trade/**/*.parquet"):
        path.unlink()
    with pytest.raises(IntegrityError, match="tapeline repair"):
        exporting.export(tmp_path, Selection("trades"), "csv", str(tmp_path / "t.csv"))
    assert made and not (tmp_path / "t.csv").exists()


def test_gaps_of_a_span_are_found(tmp_path: Path) -> None:
    messages = market()
    del messages[300:304]
    events = lake_of(tmp_path, events_of(messages))
    assert [e for e in events if isinstance(e, Status) and e.kind == "gap"]
    found = exporting.gaps(tmp_path, (BTC,), None, None)
    assert {g.kind for g in found} == {"gap"} and {g.instrument for g in found} == {BTC}
    assert exporting.gaps(tmp_path, (BTC,), 0, 5) == []
    assert exporting.gaps(tmp_path, (), None, None) == found
    lost = Status("", 50, 50, 0, "disconnected", "binance", "", "connection 1 lost, code 1006", None, None, None)
    planned = Status("", 60, 60, 0, "disconnected", "binance", "", "connection 1 planned, code 1000", None, None, None)
    other = Status("", 70, 70, 0, "disconnected", "kraken", "", "connection 1 lost, code 1006", None, None, None)
    paused = Status("", 80, 80, 0, "disconnected", "binance", "", "connection 1 lost, code 1000: stopped", None, None, None)
    again = Status("", 90, 90, 0, "connected", "binance", "", "", None, None, None)
    ended = Status("", 95, 95, 0, "disconnected", "binance", "", "connection 1 lost, code 1000: stopped", None, None, None)
    lake_of(tmp_path, [lost, planned, other, paused, again, ended], SESSION + "2", 1)
    assert [g.time for g in exporting.gaps(tmp_path, (BTC,), 0, 1000)] == [50, 80]


def test_there_is_a_view_of_every_kind_of_event() -> None:
    assert set(rows.views.VIEWS.values()) == set(TYPES.values())
