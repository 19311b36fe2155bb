"""Nothing that a venue sends may stop the feed: each malformed variant is counted, reported and survived, and the next frame decodes."""

import json
from typing import Any

import pytest

from tapeline.engine.pipeline import Pipeline
from tapeline.events import Bar, BookUpdate, Event, Liquidation, Quote, Ticker, Trade, from_json, to_json
from tests.engine.feeds import FUTURES, MS, SPOT, T0, answer, opened, play, recv, snapshot, spot_diff, statuses, trade
from tests.venues.leaves import places, put

NOW = T0 // MS
INT64 = 2**63 - 1
SAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "trade": (SPOT, {"e": "trade", "E": NOW, "s": "BTCUSDT", "t": 12, "p": "0.001", "q": "100", "T": NOW, "m": True, "M": True}),
    "aggTrade": (
        SPOT,
        {"e": "aggTrade", "E": NOW, "s": "BTCUSDT", "a": 12, "p": "0.001", "q": "100", "f": 1, "l": 5, "T": NOW, "m": True},
    ),
    "depthUpdate": (
        SPOT,
        {"e": "depthUpdate", "E": NOW, "s": "BTCUSDT", "U": 157, "u": 160, "b": [["0.24", "10"]], "a": [["0.26", "100"]]},
    ),
    "depth of futures": (
        FUTURES,
        {"e": "depthUpdate", "E": NOW, "T": NOW, "s": "BTCUSDT", "U": 157, "u": 160, "pu": 149, "b": [["0.24", "10"]], "a": []},
    ),
    "bookTicker": (SPOT, {"u": 400, "s": "BTCUSDT", "b": "25.35", "B": "31.2", "a": "25.36", "A": "40.6"}),
    "kline": (
        SPOT,
        {"e": "kline", "E": NOW, "s": "BTCUSDT", "k": {
            "t": NOW, "T": NOW + 59_999, "s": "BTCUSDT", "i": "1m", "f": 100, "L": 200, "o": "0.0010", "c": "0.0020", "h": "0.0025",
            "l": "0.0015", "v": "1000", "n": 100, "x": False, "q": "1.0000", "V": "500", "Q": "0.500", "B": "1"}},
    ),
    "24hrTicker": (
        SPOT,
        {"e": "24hrTicker", "E": NOW, "s": "BTCUSDT", "P": "250.00", "c": "0.25", "o": "0.1", "h": "0.25", "l": "0.1", "v": "1", "q": "1"},
    ),
    "markPriceUpdate": (
        FUTURES,
        {"e": "markPriceUpdate", "E": NOW, "s": "BTCUSDT", "p": "11185.8", "i": "11784.6", "P": "11784.2", "r": "0.0003", "T": NOW},
    ),
    "forceOrder": (
        FUTURES,
        {"e": "forceOrder", "E": NOW, "o": {"s": "BTCUSDT", "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "0.014", "p": "9910", "ap": "9910.1",
                                            "X": "FILLED", "l": "0.014", "z": "0.014", "T": NOW}},
    ),
    "partial": (SPOT, {"lastUpdateId": 160, "bids": [["0.24", "10"]], "asks": [["0.26", "100"]]}),
}  # fmt: skip
STREAMS = {
    "trade": "trade", "aggTrade": "aggTrade", "depthUpdate": "depth@100ms", "depth of futures": "depth@100ms", "bookTicker": "bookTicker",
    "kline": "kline_1m", "24hrTicker": "ticker", "markPriceUpdate": "markPrice@1s", "forceOrder": "forceOrder", "partial": "depth5",
}  # fmt: skip
NUMBERS = {"p", "q", "b", "B", "a", "A", "P", "c", "o", "h", "l", "v", "V", "i", "r", "ap"}  # texts that hold numbers, by key
SIGNED = {"P", "r"}


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def wrapped(kind: str, raw: bytes) -> bytes:
    return b'{"stream":"btcusdt@%s","data":%s}' % (STREAMS[kind].encode(), raw)


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
    good = {"e": "trade", "E": NOW, "s": "ETHUSDT", "t": 12, "p": "0.001", "q": "100", "T": NOW, "m": True}
    assert any(isinstance(e, Trade) for e in play([recv(T0, good)], pipeline))
    assert pipeline.faults == 0
    return events, pipeline


