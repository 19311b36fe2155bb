"""Bybit's names, plans, lists and HTTP answers."""

import json
from typing import Any

import pytest

from tapeline.config import VenueSettings
from tapeline.errors import ConfigError, MalformedFrame
from tapeline.events import Bar, Flag, Trade
from tapeline.frames import HttpAnswer
from tapeline.instruments import Instrument, Registry
from tapeline.plans import Request
from tapeline.venues.base import Past
from tapeline.venues.bybit import Bybit
from tapeline.venues.bybit_names import category_of
from tests.engine.feeds import MS, T0

LINEAR, SPOT, INVERSE = (f"wss://stream.bybit.com/v5/public/{c}" for c in ("linear", "spot", "inverse"))
NAMES = {
    "spot/BTCUSDT": "BTC-USDT",
    "spot/ETHBTC": "ETH-BTC",
    "linear/BTCUSDT": "BTC-USDT-PERP",
    "linear/1000PEPEUSDT": "1000PEPE-USDT-PERP",
    "linear/BTCPERP": "BTC-USDC-PERP",
    "linear/BTCUSDT-26DEC25": "BTC-USDT-251226",
    "linear/BTC-26DEC25": "BTC-USDC-251226",
    "inverse/BTCUSD": "BTC-USD-PERP",
    "inverse/BTCUSDZ25": "BTC-USD-251226",  # the last Friday of December 2025
    "inverse/ETHUSDH24": "ETH-USD-240329",
}


@pytest.mark.parametrize("native", NAMES)
def test_names_both_ways(native: str) -> None:
    venue, symbol = Bybit(), NAMES[native]
    made = venue.derive(native, "bybit")
    kind = "spot" if native[:4] == "spot" else "perpetual" if symbol.endswith("PERP") else "future"
    assert (made.id, made.native, made.kind, made.inverse) == (f"bybit:{symbol}", native, kind, native[:7] == "inverse")
    assert venue.native_of(symbol) == native


def test_odd_names_are_survived() -> None:
    venue = Bybit()
    for symbol in ("", "-", "BTC", "BTC--PERP", "A-B-C", "A-USD-999999", "BTC-USDT-251326", "X-Y-Z-W"):
        venue.derive(venue.native_of(symbol) or "x", "bybit")
    for native in ("linear/PERP", "linear/X-99ABC00", "inverse/USDZ25", "other/BTCUSDT", "/", "BTCUSD", "BTCUSDT"):
        assert venue.derive(native, "bybit").native.partition("/")[0] in {"spot", "linear", "inverse"}


def test_the_category_of_an_address() -> None:
    assert [category_of(a) for a in (LINEAR, SPOT, INVERSE)] == ["linear", "spot", "inverse"]
    assert category_of("ws://spot-mirror:9000/bybit/v5/public/linear") == "linear"
    assert category_of("wss://stream.bybit.com/v5/public/option") is None
    assert category_of("2026/Spot/btcusdt.gz") == "spot"
    assert category_of("spot-and-more/bybit_inverse_20261121.gz") == "inverse"


def instruments(*natives: str) -> list[Instrument]:
    return [Bybit().derive(native, "bybit") for native in natives]


def test_a_connection_a_category_with_the_topics_of_each() -> None:
    plans = Bybit().plan(instruments("linear/BTCUSDT", "spot/BTCUSDT", "inverse/BTCUSD"), Bybit.channels)
    assert [p.url for p in plans] == [SPOT, LINEAR, INVERSE]
    assert [s.name for s in plans[0].streams] == [
        "spot/publicTrade.BTCUSDT", "spot/orderbook.200.BTCUSDT", "spot/orderbook.1.BTCUSDT", "spot/kline.1.BTCUSDT",
        "spot/tickers.BTCUSDT",
    ]  # fmt: skip
    assert [s.name for s in plans[2].streams][-1] == "inverse/allLiquidation.BTCUSD"
    venue = Bybit()
    for plan in plans:
        assert plan.acks == len(plan.hello) == 1
        for stream in plan.streams:
            known = venue.stream(stream.name)
            assert known is not None
            assert known[0] == stream.channel
            assert venue.derive(known[1], "bybit").id == stream.instrument
        asked = venue.asked(plan.hello[0])
        assert asked is not None
        assert asked.names == tuple(s.name for s in plan.streams)


