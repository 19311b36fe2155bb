"""Every payload that OKX's documents print, against values read off the document by eye; what we send, against what they print.

The examples of the documents decode without the list of instruments, so `BCH-USDT-SWAP` stays in contracts, and that is said once.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tapeline.config import VenueSettings
from tapeline.errors import ConfigError
from tapeline.events import Bar, Flag, Liquidation, Quote, Status, Ticker, Trade
from tapeline.frames import HttpAnswer
from tapeline.instruments import Instrument, Registry
from tapeline.venues.base import Ack, Asked, BookMessage, Filled, Notice, Past, Record, Stream
from tapeline.venues.okx import Okx
from tapeline.venues.okx_wire import OkxDecoder

MS = 1_000_000
T0 = 1_795_255_500_000 * MS
BOOK_ASKS = [
    (8476.98, 415.0),
    (8477.0, 7.0),
    (8477.34, 85.0),
    (8477.56, 1.0),
    (8505.84, 8.0),
    (8506.37, 85.0),
    (8506.49, 2.0),
    (8506.96, 100.0),
]
BOOK_BIDS = [
    (8476.97, 256.0),
    (8475.55, 101.0),
    (8475.54, 100.0),
    (8475.3, 1.0),
    (8447.32, 6.0),
    (8447.02, 246.0),
    (8446.83, 24.0),
    (8446.0, 95.0),
]
ASK_TEXTS = [
    ("8476.98", "415"),
    ("8477", "7"),
    ("8477.34", "85"),
    ("8477.56", "1"),
    ("8505.84", "8"),
    ("8506.37", "85"),
    ("8506.49", "2"),
    ("8506.96", "100"),
]
BID_TEXTS = [
    ("8476.97", "256"),
    ("8475.55", "101"),
    ("8475.54", "100"),
    ("8475.3", "1"),
    ("8447.32", "6"),
    ("8447.02", "246"),
    ("8446.83", "24"),
    ("8446", "95"),
]
SAID = Status(
    "okx:BCH-USDT-PERP",
    T0,
    T0,
    0,
    "rejected",
    "okx",
    "instruments",
    "BCH-USDT-SWAP is on no list that was received: sizes stay numbers of contracts, whose value is not known",
    None,
    None,
    1,
)


def refusal(channel: str, inst: str) -> Ack:
    said = f'Invalid request: {{"op": "subscribe", "argss":[{{ "channel" : "{channel}", "instId" : "{inst}"}}]}}'
    return Ack("1512", f"{said} (code 60012, the request makes no sense to the venue)")


def book(kind: Any, seq: int, prev: int) -> BookMessage:
    return BookMessage(
        "BTC-USDT",
        1597026383085 * MS,
        0,
        kind,
        BOOK_BIDS,
        BOOK_ASKS,
        seq,
        prev,
        exact=True,
        checksum=-855196043,
        bid_texts=BID_TEXTS,
        ask_texts=ASK_TEXTS,
    )


CANDLE = (8533.02, 8553.74, 8527.17, 8548.26, 45247.0, None, 5529.5858061, 5529.5858061 / 45247, None, False, 0, "venue")

# What follows from each payload. A text stands for: nothing, and one more unknown message of that kind; None for what is ours to send.
EXPECTED: dict[str, Any] = {
    "connection_count_limit_connection_count_limit_1": [],
    "connection_count_limit_connection_count_limit_2": [Ack(None, "20 connections have this channel: too many", ("orders",))],
    "get_order_book_response_example_1": "book without seqId",
    "notification_notification_1": [Notice("notice 64008: The connection will soon be closed for a service upgrade. Please reconnect.")],
    "ws_all_trades_channel_failure_response_example_1": [refusal("trades-all", "BTC-USD-191227")],
    "ws_all_trades_channel_push_data_example_1": [
        Trade("okx:BTC-USDT", 1630048897897 * MS, T0, 0, 42219.9, 0.12060306, "buy", "130639474")
    ],
    "ws_all_trades_channel_request_example_1": None,
    "ws_all_trades_channel_successful_response_example_1": [Ack("1512", "", ("trades-all:BTC-USDT",))],
    "ws_candlesticks_channel_failure_response_example_1": [refusal("candle1D", "BTC-USD-191227")],
    # 2020-08-10T02:26:23.085 is no beginning of a day; it is what the document prints
    "ws_candlesticks_channel_push_data_example_1": [
        Bar("okx:BTC-USDT", T0, T0, Flag.NO_VENUE_TIME, "1d@+08:00", 1597026383085 * MS, *CANDLE)
    ],
    "ws_candlesticks_channel_request_example_1": None,
    "ws_candlesticks_channel_successful_response_example_1": [Ack(None, "", ("candle1D:BTC-USDT",))],
    "ws_order_book_channel_examples_1": "(other)",
    "ws_order_book_channel_examples_2": "(other)",
    "ws_order_book_channel_failure_example_1": [refusal("books", "BTC-USD-191227")],
    "ws_order_book_channel_push_data_example_full_snapshot_1": [book("snapshot", 123456, -1)],
    "ws_order_book_channel_push_data_example_incremental_data_1": [book("diff", 123457, 123456)],
    "ws_order_book_channel_push_data_example_of_bbo_tbt_channel_1": [
        SAID, Quote("okx:BCH-USDT-PERP", 1670324386802 * MS, T0, 0, 111.05, 57745.0, 111.06, 55154.0, 363996337, "venue")
    ],
    "ws_order_book_channel_push_data_example_of_books5_channel_1": [
        SAID,
        BookMessage(
            "BCH-USDT-SWAP", 1670324386802 * MS, 0, "partial",
            [(111.05, 57745.0), (111.04, 57109.0), (111.03, 69563.0), (111.02, 71248.0), (111.01, 65090.0)],
            [(111.06, 55154.0), (111.07, 53276.0), (111.08, 72435.0), (111.09, 70312.0), (111.1, 67272.0)], 363996337, -1,
        ),
    ],
    "ws_order_book_channel_request_example_1": None,
    "ws_order_book_channel_response_example_1": [Ack("1512", "", ("books:BTC-USDT",))],
    "ws_tickers_channel_failure_response_example_1": [refusal("tickers", "LTC-USD-200327")],
    "ws_tickers_channel_push_data_example_1": [
        Ticker("okx:BTC-USDT", 1597026383085 * MS, T0, 0, 9999.99, 9000.0, 10000.0, 8888.88, 2222.0, 2222.0)
    ],
    "ws_tickers_channel_request_example_1": None,
    "ws_tickers_channel_successful_response_example_1": [Ack("1512", "", ("tickers:BTC-USDT",))],
    "ws_trades_channel_failure_response_example_1": [refusal("trades", "BTC-USD-191227")],
    # of three trades: 130639472, 130639473 and 130639474
    "ws_trades_channel_push_data_example_1": [
        Filled(Trade("okx:BTC-USDT", 1630048897897 * MS, T0, Flag.AGGREGATED, 42219.9, 0.12060306, "buy", "130639474"), 130639472)
    ],
    "ws_trades_channel_request_example_1": None,
    "ws_trades_channel_successful_response_example_1": [Ack("1512", "", ("trades:BTC-USDT",))],
}  # fmt: skip


def payload(frames: Path, name: str) -> Any:
    return json.loads((frames / "documented" / "okx_v5" / f"{name}.json").read_text())["payload"]


def fresh(listed: str = "") -> OkxDecoder:
    registry = Registry("okx")
    if listed:
        registry.fill(Okx().read_instruments(listed.encode(), "okx"))
    decoder = Okx().decoder(registry, simulated=False)
    assert isinstance(decoder, OkxDecoder)
    return decoder


def decode(raw: Any, decoder: OkxDecoder | None = None) -> list[Record]:
    data = raw if isinstance(raw, bytes) else json.dumps(raw, separators=(",", ":")).encode()
    return list((decoder or fresh()).decode(data, T0))


def test_every_documented_payload_is_judged(shared_frames: Path) -> None:
    assert {p.stem for p in (shared_frames / "documented" / "okx_v5").glob("*.json")} == set(EXPECTED)


@pytest.mark.parametrize("name", [n for n, e in EXPECTED.items() if e is not None])
@pytest.mark.parametrize("spaced", [False, True])
def test_payload(shared_frames: Path, name: str, spaced: bool) -> None:
    """As compact as on the wire, and as a document prints it; twice, because the second one takes the remembered way."""
    raw = json.dumps(
        payload(shared_frames, name), indent=1 if spaced else None, separators=None if spaced else (",", ":")
    ).encode()
    decoder, wanted = fresh(), EXPECTED[name]
    made = list(decoder.decode(raw, T0))
    if isinstance(wanted, str):
        assert (made, decoder.unknown) == ([], {wanted: 1})
        return
    assert made == wanted
    assert list(decoder.decode(raw, T0)) == [r for r in wanted if r != SAID]
    assert decoder.unknown == {}


@pytest.mark.parametrize("name", [n for n, e in EXPECTED.items() if e is None])
def test_what_we_send_equals_the_documents(shared_frames: Path, name: str) -> None:
    wanted = payload(shared_frames, name)
    (arg,) = wanted["args"]
    stream = Stream(f"{arg['channel']}:{arg['instId']}", "trades", "okx:x")
    (sent,) = Okx().subscribe([stream], 1512)
    assert sent == json.dumps(wanted, separators=(",", ":")).encode()
    (ended,) = Okx().unsubscribe([stream], 1512)
    assert json.loads(ended) == {**wanted, "op": "unsubscribe"}
    assert Okx().asked(sent) == Asked("1512", (stream.name,))
    assert Okx().asked(ended) == Asked("1512", (stream.name,), gone=True)
    assert Okx().acks([sent]) == 1


@pytest.mark.parametrize("name", EXPECTED)
def test_acknowledgements_are_known_from_everything_else(shared_frames: Path, name: str) -> None:
    raw = json.dumps(payload(shared_frames, name), separators=(",", ":")).encode()
    answers = ("response" in name and "order_book_response" not in name) or "failure" in name
    assert Okx().is_ack(raw) is answers


def test_pong_is_nothing() -> None:
    decoder = fresh()
    assert decode(b"pong", decoder) == [] and decoder.unknown == {}


@pytest.mark.parametrize(
    ("code", "msg", "names", "means"),
    [
        ("60018", "Wrong URL or channel:trades,instId:BTC-USDX doesn't exist. Please use the correct URL, channel and parameters",
         ("trades:BTC-USDX",), "there is no such channel or instrument here"),
        ("60008", "The current WebSocket endpoint does not support this channel", (), "this channel is not served on this address"),
        ("60014", "Requests too frequent", (), "too many requests"),
        ("64002", 'This channel is not supported by "/business" URL', (), "the channel is not on /business"),
        ("64004", "conflict", (), "books and books-l2-tbt of one instrument exclude one another"),
    ],
)  # fmt: skip
def test_what_refusals_mean(code: str, msg: str, names: tuple[str, ...], means: str) -> None:
    raw = {"id": "7", "event": "error", "code": code, "msg": msg, "connId": "a4d3ae55"}
    assert decode(raw) == [Ack("7", f"{msg} (code {code}, {means})", names)]


def test_a_code_that_is_not_known_is_told_as_it_is() -> None:
    assert decode({"event": "error", "code": "69999", "msg": "?"}) == [Ack(None, "? (code 69999)")]


@pytest.mark.parametrize("event", ["notice", "somethingnew"])
def test_other_events_are_counted(event: str) -> None:
    decoder = fresh()
    assert decode({"event": event, "code": "1", "msg": "hello"}, decoder) == []
    assert decoder.unknown == {event: 1}


SWAPS = json.dumps(
    {"code": "0", "msg": "", "data": [
        {"instType": "SWAP", "instId": "BTC-USDT-SWAP", "uly": "BTC-USDT", "ctVal": "0.01", "ctMult": "1", "ctValCcy": "BTC",
         "ctType": "linear", "tickSz": "0.1", "lotSz": "0.01", "state": "live", "baseCcy": "", "quoteCcy": ""},
        {"instType": "SWAP", "instId": "BTC-USD-SWAP", "uly": "BTC-USD", "ctVal": "100", "ctMult": "1", "ctValCcy": "USD",
         "ctType": "inverse", "tickSz": "0.1", "lotSz": "1", "state": "live", "baseCcy": "", "quoteCcy": ""},
    ]}
)  # fmt: skip


def stream(channel: str, native: str, *rows: Any, **more: Any) -> dict[str, Any]:
    return {"arg": {"channel": channel, "instId": native}, **more, "data": list(rows)}


def test_contracts_become_amounts_of_the_base_asset() -> None:
    """Linear ones; 0.37 × 0.01 is not 0.0037 in floats, and must be."""
    decoder = fresh(SWAPS)
    row = {"asks": [["60000.1", "1234.5", "0", "3"]], "bids": [["60000", "0.37", "0", "1"], ["59999.9", "0", "0", "0"]], "ts": "1795255499000",
           "checksum": 0, "prevSeqId": 10, "seqId": 15}  # fmt: skip
    (m,) = decode(stream("books", "BTC-USDT-SWAP", row, action="update"), decoder)
    assert isinstance(m, BookMessage)
    assert (m.bids, m.asks, m.checksum) == ([(60000.0, 0.0037), (59999.9, 0.0)], [(60000.1, 12.345)], None)
    t = {
        "instId": "BTC-USDT-SWAP",
        "tradeId": "9",
        "px": "60000",
        "sz": "0.37",
        "side": "sell",
        "ts": "1795255499000",
        "count": "1",
        "seqId": 3,
    }
    (f,) = decode(stream("trades", "BTC-USDT-SWAP", t), decoder)
    assert isinstance(f, Filled) and (f.trade.size, f.first, f.trade.side) == (0.0037, 9, "sell")
    quote = {"asks": [["60000.1", "29", "0", "22"]], "bids": [["60000", "57", "0", "22"]], "ts": "1795255499000", "seqId": 15}
    (q,) = decode(stream("bbo-tbt", "BTC-USDT-SWAP", quote), decoder)
    assert isinstance(q, Quote) and (q.bid_size, q.ask_size) == (0.57, 0.29)


def test_inverse_contracts_stay_contracts() -> None:
    decoder = fresh(SWAPS)
    row = {
        "asks": [["60000.1", "12", "0", "3"]],
        "bids": [["60000", "7", "0", "1"]],
        "ts": "1795255499000",
        "checksum": 0,
        "prevSeqId": -1,
        "seqId": 15,
    }
    (m,) = decode(stream("books", "BTC-USD-SWAP", row, action="snapshot"), decoder)
    assert isinstance(m, BookMessage) and (m.bids, m.asks) == ([(60000.0, 7.0)], [(60000.1, 12.0)])


def test_a_list_that_comes_later_is_heeded_from_then_on() -> None:
    """An instrument that was derived first: its remembered way must not outlive what was known then."""
    decoder = fresh()
    t = stream("trades-all", "BTC-USDT-SWAP", {"tradeId": "9", "px": "60000", "sz": "2", "side": "sell", "ts": "1795255499000"})
    said, before = decode(t, decoder)
    assert isinstance(said, Status) and isinstance(before, Trade) and before.size == 2.0
    decoder.registry.fill(Okx().read_instruments(SWAPS.encode(), "okx"))
    (after,) = decode(t, decoder)
    assert isinstance(after, Trade) and after.size == 0.02


def test_a_list_among_the_lines_of_a_recording_is_taken() -> None:
    decoder = fresh()
    assert decode(SWAPS.encode(), decoder) == []
    t = stream("trades-all", "BTC-USDT-SWAP", {"tradeId": "9", "px": "60000", "sz": "2", "side": "sell", "ts": "1795255499000"})
    (trade,) = decode(t, decoder)
    assert isinstance(trade, Trade) and trade.size == 0.02


def test_a_book_among_the_lines_of_a_recording_is_taken_where_it_is_numbered() -> None:
    row = {"asks": [["2", "1", "0", "1"]], "bids": [["1", "3", "0", "2"]], "ts": "1795255499000", "seqId": 77}
    (m,) = decode({"code": "0", "msg": "", "data": [row]})
    assert m == BookMessage("", 1795255499000 * MS, 0, "fetched", [(1.0, 3.0)], [(2.0, 1.0)], 77, -1, exact=True)


def test_volumes_are_in_the_base_asset_or_in_inverse_contracts() -> None:
    decoder = fresh(SWAPS)
    row = {
        "last": "60000",
        "open24h": "59000",
        "high24h": "61000",
        "low24h": "58000",
        "vol24h": "500",
        "ts": "1795255499000",
        "lastSz": "1",
    }
    (linear,) = decode(stream("tickers", "BTC-USDT-SWAP", {**row, "instId": "BTC-USDT-SWAP", "volCcy24h": "5"}), decoder)
    (inverse,) = decode(stream("tickers", "BTC-USD-SWAP", {**row, "instId": "BTC-USD-SWAP", "volCcy24h": "0.8"}), decoder)
    assert isinstance(linear, Ticker) and (linear.volume, linear.notional) == (5.0, None)
    assert isinstance(inverse, Ticker) and (inverse.volume, inverse.notional) == (500.0, 50_000.0)


@pytest.mark.parametrize(
    ("native", "volume", "notional", "vwap"),
    [("BTC-USDT", 400.0, 900.0, 2.25), ("BTC-USDT-SWAP", 300.0, 900.0, 3.0), ("BTC-USD-SWAP", 400.0, 900.0, None)],
)
def test_candles_count_in_three_ways(native: str, volume: float, notional: float, vwap: float | None) -> None:
    """`vol` 400 (contracts, or base), `volCcy` 300 (base, or quote), `volCcyQuote` 900; over at last."""
    row = ["1795255440000", "3", "5", "2", "4", "400", "300", "900", "1"]
    (bar,) = decode(stream("candle1m", native, row), fresh(SWAPS))
    begin = 1795255440000 * MS
    assert bar == Bar(
        f"okx:{native.replace('SWAP', 'PERP')}", begin + 60_000 * MS, T0, 0, "1m", begin, 3.0, 5.0, 2.0, 4.0, volume, None, notional, vwap,
        None, True, 0, "venue",
    )  # fmt: skip


def test_liquidations_of_a_type_are_of_many_instruments() -> None:
    """As the document of the channel prints it: `side` is the forced order's, so `buy` closes a short."""
    row = {"details": [{"bkLoss": "0", "bkPx": "0.007831", "ccy": "", "posSide": "short", "side": "buy", "sz": "13", "ts": "1692266434010"}],
           "instFamily": "IOST-USDT", "instId": "IOST-USDT-SWAP", "instType": "SWAP", "uly": "IOST-USDT"}  # fmt: skip
    said, made = decode({"id": "1512", "arg": {"channel": "liquidation-orders", "instType": "SWAP"}, "data": [row]})
    assert isinstance(said, Status)
    assert made == Liquidation("okx:IOST-USDT-PERP", 1692266434010 * MS, T0, Flag.SAMPLED, 0.007831, 13.0, "buy", None, "")


