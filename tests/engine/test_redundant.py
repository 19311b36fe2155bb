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
from tests.engine.feeds import MS, SECOND, T0, Market, answer, closed, opened, play, recv, statuses, tick, trade

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


BOOK_200 = "linear/orderbook.200.BTCUSDT"


def bybit(ms: int, conn: int, update: int, bid: int, kind: str = "delta") -> Frame:
    """Bybit's numbered book: its best bid is the newest."""
    data = {
        "s": "BTCUSDT",
        "b": [[str(bid), "1"]],
        "a": [["90", "1"]] if kind == "snapshot" else [],
        "u": update,
        "seq": update,
    }
    at = T0 + ms * MS
    return recv(at, {"topic": "orderbook.200.BTCUSDT", "type": kind, "ts": at // MS, "cts": at // MS, "data": data}, conn)


def both_up(pipeline: Pipeline) -> list[Event]:
    frames = [opened(T0, conn, "bybit", [BOOK_200]) for conn in (1, 2)]
    return play([*frames, *(bybit(1, conn, 100, 50, "snapshot") for conn in (1, 2))], pipeline)


def test_a_book_whose_connections_are_all_gone_is_lost_and_begins_wherever_the_venue_does() -> None:
    """The spare was one update behind when the leader died, then it died, too; the venue began its numbers anew meanwhile."""
    pipeline = Pipeline()
    both_up(pipeline)
    events = play([bybit(2, 1, 101, 51), closed(T0 + 3 * MS, 1), closed(T0 + 4 * MS, 2)], pipeline)
    lane = pipeline.lanes["bybit:BTC-USDT-PERP"]
    assert [s.reason for s in statuses(events, "resyncing")] == ["connection 2 lost"]
    assert lane.sync.book.touch() == (None, None, None, None)
    again = [opened(T0 + SECOND, conn, "bybit", [BOOK_200]) for conn in (3, 4)]
    again += [bybit(1001, conn, 1, 70, "snapshot") for conn in (3, 4)]
    play([*again, *(bybit(1002, conn, 2, 71) for conn in (3, 4))], pipeline)
    assert lane.sync.state.value == "synced"
    assert lane.sync.book.best_bid == 71.0


@pytest.mark.parametrize("first", [1, 2])
def test_one_connection_that_comes_back_is_enough(first: int) -> None:
    pipeline = Pipeline()
    both_up(pipeline)
    play([closed(T0 + 3 * MS, first), closed(T0 + 4 * MS, 3 - first), opened(T0 + SECOND, 3, "bybit", [BOOK_200])], pipeline)
    play([bybit(1001, 3, 200, 70, "snapshot"), bybit(1002, 3, 201, 71), tick(T0 + 20 * SECOND)], pipeline)
    lane = pipeline.lanes["bybit:BTC-USDT-PERP"]
    assert (lane.sync.state.value, lane.sync.book.best_bid) == ("synced", 71.0)


def test_a_spare_that_never_gets_there_is_not_waited_for_without_end() -> None:
    pipeline = Pipeline()
    both_up(pipeline)
    events = play([bybit(2, 1, 101, 51), closed(T0 + 3 * MS, 1), *(tick(T0 + n * SECOND) for n in range(1, 9))], pipeline)
    assert [s.kind for s in statuses(events, channel="book")] == ["resyncing", "synced"]
    assert pipeline.lanes["bybit:BTC-USDT-PERP"].sync.book.best_bid == 50.0


def test_a_leader_that_falls_behind_is_replaced() -> None:
    """Half open: its connection is not closed, and it says nothing more."""
    pipeline = Pipeline()
    both_up(pipeline)
    frames = [bybit(1000 * n, 2, 100 + n, 50 + n) for n in range(1, 8)]
    events = play([*frames, tick(T0 + 8 * SECOND), bybit(8500, 2, 108, 58)], pipeline)
    (taken,) = [s for s in statuses(events, "synced") if "taken over" in s.reason]
    assert taken.ts_recv <= T0 + 7 * SECOND
    assert [e.bid for e in events if type(e) is Quote][-1] == 58.0


def test_no_unnumbered_book_goes_back_in_time() -> None:
    def coinbase(ms: int, conn: int, bid: int, at: int) -> Frame:
        time = f"2026-11-21T10:05:{at:02d}.000000Z"
        changes = [["buy", str(bid), "1"]]
        return recv(T0 + ms * MS, {"type": "l2update", "product_id": "BTC-USD", "changes": changes, "time": time}, conn)

    stream = ["level2_batch:BTC-USD"]
    whole = {"type": "snapshot", "product_id": "BTC-USD", "bids": [["40", "1"]], "asks": [["99", "1"]]}
    frames = [opened(T0, conn, "coinbase", stream) for conn in (1, 2)] + [recv(T0 + MS, whole, conn) for conn in (1, 2)]
    frames += [coinbase(1000, 1, 41, 1), coinbase(3000, 1, 43, 3), coinbase(3100, 2, 41, 1), closed(T0 + 3200 * MS, 1)]
    frames += [coinbase(3300, 2, 43, 3), coinbase(3400, 2, 44, 4)]
    bids = [e.bid for e in play(frames) if type(e) is Quote]
    assert bids == [40.0, 41.0, 43.0, 43.0, 44.0]


def test_a_second_connection_that_lags_behind_a_burst_brings_no_doubles() -> None:
    """Ids without order are remembered for a minute at least, were it more than usual."""

    def print_of(n: int, ms: int, conn: int) -> Frame:
        row = {"T": T0 // MS + n, "s": "BTCUSDT", "S": "Buy", "v": "1", "p": "1", "i": f"a{n}", "BT": False}
        message = {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": T0 // MS + n, "data": [row]}
        return recv(T0 + ms * MS, message, conn)

    frames = [opened(T0, conn, "bybit", ["linear/publicTrade.BTCUSDT"]) for conn in (1, 2)]
    for n in range(1, 7000):
        frames.append(print_of(n, n, 1))
        if n > 6000:
            frames.append(print_of(n - 6000, n, 2))
    told = [e.id for e in play(frames) if type(e) is Trade]
    assert len(told) == len(set(told)) == 6999


def test_a_venue_that_begins_its_trade_ids_anew_is_heard_on() -> None:
    """Low ids on both connections are no doubles of what was said long ago: nobody must fall silent over them."""
    frames = [opened(conn=1), opened(conn=2)]
    for i, number in enumerate((5_000_000, 5_000_001, 1, 2, 3)):
        frames += [recv(T0 + (10 * i + c) * MS, trade(number, T0 // MS + i), c) for c in (1, 2)]
    events = play(frames)
    assert trades(events) == [5_000_000, 5_000_001, 1, 2, 3]
    (gap,) = statuses(events, "gap", channel="trades")
    assert "went back" in gap.reason
