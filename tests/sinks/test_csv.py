"""CSV as others read it: Python, pandas, polars and DuckDB get the numbers that were given, packed or not."""

import csv
import io
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pytest

from tapeline.config import FilesSettings
from tapeline.events import TYPES, BookUpdate, Event, Flag, Status, Trade, fields
from tapeline.sinks.csv import CsvSink, columns, table, time
from tests.sinks.helpers import BTC, T0

PRICES = (61800.3, 1e-7, 0.1 + 0.2, 123456789.12345, 1e300, 5e-324, 100.0, 1 / 3)
TRADES: list[Event] = [
    Trade(BTC, T0 + n, T0 + n + 1, int(Flag.LATE | Flag.RPI) * (n % 2), price, 0.1, "sell", f"id {n}", None if n % 3 else "@,T")
    for n, price in enumerate(PRICES)
]
SUFFIX = {"none": "csv", "gzip": "csv.gz", "zstd": "csv.zst"}


@pytest.fixture(params=SUFFIX)
def path(request, tmp_path) -> Path:
    """A file of trades, each its own commit."""
    sink = CsvSink(tmp_path, FilesSettings(compression=request.param))
    sink.open()
    for seq, event in enumerate(TRADES):
        sink.commit("s", seq, [event])
    sink.close()
    return tmp_path / "csv" / "trade" / "binance" / "BTC-USDT" / f"2026-11-19.{SUFFIX[request.param]}"


def expected() -> list[tuple[object, ...]]:
    return [(e.price, e.ts_event, e.ts_recv, e.id) for e in TRADES]


def test_pandas_reads_it(path):
    frame = pd.read_csv(path, parse_dates=["time"])
    assert list(frame[["price", "ts_event", "ts_recv", "id"]].itertuples(index=False, name=None)) == expected()
    assert frame.time.astype("int64").tolist() == [e.ts_event for e in TRADES]
    assert str(frame.time.dt.tz) == "UTC"
    assert frame["flags"].fillna("").tolist() == ["", "LATE|RPI"] * 4
    assert frame.conditions.fillna("").tolist() == ["@,T" if n % 3 == 0 else "" for n in range(len(TRADES))]


def test_polars_reads_it(path):
    frame = pl.read_csv(path)
    assert frame.select("price", "ts_event", "ts_recv", "id").rows() == expected()


def test_duckdb_reads_it(path):
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        rows = db.execute(f"SELECT price, ts_event, ts_recv, id FROM read_csv_auto('{path}')").fetchall()
        assert rows == expected()
        glob = path.parents[3] / "trade" / "*" / "*" / f"*.{path.name.partition('.')[2]}"
        assert db.execute(f"SELECT count(*), min(time::TIMESTAMP_NS)::VARCHAR FROM '{glob}'").fetchall() == [
            (len(TRADES), "2026-11-19 23:59:59")
        ]


def read(raw: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(raw.decode(), newline="")))


def test_texts_come_back_whatever_is_in_them():
    texts = ['a,b"c', "two\nlines", "\r", "\r\n", " led", "trailed ", "ä☂", "'", "=1+1", ""]
    rows = read(table(Status, [Status(BTC, T0, T0, 0, "gap", "okx", "", text, None, 1, None) for text in texts]))
    assert [row[columns(Status).index("reason")] for row in rows] == texts
    assert {len(row) for row in rows} == {len(columns(Status))}


def test_a_book_update_has_a_row_a_level():
    updates = [
        BookUpdate(BTC, T0, T0 + 1, 1, [(1.5, 2.0), (1.4, 0.0)], [(1.6, 3.0)], True, 9, None, 1.25, None, 10),
        BookUpdate(BTC, T0 + 2, T0 + 3, 0, [], [], True, None, 9),
        BookUpdate(BTC, T0 + 4, T0 + 5, 0, [], [(1.7, 1e-8)], False, 10, 9),
    ]
    at, rows = "2026-11-19T23:59:59.00000000", read(table(BookUpdate, updates))
    assert columns(BookUpdate) == (
        "time", "instrument", "side", "price", "size", "more", "snapshot", "seq", "prev_seq", "bid_floor", "ask_ceiling", "depth",
        "flags", "ts_event", "ts_recv",
    )  # fmt: skip
    assert rows == [
        [f"{at}0Z", BTC, "bid", "1.5", "2.0", "2", "true", "9", "", "1.25", "", "10", "SNAPSHOT", str(T0), str(T0 + 1)],
        [f"{at}0Z", BTC, "bid", "1.4", "0.0", "1", "true", "9", "", "1.25", "", "10", "SNAPSHOT", str(T0), str(T0 + 1)],
        [f"{at}0Z", BTC, "ask", "1.6", "3.0", "0", "true", "9", "", "1.25", "", "10", "SNAPSHOT", str(T0), str(T0 + 1)],
        [f"{at}2Z", BTC, "", "", "", "0", "true", "", "9", "", "", "", "", str(T0 + 2), str(T0 + 3)],
        [f"{at}4Z", BTC, "ask", "1.7", "1e-08", "0", "false", "10", "9", "", "", "", "", str(T0 + 4), str(T0 + 5)],
    ]


@pytest.mark.parametrize("tag", TYPES)
def test_every_field_has_its_column(tag):
    missing = set(fields(TYPES[tag])) - set(columns(TYPES[tag]))
    assert missing == ({"bids", "asks"} if tag == "book" else set())
    assert len(set(columns(TYPES[tag]))) == len(columns(TYPES[tag]))


@pytest.mark.parametrize(
    ("ns", "written"),
    [
        (0, "1970-01-01T00:00:00.000000000Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (T0 + 123_456_789, "2026-11-19T23:59:59.123456789Z"),
        ((1 << 63) - 1, "2262-04-11T23:47:16.854775807Z"),
    ],
)
def test_times_have_all_their_digits(ns, written):
    assert time(ns) == written


def test_the_documented_columns_are_those_that_are_written():
    page = (Path(__file__).parents[2] / "docs" / "sinks.md").read_text()
    for kind in TYPES.values():
        assert f"`{','.join(columns(kind))}`" in page, ",".join(columns(kind))