def test_price_improvement_is_flagged() -> None:
    row = {"tradeId": "9", "px": "60000", "sz": "2", "side": "buy", "ts": "1795255499000", "count": "2", "source": "1"}
    (f,) = decode(stream("trades", "BTC-USDT", row))
    assert isinstance(f, Filled) and f.trade.flags == Flag.RPI | Flag.AGGREGATED and f.first == 8


def test_what_comes_first_after_a_subscription_is_not_new() -> None:
    """The last trade of before, as in the recording; one of the same second is as good as new, and so is the one after it."""
    decoder = fresh()

    def row(number: int, ts: int) -> dict[str, Any]:
        return stream(
            "trades", "BTC-USDT", {"tradeId": str(number), "px": "1", "sz": "2", "side": "buy", "ts": str(ts), "count": "2"}
        )

    ack = {"event": "subscribe", "arg": {"channel": "trades", "instId": "BTC-USDT"}}
    before, now = T0 // MS - 30_000, T0 // MS
    decode(ack, decoder)
    (past,) = decode(row(7, before), decoder)
    assert past == Past("okx:BTC-USDT", [Trade("okx:BTC-USDT", before * MS, T0, 0, 1.0, 2.0, "buy", "7")])
    assert isinstance(decode(row(9, before), decoder)[0], Filled)
    decode(ack, decoder)
    assert isinstance(decode(row(11, now - 900), decoder)[0], Filled)


