"""A bar while it is being made: what can be added up, and nothing derived. Volumes and notional are integers (market/exact.py)."""

from fractions import Fraction
from operator import attrgetter
from typing import Any

from tapeline.events import Flag
from tapeline.market.barkinds.slots import Slots

NEVER = 1 << 63  # past every time that 64 bits hold
INHERITED = int(Flag.SIMULATED | Flag.AGGREGATED | Flag.RECOVERED)
"""What a bar's trades hand on to it."""

FIELDS = (
    "start", "end", "first", "last", "open", "close", "high", "low", "volume", "buy", "sell", "notional", "n", "revision",
    "flags", "interest", "partial",
)  # fmt: skip
fields = attrgetter(*FIELDS)


class Sum:
    """`first` and `last`: the venue times of its trades lie between them. `interest`: the open interest when it closed.
    `partial`: it was begun in its middle, or given out before its end.
    """

    __slots__ = FIELDS

    def __init__(self, start: int, end: int) -> None:
        self.start, self.end = start, end
        self.first, self.last = NEVER, -1
        self.open = self.close = 0.0
        self.high, self.low = float("-inf"), float("inf")
        self.volume = self.buy = self.sell = self.notional = self.n = self.revision = self.flags = 0
        self.interest: float | None = None
        self.partial = False

    def add(self, ts: int, price: float, volume: int, notional: int, side: str) -> None:
        """A trade, wherever in time: `open` and `close` are of the earliest and the latest, ties by arrival."""
        if ts < self.first:
            self.first, self.open = ts, price
        if ts >= self.last:
            self.last, self.close = ts, price
        if price > self.high:
            self.high = price
        if price < self.low:
            self.low = price
        self.volume += volume
        self.notional += notional
        if side == "buy":
            self.buy += volume
        elif side == "sell":
            self.sell += volume
        self.n += 1

    def merge(self, other: "Sum") -> None:
        """Another part of the same bar of time."""
        if other.first < self.first:
            self.first, self.open = other.first, other.open
        if other.last >= self.last:
            self.last, self.close = other.last, other.close
        self._count(other)

    def follow(self, other: "Sum") -> None:
        """What came after it, whatever its time."""
        if not self.n:
            self.open = other.open
        self.close = other.close
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)
        self._count(other)

    def _count(self, other: "Sum") -> None:
        self.high, self.low = max(self.high, other.high), min(self.low, other.low)
        self.volume += other.volume
        self.buy += other.buy
        self.sell += other.sell
        self.notional += other.notional
        self.n += other.n
        self.flags |= other.flags

    def widen(self, size: int, price: int) -> None:
        """The scales grew by these factors."""
        self.volume *= size
        self.buy *= size
        self.sell *= size
        self.notional *= size * price


Figures = tuple[float, float | None, float, float | None, float | None]
"""volume, buy volume, notional, vwap, sell volume"""


def derived(bar: Sum, lots: int, money: int, contract: Fraction | None, sides: bool) -> Figures:
    """Each rounded once. `lots` and `money`: by what size and price are scaled. `contract`: what one is worth in the quote asset,
    where the instrument is inverse.
    """
    volume = bar.volume
    vwap = bar.notional / (volume * money) if volume else None
    notional = bar.notional / (lots * money) if contract is None else float(volume * contract / lots)
    if sides:
        return volume / lots, bar.buy / lots, notional, vwap, bar.sell / lots
    return volume / lots, None, notional, vwap, None


class Hole:
    """A span of venue time in which trades are missing: after `since`, up to `until` (NEVER while no trade has come after it)."""

    __slots__ = ("since", "until")

    def __init__(self, since: int, until: int = NEVER) -> None:
        self.since, self.until = since, until

    def touches(self, start: int, end: int) -> bool:
        """Whether it reaches into [`start`, `end`)."""
        return self.since < end and start <= self.until


class Level:
    """One interval: the bar that is filling, and the closed ones that may still be corrected. `since`: it was begun then."""

    __slots__ = ("closed", "name", "now", "since", "slots")

    def __init__(self, name: str, slots: Slots, since: int = -1) -> None:
        self.name, self.slots, self.since = name, slots, since
        self.now: Sum | None = None
        self.closed: dict[int, Sum] = {}

    def __getstate__(self) -> tuple[Any, ...]:
        """The closed ones as columns: a pipeline has hundreds of an instrument, and the feed waits while it is put away."""
        return self.name, self.slots, self.since, self.now, tuple(zip(*map(fields, self.closed.values()), strict=True))

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.name, self.slots, self.since, self.now, columns = state
        self.closed = {}
        for row in zip(*columns, strict=True):
            bar = self.closed[row[0]] = Sum(row[0], row[1])
            for name, value in zip(FIELDS, row, strict=True):
                setattr(bar, name, value)

    def made(self, start: int, end: int) -> Sum:
        """A new bar."""
        bar = Sum(start, end)
        bar.partial = start < self.since
        return bar

    def opened(self, ts: int) -> Sum | None:
        """The bar that is filling, made where there is none; None where the time belongs to no bar."""
        if self.now is None and (span := self.slots.span(ts)) is not None:
            self.now = self.made(*span)
        return self.now
