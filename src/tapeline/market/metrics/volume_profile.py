"""Volume profile of a window and of the session: point of control and value area (market/profile.py)."""

from collections.abc import Iterable
from operator import mul
from typing import Any

import numpy as np

from tapeline.market.exact import Scale
from tapeline.market.metrics.base import Floats, History, Ints, Metric, Parameter, Sample, Value, session_start
from tapeline.market.metrics.sliding import Sliding
from tapeline.market.metrics.store import Trades
from tapeline.market.profile import Bin, Profile, edges, step_for, value_area

MOST_LEVELS = 100_000
MOST_INT = float(1 << 62)


class ProfileOf(Metric):
    """Sums of sizes by price, and by bins whose width follows the mean price: they are made anew when it changes."""

    unit = "price"
    bin: float

    def begin(self) -> None:
        self.levels: dict[int, int] = {}  # size × lots, by price × ticks / coarse
        self.coarse = 1
        self.bins: dict[int, int] = {}  # the same by bins of `step` ticks
        self.lots = self.ticks = self.step = 1
        self.answer: dict[str, float] | None = None

    def _rescale(self, trades: Trades) -> bool:
        """Whether prices are finer than they were: the middle of a bin lies elsewhere then."""
        finer, ticks = trades.lots // self.lots, trades.ticks // self.ticks
        if finer > 1 or ticks > 1:
            self.lots, self.ticks, self.step = trades.lots, trades.ticks, self.step * ticks
            keys = ticks if self.coarse == 1 else 1
            self.coarse *= ticks // keys
            self.levels = {price * keys: volume * finer for price, volume in self.levels.items()}
            self.bins = {number: volume * finer for number, volume in self.bins.items()}
        return ticks > 1

    def _put(self, trades: Trades, places: Ints | range, sign: int) -> tuple[list[int], list[int]]:
        """Their prices × ticks and sizes × lots, which are counted now."""
        run = slice(places.start, places.stop) if isinstance(places, range) else places
        prices = _whole(trades.price[run] * float(self.ticks), max(self.coarse, self.step))
        sizes = trades.sizes(places)
        _add(self.levels, (prices // self.coarse).tolist(), sizes, sign)
        _add(self.bins, (prices // self.step).tolist(), sizes, sign)
        return prices.tolist(), sizes

    def _answer(self, mean: float | None) -> dict[str, float] | None:
        if mean is None:
            return None
        step = step_for(mean, self.bin, self.ticks)
        if step != self.step:
            self.step, self.bins = step, {}
            _add(self.bins, [price * self.coarse // step for price in self.levels], self.levels.values(), 1)
        return edges(step, self.ticks, *value_area(self.bins))

    def profile(self) -> Profile:
        """All of it, as of the last sample. Who bought and who sold is not kept."""
        if self.answer is None:
            return Profile(None, 0.0, None, None, None, [])
        step, ticks = self.step, self.ticks
        bins = [
            Bin(n * step / ticks, (n * step + step - 1) / ticks, volume / self.lots, None, None)
            for n, volume in sorted(self.bins.items())
        ]
        volume = sum(self.bins.values()) / self.lots
        return Profile(step / ticks, volume, self.answer["poc"], self.answer["val"], self.answer["vah"], bins)

    def _twin(self, h: History, inside: Ints) -> Value:
        """By sorting; all prices that ever came tell the tick."""
        price, size = h.price[inside], h.size[inside]
        if not size.sum():
            return None
        scale = Scale()
        for value in np.unique(h.price).tolist():
            scale.widen(value)
        step = step_for(float((price * size).sum() / size.sum()), self.bin, scale.power)
        numbers, which = np.unique(np.rint(price * scale.power).astype(np.int64) // step, return_inverse=True)
        volumes = np.round(np.bincount(which, size) * 10**9).astype(np.int64)
        return edges(step, scale.power, *value_area(dict(zip(numbers.tolist(), volumes.tolist(), strict=True))))


def _whole(prices: Floats, divisor: int) -> Any:
    """Whole numbers, as Python's own where an absurd price has made them, or what divides them, longer than 64 bits."""
    rounded = np.rint(prices)
    short = max(divisor, rounded.max(initial=0.0)) < MOST_INT
    return rounded.astype(np.int64) if short else np.array([int(p) for p in rounded.tolist()], object)


def _add(sums: dict[int, int], keys: list[int], sizes: Iterable[int], sign: int) -> None:
    for key, size in zip(keys, sizes, strict=True):
        volume = sums.get(key, 0) + sign * size
        if volume:
            sums[key] = volume
        else:
            sums.pop(key, None)


class VolumeProfile(ProfileOf):
    """Volume profile of the last `window`: `.poc` the price at which most was traded (point of control), `.val` and `.vah` the ends
    of the value area, which grows from there, price by price to the side with more volume, until it holds 70 % (market/profile.py).
    Bins are `bin` basis points of the volume-weighted mean price wide, rounded down to 1, 2 or 5 times a power of ten, at least a
    tick. None where nothing was traded.
    """

    name = "profile"
    parts = ("poc", "val", "vah")
    parameters = (Parameter("window", "time", "1h"), Parameter("bin", "bps", "1bps"))

    def begin(self) -> None:
        super().begin()
        self.sliding = Sliding(self.reach)

    def sample(self, s: Sample) -> Value:
        came, left = self.sliding.moved(s)
        finer = self._rescale(s.trades)
        if len(came):
            self._put(s.trades, came, 1)
        if len(left):
            self._put(s.trades, left, -1)
        if len(came) or len(left) or finer:
            self.answer = self._answer(s.trades.vwap(s.trades.since(s.now - self.reach)))
        return self.answer

    def batch(self, h: History) -> Value:
        return self._twin(h, np.flatnonzero((h.trade_ts > h.now - self.reach) & (h.trade_ts <= h.now)))


class ProfileSession(ProfileOf):
    """Volume profile since the session began (the instrument's own, else 00:00 UTC): `.poc`, `.val` and `.vah` as of `profile`,
    with bins of `bin` basis points. It keeps a sum of each price that was traded; where those pass 100,000, prices are taken ten
    times coarser until the next session.
    """

    name = "profile_session"
    parts = ("poc", "val", "vah")
    parameters = (Parameter("bin", "bps", "1bps"),)
    warm_up = "since the start"

    def begin(self) -> None:
        super().begin()
        self.since = -1
        self.volume = self.money = 0

    def reaches_to(self, now: int) -> int:  # noqa: ARG002 - since the start, whatever the time
        return self.since

    def sample(self, s: Sample) -> Value:
        if (start := session_start(s)) != self.since:
            self.begin()
            self.since = start
        trades, new = s.trades, s.new_trades
        finer = self._rescale(trades)
        new = new[new >= trades.since(self.since - 1)]
        if len(new) or finer:
            prices, sizes = self._put(trades, new, 1)
            self.volume += sum(sizes)
            self.money += sum(map(mul, prices, sizes))
            self._bound()
            self.answer = self._answer(self.money / self.volume / self.ticks if self.volume else None)
        return self.answer

    def _rescale(self, trades: Trades) -> bool:
        finer, ticks = trades.lots // self.lots, trades.ticks // self.ticks
        self.volume, self.money = self.volume * finer, self.money * finer * ticks
        return super()._rescale(trades)

    def _bound(self) -> None:
        while len(self.levels) > MOST_LEVELS:
            levels, self.levels, self.coarse = self.levels, {}, self.coarse * 10
            _add(self.levels, [price // 10 for price in levels], levels.values(), 1)

    def batch(self, h: History) -> Value:
        return self._twin(h, np.flatnonzero((h.trade_ts >= session_start(h)) & (h.trade_ts <= h.now)))


ALL = (VolumeProfile, ProfileSession)
