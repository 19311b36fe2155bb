"""Nothing that Coinbase sends may stop the feed: what cannot be read is counted, reported and survived, and the next frame decodes."""

import json
from typing import Any

import pytest

from tapeline.engine.pipeline import Pipeline
from tapeline.events import BookUpdate, Event, Flag, Trade, from_json, to_json
from tests.engine.feeds import T0, opened, play, recv, statuses
from tests.venues.leaves import places, put

INT64 = 2**63 - 1
NOW = "2026-11-21T10:05:00.123456Z"
CHANGE = {"side": "bid", "event_time": NOW, "price_level": "100.1", "new_quantity": "2.5"}
PRINT = {"product_id": "BTC-USD", "trade_id": "12", "price": "100.1", "size": "2.5", "time": NOW, "side": "BUY"}


def envelope(channel: str, event: dict[str, Any]) -> dict[str, Any]:
    return {"channel": channel, "client_id": "", "timestamp": NOW, "sequence_num": 0, "events": [event]}


SAMPLES: dict[str, dict[str, dict[str, Any]]] = {
    "coinbase": {
        "match": {
            "type": "match", "trade_id": 12, "product_id": "BTC-USD", "price": "100.1", "size": "2.5", "side": "buy", "time": NOW
        },
        "last_match": {
            "type": "last_match", "trade_id": 12, "product_id": "BTC-USD", "price": "100.1", "size": "2.5", "side": "buy", "time": NOW
        },
        "snapshot": {"type": "snapshot", "product_id": "BTC-USD", "bids": [["100.1", "2.5"]], "asks": [["100.2", "2.5"]], "time": NOW},
        "l2update": {"type": "l2update", "product_id": "BTC-USD", "changes": [["buy", "100.1", "2.5"]], "time": NOW},
        "ticker": {
            "type": "ticker", "sequence": 12, "product_id": "BTC-USD", "price": "100.1", "open_24h": "100.1", "volume_24h": "2.5",
            "low_24h": "99.5", "high_24h": "101.5", "best_bid": "100.1", "best_bid_size": "2.5", "best_ask": "100.2",
            "best_ask_size": "2.5", "time": NOW,
        },
        "heartbeat": {"type": "heartbeat", "last_trade_id": 12, "product_id": "BTC-USD", "time": NOW},
    },
    "coinbase-advanced": {
        "snapshot": envelope("l2_data", {"type": "snapshot", "product_id": "BTC-USD", "updates": [CHANGE]}),
        "update": envelope("l2_data", {"type": "update", "product_id": "BTC-USD", "updates": [CHANGE]}),
        "market_trades": envelope("market_trades", {"type": "update", "trades": [PRINT]}),
        "ticker": envelope("ticker", {"type": "update", "tickers": [{
            "product_id": "BTC-USD", "price": "100.1", "volume_24_h": "2.5", "low_24_h": "99.5", "high_24_h": "101.5",
            "price_percent_chg_24_h": "-1.5", "best_bid": "100.1", "best_bid_quantity": "2.5", "best_ask": "100.2",
            "best_ask_quantity": "2.5"}]}),
        "candles": envelope("candles", {"type": "update", "candles": [{
            "start": "1795255500", "open": "100.1", "high": "101.5", "low": "99.5", "close": "100.1", "volume": "2.5",
            "product_id": "BTC-USD"}]}),
    },
}  # fmt: skip
CASES = [(venue, kind) for venue, kinds in SAMPLES.items() for kind in kinds]
GOOD = {"coinbase": SAMPLES["coinbase"]["match"], "coinbase-advanced": SAMPLES["coinbase-advanced"]["market_trades"]}
NUMBERS = {
    "price", "size", "open_24h", "volume_24h", "low_24h", "high_24h", "best_bid", "best_bid_size", "best_ask", "best_ask_size",
    "price_level", "new_quantity", "volume_24_h", "low_24_h", "high_24_h", "price_percent_chg_24_h", "best_bid_quantity",
    "best_ask_quantity", "open", "high", "low", "close", "volume",
}  # fmt: skip
SIZES_OF_BOOKS = {"snapshot", "l2update", "update"}


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def judged(venue: str, raw: bytes) -> tuple[list[Event], Pipeline]:
    """The events of one frame, after which the same pipeline must still decode the next one."""
    pipeline = Pipeline()
    play([opened(venue=venue, streams=())], pipeline)
    events = play([recv(T0, raw)], pipeline)
    for event in events:
        assert from_json(to_json(event)) == event  # no NaN, no number that JSON or 64 bits cannot hold
        assert all(
            not isinstance(v, int) or -(2**63) <= v <= INT64 for v in (getattr(event, f) for f in event.__struct_fields__)
        )
    good = json.loads(compact(GOOD[venue]).replace(b'"12"', b'"99"').replace(b":12", b":99"))
    assert any(isinstance(e, Trade) for e in play([recv(T0, good)], pipeline))
    assert pipeline.faults == 0
    return events, pipeline


