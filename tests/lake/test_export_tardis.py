"""Tardis' CSV: its columns, books rebuilt from its rows by the plainest program, and hftbacktest's own reader of it."""

import csv
import importlib
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tapeline.errors import UsageError
from tapeline.events import BookUpdate, Event, Flag, Liquidation, Quote, Trade
from tapeline.lake import export_tardis
from tapeline.venues.tardis_names import instrument_of
from tests.lake.exports import BTC, events_of, lake_of, market

HEAD = ["exchange", "symbol", "timestamp", "local_timestamp"]


@pytest.fixture
def made(tmp_path: Path) -> list[Event]:
    return lake_of(tmp_path, events_of(market()))


def exported(data: Path, kind: str) -> list[dict[str, str]]:
    export_tardis.export(data, kind, BTC, None, None, str(data / f"{kind}.csv"))
    with (data / f"{kind}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_trades(tmp_path: Path, made: list[Event]) -> None:
    found = exported(tmp_path, "trades")
    assert list(found[0]) == [*HEAD, "id", "side", "price", "amount"]
    assert {(r["exchange"], r["symbol"]) for r in found} == {("binance", "BTCUSDT")}
    rows = [
        (int(r["timestamp"]), int(r["local_timestamp"]), r["id"], r["side"], float(r["price"]), float(r["amount"]))
        for r in found
    ]
    trades = [e for e in made if isinstance(e, Trade)]
    assert rows == [(e.ts_event // 1000, e.ts_recv // 1000, e.id, e.side, e.price, e.size) for e in trades]


def books(rows: list[dict[str, str]]) -> dict[str, tuple[dict[float, float], dict[float, float]]]:
    """The book after each group of rows with one local time, as Tardis' documents say to rebuild it."""
    bids: dict[float, float] = {}
    asks: dict[float, float] = {}
    found, snapshot = {}, False
    for r in rows:
        if r["is_snapshot"] == "true" and not snapshot:
            bids.clear()
            asks.clear()
        snapshot = r["is_snapshot"] == "true"
        side, price, amount = bids if r["side"] == "bid" else asks, float(r["price"]), float(r["amount"])
        side[price] = amount
        if not amount:
            del side[price]
        found[r["local_timestamp"]] = (dict(bids), dict(asks))
    return found


def test_books_rebuilt_from_the_rows_are_those_of_the_snapshots(tmp_path: Path, made: list[Event]) -> None:
    rebuilt = books(exported(tmp_path, "incremental_book_L2"))
    rows = exported(tmp_path, "book_snapshot_5")
    assert list(rows[0])[4:8] == ["asks[0].price", "asks[0].amount", "bids[0].price", "bids[0].amount"] and len(rows[0]) == 24
    last = {r["local_timestamp"]: r for r in rows}
    assert len(last) > 100 and made
    for at, r in last.items():
        bids, asks = rebuilt[at]
        best = zip(sorted(asks.items())[:5], sorted(bids.items(), reverse=True)[:5], strict=True)
        assert [float(x) for x in list(r.values())[4:]] == [x for levels in best for level in levels for x in level]


def test_updates_that_were_never_proved_stay_out(tmp_path: Path, made: list[Event]) -> None:
    rows = exported(tmp_path, "incremental_book_L2")
    proved = [e for e in made if isinstance(e, BookUpdate) and (e.snapshot or not e.flags & Flag.BOOK_UNPROVEN)]
    assert len(rows) == sum(len(e.bids) + len(e.asks) for e in proved)


def test_quotes_of_the_venue_where_there_are_any_else_of_our_book(tmp_path: Path) -> None:
    own = Quote(BTC, 2000, 3000, 0, 1.5, 2.0, None, None, 7, "venue")
    book = Quote(BTC, 4000, 5000, 0, 1.0, 2.0, 3.0, 4.0, 8, "book")
    lake_of(tmp_path, [book], "s1", 1)
    assert list(exported(tmp_path, "quotes")[0].values())[2:] == ["4", "5", "4", "3", "1", "2"]
    lake_of(tmp_path, [own], "s2", 1)
    (row,) = exported(tmp_path, "quotes")
    assert list(row) == [*HEAD, "ask_amount", "ask_price", "bid_price", "bid_amount"]
    assert list(row.values())[2:] == ["2", "3", "", "", "1.5", "2"]


def test_liquidations(tmp_path: Path) -> None:
    lake_of(tmp_path, [Liquidation(BTC, 2000, 3000, 0, 100.5, 1.0, "sell", None, 'a"b,c')], parts=1)
    (row,) = exported(tmp_path, "liquidations")
    assert list(row.values())[2:] == ["2", "3", 'a"b,c', "sell", "100.5", "1"]


@pytest.mark.parametrize(
    ("instrument", "names"),
    [
        ("binance-usdm:BTC-USDT-PERP", ("binance-futures", "BTCUSDT")),
        ("coinbase:BTC-USD", ("coinbase", "BTC-USD")),
        ("okx:BTC-USDT", ("okex", "BTC-USDT")),
        ("okx:BTC-USDT-PERP", ("okex-swap", "BTC-USDT-SWAP")),
        ("bybit:BTC-USDT-PERP", ("bybit", "BTCUSDT")),
        ("bybit:BTC-USDT", ("bybit-spot", "BTCUSDT")),
        ("sim:BTC-USDT", ("sim", "BTCUSDT")),
    ],
)
def test_tardis_names(instrument: str, names: tuple[str, str]) -> None:
    assert export_tardis.names_of(instrument) == names


@pytest.mark.parametrize(
    "instrument",
    [
        "binance:BTC-USDT",
        "binance-usdm:BTC-USDT-PERP",
        "coinbase:BTC-USD",
        "okx:BTC-USDT-PERP",
        "bybit:BTC-USDT-PERP",
        "bybit:BTC-USDT",
        "sim:BTC-USDT",
    ],
)
def test_tardis_names_lead_back(instrument: str) -> None:
    assert instrument_of(*export_tardis.names_of(instrument)) == instrument


def test_a_type_that_does_not_exist(tmp_path: Path, made: list[Event]) -> None:
    assert made
    for kind in ("book", "book_snapshot_0", "book_snapshot_x"):
        with pytest.raises(UsageError, match="--type"):
            export_tardis.export(tmp_path, kind, BTC, None, None, str(tmp_path / "x.csv"))


@pytest.mark.slow
def test_hftbacktests_own_reader_takes_it(tmp_path: Path, made: list[Event], capsys: Any) -> None:
    convert = importlib.import_module("hftbacktest.data.utils.tardis").convert
    files = []
    for kind in ("trades", "incremental_book_L2"):
        exported(tmp_path, kind)
        files.append(str(tmp_path / f"{kind}.csv"))
    data = convert(files, buffer_size=100_000, ss_buffer_size=10_000)
    trades = sum(isinstance(e, Trade) for e in made)
    assert len(data) >= trades + pl.read_csv(files[1]).height
    assert "Saving" not in capsys.readouterr().out
