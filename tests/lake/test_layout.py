"""Where events lie, worked out by hand."""

from tapeline.events import Status, Trade
from tapeline.lake.layout import Partition, dataset_glob, date_text, file_name, venue_and_symbol


def test_dates_and_paths():
    assert date_text(20_777) == "2026-11-20"
    at = Partition("trade", "binance", "BTC-USDT", "2026-11-20")
    assert at.path == "kind=trade/venue=binance/instrument=BTC-USDT/date=2026-11-20"
    odd = Partition("trade", "kraken", "XBT/USD=1", "2026-11-20")
    assert odd.path == "kind=trade/venue=kraken/instrument=XBT%2FUSD%3D1/date=2026-11-20"
    assert Partition("status", "sim", "", "2026-11-20").path.split("/")[2] == "instrument=__HIVE_DEFAULT_PARTITION__"
    assert Partition("trade", "x", "..", "2026-11-20").path.split("/")[2] == "instrument=.."
    assert file_name("20261121T100500Z-1a2b", 0, 99) == "20261121T100500Z-1a2b-0-99.parquet"


def test_globs(tmp_path):
    assert dataset_glob(tmp_path, "trade") == f"{tmp_path}/lake/kind=trade/venue=*/instrument=*/date=*/*.parquet"
    assert dataset_glob(tmp_path, "bar", "sim", "A/B", "2026-11-20").endswith(
        "/kind=bar/venue=sim/instrument=A%2FB/date=2026-11-20/*.parquet"
    )


def test_an_event_without_an_instrument_lies_under_its_venue():
    assert venue_and_symbol(Trade("sim:BTC-USDT", 0, 0, 0, 1.0, 1.0, "buy", "")) == ("sim", "BTC-USDT")
    assert venue_and_symbol(Status("", 0, 0, 0, "stale", "okx", "", "", None, None, None)) == ("okx", "")
