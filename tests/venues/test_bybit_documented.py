"""Every payload that Bybit's documents print, against values read off the document by eye, and the venue's control messages.

The page of an example says which category it is of; where it covers several, the example's symbol and sizes do. What is no
market data (logins, other people's requests, options) gives nothing and is counted.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tapeline.errors import MalformedFrame
from tapeline.events import Bar, Flag, Liquidation, Ticker, Trade
from tapeline.instruments import Registry
from tapeline.plans import Stream
from tapeline.venues.base import Ack, Asked, BookMessage, Decoder, Record
from tapeline.venues.bybit import Bybit

MS = 1_000_000
T0 = 1_795_255_500_000 * MS
PERP = "bybit:BTC-USDT-PERP"
ADDRESS = "wss://stream.bybit.com/v5/public/"

# category of the example; what follows. A text stands for: nothing, and one more unknown message of that kind.
EXPECTED: dict[str, tuple[str, list[Record] | str]] = {
    "all_liquidation_response_example_1": (
        "linear",  # a short was closed: by buying
        [Liquidation("bybit:ROSE-USDT-PERP", 1739502302929 * MS, T0, 0, 0.04499, 20000.0, "buy", None, "")],
    ),
    "connect_authenticate_with_api_1": ("linear", "auth"),
    "connect_authentication_1": ("linear", "auth"),
    "connect_linear_inverse_1": ("linear", []),
    "connect_linear_inverse_2": ("linear", [Ack(None)]),
    "connect_option_spread_1": ("linear", []),
    "connect_option_spread_2": ("linear", []),
    "connect_option_spread_3": ("linear", [Ack(None, "", ("linear/orderbook.100.BTC-6JAN23-18000-C",))]),
    "connect_private_1": ("linear", [Ack(None)]),
    "connect_public_spot_1": ("spot", [Ack("10001")]),
    "connect_spot_1": ("spot", []),
    "connect_understanding_websocket_filters_1": ("linear", "subscribe"),
    "connect_understanding_websocket_filters_2": ("linear", "subscribe"),
    "connect_understanding_websocket_filters_unsubscription_1": ("linear", "unsubscribe"),
    "full_ob_response_example_1": (
        "spot",
        [
            BookMessage(
                "spot/MNTUSDT", 1784103477730 * MS, 0, "diff",
                [(0.4758, 2342.47), (0.4757, 1735.35), (0.4755, 952.38), (0.4753, 522.68), (0.4752, 387.21)], [],
                278547, 278546, exact=True,
            )
        ],
    ),
    "kline_response_example_1": (
        "linear",
        [
            Bar(
                PERP, 1672324988882 * MS, T0, 0, "5m", 1672324800000 * MS, 16649.5, 16677.0, 16608.0, 16677.0,
                2.081, None, 34666.4005, 34666.4005 / 2.081, None, False, 0, "venue",
            )
        ],
    ),
    "orderbook_delta_1": (
        "linear",
        [
            BookMessage(
                "linear/BTCUSDT", 1687940967464 * MS, 0, "diff",
                [(30247.2, 30.028), (30245.4, 0.224), (30242.1, 1.593), (30240.3, 1.305), (30240.0, 0.0)],
                [(30248.7, 0.0), (30249.3, 0.892), (30249.5, 1.778), (30249.6, 0.0), (30251.9, 2.947), (30252.2, 0.659), (30252.5, 4.591)],
                177400507, 177400506, limit=50, cut=50,
            )
        ],
    ),
    "orderbook_snapshot_1": (
        "linear",
        [
            BookMessage(
                "linear/BTCUSDT", 1672304484976 * MS, 0, "snapshot",
                [(16493.5, 0.006), (16493.0, 0.1)], [(16611.0, 0.029), (16612.0, 0.213)], 18521288, -1, limit=50, cut=50,
            )
        ],
    ),
    "ticker_option_1": ("linear", "option"),
    "ticker_spot_1": (
        "spot",  # 141946527.22907118 has 17 significant digits
        [
            Ticker(
                "bybit:BTC-USDT", 1673853746003 * MS, T0, Flag.INEXACT, 21109.77, 20704.93, 21426.99, 20575.0,
                6780.866843, 141946527.22907118, 1.96,
            )
        ],
    ),
    "trade_response_example_1": (
        "linear",
        [Trade(PERP, 1672304486865 * MS, T0, 0, 16578.5, 0.001, "buy", "20f43950-d8dd-5b31-9112-a178eb6023af")],
    ),
}  # fmt: skip


def payloads(frames: Path) -> Iterator[tuple[str, Any]]:
    for path in sorted((frames / "documented" / "bybit_v5").glob("*.json")):
        yield path.stem, json.loads(path.read_text())["payload"]


def decoder() -> Decoder:
    return Bybit().decoder(Registry("bybit"), simulated=False)


def decode(raw: bytes, address: str) -> tuple[list[Record], dict[str, int]]:
    made = decoder()
    return list(made.of_connection(address)(raw, T0)), made.unknown


def expected(name: str) -> tuple[list[Record], dict[str, int]]:
    what = EXPECTED[name][1]
    return ([], {what: 1}) if isinstance(what, str) else (what, {})


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def backwards(payload: Any) -> Any:
    return {k: backwards(v) for k, v in reversed(payload.items())} if isinstance(payload, dict) else payload


def with_unknown_keys(payload: Any) -> Any:
    if isinstance(payload, dict):
        return {"zz": [1, {"q": None}], **{k: with_unknown_keys(v) for k, v in payload.items()}, "zzz": "ü" * 3}
    return payload


VARIANTS = {
    "as it is": compact,
    "spaces": lambda p: json.dumps(p, indent=3, separators=(" ,", " : ")).encode(),
    "keys backwards": lambda p: compact(backwards(p)),
    "unknown keys": lambda p: compact(with_unknown_keys(p)),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_documented_payload_decodes_to_what_the_document_says(shared_frames: Path, variant: str) -> None:
    found = dict(payloads(shared_frames))
    assert found.keys() == EXPECTED.keys()
    for name, payload in found.items():
        assert decode(VARIANTS[variant](payload), ADDRESS + EXPECTED[name][0]) == expected(name), name


def test_the_same_without_an_address(shared_frames: Path) -> None:
    """As a recording has it: the documents' examples tell their category themselves, the candle's by default."""
    for name, payload in payloads(shared_frames):
        assert decode(compact(payload), "recording.gz") == expected(name), name


def test_the_address_decides_what_a_symbol_means(shared_frames: Path) -> None:
    trade = dict(payloads(shared_frames))["trade_response_example_1"]
    of = {c: decode(compact(trade), ADDRESS + c)[0][0] for c in ("spot", "linear", "inverse")}
    assert {c: t.instrument for c, t in of.items() if isinstance(t, Trade)} == {
        "spot": "bybit:BTC-USDT",
        "linear": "bybit:BTC-USDT-PERP",
        "inverse": "bybit:BTC-USDT-PERP",  # no such thing; it would be a perpetual
    }


def test_a_linear_ticker_and_what_changes_of_it() -> None:
    """The page's linear example (it is not among the payloads): a key that does not come again keeps its value."""
    data = {
        "symbol": "BTCUSDT", "tickDirection": "PlusTick", "price24hPcnt": "0.017103", "lastPrice": "17216.00",
        "prevPrice24h": "16926.50", "highPrice24h": "17281.50", "lowPrice24h": "16915.00", "prevPrice1h": "17238.00",
        "markPrice": "17217.33", "indexPrice": "17227.36", "openInterest": "68744.761", "openInterestValue": "1183601235.91",
        "turnover24h": "1570383121.943499", "volume24h": "91705.276", "nextFundingTime": "1673280000000", "fundingRate": "-0.000212",
        "bid1Price": "17215.50", "bid1Size": "84.489", "ask1Price": "17216.00", "ask1Size": "83.020",
    }  # fmt: skip
    read = decoder().of_connection(ADDRESS + "linear")
    whole, quote = read(
        compact({"topic": "tickers.BTCUSDT", "type": "snapshot", "data": data, "cs": 24987956059, "ts": 1673272861686}), T0
    )
    figures: dict[str, Any] = {
        "last": 17216.0, "open": 16926.5, "high": 17281.5, "low": 16915.0, "volume": 91705.276, "notional": 1570383121.943499,
        "change_pct": 1.7103, "mark": 17217.33, "index": 17227.36, "funding_rate": -0.000212,
        "next_funding": 1673280000000 * MS, "open_interest": 68744.761,
    }  # fmt: skip
    assert whole == Ticker(PERP, 1673272861686 * MS, T0, Flag.INEXACT, **figures)
    assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == (17215.5, 84.489, 17216.0, 83.02)  # type: ignore[union-attr]

    def delta(**changed: str) -> list[Record]:
        message = {
            "topic": "tickers.BTCUSDT",
            "type": "delta",
            "data": {"symbol": "BTCUSDT", **changed},
            "cs": 1,
            "ts": 1673272861786,
        }
        return list(read(compact(message), T0))

    assert delta(markPrice="17217.40") == [Ticker(PERP, 1673272861786 * MS, T0, 0, **{**figures, "mark": 17217.4})]
    (only_quote,) = delta(bid1Size="80.000")
    assert (only_quote.bid, only_quote.bid_size, only_quote.seq) == (17215.5, 80.0, None)  # type: ignore[union-attr]
    assert delta(fundingRate="", nextFundingTime="")[0] == Ticker(
        PERP, 1673272861786 * MS, T0, 0, **{**figures, "mark": 17217.4, "funding_rate": None, "next_funding": None}
    )
    assert delta(tickDirection="ZeroPlusTick") == []


