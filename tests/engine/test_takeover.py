"""A planned reconnect: two connections carry the same streams for a while, in any interleaving, and every event comes exactly once."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeline.engine.pipeline import Pipeline
from tapeline.events import Bar, BookUpdate, Event, Quote, Ticker, Trade
from tapeline.frames import Frame
from tests.engine.feeds import (
    FUTURES,
    MS,
    SECOND,
    SPOT,
    T0,
    Market,
    answer,
    closed,
    opened,
    play,
    recv,
    sent,
    statuses,
    tick,
    ticker,
    trade,
)

DATA = (Trade, BookUpdate, Quote, Ticker, Bar)


def messages(market: Market, count: int) -> list[Any]:
    """A feed's messages: diffs, trades, quotes and tickers, all numbered or timed by the venue."""
    ms, made = T0 // MS, []
    for i in range(count):
        kind = market.random.choice(("diff", "trade", "trade", "quote", "ticker"))
        if kind == "diff":
            made.append(market.diff(ms + i))
        elif kind == "trade":
            made.append(trade(sum(m["stream"].endswith("@trade") for m in made) + 1, ms + i, size=f"{i + 1}.5"))
        elif kind == "quote":
            made.append(ticker(1_000 + i))
        else:
            data = {
                "e": "24hrTicker",
                "E": ms + i,
                "s": "BTCUSDT",
                "c": str(i + 1),
                "o": "1",
                "h": "1",
                "l": "1",
                "v": "1",
                "q": "1",
            }
            made.append({"stream": "btcusdt@ticker", "data": data})
    return made


def content(events: list[Event]) -> list[tuple[Any, ...]]:
    """What was said, by kind and in order, apart from when we received it."""
    found = []
    for e in events:
        if isinstance(e, DATA):
            values = {f: getattr(e, f) for f in e.__struct_fields__ if f != "ts_recv"}
            found.append((type(e).__name__, json.dumps(values)))
    return sorted(found, key=lambda f: f[0])  # stable: the order within a kind stays


def run(frames: list[Frame]) -> tuple[list[Event], Pipeline]:
    pipeline = Pipeline()
    events = play(frames, pipeline)
    pipeline.finish(events)
    return events, pipeline


def single(market: Market, feed: list[Any], venue: str, start: Any) -> list[Event]:
    frames = [opened(venue=venue), *(recv(T0, m) for m in feed)]
    frames.insert(2, answer(T0, start, venue=venue))
    return run(frames)[0]


def double(feed: list[Any], order: list[int], begin: int, end: int, venue: str, start: Any) -> tuple[list[Event], Pipeline]:
    """Connection 1 sends feed[:end], connection 2 feed[begin:], each in order, interleaved as `order` says; 1 then closes."""
    frames = [opened(venue=venue)]
    old, new = list(feed[:end]), list(feed[begin:])
    for m in old[:begin]:
        frames.append(recv(T0, m))
        if len(frames) == 2:
            frames.append(answer(T0, start, venue=venue))
    old = old[begin:]
    frames.append(opened(T0, 2, venue=venue, replaces=1))
    ready = len(feed[begin:end])
    for choice in order:
        if choice and old:
            frames.append(recv(T0, old.pop(0), 1))
        elif ready and new:
            frames.append(recv(T0, new.pop(0), 2))
            ready -= 1
    frames += [recv(T0, m, 1) for m in old]
    frames.append(closed(T0, 1, 1000, planned=True))
    frames += [recv(T0, m, 2) for m in new]
    return run(frames)


@pytest.mark.parametrize("venue", [SPOT, FUTURES])
@settings(max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    cut=st.tuples(st.integers(5, 150), st.integers(0, 145)),
    order=st.lists(st.integers(0, 1), max_size=300),
)
def test_any_interleaving_equals_the_single_connection(venue: str, seed: int, cut: tuple[int, int], order: list[int]) -> None:
    market = Market(seed, futures=venue == FUTURES)
    start = market.snapshot()
    feed = [market.diff(), *messages(market, 160)]
    begin, end = cut[0], min(len(feed), cut[0] + cut[1])
    wanted = single(market, feed, venue, start)
    events, pipeline = double(feed, order, begin, end, venue, start)
    assert content(events) == content(wanted)
    assert not statuses(events, "gap", "rejected", "crossed", "late")
    assert pipeline.stats()["gaps"] == pipeline.stats()["resyncs"] == 0


