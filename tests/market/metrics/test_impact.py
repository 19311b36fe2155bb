"""Kyle's lambda where it is known, VPIN by hand and by the paper's classification; both against their twins at small windows.

No paper prints data with its VPIN or lambda, so the values here follow from the definitions.
"""

import random
from math import erf, sqrt

import pytest

from tapeline.clock import SECOND
from tapeline.errors import UsageError
from tapeline.events import Bar, Trade
from tapeline.market.metrics import registry
from tapeline.testing import INSTRUMENT, T0, Trial, check_metric


@pytest.mark.parametrize("name", ["kyle_lambda_20s_2s", "vpin_30s_7", "vpin_bulk_8_5_1s"])
def test_small_ones_equal_their_twins(name: str) -> None:
    check_metric(name, seeds=range(3))


def traded(name: str, trades: list[tuple[float, float, float, str]], at: float) -> dict[str, float]:
    """`trades`: seconds, price, size, side."""
    trial = Trial(name)
    for seconds, price, size, side in trades:
        ts = T0 + int(seconds * SECOND)
        trial.event(Trade(INSTRUMENT, ts, ts, 0, price, size, side, ""))  # type: ignore[arg-type]
    now = T0 + int(at * SECOND)
    found = trial.sample(now)
    assert trial.expected(now) == pytest.approx(found, rel=1e-9)
    return found


def test_a_market_that_moves_by_half_a_unit_a_size_has_that_lambda() -> None:
    flows, price, trades = (1.0, -2.0, 4.0, 0.5, -3.0), 100.0, [(0.5, 100.0, 1.0, "buy")]
    for i, flow in enumerate(flows):
        price += 0.5 * flow
        trades.append((1.5 + i, price, abs(flow), "buy" if flow > 0 else "sell"))
    found = traded("kyle_lambda_1m_1s", trades, 6.2)
    assert found["kyle_lambda_1m_1s"] == pytest.approx(0.5)
    assert found["kyle_lambda_1m_1s.r2"] == pytest.approx(1.0)


def test_an_interval_that_left_the_window_counts_no_more() -> None:
    """At 20 s the window of 20 s holds ten intervals from 0 on; a second later that first one is no longer wholly within it."""
    trial, dice = Trial("kyle_lambda_20s_2s"), random.Random(1)
    for second in range(1, 60):
        for tenth in (1, 4, 8):
            ts, side = T0 + (10 * second - 10 + tenth) * SECOND // 10, dice.choice(("buy", "sell"))
            trial.event(Trade(INSTRUMENT, ts, ts, 0, 100 + dice.random(), dice.randint(1, 9), side, ""))  # type: ignore[arg-type]
        found = trial.sample(T0 + second * SECOND)
        assert found == pytest.approx(trial.expected(T0 + second * SECOND), rel=1e-9), second


def test_where_flow_does_not_vary_there_is_no_lambda() -> None:
    assert traded("kyle_lambda_1m_1s", [(i + 0.5, 100.0 + i, 1.0, "buy") for i in range(9)], 9.0) == {}
    assert traded("kyle_lambda_1m_1s", [(0.5, 100.0, 1.0, "buy")], 2.0) == {}


def test_vpin_by_hand() -> None:
    """Ten of volume in two buckets of five: 4 bought + 1 of the 3 sold; 2 sold + 3 bought. (|4 − 1| + |3 − 2|) / 10."""
    found = traded("vpin_1m_2", [(1, 100.0, 4.0, "buy"), (2, 100.0, 3.0, "sell"), (3, 100.0, 3.0, "buy")], 10)
    assert found == {"vpin_1m_2": 0.4}


def test_vpin_lies_between_nothing_and_one() -> None:
    even = [(i, 100.0, 1.0, "buy" if i % 2 else "sell") for i in range(40)]
    assert traded("vpin_1m_10", even, 45) == {"vpin_1m_10": 0.0}
    assert traded("vpin_1m_10", [(i, 100.0, 1.0, "sell") for i in range(40)], 45) == {"vpin_1m_10": 1.0}
    assert traded("vpin_1m_10", [(i, 100.0, 1.0, "unknown") for i in range(40)], 45) == {}


def bulk(closes: tuple[float, ...], volumes: tuple[float, ...]) -> dict[str, float]:
    trial = Trial("vpin_bulk_3_2_1m")
    for i, (close, volume) in enumerate(zip(closes, volumes, strict=True)):
        ts = T0 + i * 60 * SECOND
        end = ts + 60 * SECOND
        trial.event(
            Bar(INSTRUMENT, end, end, 0, "1m", ts, close, close, close, close, volume, None, None, None, 1, True, 0, "trades")
        )
    found = trial.sample(T0 + 300 * SECOND)
    assert trial.expected(T0 + 300 * SECOND) == pytest.approx(found)
    return found


def test_bulk_classification() -> None:
    """Changes +1, −1, +2 of volumes 10, 10, 20 (two buckets of 20): σ² = 7/3, buyers' share of each bar Φ(Δ/σ)."""
    sigma = sqrt(7 / 3)
    first = 10 * erf(1 / sigma / sqrt(2)) + 10 * erf(-1 / sigma / sqrt(2))
    second = 20 * erf(2 / sigma / sqrt(2))
    found = bulk((100.0, 101.0, 100.0, 102.0), (5.0, 10.0, 10.0, 20.0))
    assert found == {"vpin_bulk_3_2_1m": pytest.approx((abs(first) + abs(second)) / 40)}


def test_bars_without_volume_have_no_vpin() -> None:
    assert bulk((100.0, 101.0, 100.0, 102.0), (5.0, 0.0, 0.0, 0.0)) == {}


def test_parameters_out_of_range_are_told() -> None:
    for name in ("kyle_lambda_1m_30s", "kyle_lambda_1d_1s", "vpin_1h_1", "vpin_bulk_1_50_1m"):
        with pytest.raises(UsageError, match="must"):
            registry.metric(name)
