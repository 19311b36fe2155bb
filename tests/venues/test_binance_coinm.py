"""COIN-M: what its documents print, by eye; its list of contracts; bars of contracts.

The messages are the examples of the COIN-M pages ("Market Streams", "Market Data"), shortened where a list goes on.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tapeline.config import PipelineSettings, VenueSettings
from tapeline.engine.pipeline import Pipeline
from tapeline.errors import ConfigError, MalformedFrame
from tapeline.events import Bar, Flag, Liquidation, Quote, Ticker, Trade
from tapeline.frames import HttpAnswer
from tapeline.instruments import Instrument, Registry
from tapeline.plans import Stream
from tapeline.venues.base import BookMessage, Record
from tapeline.venues.registry import venue_class
from tests.engine.feeds import MS, T0, opened, recv, session

VENUE = "binance-coinm"
JUNE, SEPTEMBER, PERP = (f"{VENUE}:BTC-USD-{end}" for end in ("200626", "200925", "PERP"))
AT = 1591261542539 * MS  # the documents' E
NOW = T0
BIN = 1591261500000 * MS


def decoded(message: Any) -> list[Record]:
    decoder = venue_class(VENUE)().decoder(Registry(VENUE), simulated=False)
    return list(decoder.decode(json.dumps(message).encode(), NOW))


CANDLE = {
    "t": 1591261500000, "T": 1591261559999, "s": "BTCUSD_200626", "i": "1m", "f": 606400, "L": 606430, "o": "9638.9", "c": "9639.8",
    "h": "9639.8", "l": "9638.6", "v": "156", "n": 31, "x": False, "q": "1.61836886", "V": "73", "Q": "0.75731156", "B": "0",
}  # fmt: skip
DOCUMENTED = {
    "aggTrade": (
        {"e": "aggTrade", "E": 1591261134288, "a": 424951, "s": "BTCUSD_200626", "p": "9643.5", "q": "2", "f": 606073, "l": 606073,
         "T": 1591261134199, "m": False},
        Trade(JUNE, 1591261134199 * MS, NOW, Flag.AGGREGATED, 9643.5, 2.0, "buy", "424951"),
    ),
    "bookTicker": (
        {"e": "bookTicker", "u": 17242169, "s": "BTCUSD_200626", "ps": "BTCUSD", "b": "9548.1", "B": "52", "a": "9548.5", "A": "11",
         "T": 1591268628155, "E": 1591268628166},
        Quote(JUNE, 1591268628166 * MS, NOW, 0, 9548.1, 52.0, 9548.5, 11.0, 17242169, "venue"),
    ),
    "kline": (
        {"e": "kline", "E": 1591261542539, "s": "BTCUSD_200626", "k": CANDLE},
        Bar(JUNE, AT, NOW, 0, "1m", BIN, 9638.9, 9639.8, 9638.6, 9639.8, 156.0, 73.0, 15600.0, None, 31, False, 0, "venue"),
    ),
    "ticker": (
        {"e": "24hrTicker", "E": 1591268262453, "s": "BTCUSD_200626", "ps": "BTCUSD", "p": "-43.4", "P": "-0.452", "w": "0.00147974",
         "c": "9548.5", "Q": "2", "o": "9591.9", "h": "10000.0", "l": "7000.0", "v": "487850", "q": "32968676323.46222700",
         "O": 1591181820000, "C": 1591268262442, "F": 512014, "L": 615289, "n": 103272},
        Ticker(JUNE, 1591268262453 * MS, NOW, Flag.INEXACT, 9548.5, 9591.9, 10000.0, 7000.0, 487850.0, 48785000.0, -0.452),
    ),
    "markPrice": (
        {"e": "markPriceUpdate", "E": 1596095725000, "s": "BTCUSD_PERP", "p": "11012.31359011", "P": "10962.17178236",
         "r": "0.00000000", "T": 1596096000000},
        Ticker(PERP, 1596095725000 * MS, NOW, 0, mark=11012.31359011, funding_rate=0.0, next_funding=1596096000000 * MS),
    ),
    "markPrice of a dated future": (
        {"e": "markPriceUpdate", "E": 1596095725000, "s": "BTCUSD_200925", "p": "10934.62615417", "P": "10962.17178236", "r": "", "T": 0},
        Ticker(SEPTEMBER, 1596095725000 * MS, NOW, 0, mark=10934.62615417),
    ),
    "forceOrder": (
        {"e": "forceOrder", "E": 1591154240950, "o": {"s": "BTCUSD_200925", "ps": "BTCUSD", "S": "SELL", "o": "LIMIT", "f": "IOC",
         "q": "1", "p": "9425.5", "ap": "9496.5", "X": "FILLED", "l": "1", "z": "1", "T": 1591154240949}},
        Liquidation(SEPTEMBER, 1591154240949 * MS, NOW, Flag.SAMPLED, 9425.5, 1.0, "sell", 9496.5, ""),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", DOCUMENTED)
def test_what_the_documents_print(kind: str) -> None:
    message, wanted = DOCUMENTED[kind]
    assert decoded(message) == [wanted]
    stream = f"{message.get('s', 'BTCUSD_200925').lower()}@{kind}"
    assert decoded({"stream": stream, "data": message}) == [wanted]


def test_the_documented_diff(shared_frames: Path) -> None:
    payload = json.loads((shared_frames / "documented/binance_usdm/coinm_diff_book_depth.json").read_text())["payload"]
    assert decoded(payload) == [
        BookMessage("BTCUSD_200626", 1591270260907 * MS, 0, "diff", [(9517.6, 10.0)], [(9518.5, 45.0)], 17285702, 17285675)
    ]


def test_the_documented_answers() -> None:
    venue, registry = venue_class(VENUE)(), Registry(VENUE)
    decoder = venue.decoder(registry, simulated=False)
    request = venue.decoder(registry, simulated=False).snapshot_request("BTCUSD_PERP", 2, 7)
    assert request is not None
    assert request.url == "https://dapi.binance.com/dapi/v1/depth?symbol=BTCUSD_PERP&limit=1000"
    head = HttpAnswer(venue=VENUE, purpose="book", url=request.url, status=200, native="BTCUSD_PERP")
    body = (
        b'{"lastUpdateId":16769853,"symbol":"BTCUSD_PERP","pair":"BTCUSD","E":1591250106370,"T":1591250106368,'
        b'"bids":[["9638.0","431"]],"asks":[["9638.2","12"]]}'
    )
    assert list(decoder.decode_answer(head, body, NOW)) == [
        BookMessage("BTCUSD_PERP", 1591250106370 * MS, 0, "fetched", [(9638.0, 431.0)], [(9638.2, 12.0)], 16769853, -1, 1000)
    ]
    candles = HttpAnswer(venue=VENUE, purpose="bars 1m", url="", status=200, native="BTCUSD_PERP")
    rows = b'[[1591258320000,"9640.7","9642.4","9640.6","9642.0","206",1591258379999,"2.13660389",48,"119","1.23424865","0"]]'
    opens, ends = 1591258320000 * MS, 1591258380000 * MS
    assert list(decoder.decode_answer(candles, rows, NOW)) == [
        Bar(
            PERP,
            ends,
            NOW,
            Flag.RECOVERED,
            "1m",
            opens,
            9640.7,
            9642.4,
            9640.6,
            9642.0,
            206.0,
            119.0,
            20600.0,
            None,
            48,
            True,
            0,
            "venue",
        )
    ]


LISTED = {
    "symbol": "BTCUSD_200925", "pair": "BTCUSD", "contractType": "CURRENT_QUARTER", "contractStatus": "TRADING", "contractSize": 100,
    "quoteAsset": "USD", "baseAsset": "BTC", "marginAsset": "BTC", "pricePrecision": 1, "quantityPrecision": 0,
    "filters": [{"filterType": "PRICE_FILTER", "maxPrice": "100000", "minPrice": "0.1", "tickSize": "0.1"},
                {"filterType": "LOT_SIZE", "maxQty": "100000", "minQty": "1", "stepSize": "1"}],
}  # fmt: skip


def test_the_list_of_contracts() -> None:
    bnb = {
        **LISTED,
        "symbol": "BNBUSD_PERP",
        "pair": "BNBUSD",
        "baseAsset": "BNB",
        "contractSize": 10,
        "contractStatus": "PENDING_TRADING",
    }
    broken = {**LISTED, "symbol": "X_PERP", "contractSize": 0}
    body = json.dumps({"timezone": "UTC", "symbols": [LISTED, broken, bnb]}).encode()
    first, second = venue_class(VENUE)().read_instruments(body, VENUE)
    assert first == Instrument(
        id=SEPTEMBER, venue=VENUE, native="BTCUSD_200925", kind="future", base="BTC", quote="USD", tick=0.1, lot=1.0,
        contract_size=100.0, inverse=True, status="TRADING",
    )  # fmt: skip
    assert (second.id, second.kind, second.contract_size, second.inverse, second.status) == (
        f"{VENUE}:BNB-USD-PERP", "perpetual", 10.0, True, "PENDING_TRADING",
    )  # fmt: skip
    with pytest.raises(MalformedFrame):
        venue_class(VENUE)().read_instruments(json.dumps({"symbols": [broken]}).encode(), VENUE)


@pytest.mark.parametrize(
    ("native", "symbol", "value"),
    [
        ("BTCUSD_PERP", "BTC-USD-PERP", 100.0),
        ("BTCUSD_241227", "BTC-USD-241227", 100.0),
        ("BNBUSD_PERP", "BNB-USD-PERP", 10.0),  # not BN in BUSD
        ("WUSD_PERP", "W-USD-PERP", 10.0),
        ("FDUSD_PERP", "FD-USD-PERP", 10.0),
    ],
)
def test_derived_names_and_the_way_back(native: str, symbol: str, value: float) -> None:
    venue = venue_class(VENUE)()
    made = venue.derive(native, "sim")
    assert (made.id, made.native, made.contract_size, made.inverse) == (f"sim:{symbol}", native, value, True)
    assert made.kind == ("perpetual" if native.endswith("PERP") else "future")
    assert venue.native_of(symbol) == venue.native_of(native) == native
    assert venue.native_of("BTC-USD") == venue.native_of("btcusd") == "BTCUSD_PERP"


def test_one_connection_serves_everything_asked_for() -> None:
    venue = venue_class(VENUE)()
    (plan,) = venue.plan([venue.derive("BTCUSD_PERP", VENUE)], ("trades", "book", "quotes", "bars", "ticker", "liquidations"))
    assert plan.url == "wss://dstream.binance.com/stream"
    assert [s.name.partition("@")[2] for s in plan.streams] == [
        "aggTrade", "depth@100ms", "bookTicker", "kline_1m", "markPrice@1s", "ticker", "forceOrder",
    ]  # fmt: skip
    assert plan.streams[0] == Stream("btcusd_perp@aggTrade", "trades", PERP)
    assert venue.stream("btcusd_perp@depth@100ms") == ("book", "BTCUSD_PERP")
    assert json.loads(plan.hello[0]) == {"method": "SUBSCRIBE", "params": [s.name for s in plan.streams], "id": 1}
    assert len(venue.plan([venue.derive(f"A{i}USD_PERP", VENUE) for i in range(201)], ("trades",))) == 2
    with pytest.raises(ConfigError):
        venue_class(VENUE)(VenueSettings(streams={"book": "aggTrade"})).plan([venue.derive("BTCUSD_PERP", VENUE)], ("book",))


def test_bars_count_the_contracts_worth() -> None:
    """Notional is contracts × contract value, also where the price is not a round number; vwap is weighted by contracts."""
    pipeline, out = Pipeline(PipelineSettings()), []
    eth = f"{VENUE}:ETH-USD-PERP"
    pipeline.feed(session(), out)
    pipeline.feed(opened(venue=VENUE, streams=("ethusd_perp@aggTrade",)), out)
    rows = ((0, "3333.33", "3", False), (400, "3334.44", "7", True), (1200, "3335.00", "1", False))
    for i, (ms, price, size, sold) in enumerate(rows):
        data = {
            "e": "aggTrade",
            "E": 1,
            "a": i + 1,
            "s": "ETHUSD_PERP",
            "p": price,
            "q": size,
            "f": i,
            "l": i,
            "T": T0 // MS + ms,
            "m": sold,
        }
        pipeline.feed(recv(T0 + ms * MS, {"stream": "ethusd_perp@aggTrade", "data": data}), out)
    (bar,) = [e for e in out if isinstance(e, Bar) and e.interval == "1s"]
    assert (bar.instrument, bar.volume, bar.buy_volume, bar.notional) == (eth, 10.0, 3.0, 100.0)
    assert bar.vwap == 3334.107  # (3 × 3333.33 + 7 × 3334.44) / 10
