"""What rolling windows reach back to: the trades and the touches of one instrument, by venue time, in flat arrays.

A window is (now − width, now], a run of places in these arrays. Volumes and notionals of a window are differences of running sums
of whole numbers (market/exact.py): exact, one look-up each, however long the window, and the same whatever left it before. A late
trade is put in its place, and the running sums behind it are made anew.

What is older than the longest window, but for the trade and the touch that stood when it began, is let go at the next sample; before
that a trade may still be read that came too late for it.
"""

from bisect import bisect_right
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

from tapeline.market.exact import Scale
from tapeline.market.metrics.packing import Packs

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
LEAST = 256
EXACT = float(1 << 50)


class _Columns(Packs):
    """Equally long arrays, `names` after `ts`, that grow at the end and shrink at the beginning."""

    __slots__ = ("_begin", "_data", "_end", "_times", "gone")

    def __init__(self, width: int) -> None:
        self._begin = self._end = 0
        self.gone = 0  # rows let go so far: a place plus this stays the same while nothing is put before it
        self._times: Ints = np.empty(LEAST, np.int64)
        self._data: Floats = np.empty((width, LEAST))

    def __len__(self) -> int:
        return self._end - self._begin

    @property
    def ts(self) -> Ints:
        """Venue times, ns, never decreasing."""
        view = self._times[self._begin : self._end]
        view.flags.writeable = False  # every metric looks at the same numbers, and one of them may be a user's
        return view

    def _column(self, number: int) -> Floats:
        view = self._data[number, self._begin : self._end]
        view.flags.writeable = False
        return view

    def since(self, ts: int) -> int:
        """The place of the first that is later than `ts`."""
        return int(np.searchsorted(self.ts, ts, side="right"))

    def _reserve(self, more: int) -> None:
        """Room for so many more behind the last, by moving everything to the front or into larger arrays."""
        if self._end + more <= len(self._times):
            return
        n = len(self)
        room = max(LEAST, 1 << (2 * (n + more) - 1).bit_length()) if n + more > len(self._times) // 2 else len(self._times)
        times, data = np.empty(room, np.int64), np.empty((len(self._data), room))
        times[:n], data[:, :n] = self.ts, self._data[:, self._begin : self._end]
        self._times, self._data, self._begin, self._end = times, data, 0, n

    def _put(self, ts: Ints, data: Floats) -> Ints:
        """Put rows in their places, behind those of equal time; the places, in the order given."""
        more, n = len(ts), len(self)
        self._reserve(more)
        first = n if not n or not more or ts.min() >= self._times[self._end - 1] else self.since(int(ts.min()))
        at, self._end = self._begin + first, self._end + more
        times = np.concatenate([self._times[at : self._end - more], ts])
        order = np.argsort(times, kind="stable")
        self._times[at : self._end] = times[order]
        rows = np.concatenate([self._data[:, at : self._end - more], data], axis=1)
        self._data[:, at : self._end] = rows[:, order]
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(first, first + len(order))
        return places[n - first :]

    def _drop(self, count: int) -> None:
        self._begin += count
        self.gone += count


class TimedSums(_Columns):
    """Numbers at times, `width` of them each, and their running sums: the sum over a window is a difference. What a window sums is
    finite numbers; the sums begin anew from time to time, so that rounding stays that of some windows, however long it runs.
    """

    __slots__ = ("_base", "_width")

    def __init__(self, width: int) -> None:
        super().__init__(2 * width)
        self._width = width
        self._base: Floats = np.zeros(width)

    def add(self, ts: Ints, rows: Floats) -> None:
        """Put `rows`, shape (width, n), in their places."""
        if not len(ts):
            return
        first = int(self._put(ts, np.concatenate([rows, np.zeros_like(rows)])).min())
        self._sum_up(first)

    def _sum_up(self, first: int) -> None:
        w, at = self._width, self._begin + first
        before = self._data[w:, at - 1] if first else self._base
        self._data[w:, at : self._end] = before[:, None] + np.cumsum(self._data[:w, at : self._end], axis=1)

    def total(self, after: int) -> Floats:
        """The sums of all that is later than `after`, shape (width,)."""
        first = self.since(after)
        if first == len(self):
            return np.zeros(self._width)
        sums = self._data[self._width :]
        before = sums[:, self._begin + first - 1] if first else self._base
        total: Floats = sums[:, self._end - 1] - before
        return total

    def cut(self, after: int) -> None:
        """Take back what is later than `after`."""
        self._end = self._begin + self.since(after)

    def forget(self, before: int) -> None:
        """Let go of what is not later than `before`."""
        if not (count := self.since(before)):
            return
        self._base = self._data[self._width :, self._begin + count - 1].copy()
        self._drop(count)
        if self._begin > 4 * len(self):
            self._base = np.zeros(self._width)
            self._sum_up(0)


