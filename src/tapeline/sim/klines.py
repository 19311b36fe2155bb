"""Bars and 24-hour figures of one simulated instrument, exact: volumes are integer lots, notionals integer ticks x lots.

Seconds and minutes are built from trades; longer intervals are sums of minutes. Before the market's start a day of minutes is
invented (a random walk that ends at the first price), so that a client which asks for history gets some. Of that day there are
bars only, no single trades, and its trade ids lie below the first real one.
"""

import math
import random
from collections import deque
from collections.abc import Sequence

import msgspec

from tapeline.clock import SECOND

MINUTE = 60 * SECOND
DAY = 1440 * MINUTE
INTERVALS: dict[str, int] = {
    "1s": SECOND,
    **{f"{n}m": n * MINUTE for n in (1, 3, 5, 15, 30)},
    **{f"{n}h": n * 60 * MINUTE for n in (1, 2, 4, 6, 8, 12)},
    "1d": DAY,
    "3d": 3 * DAY,
    "1w": 7 * DAY,
}
_MONDAY = 4 * DAY  # 1970-01-01 was a Thursday; weeks open on Mondays


class Kline(msgspec.Struct):
    """Right-open, labelled by its open (ns). `buy_*`: taker buys. `first` and `last` are -1 where nothing traded."""

    open_time: int
    open: int
    high: int
    low: int
    close: int
    volume: int = 0
    notional: int = 0
    buy_volume: int = 0
    buy_notional: int = 0
    trades: int = 0
    first: int = -1
    last: int = -1

    def add(self, trade_id: int, price: int, size: int, buyer_is_maker: bool) -> None:
        if self.trades == 0:
            self.open = self.high = self.low = price
            self.first = trade_id
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.close = price
        self.last = trade_id
        self.trades += 1
        self.volume += size
        self.notional += price * size
        if not buyer_is_maker:
            self.buy_volume += size
            self.buy_notional += price * size


def merge(bars: list[Kline], open_time: int) -> Kline:
    """The sum of consecutive bars, not empty."""
    traded = [b for b in bars if b.trades]
    if not traded:
        close = bars[0].close
        return Kline(open_time, close, close, close, close)
    return Kline(
        open_time,
        traded[0].open,
        max(b.high for b in traded),
        min(b.low for b in traded),
        traded[-1].close,
        sum(b.volume for b in traded),
        sum(b.notional for b in traded),
        sum(b.buy_volume for b in traded),
        sum(b.buy_notional for b in traded),
        sum(b.trades for b in traded),
        traded[0].first,
        traded[-1].last,
    )


def bucket(ts: int, interval: str) -> int:
    """Open time of the bar that `ts` belongs to."""
    length = INTERVALS[interval]
    shift = _MONDAY if interval == "1w" else 0
    return ts - (ts - shift) % length


class Klines:
    """Keeps 1,200 seconds and 2,880 minutes; the oldest go first."""

    def __init__(self) -> None:
        self.seconds: deque[Kline] = deque(maxlen=1200)
        self.minutes: deque[Kline] = deque(maxlen=2880)
        self._day: tuple[int, Kline] | None = None

    def add(self, ts: int, trade_id: int, price: int, size: int, buyer_is_maker: bool) -> None:
        for kept, length in ((self.seconds, SECOND), (self.minutes, MINUTE)):
            start = ts - ts % length
            if not kept or kept[-1].open_time != start:
                self._roll(kept, start, length, price)
            kept[-1].add(trade_id, price, size, buyer_is_maker)

    @staticmethod
    def _roll(kept: "deque[Kline]", start: int, length: int, price: int) -> None:
        close = kept[-1].close if kept else price
        if kept:
            first = max(kept[-1].open_time + length, start - (kept.maxlen or 0) * length)
            kept.extend(Kline(t, close, close, close, close) for t in range(first, start, length))
        kept.append(Kline(start, close, close, close, close))

    def invent(self, rng: random.Random, walk: Sequence[float], until: int, price: int, first_id: int, volume: int) -> None:
        """Minutes before `until`, walking back from `price` by the steps of `walk` (logarithms, the same for all instruments of
        an asset); `volume` lots a minute on average.
        """
        end = until - until % MINUTE
        bars: list[Kline] = []
        close, last = price, first_id - 1
        for n, step in enumerate(walk, 1):
            open_ = max(1, round(close * math.exp(step)))
            high = round(max(open_, close) * (1 + abs(rng.gauss(0, 0.0003))))
            low = max(1, round(min(open_, close) * (1 - abs(rng.gauss(0, 0.0003)))))
            lots, trades = max(1, round(volume * rng.lognormvariate(-0.2, 0.6))), 50 + int(rng.expovariate(1 / 400))
            mid, buys = (open_ + close + high + low) // 4, round(lots * rng.uniform(0.4, 0.6))
            first = last - trades + 1
            bars.append(
                Kline(
                    end - n * MINUTE,
                    open_,
                    high,
                    low,
                    close,
                    lots,
                    mid * lots,
                    buys,
                    mid * buys,
                    trades,
                    first,
                    last,
                )
            )
            close, last = open_, first - 1
        self.minutes.extend(reversed(bars))

    def at(self, interval: str, open_time: int) -> Kline:
        """The bar opening at `open_time`, flat at the last price where nothing traded."""
        length = INTERVALS[interval]
        found = [b for b in self._since(interval, open_time) if b.open_time < open_time + length]
        if found:
            return merge(found, open_time)
        kept = self.seconds or self.minutes
        close = next((b.close for b in reversed(kept) if b.open_time < open_time), kept[-1].close if kept else 0)
        return Kline(open_time, close, close, close, close)

    def recent(self, interval: str, now: int, limit: int) -> list[Kline]:
        """The last `limit` bars up to `now`, oldest first, as far as they are kept."""
        start = bucket(now, interval) - (limit - 1) * INTERVALS[interval]
        grouped: dict[int, list[Kline]] = {}
        for bar in self._since(interval, start):
            grouped.setdefault(bucket(bar.open_time, interval), []).append(bar)
        return [merge(bars, t) for t, bars in grouped.items()]

    def _since(self, interval: str, start: int) -> list[Kline]:
        kept = self.seconds if interval == "1s" else self.minutes
        found: list[Kline] = []
        for bar in reversed(kept):
            if bar.open_time < start:
                break
            found.append(bar)
        found.reverse()
        return found

    def window(self, now: int, length: int = DAY) -> Kline | None:
        """The sum of the minutes that opened within `length` before `now`. Closed minutes of a day are summed once a minute."""
        if not self.minutes:
            return None
        current = self.minutes[-1]
        if self._day is None or self._day[0] != current.open_time or length != DAY:
            closed = [b for b in self._since("1m", now - length + 1) if b is not current]
            total = merge(closed, closed[0].open_time) if closed else current
            if length != DAY:
                return merge([total, current], total.open_time) if closed else current
            self._day = (current.open_time, total)
        total = self._day[1]
        return current if total is current else merge([total, current], total.open_time)
