"""What the engine tells of itself."""

import pytest

from tapeline.clock import ReplayClock
from tapeline.config import PipelineSettings
from tapeline.engine.engine import Engine
from tapeline.engine.pipeline import Pipeline
from tapeline.events import Bar, Event, Flag, Status, Trade
from tapeline.frames import Frame, FrameKind
from tests.engine.feeds import FUTURES, MS, SECOND, T0, opened, recv
from tests.engine.feeds import trade as spot_trade

HOUR = 3600 * SECOND


def trade(late: int) -> Trade:
    return Trade("sim:BTC-USDT", T0, T0 + late, 128, 1.0, 1.0, "buy", "1")


def candle_of_before() -> Bar:
    return Bar("sim:BTC-USDT", T0 - HOUR, T0, 128, "1m", T0 - HOUR - 60 * SECOND, 1.0, 1.0, 1.0, 1.0, 1.0, None, None, None, 1, True, 0, "venue")  # fmt: skip


def sampled() -> Trade:
    return Trade("sim-yahoo:AAPL", T0 - 100 * HOUR, T0, 128 | int(Flag.SAMPLED), 1.0, 1.0, "unknown", "")


@pytest.mark.parametrize(
    "untimed", [candle_of_before(), Status("", T0 - HOUR, T0, 0, "gap", "sim", "book", "", None, None, None), sampled()]
)
def test_latency_is_that_of_messages_not_of_what_was_asked_for_or_sampled_or_of_statuses(untimed: Event):
    engine = Engine(Pipeline(PipelineSettings()), "s", ReplayClock(T0), "live")
    frame = Frame(T0, FrameKind.RECV, 1, b"")
    engine._time(untimed, frame)
    assert engine.latency_ms is None
    engine._time(trade(4 * MS), frame)
    engine._time(untimed, frame)
    assert engine.latency_ms == 4.0
    engine._time(trade(24 * MS), frame)
    assert engine.latency_ms == pytest.approx(4.0 + 0.05 * 20.0)


def test_each_connection_has_its_own_latency():
    engine = Engine(Pipeline(PipelineSettings()), "s", ReplayClock(T0), "live")
    engine.handle(0, [opened(T0, 1), opened(T0, 2, venue=FUTURES, streams=("btcusdt@aggTrade",))])
    spot = {
        "stream": "btcusdt@trade",
        "data": {"e": "trade", "E": T0 // MS, "s": "BTCUSDT", "t": 1, "p": "1", "q": "1", "T": T0 // MS, "m": False, "M": True},
    }
    futures = {
        "stream": "btcusdt@aggTrade",
        "data": {
            "e": "aggTrade",
            "E": T0 // MS,
            "s": "BTCUSDT",
            "a": 1,
            "p": "1",
            "q": "1",
            "f": 1,
            "l": 1,
            "T": T0 // MS,
            "m": False,
        },
    }
    engine.handle(2, [recv(T0 + 5 * MS, spot, 1)])
    engine.handle(3, [recv(T0 + 90 * MS, futures, 2)])
    assert {n: c.latency_ms for n, c in engine.pipeline.connections.items()} == {1: 5.0, 2: 90.0}
    assert engine.latency_ms == pytest.approx(5.0 + 0.05 * 85.0)


def test_an_instrument_that_has_only_a_ticker_has_its_price_from_that() -> None:
    """Yahoo's currencies and crypto assets give no trades."""
    engine = Engine(Pipeline(), "s", ReplayClock(T0), "live")
    engine.handle(0, [opened(streams=("btcusdt@ticker",))])
    assert [(row["last_price"], row["price_decimals"]) for row in engine.status()["instruments"]] == [(None, 0)]
    figures = {"E": T0 // MS, "s": "BTCUSDT", "c": "60000.5", **dict.fromkeys("ohlvq", "1")}
    frames = [
        recv(T0, {"stream": "btcusdt@ticker", "data": {"e": "24hrTicker", **figures}}),
    ]
    engine.handle(1, frames)
    (row,) = engine.status()["instruments"]
    assert (row["last_price"], row["price_decimals"]) == (60000.5, 1)
    engine.handle(2, [recv(T0 + MS, spot_trade(1, T0 // MS, price="60001.25"))])
    assert engine.status()["instruments"][0]["last_price"] == 60001.25
