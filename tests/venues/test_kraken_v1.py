"""Kraken's WebSocket v1, as old recordings have it. Messages after the documents' examples of "Spot WebSocket v1"."""

import json
import zlib
from typing import Any

import pytest

from tapeline.clock import parse_iso
from tapeline.events import Bar, BookUpdate, Flag, Quote, Ticker, Trade
from tapeline.venues.base import Ack, BookMessage
from tests.engine.feeds import T0, statuses
from tests.venues.kraken_feeds import decoded, decoder, streamed

TIME = "1795255499.908707"  # 2026-11-21T10:04:59.908707Z


def old(message: Any) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def crc(bids: list[list[str]], asks: list[list[str]]) -> str:
    text = "".join(f.replace(".", "").lstrip("0") for level in [*asks, *bids] for f in level[:2])
    return str(zlib.crc32(text.encode()))


BIDS = [["5541.20000", "1.52900000", TIME], ["5539.90000", "0.30000000", TIME]]
ASKS = [["5541.30000", "2.50700000", TIME], ["5541.80000", "0.33000000", TIME]]


def test_a_book_and_its_checksums() -> None:
    """None in the snapshot; `c` in the last part of an update; both sides are two parts; "r" is republished."""
    snapshot = [0, {"as": ASKS, "bs": BIDS}, "book-10", "XBT/USD"]
    ask, bid = ["5541.30000", "0.00000000", TIME], ["5540.00000", "0.02503400", "1795255499.999999", "r"]
    both = [1234, {"a": [ask]}, {"b": [bid], "c": crc([BIDS[0], bid, BIDS[1]], [ASKS[1]])}, "book-10", "XBT/USD"]
    events = streamed(snapshot, both)
    assert [s.kind for s in statuses(events)] == ["synced"]
    first, second = [e for e in events if isinstance(e, BookUpdate)]
    assert (first.instrument, first.snapshot, first.flags) == ("kraken:BTC-USD", True, Flag.SNAPSHOT)
    assert (second.bids, second.asks) == ([(5540.0, 0.025034)], [(5541.3, 0.0)])
    assert second.ts_event == parse_iso("2026-11-21T10:04:59.999999Z")
    wrong = [1234, {"b": [bid], "c": "974942666"}, "book-10", "XBT/USD"]
    assert [s.kind for s in statuses(streamed(snapshot, both, wrong))] == ["synced", "gap", "resyncing"]


def test_the_depth_stands_in_the_channels_name() -> None:
    records = decoded(old([0, {"b": [BIDS[0]]}, "book-25", "XBT/USD"]), old([0, {"as": [], "bs": []}, "book-1000", "XDG/XBT"]))
    assert [(m.cut, m.native, m.kind) for m in records if isinstance(m, BookMessage)] == [
        (25, "BTC/USD", "diff"), (1000, "DOGE/BTC", "snapshot"),
    ]  # fmt: skip


def test_trades_have_no_ids() -> None:
    rows = [["5541.20000", "0.15850568", TIME, "s", "l", ""], ["6060.00000", "0.02455000", TIME, "b", "m", ""]]
    one, other = streamed([0, rows, "trade", "XBT/USD"])
    assert one == Trade("kraken:BTC-USD", parse_iso("2026-11-21T10:04:59.908707Z"), T0, 0, 5541.2, 0.15850568, "sell", "")
    assert (other.side, other.price) == ("buy", 6060.0)


