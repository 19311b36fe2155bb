"""Volatility, as a fraction a year (0.6 is 60 %): from the bars of an interval, and from every trade of a window.

A year is 365 days of 24 hours; of instruments that trade in the sessions of an exchange 252 sessions of 6½ hours, a daily bar being
one session. A variance of one bar is multiplied by the number of bars in a year.

Estimates from bars use the last `bars` closed ones, made of our trades and before the first of those the venue's own candles, as
they stand after corrections by late trades; a bar in which nothing was traded does not exist and is skipped. They change when a bar
closes or is corrected, and are incomplete while one of their bars is.
"""

from itertools import pairwise
from math import fsum, log, sqrt

import numpy as np

from tapeline.clock import SECOND
from tapeline.config import INTERVALS
from tapeline.errors import UsageError
from tapeline.events import Bar
from tapeline.market.metrics.base import DAY, Floats, History, Metric, Parameter, Sample, Value
from tapeline.market.metrics.of_bars import OfBars
from tapeline.market.metrics.running import Running, changed

SESSIONS, SESSION = 252, 23_400 * SECOND
MOST_SCALE = 5000
LN2 = log(2.0)
YZ = 0.34
Prices = tuple[float, float, float, float]  # open, high, low, close


def year(sessions: bool) -> int:
    """The time of trading in a year, ns."""
    return SESSIONS * SESSION if sessions else 365 * DAY


def bars_a_year(width: int, sessions: bool) -> float:
    return SESSIONS * max(1.0, SESSION / width) if sessions else year(False) / width


class BarVolatility(OfBars):
    """Of the last `bars` bars. `terms` makes of one bar and the close before it what is averaged."""

    parameters = (Parameter("bars", "count", "20"), Parameter("interval", "interval", "1m"))
    unit = "1/√year"

    def sample(self, s: Sample) -> float | None:
        return self._a_year(self.renewed(s), s.sessions)

    def made(self, held: list[Bar]) -> float | None:
        """The variance of one bar."""
        if len(held) <= self.bars or min(bar.low for bar in held) <= 0:
            return None
        terms = [self.terms((b.open, b.high, b.low, b.close), before.close) for before, b in pairwise(held)]
        return self.joined([list(column) for column in zip(*terms, strict=True)])

    def _a_year(self, variance: float | None, sessions: bool) -> float | None:
        if variance is None or variance < 0:
            return None
        return sqrt(variance * bars_a_year(INTERVALS[self.interval], sessions))

    def terms(self, bar: Prices, before: float) -> tuple[float, ...]:
        raise NotImplementedError

    def joined(self, columns: list[list[float]]) -> float:
        """The variance of one bar; by default the mean of the only column."""
        return fsum(columns[0]) / len(columns[0])

    def batch(self, h: History) -> float | None:
        rows: Floats = np.array([(b.open, b.high, b.low, b.close) for b in self.last_of(h)], float).reshape(-1, 4)
        if len(rows) <= self.bars or rows.min() <= 0:
            return None
        o, high, low, c = np.log(rows[1:]).T
        return self._a_year(self.by_columns(o, high, low, c, np.log(rows[:-1, 3])), h.sessions)

    def by_columns(self, o: Floats, h: Floats, low: Floats, c: Floats, before: Floats) -> float:
        """The same variance from logarithms of prices; `before`: of the closes before."""
        raise NotImplementedError


class CloseVolatility(BarVolatility):
    """Close to close: the standard deviation of the returns rᵢ = ln(Cᵢ / Cᵢ₋₁),  √(Σ (rᵢ − r̄)² / (n − 1)), a year. The n returns are
    those of the last `bars` bars. Needs one bar more.
    """

    name = "vol_close"

    def terms(self, bar: Prices, before: float) -> tuple[float, ...]:
        return (log(bar[3] / before),)

    def joined(self, columns: list[list[float]]) -> float:
        return _variance(columns[0])

    def by_columns(self, o: Floats, h: Floats, low: Floats, c: Floats, before: Floats) -> float:  # noqa: ARG002 - one shape
        return float(np.var(c - before, ddof=1))


class Parkinson(BarVolatility):
    """From highs and lows:  √(Σ ln(Hᵢ / Lᵢ)² / (4 n ln 2)), a year (Parkinson 1980, "The extreme value method for estimating the
    variance of the rate of return"). For prices that move without drift; of few trades a bar it comes out too small.
    """

    name = "vol_parkinson"

    def terms(self, bar: Prices, before: float) -> tuple[float, ...]:  # noqa: ARG002 - one shape
        return (log(bar[1] / bar[2]) ** 2 / (4 * LN2),)

    def by_columns(self, o: Floats, h: Floats, low: Floats, c: Floats, before: Floats) -> float:  # noqa: ARG002 - one shape
        return float(np.mean((h - low) ** 2) / (4 * np.log(2)))


