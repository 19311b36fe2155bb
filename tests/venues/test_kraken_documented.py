"""Every message that Kraken's documents print, or that was seen live, with what it means: written down from the documents."""

import json
from pathlib import Path
from typing import Any

import pytest

from tapeline.clock import parse_iso
from tapeline.engine.pipeline import Pipeline
from tapeline.events import Bar, Flag, Quote, Status, Ticker, Trade
from tapeline.venues.base import UNNUMBERED, Ack, Asked, BookMessage, Past, Stream
from tapeline.venues.kraken import Kraken
from tests.engine.feeds import T0, statuses
from tests.venues.kraken_feeds import NOW, candle, decoded, decoder, ohlc, streamed, trade

US = 1000


def payload(frames: Path, name: str) -> Any:
    return json.loads((frames / "documented" / "kraken_v2" / f"{name}.json").read_text())["payload"]


def wire(frames: Path, name: str) -> bytes:
    return json.dumps(payload(frames, name), separators=(",", ":")).encode()


def test_every_document_of_spot_has_its_test(shared_frames: Path) -> None:
    """Level 3 and futures are other feeds, which we do not ask for."""
    names = {p.stem for p in (shared_frames / "documented" / "kraken_v2").glob("*.json")}
    assert {n for n in names if "_l3_" not in n and "_futures_" not in n} == {
        "heartbeat", "instrument_pair", "nautilus_ws_book_snapshot", "nautilus_ws_book_update", "nautilus_ws_ohlc_update",
        "nautilus_ws_pong", "nautilus_ws_subscribe_response", "nautilus_ws_ticker_snapshot", "nautilus_ws_trade_update",
        "ohlc_subscribe_ack_live", "ohlc_update_live", "ping", "pong", "status_live", "subscribe_ack_live", "subscribe_book",
        "subscribe_error", "ticker_snapshot_live", "trade_update",
    }  # fmt: skip


def test_book(shared_frames: Path) -> None:
    (m,) = decoded(wire(shared_frames, "nautilus_ws_book_snapshot"))
    assert isinstance(m, BookMessage)
    assert (m.native, m.kind, m.seq, m.prev_seq) == ("BTC/USD", "snapshot", UNNUMBERED, UNNUMBERED)
    assert m.bids == [(105944.2, 0.136), (105935.4, 0.024), (105920.1, 0.052)]
    assert m.asks == [(105944.3, 0.136), (105946.9, 0.095), (105955.8, 0.003)]
    assert (m.checksum, m.ts_event, m.flags) == (2439117997, parse_iso("2023-10-06T17:35:55.440295Z"), 0)
    assert list(m.bid_texts) == [("1059442", "136"), ("1059354", "24"), ("1059201", "52")]
    (m,) = decoded(wire(shared_frames, "nautilus_ws_book_update"))
    assert isinstance(m, BookMessage)
    assert (m.kind, m.bids, m.asks, m.checksum) == ("diff", [(105944.2, 0.25)], [], 2114181697)


def test_trades(shared_frames: Path) -> None:
    assert decoded(wire(shared_frames, "trade_update")) == [
        Trade("kraken:BTC-USD", parse_iso("2026-07-10T00:00:00.123456Z"), T0, 0, 100.1, 0.25, "buy", "123")
    ]
    one, other = decoded(wire(shared_frames, "nautilus_ws_trade_update"))
    assert (one.id, one.side, one.price, one.size) == ("10218208", "buy", 105944.2, 0.00027625)
    assert (other.id, other.side, other.price, other.size) == ("10218209", "sell", 105910.5, 0.0001246)
    assert other.ts_event - one.ts_event == 683_161 * US


def test_ticker(shared_frames: Path) -> None:
    ts = parse_iso("2026-08-12T19:29:00.921195Z")
    assert decoded(wire(shared_frames, "ticker_snapshot_live")) == [
        Ticker("kraken:BTC-USD", ts, T0, 0, 63297.8, None, 64409.2, 63250.0, 1020.88387727, change_pct=0.0),
        Quote("kraken:BTC-USD", ts, T0, 0, 63297.7, 5.75119051, 63297.8, 0.36977971, None, "venue"),
    ]
    ticker, quote = decoded(wire(shared_frames, "nautilus_ws_ticker_snapshot"))
    assert (ticker.last, ticker.volume, ticker.change_pct) == (105899.4, 163.28908096, 0.24)
    assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == (105944.2, 2.5, 105944.3, 3.2)


