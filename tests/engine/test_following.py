"""What our own messages begin and end: the pipeline follows the SENT frames, whether the venue ever answers or not."""

from collections.abc import Sequence
from typing import Any

from tapeline.config import PipelineSettings
from tapeline.engine.pipeline import Pipeline
from tapeline.events import Bar, BookUpdate, Event, Quote, Trade
from tapeline.frames import Frame, FrameKind, Gone, pack
from tapeline.plans import Again
from tests.engine.feeds import (
    MS,
    SECOND,
    SPOT,
    T0,
    answer,
    book_quotes,
    closed,
    opened,
    play,
    recv,
    same,
    sent,
    snapshot,
    spot_diff,
    statuses,
    tick,
    ticker,
    trade,
)

BTC, ETH = "binance:BTC-USDT", "binance:ETH-USDT"
ETH_STREAMS = ("ethusdt@trade", "ethusdt@depth@100ms")


def begin(ts: int, *names: str, conn: int = 1, number: int = 7) -> Frame:
    return sent(ts, {"method": "SUBSCRIBE", "params": list(names), "id": number}, conn)


def end(ts: int, *names: str, conn: int = 1, number: int = 8) -> Frame:
    return sent(ts, {"method": "UNSUBSCRIBE", "params": list(names), "id": number}, conn)


def gone(ts: int, *names: str, venue: str = SPOT) -> Frame:
    return Frame(ts, FrameKind.GONE, 0, pack(Gone(venue=venue, streams=list(names))))


def book_of(ts: int, symbol: str = "BTCUSDT") -> list[Frame]:
    """A diff, the snapshot that it continues: a book that is right."""
    return [
        recv(ts, spot_diff(11, 12, [["100.0", "1"]], symbol=symbol)),
        answer(ts, snapshot(10, [["99.0", "1"]], [["101.0", "1"]]), native=symbol),
    ]


