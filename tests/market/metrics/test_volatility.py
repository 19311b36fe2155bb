"""Volatility: published values, other people's formulas written out, drawn prices whose volatility is known, the batch twins at
small windows, and what late, venue's and incomplete bars do.

Close to close and Garman-Klass have a published example with data. The papers of the others print none; of those the estimators'
own statements are held: Parkinson's efficiency, and that noise does not move the two-scale one.
"""

from math import log, sqrt

import numpy as np
import pytest

from tapeline.clock import SECOND
from tapeline.errors import UsageError
from tapeline.events import Bar, Trade
from tapeline.market.metrics import registry
from tapeline.market.metrics.base import Floats
from tapeline.market.metrics.volatility import bars_a_year, year
from tapeline.testing import INSTRUMENT, T0, Trial, check_metric

MINUTE = 60 * SECOND
DAYS = 365 * 24 * 60  # minutes of a year
# open, high, low, close
BARS = [(100.0, 101.0, 99.5, 100.5), (100.6, 102.0, 100.2, 101.7), (101.5, 101.9, 100.0, 100.1), (100.1, 100.4, 98.7, 99.0)]


def bar(i: int, prices: tuple[float, ...], *, complete: bool = True, origin: str = "trades", revision: int = 0) -> Bar:
    ts = T0 + i * MINUTE
    o, h, low, c = prices
    return Bar(
        INSTRUMENT, ts + MINUTE, ts + MINUTE, 0, "1m", ts, o, h, low, c, 1.0, None, None, None, 1, complete, revision, origin
    )  # fmt: skip


def after(name: str, bars: list[Bar]) -> tuple[float | None, list[str]]:
    trial = Trial(name)
    for b in bars:
        trial.event(b)
    at = bars[-1].ts_recv + SECOND
    found = trial.sample(at)
    assert trial.expected(at) == pytest.approx(found, rel=1e-12)
    return found.get(name), trial.analytics.incomplete


def of(name: str, rows: list[tuple[float, ...]] = BARS) -> float | None:
    return after(name, [bar(i, row) for i, row in enumerate(rows)])[0]


@pytest.mark.parametrize("name", ["vol_close_5_1s", "vol_parkinson_5_1s", "vol_garman_klass_5_1s", "vol_yang_zhang_5_1s"])
def test_short_ones_of_seconds_equal_their_twins(name: str) -> None:
    check_metric(name, seeds=range(2))


def test_a_small_two_scale_one_equals_its_twin() -> None:
    check_metric("vol_two_scale_30s_5", seeds=range(2))


def test_close_to_close_is_the_sample_deviation_of_the_returns() -> None:
    r = [log(101.7 / 100.5), log(100.1 / 101.7), log(99.0 / 100.1)]
    mean = sum(r) / 3
    assert of("vol_close_3_1m") == pytest.approx(sqrt(sum((x - mean) ** 2 for x in r) / 2 * DAYS))


CLOSE = [
    132.5, 133.5, 135, 133, 133, 137, 135, 135, 142.5, 143, 144.5, 145, 146, 149, 148, 147, 147, 147, 145, 145, 150,
]  # fmt: skip
HIGH = [
    132.5, 134, 136, 137, 136, 137, 136.5, 136, 143.5, 145, 147, 147.5, 147, 150, 149, 149.5, 147.5, 149, 147.5, 145, 150,
]  # fmt: skip
LOW = [131, 131, 134, 133, 133, 133, 135, 135, 137, 142, 142, 145, 143, 148, 146.5, 147, 146, 146.5, 144.5, 144, 143.5]


@pytest.mark.parametrize(("name", "published"), [("vol_close_20_1m", 0.0173), ("vol_garman_klass_20_1m", 0.0128)])
def test_the_published_example(name: str, published: float) -> None:
    """21 days and the volatilities of a day that follow, as in the tests of OpenGamma's platform (HistoricalVolatilityCloseCalculator,
    HistoricalVolatilityHighLowCloseCalculator), where a day opens at the close before. Its high-low value, 0.0126, is of the mean
    range, not of Parkinson's mean square.
    """
    opens = [CLOSE[0], *CLOSE[:-1]]
    found = of(name, [tuple(map(float, row)) for row in zip(opens, HIGH, LOW, CLOSE, strict=True)])
    assert found is not None
    assert round(found / sqrt(DAYS), 4) == published


def test_parkinson() -> None:
    total = log(102 / 100.2) ** 2 + log(101.9 / 100) ** 2 + log(100.4 / 98.7) ** 2
    assert of("vol_parkinson_3_1m") == pytest.approx(sqrt(total / (4 * 3 * log(2)) * DAYS))


def test_garman_klass() -> None:
    total = sum(0.5 * log(h / low) ** 2 - (2 * log(2) - 1) * log(c / o) ** 2 for o, h, low, c in BARS[1:])
    assert of("vol_garman_klass_3_1m") == pytest.approx(sqrt(total / 3 * DAYS))


