"""Every payload that Binance's documents print, or that was seen live, against values read off the document by eye.

A payload comes raw (`/ws/…`) and in the envelope of `/stream`; both give the same. What is no market data (subscriptions, other
people's REST answers, kinds that Tapeline does not use) gives nothing and is counted. Two of them are examples that are cut
short in the document, so they are malformed.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tapeline.errors import MalformedFrame
from tapeline.events import Bar, Event, Flag, Liquidation, Quote, Ticker, Trade
from tapeline.instruments import Registry
from tapeline.venues.base import Ack, BookMessage, Notice, Record
from tapeline.venues.registry import venue_class

T0 = 1_795_255_500_000_000_000
MS = 1_000_000
OLD = Flag.BAD_TIME  # the documents' E = 123456789 is in 1970
DERIVED = {"BNBBTC": "binance:BNB-BTC", "BNBUSDT": "binance:BNB-USDT"}
PERP = "binance-usdm:BTC-USDT-PERP"
BNB, BNBU = "binance:BNB-BTC", "binance:BNB-USDT"
KLINE_TIMES = (1672515782136 * MS, 1672515780000 * MS)

# What follows from each payload. `counted` stands for: nothing, and one more unknown message of that kind.
EXPECTED: dict[str, Any] = {
    "binance_spot/aggregate_trade_streams_1": Trade(BNB, 1672515782136 * MS, T0, Flag.AGGREGATED, 0.001, 100.0, "sell", "12345"),
    "binance_spot/all_market_mini_tickers_stream_1": "(other)",
    "binance_spot/all_market_rolling_window_statistics_streams_1": "(other)",
    "binance_spot/average_price_1": "avgPrice",
    "binance_spot/block_trade_streams_1": Trade(BNB, 1772506983321 * MS, T0, Flag.OFF_BOOK, 0.052, 5838.0, "sell", "582"),
    "binance_spot/diff_depth_stream_1": BookMessage(
        "BNBBTC", 1672515782136 * MS, 0, "diff", [(0.0024, 10.0)], [(0.0026, 100.0)], 160, 156
    ),
    "binance_spot/individual_symbol_book_ticker_streams_1": Quote(
        BNBU, T0, T0, Flag.NO_VENUE_TIME, 25.3519, 31.21, 25.3652, 40.66, 400900217, "venue"
    ),
    "binance_spot/individual_symbol_mini_ticker_stream_1": Ticker(
        BNB, 1672515782136 * MS, T0, 0, 0.0025, 0.001, 0.0025, 0.001, 10000.0, 18.0
    ),
    "binance_spot/individual_symbol_rolling_window_statistics_streams_1": "1hTicker",
    "binance_spot/individual_symbol_ticker_streams_1": Ticker(
        BNB, 1672515782136 * MS, T0, 0, 0.0025, 0.001, 0.0025, 0.001, 10000.0, 18.0, 250.0
    ),
    "binance_spot/kline_candlestick_streams_for_utc_1": Bar(
        BNB, KLINE_TIMES[0], T0, 0, "1m", KLINE_TIMES[1], 0.001, 0.0025, 0.0015, 0.002, 1000.0, 500.0, 1.0, 0.001, 100, False, 0, "venue"
    ),
    "binance_spot/kline_candlestick_streams_with_timezone_offset_1": Bar(
        BNB, KLINE_TIMES[0], T0, 0, "1m", KLINE_TIMES[1], 0.001, 0.0025, 0.0015, 0.002, 1000.0, 500.0, 1.0, 0.001, 100, False, 0, "venue"
    ),
    "binance_spot/listing_subscriptions_1": "(other)",
    "binance_spot/listing_subscriptions_2": Ack(3),
    "binance_spot/partial_book_depth_streams_1": BookMessage(
        "", T0, Flag.NO_VENUE_TIME, "fetched", [(0.0024, 10.0)], [(0.0026, 100.0)], 160, -1
    ),
    "binance_spot/reference_price_streams_1": "referencePrice",
    "binance_spot/retrieving_properties_1": "(other)",
    "binance_spot/retrieving_properties_2": Ack(2),
    "binance_spot/server_shutdown_1": Notice("serverShutdown"),
    "binance_spot/server_shutdown_2": Notice("serverShutdown"),
    "binance_spot/setting_properties_1": "(other)",
    "binance_spot/setting_properties_2": Ack(5),
    "binance_spot/subscribe_to_a_stream_1": "(other)",
    "binance_spot/subscribe_to_a_stream_2": Ack(1),
    "binance_spot/trade_streams_1": Trade(BNB, 1672515782136 * MS, T0, 0, 0.001, 100.0, "sell", "12345"),
    "binance_spot/unsubscribe_to_a_stream_1": "(other)",
    "binance_spot/unsubscribe_to_a_stream_2": Ack(312),
    "binance_spot_rest/rest_api_order_book_1": BookMessage(
        "", T0, Flag.NO_VENUE_TIME, "fetched", [(4.0, 431.0)], [(4.000002, 12.0)], 1027024, -1
    ),
    "binance_usdm/agg_trade": Trade(PERP, 123456785 * MS, T0, Flag.AGGREGATED | OLD, 0.001, 100.0, "sell", "5933014"),
    "binance_usdm/book_ticker_real_capture": Quote(
        PERP, 1723161256313 * MS, T0, 0, 61800.2, 2.507, 61800.3, 2.51, 5123107839020, "venue"
    ),
    "binance_usdm/coinm_diff_book_depth": BookMessage(
        "BTCUSD_200626", 1591270260907 * MS, 0, "diff", [(9517.6, 10.0)], [(9518.5, 45.0)], 17285702, 17285675
    ),
    "binance_usdm/combined_wrapper": MalformedFrame,  # {"e": "depthUpdate"} and nothing else
    "binance_usdm/diff_book_depth": BookMessage(
        "BTCUSDT", 123456789 * MS, OLD, "diff", [(0.0024, 10.0)], [(0.0026, 100.0)], 160, 149
    ),
    "binance_usdm/mark_price_fields": Ticker(
        PERP, 1562305380000 * MS, T0, 0, mark=11185.87786614, index=11784.62659091, funding_rate=0.0003, next_funding=1562306400000 * MS
    ),
    "binance_usdm/nautilus_agg_trade_stream": Trade(
        PERP, 123456785 * MS, T0, Flag.AGGREGATED | OLD, 0.001, 100.0, "sell", "5933014"
    ),
    "binance_usdm/nautilus_book_ticker_stream": Quote(
        "binance-usdm:BNB-USDT-PERP", 1568014460893 * MS, T0, 0, 25.3519, 31.21, 25.3652, 40.66, 400900217, "venue"
    ),
    "binance_usdm/nautilus_depth_update_stream": BookMessage(
        "BTCUSDT", 123456789 * MS, OLD, "diff", [(0.0024, 10.0)], [(0.0026, 100.0)], 160, 149
    ),
    "binance_usdm/nautilus_kline_stream_closed": Bar(
        PERP, 1638747660000 * MS, T0, 0, "1m", 1638747660000 * MS, 0.001, 0.0025, 0.001, 0.002,
        1000.0, 500.0, 1.0, 0.001, 100, True, 0, "venue",
    ),
    "binance_usdm/nautilus_kline_stream_open": Bar(
        PERP, 1638747660000 * MS, T0, 0, "1m", 1638747660000 * MS, 0.001, 0.0025, 0.0015, 0.002,
        1000.0, 500.0, 1.0, 0.001, 100, False, 0, "venue",
    ),
    "binance_usdm/nautilus_liquidation_stream": Liquidation(
        PERP, 1568014460893 * MS, T0, Flag.SAMPLED, 9910.0, 0.014, "sell", 9910.12345678, ""
    ),
    "binance_usdm/nautilus_mark_price_stream": Ticker(
        PERP, 1562305380000 * MS, T0, 0, mark=11794.15, index=11784.62659091, funding_rate=0.00038167, next_funding=1562306400000 * MS
    ),
    # q = 2036102085.69746400 has 16 significant digits
    "binance_usdm/nautilus_ticker_stream": Ticker(
        PERP, 1672515782136 * MS, T0, Flag.INEXACT, 16584.6, 16716.0, 16764.89, 16456.51, 122474.816, 2036102085.697464, -0.786
    ),
    "binance_usdm/nautilus_trade_stream": Trade(PERP, 123456785 * MS, T0, OLD, 0.001, 100.0, "sell", "5933014"),
    # The shape of a diff: only the stream's name tells a partial book. The raw form, without a name, can only be read as a diff.
    "binance_usdm/partial_book_depth": BookMessage(
        "BTCUSDT", 1571889248277 * MS, 0, "diff",
        [(7403.89, 0.002), (7403.9, 3.906), (7404.0, 1.428), (7404.85, 5.239), (7405.43, 2.562)],
        [(7405.96, 3.34), (7406.63, 4.525), (7407.08, 2.475), (7407.15, 4.8), (7407.2, 0.175)],
        390497878, 390497794,
    ),
    "binance_usdm/trade_real_capture": Trade(PERP, 1723161256322 * MS, T0, 0, 61800.3, 0.006, "buy", "5266583935"),
    "binance_usdm/url_examples": MalformedFrame,  # a list of texts
}  # fmt: skip
OTHER_REST = "(other)"  # answers to questions that Tapeline does not ask, should they stand among recorded lines


def payloads(frames: Path) -> Iterator[tuple[str, Any]]:
    for folder in ("binance_spot", "binance_spot_rest", "binance_usdm"):
        for path in sorted((frames / "documented" / folder).glob("*.json")):
            yield f"{folder}/{path.stem}", json.loads(path.read_text())["payload"]


def decode(name: str, raw: bytes) -> tuple[Any, dict[str, int]]:
    """The records, or MalformedFrame where that was raised; what was counted as unknown."""
    venue = "binance-usdm" if name.startswith("binance_usdm") else "binance"
    decoder = venue_class(venue)().decoder(Registry(venue), simulated=False)
    try:
        return list(decoder.decode(raw, T0)), decoder.unknown
    except MalformedFrame:
        return MalformedFrame, decoder.unknown


def expected(name: str) -> tuple[Any, dict[str, int]]:
    what = EXPECTED.get(name, OTHER_REST)
    if what is MalformedFrame:
        return MalformedFrame, {}
    return ([], {what: 1}) if isinstance(what, str) else ([what], {})


def spaced(payload: Any) -> bytes:
    return json.dumps(payload, indent=3, separators=(" ,", " : ")).encode()


def backwards(payload: Any) -> Any:
    if isinstance(payload, dict):
        return {k: backwards(v) for k, v in reversed(payload.items())}
    return payload


def with_unknown_keys(payload: Any) -> Any:
    if isinstance(payload, dict):
        new = {"zz": [1, {"q": None}], **{k: with_unknown_keys(v) for k, v in payload.items()}}
        return {**new, "zzz": "ü" * 3}
    return payload


def checked(shared_frames: Path) -> Iterator[tuple[str, Any]]:
    found = list(payloads(shared_frames))
    assert {n for n, _ in found} >= EXPECTED.keys()
    assert all(n in EXPECTED or n.startswith("binance_spot_rest/") for n, _ in found), "a payload without an expectation"
    return iter(found)


def test_every_documented_payload_decodes_to_what_the_document_says(shared_frames: Path) -> None:
    for name, payload in checked(shared_frames):
        if name.startswith("binance_spot_rest/") and name not in EXPECTED:
            continue
        assert decode(name, json.dumps(payload, separators=(",", ":")).encode()) == expected(name), name


def test_answers_to_questions_that_are_not_ours_are_counted_and_survived(shared_frames: Path) -> None:
    for name, payload in payloads(shared_frames):
        if name.startswith("binance_spot_rest/") and name not in EXPECTED:
            made, unknown = decode(name, json.dumps(payload).encode())
            assert made is MalformedFrame or (made == [] and sum(unknown.values()) >= 1), name


@pytest.mark.parametrize(
    "variant", [spaced, lambda p: json.dumps(backwards(p)).encode(), lambda p: json.dumps(with_unknown_keys(p)).encode()]
)
def test_spaces_order_of_keys_and_unknown_keys_change_nothing(shared_frames: Path, variant: Any) -> None:
    for name, payload in checked(shared_frames):
        if name in EXPECTED and not isinstance(payload, list):
            assert decode(name, variant(payload)) == expected(name), name


def envelope(payload: dict[str, Any]) -> dict[str, Any] | None:
    """The payload as `/stream` sends it; None where it is not sent on a stream."""
    suffix = {"depthUpdate": "depth@100ms", "kline": "kline_1m", "24hrTicker": "ticker", "24hrMiniTicker": "miniTicker",
              "markPriceUpdate": "markPrice@1s"}.get(payload.get("e", ""), payload.get("e", ""))  # fmt: skip
    symbol = payload.get("s") or payload.get("o", {}).get("s")
    if "stream" in payload or "method" in payload or "result" in payload or not symbol:
        return None
    return {"stream": f"{symbol.lower()}@{suffix or 'bookTicker'}", "data": payload}


def test_the_envelope_changes_nothing(shared_frames: Path) -> None:
    wrapped = 0
    for name, payload in checked(shared_frames):
        if name in EXPECTED and isinstance(payload, dict) and (outer := envelope(payload)):
            wrapped += 1
            assert decode(name, json.dumps(outer, separators=(",", ":")).encode()) == expected(name), name
            assert decode(name, json.dumps(backwards(outer)).encode()) == expected(name), name
            assert decode(name, spaced(with_unknown_keys(outer))) == expected(name), name
    assert wrapped > 20


def test_partial_books_are_told_by_their_streams_name(shared_frames: Path) -> None:
    found = dict(payloads(shared_frames))
    spot = {"stream": "bnbbtc@depth20@100ms", "data": found["binance_spot/partial_book_depth_streams_1"]}
    assert decode("binance_spot", json.dumps(spot).encode())[0] == [
        BookMessage("BNBBTC", T0, Flag.NO_VENUE_TIME, "partial", [(0.0024, 10.0)], [(0.0026, 100.0)], 160, -1)
    ]
    usdm = {"stream": "btcusdt@depth5", "data": found["binance_usdm/partial_book_depth"]}
    (made,), _ = decode("binance_usdm", json.dumps(usdm, separators=(",", ":")).encode())
    assert (made.kind, made.seq, made.native, len(made.bids)) == ("partial", 390497878, "BTCUSDT", 5)


def test_microseconds(shared_frames: Path) -> None:
    """`timeUnit=MICROSECOND` multiplies every time field by 1000, and no event may notice but by its last digits."""

    def micro(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {k: micro(v, k) for k, v in value.items()}
        return value * 1000 + 7 if key in {"E", "T", "t"} and isinstance(value, int) and value > 10**12 else value

    seen = 0
    for name, payload in checked(shared_frames):
        what = EXPECTED.get(name)
        if not isinstance(what, Event | BookMessage) or "E" not in str(payload) or what.flags & (OLD | Flag.NO_VENUE_TIME):
            continue
        made, _ = decode(name, json.dumps(micro(payload), separators=(",", ":")).encode())
        assert made[0].ts_event == what.ts_event + 7000, name
        assert msgspec.structs.replace(made[0], ts_event=0, **later(what)) == msgspec.structs.replace(what, ts_event=0), name
        seen += 1
    assert seen > 10


def later(what: Record) -> dict[str, Any]:
    """The other times of an event, put back to what the document says."""
    if isinstance(what, Bar):
        return {"ts_open": what.ts_open}
    return {"next_funding": what.next_funding} if isinstance(what, Ticker) else {}


def test_all_market_streams_and_arrays(shared_frames: Path) -> None:
    """`!miniTicker@arr` and friends: one message, many events."""
    one = dict(payloads(shared_frames))["binance_spot/individual_symbol_mini_ticker_stream_1"]
    many = [one, {**one, "s": "BNBUSDT"}]
    for raw in (
        json.dumps(many).encode(),
        json.dumps({"stream": "!miniTicker@arr", "data": many}).encode(),
        b" \n" + json.dumps(many).encode(),
    ):
        made, _ = decode("binance_spot", raw)
        assert [e.instrument for e in made] == ["binance:BNB-BTC", "binance:BNB-USDT"]


@pytest.mark.parametrize(
    "raw",
    [
        '{"code":2,"msg":"Invalid request: unknown variant","id":7}',
        '{"error":{"code":2,"msg":"Invalid request: unknown variant"},"id":7}',
        '{"id":7,"error":{"msg":"Invalid request: unknown variant","code":2}}',
    ],
)
def test_errors_of_both_generations(raw: str) -> None:
    assert decode("binance_spot", raw.encode())[0] == [Ack(7, "Invalid request: unknown variant (code 2)")]
