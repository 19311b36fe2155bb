"""Trades missed on the way from frames to events: asked for, given out once and in order, and the bars are whole again."""

from collections.abc import Iterable
from typing import Any

import pytest

from tapeline.clock import ReplayClock
from tapeline.engine.engine import Engine
from tapeline.engine.pipeline import Pipeline
from tapeline.events import Bar, Event, Flag, Status, Trade
from tapeline.frames import Frame
from tapeline.plans import Request
from tests.engine.feeds import MS, SECOND, T0, answer, closed, opened, recv, tick, trade
from tests.engine.feeds import play as _play

STREAMS = ("btcusdt@trade",)


def play(pipeline: Pipeline, frames: Iterable[Frame]) -> list[Event]:
    return _play(frames, pipeline)


def rest(*numbers: int) -> list[dict[str, Any]]:
    """Rows of historicalTrades; trade n happens n ms after T0."""
    return [
        {"id": n, "price": "100", "qty": "2.5", "quoteQty": "250", "time": T0 // MS + n, "isBuyerMaker": False} for n in numbers
    ]


def live(n: int, conn: int = 1, at: int | None = None) -> Any:
    return recv(T0 + (n if at is None else at) * MS, trade(n, T0 // MS + n, size="2.5"), conn)


def trades(events: list[Event]) -> list[tuple[int, bool]]:
    return [(int(e.id), bool(e.flags & Flag.RECOVERED)) for e in events if type(e) is Trade]


def of_trades(events: list[Event]) -> list[tuple[str, int | None, int | None, int | None]]:
    return [(e.kind, e.from_seq, e.to_seq, e.count) for e in events if type(e) is Status and e.channel == "trades"]


def past(numbers: Any, ts: int, **more: Any) -> Any:
    return answer(ts, rest(*numbers), purpose="trades", url="http://venue/api/v3/historicalTrades?fromId=1", **more)


def test_a_hole_in_the_ids_is_asked_for_and_filled() -> None:
    pipeline = Pipeline()
    events = play(pipeline, [opened(streams=STREAMS), live(1), live(2), live(6)])
    (request,) = [r for r in pipeline.requests if isinstance(r, Request) and r.purpose == "trades"]
    assert "historicalTrades?symbol=BTCUSDT&fromId=3&limit=3" in request.url
    events += play(pipeline, [past([3, 4, 5, 6, 7], T0 + 10 * MS), live(7, at=12)])
    assert trades(events) == [(1, False), (2, False), (6, False), (3, True), (4, True), (5, True), (7, False)]
    assert of_trades(events) == [("gap", 3, 5, 3), ("recovered", 3, 5, 3)]


def test_the_last_price_is_not_that_of_a_trade_fetched_later() -> None:
    engine = Engine(Pipeline(), "s", ReplayClock(T0), "live")
    newer = recv(T0 + 6 * MS, trade(6, T0 // MS + 6, price="101.5"))
    engine.handle(0, [opened(streams=STREAMS), live(1), newer, past([2, 3, 4, 5], T0 + 10 * MS)])  # those at 100
    (row,) = engine.status()["instruments"]
    assert row["last_price"] == 101.5


def test_bars_are_complete_again_and_equal_those_without_a_loss() -> None:
    """Seconds 1 … 3 with a trade every 100 ms; ids 14 to 17 are lost and fetched when second 3 has begun."""

    def at(n: int) -> int:
        return n * 100

    def run(lost: set[int]) -> dict[int, Bar]:
        pipeline = Pipeline()
        frames: list[Any] = [opened(streams=STREAMS)]
        for n in range(1, 40):
            if n == 32 and lost:
                rows = [{**row, "time": T0 // MS + at(row["id"])} for row in rest(*sorted(lost))]
                frames.append(answer(T0 + at(n) * MS, rows, purpose="trades", url="http://venue/api/v3/historicalTrades"))
            if n not in lost:
                frames.append(recv(T0 + at(n) * MS, trade(n, T0 // MS + at(n), size=f"{n}.5")))
        events = play(pipeline, [*frames, tick(T0 + 10 * SECOND)])
        return {e.ts_open: e for e in events if type(e) is Bar and e.interval == "1s"}

    whole, mended = run(set()), run({14, 15, 16, 17})
    assert whole.keys() == mended.keys()
    for ts, bar in whole.items():
        other = mended[ts]
        assert (bar.complete, bar.trades) == (other.complete, other.trades)
        if ts == T0 + SECOND:  # the missing ones have another size, 2.5
            assert other.complete
            assert other.revision > 0
            assert other.volume == bar.volume - sum(n + 0.5 for n in (14, 15, 16, 17)) + 4 * 2.5


def test_after_a_lost_connection_the_trades_of_the_meantime_are_fetched() -> None:
    pipeline = Pipeline()
    events = play(
        pipeline, [opened(streams=STREAMS), live(1), live(2), closed(T0 + 3 * MS), opened(T0 + 9 * MS, 2, streams=STREAMS)]
    )
    (request,) = [r for r in pipeline.requests if isinstance(r, Request) and r.purpose == "trades"]
    assert "fromId=3&limit=1000" in request.url
    assert request.not_before > T0 + 9 * MS
    events += play(pipeline, [past([3, 4], T0 + 20 * MS), live(5, 2, at=30)])
    assert trades(events) == [(1, False), (2, False), (3, True), (4, True), (5, False)]
    assert of_trades(events) == [("recovered", 3, 4, 2)]


def test_the_live_stream_may_be_quicker_than_the_answer() -> None:
    pipeline = Pipeline()
    events = play(
        pipeline,
        [
            opened(streams=STREAMS),
            live(1),
            closed(T0 + 2 * MS),
            opened(T0 + 9 * MS, 2, streams=STREAMS),
            live(4, 2, at=10),
            past([2, 3, 4, 5], T0 + 20 * MS),
            live(5, 2, at=30),
        ],
    )
    assert trades(events) == [(1, False), (4, False), (2, True), (3, True), (5, False)]
    assert of_trades(events) == [("gap", 2, 3, 2), ("recovered", 2, 3, 2)]


def test_nothing_was_missed() -> None:
    pipeline = Pipeline()
    events = play(
        pipeline,
        [
            opened(streams=STREAMS), live(1), closed(T0 + 2 * MS), opened(T0 + 9 * MS, 2, streams=STREAMS),
            live(2, 2, at=10), past([2], T0 + 20 * MS), live(3, 2, at=30),
        ],
    )  # fmt: skip
    assert trades(events) == [(1, False), (2, False), (3, False)]
    assert [s for s in of_trades(events) if s[0] == "gap"] == []


@pytest.mark.parametrize("status", [0, 429, 503])
def test_a_hole_that_stays_is_said(status: int) -> None:
    pipeline = Pipeline()
    frames = [opened(streams=STREAMS), live(1), live(4)]
    refusals = [
        answer(T0 + n * SECOND, b"", status=status, purpose="trades", url="http://venue/api/v3/historicalTrades")
        for n in range(1, 8)
    ]
    events = play(pipeline, [*frames, *refusals])
    last = [e for e in events if type(e) is Status and e.channel == "trades"][-1]
    assert last.kind == "gap"
    assert "the hole stays: 0 trades fetched, missing still" in last.reason


def fill(at: int, number: int, fills: int) -> Frame:
    """A row of OKX: trades `number` − `fills` + 1 … `number` in one, each of size 1."""
    row = {"instId": "BTC-USDT", "tradeId": str(number), "px": "100", "sz": str(fills), "side": "buy", "count": str(fills)}
    row |= {"ts": str(T0 // MS + at), "source": "0", "seqId": 1}
    return recv(T0 + at * MS, {"arg": {"channel": "trades", "instId": "BTC-USDT"}, "data": [row]})


def test_a_row_of_several_trades_that_comes_late_fills_the_hole_of_them_all() -> None:
    """They are not fetched one by one as well: their volume would count twice."""
    pipeline = Pipeline()
    frames = [opened(venue="okx", streams=["trades:BTC-USDT"]), fill(1, 10, 1), fill(2, 18, 4), fill(3, 14, 4)]
    events = play(pipeline, frames)
    assert [r.purpose for r in pipeline.requests] == ["trades"]
    past = [
        {"instId": "BTC-USDT", "tradeId": str(n), "px": "100", "sz": "1", "side": "buy", "ts": str(T0 // MS), "source": "0"}
        for n in range(14, 10, -1)
    ]
    body = {"code": "0", "msg": "", "data": past}
    events += play(pipeline, [answer(T0 + 9 * MS, body, venue="okx", native="BTC-USDT", purpose="trades")])
    assert sum(e.size for e in events if type(e) is Trade) == 9.0
    assert ("recovered", 11, 14, 4) in of_trades(events)


def test_missing_trades_that_a_lagging_connection_brings_are_told_once() -> None:
    pipeline = Pipeline()
    frames = [opened(streams=STREAMS), opened(T0 + 1, 2, streams=STREAMS), live(1, 1), live(1, 2)]
    frames += [live(50, 1), *(live(n, 2, 50) for n in range(2, 50)), live(51, 1)]
    events = play(pipeline, frames)
    assert [n for n, _ in trades(events)] == [1, 50, *range(2, 50), 51]
    told = [s for s in of_trades(events) if s[0] == "recovered"]
    assert told[0] == ("recovered", 2, 49, 48)
    assert len(told) <= 2  # and that the hole is whole
