"""Nothing that Bybit sends may stop the feed: each malformed variant is counted, reported and survived, and the next frame decodes."""

import json
from typing import Any

import pytest

from tapeline.engine.pipeline import Pipeline
from tapeline.events import Event, Trade, from_json, to_json
from tapeline.frames import Frame, FrameKind, Opened, pack
from tests.engine.feeds import MS, T0, play, recv, statuses
from tests.venues.leaves import places, put

NOW = T0 // MS
INT64 = 2**63 - 1
TRADE = {
    "T": NOW,
    "s": "BTCUSDT",
    "S": "Buy",
    "v": "0.001",
    "p": "16578.50",
    "L": "PlusTick",
    "i": "20f43950",
    "BT": False,
    "seq": 17,
}
BOOK = {"s": "BTCUSDT", "b": [["0.24", "10"]], "a": [["0.26", "100"]], "u": 160, "seq": 7}
TICKER = {
    "symbol": "BTCUSDT", "price24hPcnt": "0.017103", "lastPrice": "17216.00", "prevPrice24h": "16926.50", "highPrice24h": "17281.50",
    "lowPrice24h": "16915.00", "markPrice": "17217.33", "indexPrice": "17227.36", "openInterest": "68744.761", "turnover24h": "15703.5",
    "volume24h": "91705.276", "nextFundingTime": "1673280000000", "fundingRate": "-0.000212", "bid1Price": "17215.50",
    "bid1Size": "84.489", "ask1Price": "17216.00", "ask1Size": "83.020",
}  # fmt: skip
CANDLE = {
    "start": NOW, "end": NOW + 299_999, "interval": "5", "open": "16649.5", "close": "16677", "high": "16677", "low": "16608",
    "volume": "2.081", "turnover": "34666.4005", "confirm": False, "timestamp": NOW,
}  # fmt: skip
SAMPLES: dict[str, dict[str, Any]] = {
    "publicTrade.BTCUSDT": {"type": "snapshot", "ts": NOW, "data": [TRADE]},
    "orderbook.50.BTCUSDT": {"type": "snapshot", "ts": NOW, "data": BOOK, "cts": NOW},
    "orderbook.1.BTCUSDT": {"type": "snapshot", "ts": NOW, "data": BOOK, "cts": NOW},
    "tickers.BTCUSDT": {"type": "snapshot", "ts": NOW, "data": TICKER, "cs": 3},
    "kline.5.BTCUSDT": {"data": [CANDLE], "ts": NOW, "type": "snapshot"},
    "allLiquidation.BTCUSDT": {"type": "snapshot", "ts": NOW, "data": [{"T": NOW, "s": "BTCUSDT", "S": "Buy", "v": "2", "p": "9.5"}]},
    "liquidation.BTCUSDT": {
        "type": "snapshot", "ts": NOW, "data": {"updatedTime": NOW, "symbol": "BTCUSDT", "side": "Buy", "size": "2", "price": "9.5"},
    },
}  # fmt: skip
SIGNED = {"price24hPcnt", "fundingRate"}
MAY_BE_EMPTY = TICKER.keys()  # not known


def message(topic: str, payload: Any = None) -> dict[str, Any]:
    return {"topic": topic, **(SAMPLES[topic] if payload is None else payload)}


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def forms(value: dict[str, Any]) -> tuple[bytes, ...]:
    """The quick way, by the topic in front, and the slow one."""
    return compact(value), compact(dict(reversed(value.items())))


def judged(raw: bytes) -> tuple[list[Event], Pipeline]:
    """The events of one frame, after which the same connection must still decode the next one."""
    pipeline = Pipeline()
    opened = Opened(venue="bybit", url="wss://stream.bybit.com/v5/public/linear", streams=[])
    play([Frame(T0, FrameKind.OPENED, 1, pack(opened))], pipeline)
    events = play([recv(T0, raw)], pipeline)
    for event in events:
        assert from_json(to_json(event)) == event  # no NaN, no number that JSON or 64 bits cannot hold
        assert all(
            not isinstance(v, int) or -(2**63) <= v <= INT64 for v in (getattr(event, f) for f in event.__struct_fields__)
        )
    another = {"type": "snapshot", "ts": NOW, "data": [{**TRADE, "i": "another"}]}
    assert any(isinstance(e, Trade) for e in play([recv(T0, message("publicTrade.BTCUSDT", another))], pipeline))
    assert pipeline.faults == 0
    return events, pipeline