def refused(venue: str, raw: bytes) -> None:
    events, pipeline = judged(venue, raw)
    assert [(e.kind, e.count, e.venue) for e in statuses(events)] == [("rejected", 1, venue)], (raw[:300], events)
    assert len(events) == 1
    assert pipeline.rejected == 1


def got(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def numeric(payload: Any) -> list[tuple[Any, ...]]:
    """The places of texts that hold prices and sizes."""
    return [
        path
        for path in places(payload)
        if path[-1] in NUMBERS or (isinstance(path[-1], int) and str(got(payload, path)).replace(".", "").isdigit())
    ]


@pytest.mark.parametrize(("venue", "kind"), CASES)
def test_the_samples_themselves_are_good(venue: str, kind: str) -> None:
    events, pipeline = judged(venue, compact(SAMPLES[venue][kind]))
    assert pipeline.rejected == 0
    assert not any(e.flags & (Flag.BAD_TIME | Flag.NO_VENUE_TIME | Flag.INEXACT) for e in events)


@pytest.mark.parametrize(("venue", "kind"), CASES)
def test_cut_at_every_byte(venue: str, kind: str) -> None:
    raw = compact(SAMPLES[venue][kind])
    for n in range(len(raw)):
        refused(venue, raw[:n])


@pytest.mark.parametrize(("venue", "kind"), CASES)
@pytest.mark.parametrize("bad", ["NaN", "Infinity", "-Infinity", "nan", "inf", "", "x", "1e400", "1_0", "0x10", "1e31", "1,5"])
def test_numbers_that_are_none(venue: str, kind: str, bad: str) -> None:
    payload = SAMPLES[venue][kind]
    for path in numeric(payload):
        refused(venue, compact(put(payload, path, bad)))


@pytest.mark.parametrize(("venue", "kind"), CASES)
def test_negative_numbers(venue: str, kind: str) -> None:
    """Of a level in a book, only the level is dropped: Coinbase has sent such."""
    payload = SAMPLES[venue][kind]
    for path in numeric(payload):
        raw = compact(put(payload, path, "-1"))
        size_of_level = kind in SIZES_OF_BOOKS and (path[-1] == "new_quantity" or path[-1] == len(got(payload, path[:-1])) - 1)
        if size_of_level:
            events, pipeline = judged(venue, raw)
            assert pipeline.rejected == 0, raw
            assert any(isinstance(e, BookUpdate) for e in events)
        elif path[-1] != "price_percent_chg_24_h":
            refused(venue, raw)


@pytest.mark.parametrize(("venue", "kind"), CASES)
@pytest.mark.parametrize("bad", [None, [], {}, True, 1.5, [["1"]], "x"])
def test_wrong_types(venue: str, kind: str, bad: Any) -> None:
    """Survived, whatever is said; where a field may be missing, null is as good as that."""
    payload = SAMPLES[venue][kind]
    for path in places(payload):
        judged(venue, compact(put(payload, path, bad)))


@pytest.mark.parametrize(("venue", "kind"), CASES)
@pytest.mark.parametrize("huge", [2**63, 2**64, 10**30, -1])
def test_ids_that_64_bits_cannot_hold(venue: str, kind: str, huge: int) -> None:
    payload = SAMPLES[venue][kind]
    for path in places(payload):
        if path[-1] in {"trade_id", "sequence", "last_trade_id", "sequence_num", "start"}:
            refused(venue, compact(put(payload, path, huge)))
            refused(venue, compact(put(payload, path, str(huge))))


@pytest.mark.parametrize("venue", SAMPLES)
def test_a_time_of_year_1_or_1970_is_no_time(venue: str) -> None:
    """The last time of the product stands in for it, where there was one; else our own."""
    kind = {"coinbase": "match", "coinbase-advanced": "market_trades"}[venue]
    raw = compact(SAMPLES[venue][kind])
    for zero in (b"0001-01-01T00:00:00.000000Z", b"1970-01-01T00:00:00Z"):
        pipeline = Pipeline()
        play([opened(venue=venue, streams=())], pipeline)
        first = raw.replace(NOW.encode(), zero)
        times = []
        for n, message in enumerate((first, raw, first)):
            numbered = message.replace(b'"12"', b'"%d"' % (12 + n)).replace(b":12", b":%d" % (12 + n))
            (trade,) = [e for e in play([recv(T0, numbered)], pipeline) if isinstance(e, Trade)]
            times.append((trade.ts_event, trade.flags))
        told = T0 + 123_456_000
        assert times == [(T0, Flag.NO_VENUE_TIME), (told, 0), (told, Flag.BAD_TIME)]


@pytest.mark.parametrize("venue", SAMPLES)
@pytest.mark.parametrize(
    "time", ["yesterday", "2026-13-01T00:00:00Z", "2026-11-21T10:05:00.½Z", "2026-11-21T25:05:00Z", "2026"]
)
def test_times_that_are_none(venue: str, time: str) -> None:
    refused(venue, compact(GOOD[venue]).replace(NOW.encode(), time.encode()))


@pytest.mark.parametrize("venue", SAMPLES)
@pytest.mark.parametrize("time", ["9999-12-31T23:59:59Z", "2262-04-12T00:00:00Z", "2300-01-01T00:00:00.000000001Z"])
def test_times_to_come_are_flagged(venue: str, time: str) -> None:
    events, _ = judged(venue, compact(GOOD[venue]).replace(NOW.encode(), time.encode()))
    (trade,) = [e for e in events if isinstance(e, Trade)]
    assert trade.flags == Flag.BAD_TIME


@pytest.mark.parametrize("venue", SAMPLES)
@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"7", b"null", b'"match"', b"\xff\xfe{}", b'{"type":"match"', b"[" * 5000, b"<html>"]
)
def test_what_is_no_message(venue: str, raw: bytes) -> None:
    refused(venue, raw)