def trades_of(ts: int, numbers: Sequence[int], symbol: str = "BTCUSDT") -> list[Frame]:
    return [recv(ts, trade(n, ts // MS, symbol=symbol)) for n in numbers]


def run(*frames: Frame | list[Frame]) -> tuple[list[Event], Pipeline]:
    pipeline = Pipeline()
    flat = [f for item in frames for f in (item if isinstance(item, list) else [item])]
    return play(flat, pipeline), pipeline


def told(events: list[Event], kind: str, instrument: str = ETH) -> list[str]:
    return [s.channel for s in statuses(events, kind) if s.instrument == instrument]


def test_a_stream_that_is_begun_is_expected_to_speak_and_its_book_begins() -> None:
    events, pipeline = run(opened(), begin(T0 + SECOND, *ETH_STREAMS), tick(T0 + 100 * SECOND))
    assert told(events, "connected") == ["trades", "book"]
    assert {s.channel for s in statuses(events, "stale") if s.instrument == ETH} == {"trades", "book"}
    assert set(pipeline.connections[1].streams) >= set(ETH_STREAMS)
    events, pipeline = run(opened(), begin(T0, *ETH_STREAMS), book_of(T0, "ETHUSDT"))
    assert {q.instrument for q in book_quotes(events)} == {ETH}


def test_what_is_asked_for_at_the_start_is_told_of_once() -> None:
    names = ("btcusdt@trade", "btcusdt@depth@100ms")
    events, _ = run(opened(streams=names), begin(T0, *names))
    assert [s.kind for s in statuses(events)] == ["connected"]


def test_an_ended_book_is_cleared_with_a_status_and_what_still_comes_is_dropped() -> None:
    late = spot_diff(13, 14, [["100.5", "1"]])
    events, pipeline = run(
        opened(), book_of(T0), end(T0 + MS, "btcusdt@depth@100ms"), recv(T0 + MS, late), trades_of(T0 + MS, [1])
    )
    (over,) = statuses(events, "disconnected")
    assert (over.instrument, over.channel, over.reason) == (BTC, "book", "unsubscribed")
    assert isinstance(events[-1], Trade), "the other streams of the instrument go on"
    assert not [e for e in events[events.index(over) :] if isinstance(e, BookUpdate)]
    assert pipeline.lanes[BTC].sync.state.value == "invalid"
    assert pipeline.stats()["gaps"] == 0
    assert [r for r in pipeline.requests if r.not_before > T0] == []


def test_an_instrument_that_ends_gives_out_its_bars_as_incomplete_and_is_forgotten() -> None:
    frames = [opened(streams=("btcusdt@trade", "ethusdt@trade")), trades_of(T0, [1]), trades_of(T0, [5], "ETHUSDT")]
    events, pipeline = run(*frames, end(T0 + MS, "ethusdt@trade"), trades_of(T0 + MS, [6], "ETHUSDT"), trades_of(T0 + MS, [2]))
    bars = [e for e in events if isinstance(e, Bar)]
    assert {b.instrument for b in bars} == {ETH}
    assert not any(b.complete for b in bars)
    assert {b.interval: b.trades for b in bars}["1m"] == 1
    assert set(pipeline.lanes) == {BTC}
    assert [t.id for t in events if isinstance(t, Trade)] == ["1", "5", "2"]
    later = play([tick(T0 + 400 * SECOND)], pipeline)
    assert ETH not in {e.instrument for e in later}, "nothing of it is stale, no bar of it closes"


def test_one_that_comes_back_begins_anew_and_misses_nothing() -> None:
    frames = [opened(streams=("btcusdt@trade", "ethusdt@trade")), trades_of(T0, [5], "ETHUSDT"), end(T0 + MS, "ethusdt@trade")]
    frames += [begin(T0 + SECOND, "ethusdt@trade"), trades_of(T0 + SECOND, [900, 901], "ETHUSDT")]
    events, pipeline = run(*frames)
    assert not statuses(events, "gap")
    assert [t.id for t in events if isinstance(t, Trade)] == ["5", "900", "901"]
    assert pipeline.lanes[ETH].trades.gaps == 0


def test_what_is_said_again_by_another_connection_at_once_is_dropped_and_by_numbers_that_began_anew_later_is_not() -> None:
    frames = [opened(streams=("ethusdt@trade",)), trades_of(T0, [5, 6], "ETHUSDT"), end(T0 + MS, "ethusdt@trade")]
    again = [
        opened(T0 + 2 * MS, 2, streams=("ethusdt@trade",)),
        *(recv(T0 + 3 * MS, trade(n, T0 // MS, symbol="ETHUSDT"), 2) for n in (6, 7)),
    ]
    events, pipeline = run(*frames, again)
    assert [t.id for t in events if isinstance(t, Trade)] == ["5", "6", "7"]
    assert pipeline.stats()["gaps"] == 0
    later = T0 + 10 * SECOND
    events, _ = run(*frames, opened(later, 2, streams=("ethusdt@trade",)), recv(later, trade(1, T0 // MS, symbol="ETHUSDT"), 2))
    assert [t.id for t in events if isinstance(t, Trade)] == ["5", "6", "1"]


def test_a_snapshot_that_was_under_way_brings_nothing_back() -> None:
    late = answer(T0 + SECOND, snapshot(10, [["99.0", "1"]], [["101.0", "1"]]), native="ETHUSDT")
    first = recv(T0, spot_diff(11, 12, symbol="ETHUSDT"))
    events, pipeline = run(opened(), begin(T0, *ETH_STREAMS), first, end(T0, *ETH_STREAMS), late)
    assert set(pipeline.lanes) == {BTC}
    assert not [e for e in events if isinstance(e, Quote)]


def test_quotes_of_another_channel_of_the_same_instrument_stay() -> None:
    events, _ = run(opened(), end(T0, "btcusdt@trade"), recv(T0, ticker(3)), trades_of(T0, [1]))
    assert len([e for e in events if isinstance(e, Quote)]) == 1
    assert not [e for e in events if isinstance(e, Trade)]


def test_a_refused_beginning_is_told_with_its_streams() -> None:
    error = {"error": {"code": 2, "msg": "Invalid request"}, "id": 7}
    events, _ = run(opened(), begin(T0, "ethusdt@trade"), recv(T0, error))
    (refused,) = statuses(events, "rejected")
    assert "ethusdt@trade" in refused.reason


# Reconnects


def test_a_successor_in_progress_follows_both_ways() -> None:
    """The change goes out on both connections; the elder speaks, and what the successor was told counts once it takes over."""
    names = ("btcusdt@trade", "ethusdt@trade")
    frames = [opened(streams=names), opened(T0, 2, streams=names, replaces=1)]
    for conn in (1, 2):
        frames += [end(T0 + MS, "ethusdt@trade", conn=conn), begin(T0 + MS, "solusdt@trade", conn=conn)]
    frames += [recv(T0 + MS, trade(1, T0 // MS, symbol="SOLUSDT"), 2), recv(T0 + MS, trade(1, T0 // MS, symbol="SOLUSDT"), 1)]
    frames += [closed(T0 + SECOND, 1, 1000, planned=True), recv(T0 + SECOND, trade(2, T0 // MS, symbol="SOLUSDT"), 2)]
    events, pipeline = run(frames)
    assert [t.id for t in events if isinstance(t, Trade)] == ["1", "2"]
    assert told(events, "disconnected") == ["trades"]
    assert told(events, "connected", "binance:SOL-USDT") == ["trades"]
    assert set(pipeline.lanes) == {BTC, "binance:SOL-USDT"}
    assert set(pipeline.lanes["binance:SOL-USDT"].silences) == {"solusdt@trade"}


def test_what_a_successor_held_of_before_a_stream_ended_is_not_given_out_when_it_began_again() -> None:
    names = ("btcusdt@trade", "ethusdt@trade")
    frames = [opened(streams=names), opened(T0, 2, streams=names, replaces=1)]
    frames += [recv(T0, trade(n, T0 // MS, symbol="ETHUSDT"), conn) for n in (1, 2) for conn in (1, 2)]
    for conn in (1, 2):
        frames += [end(T0 + MS, "ethusdt@trade", conn=conn), begin(T0 + 2 * MS, "ethusdt@trade", conn=conn)]
    frames += [recv(T0 + 3 * MS, trade(5, T0 // MS, symbol="ETHUSDT"), conn) for conn in (1, 2)]
    events, pipeline = run(
        *frames, closed(T0 + SECOND, 1, 1000, planned=True), recv(T0 + SECOND, trade(6, T0 // MS, symbol="ETHUSDT"), 2)
    )
    assert [t.id for t in events if isinstance(t, Trade)] == ["1", "2", "5", "6"]
    assert pipeline.stats()["gaps"] == 0


def test_a_successor_that_was_opened_with_the_last_word_does_not_say_again_what_the_elder_said() -> None:
    """The elder lags behind with what it has to send: it ends and begins what its successor has carried from the start."""
    names = ("btcusdt@trade", "ethusdt@trade")
    frames = [opened(streams=names), opened(T0, 2, streams=names, replaces=1)]
    frames += [recv(T0, trade(n, T0 // MS, symbol="ETHUSDT"), conn) for n in (1, 2) for conn in (1, 2)]
    frames += [end(T0 + MS, "ethusdt@trade"), recv(T0 + 2 * MS, trade(3, T0 // MS, symbol="ETHUSDT"), 2)]
    events, pipeline = run(
        *frames, closed(T0 + SECOND, 1, 1000, planned=True), recv(T0 + SECOND, trade(4, T0 // MS, symbol="ETHUSDT"), 2)
    )
    assert [t.id for t in events if isinstance(t, Trade)] == ["1", "2", "3", "4"]
    assert pipeline.stats()["gaps"] == 0


def test_streams_that_went_without_a_message_are_told_by_their_frame() -> None:
    names = ("btcusdt@trade", "ethusdt@trade")
    frames = [opened(streams=names), trades_of(T0, [5], "ETHUSDT"), closed(T0 + SECOND), gone(T0 + SECOND, "ethusdt@trade")]
    events, pipeline = run(*frames, opened(T0 + 2 * SECOND, 2, streams=("btcusdt@trade",)))
    assert told(events, "disconnected") == ["trades"]
    assert {e.instrument for e in events if isinstance(e, Bar)} == {ETH}
    assert set(pipeline.lanes) == {BTC}


def test_a_stream_that_another_connection_carries_is_not_gone() -> None:
    frames = [
        opened(streams=("btcusdt@trade", "ethusdt@trade")),
        opened(T0, 2, streams=("ethusdt@trade",)),
        closed(T0 + SECOND),
    ]
    frames += [gone(T0 + SECOND, "ethusdt@trade"), gone(T0 + SECOND, "btcusdt@trade", venue="binance-usdm")]
    events, pipeline = run(*frames, recv(T0 + SECOND, trade(1, T0 // MS, symbol="ETHUSDT"), 2))
    assert not told(events, "disconnected")
    assert isinstance(events[-1], Trade)
    assert set(pipeline.lanes) == {BTC, ETH}


def test_what_is_left_of_an_instrument_whose_connection_is_down_keeps_its_trade_ids() -> None:
    names = ("btcusdt@trade", "btcusdt@depth@100ms")
    frames = [opened(streams=names), trades_of(T0, [5]), closed(T0 + SECOND), gone(T0 + SECOND, names[1])]
    events, _ = run(*frames, opened(T0 + SECOND, 2, streams=names[:1]), recv(T0 + SECOND, trade(9, T0 // MS), 2))
    (hole,) = statuses(events, "gap")
    assert (hole.from_seq, hole.to_seq) == (6, 8)


# Books begun anew (`Again`): the end of the stream is its first half


def anew_pipeline() -> Pipeline:
    """One whose book waits for its stream to be begun anew, as where books begin on the socket."""
    pipeline = Pipeline()
    play([opened(), *book_of(T0)], pipeline)
    lane = pipeline.lanes[BTC]
    lane.sync._ask = lambda attempt, at: Again(instrument=BTC, attempt=attempt, not_before=at)
    play([recv(T0 + MS, spot_diff(20, 21))], pipeline)
    assert isinstance(pipeline.requests[-1], Again)
    assert lane.sync.awaits_stream
    return pipeline


def test_the_end_of_a_stream_that_is_begun_anew_ends_nothing() -> None:
    pipeline = anew_pipeline()
    name = "btcusdt@depth@100ms"
    events = play([end(T0 + SECOND, name), recv(T0 + SECOND, spot_diff(22, 23)), begin(T0 + 2 * SECOND, name)], pipeline)
    assert events == []
    assert name in pipeline.lanes[BTC].silences
    assert pipeline.lanes[BTC].sync.awaits_stream, "its backoff goes on"
    assert not statuses(play([tick(T0 + 5 * SECOND), tick(T0 + 9 * SECOND)], pipeline), "disconnected")


def test_one_that_is_not_begun_again_is_over_after_a_while() -> None:
    pipeline = anew_pipeline()
    events = play([end(T0 + SECOND, "btcusdt@depth@100ms"), *(tick(T0 + n * SECOND) for n in range(2, 40))], pipeline)
    assert told(events, "disconnected", BTC) == ["book"]
    assert not statuses(events, "resyncing")


def test_a_reconnect_in_between_is_a_beginning_too() -> None:
    pipeline = anew_pipeline()
    frames = [end(T0 + SECOND, "btcusdt@depth@100ms"), closed(T0 + 2 * SECOND), opened(T0 + 3 * SECOND, 2)]
    events = play([*frames, *(tick(T0 + n * SECOND) for n in range(4, 30))], pipeline)
    assert not told(events, "disconnected", BTC)


def test_the_same_frames_give_the_same_events_however_they_are_grouped() -> None:
    frames: list[Any] = [
        opened(),
        *book_of(T0),
        begin(T0, *ETH_STREAMS),
        *trades_of(T0, [1, 2], "ETHUSDT"),
        *book_of(T0, "ETHUSDT"),
    ]
    frames += [
        end(T0 + SECOND, "btcusdt@trade", "ethusdt@trade"),
        *trades_of(T0 + SECOND, [3], "ETHUSDT"),
        gone(T0 + SECOND, "btcusdt@bookTicker"),
    ]
    once = play(frames)
    many: list[Event] = []
    Pipeline(PipelineSettings()).feed_many(0, frames, many)
    same(once, many)