def test_ten_topics_a_message_and_21000_characters_a_connection() -> None:
    natives = [f"linear/{'A' * 32}{i:04}USDT" for i in range(700)]
    plans = Bybit().plan(instruments(*natives), ["trades", "book"])
    assert sorted(s.instrument for p in plans for s in p.streams) == sorted(
        f"bybit:{'A' * 32}{i:04}-USDT-PERP" for i in range(700) for _ in range(2)
    )
    for plan in plans:
        assert len(json.dumps([s.name.partition("/")[2] for s in plan.streams], separators=(",", ":"))) <= 21_000
        assert len(plan.streams) <= 500
        messages = [json.loads(m) for m in plan.hello]
        assert all(len(m["args"]) <= 10 for m in messages)
        assert [m["req_id"] for m in messages] == [f"linear/{n}" for n in range(1, len(messages) + 1)]


def test_another_depth_and_another_interval() -> None:
    venue = Bybit(VenueSettings(ws_url="ws://127.0.0.1:1/bybit/", streams={"book": "orderbook.1000", "bars": "kline.D"}))
    (plan,) = venue.plan(instruments("linear/BTCUSDT"), ["book", "bars"])
    assert [s.name for s in plan.streams] == ["linear/orderbook.1000.BTCUSDT", "linear/kline.D.BTCUSDT"]
    assert plan.url == "ws://127.0.0.1:1/bybit/v5/public/linear"


@pytest.mark.parametrize(
    ("channel", "topic"),
    [("book", "orderbook.1"), ("book", "orderbook.7"), ("book", "orderbook"), ("trades", "tickers"), ("bars", "kline.7"),
     ("bars", "kline"), ("trades", "publicTrade.x"), ("quotes", "orderbook.50"), ("book", "orderbook.rpi")],
)  # fmt: skip
def test_topics_that_do_not_fit(channel: Any, topic: str) -> None:
    with pytest.raises(ConfigError, match="no stream of"):
        Bybit(VenueSettings(streams={channel: topic})).plan(instruments("spot/BTCUSDT"), [channel])


def test_names_of_streams_that_are_none() -> None:
    assert Bybit().stream("spot/orderbook.full.BTCUSDT") == ("book", "spot/BTCUSDT")
    for name in (
        "",
        "spot/",
        "publicTrade.BTCUSDT",
        "spot/publicTrade.",
        "option/publicTrade.BTC",
        "spot/orderbook.7.X",
        "spot/kline.BTCUSDT",
    ):
        assert Bybit().stream(name) is None


def listing(category: str, *items: dict[str, Any], code: int = 0) -> bytes:
    result = {"category": category, "list": items, "nextPageCursor": ""}
    return json.dumps(
        {"retCode": code, "retMsg": "OK" if not code else "Request parameter error.", "result": result, "time": 1}
    ).encode()


LISTED: dict[str, dict[str, Any]] = {
    "linear": {
        "symbol": "BTCUSDT", "symbolId": 5, "contractType": "LinearPerpetual", "status": "Trading", "baseCoin": "BTC",
        "quoteCoin": "USDT", "launchTime": "1585526400000", "deliveryTime": "0", "deliveryFeeRate": "", "priceScale": "2",
        "priceFilter": {"minPrice": "0.10", "maxPrice": "1999999.80", "tickSize": "0.10"},
        "lotSizeFilter": {"maxOrderQty": "1190.000", "minOrderQty": "0.001", "qtyStep": "0.001", "minNotionalValue": "5"},
    },
    "spot": {
        "symbolId": 9, "symbol": "BTCUSDT", "baseCoin": "BTC", "quoteCoin": "USDT", "innovation": "0", "status": "Trading",
        "lotSizeFilter": {"basePrecision": "0.000001", "quotePrecision": "0.0000001", "minOrderQty": "0.000011", "minOrderAmt": "5"},
        "priceFilter": {"tickSize": "0.1"},
    },
    "inverse": {
        "symbol": "BTCUSDZ25", "contractType": "InverseFutures", "status": "Trading", "baseCoin": "BTC", "quoteCoin": "USD",
        "launchTime": "1750406400000", "deliveryTime": "1766736000000", "priceFilter": {"tickSize": "0.50"},
        "lotSizeFilter": {"qtyStep": "1"}, "settleCoin": "BTC",
    },
}  # fmt: skip