def test_candles(shared_frames: Path) -> None:
    (bar,) = decoded(wire(shared_frames, "ohlc_update_live"))
    assert bar == Bar(
        "kraken:BTC-USD", parse_iso("2026-08-12T19:28:44.084233010Z"), T0, 0, "1m", parse_iso("2026-08-12T19:28:00Z"),
        63301.6, 63301.6, 63297.7, 63297.7, 0.04121249, None, None, 63298.2, 27, False, 0, "venue",
    )  # fmt: skip
    (bar,) = decoded(wire(shared_frames, "nautilus_ws_ohlc_update"))
    assert (bar.close, bar.trades, bar.ts_event, bar.flags) == (106040.1, 12, T0, Flag.NO_VENUE_TIME)


def test_instrument(shared_frames: Path) -> None:
    reader = decoder()
    assert decoded(wire(shared_frames, "instrument_pair"), into=reader) == []
    assert reader.registry.listed
    listed = reader.registry.by_id["kraken:GST-USD"]
    assert (listed.native, listed.kind, listed.base, listed.quote) == ("GST/USD", "spot", "GST", "USD")
    assert (listed.tick, listed.lot, listed.status) == (0.001, 1e-08, "online")


@pytest.mark.parametrize("name", ["heartbeat", "status_live", "pong", "nautilus_ws_pong"])
def test_what_says_nothing_new(shared_frames: Path, name: str) -> None:
    """`connection_id` of a live status exceeds 2⁶³."""
    reader = decoder()
    assert decoded(wire(shared_frames, name), into=reader) == []
    assert reader.unknown == {}
    assert Kraken().is_ack(wire(shared_frames, name)) is False


def test_subscription_and_its_answer(shared_frames: Path) -> None:
    """Ours differs from the document's in the number alone: it says what it is about, because refusals do not."""
    streams = [Stream(f"book-10:{s}", "book", "") for s in ("ALGO/USD", "MATIC/USD")]
    (ours,) = Kraken().subscribe(streams, 1)
    theirs = payload(shared_frames, "subscribe_book")
    assert json.loads(ours) == {**theirs, "req_id": 104}
    assert Kraken().asked(ours) == Asked(104, ("book-10:ALGO/USD", "book-10:MATIC/USD"))
    assert Kraken().acks([ours]) == 2
    (gone,) = Kraken().unsubscribe(streams[:1], 7)
    assert json.loads(gone) == {
        "method": "unsubscribe", "params": {"channel": "book", "symbol": ["ALGO/USD"], "depth": 10}, "req_id": 704,
    }  # fmt: skip
    assert Kraken().asked(gone) == Asked(704, ("book-10:ALGO/USD",), gone=True)
    acked = wire(shared_frames, "subscribe_ack_live")
    assert decoded(acked) == [Ack(None, "", ("book-10:ETH/BTC",))]
    assert Kraken().is_ack(acked)


def test_the_document_of_a_ticker_says_less_than_our_number(shared_frames: Path) -> None:
    raw = payload(shared_frames, "nautilus_ws_subscribe_response")
    assert decoded(json.dumps(raw).encode()) == [Ack(1, "", ("ticker:BTC/USD",))]
    named = {**raw, "req_id": 103}
    assert decoded(json.dumps(named).encode()) == [Ack(103, "", ("ticker-bbo:BTC/USD",))]
    del raw["req_id"]
    assert decoded(json.dumps(raw).encode()) == [Ack(None, "", ("ticker:BTC/USD",))]
    raw["result"]["event_trigger"] = "bbo"
    assert decoded(json.dumps(raw).encode()) == [Ack(None, "", ("ticker-bbo:BTC/USD",))]


def test_warnings_are_counted(shared_frames: Path) -> None:
    reader = decoder()
    (ack,) = decoded(wire(shared_frames, "ohlc_subscribe_ack_live"), into=reader)
    assert ack == Ack(1, "", ("ohlc-1:BTC/USD",))
    assert reader.unknown == {"warning: timestamp is deprecated, use in": 1}


def test_a_refusal_names_its_stream_by_our_number(shared_frames: Path) -> None:
    raw = payload(shared_frames, "subscribe_error")
    (ack,) = decoded(json.dumps({**raw, "req_id": 101}).encode())
    assert ack == Ack(101, "Currency pair not supported UNI/USD", ("trade:UNI/USD",))
    assert Kraken().is_ack(json.dumps(raw).encode())


