"""Finnhub: real frames with what they say, the documents' control messages, names, the key's places, what is malformed."""

import json
from pathlib import Path
from typing import Any

import pytest

from tapeline.config import PipelineSettings, VenueSettings
from tapeline.engine.pipeline import Pipeline
from tapeline.errors import ConfigError, MalformedFrame
from tapeline.events import Bar, Flag, Status, Ticker, Trade
from tapeline.frames import HttpAnswer
from tapeline.instruments import Registry, plausible, split_id
from tapeline.plans import Stream
from tapeline.venues.base import Ack, Asked, Record
from tapeline.venues.registry import venue_class
from tests.engine.feeds import MS, SECOND, T0, closed, opened, recv, session

KEY = "a-key-for-tests"
VENUE = "finnhub"


def venue(**settings: Any) -> Any:
    return venue_class(VENUE)(VenueSettings(**settings), KEY)


def decoder(label: str = VENUE, simulated: bool = False) -> Any:
    return venue_class(VENUE)().decoder(Registry(label), simulated=simulated)


def decoded(message: Any, now: int = T0) -> list[Record]:
    return list(decoder().decode(message if isinstance(message, bytes) else json.dumps(message).encode(), now))


def documented(frames: Path, name: str) -> Any:
    return json.loads((frames / "documented/finnhub" / f"{name}.json").read_text())["payload"]


def trade(p: float, v: float, t: int, s: str = "AAPL", c: list[str] | None = None) -> dict[str, Any]:
    return {"c": c, "p": p, "s": s, "t": t, "v": v}


# Real frames


def test_real_frames_give_their_trades_in_the_order_of_time(shared_frames: Path) -> None:
    """Every line of the fixture, each trade with its figures and conditions. One difference on purpose: trades of one message come
    in the order of time, which one of the six is not (XOM, 474 before 333)."""
    turned = 0
    lines = (shared_frames / "expected/finnhub.jsonl").read_text().splitlines()
    for line in map(json.loads, lines):
        wanted = [
            (f"{VENUE}:{e['symbol']}", e["timestamp_ms"] * MS, e["price"], e["amount"], ",".join(e["conditions"]))
            for e in line["expected"]
        ]
        made = decoded(line["raw"])
        assert all(isinstance(t, Trade) and (t.side, t.id, t.flags, t.ts_recv) == ("unknown", "", 0, T0) for t in made)
        ours = [(t.instrument, t.ts_event, t.price, t.size, t.conditions) for t in made]
        assert ours == sorted(wanted, key=lambda t: t[1])
        turned += ours != wanted
    assert (len(lines), turned) == (6, 1)


