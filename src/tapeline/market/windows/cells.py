"""What is added up: small mergeable states, each fed with chunks of records and made of plain values.

A number that is None, NaN or infinite is not known and is left out by each of them.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from tapeline.market.exact import Scale

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
EXACT = float(1 << 50)
MOST_INT = 1 << 62
SIDES = {"buy": 1.0, "sell": -1.0}


class Chunk:
    """Some records in the order of arrival: event times, and raw columns by field. `digits`: hints how fine each field's
    numbers are.
    """

    __slots__ = ("_digits", "_floats", "_raw", "_whole", "ts")

    def __init__(self, ts: list[int], raw: dict[str, tuple[Any, ...]], digits: dict[str, int]) -> None:
        self.ts: Ints = np.array(ts, np.int64)
        self._raw, self._digits = raw, digits
        self._floats: dict[str, Floats] = {}
        self._whole: dict[str, tuple[Ints | list[int], int]] = {}

    def raw(self, field: str) -> tuple[Any, ...]:
        return self._raw[field]

    def floats(self, field: str) -> Floats:
        """The column, NaN where it is not known. Of quotes `mid` and `spread` are made here; `side` is 1.0, −1.0 or 0.0."""
        found = self._floats.get(field)
        if found is None:
            found = self._floats[field] = self._made(field)
        return found

    def _made(self, field: str) -> Floats:
        if field == "side":
            return np.array([SIDES.get(s, 0.0) for s in self._raw[field]])
        if field in ("mid", "spread") and field not in self._raw:
            bid, ask = self.floats("bid"), self.floats("ask")
            return (bid + ask) / 2 if field == "mid" else ask - bid
        column: Floats = np.array(self._raw[field], np.float64)
        return np.where(np.isfinite(column), column, np.nan)

    def known(self, field: str) -> Floats:
        """Without what is not known."""
        column = self.floats(field)
        return column[~np.isnan(column)] if np.isnan(column).any() else column

    def whole(self, field: str) -> tuple[Ints | list[int], int]:
        """The column as whole numbers, 0 where it is not known, and by how many digits they were moved."""
        found = self._whole.get(field)
        if found is None:
            found = self._whole[field] = whole(np.nan_to_num(self.floats(field)), self._digits.get(field, 0))
            self._digits[field] = found[1]
        return found


def whole(values: Floats, digits: int) -> tuple[Ints | list[int], int]:
    """As an array where 64 bits have room for them and their sum, else as Python's integers."""
    scale = Scale(digits)
    for _ in range(2):
        moved = np.rint(values * scale.factor)
        wrong = (moved / scale.factor != values) | (np.abs(moved) >= EXACT)
        if not wrong.any():
            return moved.astype(np.int64), scale.digits
        for value in values[wrong].tolist():
            scale.widen(value)
    return [scale.exact(value) for value in values.tolist()], scale.digits


def _dot(one: Ints | list[int], two: Ints | list[int]) -> int:
    if isinstance(one, np.ndarray) and isinstance(two, np.ndarray):
        if int(np.abs(one).max(initial=0)) * int(np.abs(two).max(initial=0)) * len(one) < MOST_INT:
            return int(np.dot(one, two))
        one, two = one.tolist(), two.tolist()
    return sum(int(a) * int(b) for a, b in zip(one, two, strict=True))


class Sum(msgspec.Struct, tag="sum"):
    """Σ of the fields' product, exact: `total` × 10^-`digits`. One field, two, or one twice; `side`: only of buys (1) or sells
    (−1).
    """

    fields: tuple[str, ...]
    side: int = 0
    total: int = 0
    digits: int = 0
    n: int = 0

    def fold(self, c: Chunk) -> None:
        known = ~np.isnan(c.floats(self.fields[0]))
        for field in self.fields[1:]:
            known &= ~np.isnan(c.floats(field))
        if self.side:
            known &= c.floats("side") == self.side
        first, digits = c.whole(self.fields[0])
        second: Ints | list[int] = known.astype(np.int64)
        if len(self.fields) > 1:
            factor, more = c.whole(self.fields[1])
            digits += more
            second = (
                factor * second if isinstance(factor, np.ndarray) else [f * int(k) for f, k in zip(factor, known, strict=True)]
            )
        self._add(_dot(first, second), digits, int(known.sum()))

    def merge(self, other: "Sum") -> None:
        self._add(other.total, other.digits, other.n)

    def _add(self, total: int, digits: int, n: int) -> None:
        if digits > self.digits:
            self.total, self.digits = self.total * 10 ** (digits - self.digits), digits
        self.total += total * 10 ** (self.digits - digits)
        self.n += n

    @property
    def power(self) -> int:
        power: int = 10**self.digits
        return power


