"""The pipeline against what venues and machines do: refusals, silence, notices, doubles, restarts, leaps of the clock."""

import pytest

from tapeline.config import INTERVALS, PipelineSettings
from tapeline.engine.pipeline import Pipeline
from tapeline.events import Bar, Event, Flag, Quote, Trade
from tapeline.frames import Frame, FrameKind
from tests.engine.feeds import (
    FUTURES,
    MS,
    SECOND,
    T0,
    answer,
    closed,
    opened,
    play,
    recv,
    sent,
    session,
    snapshot,
    spot_diff,
    statuses,
    tick,
    ticker,
    trade,
)

NOW = T0 // MS
ASK = {"method": "SUBSCRIBE", "params": ["btcusdt@trade", "nosuch@trade"], "id": 1}


def trades(*numbers: int, at: int = T0) -> list[Frame]:
    return [recv(at + i, trade(n, NOW + n)) for i, n in enumerate(numbers)]


def test_trade_ids_missing_doubled_and_late() -> None:
    events = play([opened(), *trades(1, 2, 2, 5, 3, 3, 6), tick(T0 + 2 * SECOND)])
    assert [e.id for e in events if isinstance(e, Trade)] == ["1", "2", "5", "3", "6"]
    assert [(s.kind, s.from_seq, s.to_seq, s.count) for s in statuses(events, channel="trades")] == [
        ("gap", 3, 4, 2),
        ("recovered", 3, 3, 1),
    ]


def test_trade_ids_that_restart() -> None:
    events = play([opened(), *trades(10**6, *range(1, 61))])
    (gap,) = statuses(events, "gap")
    assert "restarted" in gap.reason
    assert [e.id for e in events if isinstance(e, Trade)] == ["1000000", *(str(n) for n in range(1, 61))]


def test_trade_ids_that_go_back_a_little_and_stay_there() -> None:
    """They could be doubles of another connection's, so it takes a run of them to be sure."""
    events = play([opened(), *trades(10**6, *range(999_000, 999_060))])
    (gap,) = statuses(events, "gap")
    assert "restarted" in gap.reason
    assert [e.id for e in events if isinstance(e, Trade)] == ["1000000", *(str(n) for n in range(999_049, 999_060))]


def test_the_end_of_a_session_gives_out_its_open_bars_as_incomplete() -> None:
    pipeline, events = Pipeline(), list[Event]()
    for frame in [opened(), *trades(1, 2, 3), Frame(T0 + 10 * MS, FrameKind.END, 0, b"")]:
        pipeline.feed(frame, events)
    bars = {e.interval: e for e in events if isinstance(e, Bar)}
    assert set(bars) == set(INTERVALS)
    assert {(b.trades, b.complete) for b in bars.values()} == {(3, False)}


def test_trades_that_are_no_market_are_dropped_and_are_no_gap() -> None:
    def odd(number: int, kind: str, price: str = "1") -> Frame:
        raw = {"e": "trade", "E": NOW, "T": NOW, "s": "BTCUSDT", "t": number, "p": price, "q": "1", "X": kind, "m": True}
        return recv(T0, raw)

    frames = [
        opened(venue=FUTURES, streams=()),
        odd(1, "MARKET"),
        odd(2, "INSURANCE_FUND"),
        odd(3, "NA", "0"),
        odd(4, "ADL"),
        odd(5, "MARKET"),
    ]
    events = play(frames)
    assert [e.id for e in events if isinstance(e, Trade)] == ["1", "5"]
    assert not statuses(events, "gap")


def test_a_gap_that_shows_on_a_trade_that_is_dropped_still_marks_the_bar() -> None:
    late = {"e": "trade", "E": NOW, "T": NOW + 2, "s": "BTCUSDT", "t": 9, "p": "1", "q": "1", "X": "ADL", "m": True}
    pipeline = Pipeline()
    events = play([opened(streams=()), recv(T0, trade(1, NOW - 5000)), recv(T0, trade(2, NOW)), recv(T0, late)], pipeline)
    events += play([recv(T0, trade(10, NOW + 500)), recv(T0, trade(11, NOW + 1000)), recv(T0, trade(12, NOW + 2000))], pipeline)
    assert {e.ts_open - T0: e.complete for e in events if isinstance(e, Bar) and e.interval == "1s"} == {
        -5 * SECOND: False, 0: False, SECOND: True,
    }  # fmt: skip


