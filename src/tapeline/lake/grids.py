"""Where bars of time begin and end, for whole columns of times at once: `market/barkinds/slots.py` for NumPy.

A bar is known by a number, `slot`, that grows with time. `Even` bars stand one behind the other from an origin on, and are counted
from it. `Placed` ones go by a clock on a wall or by an exchange's trading; their number is the time at which they begin, and a time
that belongs to no bar has `NOWHERE`. Times are looked up a minute at a time: clocks are put over and exchanges open on whole
minutes; where a minute is cut all the same, second by second.
"""

from typing import Protocol, overload

import numpy as np
import numpy.typing as npt

from tapeline.clock import SECOND
from tapeline.market.barkinds.slots import Fixed, Slots

Ints = npt.NDArray[np.int64]
NOWHERE = -1
MINUTE = 60 * SECOND


class Grid(Protocol):
    """`width`: the usual one, ns."""

    name: str
    width: int

    @overload
    def slot(self, ts: int) -> int: ...
    @overload
    def slot(self, ts: Ints) -> Ints: ...

    def begin(self, slot: int) -> int: ...

    def end(self, slot: int) -> int: ...

    def cover(self, first: int, last: int, start: int | None, end: int | None) -> tuple[int, int]:
        """From where the first bar that begins in [`start`, `end`) begins to where the last one ends, as far as there are times,
        from `first` to `last`.
        """
        ...


class Even:
    def __init__(self, name: str, width: int, origin: int) -> None:
        self.name, self.width, self.origin = name, width, origin

    @overload
    def slot(self, ts: int) -> int: ...
    @overload
    def slot(self, ts: Ints) -> Ints: ...
    def slot(self, ts: int | Ints) -> int | Ints:
        return (ts - self.origin) // self.width

    def begin(self, slot: int) -> int:
        return self.origin + slot * self.width

    def end(self, slot: int) -> int:
        return self.begin(slot + 1)

    def cover(self, first: int, last: int, start: int | None, end: int | None) -> tuple[int, int]:
        begin = self.slot(first) if start is None else max(self.slot(first), -((self.origin - start) // self.width))
        stop = self.slot(last) + 1 if end is None else min(self.slot(last) + 1, self.slot(end - 1) + 1)
        return self.begin(begin), self.begin(stop)


class Placed:
    def __init__(self, name: str, slots: Slots) -> None:
        self.name, self.width, self._slots = name, slots.width, slots

    @overload
    def slot(self, ts: int) -> int: ...
    @overload
    def slot(self, ts: Ints) -> Ints: ...
    def slot(self, ts: int | Ints) -> int | Ints:
        return self._of(ts) if isinstance(ts, int) else self._each(ts)

    def _of(self, ts: int) -> int:
        span = self._slots.span(ts)
        return NOWHERE if span is None else span[0]

    def _each(self, ts: Ints) -> Ints:
        minutes, at = np.unique(ts // MINUTE, return_inverse=True)
        firsts = [self._of(m * MINUTE) for m in minutes.tolist()]
        lasts = [self._of(m * MINUTE + MINUTE - 1) for m in minutes.tolist()]
        found: Ints = np.array(firsts, np.int64)[at]
        cut = (np.array(firsts, np.int64) != np.array(lasts, np.int64))[at]
        if cut.any():
            seconds, where = np.unique(ts[cut] // SECOND, return_inverse=True)
            found[cut] = np.array([self._of(s * SECOND) for s in seconds.tolist()], np.int64)[where]
        return found

    def begin(self, slot: int) -> int:
        return slot

    def end(self, slot: int) -> int:
        span = self._slots.span(slot)
        return slot if span is None else span[1]

    def cover(self, first: int, last: int, start: int | None, end: int | None) -> tuple[int, int]:
        begin = first if start is None else max(first, start)
        if (span := self._slots.span(begin)) is not None:
            begin = span[0] if start is None or span[0] >= start else span[1]
        stop = last if end is None else min(last, end - 1)
        after = self._slots.span(stop)
        return begin, stop + 1 if after is None else after[1]


def grid_of(name: str, slots: Slots) -> Grid:
    return Even(name, slots.width, slots.origin) if isinstance(slots, Fixed) else Placed(name, slots)
