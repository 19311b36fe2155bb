"""Trades as columns, and as the integers that bars are summed up from: many at once, to the same last digit as one by one.

A chunk is as long as its sums fit 64 bits. Numbers that no float64 scales exactly (more than 15 digits) make no chunk; whoever asked
goes on with Python's integers then.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tapeline.clock import SECOND
from tapeline.events import Flag, Trade
from tapeline.market.exact import Scale

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
BAD_TIME = int(Flag.BAD_TIME)
AHEAD = 60 * SECOND
EXACT = float(1 << 50)  # as in market/bars.py
SAFE = 4e18  # less than 2^62
MOST = 1 << 17
SIDES = {"buy": 1, "sell": -1, "unknown": 0}


class Columns(NamedTuple):
    """Trades of one instrument in order of arrival. `side`: 1 buy, −1 sell, 0 unknown."""

    ts_event: Ints
    ts_recv: Ints
    flags: Ints
    price: Floats
    size: Floats
    side: Ints

    @classmethod
    def of(cls, trades: Sequence[Trade]) -> "Columns":
        return cls(
            np.array([t.ts_event for t in trades], np.int64),
            np.array([t.ts_recv for t in trades], np.int64),
            np.array([t.flags for t in trades], np.int64),
            np.array([t.price for t in trades], np.float64),
            np.array([t.size for t in trades], np.float64),
            np.array([SIDES[t.side] for t in trades], np.int64),
        )

    def part(self, start: int, end: int) -> "Columns":
        return Columns(*(column[start:end] for column in self))  # type: ignore[arg-type]


def placed(ts_event: int, ts_recv: int, flags: int) -> int:
    """When a trade was, as far as its bar's times go: a venue time that cannot be true, more than a minute ahead of our clock, is
    replaced by ours.
    """
    return ts_recv if flags & BAD_TIME or ts_event > ts_recv + AHEAD else ts_event


def integers(x: Floats, scale: Scale) -> tuple[Ints | None, int]:
    """A column as integers at the scale, which is widened where it must be; and by what. None where they have too many digits."""
    growth = 1
    while True:
        scaled = np.rint(x * scale.factor)
        wrong = (scaled / scale.factor != x) | (np.abs(scaled) > EXACT)
        if not wrong.any():
            return scaled.astype(np.int64), growth
        more = scale.widen(float(x[int(wrong.argmax())]))
        if more == 1:
            return None, growth
        growth *= more


class Chunk:
    """`ts` as placed; `lots` and `money` are size and price as integers, `notional` their product; `sign` is the side, by the tick
    rule where it is unknown.
    """

    def __init__(self, c: Columns, lots: Ints, money: Ints, sign: Ints) -> None:
        self.n, self.flags, self.recv, self.price, self.side = len(lots), c.flags, c.ts_recv, c.price, c.side
        self.lots, self.money, self.notional, self.sign = lots, money, lots * money, sign
        late = ((c.flags & BAD_TIME) != 0) | (c.ts_event > c.ts_recv + AHEAD)
        self.ts = np.where(late, c.ts_recv, c.ts_event) if late.any() else c.ts_event
        self._sums: dict[tuple[str, str], Ints] = {}

    def measured(self, measure: str) -> Ints:
        if measure == "tick":
            return np.ones(self.n, np.int64)
        return self.lots if measure == "volume" else self.notional

    def running(self, measure: str, which: str) -> Ints:
        """The running sum of a measure: of "all" trades, of those that go "up" or "down", of "buy" and "sell" as the venue says."""
        found = self._sums.get((measure, which))
        if found is None:
            sign = self.side if which in ("buy", "sell") else self.sign
            value = self.measured(measure)
            if which != "all":
                value = np.where(sign == (1 if which in ("up", "buy") else -1), value, 0)
            found = self._sums[measure, which] = np.cumsum(value)
        return found


def chunks(c: Columns, lots: Ints, money: Ints, sign: Ints) -> Iterator[Chunk]:
    """All of it, in chunks whose sums fit; ValueError where one trade alone does not."""
    weight = np.cumsum(lots.astype(np.float64) * (money + 1.0) + 1.0)
    start, base = 0, 0.0
    while start < len(lots):
        end = min(int(weight.searchsorted(base + SAFE)), start + MOST)
        if end == start:
            raise ValueError("a trade is too large")
        yield Chunk(c.part(start, end), lots[start:end], money[start:end], sign[start:end])
        start, base = end, float(weight[end - 1])


def signs(side: Ints, money: Ints, last: int | None, sign: int) -> Ints:
    """The side where it is known, otherwise the tick rule: the way the price went, or the sign before where it stayed.

    `last` and `sign`: price and sign of the trade before; None and 0 where there was none.
    """
    unknown = side == 0
    if not unknown.any():
        return side
    moved = np.sign(np.diff(money, prepend=money[0] if last is None else last))
    found = np.where(unknown, moved, side)
    found = np.concatenate(([sign], found))
    at = np.maximum.accumulate(np.where(found != 0, np.arange(len(found)), 0))
    return found[at][1:]


def first_outside(values: Ints, start: int, low: int, high: int) -> int:
    """The first place from `start` on with a value <= `low` or >= `high`; the length where there is none."""
    block = 256
    while start < len(values):
        part = values[start : start + block]
        hit = (part >= high) | (part <= low)
        at = int(hit.argmax())
        if hit[at]:
            return start + at
        start += block
        block = min(4 * block, 1 << 16)
    return len(values)