def test_control_messages_are_those_of_the_documents(shared_frames: Path) -> None:
    found, venue = dict(payloads(shared_frames)), Bybit()
    wanted = found["connect_understanding_websocket_filters_2"]
    streams = [Stream(f"linear/{topic}", "trades", PERP) for topic in wanted["args"]]
    (message,) = venue.subscribe(streams, 1)
    assert json.loads(message) == {**wanted, "req_id": "linear/1"}
    wanted = found["connect_understanding_websocket_filters_unsubscription_1"]
    (message,) = venue.unsubscribe([Stream("inverse/publicTrade.ETHUSD", "trades", "bybit:ETH-USD-PERP")], 7)
    assert json.loads(message) == {**wanted, "req_id": "inverse/7"}
    assert venue.asked(message) == Asked("inverse/7", ("inverse/publicTrade.ETHUSD",), gone=True)
    plan = venue.plan([venue.derive("linear/BTCUSDT", "bybit")], ["trades"])[0]
    assert (json.loads(plan.client_ping or b""), plan.limits.client_ping_seconds) == ({"op": "ping"}, 20)


def test_what_answers_a_subscription_and_what_does_not(shared_frames: Path) -> None:
    venue = Bybit()
    acks = {name for name, p in payloads(shared_frames) if venue.is_ack(compact(p)) and "args" not in p}
    assert acks == {"connect_linear_inverse_2", "connect_option_spread_3", "connect_private_1", "connect_public_spot_1"}


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (
            '{"success":false,"ret_msg":"Invalid topic: invalid.topic.BTCUSDT","conn_id":"c","op":"subscribe"}',
            Ack(None, "Invalid topic: invalid.topic.BTCUSDT", ("linear/invalid.topic.BTCUSDT",)),
        ),
        (
            '{"success":false,"ret_msg":"error:handler not found,topic:kline.1.FOOUSDT","conn_id":"c","req_id":"linear/3","op":"subscribe"}',
            Ack("linear/3", "error:handler not found,topic:kline.1.FOOUSDT"),
        ),
        (
            '{"success":false,"ret_msg":"error:already subscribed,topic:allLiquidation.ORDERUSDT","conn_id":"c","req_id":"","op":"subscribe"}',
            Ack(None, "error:already subscribed,topic:allLiquidation.ORDERUSDT", ("linear/allLiquidation.ORDERUSDT",)),
        ),
        ('{"success":false,"ret_msg":"","op":"subscribe","req_id":"linear/2"}', Ack("linear/2", "no reason is given")),
        ('{"success":true,"ret_msg":"","op":"unsubscribe","req_id":"linear/2"}', Ack("linear/2")),
    ],
)
def test_refusals(raw: str, wanted: Ack) -> None:
    assert decode(raw.encode(), ADDRESS + "linear") == ([wanted], {})


def test_options_answer_topic_by_topic() -> None:
    raw = compact({"success": True, "data": {"failTopics": ["a.B"], "successTopics": ["c.D"]}, "type": "COMMAND_RESP"})
    assert decode(raw, ADDRESS + "linear")[0] == [Ack(None, "", ("linear/c.D",)), Ack(None, "no such topic", ("linear/a.B",))]


def test_a_message_that_is_cut_in_its_topic_makes_no_instrument() -> None:
    made = decoder()
    with pytest.raises(MalformedFrame):
        made.of_connection(ADDRESS + "linear")(b'{"topic":"publicTrade.BTCUS', T0)
    assert not made.registry.by_id
