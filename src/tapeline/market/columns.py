"""One column of a heatmap: a book, kept as small numbers, and put into price bins of any width when somebody asks.

A book is kept level by level, because nobody knows beforehand which bins will be asked for: prices as whole units of the last
decimal place that they show (so that an edge between two bins is never a question of rounding), each as its distance from
the touch in 32 bits, sizes as they are. That is 12 bytes a level.

Bin k of a step covers [k × step, (k + 1) × step). A bin at the far end of a side that was cut there (more levels exist than were
looked at, or than the book can speak of) is left out, since it would show too little; the bin of the touch stands in any case.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import chain
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from tapeline.clock import MICRO
from tapeline.events import Level

MOST_DIGITS = 12
FARTHEST = 2**31 - 1
_SAFE = 2**62
_SIGNIFICANT = 8
Floats = npt.NDArray[np.float64]


class Step(msgspec.Struct, frozen=True):
    """A bin is `units` / 10 ** `digits` wide."""

    units: int
    digits: int


def step_of(value: float) -> Step:
    """Raises ValueError on what is no price step: none, negative, or of more than 12 decimal places."""
    sign, places, exponent = Decimal(repr(value)).normalize().as_tuple()
    if sign or not isinstance(exponent, int) or exponent < -MOST_DIGITS or not any(places):
        raise ValueError(f"{value!r} is no width of a price bin")
    units = int("".join(map(str, places)))
    return Step(units * 10**exponent, 0) if exponent > 0 else Step(units, -exponent)


class Side(NamedTuple):
    """`best`: the touch in units; `away`: how far each level is from it, ascending. `cut`: there are more levels than these."""

    best: int
    away: npt.NDArray[np.int32]
    sizes: Floats
    cut: bool


class Raw(NamedTuple):
    """A book that is proved right; a side without levels is None. `digits`: of a unit after the point."""

    bids: Side | None
    asks: Side | None
    digits: int

    @property
    def nbytes(self) -> int:
        return 200 + sum(side.away.nbytes + side.sizes.nbytes for side in (self.bids, self.asks) if side is not None)


def raw(bids: Sequence[Level], asks: Sequence[Level], cut: tuple[bool, bool], digits: int = 0) -> Raw:
    """Of levels, best first. `digits`: how many the prices are known to have at least, which saves looking."""
    flat = (_flat(bids), _flat(asks))
    digits = max(digits_of(side[0::2], digits) for side in flat)
    return Raw(_side(flat[0], digits, cut[0]), _side(flat[1], digits, cut[1]), digits)


def _flat(levels: Sequence[Level]) -> Floats:
    return np.fromiter(chain.from_iterable(levels), np.float64, 2 * len(levels))


def digits_of(prices: Floats, least: int) -> int:
    """The fewest decimal places, `least` or more, that say all of these prices; what needs more than 12 is cut there."""
    for digits in range(least, MOST_DIGITS):
        power = 10.0**digits
        if bool((np.rint(prices * power) / power == prices).all()):
            return digits
    return MOST_DIGITS


def _side(flat: Floats, digits: int, cut: bool) -> Side | None:
    if not len(flat):
        return None
    units = np.rint(flat[0::2] * 10.0**digits).astype(np.int64)
    away = np.abs(units - units[0])
    near = int(np.searchsorted(away, FARTHEST, "right"))
    return Side(int(units[0]), away[:near].astype(np.int32), flat[1::2][:near].copy(), cut or near < len(away))


class Bins(NamedTuple):
    """`low`: the number of the first bin."""

    low: int
    sizes: list[float]


def binned(book: Raw, step: Step, rows: int) -> Bins:
    """At most `rows` bins on each side of the edge that is nearest to the mid; sizes to 8 significant digits."""
    digits = max(book.digits, step.digits)
    factor, width = 10 ** (digits - book.digits), step.units * 10 ** (digits - step.digits)
    bests = [side.best for side in (book.bids, book.asks) if side is not None]
    if not bests:
        return Bins(0, [])
    edge = (2 * sum(bests) * factor // len(bests) + width) // (2 * width)
    grid = _Grid(factor, width, edge - rows, edge + rows - 1)
    sides = [at for side, sign in ((book.bids, -1), (book.asks, 1)) if side is not None and (at := _placed(side, sign, grid))]
    if not sides:
        return Bins(0, [])
    low, high = min(at.low for at in sides), max(at.high for at in sides)
    sums: Floats = np.zeros(high - low + 1)
    for at in sides:
        sums = sums + np.bincount(at.bins + (at.base - low), at.sizes, len(sums))
    return Bins(low, significant(sums).tolist())


class _Grid(NamedTuple):
    """A level at `units` of its book stands in bin `units` × `factor` // `width`; bins `first` to `last` are wanted."""

    factor: int
    width: int
    first: int
    last: int


class _Placed(NamedTuple):
    """Levels in bins `base` + `bins`, all of them from `low` to `high`."""

    low: int
    high: int
    base: int
    bins: npt.NDArray[np.int64]
    sizes: Floats


def _placed(side: Side, sign: int, grid: _Grid) -> _Placed | None:
    base, rest = divmod(side.best * grid.factor, grid.width)
    reach = (grid.last - grid.first + 3) * grid.width // grid.factor  # from the touch, and then some
    near = int(np.searchsorted(side.away, min(reach, FARTHEST), "right"))
    kind: Any = np.int64 if reach * grid.factor < _SAFE else object
    bins = ((rest + sign * grid.factor * side.away[:near].astype(kind)) // grid.width).astype(np.int64)
    known = int(bins[-1]) + base
    if side.cut and near == len(side.away) and known != base:
        known -= sign
    low, high = (known, base) if sign < 0 else (base, known)
    low, high = max(low, grid.first), min(high, grid.last)
    if low > high:
        return None
    inside = (bins >= low - base) & (bins <= high - base)
    return _Placed(low, high, base, bins[inside], side.sizes[:near][inside])


def significant(values: Floats) -> Floats:
    """Rounded, so that a sum of decimals prints as one."""
    there = values > 0
    places = np.zeros(len(values))
    places[there] = np.clip(_SIGNIFICANT - 1 - np.floor(np.log10(values[there])), 0, 18)
    power = 10.0**places
    rounded: Floats = np.rint(values * power) / power
    return rounded


def touch(side: Side | None, digits: int) -> float | None:
    return None if side is None else side.best / 10**digits


def column(instrument: str, ts: int, book: Raw | None, step: Step, rows: int) -> dict[str, Any]:
    """COLUMN of docs/api.md; `ts` in ns. None: a book that is not proved right."""
    bins = Bins(0, []) if book is None else binned(book, step, rows)
    bid, ask = (None, None) if book is None else (touch(book.bids, book.digits), touch(book.asks, book.digits))
    head = {"instrument": instrument, "ts": ts // MICRO, "bid": bid, "ask": ask}
    return {**head, "low": bins.low, "sizes": bins.sizes, "proved": book is not None}


def nbytes(books: Iterable[Raw | None]) -> int:
    return sum(book.nbytes for book in books if book is not None)
