"""Nothing that Kraken sends may stop the feed: what cannot be read is counted, reported and survived, and the next message decodes."""

import json
from typing import Any

import pytest

from tapeline.engine.pipeline import Pipeline
from tapeline.events import BookUpdate, Event, Flag, Trade, from_json, to_json
from tapeline.venues.base import BookMessage
from tests.engine.feeds import T0, opened, play, recv, statuses
from tests.venues.kraken_feeds import NOW, book, candle, decoder, ohlc, trade

INT64 = 2**63 - 1
SAMPLES: dict[str, bytes] = {
    "book": book("snapshot", ["45283.5@0.10000000", "45283.4@1.54582015"], ["45285.2@0.00100000"]),
    "update": book("update", ["45283.5@0.00000000"], ["45285.3@2.50000000"]),
    "trade": trade(7),
    "ticker": b'{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","bid":1.5,"bid_qty":2.0,"ask":1.6,"ask_qty":3.0,'
    b'"last":1.5,"volume":9.0,"vwap":1.5,"low":1.0,"high":2.0,"change":-0.1,"change_pct":-0.5,"timestamp":"%s"}]}'
    % NOW.encode(),
    "ohlc": json.dumps(ohlc("update", candle(NOW, 100.5, 3)), separators=(",", ":")).encode(),
    "status": b'{"channel":"status","type":"update","data":[{"system":"maintenance","version":"2.0","connection_id":18446744073709551615}]}',
    "instrument": b'{"channel":"instrument","type":"update","data":{"assets":[],"pairs":[{"symbol":"BTC/USD","base":"BTC","quote":"USD",'
    b'"status":"online","qty_increment":1e-08,"price_increment":0.1}]}}',
    "ack": b'{"method":"subscribe","req_id":101,"result":{"channel":"trade","symbol":"BTC/USD","snapshot":true},"success":true}',
}
NUMBERS = {"price", "qty", "bid", "ask", "bid_qty", "ask_qty", "volume", "low", "high", "open", "close"}
BAD_NUMBERS = [b"NaN", b"Infinity", b"-1", b"1e400", b"1e31", b'"x"', b'""', b'"NaN"', b'"-1"', b"null", b"true", b"[]", b"1_0", b"0x10",
               b"", b"01", b"1."]  # fmt: skip


def judged(raw: bytes) -> tuple[list[Event], Pipeline]:
    """What a message gives. Whatever it is: events survive JSON, and the next message decodes."""
    pipeline = Pipeline()
    play([opened(venue="kraken", streams=())], pipeline)
    events = play([recv(T0, raw)], pipeline)
    for event in events:
        assert from_json(to_json(event)) == event
        values = [getattr(event, f) for f in event.__struct_fields__]
        assert all(not isinstance(v, int) or -(2**63) <= v <= INT64 for v in values)
    assert any(isinstance(e, Trade) for e in play([recv(T0, trade(10**6))], pipeline))
    assert pipeline.faults == 0
    return events, pipeline


def refused(raw: bytes) -> None:
    events, pipeline = judged(raw)
    assert [(e.kind, e.count, e.venue) for e in statuses(events)] == [("rejected", 1, "kraken")], (raw[:200], events)
    assert len(events) == 1
    assert pipeline.rejected == 1


def replaced(raw: bytes, value: bytes) -> list[tuple[str, bytes]]:
    """(key, the message with this key's value replaced), one by one."""
    found, at = [], 0
    while (at := raw.find(b'":', at)) >= 0:
        key = raw[raw.rfind(b'"', 0, at) + 1 : at]
        start = end = at + 2
        if raw[start : start + 1] not in b"{[":
            end = (
                raw.index(b'"', start + 1) + 1
                if raw[start : start + 1] == b'"'
                else min(p for p in (raw.find(c, start) for c in (b",", b"}", b"]")) if p > 0)
            )
            found.append((key.decode(), raw[:start] + value + raw[end:]))
        at = end
    return found


@pytest.mark.parametrize("kind", SAMPLES)
def test_the_samples_themselves_are_good(kind: str) -> None:
    _, pipeline = judged(SAMPLES[kind])
    assert pipeline.rejected == 0


@pytest.mark.parametrize("kind", SAMPLES)
def test_cut_at_every_byte(kind: str) -> None:
    for n in range(len(SAMPLES[kind])):
        refused(SAMPLES[kind][:n])


