"""Sums over any run of rows of a store, in constant time: what a metric makes of each row, summed up from the first on.

A running sum grows while the sums of short windows, differences of it, stay small, so a plain one would lose their digits. Each of
these is kept as two float64: the sum as rounded, and what the roundings left out, which is exact for each addition (Knuth's two-sum;
as a whole the algorithm Sum2 of Ogita, Rump and Oishi 2005, "Accurate sum and dot product"). A difference is then as good as if it
had been summed in twice the digits.

Rows that a late one moves are summed anew from its place on.
"""

from collections.abc import Callable

import numpy as np

from tapeline.market.metrics.base import Floats, Sample
from tapeline.market.metrics.packing import Packs
from tapeline.market.metrics.store import Touches, Trades

LEAST = 256


def changed(s: Sample) -> int:
    """The first place of `s.trades` at which there is anything new since the last sample."""
    return int(s.new_trades.min()) if len(s.new_trades) else len(s.trades)


class Running(Packs):
    """`width` sums, kept in step with a store by `follow`, which must be called at every sample."""

    __slots__ = ("_begin", "_gone", "_high", "_low", "_rows")

    def __init__(self, width: int) -> None:
        self._begin = self._gone = self._rows = 0
        self._high: Floats = np.zeros((width, LEAST))  # [:, begin + k]: the sum of the rows before place k
        self._low: Floats = np.zeros((width, LEAST))

    def follow(self, store: Trades | Touches, first: int, terms: Callable[[int], Floats]) -> None:
        """The places from `first` on are new or have moved; `terms(k)` makes what is to be summed of those from k on: (width, n)."""
        gone, self._gone = store.gone - self._gone, store.gone
        if gone > self._rows:
            self._begin = self._rows = 0
            self._high[:, 0] = self._low[:, 0] = 0.0
        else:
            self._begin, self._rows = self._begin + gone, self._rows - gone
        first, n = min(first, self._rows), len(store)
        self._rows = n
        if first < n:
            self._reserve(n)
            self._sum_up(first, terms(first))

    def _sum_up(self, first: int, terms: Floats) -> None:
        at = self._begin + first
        end = at + terms.shape[1] + 1
        high, low = self._high[:, at:end], self._low[:, at:end]
        high[:, 1:] = terms
        np.cumsum(high, axis=1, out=high)
        low[:, 1:] = _lost(high[:, :-1], terms, high[:, 1:])
        np.cumsum(low, axis=1, out=low)

    def _reserve(self, rows: int) -> None:
        """Room for so many rows, by moving everything to the front or into larger arrays, and beginning at zero again."""
        room = self._high.shape[1]
        if self._begin + rows < room:
            return
        if rows >= room // 2:
            room = 1 << (2 * rows + 2).bit_length()
        held = slice(self._begin, min(self._begin + rows + 1, self._high.shape[1]))
        before, base = self._high[:, held], self._high[:, held.start : held.start + 1]
        high, low = np.zeros((len(before), room)), np.zeros((len(before), room))
        high[:, : before.shape[1]] = before - base
        left = self._low[:, held] - self._low[:, held.start : held.start + 1]
        low[:, : before.shape[1]] = left + _lost(before, -base, high[:, : before.shape[1]])
        self._high, self._low, self._begin = high, low, 0

    def sum(self, first: int, end: int) -> list[float]:
        """Of the places `first` to before `end`."""
        a, b = self._begin + first, self._begin + end
        found: list[float] = ((self._high[:, b] - self._high[:, a]) + (self._low[:, b] - self._low[:, a])).tolist()
        return found


def _lost(a: Floats, b: Floats, total: Floats) -> Floats:
    """What rounding left out of `total` = a + b, exactly."""
    rounded = total - a
    lost: Floats = (a - (total - rounded)) + (b - rounded)
    return lost