@pytest.mark.parametrize("overlap", [10, 60, 400])
def test_an_overlap_of_any_length_is_no_restart_of_the_numbers(overlap: int) -> None:
    """Fifty old ids in a row mean a restart elsewhere; here they are what an overlap is."""
    market = Market(1)
    start = market.snapshot()
    feed = [x for i in range(600) for x in (market.diff(), trade(i + 1, T0 // MS + i), ticker(i + 1))]
    events, pipeline = double(feed, [0, 1] * 3 * overlap, 90, 90 + 3 * overlap, SPOT, start)
    assert not statuses(events, "gap", "recovered")
    assert sum(isinstance(e, Trade) for e in events) == 600
    assert content(events) == content(single(market, feed, SPOT, start))
    assert pipeline.stats()["gaps"] == 0


def test_what_neither_connection_brought_is_a_gap() -> None:
    market = Market(2)
    start = market.snapshot()
    feed = [market.diff(), *messages(market, 100)]
    events, _ = double(feed, [], 60, 40, SPOT, start)
    assert statuses(events, "gap", channel="book")
    assert statuses(events, "gap", channel="trades")


def test_an_unplanned_loss_is_taken_over_too() -> None:
    market = Market(3)
    start = market.snapshot()
    diffs = [market.diff() for _ in range(10)]
    frames = [
        opened(),
        recv(T0, diffs[0]),
        answer(T0, start),
        opened(T0, 2, replaces=1),
        recv(T0, diffs[1], 2),
        recv(T0, diffs[1], 1),
    ]
    events, _ = run([*frames, closed(T0, 1, 1006), *(recv(T0, d, 2) for d in diffs[2:])])
    assert not statuses(events, "gap")
    assert [e.kind for e in statuses(events, channel="book")] == ["resyncing", "synced"]


def test_a_successor_that_dies_first_changes_nothing() -> None:
    market = Market(4)
    start = market.snapshot()
    diffs = [market.diff() for _ in range(10)]
    frames = [opened(), recv(T0, diffs[0]), answer(T0, start), opened(T0, 2, replaces=1), recv(T0, diffs[1], 2), closed(T0, 2)]
    events, pipeline = run([*frames, *(recv(T0, d, 1) for d in diffs[1:])])
    assert sum(isinstance(e, BookUpdate) for e in events) == 11
    assert set(pipeline.connections) == {1}


def test_a_successor_of_a_successor_takes_over_from_the_first() -> None:
    """2 was to replace 1 and dies while 1 still speaks; 3, which was to replace 2, now waits for 1."""
    market = Market(5)
    start = market.snapshot()
    diffs = [market.diff() for _ in range(10)]
    frames = [
        opened(),
        recv(T0, diffs[0]),
        answer(T0, start),
        opened(T0, 2, replaces=1),
        opened(T0, 3, replaces=2),
        closed(T0, 2),
    ]
    frames += [
        recv(T0, diffs[1], 1),
        recv(T0, diffs[1], 3),
        recv(T0, diffs[2], 3),
        closed(T0, 1),
        *(recv(T0, d, 3) for d in diffs[3:]),
    ]
    events, _ = run(frames)
    assert sum(isinstance(e, BookUpdate) for e in events) == 11
    assert not statuses(events, "gap")
    assert [e.kind for e in statuses(events, channel="book")] == ["resyncing", "synced"]


def test_a_refused_subscription_of_a_successor_is_told_once() -> None:
    ask = {"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1}
    error = {"error": {"code": 2, "msg": "Invalid request"}, "id": 1}
    frames = [opened(), opened(T0, 2, replaces=1), sent(T0, ask, 2), recv(T0, error, 2), closed(T0, 1, 1000, planned=True)]
    events, pipeline = run(frames)
    (refused,) = statuses(events, "rejected")
    assert "btcusdt@trade" in refused.reason and "Invalid request" in refused.reason
    assert pipeline.rejected == 1


def test_streams_that_the_successor_does_not_carry_are_not_called_stale_for_ever() -> None:
    frames = [opened(streams=("btcusdt@trade", "ethusdt@trade")), opened(T0, 2, streams=("btcusdt@trade",), replaces=1)]
    frames += [closed(T0, 1, 1000, planned=True), *(tick(T0 + i * SECOND) for i in range(700))]
    assert {e.instrument for e in statuses(run(frames)[0], "stale")} == {"binance:BTC-USDT"}
