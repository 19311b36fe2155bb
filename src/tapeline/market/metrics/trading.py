"""What was traded within a window of venue time, (now − window, now]: differences of exact running sums, whatever the window."""

from typing import ClassVar

import numpy as np

from tapeline.clock import SECOND
from tapeline.market.metrics.base import Floats, History, Metric, Parameter, Sample, Value
from tapeline.market.metrics.running import Running, changed


class Windowed(Metric):
    """Of the trades of the last `window`."""

    parameters: ClassVar[tuple[Parameter, ...]] = (Parameter("window", "time", "1m"),)

    def first(self, s: Sample) -> int:
        """The place of the window's first trade."""
        return s.trades.since(s.now - self.reach)

    def inside(self, h: History) -> slice:
        first, end = np.searchsorted(h.trade_ts, [h.now - self.reach, h.now], side="right")
        return slice(int(first), int(end))


class Volume(Windowed):
    """Size traded in the last `window`:  Σ sᵢ. In units of the base asset, or in contracts. 0 where nothing was traded."""

    name = "volume"
    unit = "size"

    def sample(self, s: Sample) -> float:
        return s.trades.volume(self.first(s))

    def batch(self, h: History) -> float:
        return float(h.size[self.inside(h)].sum())


class Notional(Windowed):
    """Value traded in the last `window`:  Σ pᵢ sᵢ, in the quote asset; of inverse contracts  contract value · Σ sᵢ."""

    name = "notional"
    unit = "quote asset"

    def sample(self, s: Sample) -> float:
        if s.contract_value is not None:
            return s.contract_value * s.trades.volume(self.first(s))
        return s.trades.notional(self.first(s))

    def batch(self, h: History) -> float:
        inside = self.inside(h)
        if h.contract_value is not None:
            return float(h.contract_value * h.size[inside].sum())
        return float((h.price[inside] * h.size[inside]).sum())


class TradeCount(Windowed):
    """Number of trades in the last `window`."""

    name = "trades"

    def sample(self, s: Sample) -> float:
        return len(s.trades) - self.first(s)

    def batch(self, h: History) -> float:
        return len(h.size[self.inside(h)])


class Vwap(Windowed):
    """Mean price of the last `window`, weighted by size:  Σ pᵢ sᵢ / Σ sᵢ. Of inverse contracts the weights are contracts. None where
    nothing was traded.
    """

    name = "vwap"
    parameters = (Parameter("window", "time", "5m"),)
    unit = "price"

    def sample(self, s: Sample) -> float | None:
        return s.trades.vwap(self.first(s))

    def batch(self, h: History) -> float | None:
        inside = self.inside(h)
        volume = h.size[inside].sum()
        return float((h.price[inside] * h.size[inside]).sum() / volume) if volume else None


class BuyVolume(Windowed):
    """Size that buyers took in the last `window`:  Σ sᵢ of the trades whose aggressor bought. None where no side is known."""

    name = "buy_volume"
    unit = "size"

    def sample(self, s: Sample) -> Value:
        buys, _, known = _sides(s, self.first(s))
        return buys if known else None

    def batch(self, h: History) -> Value:
        buys, _, known = _sides_of(h, self.inside(h))
        return buys if known else None


class SellVolume(Windowed):
    """Size that sellers gave in the last `window`:  Σ sᵢ of the trades whose aggressor sold. None where no side is known."""

    name = "sell_volume"
    unit = "size"

    def sample(self, s: Sample) -> Value:
        _, sells, known = _sides(s, self.first(s))
        return sells if known else None

    def batch(self, h: History) -> Value:
        _, sells, known = _sides_of(h, self.inside(h))
        return sells if known else None


class Delta(Windowed):
    """Cumulative volume delta over the last `window`: what buyers took less what sellers gave,  Σ sᵢ dᵢ, dᵢ the side of the
    aggressor (1, −1; 0 where not known). 0 where nothing was traded, None where no side of what was traded is known.
    """

    name = "cvd"
    parameters = (Parameter("window", "time", "5m"),)
    unit = "size"

    def sample(self, s: Sample) -> Value:
        buys, sells, known = _sides(s, self.first(s))
        return buys - sells if known else None

    def batch(self, h: History) -> Value:
        buys, sells, known = _sides_of(h, self.inside(h))
        return buys - sells if known else None