class Least(msgspec.Struct, tag="min"):
    field: str
    value: float | None = None

    def fold(self, c: Chunk) -> None:
        known = c.known(self.field)
        if len(known):
            self._take(float(known.min()))

    def merge(self, other: "Least") -> None:
        if other.value is not None:
            self._take(other.value)

    def _take(self, value: float) -> None:
        self.value = value if self.value is None else min(self.value, value)


class Most(msgspec.Struct, tag="max"):
    field: str
    value: float | None = None

    def fold(self, c: Chunk) -> None:
        known = c.known(self.field)
        if len(known):
            self._take(float(known.max()))

    def merge(self, other: "Most") -> None:
        if other.value is not None:
            self._take(other.value)

    def _take(self, value: float) -> None:
        self.value = value if self.value is None else max(self.value, value)


class First(msgspec.Struct, tag="first"):
    """Of the earliest record; of several, the one that came first."""

    field: str
    ts: int = 0
    value: float | None = None

    def fold(self, c: Chunk) -> None:
        column = c.floats(self.field)
        known = np.flatnonzero(~np.isnan(column))
        if len(known):
            at = known[np.argmin(c.ts[known])]
            self._take(int(c.ts[at]), float(column[at]))

    def merge(self, other: "First") -> None:
        if other.value is not None:
            self._take(other.ts, other.value)

    def _take(self, ts: int, value: float) -> None:
        if self.value is None or ts < self.ts:
            self.ts, self.value = ts, value


class Last(msgspec.Struct, tag="last"):
    """Of the latest record; of several, the one that came last."""

    field: str
    ts: int = 0
    value: float | None = None

    def fold(self, c: Chunk) -> None:
        column = c.floats(self.field)
        known = np.flatnonzero(~np.isnan(column))[::-1]
        if len(known):
            at = known[np.argmax(c.ts[known])]
            self._take(int(c.ts[at]), float(column[at]))

    def merge(self, other: "Last") -> None:
        if other.value is not None:
            self._take(other.ts, other.value)

    def _take(self, ts: int, value: float) -> None:
        if self.value is None or ts >= self.ts:
            self.ts, self.value = ts, value


class Values(msgspec.Struct, tag="values"):
    """All of them, as far as there is room: for quantiles."""

    field: str
    most: int
    values: list[float] = []
    dropped: int = 0

    def fold(self, c: Chunk) -> None:
        self._add(c.known(self.field).tolist())

    def merge(self, other: "Values") -> None:
        self._add(other.values)
        self.dropped += other.dropped

    def _add(self, values: list[float]) -> None:
        room = max(0, self.most - len(self.values))
        self.values += values[:room]
        self.dropped += max(0, len(values) - room)


class Distinct(msgspec.Struct, tag="distinct"):
    """Which values there are, texts too; None is none."""

    field: str
    most: int
    values: set[str | float | int | bool] = set()
    dropped: int = 0

    def fold(self, c: Chunk) -> None:
        self._add(c.raw(self.field))

    def merge(self, other: "Distinct") -> None:
        self._add(other.values)
        self.dropped += other.dropped

    def _add(self, values: Iterable[Any]) -> None:
        for value in values:
            if value is not None and value not in self.values:
                if len(self.values) < self.most:
                    self.values.add(value)
                else:
                    self.dropped += 1


class Rows(msgspec.Struct, tag="rows"):
    """Whole records, for a user's function. What is not known is NaN, or None in a state that was read."""

    fields: tuple[str, ...]
    most: int
    times: list[int] = []
    columns: list[list[float | None]] = []
    dropped: int = 0

    def fold(self, c: Chunk) -> None:
        self._add(c.ts.tolist(), [c.floats(field).tolist() for field in self.fields])

    def merge(self, other: "Rows") -> None:
        self._add(other.times, other.columns)
        self.dropped += other.dropped

    def _add(self, times: list[int], columns: list[list[float | None]]) -> None:
        self.columns = self.columns or [[] for _ in self.fields]
        room = max(0, self.most - len(self.times))
        self.dropped += max(0, len(times) - room)
        self.times += times[:room]
        for mine, more in zip(self.columns, columns, strict=False):
            mine.extend(more[:room])

    def arrays(self) -> tuple[Ints, list[Floats]]:
        """By event time, ties by arrival."""
        ts: Ints = np.array(self.times, np.int64)
        order = np.argsort(ts, kind="stable")
        columns = self.columns or [[] for _ in self.fields]
        return ts[order], [np.array(column, np.float64)[order] for column in columns]


Cell = Sum | Least | Most | First | Last | Values | Distinct | Rows