class GarmanKlass(BarVolatility):
    """From opens, highs, lows and closes:  √(1/n Σ (½ ln(Hᵢ / Lᵢ)² − (2 ln 2 − 1) ln(Cᵢ / Oᵢ)²)), a year (Garman and Klass 1980,
    "On the estimation of security price volatilities from historical data", their practical estimator). For prices without drift
    and without jumps between bars.
    """

    name = "vol_garman_klass"

    def terms(self, bar: Prices, before: float) -> tuple[float, ...]:  # noqa: ARG002 - one shape
        o, h, low, c = bar
        return (0.5 * log(h / low) ** 2 - (2 * LN2 - 1) * log(c / o) ** 2,)

    def by_columns(self, o: Floats, h: Floats, low: Floats, c: Floats, before: Floats) -> float:  # noqa: ARG002 - one shape
        return float(np.mean((h - low) ** 2 / 2 - (2 * np.log(2) - 1) * (c - o) ** 2))


class YangZhang(BarVolatility):
    """Whatever the drift and the jumps between bars:  √(σ²ₒ + k σ²_c + (1 − k) σ²_rs), a year (Yang and Zhang 2000,
    "Drift-independent volatility estimation based on high, low, open and close prices"). σ²ₒ, σ²_c: sample variances of
    ln(Oᵢ / Cᵢ₋₁) and ln(Cᵢ / Oᵢ); σ²_rs: mean of u(u − c) + d(d − c), u = ln(H/O), d = ln(L/O), c = ln(C/O) (Rogers and Satchell
    1991); k = 0.34 / (1.34 + (n + 1)/(n − 1)).
    """

    name = "vol_yang_zhang"

    def terms(self, bar: Prices, before: float) -> tuple[float, ...]:
        o, h, low, c = bar
        up, down, change = log(h / o), log(low / o), log(c / o)
        return log(o / before), change, up * (up - change) + down * (down - change)

    def joined(self, columns: list[list[float]]) -> float:
        opens, changes, satchell = columns
        k = _yang_zhang_k(len(opens))
        return _variance(opens) + k * _variance(changes) + (1 - k) * fsum(satchell) / len(satchell)

    def by_columns(self, o: Floats, h: Floats, low: Floats, c: Floats, before: Floats) -> float:
        k = _yang_zhang_k(len(o))
        satchell = np.mean((h - o) * (h - c) + (low - o) * (low - c))
        return float(np.var(o - before, ddof=1) + k * np.var(c - o, ddof=1) + (1 - k) * satchell)


def _yang_zhang_k(n: int) -> float:
    return YZ / (1 + YZ + (n + 1) / (n - 1))


def _variance(values: list[float]) -> float:
    mean = fsum(values) / len(values)
    return fsum((x - mean) ** 2 for x in values) / (len(values) - 1)


class TwoScale(Metric):
    """Two-scale realised volatility of the trades of the last `window`: what the price itself moves, without its jumps between bid
    and ask,  √((RV_K − n̄/n · RV₁) / (1 − n̄/n)), a year (Zhang, Mykland and Aït-Sahalia 2005, "A tale of two time scales", with their
    correction for small samples). RV₁ = Σ (xᵢ − xᵢ₋₁)², RV_K = 1/K Σ (xᵢ − xᵢ₋ₖ)², x the logarithms of the prices, n their steps,
    K = `scale` trades, n̄ = (n − K + 1) / K. None with fewer than 2 K steps, and where the estimate is negative.
    """

    name = "vol_two_scale"
    parameters = (Parameter("window", "time", "5m"), Parameter("scale", "count", "30"))
    unit = "1/√year"
    scale: int

    def begin(self) -> None:
        if not 2 <= self.scale <= MOST_SCALE:
            raise UsageError(f"{self.full_name}: the scale must lie between 2 and {MOST_SCALE} trades")
        self.squares = Running(2)

    def sample(self, s: Sample) -> Value:
        self.squares.follow(s.trades, changed(s), lambda k: self._terms(s.trades.price, k))
        first, n = s.trades.since(s.now - self.reach), len(s.trades)
        if n - first - 1 < 2 * self.scale:
            return None
        fast, slow = self.squares.sum(first + 1, n)[0], self.squares.sum(first + self.scale, n)[1]
        return self._made(n - first - 1, fast, slow, s.sessions)

    def _terms(self, price: Floats, first: int) -> Floats:
        """The squared steps of each place from `first` on, over one trade and over `scale`; 0 where there are not so many before."""
        begin = max(0, first - self.scale)
        logs: Floats = np.log(np.maximum(price[begin:], 1e-300))
        found = np.zeros((2, len(price) - begin))
        for row, step in enumerate((1, self.scale)):
            found[row, step:] = (logs[step:] - logs[:-step]) ** 2
        return found[:, first - begin :]

    def _made(self, n: int, fast: float, slow: float, sessions: bool) -> float | None:
        share = (n - self.scale + 1) / self.scale / n
        variance = (slow / self.scale - share * fast) / (1 - share)
        return sqrt(variance * year(sessions) / self.reach) if variance >= 0 else None

    def batch(self, h: History) -> Value:
        logs = np.log(h.price[(h.trade_ts > h.now - self.reach) & (h.trade_ts <= h.now)])
        if len(logs) - 1 < 2 * self.scale:
            return None
        fast, slow = ((logs[k:] - logs[:-k]) ** 2 for k in (1, self.scale))
        return self._made(len(logs) - 1, float(fast.sum()), float(slow.sum()), h.sessions)


ALL = (CloseVolatility, Parkinson, GarmanKlass, YangZhang, TwoScale)