def refused(venue: str, raw: bytes) -> None:
    events, pipeline = judged(venue, raw)
    assert [(e.kind, e.count, e.venue) for e in statuses(events)] == [("rejected", 1, venue)], (raw[:200], events)
    assert len(events) == 1
    assert pipeline.rejected == pipeline.stats()["rejected"] == 1


def numeric(path: tuple[Any, ...], leaf: Any) -> bool:
    return isinstance(leaf, str) and (isinstance(path[-1], int) or path[-1] in NUMBERS) and leaf.replace(".", "").isdigit()


@pytest.mark.parametrize("kind", SAMPLES)
def test_the_samples_themselves_are_good(kind: str) -> None:
    venue, payload = SAMPLES[kind]
    for raw in (wrapped(kind, compact(payload)), compact(payload) if kind != "partial" else wrapped(kind, compact(payload))):
        events, pipeline = judged(venue, raw)
        assert pipeline.rejected == 0 and not statuses(events, "rejected"), events


@pytest.mark.parametrize("kind", SAMPLES)
def test_cut_at_every_byte(kind: str) -> None:
    venue, payload = SAMPLES[kind]
    for raw in (compact(payload), wrapped(kind, compact(payload))):
        for n in range(len(raw)):
            refused(venue, raw[:n])


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize("bad", ["NaN", "Infinity", "-Infinity", "nan", "inf", "", "x", "1e400", "-1", "1_0", "0x10", "1e31"])
def test_numbers_that_are_none(kind: str, bad: str) -> None:
    """In a text. An empty funding rate, and a signed one, are the venue's own way of speaking."""
    venue, payload = SAMPLES[kind]
    for path in places(payload):
        leaf = payload
        for step in path:
            leaf = leaf[step]
        fine = (path[-1] in SIGNED and bad in {"-1", "1e31"}) or (path[-1] == "r" and bad == "")
        used = not (kind == "kline" and path[-1] in {"Q", "B"}) and not (kind == "markPriceUpdate" and path[-1] == "P")
        if numeric(path, leaf) and used and not fine:
            used_by_kind = kind != "forceOrder" or path[-1] in {"q", "p", "ap"}
            if used_by_kind:
                refused(venue, wrapped(kind, compact(put(payload, path, bad))))


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize("bad", [None, [], {}, True, "text", [[["1"]]], 1.5e300, -1, 2**63, 2**64, 10**40, "9" * 400])
def test_any_leaf_of_any_wrong_type_is_survived(kind: str, bad: Any) -> None:
    """Whether it is refused depends on whether the field is used; that the feed lives, and what comes out is sound, does not."""
    venue, payload = SAMPLES[kind]
    for path in places(payload):
        for raw in (compact(put(payload, path, bad)), wrapped(kind, compact(put(payload, path, bad)))):
            judged(venue, raw)


@pytest.mark.parametrize(("kind", "key"), [("trade", "t"), ("aggTrade", "a"), ("depthUpdate", "U"), ("depthUpdate", "u"),
                                           ("depth of futures", "pu"), ("bookTicker", "u"), ("partial", "lastUpdateId")])  # fmt: skip
@pytest.mark.parametrize("bad", [2**63, 2**64, 10**30, -2, "x", None, 1.5])
def test_ids_past_64_bits(kind: str, key: str, bad: Any) -> None:
    venue, payload = SAMPLES[kind]
    if bad is None and kind in {"aggTrade", "partial"}:
        judged(
            venue, wrapped(kind, compact({**payload, key: bad}))
        )  # old aggregated trades have no id; a book without is no book
        return
    refused(venue, wrapped(kind, compact({**payload, key: bad})))