def test_spread_ticker_and_candles() -> None:
    spread = [0, ["5698.40000", "5700.00000", TIME, "1.01234567", "0.98765432"], "spread", "XBT/USD"]
    (quote,) = streamed(spread)
    assert isinstance(quote, Quote)
    assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == (5698.4, 1.01234567, 5700.0, 0.98765432)
    figures = {
        "a": ["5525.40000", 1, "1.000"], "b": ["5525.10000", 1, "1.000"], "c": ["5525.10000", "0.00398963"],
        "h": ["5783.00000", "5783.50000"], "l": ["5505.00000", "5504.00000"], "o": ["5760.70000", "5763.40000"],
        "p": ["5631.44067", "5653.78939"], "t": [11493, 16267], "v": ["2634.11501494", "3591.17907851"],
    }  # fmt: skip
    (ticker,) = streamed([340, figures, "ticker", "XBT/USD"])
    assert isinstance(ticker, Ticker)
    assert (ticker.last, ticker.high, ticker.low, ticker.volume) == (5525.1, 5783.5, 5504.0, 3591.17907851)
    assert ticker.flags & Flag.NO_VENUE_TIME

    def candle(end: str, close: str) -> list[Any]:
        return [
            42,
            [TIME, end, "3586.70000", "3586.70000", "3586.60000", close, "3586.68894", "0.03373000", 2],
            "ohlc-5",
            "XBT/USD",
        ]

    bars = [
        e for e in streamed(candle("1795255500.000000", "3586.6"), candle("1795255800.000000", "3586.7")) if isinstance(e, Bar)
    ]
    assert [(b.interval, b.ts_open, b.close, b.complete) for b in bars] == [
        ("5m", parse_iso("2026-11-21T10:00:00Z"), 3586.6, False),
        ("5m", parse_iso("2026-11-21T10:00:00Z"), 3586.6, True),
        ("5m", parse_iso("2026-11-21T10:05:00Z"), 3586.7, False),
    ]


def test_answers_and_what_needs_none() -> None:
    good = {"channelID": 10001, "channelName": "ohlc-5", "event": "subscriptionStatus", "pair": "XBT/EUR", "reqid": 42,
            "status": "subscribed", "subscription": {"interval": 5, "name": "ohlc"}}  # fmt: skip
    bad = {"errorMessage": "Subscription depth not supported", "event": "subscriptionStatus", "pair": "XBT/USD", "status": "error",
           "subscription": {"depth": 42, "name": "book"}}  # fmt: skip
    assert decoded(old(good)) == [Ack(None, "", ("ohlc-5:BTC/EUR",))]
    assert decoded(old(bad)) == [Ack(None, "Subscription depth not supported")]
    reader = decoder()
    for event in ("heartbeat", "pong", "systemStatus", "somethingNew"):
        assert decoded(old({"event": event}), into=reader) == []
    assert decoded(old([0, {}, "openOrders", "XBT/USD"]), into=reader) == []
    assert reader.unknown == {"somethingNew": 1, "openOrders": 1}


@pytest.mark.parametrize(
    "raw",
    [
        b"[]", b"[1]", b"[1,2]", b'[1,{},"book-10","XBT/USD"', b'[0,{"a":1},"book-10","XBT/USD"]', b'[0,[],"book-7","XBT/USD"]',
        b'[0,{"b":[["-1","1","1.0"]]},"book-10","XBT/USD"]', b'[0,{"b":[["1","NaN","1.0"]]},"book-10","XBT/USD"]',
        b'[0,{"b":[["1","1","soon"]]},"book-10","XBT/USD"]', b'[0,{"b":[["1","1"]]},"book-10","XBT/USD"]',
        b'[0,{"b":[["1","1","1.0"]],"c":"x"},"book-10","XBT/USD"]', b'[0,{"b":[]},"book-","XBT/USD"]', b'[0,{"b":[]},"book-11","XBT/USD"]',
        b'[0,[["1","1","1.0"]],"trade","XBT/USD"]', b'[0,[["x","1","1.0","b","l",""]],"trade","XBT/USD"]', b'[0,"trade","XBT/USD"]',
        b'[0,[],"ohlc-7","XBT/USD"]', b'[0,["1","2","1","1","1","1","1","1",1],"ohlc-7","XBT/USD"]', b'[0,[],"trade",""]', b'[0,{},5,"XBT/USD"]',
        b'[0,[["1","1","1.0","b","l",""]],"trade","X BT/USD"]', b'[0,["1","1","1.0","1"],"spread","XBT/USD"]',
    ],
    ids=lambda raw: raw[:60],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(raw: bytes) -> None:
    from tapeline.errors import MalformedFrame

    try:
        assert not [r for r in decoded(raw) if not isinstance(r, BookMessage)]
    except MalformedFrame:
        return
    assert raw == b'[0,[],"trade",""]'  # no trades of nobody
