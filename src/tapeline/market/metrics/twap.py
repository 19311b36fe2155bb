"""Time-weighted mean prices: each price counts for as long as it stood.

A price stands from its own time to the next one's, the last one until now, and the one before the window from the window's
beginning:  ∫ p(t) dt over the window, divided by the time in which there was a price.
"""

import numpy as np

from tapeline.clock import SECOND
from tapeline.market.metrics.base import Floats, History, Ints, Metric, Parameter, Sample
from tapeline.market.metrics.running import Running, changed


class Twap(Metric):
    """Time-weighted mean of the trade price over the last `window`:  ∫ p(t) dt / window, p(t) the price of the last trade at t. None
    before the first trade; where that lies within the window, the mean is of the time since.
    """

    name = "twap"
    parameters = (Parameter("window", "time", "5m"),)
    unit = "price"

    def begin(self) -> None:
        self.areas = Running(1)

    def sample(self, s: Sample) -> float | None:
        trades, since = s.trades, s.now - self.reach
        self.areas.follow(trades, changed(s), lambda k: areas(trades.ts, trades.price, k))
        n = len(trades)
        if not n:
            return None
        first, last = trades.since(since), float(trades.price[n - 1])
        begin = since if first else int(trades.ts[0])
        if first == n or begin == s.now:
            return last
        before = float(trades.price[first - 1]) * int(trades.ts[first] - since) if first else 0.0
        area = self.areas.sum(first + 1, n)[0] + (before + last * int(s.now - trades.ts[n - 1])) / SECOND
        return area / ((s.now - begin) / SECOND)

    def batch(self, h: History) -> float | None:
        return _mean(h.trade_ts, h.price, h.now - self.reach, h.now)


class MidTwap(Metric):
    """Time-weighted mean of the mid over the last `window`:  ∫ m(t) dt / ∫ dt, over the time in which both sides of
    the touch were known. None where they never were.
    """

    name = "mid_twap"
    parameters = (Parameter("window", "time", "5m"),)
    needs = frozenset({"touches"})
    unit = "price"

    def begin(self) -> None:
        self.areas = Running(2)
        self.seen = 0  # touches summed up, since the beginning: they come in their order

    def sample(self, s: Sample) -> float | None:
        touches, since = s.touches, s.now - self.reach
        self.areas.follow(touches, max(0, self.seen - touches.gone), lambda k: _mid_areas(touches.ts, touches.mid, k))
        self.seen = touches.gone + len(touches)
        n = len(touches)
        if not n:
            return None
        mid, ts = touches.mid, touches.ts
        first = touches.since(since)
        area, known = self.areas.sum(first + 1, n) if first + 1 < n else (0.0, 0.0)
        ends = [(n - 1, s.now - max(int(ts[n - 1]), since))]
        if 0 < first < n:
            ends.append((first - 1, int(ts[first]) - since))
        for place, time in ends:
            if not np.isnan(mid[place]):
                area, known = area + float(mid[place]) * time / SECOND, known + time / SECOND
        if known:
            return area / known
        return None if np.isnan(mid[n - 1]) else float(mid[n - 1])

    def batch(self, h: History) -> float | None:
        return _mean(h.touch_ts, (h.bid + h.ask) / 2, h.now - self.reach, h.now)


def areas(ts: Ints, price: Floats, first: int) -> Floats:
    """Price × seconds of each place before it, for the places from `first` on; 0 for the first of all. Shape (1, n)."""
    before = max(first - 1, 0)
    found: Floats = price[before:-1] * np.diff(ts[before:]) / SECOND
    return np.concatenate([np.zeros(int(first == 0)), found])[None]


def _mid_areas(ts: Ints, mid: Floats, first: int) -> Floats:
    known = ~np.isnan(mid)
    return np.concatenate([areas(ts, np.where(known, mid, 0.0), first), areas(ts, known.astype(float), first)])


def _mean(ts: Ints, price: Floats, since: int, now: int) -> float | None:
    """Of the step function over (since, now]. `price` may hold NaN."""
    end = int(np.searchsorted(ts, now, side="right"))
    if not end:
        return None
    edges = np.clip(np.append(ts[:end], now), since, now)
    weights, price = np.diff(edges) / SECOND, price[:end]
    known = ~np.isnan(price)
    if (total := float(weights[known].sum())) > 0:
        return float((price[known] * weights[known]).sum()) / total
    return float(price[-1]) if known[-1] else None


ALL = (Twap, MidTwap)