def test_the_largest_id_is_good() -> None:
    events, _ = judged(SPOT, wrapped("trade", compact({**SAMPLES["trade"][1], "t": INT64})))
    assert any(isinstance(e, Trade) and e.id == str(INT64) for e in events)


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize(
    "time", [0, 1, 10**12, 9_223_372_036_855, 10**13, 99_999_999_999_999, 10**14, 10**16, 2**62, INT64, 2**63, 10**30]
)
def test_any_time_fits_64_bits_or_is_refused(kind: str, time: int) -> None:
    venue, payload = SAMPLES[kind]
    for path in places(payload):
        if path[-1] in {"E", "T", "t"}:
            judged(venue, wrapped(kind, compact(put(payload, path, time))))


@pytest.mark.parametrize("kind", SAMPLES)
def test_small_numbers_in_scientific_notation_are_numbers(kind: str) -> None:
    venue, payload = SAMPLES[kind]
    for path in places(payload):
        leaf = payload
        for step in path:
            leaf = leaf[step]
        if numeric(path, leaf):
            _, pipeline = judged(venue, wrapped(kind, compact(put(payload, path, "1e-7"))))
            assert pipeline.rejected == 0


def test_a_scientific_price_is_its_value() -> None:
    events, _ = judged(SPOT, compact({**SAMPLES["trade"][1], "p": "1e-7"}))
    assert [e.price for e in events if isinstance(e, Trade)] == [0.0000001]


@pytest.mark.parametrize("kind", SAMPLES)
def test_invalid_utf8(kind: str) -> None:
    """In every text that is used; a broken byte in a field that nobody reads harms nobody."""
    venue, payload = SAMPLES[kind]
    raw = compact(payload)
    for i in range(len(raw)):
        judged(venue, wrapped(kind, raw[:i] + b"\xff" + raw[i + 1 :]))
    if b"BTCUSDT" in raw:
        refused(venue, raw.replace(b"BTCUSDT", b"BTC\xffSDT"))
        refused(venue, b'{"stream":"btc\xffsdt@%s","data":%s}' % (STREAMS[kind].encode(), raw))


@pytest.mark.parametrize(
    "raw",
    [
        b"", b" ", b"\x00", b"null", b"true", b"1", b'"text"', b"[1]", b"[[]]", b"{", b"}", b"{}}", b"pong", b"\xef\xbb\xbf{}", b"\xff\xfe",
        b'{"stream":', b'{"stream":"', b'{"stream":"btcusdt@trade"', b'{"stream":"btcusdt@trade","data":null}', b'{"stream":"@trade","data":{}}',
        b'{"stream":"btcusdt@trade","data":[]}', b'{"stream":"btcusdt@trade","data":{}}', b'{"stream":1,"data":{}}', b'{"e":1}', b'{"e":"trade"}',
        b'{"data":{"e":"kline","k":[]}}', b'{"stream":"btcusdt@kline_1m","data":1}', b'{"result":}', b'{"e":"depthUpdate","U":5,"u":3}',
        b'{"data":' + b"[" * 100_000, b"[" * 200_000, b'{"a":' * 100_000, b'{"stream":"btcusdt@trade","data":' + b'{"a":' * 100_000,
    ],
    ids=lambda raw: raw[:24],
)  # fmt: skip
def test_what_is_no_message(raw: bytes) -> None:
    refused(SPOT, raw)


@pytest.mark.parametrize("kind", ["trade", "bookTicker", "depthUpdate", "kline"])
def test_a_deeply_nested_field_that_nobody_reads(kind: str) -> None:
    venue, payload = SAMPLES[kind]
    deep = compact(payload)[:-1] + b',"zz":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    judged(venue, deep)
    judged(venue, wrapped(kind, deep))


