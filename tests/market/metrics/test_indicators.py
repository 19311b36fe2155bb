"""Technical indicators: values by hand and by a second library, history by the venue's candles, corrected and incomplete bars."""

import subprocess
import sys
from math import sqrt

import pytest
from talipp.indicators import ATR, BB, EMA, MACD, ROC, SMA
from talipp.ohlcv import OHLCVFactory

from tapeline.clock import SECOND
from tapeline.errors import UsageError
from tapeline.events import Bar
from tapeline.market.metrics import registry
from tapeline.testing import INSTRUMENT, T0, Trial

MINUTE = 60 * SECOND
CLOSES = [float(100 + (i * 7919) % 23 - (i * 31) % 11) for i in range(200)]


def bar(i: int, close: float, *, complete: bool = True, origin: str = "trades", revision: int = 0, high: float = 2.0) -> Bar:
    ts = T0 + i * MINUTE
    return Bar(
        INSTRUMENT, ts + MINUTE, ts + MINUTE, 0, "1m", ts, close - 1, close + high, close - 3, close, 10.0 + i % 5, None, None, None,
        3, complete, revision, origin,
    )  # fmt: skip


def after(name: str, bars: list[Bar]) -> tuple[dict[str, float], list[str]]:
    trial = Trial(name)
    for b in bars:
        trial.event(b)
    found = trial.sample(bars[-1].ts_recv + SECOND)
    assert trial.expected(bars[-1].ts_recv + SECOND) == pytest.approx(found, rel=1e-9)
    return found, trial.analytics.incomplete


def test_against_a_second_library() -> None:
    bars = [bar(i, c) for i, c in enumerate(CLOSES)]
    candles = OHLCVFactory.from_dict(
        {name: [getattr(b, name) for b in bars] for name in ("open", "high", "low", "close", "volume")}
    )
    wanted = {
        "sma_20_1m": SMA(20, CLOSES)[-1],
        "ema_20_1m": EMA(20, CLOSES)[-1],
        "roc_10_1m": ROC(10, CLOSES)[-1],
        "atr_14_1m": ATR(14, candles)[-1],
        "bollinger_20_1m.upper": BB(20, 2, CLOSES)[-1].ub,
        "bollinger_20_1m.lower": BB(20, 2, CLOSES)[-1].lb,
        "macd_12_26_9_1m.macd": MACD(12, 26, 9, CLOSES)[-1].macd,
        "macd_12_26_9_1m.signal": MACD(12, 26, 9, CLOSES)[-1].signal,
    }
    found: dict[str, float] = {}
    for name in dict.fromkeys(name.partition(".")[0] for name in wanted):
        found |= after(name, bars)[0]
    assert {name: found[name] for name in wanted} == pytest.approx(wanted, rel=1e-6)


def test_wilders_own_example_of_the_rsi() -> None:
    """The 14-day RSI of the widely printed series (StockCharts, "Relative Strength Index", after Wilder 1978): 70.53."""
    closes = [
        44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955, 45.4245, 45.8433, 46.0826, 45.8931, 46.0328, 45.6140,
        46.2820, 46.2820,
    ]  # fmt: skip
    found, _ = after("rsi_14_1m", [bar(i, c) for i, c in enumerate(closes)])
    assert round(found["rsi_14_1m"], 2) == 70.53


def test_by_hand() -> None:
    found, incomplete = after("sma_3_1m", [bar(i, c) for i, c in enumerate([1.0, 2.0, 6.0])])
    assert (found, incomplete) == ({"sma_3_1m": 3.0}, [])
    found, _ = after("stddev_3_1m", [bar(i, c) for i, c in enumerate([1.0, 2.0, 6.0])])
    assert found["stddev_3_1m"] == pytest.approx(sqrt((4 + 1 + 9) / 3))


def test_before_enough_bars_nothing_is_known() -> None:
    assert after("sma_3_1m", [bar(i, 5.0) for i in range(2)])[0] == {}


def test_the_venues_candles_warm_it_and_our_own_bars_stand_in_their_place() -> None:
    past = [bar(i, c, origin="venue") for i, c in enumerate([1.0, 2.0, 6.0])]
    assert after("sma_3_1m", past)[0] == {"sma_3_1m": 3.0}
    assert after("sma_3_1m", [*past, bar(2, 9.0), bar(2, 5.0, origin="venue")])[0] == {"sma_3_1m": 4.0}


def test_a_corrected_bar_corrects_it_and_an_incomplete_one_marks_it() -> None:
    bars = [bar(i, c, complete=i != 1) for i, c in enumerate([1.0, 2.0, 6.0])]
    assert after("sma_3_1m", bars) == ({"sma_3_1m": 3.0}, ["sma_3_1m"])
    assert after("sma_3_1m", [*bars, bar(1, 5.0, revision=1)]) == ({"sma_3_1m": 4.0}, [])


def test_without_the_library_the_way_is_named() -> None:
    program = (
        "import sys; sys.modules['talib'] = None\nfrom tapeline.market.metrics import registry\nregistry.metric('rsi_14_1m')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "pip install 'tapeline[indicators]'" in done.stderr


def test_other_intervals_than_the_bars_are_refused() -> None:
    with pytest.raises(UsageError, match="'7m' is no interval"):
        registry.metric("rsi_14_7m")