@pytest.mark.parametrize("error", ["Already subscribed", "Exceeded msg rate", "Malformed request"])
def test_refusals_without_a_symbol(error: str) -> None:
    raw = {"error": error, "method": "subscribe", "success": False, "time_in": NOW, "time_out": NOW}
    assert decoded(json.dumps(raw).encode()) == [Ack(None, error)]
    events = streamed(raw)
    assert [s.kind for s in statuses(events)] == ["rejected"]
    assert error in statuses(events)[0].reason


def test_ping_is_no_subscription(shared_frames: Path) -> None:
    assert Kraken().asked(wire(shared_frames, "ping")) is None
    (plan,) = Kraken().plan([Kraken().derive("BTC/USD", "kraken")], ["trades"])
    assert json.loads(plan.client_ping or b"") == {"method": "ping"}
    assert Kraken().asked(plan.client_ping or b"") is None


# What the documents say in words


def test_trades_of_a_snapshot_are_no_new_ones() -> None:
    """The last 50, in no order that is promised."""
    rows = [json.loads(trade(n, kind="snapshot"))["data"][0] for n in (8, 6, 7)]
    rows.append({**rows[0], "symbol": "ETH/USD"})
    records = decoded(json.dumps({"channel": "trade", "type": "snapshot", "data": rows}).encode())
    assert [(p.instrument, [t.id for t in p.trades], p.asked) for p in records if isinstance(p, Past)] == [
        ("kraken:BTC-USD", ["6", "7", "8"], False),
        ("kraken:ETH-USD", ["8"], False),
    ]
    assert not [e for e in streamed(trade(5, kind="snapshot")) if isinstance(e, Trade)]


@pytest.mark.parametrize(
    ("system", "words"),
    [("maintenance", "no trades"), ("cancel_only", "only be cancelled"), ("post_only", "rest in the book"),
     ("limit_only", "no market orders"), ("gone_fishing", "not documented")],
)  # fmt: skip
def test_the_venues_own_state_is_told_with_what_it_means(system: str, words: str) -> None:
    def state(name: str) -> dict[str, Any]:
        return {"channel": "status", "type": "update", "data": [{"system": name, "version": "2", "connection_id": 2**64 - 1}]}

    first, *rest = (streamed(state("online"), state(system), state(system), state("online"))) or [None]
    assert isinstance(first, Status)
    assert (first.kind, first.venue, first.instrument) == ("stale", "kraken", "")
    assert system in first.reason
    assert words in first.reason
    assert [s.kind for s in statuses(rest)] == ["recovered"]


def test_a_pair_that_stops_to_trade_is_told() -> None:
    def told(status: str) -> dict[str, Any]:
        pair = {
            "symbol": "BTC/USD",
            "base": "BTC",
            "quote": "USD",
            "status": status,
            "price_increment": 0.1,
            "qty_increment": 1e-8,
        }
        return {"channel": "instrument", "type": "update", "data": {"assets": [], "pairs": [pair]}}

    pipeline = Pipeline()
    pipeline.feed_of("kraken", simulated=False).decoder.instrument("BTC/USD")
    events = streamed(told("online"), told("post_only"), told("post_only"), told("online"), pipeline=pipeline)
    assert [(s.kind, s.instrument) for s in statuses(events)] == [("stale", "kraken:BTC-USD"), ("recovered", "kraken:BTC-USD")]
    assert "nothing trades" in statuses(events)[0].reason
    assert not statuses(streamed(told("post_only"))), "of a pair that nobody asked for"
    registry = pipeline.feed_of("kraken", simulated=False).registry
    assert (registry.by_id["kraken:BTC-USD"].tick, registry.listed) == (0.1, False)  # one pair is no list


def test_a_candle_is_complete_when_the_next_one_begins() -> None:
    a, b = "2026-11-21T10:04:00.000000000Z", "2026-11-21T10:05:00.000000000Z"
    messages = [ohlc("update", candle(a, 101.0, 1)), ohlc("update", candle(a, 102.0, 2)), ohlc("update", candle(b, 103.0, 1))]
    bars = [e for e in streamed(*messages) if isinstance(e, Bar)]
    assert [(e.close, e.trades, e.complete) for e in bars] == [
        (101.0, 1, False),
        (102.0, 2, False),
        (102.0, 2, True),
        (103.0, 1, False),
    ]
    assert bars[2].ts_event == parse_iso(b)
    again = streamed(*messages, messages[0], messages[2])  # repeated: no candle is complete twice
    assert sum(e.complete for e in again if isinstance(e, Bar)) == 1