# Answers over HTTP


def answer(body: Any, purpose: str, native: str = "BTC-USDT-SWAP") -> list[Record]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return list(
        fresh(SWAPS).decode_answer(HttpAnswer(venue="okx", purpose=purpose, url="u", status=200, native=native), raw, T0)
    )


def test_a_book_over_http() -> None:
    row = {"asks": [["41006.8", "60", "0", "1"]], "bids": [["41006.3", "30", "0", "2"]], "ts": "1795255499000", "seqId": 77}
    (m,) = answer({"code": "0", "msg": "", "data": [row]}, "book")
    assert m == BookMessage(
        "BTC-USDT-SWAP", 1795255499000 * MS, 0, "fetched", [(41006.3, 0.3)], [(41006.8, 0.6)], 77, -1, exact=True
    )


def test_trades_of_the_past_come_oldest_first() -> None:
    """The document's example of `/market/history-trades`."""
    rows = [{"instId": "BTC-USDT", "side": "sell", "sz": "0.00001", "px": "29963.2", "tradeId": "242720720", "ts": "1654161646974"},
            {"instId": "BTC-USDT", "side": "sell", "sz": "0.00001", "px": "29964.1", "tradeId": "242720719", "ts": "1654161641568"}]  # fmt: skip
    (past,) = answer({"code": "0", "msg": "", "data": rows}, "trades", "BTC-USDT")
    assert past == Past(
        "okx:BTC-USDT",
        [Trade("okx:BTC-USDT", 1654161641568 * MS, T0, 0, 29964.1, 0.00001, "sell", "242720719"),
         Trade("okx:BTC-USDT", 1654161646974 * MS, T0, 0, 29963.2, 0.00001, "sell", "242720720")],
        asked=True,
    )  # fmt: skip


