"""Two connections with the same streams: whatever the order they deliver in, and wherever one of them dies, every trade comes once,
none is missing, and the book is the market's.
"""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeline.engine.pipeline import Pipeline
from tapeline.events import BookUpdate, Event, Flag, Quote, Status, Ticker, Trade
from tapeline.frames import Frame
from tests.engine.feeds import MS, SECOND, T0, Market, answer, closed, opened, play, recv, statuses, trade

SNAPSHOT = {"purpose": "book", "native": "BTCUSDT"}


def feed(market: Market, count: int) -> list[Any]:
    ms, made, number = T0 // MS, [], 0
    for i in range(count):
        if market.random.random() < 0.5:
            made.append(market.diff(ms + i))
        else:
            number += 1
            made.append(trade(number, ms + i, size=f"{number}.5"))
    return made


def weave(
    messages: list[Any], rng: random.Random, lag: int, dies_at: int, who: int, losses: set[tuple[int, int]]
) -> list[Frame]:
    """Both connections' frames in the order of their arrival: each message some steps late on either; `who` dies at `dies_at`."""
    due: list[tuple[int, int, int]] = []
    for conn in (1, 2):
        at = 0
        for i in range(len(messages)):
            at = max(at, i + rng.randint(0, lag))
            if (conn != who or at < dies_at) and (conn, i) not in losses:
                due.append((at, conn, i))
    frames: list[Frame] = []
    dead = False
    for at, conn, i in sorted(due, key=lambda d: (d[0], d[2], d[1])):
        if at >= dies_at and not dead:
            dead = True
            frames.append(closed(T0 + SECOND + dies_at * MS, who))
        frames.append(recv(T0 + SECOND + at * MS, messages[i], conn))
    return frames


def book_of(market: Market) -> tuple[dict[float, float], dict[float, float]]:
    bids, asks = ({float(p): float(s) for p, s in side.items()} for side in (market.bids, market.asks))
    return bids, asks


def trades(events: list[Event]) -> list[int]:
    return [int(e.id) for e in events if type(e) is Trade]


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), lag=st.integers(0, 12), dies_at=st.integers(5, 200), who=st.sampled_from((1, 2)))
def test_one_of_two_connections_dies(seed: int, lag: int, dies_at: int, who: int) -> None:
    market, rng = Market(seed), random.Random(seed)
    snapshot = answer(T0 + 2 * MS, market.snapshot(), **SNAPSHOT)
    messages = feed(market, 150)
    begin = [opened(conn=1), opened(conn=2), recv(T0 + MS, messages[0], 1), recv(T0 + MS, messages[0], 2), snapshot]
    pipeline = Pipeline()
    events = play(begin + weave(messages, rng, lag, dies_at, who, set()), pipeline)
    told = trades(events)
    count = sum(m["stream"].endswith("@trade") for m in messages)
    assert sorted(told) == list(range(1, count + 1))
    assert len(set(told)) == len(told)
    sync = pipeline.lanes["binance:BTC-USDT"].sync
    assert sync.state.value == "synced" or dies_at > 120
    if sync.state.value == "synced":
        assert (sync.book.bids, sync.book.asks) == book_of(market)
    assert statuses(events, "crossed") == []


def test_a_diff_that_one_connection_lost_does_not_break_the_book() -> None:
    market = Market(7)
    snapshot = answer(T0 + 2 * MS, market.snapshot(), **SNAPSHOT)
    diffs = [market.diff(T0 // MS + i) for i in range(10)]
    frames = [opened(conn=1), opened(conn=2), recv(T0 + MS, diffs[0], 1), recv(T0 + MS, diffs[0], 2), snapshot]
    for i, d in enumerate(diffs[1:], 1):
        if i != 5:
            frames.append(recv(T0 + (10 + i) * MS, d, 1))
        frames.append(recv(T0 + (10 + i) * MS, d, 2))
    pipeline = Pipeline()
    events = play(frames, pipeline)
    lane = pipeline.lanes["binance:BTC-USDT"]
    assert lane.sync.state.value == "synced"
    assert (lane.sync.book.bids, lane.sync.book.asks) == book_of(market)
    (taken,) = [s for s in statuses(events, "synced") if "taken over" in s.reason]
    assert "redundant connection 2" in taken.reason
    seqs = [e.seq for e in events if type(e) is Quote and e.origin == "book"]
    assert seqs == sorted(seqs)
    whole = [e for e in events if type(e) is BookUpdate and e.snapshot]
    assert len(whole) == 2


def test_a_trade_that_one_connection_lost_is_the_others() -> None:
    frames = [opened(conn=1), opened(conn=2)]
    for n in (1, 2, 3, 4, 5):
        ms = T0 // MS + n
        if n != 3:
            frames.append(recv(T0 + 2 * n * MS, trade(n, ms), 1))
        frames.append(recv(T0 + (2 * n + 3) * MS, trade(n, ms), 2))
    events = play(sorted(frames, key=lambda f: f.ts_recv))
    assert sorted(trades(events)) == [1, 2, 3, 4, 5]
    assert not any(e.flags & Flag.RECOVERED for e in events)


def test_equal_prints_of_one_connection_stay_two() -> None:
    """What has only a time: both tickers of one millisecond are of the market, the twin's repetitions are not."""

    def ticker(price: str) -> dict[str, Any]:
        rest = dict.fromkeys(("o", "h", "l", "v", "q"), "1")
        return {"stream": "btcusdt@ticker", "data": {"e": "24hrTicker", "E": T0 // MS, "s": "BTCUSDT", "c": price, **rest}}

    streams = ("btcusdt@ticker",)
    frames = [opened(conn=1, streams=streams), opened(conn=2, streams=streams)]
    frames += [recv(T0 + MS, ticker(p), conn) for p in ("1", "2") for conn in (1, 2)]
    assert [e.last for e in play(frames) if type(e) is Ticker] == [1.0, 2.0]


@pytest.mark.parametrize("who", [1, 2])
def test_losing_one_of_two_is_no_gap(who: int) -> None:
    frames = [opened(conn=1), opened(conn=2)]
    frames += [recv(T0 + n * MS, trade(n, T0 // MS + n), c) for n in (1, 2, 3) for c in (1, 2)]
    frames += [closed(T0 + 5 * MS, who), recv(T0 + 9 * MS, trade(4, T0 // MS + 9), 3 - who)]
    events = play(frames)
    assert trades(events) == [1, 2, 3, 4]
    assert [e for e in events if type(e) is Status and e.kind in {"gap", "resyncing"}] == []
