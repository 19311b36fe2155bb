"""What Bybit's numbers and answers mean once they run through the pipeline: gaps, restarts, categories, figures, lost trades."""

import json
from typing import Any

from tapeline.config import VenueSettings
from tapeline.engine.pipeline import Pipeline
from tapeline.events import Bar, Event, Flag, Quote, Trade
from tapeline.frames import Frame, FrameKind, Opened, pack
from tapeline.plans import Again, Request
from tapeline.venues.bybit import Bybit
from tests.engine.feeds import MS, T0, answer, book_quotes, closed, play, recv, sent, statuses, tick
from tests.venues.test_bybit import INVERSE, LINEAR, LISTED, SPOT, instruments, listing


def opened(url: str = LINEAR, conn: int = 1, streams: tuple[str, ...] = ()) -> Frame:
    return Frame(T0, FrameKind.OPENED, conn, pack(Opened(venue="bybit", url=url, streams=list(streams))))


def book(
    u: int, bids: Any = (), asks: Any = (), kind: str = "delta", topic: str = "orderbook.50.BTCUSDT", **more: Any
) -> dict[str, Any]:
    data = {"s": "BTCUSDT", "b": list(bids), "a": list(asks), "u": u, "seq": u * 3}
    return {"topic": topic, "type": kind, "ts": T0 // MS, "data": data, "cts": T0 // MS - 2, **more}


WHOLE = ([["100.0", "1"], ["99.0", "2"]], [["101.0", "3"], ["102.0", "4"]])


def run(*messages: dict[str, Any], pipeline: Pipeline | None = None) -> list[Event]:
    return play([opened(), *(recv(T0, m) for m in messages)], pipeline)


def touch(event: Quote) -> tuple[Any, ...]:
    return event.bid, event.bid_size, event.ask, event.ask_size


def test_a_gap_asks_for_the_stream_to_begin_anew_and_its_snapshot_mends_the_book() -> None:
    pipeline = Pipeline()
    events = run(book(5, *WHOLE, "snapshot"), book(6, [["100.0", "7"]]), book(8, [["99.5", "1"]]), book(9), pipeline=pipeline)
    (gap,) = statuses(events, "gap")
    assert (gap.from_seq, gap.to_seq, gap.instrument) == (7, 7, "bybit:BTC-USDT-PERP")
    assert [r for r in pipeline.requests if isinstance(r, Again)] == [
        Again(instrument="bybit:BTC-USDT-PERP", attempt=0, not_before=T0)
    ]
    mended = play([recv(T0, book(20, *WHOLE, "snapshot")), recv(T0, book(21, [["100.0", "0"]]))], pipeline)
    assert [touch(q) for q in book_quotes(mended)] == [(100.0, 1.0, 101.0, 3.0), (99.0, 2.0, 101.0, 3.0)]
    assert pipeline.lanes["bybit:BTC-USDT-PERP"].sync.state.value == "synced"


def test_a_restart_of_the_venue_is_a_snapshot_whatever_its_type_says() -> None:
    pipeline = Pipeline()
    events = run(
        book(500, *WHOLE, "snapshot"), book(1, [["90.0", "1"]], [["91.0", "1"]]), book(2, [["90.5", "1"]]), pipeline=pipeline
    )
    assert [touch(q) for q in book_quotes(events)][1:] == [(90.0, 1.0, 91.0, 1.0), (90.5, 1.0, 91.0, 1.0)]
    assert pipeline.stats()["gaps"] == 0


def test_a_delisted_instruments_book_is_empty() -> None:
    events = run(book(500, *WHOLE, "snapshot"), book(1))
    assert touch(book_quotes(events)[-1]) == (None, None, None, None)


def test_a_snapshot_in_the_middle_replaces_the_book() -> None:
    events = run(book(5, *WHOLE, "snapshot"), book(9, [["50.0", "1"]], [["51.0", "1"]], "snapshot"), book(10, [["50.5", "1"]]))
    assert [touch(q) for q in book_quotes(events)][1:] == [(50.0, 1.0, 51.0, 1.0), (50.5, 1.0, 51.0, 1.0)]
    assert statuses(events, "gap") == []


def test_the_same_symbol_on_two_connections() -> None:
    """Spot's and the perpetual's books and tickers stand beside each other."""
    spot = opened(SPOT, 2)
    events = play([opened(), spot, recv(T0, book(5, *WHOLE, "snapshot")), recv(T0, book(70, *WHOLE, "snapshot"), 2),
                   recv(T0, book(6, [["100.5", "1"]])), recv(T0, book(71, [["100.7", "1"]]), 2)])  # fmt: skip
    assert [(q.instrument, q.seq, q.bid) for q in book_quotes(events)][2:] == [
        ("bybit:BTC-USDT-PERP", 6, 100.5),
        ("bybit:BTC-USDT", 71, 100.7),
    ]


def test_a_second_depth_of_the_same_book_is_left_aside() -> None:
    pipeline = Pipeline()
    events = run(
        book(5, *WHOLE, "snapshot"), book(70, *WHOLE, "snapshot", topic="orderbook.200.BTCUSDT"), book(6), pipeline=pipeline
    )
    assert [q.seq for q in book_quotes(events)] == [5, 6]
    (feed,) = pipeline.feeds.values()
    assert feed.decoder.unknown == {"orderbook.200 beside orderbook.50": 1}


def test_a_full_book_begins_over_http_and_again_where_its_numbers_begin_anew() -> None:
    settings = VenueSettings(streams={"book": "orderbook.full"})
    pipeline = Pipeline(venues={"bybit": settings})

    def full(u: int, bids: Any = ()) -> Frame:
        return recv(T0, book(u, bids, topic="orderbook.full.BTCUSDT"))

    def fetched(u: int) -> Frame:
        result = {"s": "BTCUSDT", "b": WHOLE[0], "a": WHOLE[1], "u": u, "seq": u * 3, "ts": T0 // MS, "cts": T0 // MS}
        return answer(
            T0, {"retCode": 0, "result": result}, native="spot/BTCUSDT", venue="bybit", url="full_orderbook?symbol=BTCUSDT"
        )

    def synced(last: int) -> list[tuple[Any, ...]]:
        made = play([fetched(last - 2), full(last, [["100.5", "9"]])], pipeline)
        return [touch(q) for q in book_quotes(made)]

    play([opened(SPOT), full(5000), full(5001, [["100.2", "4"]])], pipeline)
    (request,) = [r for r in pipeline.requests if isinstance(r, Request)]
    assert request.url == "https://api.bybit.com/v5/market/full_orderbook?category=spot&symbol=BTCUSDT"
    assert synced(5002) == [(100.0, 1.0, 101.0, 3.0), (100.2, 4.0, 101.0, 3.0), (100.5, 9.0, 101.0, 3.0)]
    events = play([full(1), full(2, [["100.2", "4"]])], pipeline)
    assert [s.kind for s in statuses(events)] == ["gap", "resyncing"]
    assert [r.purpose for r in pipeline.requests if isinstance(r, Request)] == ["book", "book"]
    assert synced(3) == [(100.0, 1.0, 101.0, 3.0), (100.2, 4.0, 101.0, 3.0), (100.5, 9.0, 101.0, 3.0)]
    assert statuses(play([full(5)], pipeline), "gap")[0].from_seq == 4


def test_level_one_is_a_quote_also_when_repeated_or_told_as_a_change() -> None:
    def one(u: int, bids: Any, asks: Any, kind: str = "snapshot") -> dict[str, Any]:
        return book(u, bids, asks, kind, "orderbook.1.BTCUSDT")

    events = run(
        one(5, [["100", "1"]], [["101", "2"]]),
        one(5, [["100", "1"]], [["101", "2"]]),  # 3 s later
        one(6, [["100", "0"], ["99", "3"]], [], "delta"),
        one(7, [["99", "0"]], [["101", "5"]], "delta"),
        one(8, [], [["102", "0"]], "delta"),
    )
    quotes = [e for e in events if isinstance(e, Quote)]
    assert [(q.seq, q.origin, *touch(q)) for q in quotes] == [
        (5, "venue", 100.0, 1.0, 101.0, 2.0),
        (5, "venue", 100.0, 1.0, 101.0, 2.0),
        (6, "venue", 99.0, 3.0, 101.0, 2.0),
        (7, "venue", None, None, 101.0, 5.0),
        (8, "venue", None, None, 101.0, 5.0),
    ]


def test_a_tickers_quote_gives_way_to_the_topic_of_quotes() -> None:
    ticker = {"topic": "tickers.BTCUSDT", "type": "snapshot", "ts": T0 // MS, "data": {
        "symbol": "BTCUSDT", "lastPrice": "100", "bid1Price": "99", "bid1Size": "1", "ask1Price": "", "ask1Size": ""}}  # fmt: skip
    events = run(ticker, book(5, [["99", "2"]], [["101", "2"]], "snapshot", "orderbook.1.BTCUSDT"), ticker)
    assert [touch(e) for e in events if isinstance(e, Quote)] == [(99.0, 1.0, None, None), (99.0, 2.0, 101.0, 2.0)]
    assert [type(e).__name__ for e in events].count("Ticker") == 2


def test_what_a_ticker_said_on_another_connection_is_not_continued() -> None:
    def ticker(kind: str, **data: str) -> dict[str, Any]:
        return {"topic": "tickers.BTCUSD", "type": kind, "ts": T0 // MS, "data": {"symbol": "BTCUSD", **data}}

    first, second = opened(INVERSE, 1), opened(INVERSE, 2)
    events = play([first, recv(T0, ticker("snapshot", lastPrice="100", volume24h="5000", turnover24h="50")), second,
                   recv(T0, ticker("delta", markPrice="101"), 2), recv(T0, ticker("delta", markPrice="102"), 1)])  # fmt: skip
    figures = [(e.last, e.mark, e.volume, e.notional) for e in events if type(e).__name__ == "Ticker"]  # type: ignore[attr-defined]
    assert figures == [(100.0, None, 5000.0, 5000.0), (None, 101.0, None, None), (100.0, 102.0, 5000.0, 5000.0)]


def test_trades_of_blocks_and_of_price_improvement_are_flagged_and_of_nothing_are_none() -> None:
    one = {"T": T0 // MS, "s": "BTCUSDT", "S": "Buy", "v": "1", "p": "100", "L": "PlusTick", "i": "a", "BT": False, "seq": 1}
    batch = [one, {**one, "i": "b", "BT": True}, {**one, "i": "c", "RPI": True, "S": "Sell"}, {**one, "i": "d", "v": "0"},
             {**one, "i": "e", "S": "None"}, {**one, "i": "f", "T": 1}]  # fmt: skip
    events = run({"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": T0 // MS, "data": batch})
    assert [(e.id, e.side, int(e.flags)) for e in events if isinstance(e, Trade)] == [
        ("a", "buy", 0),
        ("b", "buy", Flag.OFF_BOOK),
        ("c", "sell", Flag.RPI),
        ("e", "unknown", 0),
        ("f", "buy", Flag.BAD_TIME),
    ]


def test_a_refused_message_names_its_topics() -> None:
    venue = Bybit()
    (plan,) = venue.plan(instruments("linear/BTCUSDT", "linear/FOOUSDT"), ["trades"])
    error = "error:handler not found,topic:publicTrade.FOOUSDT"
    reply = {"success": False, "ret_msg": error, "conn_id": "c", "req_id": "linear/1", "op": "subscribe"}
    pipeline = Pipeline()
    streams = tuple(s.name for s in plan.streams)
    events = play([opened(LINEAR, 1, streams), sent(T0, json.loads(plan.hello[0])), recv(T0, reply)], pipeline)
    (refused,) = statuses(events, "rejected")
    assert refused.reason == f"bybit refused linear/publicTrade.BTCUSDT, linear/publicTrade.FOOUSDT: {error}"
    assert refused.count == 2
    assert not pipeline.connections[1].pending


def test_a_linear_acknowledgement_without_our_id_is_for_all_that_waits() -> None:
    (plan,) = Bybit().plan(instruments("linear/BTCUSDT"), ["trades", "book"])
    pipeline = Pipeline()
    reply = {"success": True, "ret_msg": "", "conn_id": "c", "req_id": "", "op": "subscribe"}
    play(
        [opened(LINEAR, 1, tuple(s.name for s in plan.streams)), sent(T0, json.loads(plan.hello[0])), recv(T0, reply)], pipeline
    )
    assert not pipeline.connections[1].pending
    assert all(s.acked for s in pipeline.connections[1].silences.values())


def test_an_instrument_list_names_what_streams() -> None:
    """Futures get their day from the list, in three answers."""
    lists = [answer(T0, listing(c, item), purpose="instruments", native="", venue="bybit") for c, item in LISTED.items()]
    events = play([*lists, opened(INVERSE, streams=("inverse/publicTrade.BTCUSDZ25",)), recv(T0, {
        "topic": "publicTrade.BTCUSDZ25", "type": "snapshot", "ts": T0 // MS,
        "data": [{"T": T0 // MS, "s": "BTCUSDZ25", "S": "Buy", "v": "500", "p": "97000.5", "L": "PlusTick", "i": "x", "BT": False}]})])  # fmt: skip
    assert [(e.instrument, e.size) for e in events if isinstance(e, Trade)] == [("bybit:BTC-USD-251226", 500.0)]


def test_unknown_topics_are_counted() -> None:
    pipeline = Pipeline()
    topics = (
        "orderbook.rpi.BTCUSDT",
        "adlAlert.USDT",
        "kline.7.BTCUSDT",
        "nothing",
        "priceLimit.BTCUSDT",
    )
    assert run(*({"topic": t, "data": {}} for t in topics), {"op": "auth", "success": True}, {}, pipeline=pipeline)[1:] == []
    (feed,) = pipeline.feeds.values()
    assert feed.decoder.unknown == {
        "orderbook.rpi": 1, "adlAlert": 1, "kline": 1, "nothing": 1, "priceLimit": 1, "auth": 1, "(other)": 1,
    }  # fmt: skip


def test_what_a_lost_connection_kept_back_is_fetched_block_trades_once_and_in_no_bar() -> None:
    """`a` and the block `b` came; `c` and the block `d` were missed; `e` is the first of the new connection."""

    def row(name: str, ms: int, *, block: bool = False) -> dict[str, Any]:
        return {"T": T0 // MS + ms, "s": "BTCUSDT", "S": "Buy", "v": "1", "p": "100", "i": name, "BT": block}

    def live(name: str, ms: int, conn: int, *, block: bool = False) -> Frame:
        message = {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": T0 // MS, "data": [row(name, ms, block=block)]}
        return recv(T0 + ms * MS, message, conn)

    def old(name: str, ms: int, *, block: bool = False) -> dict[str, Any]:
        return {
            "execId": name, "symbol": "BTCUSDT", "price": "100", "size": "1", "side": "Buy", "time": str(T0 // MS + ms), "isBlockTrade": block,
        }  # fmt: skip

    streams = ("linear/publicTrade.BTCUSDT",)
    pipeline = Pipeline()
    events = play(
        [
            opened(LINEAR, 1, streams),
            live("a", 1, 1),
            live("b", 2, 1, block=True),
            closed(T0 + 3 * MS),
            opened(LINEAR, 2, streams),
        ],
        pipeline,
    )
    events += play([live("e", 6, 2), tick(T0 + 1_500 * MS)], pipeline)
    (request,) = [r for r in pipeline.requests if isinstance(r, Request)]
    assert (request.purpose, request.native) == ("trades", "linear/BTCUSDT")
    body = {"retCode": 0, "result": {"category": "linear", "list": [
        old("e", 6), old("d", 5, block=True), old("c", 4), old("b", 2, block=True), old("a", 1),
    ]}}  # fmt: skip
    events += play(
        [answer(T0 + 1_600 * MS, body, purpose="trades", native="linear/BTCUSDT", venue="bybit"), tick(T0 + 9_000 * MS)],
        pipeline,
    )
    fetched = [(e.id, bool(e.flags & Flag.OFF_BOOK)) for e in events if isinstance(e, Trade) and e.flags & Flag.RECOVERED]
    assert fetched == [("c", False), ("d", True)]
    (*_, second) = [e for e in events if isinstance(e, Bar) and e.interval == "1s" and e.ts_open == T0]
    assert (second.trades, second.volume) == (3, 3.0)