def test_a_snapshot_of_candles_completes_all_but_its_last_and_forgets_what_ran() -> None:
    a, b, c = (f"2026-11-21T10:0{n}:00.000000000Z" for n in (3, 4, 5))
    messages = [
        ohlc("update", candle(a, 1.0, 1)),  # then the connection was lost
        ohlc("snapshot", candle(b, 104.0, 9), candle(a, 103.0, 5), candle(c, 105.0, 1)),
    ]
    bars = [e for e in streamed(*messages) if isinstance(e, Bar)][1:]
    assert [(e.close, e.complete, bool(e.flags & Flag.RECOVERED)) for e in bars] == [
        (103.0, True, True), (104.0, True, True), (105.0, False, False),
    ]  # fmt: skip


def test_figures_of_24_hours_are_given_when_they_change() -> None:
    def ticker(kind: str, bid: float, last: float) -> dict[str, Any]:
        row = {"symbol": "BTC/USD", "bid": bid, "bid_qty": 1.0, "ask": 101.0, "ask_qty": 1.0, "last": last, "volume": 5.0, "low": 1.0,
               "high": 2.0, "change_pct": 0.5, "timestamp": NOW}  # fmt: skip
        return {"channel": "ticker", "type": kind, "data": [row]}

    events = streamed(ticker("snapshot", 99.0, 100.0), ticker("update", 99.5, 100.0), ticker("update", 99.5, 100.5))
    assert [e.bid for e in events if isinstance(e, Quote)] == [99.0, 99.5, 99.5]
    assert [e.last for e in events if isinstance(e, Ticker)] == [100.0, 100.5]


def test_streams_of_a_plan() -> None:
    """Quotes and ticker share a channel; one ack a symbol; pairs that stop to trade are told."""
    kraken = Kraken()
    instruments = [kraken.derive(native, "kraken") for native in ("BTC/USD", "ETH/USD")]
    (plan,) = kraken.plan(instruments, ["trades", "book", "quotes", "ticker", "bars", "liquidations"])
    assert plan.url == "wss://ws.kraken.com/v2"
    assert [s.name for s in plan.streams[:4]] == ["trade:BTC/USD", "book-100:BTC/USD", "ticker-bbo:BTC/USD", "ohlc-1:BTC/USD"]
    assert all(kraken.stream(s.name) == (s.channel, s.name.partition(":")[2]) for s in plan.streams)
    told = [json.loads(message) for message in plan.hello]
    assert [t["params"] for t in told] == [
        {"channel": "instrument", "snapshot": False},
        {"channel": "trade", "symbol": ["BTC/USD", "ETH/USD"], "snapshot": True},
        {"channel": "book", "symbol": ["BTC/USD", "ETH/USD"], "depth": 100, "snapshot": True},
        {"channel": "ticker", "symbol": ["BTC/USD", "ETH/USD"], "event_trigger": "bbo", "snapshot": True},
        {"channel": "ohlc", "symbol": ["BTC/USD", "ETH/USD"], "interval": 1, "snapshot": True},
    ]
    assert len({t["req_id"] for t in told}) == len(told)
    assert plan.acks == 9
    names = [name for message in plan.hello if (a := kraken.asked(message)) is not None for name in a.names]
    assert set(names) == {s.name for s in plan.streams}
    assert len(names) == len(plan.streams) == plan.acks - 1


def test_many_streams_are_spread_over_connections_and_messages() -> None:
    kraken = Kraken()
    plans = kraken.plan([kraken.derive(f"A{n}/USD", "kraken") for n in range(300)], ["trades", "book"])
    assert [len(p.streams) for p in plans] == [500, 100]
    assert [p.acks for p in plans] == [501, 101]
    assert max(len(json.loads(m)["params"].get("symbol", ())) for p in plans for m in p.hello) == 50
    assert sorted(s.name for p in plans for s in p.streams) == sorted(
        name for p in plans for m in p.hello if (a := kraken.asked(m)) is not None for name in a.names
    )