def refused(raw: bytes) -> None:
    events, pipeline = judged(raw)
    assert [(e.kind, e.count, e.venue) for e in statuses(events)] == [("rejected", 1, "bybit")], (raw[:200], events)
    assert len(events) == 1
    assert pipeline.rejected == pipeline.stats()["rejected"] == 1


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def numeric(payload: Any, path: tuple[Any, ...]) -> bool:
    """Whether it is a number in a text. An interval and an id are none."""
    leaf = at(payload, path)
    return isinstance(leaf, str) and path[-1] not in {"interval", "i"} and leaf.replace(".", "").lstrip("-").isdigit()


@pytest.mark.parametrize("topic", SAMPLES)
def test_the_samples_themselves_are_good(topic: str) -> None:
    for raw in forms(message(topic)):
        events, pipeline = judged(raw)
        assert pipeline.rejected == 0
        assert {e.instrument for e in events if e.instrument} == {"bybit:BTC-USDT-PERP"}


@pytest.mark.parametrize("topic", SAMPLES)
def test_cut_at_every_byte(topic: str) -> None:
    for raw in forms(message(topic)):
        for n in range(len(raw)):
            refused(raw[:n])


@pytest.mark.parametrize("topic", SAMPLES)
@pytest.mark.parametrize("bad", ["NaN", "Infinity", "-Infinity", "nan", "inf", "", "x", "1e400", "-1", "1_0", "0x10", "1e31"])
def test_numbers_that_are_none(topic: str, bad: str) -> None:
    """In a text. A signed rate, and an empty figure of a ticker, are the venue's own way of speaking."""
    payload = SAMPLES[topic]
    for path in places(payload):
        fine = (path[-1] in SIGNED and bad == "-1") or (path[-1] in MAY_BE_EMPTY and bad == "")
        if numeric(payload, path) and not fine:
            for raw in forms(message(topic, put(payload, path, bad))):
                refused(raw)


@pytest.mark.parametrize("topic", SAMPLES)
@pytest.mark.parametrize("bad", [None, [], {}, True, "text", [[["1"]]], 1.5e300, -1, 2**63, 2**64, 10**40, "9" * 400])
def test_any_leaf_of_any_wrong_type_is_survived(topic: str, bad: Any) -> None:
    for path in places(SAMPLES[topic]):
        judged(compact(message(topic, put(SAMPLES[topic], path, bad))))


@pytest.mark.parametrize("topic", ["orderbook.50.BTCUSDT", "orderbook.1.BTCUSDT"])
@pytest.mark.parametrize("bad", [2**63, 2**64, 10**30, -2, "x", None, 1.5])
def test_update_ids_past_64_bits(topic: str, bad: Any) -> None:
    refused(compact(message(topic, put(SAMPLES[topic], ("data", "u"), bad))))


@pytest.mark.parametrize("topic", SAMPLES)
@pytest.mark.parametrize(
    "time", [0, 1, 10**12, 9_223_372_036_854, 9_223_372_036_855, 10**13, 10**16, 2**62, INT64, 2**63, 10**30]
)
def test_any_time_fits_64_bits_or_is_refused(topic: str, time: int) -> None:
    for path in places(SAMPLES[topic]):
        if path[-1] in {"T", "ts", "cts", "start", "updatedTime"}:
            judged(compact(message(topic, put(SAMPLES[topic], path, time))))