class Trades(_Columns):
    """`price`, `size`, `side` (1.0 buy, −1.0 sell, 0.0 unknown), float64, and exact sums over runs of places."""

    __slots__ = ("_price_scale", "_size_scale", "_sums")

    def __init__(self) -> None:
        super().__init__(3)
        self._size_scale, self._price_scale = Scale(), Scale()
        self._sums: tuple[list[int], list[int], list[int], list[int]] = ([0], [0], [0], [0])  # volume, buy, sell, notional

    @property
    def price(self) -> Floats:
        return self._column(0)

    @property
    def size(self) -> Floats:
        return self._column(1)

    @property
    def side(self) -> Floats:
        return self._column(2)

    @property
    def lots(self) -> int:
        """How many whole numbers of `steps` make a size of 1; it may grow, by a whole factor."""
        power: int = self._size_scale.power
        return power

    @property
    def ticks(self) -> int:
        """The same of a price of 1: a power of ten, so that 1 / `ticks` is the finest place that a price had so far."""
        power: int = self._price_scale.power
        return power

    def exact(self, first: int, end: int) -> tuple[int, int, int, int]:
        """Volume, buys, sells (all × `lots`) and notional (× `lots` × `ticks`) of the places `first` to before `end`."""
        volume, buy, sell, notional = self._sums
        return volume[end] - volume[first], buy[end] - buy[first], sell[end] - sell[first], notional[end] - notional[first]

    def sizes(self, places: Ints | range) -> list[int]:
        """Their sizes × `lots`."""
        sums = self._sums[0]
        if isinstance(places, range):
            return [b - a for a, b in pairwise(sums[places.start : places.stop + 1])]
        return [sums[place + 1] - sums[place] for place in places.tolist()]

    def at_volume(self, volume: int, first: int = 0) -> int:
        """The place with which the sizes summed up from `first` on (× `lots`) come to more than `volume`."""
        sums = self._sums[0]
        return bisect_right(sums, sums[first] + volume, first) - 1

    def volume(self, first: int, end: int | None = None) -> float:
        """The summed sizes of the places `first` to before `end` (default all behind)."""
        return self._sum(0, first, end) / self.lots

    def buy_volume(self, first: int, end: int | None = None) -> float:
        return self._sum(1, first, end) / self.lots

    def sell_volume(self, first: int, end: int | None = None) -> float:
        return self._sum(2, first, end) / self.lots

    def notional(self, first: int, end: int | None = None) -> float:
        """Σ price × size."""
        return self._sum(3, first, end) / (self.lots * self.ticks)

    def vwap(self, first: int, end: int | None = None) -> float | None:
        volume = self._sum(0, first, end)
        return self._sum(3, first, end) / (volume * self.ticks) if volume else None

    def _sum(self, which: int, first: int, end: int | None) -> int:
        sums = self._sums[which]
        return sums[len(self) if end is None else end] - sums[first]

    def add(self, ts: Ints, price: Floats, size: Floats, side: Floats) -> Ints:
        """Put trades in their places, which are returned, in the order given."""
        places = self._put(ts, np.stack([price, size, side]))
        if len(places):
            self._sum_up(int(places.min()))
        return places

    def _sum_up(self, first: int) -> None:
        """Make the running sums anew from a place on."""
        sizes, prices, sides = self.size[first:], self.price[first:], self.side[first:].tolist()
        lots, ticks = self._whole(sizes, self._size_scale, (0, 1, 2, 3)), self._whole(prices, self._price_scale, (3,))
        steps = (
            lots,
            [n if side > 0 else 0 for n, side in zip(lots, sides, strict=True)],
            [n if side < 0 else 0 for n, side in zip(lots, sides, strict=True)],
            [n * tick for n, tick in zip(lots, ticks, strict=True)],
        )
        for sums, step in zip(self._sums, steps, strict=True):
            del sums[first + 1 :]
            sums[first:] = accumulate(step, initial=sums[first])

    def _whole(self, values: Floats, scale: Scale, sums: tuple[int, ...]) -> list[int]:
        """The values as whole numbers; a finer scale makes the sums of it finer, too."""
        whole = np.rint(values * scale.factor)
        if np.all((whole / scale.factor == values) & (np.abs(whole) < EXACT)):
            exact: list[int] = whole.astype(np.int64).tolist()
            return exact
        found = values.tolist()
        grown = 1
        for value in found:
            grown *= scale.widen(value)
        if grown > 1:
            for number in sums:
                self._sums[number][:] = [n * grown for n in self._sums[number]]
        return [scale.exact(value) for value in found]

    def forget(self, before: int) -> None:
        """Let go of what is older than the last trade of the time `before`, and that trade is kept: its price still stands then."""
        count = max(0, self.since(before) - 1)
        self._drop(count)
        for sums in self._sums:
            del sums[:count]


class Touches(_Columns):
    """Each change of the best bid and offer: `bid`, `bid_size`, `ask`, `ask_size`, NaN where a side is empty. A row of four NaN says
    that from here on the touch is not known. The last row not later than a time is the touch of that time.
    """

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(4)

    @property
    def bid(self) -> Floats:
        return self._column(0)

    @property
    def bid_size(self) -> Floats:
        return self._column(1)

    @property
    def ask(self) -> Floats:
        return self._column(2)

    @property
    def ask_size(self) -> Floats:
        return self._column(3)

    @property
    def mid(self) -> Floats:
        return (self.bid + self.ask) / 2

    def add(self, ts: Ints, rows: Floats) -> int:
        """Append `rows`, shape (4, n), in the order of arrival, those that change nothing left out; the place of the first of them.

        A time that goes back is taken for that of the touch before it.
        """
        n = len(self)
        if not len(ts):
            return n
        before = self._data[:, self._end - 1 : self._end] if n else np.full((4, 1), np.inf)
        both = np.concatenate([before, rows], axis=1)
        same = np.all((both[:, 1:] == both[:, :-1]) | (np.isnan(both[:, 1:]) & np.isnan(both[:, :-1])), axis=0)
        if n:
            ts = np.maximum(ts, self._times[self._end - 1])
        self._put(np.maximum.accumulate(ts)[~same], rows[:, ~same])
        return n

    def forget(self, before: int) -> None:
        """Let go of what is older than the touch of the time `before`, and that touch is kept."""
        self._drop(max(0, self.since(before) - 1))