def test_both_trade_streams_make_one_bar_and_both_come_out() -> None:
    """Whichever comes first makes the bars; a gap of the other says nothing about them."""
    aggregated = [
        recv(T0, {"e": "aggTrade", "E": NOW, "s": "BTCUSDT", "a": n, "p": "1", "q": "9", "T": NOW + 1500 + n, "m": True})
        for n in (1, 7)
    ]
    pipeline = Pipeline()
    events = play(
        [
            opened(streams=()),
            recv(T0, trade(1, NOW)),
            recv(T0, trade(2, NOW + 1400)),
            *aggregated,
            recv(T0, trade(3, NOW + 2400)),
        ],
        pipeline,
    )
    assert [e.flags & Flag.AGGREGATED > 0 for e in events if isinstance(e, Trade)] == [False, False, True, True, False]
    bars = [e for e in events if isinstance(e, Bar) and e.interval == "1s"]
    assert [(b.volume, b.complete) for b in bars] == [(0.5, False), (0.5, True)]
    assert len(statuses(events, "gap")) == 1


def test_late_trades_are_flagged_and_a_too_late_one_is_told() -> None:
    events = play(
        [opened(streams=()), *(recv(T0 + 700 * SECOND, trade(n, NOW + ms)) for n, ms in ((1, 700_000), (2, 699_000), (3, 5)))]
    )
    assert [e.flags for e in events if isinstance(e, Trade)] == [0, Flag.LATE, Flag.LATE]
    assert [(s.channel, s.count) for s in statuses(events, "late")] == [("trades", 1)]


def test_a_bad_time_is_no_late_trade() -> None:
    events = play([opened(streams=()), recv(T0, trade(1, NOW)), recv(T0, trade(2, 5))])
    assert [e.flags for e in events if isinstance(e, Trade)] == [0, Flag.BAD_TIME]


def test_a_subscription_that_is_refused() -> None:
    error = {"error": {"code": 2, "msg": "Invalid request: unknown stream"}, "id": 1}
    pipeline = Pipeline()
    events = play([opened(), sent(T0, ASK), recv(T0 + MS, error), tick(T0 + 15 * SECOND)], pipeline)
    (refused,) = statuses(events, "rejected")
    assert "btcusdt@trade, nosuch@trade" in refused.reason and "unknown stream" in refused.reason
    assert (refused.count, pipeline.rejected) == (2, 1)
    assert not [s for s in statuses(events, "stale") if "acknowledgement" in s.reason]


def test_a_subscription_that_is_not_acknowledged() -> None:
    events = play([opened(streams=()), opened(conn=2), sent(T0, ASK, 2), tick(T0 + 9 * SECOND), tick(T0 + 15 * SECOND)])
    (late,) = [s for s in statuses(events, "stale") if "acknowledgement" in s.reason]
    assert (late.ts_recv, late.count) == (T0 + 10 * SECOND, 2)


def test_a_stream_that_was_acknowledged_and_stays_silent() -> None:
    frames = [opened(streams=["btcusdt@trade", "nosuch@trade"]), sent(T0, ASK), recv(T0, {"result": None, "id": 1})]
    frames += [recv(T0 + n * SECOND, trade(n, NOW + n * 1000)) for n in range(1, 60)]
    (silent,) = statuses(play(frames), "stale")
    assert silent.reason == "nosuch@trade: acknowledged, and silent since it was asked for: wrong name or wrong path?"
    assert silent.ts_recv == T0 + 30 * SECOND