@pytest.mark.parametrize("bad", BAD_NUMBERS)
@pytest.mark.parametrize("kind", ["book", "update", "trade", "ticker", "ohlc"])
def test_numbers_that_are_none(kind: str, bad: bytes) -> None:
    tried = 0
    for key, raw in replaced(SAMPLES[kind], bad):
        if key in NUMBERS:
            tried += 1
            if not (bad == b"null" and kind == "ticker"):  # a figure that is not known
                refused(raw)
    assert tried


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize(
    "bad", [b"null", b"[]", b"{}", b"true", b'"text"', b'[[["1"]]]', b"1.5e300", b"-1", b"%d" % 2**63, b"1" + b"0" * 400]
)
def test_any_value_of_any_wrong_type_is_survived(kind: str, bad: bytes) -> None:
    for _, raw in replaced(SAMPLES[kind], bad):
        judged(raw)


@pytest.mark.parametrize("number", [b"%d" % 2**63, b"%d" % 2**64, b"-1", b"1.5", b'"x"', b"null"])
def test_trade_ids_past_64_bits(number: bytes) -> None:
    refused(SAMPLES["trade"].replace(b'"trade_id":7', b'"trade_id":' + number))


def test_the_largest_id_is_good() -> None:
    events, _ = judged(trade(INT64))
    assert [e.id for e in events if isinstance(e, Trade)] == [str(INT64)]


@pytest.mark.parametrize(
    ("time", "flagged"),
    [("0001-01-01T00:00:00.000000Z", True), ("1970-01-01T00:00:00.000000Z", True), ("9999-12-31T23:59:59.999999Z", True),
     ("2262-04-12T00:00:00.000000Z", True), ("2026-11-21T10:05:00.000000001Z", False)],
)  # fmt: skip
def test_times_that_cannot_be_true_are_flagged(time: str, flagged: bool) -> None:
    events, _ = judged(trade(7, time=time))
    (event,) = [e for e in events if isinstance(e, Trade)]
    assert bool(event.flags & Flag.BAD_TIME) == flagged


@pytest.mark.parametrize("time", ["soon", "2026-13-01T00:00:00.000000Z", "2026-11-21T10:05:00.00000xZ", "", "2026-11-21T10:05:00.٣٣٣٣٣٣Z",
                                  "2026-11-21T10:05:00.000000+05:00"])  # fmt: skip
def test_times_that_are_none(time: str) -> None:
    raw = SAMPLES["trade"].replace(NOW.encode(), json.dumps(time, ensure_ascii=False).strip('"').encode())
    refused(raw)


def test_scientific_notation_is_a_number() -> None:
    """`1e-7`, `-0`, `0E-8`: their value counts, and their digits are those of the decimal."""
    raw = book("snapshot", ["0.5@1e-7", "0.4@0E-8"], ["2.5E1@-0"])
    events, pipeline = judged(raw)
    assert pipeline.rejected == 0
    (update,) = [e for e in events if isinstance(e, BookUpdate)]
    assert update.bids == [(0.5, 1e-7), (0.4, 0.0)]
    assert update.asks == [(25.0, 0.0)]
    (m,) = decoder().decode(raw, T0)
    assert [list(m.bid_texts), list(m.ask_texts)] == [[("5", "1"), ("4", "")], [("25", "-0")]]  # type: ignore[union-attr]


def test_numbers_in_texts_are_numbers() -> None:
    """REST and v1 print them so; should v2 ever, nothing is lost."""
    raw = book("snapshot", ['"0.50"@"0.10"'], ['"1.50"@2.0'])
    (m,) = decoder().decode(raw, T0)
    assert isinstance(m, BookMessage)
    assert (m.bids, m.asks) == ([(0.5, 0.1)], [(1.5, 2.0)])
    assert (list(m.bid_texts), list(m.ask_texts)) == ([("50", "10")], [("150", "20")])


