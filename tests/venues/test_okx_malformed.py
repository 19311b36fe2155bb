"""Nothing that OKX sends may stop the feed: each malformed variant is counted, reported and survived, and the next frame decodes."""

import json
from typing import Any

import pytest

from tapeline.engine.pipeline import Pipeline
from tapeline.events import Bar, BookUpdate, Event, Liquidation, Quote, Ticker, Trade, from_json, to_json
from tests.engine.feeds import MS, T0, answer, opened, play, recv, statuses
from tests.venues.leaves import places, put

NOW = str(T0 // MS)
INT64 = 2**63 - 1
LEVELS = {"asks": [["0.26", "10", "0", "1"]], "bids": [["0.24", "7", "0", "2"]], "ts": NOW}


def stream(channel: str, row: Any, native: str = "BTC-USDT", **more: Any) -> dict[str, Any]:
    return {"arg": {"channel": channel, "instId": native}, **more, "data": [row]}


SAMPLES: dict[str, tuple[type[Event], dict[str, Any]]] = {
    "trades": (Trade, stream("trades", {"instId": "BTC-USDT", "tradeId": "12", "px": "0.25", "sz": "100", "side": "buy", "ts": NOW, "count": "3"})),
    "trades-all": (Trade, stream("trades-all", {"instId": "BTC-USDT", "tradeId": "12", "px": "0.25", "sz": "100", "side": "sell", "ts": NOW})),
    "snapshot": (BookUpdate, stream("books", {**LEVELS, "checksum": 0, "prevSeqId": -1, "seqId": 10}, action="snapshot")),
    "books5": (BookUpdate, stream("books5", {**LEVELS, "seqId": 10})),
    "bbo-tbt": (Quote, stream("bbo-tbt", {**LEVELS, "seqId": 10})),
    "tickers": (Ticker, stream("tickers", {"instId": "BTC-USDT", "last": "0.25", "open24h": "0.2", "high24h": "0.3", "low24h": "0.1",
                                           "vol24h": "500", "volCcy24h": "125", "ts": NOW})),
    "mark-price": (Ticker, stream("mark-price", {"instId": "BTC-USDT-SWAP", "markPx": "0.25", "ts": NOW}, "BTC-USDT-SWAP")),
    "funding-rate": (Ticker, stream("funding-rate", {"instId": "BTC-USDT-SWAP", "fundingRate": "0.0001", "fundingTime": NOW, "ts": NOW}, "BTC-USDT-SWAP")),
    "open-interest": (Ticker, stream("open-interest", {"instId": "BTC-USDT-SWAP", "oi": "77", "ts": NOW}, "BTC-USDT-SWAP")),
    "candle1m": (Bar, stream("candle1m", [NOW, "0.2", "0.3", "0.1", "0.25", "100", "25", "25", "0"])),
    "liquidation-orders": (Liquidation, {"arg": {"channel": "liquidation-orders", "instType": "SWAP"}, "data": [
        {"instId": "BTC-USDT-SWAP", "details": [{"side": "buy", "posSide": "short", "bkPx": "0.25", "sz": "13", "ts": NOW}]}]}),
}  # fmt: skip
NUMBERS = {"px", "sz", "last", "open24h", "high24h", "low24h", "vol24h", "volCcy24h", "markPx", "oi", "bkPx", "fundingRate"}
MAY_BE_EMPTY = {"last", "open24h", "high24h", "low24h", "vol24h", "volCcy24h", "markPx", "oi", "fundingRate", "fundingTime"}


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def judged(raw: bytes) -> tuple[list[Event], Pipeline]:
    """The events of one frame, after which the same pipeline must still decode the next one."""
    pipeline = Pipeline()
    play([opened(venue="okx", streams=())], pipeline)
    events = play([recv(T0, raw)], pipeline)
    for event in events:
        assert from_json(to_json(event)) == event  # no NaN, no number that JSON or 64 bits cannot hold
        assert all(
            not isinstance(v, int) or -(2**63) <= v <= INT64 for v in (getattr(event, f) for f in event.__struct_fields__)
        )
    assert any(
        isinstance(e, Trade) for e in play([recv(T0, compact(SAMPLES["trades"][1]).replace(b'"12"', b'"15"'))], pipeline)
    )
    assert pipeline.faults == 0
    return events, pipeline


def refused(raw: bytes) -> None:
    events, pipeline = judged(raw)
    told = [e for e in statuses(events) if e.channel != "instruments"]
    assert [(e.kind, e.count, e.venue) for e in told] == [("rejected", 1, "okx")], (raw[:200], events)
    assert pipeline.rejected == 1


def numeric(kind: str, path: tuple[Any, ...]) -> bool:
    """A text that holds a number which is used: of a level the first two, of a candle all but its time and its end."""
    if kind == "candle1m":
        return path[:1] == ("data",) and 1 <= path[-1] <= 7
    return path[-1] in NUMBERS or (path[-1] in {0, 1} and path[-3:-2] and path[-3] in {"bids", "asks"}) is True


@pytest.mark.parametrize("kind", SAMPLES)
def test_the_samples_themselves_are_good(kind: str) -> None:
    wanted, payload = SAMPLES[kind]
    events, pipeline = judged(compact(payload))
    assert any(isinstance(e, wanted) for e in events)
    assert pipeline.rejected == 0


@pytest.mark.parametrize("kind", SAMPLES)
def test_cut_at_every_byte(kind: str) -> None:
    raw = compact(SAMPLES[kind][1])
    for n in range(len(raw)):
        refused(raw[:n])


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize("bad", ["NaN", "Infinity", "-Infinity", "nan", "inf", "", "x", "1e400", "-1", "1_0", "0x10", "1e31"])
def test_numbers_that_are_none(kind: str, bad: str) -> None:
    """In a text. An empty one is OKX's own way of saying that there is none, and rates have a sign."""
    payload, tried = SAMPLES[kind][1], 0
    for path in places(payload):
        may_be_empty = path[-1] in MAY_BE_EMPTY or (kind == "candle1m" and path[-1] in {6, 7})
        if not numeric(kind, path) or (bad == "" and may_be_empty) or (path[-1] == "fundingRate" and bad == "-1"):
            continue
        refused(compact(put(payload, path, bad)))
        tried += 1
    assert tried or bad in {"", "-1"}


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize("bad", [None, [], {}, True, "text", [[["1"]]], 1.5e300, -1, 2**63, 2**64, 10**40, "9" * 400])
def test_any_leaf_of_any_wrong_type_is_survived(kind: str, bad: Any) -> None:
    """Whether it is refused depends on whether the field is used; that the feed lives, and what comes out is sound, does not."""
    payload = SAMPLES[kind][1]
    for path in places(payload):
        judged(compact(put(payload, path, bad)))


@pytest.mark.parametrize(
    ("kind", "key"), [("trades", "tradeId"), ("snapshot", "seqId"), ("snapshot", "prevSeqId"), ("bbo-tbt", "seqId")]
)
@pytest.mark.parametrize("bad", [2**63, 2**64, 10**30, -2, "x", 1.5])
def test_ids_past_64_bits(kind: str, key: str, bad: Any) -> None:
    refused(compact(put(SAMPLES[kind][1], ("data", 0, key), bad)))


@pytest.mark.parametrize("missing", ["seqId", "prevSeqId"])
def test_half_a_number_is_no_number(missing: str) -> None:
    payload = SAMPLES["snapshot"][1]
    row = {k: v for k, v in payload["data"][0].items() if k != missing}
    refused(compact({**payload, "data": [row]}))
    refused(compact({**payload, "data": [row], "action": "update"}))


def test_books_that_say_neither_what_they_are_nor_what_they_follow() -> None:
    payload = SAMPLES["snapshot"][1]
    refused(compact({k: v for k, v in payload.items() if k != "action"}))
    refused(compact({**payload, "action": "update"}))  # prevSeqId −1
    refused(compact({**payload, "action": "upsert"}))


def test_a_trade_cannot_be_the_last_of_more_than_there_were() -> None:
    refused(compact(put(SAMPLES["trades"][1], ("data", 0, "count"), "14")))
    events, _ = judged(compact(put(SAMPLES["trades"][1], ("data", 0, "count"), "13")))
    assert any(isinstance(e, Trade) for e in events)
    for bad in ("0", "-1", "x", str(2**40)):
        refused(compact(put(SAMPLES["trades"][1], ("data", 0, "count"), bad)))


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize(
    "time", ["0", "1", "9223372036854", "9223372036855", "99999999999999", str(2**62), str(2**63), str(10**30)]
)
def test_any_time_fits_64_bits_or_is_refused(kind: str, time: str) -> None:
    payload = SAMPLES[kind][1]
    for path in places(payload):
        if path[-1] in {"ts", "fundingTime"} or (kind == "candle1m" and path[-1] == 0):
            judged(compact(put(payload, path, time)))


@pytest.mark.parametrize("kind", SAMPLES)
def test_small_numbers_in_scientific_notation_are_numbers(kind: str) -> None:
    payload = SAMPLES[kind][1]
    for path in places(payload):
        if numeric(kind, path):
            _, pipeline = judged(compact(put(payload, path, "1e-7")))
            assert pipeline.rejected == 0


@pytest.mark.parametrize("kind", SAMPLES)
def test_invalid_utf8(kind: str) -> None:
    """In every text that is used; a broken byte in a field that nobody reads harms nobody."""
    raw = compact(SAMPLES[kind][1])
    for i in range(len(raw)):
        judged(raw[:i] + b"\xff" + raw[i + 1 :])
    if kind != "liquidation-orders":
        refused(raw.replace(b'"instId":"BTC', b'"instId":"BT\xff', 1))


@pytest.mark.parametrize(
    "raw",
    [
        b"", b" ", b"\x00", b"null", b"true", b"1", b'"text"', b"[1]", b"[[]]", b"{", b"}", b"{}}", b"ping", b"pong ", b"\xef\xbb\xbf{}", b"\xff\xfe",
        b'{"arg":', b'{"arg":1}', b'{"arg":{}}', b'{"arg":{"channel":"books"},"action":"snapshot","data":[]}',
        b'{"arg":{"channel":"books","instId":"BTC-USDT"}}', b'{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":null}',
        b'{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{}]}', b'{"arg":{"channel":"trades","instId":"a b"},"data":[]}',
        b'{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[[]]}', b'{"event":1}', b'{"event":[]}',
        b'{"arg":{"channel":"books","instId":"BTC-USDT"},"data":' + b"[" * 100_000, b"[" * 200_000, b'{"a":' * 100_000,
    ],
    ids=lambda raw: raw[:24],
)  # fmt: skip
def test_what_is_no_message(raw: bytes) -> None:
    refused(raw)


@pytest.mark.parametrize("kind", SAMPLES)
def test_unknown_fields_are_no_matter(kind: str) -> None:
    """Flat or nested deep, at the end, in `arg`, in the row; a stream is remembered by its `arg` all the same."""
    wanted, payload = SAMPLES[kind]
    for raw in (
        compact(payload)[:-1] + b',"zz":' + b"[" * 100 + b"]" * 100 + b"}",
        compact({**payload, "arg": {**payload["arg"], "zz": {"a": 1}}}),
        compact({"zz": 1, **payload}),
        compact({"data": payload["data"], **{k: v for k, v in payload.items() if k != "data"}}),
    ):
        pipeline = Pipeline()
        frames = [opened(venue="okx", streams=()), recv(T0, raw), recv(T0, raw)]
        events = play(frames, pipeline)
        assert any(isinstance(e, wanted) for e in events), raw[:200]
        assert pipeline.rejected == 0


def test_one_streams_memory_is_not_anothers() -> None:
    """The same bytes up to the end of `arg` mean the same stream, and nothing shorter does."""
    pipeline = Pipeline()
    nested = b'{"arg":{"channel":"trades","instId":"BTC-USDT","zz":{}},"data":[{"tradeId":"%d","px":"1","sz":"1","side":"buy","ts":"%s"}]}'
    plain = nested.replace(b',"zz":{}', b"").replace(b"BTC", b"ETH")
    frames = [recv(T0, raw % (n, NOW.encode())) for n in (1, 2, 3) for raw in (nested, plain)]
    events = play([opened(venue="okx", streams=()), *frames], pipeline)
    assert [e.instrument for e in events if isinstance(e, Trade)] == ["okx:BTC-USDT", "okx:ETH-USDT"] * 3


def test_channels_that_are_not_used_are_counted_and_nothing_else() -> None:
    pipeline = Pipeline()
    frames = [
        recv(T0, stream(channel, {"instId": "BTC-USDT"}))
        for channel in ("index-tickers", "index-tickers", "candle1M", "price-limit")
    ]
    assert len(play([opened(venue="okx", streams=()), *frames, recv(T0, {"hello": 1})], pipeline)) == 1
    (feed,) = pipeline.feeds.values()
    assert feed.decoder.unknown == {"index-tickers": 2, "candle1M": 1, "price-limit": 1, "(other)": 1}


@pytest.mark.parametrize("body", [
    b"", b"{", b"<html>busy</html>", b"[]", b"{}", b'{"code":"0","data":[]}', b'{"code":"50011","msg":"Too Many Requests","data":[]}',
    b'{"code":"0","data":[{"asks":[],"bids":[],"ts":"1"}]}', b'{"code":"0","data":[{"asks":[["1","-1","0","1"]],"bids":[],"ts":"1","seqId":3}]}',
    b'{"code":"0","data":[{"asks":[["NaN","1","0","1"]],"bids":[],"ts":"1","seqId":3}]}', b"\xff\xff", b'{"a":' * 100_000,
])  # fmt: skip
def test_books_over_http_that_cannot_be_read_are_asked_for_again(body: bytes) -> None:
    pipeline = Pipeline()
    row = {**LEVELS, "checksum": 0, "prevSeqId": 10, "seqId": 15}
    play([opened(venue="okx", streams=()), recv(T0, stream("books", row, action="update"))], pipeline)
    assert len(pipeline.requests) == 1
    events = play([answer(T0 + MS, body, venue="okx", native="BTC-USDT")], pipeline)
    assert [e.count for e in statuses(events, "rejected")] == [1]
    assert statuses(events, "resyncing")
    assert [r.attempt for r in pipeline.requests] == [0, 1]
    assert pipeline.faults == 0


@pytest.mark.parametrize("purpose", ["trades", "bars 1m"])
@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"code":"51001","msg":"Instrument ID does not exist","data":[]}', b'{"code":"0","data":[{}]}']
)
def test_other_answers_that_cannot_be_read(purpose: str, body: bytes) -> None:
    events = play([opened(venue="okx", streams=()), answer(T0, body, venue="okx", purpose=purpose, native="BTC-USDT")])
    assert [e.kind for e in statuses(events)][:2] == ["connected", "rejected"]


