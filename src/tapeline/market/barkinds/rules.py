"""When a bar closes that does not go by time. One trade after the other (`take`), or many at once (`ends`): the same bars.

**Thresholds** (M. López de Prado, Advances in Financial Machine Learning, Wiley 2018, chapter 2). Each trade has a measure, 1, its
size, or its notional, and a sign b: the aggressor's side where the venue tells it, otherwise the tick rule of the book (the way the
price went against the trade before, or b of the trade before where it stayed; 0 before it first moved).

    sum         Σ measure ≥ N                                       section 2.3.1, standard bars
    imbalance   |Σ b · measure| ≥ N                                 section 2.3.2
    run         max(Σ measure of b = 1, Σ measure of b = −1) ≥ N    section 2.3.2; as there, a run may be interrupted

A bar closes with the trade that reaches its threshold, which belongs to it whole: trades are never split, so a bar may hold more
than N and the next one begins from nothing.

N is fixed by default. The book's N is an expectation, E[T]·|E[b·measure]| of imbalances and E[T]·max(E[measure of buys],
E[measure of sells]) of runs, with exponentially weighted averages over the bars before. That feeds back into itself: where buys
and sells are even, |E[b·measure]| is near nothing, so bars become short, so E[T] falls, until every trade is a bar; where flow
leans one way, bars become longer without end. It also never forgets where it began. So it is offered (`:adaptive`) with bounds: the
first bar closes at N, what follows at the expectation, but at no less than N / 4 and no more than 4 · N. Averages are over bars,
with a span of 20 (α = 2 / 21), begun with the first bar.

**Renko**: bricks on a grid of multiples of the brick, the same in every session. After the first trade's cell, a brick is made
whenever the price reaches its far edge; to turn takes two bricks' way. A trade that makes several gives what was traded to the first
of them. Wicks are not drawn. A leap of more than `MOST_BRICKS` is one tall brick.
"""

from collections import deque
from fractions import Fraction
from itertools import pairwise
from math import ceil
from typing import Protocol

from tapeline.market.barkinds.chunks import Chunk, Ints, first_outside
from tapeline.market.barkinds.specs import BarSpec
from tapeline.market.barkinds.sums import Sum
from tapeline.market.exact import Scale

ALPHA = 2 / 21
BOUND = 4
MOST_BRICKS = 1000
MOST_INT = (1 << 63) - 1


class Rule(Protocol):
    def take(self, volume: int, money: int, sign: int) -> bool:
        """Count a trade, in integers; whether it closes the bar."""
        ...

    def ends(self, chunk: Chunk) -> list[int]:
        """Count many; where in them bars close."""
        ...

    def shape(self, bar: Sum, price: Scale) -> list[Sum]:
        """What is given out for a bar that closed; called once for each, in their order."""
        ...

    def rescale(self, size: int, price: int) -> None:
        """The scales grew by these factors."""
        ...

    def reset(self) -> None:
        """The next trade begins a bar."""
        ...


class Threshold:
    __slots__ = ("_amount", "_average", "_down", "_limit", "_n", "_up", "adaptive", "amount", "how", "measure", "price", "size")

    def __init__(self, spec: BarSpec, amount: Fraction, size: Scale, price: Scale) -> None:
        """`amount`: as the spec's, in what the measure is summed up in. The scales are the caller's: they may grow."""
        self.measure, self.how, self.adaptive, self.amount = spec.measure, spec.how, spec.adaptive, amount
        self.size, self.price = size, price
        self._amount = amount  # in force
        self._average: tuple[float, float, float] | None = None  # trades a bar, and a trade's measure up and down
        self.reset()
        self._limit = self._scaled()

    def reset(self) -> None:
        self._up = self._down = self._n = 0

    def _unit(self) -> int:
        units: dict[str, int] = {"tick": 1, "volume": self.size.power, "notional": self.size.power * self.price.power}
        return units[self.measure]

    def _scaled(self) -> int:
        return ceil(self._amount * self._unit())

    def rescale(self, size: int, price: int) -> None:
        growth = {"tick": 1, "volume": size, "notional": size * price}[self.measure]
        self._up *= growth
        self._down *= growth
        self._limit = self._scaled()

    def take(self, volume: int, money: int, sign: int) -> bool:
        measure = self.measure
        value = 1 if measure == "tick" else volume if measure == "volume" else volume * money
        self._n += 1
        how = self.how
        if how == "sum":
            self._up += value
            hit = self._up >= self._limit
        else:
            if sign > 0:
                self._up += value
            elif sign < 0:
                self._down += value
            hit = (max(self._up, self._down) if how == "run" else abs(self._up - self._down)) >= self._limit
        if hit:
            self._closed()
        return hit

    def _closed(self) -> None:
        if self.adaptive:
            self._expect()
        self.reset()

    def _expect(self) -> None:
        unit, n = self._unit(), self._n
        now = (float(n), self._up / unit / n, self._down / unit / n)
        if self._average is not None:
            ((trades, up, down), was) = now, self._average
            now = (_averaged(trades, was[0]), _averaged(up, was[1]), _averaged(down, was[2]))
        trades, up, down = self._average = now
        expected = trades * (max(up, down) if self.how == "run" else abs(up - down))
        self._amount = min(max(Fraction(expected), self.amount / BOUND), self.amount * BOUND)
        self._limit = self._scaled()

    def ends(self, chunk: Chunk) -> list[int]:
        if self.how == "sum":
            up, down = chunk.running(self.measure, "all"), None
        else:
            up, down = chunk.running(self.measure, "up"), chunk.running(self.measure, "down")
        leaning = up - down if down is not None and self.how == "imbalance" else None
        found: list[int] = []
        at, base_up, base_down = -1, 0, 0
        while True:
            end = self._next(up, down, leaning, at + 1, base_up, base_down)
            last = min(end, chunk.n - 1)
            to_up, to_down = int(up[last]), 0 if down is None else int(down[last])
            self._up += to_up - base_up
            self._down += to_down - base_down
            self._n += last - at
            if end == chunk.n:
                return found
            found.append(end)
            at, base_up, base_down = end, to_up, to_down
            self._closed()

    def _next(self, up: Ints, down: Ints | None, leaning: Ints | None, start: int, base_up: int, base_down: int) -> int:
        """Where the bar closes that goes on at `start`; `base_…`: the running sums before it."""
        if leaning is not None:
            base = base_up - base_down - self._up + self._down
            return first_outside(leaning, start, max(base - self._limit, -MOST_INT), min(base + self._limit, MOST_INT))
        end = int(up.searchsorted(min(base_up - self._up + self._limit, MOST_INT)))
        if down is not None:
            end = min(end, int(down.searchsorted(min(base_down - self._down + self._limit, MOST_INT))))
        return end

    def shape(self, bar: Sum, price: Scale) -> list[Sum]:  # noqa: ARG002 - one signature
        return [bar]