def test_what_the_venue_lists() -> None:
    """The linear and the spot one as the document prints them; 1766736000000 is 2025-12-26T08:00Z."""
    made = {c: Bybit().read_instruments(listing(c, item), "bybit")[0] for c, item in LISTED.items()}
    common: dict[str, Any] = {"venue": "bybit", "base": "BTC", "status": "Trading"}
    assert made["linear"] == Instrument(
        id="bybit:BTC-USDT-PERP", native="linear/BTCUSDT", kind="perpetual", quote="USDT", tick=0.1, lot=0.001, **common
    )
    assert made["spot"] == Instrument(
        id="bybit:BTC-USDT", native="spot/BTCUSDT", kind="spot", quote="USDT", tick=0.1, lot=0.000001, **common
    )
    assert made["inverse"] == Instrument(
        id="bybit:BTC-USD-251226",
        native="inverse/BTCUSDZ25",
        kind="future",
        quote="USD",
        tick=0.5,
        lot=1.0,
        inverse=True,
        **common,
    )


def test_listed_perpetuals_that_have_a_time_of_delivery_are_perpetuals() -> None:
    item = {**LISTED["linear"], "symbol": "BTCPERP", "quoteCoin": "USDC", "deliveryTime": "1766736000000"}
    assert Bybit().read_instruments(listing("linear", item), "bybit")[0].id == "bybit:BTC-USDC-PERP"


def test_lists_that_cannot_be_read() -> None:
    venue, good = Bybit(), LISTED["linear"]
    odd = {"symbol": 1}
    assert [i.native for i in venue.read_instruments(listing("linear", odd, good), "bybit")] == ["linear/BTCUSDT"]
    assert venue.read_instruments(listing("spot"), "bybit") == []
    refused = (
        b"",
        b"[]",
        b"{}",
        listing("linear", odd),
        listing("option", good),
        listing("linear", good, code=10001),
        b"{" * 99_999,
    )
    for body in refused:
        with pytest.raises(MalformedFrame):
            venue.read_instruments(body, "bybit")


def test_what_is_asked_over_http() -> None:
    venue = Bybit(VenueSettings(http_url="http://127.0.0.1:1/bybit/"))
    base = "http://127.0.0.1:1/bybit/v5/market"
    assert [r.url for r in venue.instruments_requests()] == [
        f"{base}/instruments-info?category={c}&limit=1000" for c in ("spot", "linear", "inverse")
    ]
    page = {"category": "linear", "list": [], "nextPageCursor": "first%3DBTC%26last%3DETH"}
    more = venue.more_instruments(json.dumps({"retCode": 0, "retMsg": "OK", "result": page}).encode())
    assert more is not None
    assert more.url == f"{base}/instruments-info?category=linear&limit=1000&cursor=first%3DBTC%26last%3DETH"
    last = {**page, "nextPageCursor": ""}
    assert venue.more_instruments(json.dumps({"retCode": 0, "retMsg": "OK", "result": last}).encode()) is None
    assert venue.more_instruments(b"<html>") is None
    spot, linear = (venue.trades_request(f"{c}/BTCUSDT", None, None, 2, 9) for c in ("spot", "linear"))
    assert spot.url == f"{base}/recent-trade?category=spot&symbol=BTCUSDT&limit=60"
    assert linear == Request(
        venue="bybit", purpose="trades", url=f"{base}/recent-trade?category=linear&symbol=BTCUSDT&limit=1000", weight=1,
        native="linear/BTCUSDT", attempt=2, not_before=9,
    )  # fmt: skip
    past = venue.past_requests("inverse/BTCUSD", 5)
    assert [(r.purpose, r.not_before) for r in past] == [(f"bars {i}", 5) for i in ("1m", "5m", "15m", "1h", "4h", "1d")]
    assert past[3].url == f"{base}/kline?category=inverse&symbol=BTCUSD&interval=60&limit=500"