@pytest.mark.parametrize("body", [
    b"", b"{}", b"[]", b"\xff", b'{"code":"50011","data":[]}', b'{"code":"0","data":[{"instId":1}]}', b'{"code":"0","data":{}}',
    b'{"code":"0","data":[{"instId":"A-USDT-SWAP","instType":"SWAP","ctVal":"0","ctValCcy":"A"}]}',
    b'{"code":"0","data":[{"instId":"A-USDT-SWAP","instType":"SWAP","ctVal":"1","ctValCcy":"B"}]}',
])  # fmt: skip
def test_instrument_lists_that_cannot_be_read(body: bytes) -> None:
    events = play([opened(venue="okx", streams=()), answer(T0, body, venue="okx", purpose="instruments", native="")])
    assert len(statuses(events, "rejected")) == 1


def test_one_row_that_cannot_be_read_hides_no_other() -> None:
    good = {
        "instId": "A-USDT",
        "instType": "SPOT",
        "baseCcy": "A",
        "quoteCcy": "USDT",
        "tickSz": "0.1",
        "lotSz": "1",
        "state": "live",
    }
    rows = [{"instId": 1}, good, {"instId": "A-USDT-240101-C", "instType": "OPTION"}]
    pipeline = Pipeline()
    play(
        [
            opened(venue="okx", streams=()),
            answer(T0, {"code": "0", "data": rows}, venue="okx", purpose="instruments", native=""),
        ],
        pipeline,
    )
    (feed,) = pipeline.feeds.values()
    assert list(feed.registry.by_id) == ["okx:A-USDT"]


def test_ten_megabytes() -> None:
    for raw in (b"x" * 10_000_000, b'{"arg":{"channel":"books","instId":"' + b"y" * 10_000_000):
        events, _ = judged(raw)
        assert len(statuses(events, "rejected")[0].reason) < 500