def test_yang_zhang() -> None:
    """Written as TTR's `volatility(calc = "yang.zhang")` writes it: k = (α − 1) / (α + (n + 1)/(n − 1)), α = 1.34."""
    opens = np.log([100.6 / 100.5, 101.5 / 101.7, 100.1 / 100.1])
    closes = np.log([c / o for o, _, _, c in BARS[1:]])
    satchell = np.mean([log(h / c) * log(h / o) + log(low / c) * log(low / o) for o, h, low, c in BARS[1:]])
    k = 0.34 / (1.34 + 4 / 2)
    variance = opens.var(ddof=1) + k * closes.var(ddof=1) + (1 - k) * satchell
    assert of("vol_yang_zhang_3_1m") == pytest.approx(sqrt(variance * DAYS))


def walk(n: int, steps: int, sigma: float, seed: int) -> Floats:
    """Logarithms of prices: n bars of so many steps each, of volatility `sigma` a bar."""
    return np.cumsum(np.random.default_rng(seed).normal(0, sigma / sqrt(steps), n * steps)).reshape(n, steps)


def rows_of(paths: Floats) -> list[tuple[float, ...]]:
    begins = np.concatenate([[0.0], paths[:-1, -1]])
    whole = np.concatenate([begins[:, None], paths], axis=1)
    return [tuple(row) for row in (100 * np.exp(np.stack([begins, whole.max(1), whole.min(1), paths[:, -1]], 1))).tolist()]


@pytest.mark.parametrize(
    ("name", "within"),
    [("vol_close", 0.08), ("vol_parkinson", 0.05), ("vol_garman_klass", 0.05), ("vol_yang_zhang", 0.05)],
)
def test_on_drawn_prices_each_finds_the_volatility(name: str, within: float) -> None:
    found = of(f"{name}_400_1m", rows_of(walk(401, 1000, 0.001, 3)))
    assert found == pytest.approx(0.001 * sqrt(DAYS), rel=within)


def test_the_ranges_are_as_much_better_as_their_authors_say() -> None:
    """Variances of the estimators over close to close: Parkinson (1980) 4.9, Garman and Klass (1980) 7.4 times smaller."""
    variances: dict[str, list[float]] = {"close": [], "parkinson": [], "garman_klass": []}
    for seed in range(60):
        rows = np.log(rows_of(walk(30, 1500, 0.01, seed)))
        o, h, low, c = rows.T
        variances["close"].append(float(np.mean((c - o) ** 2)))
        for name in ("parkinson", "garman_klass"):
            metric: object = registry.metric(f"vol_{name}_5_1m")
            variances[name].append(metric.by_columns(o, h, low, c, o))  # type: ignore[attr-defined]
    spread = {name: np.var(found) for name, found in variances.items()}
    assert 3.5 < spread["close"] / spread["parkinson"] < 7
    assert 5 < spread["close"] / spread["garman_klass"] < 11


def test_noise_does_not_move_the_two_scale_one() -> None:
    """The paper's point: the plain sum of squares measures the noise, the two-scale estimate the volatility."""
    trial, n, window = Trial("vol_two_scale_1h_100"), 20_000, 3600
    dice = np.random.default_rng(5)
    true = 0.5  # a year
    logs = np.cumsum(dice.normal(0, true * sqrt(window * SECOND / year(sessions=False) / n), n))
    noisy = logs + dice.choice([-0.0003, 0.0003], n)
    for i, price in enumerate((100 * np.exp(noisy)).tolist()):
        ts = T0 + (i + 1) * window * SECOND // n
        trial.event(Trade(INSTRUMENT, ts, ts, 0, price, 1.0, "buy", ""))
    plain = sqrt(float((np.diff(noisy) ** 2).sum()) * year(sessions=False) / (window * SECOND))
    found = trial.sample(T0 + window * SECOND)["vol_two_scale_1h_100"]
    assert plain > 4 * true
    assert found == pytest.approx(true, rel=0.15)


def test_a_year() -> None:
    """Crypto: 365 days. An exchange: 252 sessions of 6½ hours, and a daily bar is one of them."""
    assert bars_a_year(24 * 60 * MINUTE, sessions=False) == 365
    assert bars_a_year(MINUTE, sessions=False) == DAYS
    assert bars_a_year(24 * 60 * MINUTE, sessions=True) == 252
    assert bars_a_year(MINUTE, sessions=True) == 252 * 390


def test_before_enough_bars_and_of_prices_below_zero_nothing_is_known() -> None:
    assert of("vol_parkinson_4_1m") is None
    assert of("vol_close_3_1m", [(1.0, 1.0, -1.0, 1.0)] * 4) is None


def test_corrections_count_and_an_incomplete_bar_marks_it() -> None:
    bars = [bar(i, row, complete=i != 2) for i, row in enumerate(BARS)]
    flat = (100.0, 100.0, 100.0, 100.0)
    assert after("vol_parkinson_3_1m", bars)[1] == ["vol_parkinson_3_1m"]
    found, incomplete = after("vol_parkinson_3_1m", [*bars, bar(2, flat, revision=1), bar(1, flat, origin="venue")])
    assert incomplete == []
    assert found == of("vol_parkinson_3_1m", [BARS[0], BARS[1], flat, BARS[3]])


def test_a_parameter_out_of_range_is_told() -> None:
    for name in ("vol_close_1_1m", "vol_close_5001_1m", "vol_two_scale_5m_1"):
        with pytest.raises(UsageError, match="between 2 and 5000"):
            registry.metric(name)