@pytest.mark.parametrize("topic", SAMPLES)
def test_small_numbers_in_scientific_notation_are_numbers(topic: str) -> None:
    for path in places(SAMPLES[topic]):
        if numeric(SAMPLES[topic], path) and path[-1] != "nextFundingTime":
            _, pipeline = judged(compact(message(topic, put(SAMPLES[topic], path, "1e-7"))))
            assert pipeline.rejected == 0


@pytest.mark.parametrize("topic", SAMPLES)
def test_invalid_utf8(topic: str) -> None:
    """In every text that is used; a broken byte in a field that nobody reads harms nobody."""
    raw = compact(message(topic))
    for i in range(len(raw)):
        judged(raw[:i] + b"\xff" + raw[i + 1 :])
    refused(raw.replace(b"BTCUSDT", b"BTC\xffSDT", 1))


@pytest.mark.parametrize(
    "raw",
    [
        b"", b" ", b"\x00", b"null", b"true", b"1", b'"text"', b"[]", b"[1]", b"{", b"}", b"{}}", b"pong", b"\xef\xbb\xbf{}", b"\xff\xfe",
        b'{"topic":', b'{"topic":"', b'{"topic":"publicTrade.BTCUSDT"', b'{"topic":"publicTrade.BTCUSDT"}', b'{"topic":1}',
        b'{"topic":"publicTrade.BTCUSDT","data":null}', b'{"topic":"publicTrade.BTCUSDT","data":{}}', b'{"topic":"adlAlert","data":}',
        b'{"topic":"orderbook.50.BTCUSDT","type":"other","ts":1,"data":{"b":[],"a":[],"u":1}}', b'{"success":2,"op":"subscribe"}',
        b'{"type":"COMMAND_RESP"}', b'{"type":"COMMAND_RESP","data":[]}', b'{"success":true,"op":"subscribe","req_id":[]}',
        b'{"topic":"publicTrade.BTC USDT","type":"snapshot","ts":1,"data":[]}', b'{"topic":"publicTrade.<b>","ts":1,"data":[]}',
        b'{"data":' + b"[" * 100_000, b"[" * 200_000, b'{"topic":"publicTrade.BTCUSDT","data":' + b'{"a":' * 100_000,
    ],
    ids=lambda raw: raw[:60],
)  # fmt: skip
def test_what_is_no_message(raw: bytes) -> None:
    refused(raw)


def test_a_topic_without_end_is_no_route() -> None:
    long = b'{"topic":"publicTrade.' + b"B" * 5_000_000 + b'","type":"snapshot","ts":1,"data":[]}'
    events, pipeline = judged(long)
    assert events == []
    (feed,) = pipeline.feeds.values()
    assert feed.decoder.unknown == {"topic": 1}
    assert set(feed.registry.by_native) == {"linear/BTCUSDT"}


def test_topics_that_somebody_makes_up_are_bounded() -> None:
    """Instruments that are on no list are refused past a bound, other topics are counted together."""
    pipeline = Pipeline()
    opened = Opened(venue="bybit", url="x/v5/public/spot", streams=[])
    play([Frame(T0, FrameKind.OPENED, 1, pack(opened))], pipeline)
    for i in range(12_000):
        play([recv(T0, b'{"topic":"made%d.up%d","data":[]}' % (i, i))], pipeline)
        play([recv(T0, b'{"topic":"publicTrade.X%dUSDT","type":"snapshot","ts":1,"data":[]}' % i)], pipeline)
    (feed,) = pipeline.feeds.values()
    assert len(feed.decoder.unknown) <= 101
    assert len(feed.registry.by_native) == 10_000
    assert pipeline.rejected == 2_000


def test_ten_megabytes_of_a_good_book_are_taken() -> None:
    side = [[f"{i}.5", "1"] for i in range(1, 350_001)]
    raw = compact(message("orderbook.1000.BTCUSDT", put(SAMPLES["orderbook.50.BTCUSDT"], ("data", "b"), side)))
    assert len(raw) > 4_000_000
    _, pipeline = judged(raw.replace(b'"0.26"', b'"400000"'))
    assert pipeline.rejected == 0