def test_ten_megabytes() -> None:
    """Of rubbish: refused, and reported in a few words. Of a good book: taken."""
    for raw in (b"x" * 10_000_000, b'{"stream":"btcusdt@trade","data":"' + b"y" * 10_000_000):
        events, _ = judged(SPOT, raw)
        assert len(statuses(events, "rejected")[0].reason) < 500
    side = [[f"{i}.5", "1"] for i in range(1, 350_001)]
    big = compact(spot_diff(1, 2, side, [["400000", "1"]]))
    assert len(big) > 4_000_000
    events = play([opened(), recv(T0, snapshot(1, [], [])), recv(T0, big)], book_levels=10)
    assert any(isinstance(e, BookUpdate) and len(e.bids) == 350_000 for e in events)


@pytest.mark.parametrize("body", [b"", b"{", b"<html>busy</html>", b"[]", b'{"lastUpdateId":1}', b'{"lastUpdateId":"x","bids":[],"asks":[]}',
                                  b'{"lastUpdateId":9223372036854775808,"bids":[],"asks":[]}', b'{"lastUpdateId":9,"bids":[["1","-1"]],"asks":[]}',
                                  b'{"lastUpdateId":9,"bids":[["NaN","1"]],"asks":[]}', b"\xff\xff", b'{"a":' * 100_000,
                                  b'{"lastUpdateId":9,"bids":[],"asks":[],"zz":' + b"[" * 100_000])  # fmt: skip
def test_snapshots_that_cannot_be_read_are_asked_for_again(body: bytes) -> None:
    pipeline = Pipeline()
    play([opened(), recv(T0, spot_diff(5, 6, [["1", "1"]]))], pipeline)
    assert len(pipeline.requests) == 1
    events = play([answer(T0 + MS, body)], pipeline)
    assert [e.count for e in statuses(events, "rejected")] == [1]
    assert statuses(events, "resyncing")
    assert [r.attempt for r in pipeline.requests] == [0, 1]
    assert pipeline.requests[1].not_before > T0 + MS
    assert pipeline.faults == 0


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"symbols":[{"symbol":1}]}', b'{"symbols":[],"zz":' + b"[" * 100_000, b"\xff"]
)
def test_instrument_lists_that_cannot_be_read(body: bytes) -> None:
    events = play([opened(), answer(T0, body, purpose="instruments", native="")])
    assert len(statuses(events, "rejected")) == 1


def test_huge_and_tiny_numbers_do_not_break_the_sums() -> None:
    """What the decoder lets through, bars must bear."""
    prices = ["1e30", "1e-30", "5e-324", "123456789012345678901234567890", "0.000000000000000000001", "1"]
    frames = [
        recv(T0 + i * MS, trade(i + 1, NOW + i * 700, p, q)) for i, (p, q) in enumerate((p, q) for p in prices for q in prices)
    ]
    pipeline = Pipeline()
    events = play([opened(streams=()), *frames], pipeline)
    pipeline.finish(events)
    assert sum(isinstance(e, Trade) for e in events) == 36
    assert sum(isinstance(e, Bar) for e in events) > 9
    for event in events:
        assert from_json(to_json(event)) == event


def test_kinds_that_are_not_used_are_counted_and_nothing_else() -> None:
    pipeline = Pipeline()
    frames = [recv(T0, {"e": "avgPrice", "s": "BTCUSDT"}), recv(T0, {"e": "avgPrice", "s": "BTCUSDT"}), recv(T0, {"hello": 1})]
    assert len(play([opened(streams=()), *frames], pipeline)) == 1
    (feed,) = pipeline.feeds.values()
    assert feed.decoder.unknown == {"avgPrice": 2, "(other)": 1}


def test_every_kind_gives_its_event() -> None:
    kinds = {"trade": Trade, "aggTrade": Trade, "bookTicker": Quote, "kline": Bar, "24hrTicker": Ticker, "markPriceUpdate": Ticker,
             "forceOrder": Liquidation, "partial": BookUpdate}  # fmt: skip
    for kind, event_type in kinds.items():
        venue, payload = SAMPLES[kind]
        events, _ = judged(venue, wrapped(kind, compact(payload)))
        assert any(isinstance(e, event_type) for e in events), kind