def test_equal_prints_are_different_trades(shared_frames: Path) -> None:
    made = decoded(documented(shared_frames, "trade_real_3"))
    figures = [(t.ts_event // MS, t.price, t.size, t.conditions) for t in made if isinstance(t, Trade)]
    assert figures == [
        (1676055242333, 118.81, 101.0, "1,8"),
        (1676055242333, 118.81, 79.0, "1,8,12"),
        (1676055242333, 118.81, 100.0, "1,8"),
        (1676055242333, 118.81, 100.0, "1"),
        (1676055242333, 118.81, 100.0, "1"),
        (1676055242334, 118.81, 10.0, "1,12"),
        (1676055242474, 118.815, 1.0, "1,12"),
    ]


def test_the_documented_control_messages(shared_frames: Path) -> None:
    of = venue()
    streams = [Stream("trade:AAPL", "trades", "finnhub:AAPL")]
    assert [json.loads(m) for m in of.subscribe(streams, 1)] == [documented(shared_frames, "subscribe")]
    assert [json.loads(m) for m in of.unsubscribe(streams, 1)] == [documented(shared_frames, "unsubscribe")]
    assert of.asked(of.subscribe(streams, 1)[0]) == Asked(None, ("trade:AAPL",), acked=False)
    assert of.asked(of.unsubscribe(streams, 1)[0]) == Asked(None, ("trade:AAPL",), gone=True, acked=False)
    assert of.asked(b'{"type":"ping"}') is of.asked(b"hello") is None
    assert decoded(documented(shared_frames, "ping")) == []
    assert decoded(documented(shared_frames, "error_too_many")) == [Ack(None, "Subscribing to too many symbols")]
    assert of.acks(of.subscribe(streams, 1)) == 0
    assert not of.is_ack(b'{"type":"error","msg":"x"}')


# What a trade may be


def test_a_price_without_a_volume_is_no_trade() -> None:
    made = decoded(
        {
            "type": "trade",
            "data": [trade(1.0821, 0, 1795255400000, "OANDA:EUR_USD"), trade(97000.5, 0.012, 1795255400001, "BINANCE:BTCUSDT")],
        }
    )
    at = 1795255400000 * MS
    assert made == [
        Ticker("finnhub:OANDA:EUR-USD", at, T0, 0, last=1.0821),
        Trade("finnhub:BINANCE:BTC-USDT", at + MS, T0, 0, 97000.5, 0.012, "unknown", "", None),
    ]


def test_conditions_may_be_empty_or_absent() -> None:
    rows = [
        trade(1, 1, 1795255400000, c=[]),
        {"p": 1, "s": "AAPL", "t": 1795255400000, "v": 1},
        trade(1, 1, 1795255400000, c=["1", "12"]),
    ]
    assert [t.conditions for t in decoded({"data": rows, "type": "trade"}) if isinstance(t, Trade)] == [None, None, "1,12"]


def test_times_that_cannot_be_true_and_numbers_that_do_not_fit() -> None:
    early, late = decoded({"type": "trade", "data": [trade(1, 1, 1000), trade(1, 1, 1900000000000)]})
    assert (early.ts_event, early.flags) == (1000 * MS, Flag.BAD_TIME)
    assert late.flags == Flag.BAD_TIME
    (fine,) = decoded(b'{"data":[{"p":0.12345678901234567,"s":"A","t":1795255400000,"v":1}],"type":"trade"}')
    assert fine.flags == Flag.INEXACT


def test_other_messages_are_counted_and_pings_are_not() -> None:
    of = decoder()
    for raw in (
        b'{"type":"ping"}',
        b'{"type":"news","data":[{"id":1}]}',
        b'{"hello":1}',
        b'{"type":"trade","data":[]}',
        b'{"data":[],"type":"trade"}',
    ):
        assert of.decode(raw, T0) == []
    assert of.unknown == {"news": 1, "(other)": 1}


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"not json", b"[]", b'"x"', b"\xff\xfe", b'{"type":7}', b"[" * 100_000,
        b'{"data":[{"p":"1","s":"A","t":1795255400000,"v":1}],"type":"trade"}',
        b'{"data":[{"p":0,"s":"A","t":1795255400000,"v":1}],"type":"trade"}',
        b'{"data":[{"p":-1,"s":"A","t":1795255400000,"v":1}],"type":"trade"}',
        b'{"data":[{"p":1,"s":"A","t":1795255400000,"v":-1}],"type":"trade"}',
        b'{"data":[{"p":NaN,"s":"A","t":1795255400000,"v":1}],"type":"trade"}',
        b'{"data":[{"p":1e400,"s":"A","t":1795255400000,"v":1}],"type":"trade"}',
        b'{"data":[{"p":1,"s":"A","t":99999999999999999999,"v":1}],"type":"trade"}',
        b'{"data":[{"p":1,"s":"A","t":1.5,"v":1}],"type":"trade"}',
        b'{"data":[{"p":1,"s":"A","v":1}],"type":"trade"}',
        b'{"data":[{"p":1,"s":"","t":1795255400000,"v":1}],"type":"trade"}',
        b'{"data":[{"p":1,"s":"../../x y","t":1795255400000,"v":1}],"type":"trade"}',
        b'{"data":[{"c":[1],"p":1,"s":"A","t":1795255400000,"v":1}],"type":"trade"}',
        b'{"data":null,"type":"trade"}',
        b'{"data":[{"p":1,"s":"A","t":1795255400000,"v":1}],"type":"trade"',
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedFrame):
        decoder().decode(raw, T0)


@pytest.mark.parametrize("number", [b"1e-7", b"1E2", b"1", b"100.50"])
def test_numbers_may_be_written_in_any_way(number: bytes) -> None:
    (made,) = decoded(b'{"data":[{"p":%b,"s":"A","t":1795255400000,"v":%b}],"type":"trade"}' % (number, number))
    assert isinstance(made, Trade)
    assert (made.price, made.size) == (float(number), float(number))


# Quotes over HTTP


def polled(body: bytes, native: str = "AAPL") -> list[Record]:
    head = HttpAnswer(venue=VENUE, purpose="poll", url="", status=200, native=native)
    return list(decoder().decode_answer(head, body, T0))


def test_a_polled_quote_says_what_the_venue_says_and_no_more() -> None:
    body = b'{"c":261.74,"d":2.29,"dp":0.8826,"h":263.31,"l":260.68,"o":261.07,"pc":259.45,"t":1795255400}'
    at = 1795255400 * SECOND
    assert polled(body) == [Ticker("finnhub:AAPL", at, T0, Flag.SAMPLED, 261.74, 261.07, 263.31, 260.68, change_pct=0.8826)]
    quiet = b'{"c":1.08,"d":null,"dp":null,"h":0,"l":0,"o":0,"pc":0,"t":0}'
    assert polled(quiet, "OANDA:EUR_USD") == [Ticker("finnhub:OANDA:EUR-USD", T0, T0, Flag.SAMPLED | Flag.NO_VENUE_TIME, 1.08)]
    assert polled(b'{"c":0,"d":null,"dp":null,"h":0,"l":0,"o":0,"pc":0,"t":0}', "NOSUCH") == []
    for bad in (b"", b"[]", b'{"c":"x"}', b'{"c":-1}', b'{"c":1,"t":1e30}'):
        with pytest.raises(MalformedFrame):
            polled(bad)


# Names


@pytest.mark.parametrize(
    ("native", "symbol", "kind", "base", "quote", "calendar"),
    [
        ("AAPL", "AAPL", "stock", "AAPL", "USD", "XNYS"),
        ("BRK.B", "BRK.B", "stock", "BRK.B", "USD", "XNYS"),
        ("SAP.DE", "SAP.DE", "stock", "SAP.DE", "", ""),
        ("7203.T", "7203.T", "stock", "7203.T", "", ""),
        ("BINANCE:BTCUSDT", "BINANCE:BTC-USDT", "spot", "BTC", "USDT", ""),
        ("COINBASE:BTC-USD", "COINBASE:BTC-USD", "spot", "BTC", "USD", ""),
        ("BITFINEX:XYZ", "BITFINEX:XYZ", "spot", "XYZ", "", ""),
        ("OANDA:EUR_USD", "OANDA:EUR-USD", "fx", "EUR", "USD", "FX"),
        ("FXCM:EURUSD", "FXCM:EUR-USD", "fx", "EUR", "USD", "FX"),
        ("IC MARKETS:1", "IC_MARKETS:1", "fx", "1", "", "FX"),
    ],
)
def test_names_and_the_way_back(native: str, symbol: str, kind: str, base: str, quote: str, calendar: str) -> None:
    of = venue()
    made = of.derive(native, "sim-finnhub")
    assert (made.id, made.kind, made.base, made.quote, made.session) == (f"sim-finnhub:{symbol}", kind, base, quote, calendar)
    assert plausible(made.symbol)
    assert split_id(made.id) == ("sim-finnhub", symbol)
    assert of.native_of(symbol) == of.native_of(symbol.lower()) == native
    assert of.typed(native.lower().replace(" ", "_")) == native
    assert of.stream(f"trade:{native}") == ("ticker" if kind == "fx" else "trades", native)


def test_what_the_venue_lists() -> None:
    of = venue()
    stocks = [
        {
            "currency": "USD",
            "description": "APPLE INC",
            "displaySymbol": "AAPL",
            "figi": "B",
            "mic": "XNAS",
            "symbol": "AAPL",
            "type": "Common Stock",
        },
        {
            "currency": "USD",
            "description": "BANK",
            "displaySymbol": "BAC.PRB",
            "mic": "XNYS",
            "symbol": "BAC.PRB",
            "type": "PUBLIC",
        },
    ]
    first, second = of.read_instruments(json.dumps(stocks).encode(), VENUE)
    assert (first.id, first.kind, first.quote, first.session) == ("finnhub:AAPL", "stock", "USD", "XNYS")
    assert (second.id, second.session) == ("finnhub:BAC.PRB", "XNYS")
    pairs = [
        {"description": "Binance BTCUSDT", "displaySymbol": "BTC/USDT", "symbol": "BINANCE:BTCUSDT"},
        {"description": "Kraken", "displaySymbol": "XBT/USD", "symbol": "KRAKEN:XXBTZUSD"},
        {"description": "the same again", "displaySymbol": "XBT/USD", "symbol": "KRAKEN:XBTUSD2"},
        {"description": "IC MARKETS Euro vs US Dollar EURUSD", "displaySymbol": "EUR/USD", "symbol": "IC MARKETS:1"},
    ]
    made = of.read_instruments(json.dumps(pairs).encode(), VENUE)
    assert [(i.id, i.native, i.kind) for i in made] == [
        ("finnhub:BINANCE:BTC-USDT", "BINANCE:BTCUSDT", "spot"),
        ("finnhub:KRAKEN:BTC-USD", "KRAKEN:XXBTZUSD", "spot"),
        ("finnhub:KRAKEN:XBTUSD2", "KRAKEN:XBTUSD2", "spot"),
        ("finnhub:IC_MARKETS:EUR-USD", "IC MARKETS:1", "fx"),
    ]
    assert all(plausible(i.symbol) for i in made)
    odd = [{"symbol": 7}, *pairs[:1], {"displaySymbol": "of a shape not known yet"}]
    assert [i.id for i in of.read_instruments(json.dumps(odd).encode(), VENUE)] == ["finnhub:BINANCE:BTC-USDT"]
    for bad in (b"", b"{}", b'{"error":"no"}', b'[{"symbol":7}]'):
        with pytest.raises(MalformedFrame):
            of.read_instruments(bad, VENUE)
    assert [of.lists(s) for s in ("AAPL", "binance:btcusdt", "IC_MARKETS:1", "SAP.DE", "BITFINEX:BTCUSD")] == [
        True,
        True,
        True,
        False,
        False,
    ]


# Connections and questions, and where the key is


def test_the_plan_is_one_connection_with_the_key_in_its_address_and_nowhere_else() -> None:
    of = venue()
    instruments = [of.derive(n, VENUE) for n in ("AAPL", "OANDA:EUR_USD", "AAPL")]
    (plan,) = of.plan(instruments, ("trades", "book"))
    assert plan.url == f"wss://ws.finnhub.io/?token={KEY}"
    assert (plan.acks, of.one_connection) == (0, True)
    assert plan.streams == (
        Stream("trade:AAPL", "trades", "finnhub:AAPL"),
        Stream("trade:OANDA:EUR_USD", "ticker", "finnhub:OANDA:EUR-USD"),
    )
    assert [json.loads(m)["symbol"] for m in plan.hello] == ["AAPL", "OANDA:EUR_USD"]
    assert KEY not in repr(plan.hello) + repr(plan.streams)
    assert of.plan(instruments, ("book", "quotes")) == []
    odd = venue_class(VENUE)(None, "a/key+with&signs")
    assert odd.plan(instruments, ("trades",))[0].url.endswith("?token=a%2Fkey%2Bwith%26signs")


def test_the_limit_of_symbols_is_said_and_can_be_set() -> None:
    many = [venue().derive(f"A{i}", VENUE) for i in range(51)]
    assert len(venue().plan(many[:50], ("trades",))[0].streams) == 50
    with pytest.raises(ConfigError, match="most_streams"):
        venue().plan(many, ("trades",))
    assert len(venue(most_streams=60).plan(many, ("trades",))[0].streams) == 51
    assert venue(requests_per_minute=300).limits.http_weight_per_minute == 300
    assert venue_class(VENUE).limits.http_weight_per_minute == 60
    with pytest.raises(ConfigError, match="one stream a symbol"):
        venue(streams={"trades": "x"}).plan(many[:1], ("trades",))


def test_questions_bear_the_key_as_a_header() -> None:
    of = venue()
    requests = of.instruments_requests()
    assert requests[0].url == "https://finnhub.io/api/v1/stock/symbol?exchange=US"
    assert "https://finnhub.io/api/v1/forex/symbol?exchange=ic%20markets" in [r.url for r in requests]
    polls = of.poll_requests([Stream("trade:IC MARKETS:1", "ticker", "x"), Stream("trade:AAPL", "trades", "y")], 7)
    assert [(r.url, r.native, r.purpose, r.not_before, r.weight) for r in polls] == [
        ("https://finnhub.io/api/v1/quote?symbol=IC%20MARKETS%3A1", "IC MARKETS:1", "poll", 7, 1),
        ("https://finnhub.io/api/v1/quote?symbol=AAPL", "AAPL", "poll", 7, 1),
    ]
    for r in (*requests, *polls):
        assert r.headers == (("X-Finnhub-Token", KEY),)
        assert KEY not in r.url


def test_the_time_of_a_recorded_message_is_that_of_its_latest_trade() -> None:
    of = venue()
    assert of.event_time(b'{"data":[{"t":1676055242474},{"t":1676055242333}],"type":"trade"}') == 1676055242474 * MS
    assert of.event_time(b'{"type":"ping"}') is None


# Through the pipeline


def fed(*frames: Any) -> list[Any]:
    pipeline, out = Pipeline(PipelineSettings()), []
    pipeline.feed(session(), out)
    for frame in frames:
        pipeline.feed(frame, out)
    pipeline.finish(out)
    return out


def test_a_message_out_of_order_marks_nothing_late_and_corrects_no_bar() -> None:
    base = T0 // MS
    rows = [trade(3, 1, base + 1200), trade(2, 1, base + 900), trade(2, 1, base + 900), trade(1, 1, base + 100)]
    out = fed(
        opened(venue=VENUE, streams=("trade:AAPL",)),
        recv(T0 + 1300 * MS, {"data": rows, "type": "trade"}),
        recv(T0 + 9000 * MS, {"data": [trade(4, 1, base + 8000)], "type": "trade"}),
    )
    assert [e.price for e in out if isinstance(e, Trade)] == [1.0, 2.0, 2.0, 3.0, 4.0]
    assert not [e for e in out if isinstance(e, Status) and e.kind in {"late", "gap"}]
    assert not any(e.flags & Flag.LATE for e in out)
    bars = [
        (b.ts_open - T0, b.open, b.close, b.volume, b.buy_volume, b.revision)
        for b in out
        if isinstance(b, Bar) and b.interval == "1s"
    ]
    assert bars[:2] == [(0, 1.0, 2.0, 3.0, 0.0, 0), (SECOND, 3.0, 3.0, 1.0, 0.0, 0)]


def test_trades_without_ids_at_a_take_over() -> None:
    """Where two connections overlap all the same (a recording of two keys), the one that first says a time says all of it: what the
    successor repeats is a double, equal prints of one connection are not."""
    base = T0 // MS

    def message(ms: int, *prices: float) -> Any:
        return {"data": [trade(p, 1, base + ms) for p in prices], "type": "trade"}

    out = fed(
        opened(venue=VENUE, streams=("trade:AAPL",)),
        recv(T0 + 10 * MS, message(5, 1, 1)),
        opened(T0 + 20 * MS, 2, VENUE, ("trade:AAPL",), replaces=1),
        recv(T0 + 30 * MS, message(25, 2, 2), 1),
        recv(T0 + 31 * MS, message(25, 2, 2), 2),
        closed(T0 + 40 * MS, 1, 1000, planned=True),
        recv(T0 + 50 * MS, message(45, 3, 3), 2),
        recv(T0 + 60 * MS, message(45, 3), 2),
    )
    assert [e.price for e in out if isinstance(e, Trade)] == [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 3.0]


def test_an_error_is_a_status_and_the_feed_goes_on() -> None:
    out = fed(
        opened(venue=VENUE, streams=("trade:AAPL",)),
        recv(T0 + MS, {"type": "error", "msg": "Subscribing to too many symbols"}),
        recv(T0 + 2 * MS, {"data": [trade(1, 1, T0 // MS)], "type": "trade"}),
    )
    (said,) = [e for e in out if isinstance(e, Status) and e.kind == "rejected"]
    assert said.reason == "finnhub refused something: Subscribing to too many symbols"
    assert [e.price for e in out if isinstance(e, Trade)] == [1.0]