def test_candles_of_the_past_are_those_that_are_over() -> None:
    rows = [["1795255440000", "3", "5", "2", "4", "400", "300", "900", "0"], ["1795255380000", "1", "1", "1", "1", "1", "1", "1", "1"],
            ["1795255320000", "2", "2", "2", "2", "2", "2", "2", "1"]]  # fmt: skip
    bars = answer({"code": "0", "msg": "", "data": rows}, "bars 1m")
    assert [(b.ts_open, b.flags, b.interval, b.complete) for b in bars if isinstance(b, Bar)] == [
        (1795255320000 * MS, Flag.RECOVERED, "1m", True),
        (1795255380000 * MS, Flag.RECOVERED, "1m", True),
    ]


# What is asked


def inst(symbol: str, native: str, kind: Any) -> Instrument:
    return Instrument(id=f"okx:{symbol}", venue="okx", native=native, kind=kind, base="BTC", quote="USDT")


SPOT = inst("BTC-USDT", "BTC-USDT", "spot")
PERP = inst("BTC-USDT-PERP", "BTC-USDT-SWAP", "perpetual")
FUTURE = inst("BTC-USDT-261225", "BTC-USDT-261225", "future")


def test_the_plan_goes_to_two_addresses() -> None:
    plans = Okx().plan([SPOT, PERP, FUTURE], ["trades", "book", "quotes", "bars", "ticker", "liquidations"])
    assert [p.url for p in plans] == ["wss://ws.okx.com:8443/ws/v5/public", "wss://ws.okx.com:8443/ws/v5/business"]
    public, business = ([s.name for s in p.streams] for p in plans)
    assert business == ["candle1m:BTC-USDT", "candle1m:BTC-USDT-SWAP", "candle1m:BTC-USDT-261225"]
    assert public == [
        "trades:BTC-USDT", "books:BTC-USDT", "bbo-tbt:BTC-USDT", "tickers:BTC-USDT",
        "trades:BTC-USDT-SWAP", "books:BTC-USDT-SWAP", "bbo-tbt:BTC-USDT-SWAP", "tickers:BTC-USDT-SWAP", "mark-price:BTC-USDT-SWAP",
        "funding-rate:BTC-USDT-SWAP", "open-interest:BTC-USDT-SWAP",
        "trades:BTC-USDT-261225", "books:BTC-USDT-261225", "bbo-tbt:BTC-USDT-261225", "tickers:BTC-USDT-261225",
        "mark-price:BTC-USDT-261225", "open-interest:BTC-USDT-261225",
    ]  # fmt: skip
    assert [p.acks for p in plans] == [17, 3]
    assert all(p.client_ping == b"ping" and p.limits.client_ping_seconds == 20 for p in plans)
    streams = [s for p in plans for s in p.streams]
    assert all(Okx().stream(s.name) == (s.channel, s.name.split(":")[1]) for s in streams)