@pytest.mark.parametrize("venue", SAMPLES)
def test_kinds_not_known_are_counted_and_no_more(venue: str) -> None:
    pipeline = Pipeline()
    play([opened(venue=venue, streams=())], pipeline)
    for n in range(300):
        assert not play([recv(T0, {"type": f"new{n}", "channel": f"new{n}"})], pipeline)
    unknown = pipeline.feeds[venue, False].decoder.unknown
    assert sum(unknown.values()) == 300
    assert len(unknown) <= 101
    assert not pipeline.rejected


@pytest.mark.parametrize("venue", SAMPLES)
@pytest.mark.parametrize("product", ["", "../../etc/passwd", "BTC USD", "a" * 65, "\u0000", "<script>"])
def test_names_that_cannot_be_names(venue: str, product: str) -> None:
    refused(venue, compact(put_name(GOOD[venue], product)))


def put_name(payload: Any, product: str) -> Any:
    return json.loads(json.dumps(payload).replace('"BTC-USD"', json.dumps(product)))


def test_the_figures_of_a_product_that_was_never_traded_are_unknown() -> None:
    raw = {"type": "ticker", "product_id": "BTC-USD", "price": "0", "best_bid": "0", "best_bid_size": "0", "best_ask": "101"}
    quote, ticker = play([opened(venue="coinbase", streams=()), recv(T0, raw)])[1:]
    assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == (None, None, 101.0, None)
    assert ticker.last is ticker.open is ticker.volume is None


def test_a_trade_of_nothing_is_no_trade_and_its_id_was_seen() -> None:
    match = SAMPLES["coinbase"]["match"]
    events = play(
        [opened(venue="coinbase", streams=())]
        + [recv(T0, {**match, "trade_id": 12 + n, "size": size}) for n, size in enumerate(("1", "0", "2"))]
    )
    assert [e.id for e in events if isinstance(e, Trade)] == ["12", "14"]
    assert not statuses(events, "gap")