def _averaged(new: float, was: float) -> float:
    return ALPHA * new + (1 - ALPHA) * was


class Renko:
    __slots__ = ("_bricks", "_level", "_way", "amount", "brick", "price")

    def __init__(self, amount: Fraction, price: Scale) -> None:
        self.amount, self.price = amount, price
        self._level: int | None = None  # where the last brick ended
        self._way = 0  # 1 up, −1 down
        self._bricks: deque[list[tuple[Fraction, Fraction]]] = deque()
        self.brick = self._scaled()

    def _scaled(self) -> int:
        return int(self.amount * self.price.power)

    def reset(self) -> None:
        self._level, self._way = None, 0

    def rescale(self, size: int, price: int) -> None:  # noqa: ARG002 - one signature
        self.brick = self._scaled()
        if self._level is not None:
            self._level *= price

    def take(self, volume: int, money: int, sign: int) -> bool:  # noqa: ARG002 - one signature
        if self._level is None:
            self._level = money - money % self.brick
        low, high = self._edges(self._level)
        if low < money < high:
            return False
        self._bricks.append(self._made(money))
        return True

    def _edges(self, level: int) -> tuple[int, int]:
        """The prices that make the next brick."""
        b = self.brick
        return level - (2 * b if self._way > 0 else b), level + (2 * b if self._way < 0 else b)

    def _made(self, money: int) -> list[tuple[Fraction, Fraction]]:
        """(open, close) of the bricks up to a price, which is past an edge."""
        level = self._level or 0
        way = 1 if money >= self._edges(level)[1] else -1
        start = level + way * self.brick if self._way == -way else level
        count = abs(money - start) // self.brick
        self._level, self._way = start + way * count * self.brick, way
        marks = [start, self._level] if count > MOST_BRICKS else [start + way * i * self.brick for i in range(count + 1)]
        exact = [Fraction(mark, self.price.power) for mark in marks]
        return list(pairwise(exact))

    def ends(self, chunk: Chunk) -> list[int]:
        found: list[int] = []
        if self._level is None:
            self._level = int(chunk.money[0]) // self.brick * self.brick
        at = -1
        while True:
            low, high = self._edges(self._level)
            at = first_outside(chunk.money, at + 1, max(low, -MOST_INT), min(high, MOST_INT))
            if at == chunk.n:
                return found
            self._bricks.append(self._made(int(chunk.money[at])))
            found.append(at)

    def shape(self, bar: Sum, price: Scale) -> list[Sum]:  # noqa: ARG002 - one signature
        shaped: list[Sum] = []
        for opened, closed in self._bricks.popleft():
            brick = bar if not shaped else Sum(bar.start, bar.end)
            brick.open, brick.close = float(opened), float(closed)
            brick.high, brick.low = max(brick.open, brick.close), min(brick.open, brick.close)
            brick.first, brick.last, brick.flags = bar.first, bar.last, bar.flags
            shaped.append(brick)
        return shaped


def rule(spec: BarSpec, size: Scale, price: Scale, contract: Fraction | None) -> Rule:
    """`contract` as of `Bars`: the notional of an inverse contract is contracts × contract value, so it is volume that counts."""
    if spec.family == "renko":
        return Renko(spec.amount, price)
    if spec.measure == "notional" and contract is not None:
        return Threshold(spec._replace(measure="volume"), spec.amount / contract, size, price)
    return Threshold(spec, spec.amount, size, price)