def decoded(native: str, purpose: str, body: Any, ts_recv: int = T0) -> list[Any]:
    decoder = Bybit().decoder(Registry("bybit"), simulated=False)
    head = HttpAnswer(venue="bybit", purpose=purpose, url="u", status=200, native=native)
    return list(decoder.decode_answer(head, json.dumps(body).encode(), ts_recv))


def test_recent_trades_are_the_past_oldest_first() -> None:
    """The first is the document's example; the venue gives the newest first."""
    one = {"execId": "2100000000007764263", "symbol": "BTCUSDT", "price": "16618.49", "size": "0.00012", "side": "Buy",
           "time": "1672052955758", "isBlockTrade": False}  # fmt: skip
    later = {
        **one,
        "execId": "2100000000007764264",
        "side": "Sell",
        "time": "1672052955759",
        "isBlockTrade": True,
        "isRPITrade": True,
    }
    (past,) = decoded("spot/BTCUSDT", "trades", {"retCode": 0, "result": {"category": "spot", "list": [later, one]}})
    assert past == Past(
        "bybit:BTC-USDT",
        [
            Trade("bybit:BTC-USDT", 1672052955758 * MS, T0, Flag.RECOVERED, 16618.49, 0.00012, "buy", "2100000000007764263"),
            Trade(
                "bybit:BTC-USDT", 1672052955759 * MS, T0, Flag.RECOVERED | Flag.OFF_BOOK | Flag.RPI,
                16618.49, 0.00012, "sell", "2100000000007764264",
            ),
        ],
        asked=True,
    )  # fmt: skip


CANDLES = {"symbol": "BTCUSD", "category": "inverse", "list": [
    ["1670608800000", "17071", "17073", "17027", "17055.5", "268611", "15.74462667"],
    ["1670605200000", "17071.5", "17071.5", "17061", "17071", "4177", "0.24469757"],
    ["1670601600000", "17086.5", "17088", "16978", "17071.5", "6356", "0.37288112"],
]}  # fmt: skip


def test_past_candles_are_the_closed_ones_oldest_first() -> None:
    """The document's example. Inverse: the volume is in contracts of 1 USD, the turnover in BTC."""
    now = 1670608800000 * MS + 1  # the newest has just begun
    bars = decoded("inverse/BTCUSD", "bars 1h", {"retCode": 0, "result": CANDLES}, now)
    assert [(b.ts_open, b.ts_event) for b in bars] == [
        (1670601600000 * MS, 1670605200000 * MS),
        (1670605200000 * MS, 1670608800000 * MS),
    ]
    assert bars[1] == Bar(
        "bybit:BTC-USD-PERP", 1670608800000 * MS, now, Flag.RECOVERED, "1h", 1670605200000 * MS, 17071.5, 17071.5, 17061.0, 17071.0,
        4177.0, None, 4177.0, None, None, True, 0, "venue",
    )  # fmt: skip
    (linear, _) = decoded("linear/BTCUSDT", "bars 1h", {"retCode": 0, "result": CANDLES}, now)
    assert (linear.notional, linear.vwap) == (0.37288112, 0.37288112 / 6356)


def test_answers_that_refuse() -> None:
    for purpose in ("trades", "bars 1h"):
        with pytest.raises(MalformedFrame, match=r"Not supported symbols \(code 10001\)"):
            decoded("linear/FOO", purpose, {"retCode": 10001, "retMsg": "Not supported symbols", "result": {}})
    assert decoded("linear/FOO", "probe", {}) == []