def test_fewer_than_30_books_a_connection_and_64_kilobytes_a_message() -> None:
    many = [inst(f"X{n}-USDT", f"X{n}-USDT", "spot") for n in range(500)]
    plans = Okx().plan(many, ["book", "trades"])
    assert all(sum(s.channel == "book" for s in p.streams) < 30 for p in plans)
    assert sorted(s.name for p in plans for s in p.streams) == sorted(
        f"{c}:X{n}-USDT" for n in range(500) for c in ("books", "trades")
    )
    (crowd,) = Okx().plan(many[:200], ["trades"])
    assert all(len(m) < 64_000 for m in crowd.hello) and crowd.acks == 200


@pytest.mark.parametrize(
    ("channel", "other"), [("book", "books5"), ("trades", "trades-all"), ("bars", "candle5m"), ("ticker", "mark-price")]
)
def test_other_streams_by_settings(channel: Any, other: str) -> None:
    venue = Okx(VenueSettings(streams={channel: other}))
    (plan,) = venue.plan([PERP], [channel])
    assert [s.name for s in plan.streams] == [f"{other}:BTC-USDT-SWAP"]
    assert plan.url.endswith("/business") is (other in {"trades-all", "candle5m"})


@pytest.mark.parametrize(
    ("channel", "other"), [("book", "books-l2-tbt"), ("book", "trades"), ("bars", "candle7m"), ("quotes", "nonsense")]
)
def test_streams_that_cannot_be(channel: Any, other: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        Okx(VenueSettings(streams={channel: other})).plan([SPOT], [channel])
    assert wrong.value.key == f"venues.okx.streams.{channel}"


def test_questions_over_http() -> None:
    venue = Okx(VenueSettings(http_url="http://mirror/"))
    assert [r.url for r in venue.instruments_requests()] == [
        f"http://mirror/api/v5/public/instruments?instType={kind}" for kind in ("SPOT", "SWAP", "FUTURES")
    ]
    trades = [venue.trades_request("BTC-USDT", *ids, 0, 5) for ids in ((None, None), (100, None), (100, 120), (100, 900))]
    assert [(r.url.partition("/market/")[2], r.purpose, r.native, r.not_before) for r in trades] == [
        (path, "trades", "BTC-USDT", 5)
        for path in (
            "trades?instId=BTC-USDT&limit=500",
            "trades?instId=BTC-USDT&limit=500",
            "history-trades?instId=BTC-USDT&type=1&after=121&limit=100",
            "history-trades?instId=BTC-USDT&type=1&after=200&limit=100",  # the first hundred: 100 … 199
        )
    ]
    past = {r.purpose: r.url.partition("&bar=")[2] for r in venue.past_requests("BTC-USDT", 0)}
    assert past["bars 1d"] == "1Dutc&limit=300" and past["bars 1h"] == "1H&limit=300"


def test_how_a_book_begins_anew() -> None:
    """By its stream where the last beginning came from there, and by HTTP where it did not, or does not any more."""
    row = {"asks": [["2", "1", "0", "1"]], "bids": [["1", "3", "0", "2"]], "ts": "1795255499000", "prevSeqId": -1, "seqId": 77}
    decoder = fresh()

    def http(attempt: int = 0) -> bool:
        asked = decoder.snapshot_request("BTC-USDT", attempt, 5)
        assert asked is None or asked.url == "https://www.okx.com/api/v5/market/books?instId=BTC-USDT&sz=400&source=0"
        return asked is not None

    snapshot = stream("books", "BTC-USDT", row, action="snapshot")
    assert http()  # no snapshot was ever seen
    decode(snapshot, decoder)
    assert not http()  # the stream gives them
    assert http(1)  # it was begun anew, and gave none
    for attempt in range(3):
        decode(snapshot, decoder)
        assert not http(attempt)
    decode(snapshot, decoder)
    assert http(3)  # it gives them, but they are worth nothing (an auction): spare the 480 subscriptions an hour


def test_where_books_over_http_bear_no_number_the_stream_is_the_only_way() -> None:
    decoder = fresh()
    assert decoder.snapshot_request("BTC-USDT", 0, 0) is not None
    body = json.dumps({"code": "0", "data": [{"asks": [], "bids": [], "ts": "1"}]}).encode()
    with pytest.raises(Exception, match="seqId"):
        decoder.decode_answer(HttpAnswer(venue="okx", purpose="book", url="u", status=200, native="BTC-USDT"), body, T0)
    assert decoder.snapshot_request("BTC-USDT", 5, 0) is None
