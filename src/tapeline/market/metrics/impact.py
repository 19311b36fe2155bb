"""How trading moves the price, and how one-sided it is: Kyle's lambda, VPIN."""

from itertools import pairwise
from math import erf, fsum, sqrt

import numpy as np

from tapeline.errors import UsageError
from tapeline.events import Bar
from tapeline.market.metrics.base import Floats, History, Ints, Metric, Parameter, Sample, Value
from tapeline.market.metrics.of_bars import OfBars
from tapeline.market.metrics.store import Trades

MOST_STEPS = 2000
MOST_BUCKETS = 1000


class KyleLambda(Metric):
    """Kyle's lambda: by how much a size of 1 moves the price, the slope λ of  Δpₖ = α + λ qₖ + εₖ  by least squares over the last
    `window` (Kyle 1985, "Continuous auctions and insider trading"; estimated as by Hasbrouck 2009, "Trading costs and returns for
    U.S. equities", but of prices, not their logarithms, and of sizes, not their roots). Δpₖ: the change of the trade price over the
    k-th interval of length `step`, on the clock's grid, wholly within the window and after the first trade; qₖ: its volume of
    buyers less that of sellers. Intervals without trades count, as no change. `.r2`: the share of the variance of Δp that it
    explains. None with fewer than 3 intervals, or where q does not vary.
    """

    name = "kyle_lambda"
    parts = ("", "r2")
    parameters = (Parameter("window", "time", "10m"), Parameter("step", "time", "10s"))
    unit = "price/size"
    step: int

    def begin(self) -> None:
        if not 3 <= self.reach // self.step <= MOST_STEPS:
            raise UsageError(f"{self.full_name}: the window must hold 3 to {MOST_STEPS} steps")
        self.span = (-1, -1)  # of the intervals that the answer is made of
        self.answer: dict[str, float | None] | None = None

    def sample(self, s: Sample) -> Value:
        edges = self._edges(s.now)
        new = s.new_trades
        span = int(edges[0]), int(edges[-1])
        if span != self.span or (len(new) and int(s.trades.ts[int(new.min())]) < span[1]):
            self.span = span
            self.answer = self._of(s.trades, edges)
        return self.answer

    def _edges(self, now: int) -> Ints:
        end = now - now % self.step
        return np.arange(end - (end - now + self.reach) // self.step * self.step, end + 1, self.step)

    def _of(self, trades: Trades, edges: Ints) -> dict[str, float | None] | None:
        places = np.searchsorted(trades.ts, edges, side="left")
        edges, places = edges[places > 0], places[places > 0]
        if len(places) < 4:
            return None
        at = places.tolist()
        flows = [trades.buy_volume(a, b) - trades.sell_volume(a, b) for a, b in pairwise(at)]
        return _regressed(np.diff(trades.price[places - 1]).tolist(), flows)

    def batch(self, h: History) -> Value:
        edges = self._edges(h.now)
        first = h.trade_ts[0] if len(h.trade_ts) else h.now
        edges = edges[edges > first]
        if len(edges) < 4:
            return None
        prices = h.price[np.searchsorted(h.trade_ts, edges, side="left") - 1]
        inside = (h.trade_ts >= edges[0]) & (h.trade_ts < edges[-1])
        which = (h.trade_ts[inside] - edges[0]) // self.step
        flows = np.bincount(which, h.size[inside] * h.side[inside], len(edges) - 1)
        if not np.ptp(np.round(flows, 9)):
            return None
        slope = float(np.polyfit(flows, np.diff(prices), 1)[0])
        moved = np.ptp(prices[1:] - prices[:-1])
        return {"": slope, "r2": float(np.corrcoef(flows, np.diff(prices))[0, 1] ** 2) if moved else None}


def _regressed(changes: list[float], flows: list[float]) -> dict[str, float | None] | None:
    n = len(flows)
    mean_change, mean_flow = fsum(changes) / n, fsum(flows) / n
    spread = fsum((q - mean_flow) ** 2 for q in flows)
    if not spread or max(flows) == min(flows):
        return None
    both = fsum((q - mean_flow) * (p - mean_change) for q, p in zip(flows, changes, strict=True))
    moved = fsum((p - mean_change) ** 2 for p in changes)
    return {"": both / spread, "r2": both * both / (spread * moved) if moved else None}


class Vpin(Metric):
    """Volume-synchronised probability of informed trading: the volume of the last `window` is cut into n `buckets` of equal volume
    V, and  Σ |Vᴮ − Vˢ| / (n V)  taken over them (Easley, López de Prado and O'Hara 2012, "Flow toxicity and liquidity in a
    high-frequency world"). Vᴮ and Vˢ are by the true sides of the aggressors, as venues tell them, instead of the paper's bulk
    classification (`vpin_bulk`); a trade on the border of two buckets is divided. The paper's parameters, 50 buckets of a fiftieth
    of a day's volume, are `vpin_1d_50`. None where nothing was traded, or no side is known.
    """

    name = "vpin"
    parameters = (Parameter("window", "time", "1h"), Parameter("buckets", "count", "50"))
    unit = "0 to 1"
    buckets: int

    def begin(self) -> None:
        _check_buckets(self.full_name, self.buckets)

    def sample(self, s: Sample) -> float | None:
        trades, n = s.trades, self.buckets
        first, end = trades.since(s.now - self.reach), len(s.trades)
        total, buys, sells, _ = trades.exact(first, end)
        if not buys + sells:
            return None
        one_sided, before = 0, 0
        for bucket in range(1, n + 1):
            place = trades.at_volume(total * bucket // n, first)
            volume, buys, sells, _ = trades.exact(first, place)
            part = total * bucket - n * volume  # × n, so that all stays whole
            flow = n * (buys - sells) + (round(trades.side[place]) * part if part else 0)
            one_sided, before = one_sided + abs(flow - before), flow
        return one_sided / (n * total)

    def batch(self, h: History) -> float | None:
        inside = (h.trade_ts > h.now - self.reach) & (h.trade_ts <= h.now)
        size, side = h.size[inside], h.side[inside]
        return _vpin(size, size * side, self.buckets) if side.any() else None


class VpinBulk(OfBars):
    """VPIN by bulk volume classification, for which no side need be known: of the volume of each of the last `bars` bars the share
    Φ(ΔPᵢ / σ) is taken for buyers', Φ the standard normal distribution, ΔPᵢ the change from the close before, σ its standard
    deviation over these bars; then as `vpin`, over `buckets` of equal volume (Easley, López de Prado and O'Hara 2012; their bars
    are of a minute). None where the price did not move, or nothing was traded (venues' candles of indices and currencies).
    """

    name = "vpin_bulk"
    parameters = (
        Parameter("bars", "count", "120"),
        Parameter("buckets", "count", "50"),
        Parameter("interval", "interval", "1m"),
    )
    unit = "0 to 1"
    buckets: int

    def begin(self) -> None:
        _check_buckets(self.full_name, self.buckets)
        super().begin()

    def sample(self, s: Sample) -> float | None:
        return self.renewed(s)

    def made(self, held: list[Bar]) -> float | None:
        """Bar by bar: each fills the bucket that is open, and those after it."""
        changes, volumes = [b.close - a.close for a, b in pairwise(held)], [bar.volume for bar in held[1:]]
        bucket = fsum(volumes) / self.buckets
        if len(changes) < self.bars or not bucket or not (sigma := _deviation(changes)):
            return None
        one_sided, flow, room = [], 0.0, bucket
        for change, volume in zip(changes, volumes, strict=True):
            lean, left = erf(change / sigma / sqrt(2)), volume  # 2 Φ(x) − 1: buyers' share less sellers'
            while left >= room:
                one_sided.append(abs(flow + lean * room))
                left, flow, room = left - room, 0.0, bucket
            flow, room = flow + lean * left, room - left
        return (fsum(one_sided) + abs(flow)) / (self.buckets * bucket)

    def batch(self, h: History) -> float | None:
        last = self.last_of(h)
        changes, volumes = np.diff([bar.close for bar in last]), np.array([bar.volume for bar in last[1:]])
        if len(changes) < self.bars or not np.ptp(changes) or not volumes.any():
            return None
        leans = np.array([erf(x) for x in changes / changes.std(ddof=1) / np.sqrt(2)])
        return _vpin(volumes, volumes * leans, self.buckets)


def _check_buckets(full_name: str, buckets: int) -> None:
    if not 2 <= buckets <= MOST_BUCKETS:
        raise UsageError(f"{full_name}: the number of buckets must lie between 2 and {MOST_BUCKETS}")


def _deviation(values: list[float]) -> float:
    mean = fsum(values) / len(values)
    return sqrt(fsum((x - mean) ** 2 for x in values) / (len(values) - 1))


def _vpin(volumes: Floats, flows: Floats, buckets: int) -> float:
    """Of runs of volume, each with its own even flow: the flow up to a volume is a line between them."""
    upto = np.concatenate([[0.0], np.cumsum(volumes)])
    edges = np.linspace(0.0, upto[-1], buckets + 1)
    flow = np.interp(edges, upto, np.concatenate([[0.0], np.cumsum(flows)]))
    return float(np.abs(np.diff(flow)).sum() / upto[-1])


ALL = (KyleLambda, Vpin, VpinBulk)
