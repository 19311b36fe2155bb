"""Names: ours, the venue's, and what is derived where no list is at hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from tapeline.errors import MalformedFrame, UsageError
from tapeline.instruments import QUOTE_ASSETS, Instrument, Registry, split_id, split_pair
from tapeline.venues.registry import VENUES, venue_class


@pytest.mark.parametrize(
    ("venue", "native", "symbol", "kind"),
    [
        ("binance", "BTCUSDT", "BTC-USDT", "spot"),
        ("binance", "BTCFDUSD", "BTC-FDUSD", "spot"),
        ("binance", "USDTTRY", "USDT-TRY", "spot"),
        ("binance", "1000SATSUSDT", "1000SATS-USDT", "spot"),
        ("binance", "ETHBTC", "ETH-BTC", "spot"),
        ("binance", "币安人生USDT", "币安人生-USDT", "spot"),
        ("binance", "USDT", "USDT", "spot"),
        ("binance", "XYZABC", "XYZABC", "spot"),
        ("binance-usdm", "BTCUSDT", "BTC-USDT-PERP", "perpetual"),
        ("binance-usdm", "BTCUSDT_240927", "BTC-USDT-240927", "future"),
        ("binance-usdm", "ETHBTC", "ETH-BTC-PERP", "perpetual"),
        ("binance-usdm", "XYZABC", "XYZABC-PERP", "perpetual"),
        ("binance-usdm", "XYZABC_240927", "XYZABC-240927", "future"),
    ],
)
def test_derived_names_and_the_way_back(venue: str, native: str, symbol: str, kind: str) -> None:
    of = venue_class(venue)()
    made = of.derive(native, "label")
    assert (made.id, made.symbol, made.kind, made.native, made.venue) == (f"label:{symbol}", symbol, kind, native, "label")
    assert of.native_of(symbol) == of.native_of(symbol.lower()) == native


def test_every_quote_asset_splits() -> None:
    assert all(split_pair(f"XQX{quote}") == ("XQX", quote) for quote in QUOTE_ASSETS)
    assert split_pair("") is None


def listed(venue: str, *symbols: dict[str, Any]) -> list[Instrument]:
    return venue_class(venue)().read_instruments(json.dumps({"symbols": list(symbols)}).encode(), venue)


def symbol(native: str, base: str = "BTC", quote: str = "USDT", **more: Any) -> dict[str, Any]:
    return {"symbol": native, "status": "TRADING", "baseAsset": base, "quoteAsset": quote, **more}


def test_what_the_venue_lists() -> None:
    filters = [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "tickSize": "0.01"},
        {"filterType": "LOT_SIZE", "stepSize": "0.00001"},
        {"filterType": "MARKET_LOT_SIZE", "stepSize": "0.00000000"},
        {"filterType": "NEW_KIND", "limit": [1]},
    ]
    (made,) = listed("binance", symbol("BTCUSDT", filters=filters))
    assert (made.id, made.tick, made.lot, made.base, made.quote, made.status) == (
        "binance:BTC-USDT", 0.01, 0.00001, "BTC", "USDT", "TRADING",
    )  # fmt: skip
    (bare,) = listed("binance", symbol("BTCUSDT", filters=[]))
    assert (bare.tick, bare.lot) == (None, None)


@pytest.mark.parametrize(
    "contract", ["", "PERPETUAL", "TRADIFI_PERPETUAL", "PERPETUAL_DELIVERING", "CURRENT_QUARTER", "NEXT_QUARTER DELIVERING"]
)
def test_futures_are_named_by_their_symbols(contract: str) -> None:
    """`contractType` is empty before listing; a dated future must never take the perpetual's name."""
    perpetual, future = listed(
        "binance-usdm", symbol("BTCUSDT", contractType=contract), symbol("BTCUSDT_260626", contractType=contract)
    )
    assert (perpetual.symbol, perpetual.kind) == ("BTC-USDT-PERP", "perpetual")
    assert (future.symbol, future.kind) == ("BTC-USDT-260626", "future")