def test_another_order_of_members_gives_the_same() -> None:
    usual = book("update", ["45283.5@0.10000000"], ["45285.2@0.00100000"], checksum=7)
    data = {
        "checksum": 7,
        "asks": [{"qty": 0.001, "price": 45285.2}],
        "symbol": "BTC/USD",
        "bids": [{"qty": 0.1, "price": 45283.5}],
    }
    other = json.dumps(
        {"type": "update", "data": [{**data, "timestamp": NOW, "news": {"price": 1, "qty": 2}}], "channel": "book"}
    )
    other = other.replace("0.001", "0.00100000").replace('"qty": 0.1,', '"qty": 0.10000000,')
    assert decoder().decode(usual, T0) == decoder().decode(other.encode(), T0)
    spaced = json.dumps(json.loads(usual)).replace("0.001", "0.00100000").replace('"qty": 0.1}', '"qty": 0.10000000}')
    assert decoder().decode(spaced.encode(), T0) == decoder().decode(usual, T0)


def test_several_books_in_one_message() -> None:
    one, two = (json.loads(book("update", [f"{n}.5@0.25"], [], symbol=s))["data"][0] for n, s in ((1, "A/USD"), (2, "B/USD")))
    records = decoder().decode(json.dumps({"channel": "book", "type": "update", "data": [one, two]}).encode(), T0)
    assert [(m.native, m.bids, list(m.bid_texts)) for m in records] == [  # type: ignore[union-attr]
        ("A/USD", [(1.5, 0.25)], [("15", "25")]), ("B/USD", [(2.5, 0.25)], [("25", "25")]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "raw",
    [
        b"", b" ", b"\x00", b"null", b"true", b"1", b'"text"', b"{", b"}", b"pong", b"\xef\xbb\xbf{}", b"\xff\xfe", b'{"channel":', b'{"channel":"',
        b'{"channel":"book"}', b'{"channel":"book","type":"update"}', b'{"channel":"book","type":"other","data":[]}',
        b'{"channel":"book","data":[{}],"type":"update"}', b'{"channel":"trade","type":"update","data":{}}', b'{"channel":1}',
        b'{"channel":"status","data":[{}]}', b'{"channel":"instrument","data":[]}', b'{"method":1}', b'{"error":{}}',
        b'{"channel":"book","data":' + b"[" * 100_000, b"[" * 200_000, b'{"a":' * 100_000,
    ],
    ids=lambda raw: raw[:30],
)  # fmt: skip
def test_what_is_no_message(raw: bytes) -> None:
    refused(raw)


@pytest.mark.parametrize("symbol", ["", "BTC/US D", "a" * 100, "../../etc", "<b>/USD", "B\\u0000/USD"])
def test_symbols_that_cannot_be_names(symbol: str) -> None:
    for raw in (trade(7), book("snapshot", ["1.5@1.0"], [])):
        refused(raw.replace(b"BTC/USD", symbol.encode()))


def test_unknown_messages_and_fields_are_counted_and_nothing_else() -> None:
    reader = decoder()
    for raw in (b'{"channel":"level3","type":"update","data":[]}', b'{"channel":"level3"}', b"{}", b'{"method":"add_order"}'):
        assert reader.decode(raw, T0) == []
    assert reader.unknown == {"level3": 2, "(other)": 1, "add_order": 1}
    deep = SAMPLES["trade"][:-1] + b',"zz":' + b"[" * 500 + b"]" * 500 + b"}"
    assert len(reader.decode(deep, T0)) == 1


def test_ten_megabytes() -> None:
    for raw in (b"x" * 10_000_000, b'{"channel":"book","data":"' + b"y" * 10_000_000):
        events, _ = judged(raw)
        assert len(statuses(events, "rejected")[0].reason) < 500
    big = book("snapshot", [f"{i}.5@1.00000000" for i in range(1, 200_001)], [])
    events, _ = judged(big)
    assert any(isinstance(e, BookUpdate) and len(e.bids) == 200_000 for e in events)


def test_simulated_markets_say_so() -> None:
    for raw in SAMPLES.values():
        for record in decoder(simulated=True).decode(raw, T0):
            if isinstance(record, Event) and not statuses([record]):
                assert record.flags & Flag.SIMULATED


def test_what_a_venue_makes_up_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names without end fill no memory."""
    from tapeline.venues import kraken_wire

    monkeypatch.setattr(kraken_wire, "MOST_REMEMBERED", 50)
    reader: Any = decoder()
    for n in range(500):
        reader.decode(book("snapshot", ["1.5@1.0"], [], symbol=f"A{n}/USD"), T0)
        reader.decode(SAMPLES["ticker"].replace(b"BTC/USD", b"A%d/USD" % n), T0)
    assert len(reader._depths) <= 50
    assert len(reader._figures) <= 50
