"""How large trades are: quantiles of their sizes, and those that stand out.

The sizes of a window are counted in buckets of equal ratio, (γᵏ⁻¹, γᵏ], γ = (1 + α) / (1 − α), α = 1 %: DDSketch (Masson, Rim and
Lee 2019, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees"), here with trades also taken out
again when they leave. A quantile is told as 2 γᵏ / (γ + 1), at most 1 % off the exact one. Sizes from 10⁻⁹ to 10¹² have 2419
buckets, those beyond fall into the first and the last.
"""

from collections.abc import Sequence
from math import ceil, log

import numpy as np

from tapeline.market.metrics.base import Floats, History, Ints, Parameter, Sample, Value
from tapeline.market.metrics.sliding import Sliding
from tapeline.market.metrics.trading import Windowed

ALPHA = 0.01
GAMMA = (1 + ALPHA) / (1 - ALPHA)
LOG_GAMMA = log(GAMMA)
LEAST, MOST = 1e-9, 1e12
LOWEST = ceil(log(LEAST) / LOG_GAMMA)
BUCKETS = ceil(log(MOST) / LOG_GAMMA) - LOWEST + 1
CHUNK = 1024
PERCENT = (10, 50, 90, 99)


def buckets_of(size: Floats) -> Ints:
    """The number of each size's bucket, from 0."""
    found = np.ceil(np.log(np.minimum(np.maximum(size, LEAST), MOST)) / LOG_GAMMA)
    numbers: Ints = found.astype(np.int64) - LOWEST
    return numbers


def told(bucket: int) -> float:
    """The size that stands for a bucket."""
    return float(2 * GAMMA ** (bucket + LOWEST) / (GAMMA + 1))


def upper(bucket: int) -> float:
    """The largest size of a bucket."""
    return float(GAMMA ** (bucket + LOWEST))


class Sized(Windowed):
    """Counts of the window's trades by bucket."""

    def begin(self) -> None:
        self.sliding = Sliding(self.reach)
        self.counts: Ints = np.zeros(BUCKETS, np.int64)

    def _slide(self, s: Sample) -> None:
        came, left = self.sliding.moved(s)
        for places, sign in ((came, 1), (left, -1)):
            if len(places):
                run = slice(places.start, places.stop) if isinstance(places, range) else places
                buckets = buckets_of(s.trades.size[run])
                np.add.at(self.counts, buckets, sign)
                self._moved(s, places, buckets, sign)

    def _moved(self, s: Sample, places: Ints | range, buckets: Ints, sign: int) -> None:
        """These trades came into the window (1) or left it (−1)."""

    def inside_sizes(self, h: History) -> Floats:
        return h.size[self.inside(h)]


def quantiles(counts: Ints, shares: Sequence[float]) -> list[int]:
    """The buckets of the smallest sizes that at least these shares of all do not exceed; none of nothing."""
    upto = np.cumsum(counts)
    n = int(upto[-1])
    found: list[int] = np.searchsorted(upto, [max(1, ceil(share * n)) for share in shares]).tolist()
    return found if n else []


class SizeQuantiles(Sized):
    """Sizes of the trades of the last `window`: `.p10`, `.p50`, `.p90`, `.p99`, the smallest size that so many per cent of the
    trades do not exceed, each at most 1 % off, and `.mean`,  Σ sᵢ / n, exactly. None where nothing was traded.
    """

    name = "trade_size"
    parts = ("mean", "p10", "p50", "p90", "p99")
    parameters = (Parameter("window", "time", "5m"),)
    unit = "size"

    def sample(self, s: Sample) -> Value:
        self._slide(s)
        first, n = self.first(s), len(s.trades)
        return self._made(self.counts, s.trades.volume(first) / (n - first)) if n > first else None

    def _made(self, counts: Ints, mean: float) -> Value:
        found = quantiles(counts, [percent / 100 for percent in PERCENT])
        return {"mean": mean} | {f"p{percent}": told(bucket) for percent, bucket in zip(PERCENT, found, strict=True)}

    def batch(self, h: History) -> Value:
        size = self.inside_sizes(h)
        return self._made(np.bincount(buckets_of(size), minlength=BUCKETS), float(size.mean())) if len(size) else None


class LargeTrades(Sized):
    """Trades of the last `window` that stand out, larger than `.threshold`, which is `times` the median size, at most 3 % off (the
    border of a bucket): `.count`, `.volume`, `.share` of the whole volume, and of the latest of them `.last_size` and
    `.last_price`. None where nothing was traded.
    """

    name = "large_trades"
    parts = ("threshold", "count", "volume", "share", "last_size", "last_price")
    parameters = (Parameter("window", "time", "5m"), Parameter("times", "count", "10"))
    times: int

    def begin(self) -> None:
        super().begin()
        self.volumes: dict[int, int] = {}  # of each bucket, × lots
        self.lots = 1

    def sample(self, s: Sample) -> Value:
        self._slide(s)
        bucket, first = self._border(self.counts), self.first(s)
        if bucket is None or not (volume := s.trades.volume(first)):
            return None
        large = sum(volume for number, volume in self.volumes.items() if number > bucket) / self.lots
        found: dict[str, float] = {
            "threshold": upper(bucket),
            "count": int(self.counts[bucket + 1 :].sum()),
            "volume": large,
            "share": large / volume,
        }
        return found | self._last(s, first, bucket) if found["count"] else found

    def _moved(self, s: Sample, places: Ints | range, buckets: Ints, sign: int) -> None:
        volumes = self.volumes
        if (finer := s.trades.lots // self.lots) > 1:
            self.lots = s.trades.lots
            volumes = self.volumes = {bucket: volume * finer for bucket, volume in volumes.items()}
        for bucket, size in zip(buckets.tolist(), s.trades.sizes(places), strict=True):
            volumes[bucket] = volumes.get(bucket, 0) + sign * size

    def _border(self, counts: Ints) -> int | None:
        median = quantiles(counts, [0.5])
        return int(buckets_of(np.array([self.times * told(median[0])]))[0]) if median else None

    def _last(self, s: Sample, first: int, bucket: int) -> dict[str, float]:
        """Looked for backwards: large trades are rare, but seldom long ago."""
        end = len(s.trades)
        while end > first:
            begin = max(first, end - CHUNK)
            large = np.flatnonzero(buckets_of(s.trades.size[begin:end]) > bucket)
            if len(large):
                place = begin + int(large[-1])
                return {"last_size": float(s.trades.size[place]), "last_price": float(s.trades.price[place])}
            end = begin
        return {}

    def batch(self, h: History) -> Value:
        inside = self.inside(h)
        size, price = h.size[inside], h.price[inside]
        buckets = buckets_of(size)
        border = self._border(np.bincount(buckets, minlength=BUCKETS)) if len(size) else None
        if border is None or not size.any():
            return None
        large = np.flatnonzero(buckets > border)
        volume = float(size[large].sum())
        found: dict[str, float] = {
            "threshold": upper(border),
            "count": len(large),
            "volume": volume,
            "share": volume / float(size.sum()),
        }
        last = {"last_size": float(size[large[-1]]), "last_price": float(price[large[-1]])} if len(large) else {}
        return found | last


ALL = (SizeQuantiles, LargeTrades)