def test_the_documented_list(shared_frames: Path) -> None:
    path = shared_frames / "documented" / "binance_spot_rest" / "rest_api_exchange_information_1.json"
    body = json.dumps(json.loads(path.read_text())["payload"]).encode()
    (made,) = venue_class("binance")().read_instruments(body, "binance")
    assert (made.id, made.native) == ("binance:ETH-BTC", "ETHBTC")


@pytest.mark.parametrize("venue", VENUES)
def test_a_list_that_is_none(venue: str) -> None:
    with pytest.raises(MalformedFrame, match=venue):
        venue_class(venue)().read_instruments(b"<html>", venue)


@pytest.mark.parametrize("venue", VENUES)
def test_streams_that_are_planned_are_understood(venue: str) -> None:
    """What is asked for is what is expected to speak: the same channel, the same instrument."""
    of = venue_class(venue)()
    instrument = of.derive("BTCUSDT", venue)
    plans = of.plan([instrument], of.channels)
    streams = [s for plan in plans for s in plan.streams]
    assert streams
    assert {s.channel for s in streams} <= set(of.channels)  # one stream may give several
    for s in streams:
        assert of.stream(s.name) == (s.channel, instrument.native)
        assert s.instrument == instrument.id
    for plan in plans:
        asked = [of.asked(message) for message in plan.hello]
        assert [name for one in asked if one for name in one.names] == [s.name for s in plan.streams]
        assert plan.acks == of.acks(plan.hello)
        ids = [one.id for one in asked if one and one.id is not None]
        assert len(set(ids)) == len(ids)


def test_a_stream_on_the_wrong_path_would_be_silent() -> None:
    of = venue_class("binance-usdm")()
    by_path = {
        plan.url.partition(".com")[2]: {s.name.partition("@")[2] for s in plan.streams}
        for plan in of.plan([of.derive("BTCUSDT", "x")], of.channels)
    }
    assert by_path == {
        "/public/stream": {"depth@100ms", "bookTicker"},
        "/market/stream": {"aggTrade", "kline_1m", "markPrice@1s", "ticker", "forceOrder"},
    }


def test_another_books_diffs_do_not_get_into_this_one() -> None:
    """`rpiDepth` has the shape of a depth diff and the name of the same symbol."""
    decoder = venue_class("binance-usdm")().decoder(Registry("binance-usdm"), simulated=False)
    data = {"e": "depthUpdate", "E": 1, "T": 1, "s": "BTCUSDT", "U": 1, "u": 2, "pu": 0, "b": [], "a": []}
    assert decoder.decode(json.dumps({"stream": "btcusdt@rpiDepth@500ms", "data": data}).encode(), 1) == []
    assert decoder.unknown == {"rpiDepth": 1}


def test_the_nearest_names() -> None:
    registry = Registry("binance")
    for native in ("BTCUSDT", "BTCUSDC", "ETHUSDT", "SOLUSDT"):
        registry.add(venue_class("binance")().derive(native, "binance"))
    assert registry.nearest("btc-usd")[0] in {"binance:BTC-USDT", "binance:BTC-USDC"}
    assert registry.nearest("SOLUSDT")[0] == "binance:SOL-USDT"
    assert registry.nearest("????") == []


@pytest.mark.parametrize("text", ["", "BTC-USDT", ":BTC", "binance:"])
def test_what_is_no_id(text: str) -> None:
    with pytest.raises(UsageError, match="venue:symbol"):
        split_id(text)


def test_ids_split() -> None:
    assert split_id("binance:BTC-USDT") == ("binance", "BTC-USDT")


def test_a_symbol_that_cannot_be_read_does_not_hide_the_others() -> None:
    good = {"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "filters": []}
    body = json.dumps({"symbols": [{"symbol": 7}, good, {**good, "filters": [{"tickSize": "much"}]}, "x"]}).encode()
    assert [i.id for i in venue_class("binance")().read_instruments(body, "binance")] == ["binance:BTC-USDT"]
    with pytest.raises(MalformedFrame, match="none can be read"):
        venue_class("binance")().read_instruments(b'{"symbols": [{"symbol": 7}]}', "binance")
