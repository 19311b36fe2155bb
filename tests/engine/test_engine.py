"""What the engine tells of itself."""

import pytest

from tapeline.clock import ReplayClock
from tapeline.config import PipelineSettings
from tapeline.engine.bus import Batch
from tapeline.engine.engine import Engine
from tapeline.engine.pipeline import Pipeline
from tapeline.events import Bar, Event, Status, Trade
from tests.engine.feeds import MS, SECOND, T0

HOUR = 3600 * SECOND


def trade(late: int) -> Trade:
    return Trade("sim:BTC-USDT", T0, T0 + late, 128, 1.0, 1.0, "buy", "1")


def candle_of_before() -> Bar:
    return Bar("sim:BTC-USDT", T0 - HOUR, T0, 128, "1m", T0 - HOUR - 60 * SECOND, 1.0, 1.0, 1.0, 1.0, 1.0, None, None, None, 1, True, 0, "venue")  # fmt: skip


@pytest.mark.parametrize(
    "untimed", [candle_of_before(), Status("", T0 - HOUR, T0, 0, "gap", "sim", "book", "", None, None, None)]
)
def test_latency_is_that_of_messages_not_of_candles_asked_for_or_of_statuses(untimed: Event):
    engine = Engine(Pipeline(PipelineSettings()), "s", ReplayClock(T0), "live")
    engine.bus.publish(Batch("s", 0, 0, [untimed]))
    assert engine.latency_ms is None
    engine.bus.publish(Batch("s", 1, 1, [trade(4 * MS)]))
    engine.bus.publish(Batch("s", 2, 2, [untimed]))
    assert engine.latency_ms == 4.0
    engine.bus.publish(Batch("s", 3, 3, [trade(24 * MS)]))
    assert engine.latency_ms == pytest.approx(4.0 + 0.05 * 20.0)