def test_stale_and_recovered() -> None:
    frames = [opened(streams=["btcusdt@bookTicker"]), *(recv(T0 + n * SECOND, ticker(n)) for n in (1, 2, 3, 40, 41))]
    told = statuses(play(frames), "stale", "recovered", channel="quotes")
    assert [(s.kind, (s.ts_recv - T0) // SECOND, s.instrument) for s in told] == [
        ("stale", 13, "binance:BTC-USDT"), ("recovered", 41, "binance:BTC-USDT"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "raw", [{"e": "serverShutdown", "E": 1}, {"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": 1}}]
)
def test_a_notice_of_shutdown_asks_for_a_replacement(raw: object) -> None:
    pipeline = Pipeline()
    events = play([opened(), recv(T0, raw)], pipeline)
    assert pipeline.notices == [(1, "serverShutdown")]
    assert "will be replaced" in events[-1].reason


def test_a_lost_connection_ends_what_it_carried() -> None:
    pipeline = Pipeline()
    frames = [opened(), recv(T0, spot_diff(9, 10)), answer(T0, snapshot(9, [["1", "1"]], [["2", "1"]])), *trades(1)]
    play(frames, pipeline)
    events = play(
        [closed(T0 + SECOND), recv(T0 + SECOND, spot_diff(11, 12)), answer(T0 + SECOND, snapshot(12, [], []))], pipeline
    )
    assert [s.kind for s in statuses(events)][:2] == ["disconnected", "resyncing"]
    assert not [e for e in events if isinstance(e, Quote)]
    assert pipeline.unknown_connection == 1


@pytest.mark.parametrize("status", [0, 400, 403, 418, 429, 451, 503])
def test_a_refused_snapshot_is_asked_for_again_and_later(status: int) -> None:
    pipeline = Pipeline()
    play([opened(), recv(T0, spot_diff(9, 10))], pipeline)
    for n in range(1, 4):
        play([answer(T0 + n * MS, b"", status=status, error="" if status else "timed out")], pipeline)
    assert [(r.attempt, (r.not_before - T0) // MS) for r in pipeline.requests] == [(0, 0), (1, 501), (2, 1002), (3, 2003)]


def test_simulated_data_is_labelled_in_every_event() -> None:
    frames = [
        opened(simulated=True),
        sent(T0, ASK),
        *trades(1, 2, 5),
        recv(T0, spot_diff(9, 10)),
        recv(T0, ticker(3)),
        recv(T0, b"{"),
    ]
    frames += [
        answer(T0, snapshot(9, [["1", "1"]], [["2", "1"]]), simulated=True),
        tick(T0 + 99 * SECOND),
        closed(T0 + 99 * SECOND),
    ]
    pipeline = Pipeline()
    events = play(frames, pipeline)
    pipeline.finish(events)
    assert len({type(e) for e in events}) == 6
    assert all(e.flags & Flag.SIMULATED for e in events)
    assert {e.instrument for e in events} == {"", "sim:BTC-USDT", "sim:NOSUCH"}  # asked for, though not at the start
    assert {s.venue for s in statuses(events)} == {"sim"}


def test_a_leap_of_the_clock_is_over_at_once() -> None:
    """A machine without a battery wakes in 1970; one that slept wakes a week later. Timers fire, but not a billion times."""
    frames = [opened(SECOND), recv(SECOND, trade(1, NOW)), recv(T0, trade(2, NOW)), tick(T0 + 7 * 86_400 * SECOND)]
    assert len(statuses(play(frames), "stale")) <= 6


def test_times_up_to_the_last_of_64_bits() -> None:
    last = 2**63 - 1
    events = play([opened(last), recv(last, trade(1, NOW)), recv(last, trade(2, NOW + 1000)), tick(last)])
    assert sum(isinstance(e, Trade) for e in events) == 2


def test_the_sessions_own_settings_are_taken() -> None:
    pipeline = Pipeline.of_session(session(imbalance_levels=3))
    assert pipeline.settings == PipelineSettings(imbalance_levels=3, metrics=())  # which a head of then does not name
    with pytest.raises(Exception, match="SESSION"):
        Pipeline.of_session(Frame(T0, FrameKind.TICK, 0, b""))