class BuyRatio(Windowed):
    """Share of buyers in the volume of the last `window`:  B / (B + S), what buyers took and what sellers gave. None where
    neither is known.
    """

    name = "buy_ratio"
    unit = "0 to 1"

    def sample(self, s: Sample) -> Value:
        buys, sells, _ = _sides(s, self.first(s))
        return buys / (buys + sells) if buys + sells else None

    def batch(self, h: History) -> Value:
        buys, sells, _ = _sides_of(h, self.inside(h))
        return buys / (buys + sells) if buys + sells else None


def _sides(s: Sample, first: int) -> tuple[float, float, bool]:
    """Volume of buyers, of sellers, and whether that tells anything: sides are known, or nothing was traded."""
    buys, sells = s.trades.buy_volume(first), s.trades.sell_volume(first)
    return buys, sells, bool(buys or sells or first == len(s.trades))


def _sides_of(h: History, inside: slice) -> tuple[float, float, bool]:
    size, side = h.size[inside], h.side[inside]
    return float(size[side > 0].sum()), float(size[side < 0].sum()), bool(side.any() or not len(side))


class TradeRate(Windowed):
    """Trades a second over the last `window`:  n / window; `.buys` and `.sells` those of either aggressor. An order that meets
    several is as many trades as the venue tells.
    """

    name = "trade_rate"
    parts = ("", "buys", "sells")
    unit = "1/s"

    def begin(self) -> None:
        self.sums = Running(2)

    def sample(self, s: Sample) -> Value:
        self.sums.follow(s.trades, changed(s), lambda k: np.stack([s.trades.side[k:] > 0, s.trades.side[k:] < 0]).astype(float))
        first, n, seconds = self.first(s), len(s.trades), self.reach / SECOND
        buys, sells = self.sums.sum(first, n)
        return {"": (n - first) / seconds, "buys": buys / seconds, "sells": sells / seconds}

    def batch(self, h: History) -> Value:
        side, seconds = h.side[self.inside(h)], self.reach / SECOND
        return {"": len(side) / seconds, "buys": (side > 0).sum() / seconds, "sells": (side < 0).sum() / seconds}


class Interarrival(Windowed):
    """Time between two trades that follow each other in the last `window`: `.mean` in seconds,  (tₙ − t₁) / (n − 1), and `.cv`, its
    standard deviation (of the population) over its mean: 1 where trades come at random (Poisson), more where they come in bursts.
    None with fewer than 2 trades; `.cv` also where all have the same time.
    """

    name = "interarrival"
    parts = ("mean", "cv")
    unit = "s"
    warm_up = "2 trades"

    def begin(self) -> None:
        self.squares = Running(1)

    def sample(self, s: Sample) -> Value:
        self.squares.follow(s.trades, changed(s), lambda k: _squared_gaps(s, k))
        first, n, ts = self.first(s), len(s.trades), s.trades.ts
        if n - first < 2:
            return None
        mean = int(ts[n - 1] - ts[first]) / SECOND / (n - first - 1)
        square = self.squares.sum(first + 1, n)[0] / (n - first - 1)
        return {"mean": mean, "cv": max(0.0, square - mean * mean) ** 0.5 / mean if mean else None}

    def batch(self, h: History) -> Value:
        gaps = np.diff(h.trade_ts[self.inside(h)]) / SECOND
        if not len(gaps):
            return None
        mean = float(gaps.mean())
        return {"mean": mean, "cv": float(gaps.std()) / mean if mean else None}


def _squared_gaps(s: Sample, first: int) -> Floats:
    """Seconds², of each place from `first` on to the one before it; 0 for the first of all."""
    gaps: Floats = np.diff(s.trades.ts[max(first - 1, 0) :]) / SECOND
    return np.concatenate([np.zeros(int(first == 0)), gaps * gaps])[None]


ALL = (Volume, Notional, TradeCount, Vwap, BuyVolume, SellVolume, Delta, BuyRatio, TradeRate, Interarrival)
