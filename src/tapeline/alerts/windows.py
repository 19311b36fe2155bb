"""What was: rolling windows over time, bounded by STEPS whatever comes.

The time of a window is cut into steps, STEPS of them and none shorter than a tenth of a second. Steps lie on whole multiples of
their length, so a window reaches back one step less than its span to its span, never farther.

    level      (price, mid, a metric) holds between events. Of each step its value at the end, its lowest and its highest are kept;
               functions look at the steps that are over, not at the one that runs, so `price > max(price, 1h)` can come true
    happening  (the size of a trade, a bar) is of one event. Of each step count, sum, mean, squares and extremes are kept;
               functions look at the running step as well, so a sum has what was told a moment ago

A step in which something is not known is *broken*: data began in it, a gap, a disconnection. A window with a broken step in it has
no value, and one that does not reach its span yet has none either, unless the rule says `incomplete`; then it has that of what is
known. Changes (`rises by 1% within 5m`) need no whole window: what they compare must lie on the same side of every hole.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable
from functools import reduce
from itertools import islice
from statistics import median
from typing import Any, NamedTuple

from tapeline.alerts.standing import NEVER
from tapeline.alerts.values import NAN, Cell
from tapeline.clock import MILLI

STEPS = 300
SHORTEST = 100 * MILLI
NONE_YET = -1
Read = Callable[[], float]


def step_of(span: int) -> int:
    return max(SHORTEST, -(-span // STEPS))


class Step(NamedTuple):
    """Of a level: the value at its end; the lowest and highest, of a broken step since the last hole."""

    end: float
    low: float
    high: float
    broken: bool


class Stepped:
    """`observe` at every event that may have changed what is read, and whenever a step ends (`wake`); not once all of the window
    says the same, lest a machine that slept for hours looks at each step that it slept through.
    """

    __slots__ = ("_at", "_result", "_stale", "_still", "broken", "count", "span", "step")

    def __init__(self, span: int) -> None:
        self.step = step_of(span)
        self.span, self.count = span, max(1, -(-span // self.step))
        self._at, self._stale, self._result = NONE_YET, True, NAN
        self.broken = True
        self._still = 0  # how many steps, up to the last one that is over, say what was known when it ended, and nothing else

    def left(self) -> int:
        raise NotImplementedError

    def wake(self, now: int) -> int:
        """When it changes by time alone; it does while there is something in it that will leave it."""
        return NEVER if self._at == NONE_YET or self._settled() else (now // self.step + 1) * self.step

    def _settled(self) -> bool:
        """Whether time alone changes nothing more."""
        raise NotImplementedError


class Levels(Stepped):
    __slots__ = ("_clean", "_high", "_low", "_read", "_whole", "steps", "value")

    def __init__(self, read: Read, span: int, *, lenient: bool) -> None:
        super().__init__(span)
        self._read, self._whole = read, not lenient
        self.value = self._low = self._high = NAN
        self.steps: deque[Step] = deque(maxlen=self.count)
        self._clean = 0  # steps that are over since the last one that was broken

    def observe(self, now: int) -> None:
        at = now // self.step
        value = self._read()
        if at != self._at:
            self._roll(at)
        if value != value:
            self.broken, self._low, self._high = True, NAN, NAN
            self._stale = True
        else:
            if not value >= self._low:
                self._low = value
            if not value <= self._high:
                self._high = value
        self.value = value

    def _roll(self, at: int) -> None:
        if self._at == NONE_YET:
            self._at = at
            return
        held, unknown = self.value, self.value != self.value
        self._still = at - self._at - 1 + (self._still + 1 if self._constant() else 0)
        self.steps.append(Step(held, self._low, self._high, self.broken))
        empty = min(at - self._at - 1, self.count)
        self.steps.extend(Step(held, held, held, unknown) for _ in range(empty))
        self._clean = 0 if unknown else empty + (0 if self.broken else self._clean + 1)
        self._at, self._stale = at, True
        self._low = self._high = held
        self.broken = unknown

    def _constant(self) -> bool:
        """Whether the running step says what the one before it ended with, and nothing else."""
        if not self.steps:
            return False
        before, value = self.steps[-1].end, self.value
        if value != value:
            return before != before
        return self._low == self._high == before and not self.broken

    def _settled(self) -> bool:
        return self._still >= self.count and self._constant()

    def left(self) -> int:
        """How long until the window is whole, ns, as far as is known."""
        if self._at == NONE_YET:
            return self.span
        return max(0, (self.count - self._clean) * self.step)


class Window(Levels):
    """A function over the steps that are over."""

    __slots__ = ("_compute",)

    def __init__(self, function: str, read: Read, span: int, *, lenient: bool) -> None:
        super().__init__(read, span, lenient=lenient)
        self._compute = OF_LEVELS[function]

    def result(self) -> float:
        if self._stale:
            self._result, self._stale = self._computed(), False
        return self._result

    def _computed(self) -> float:
        steps = self.steps
        if self._whole and self._clean < self.count:
            return NAN
        known = [step for step in steps if step.end == step.end]
        return self._compute(known) if known else NAN


class Extremes(Levels):
    """The lowest and the highest since the window's begin, the present included, or since the last hole in it."""

    __slots__ = ("_below", "_over")

    def extremes(self) -> tuple[float, float]:
        if self._stale:
            self._below, self._over = self._past()
            self._stale = False
        low = min(self._low, self._below)
        high = max(self._high, self._over)
        return low, high

    def _past(self) -> tuple[float, float]:
        low, high = math.inf, -math.inf
        if self.broken and self._whole:
            return low, high
        for step in islice(reversed(self.steps), self.count - 1):
            if step.low < low:
                low = step.low
            if step.high > high:
                high = step.high
            if step.broken and self._whole:
                break
        return low, high


class Sums:
    """Of one step of happenings, or of several: Welford's mean and squares, joined after Chan, Golub and LeVeque (1979)."""

    __slots__ = ("broken", "count", "first", "high", "last", "low", "mean", "squares", "total")

    def __init__(self, *, broken: bool = False) -> None:
        self.count, self.total, self.mean, self.squares = 0, 0.0, 0.0, 0.0
        self.low, self.high, self.first, self.last = math.inf, -math.inf, NAN, NAN
        self.broken = broken

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value
        off = value - self.mean
        self.mean += off / self.count
        self.squares += off * (value - self.mean)
        self.low, self.high = min(self.low, value), max(self.high, value)
        if self.count == 1:
            self.first = value
        self.last = value

    def joined(self, later: "Sums") -> "Sums":
        both = Sums(broken=self.broken or later.broken)
        both.count = n = self.count + later.count
        if n == 0:
            return both
        off = later.mean - self.mean
        both.total = self.total + later.total
        both.mean = self.mean + off * later.count / n
        both.squares = self.squares + later.squares + off * off * self.count * later.count / n
        both.low, both.high = min(self.low, later.low), max(self.high, later.high)
        both.first = self.first if self.count else later.first
        both.last = later.last if later.count else self.last
        return both


class Happenings(Stepped):
    """`cell`: the field whose events are taken; `read`: what is taken of each, NaN breaks the step."""

    __slots__ = ("_both", "_cell", "_clean", "_done", "_gather", "_holes", "_read", "_run", "_told", "_whole", "steps")

    def __init__(self, function: str, cell: Cell, read: Read, span: int, *, lenient: bool) -> None:
        super().__init__(span)
        cell.counted = True
        self._cell, self._read, self._whole = cell, read, not lenient
        self._gather, self._both = OF_HAPPENINGS[function]
        self._told, self._holes = cell.told, cell.holes
        self.steps: deque[Sums] = deque(maxlen=max(1, self.count - 1))
        self._done: Any = None
        self._run = Sums(broken=True)
        self._clean = 0  # steps that are over since the last one that was broken

    def observe(self, now: int) -> None:
        if (at := now // self.step) != self._at:
            self._roll(at)
        cell = self._cell
        if cell.holes != self._holes:
            self._holes, self._run.broken = cell.holes, True
        if cell.told != self._told:
            self._told = cell.told
            value = self._read()
            if value == value:
                self._run.add(value)
            else:
                self._run.broken = True

    def _roll(self, at: int) -> None:
        if self._at != NONE_YET:
            self.steps.append(self._run)
            empty = min(at - self._at - 1, self.count)
            self.steps.extend(Sums() for _ in range(empty))
            self._clean = empty + (0 if self._run.broken else self._clean + 1)
            self._still = empty + (self._still + 1 if self._nothing() else 0)
            self._run = Sums()
            self._stale = True
        self._at = at

    def _nothing(self) -> bool:
        return not self._run.count and not self._run.broken

    def _settled(self) -> bool:
        return self._still >= self.count and self._nothing()

    def result(self) -> float:
        if self._whole and (self._run.broken or self._clean < self.count - 1):
            return NAN
        if self._stale:
            self._done, self._stale = self._gather(self.steps), False
        return self._both(self._done, self._run)

    def left(self) -> int:
        """How long until the window is whole, ns, as far as is known."""
        return max(0, (self.count - (0 if self._run.broken else self._clean + 1)) * self.step)


def _deviation(values: list[float]) -> float:
    mean = _sum(values) / len(values)
    return math.sqrt(_sum((v - mean) * (v - mean) for v in values) / len(values))


def _sum(values: Iterable[float]) -> float:
    """Rounded once. What is past every float (a product of products may be) is infinite, or not known, and no error."""
    found = [*values]
    try:
        return math.fsum(found)
    except (OverflowError, ValueError):
        return sum(found)


OF_LEVELS: dict[str, Callable[[list[Step]], float]] = {
    "avg": lambda steps: _sum(s.end for s in steps) / len(steps),
    "median": lambda steps: median(s.end for s in steps),
    "std": lambda steps: _deviation([s.end for s in steps]),
    "min": lambda steps: min(min(s.low, s.end) for s in steps),
    "max": lambda steps: max(max(s.high, s.end) for s in steps),
    "first": lambda steps: steps[0].end,
    "last": lambda steps: steps[-1].end,
}


def _joined(steps: Iterable[Sums]) -> Sums:
    return reduce(Sums.joined, steps, Sums())


def _first(steps: Iterable[Sums]) -> float:
    return next((s.first for s in steps if s.count), NAN)


def _last(steps: Iterable[Sums]) -> float:
    return next((s.last for s in reversed(list(steps)) if s.count), NAN)


def _deviation_of(done: Sums, run: Sums) -> float:
    both = done.joined(run)
    return math.sqrt(both.squares / both.count) if both.count else NAN


def _known(extreme: float) -> float:
    return NAN if math.isinf(extreme) else extreme


def _mean(done: tuple[float, int], run: Sums) -> float:
    count = done[1] + run.count
    return (done[0] + run.total) / count if count else NAN


OF_HAPPENINGS: dict[str, tuple[Callable[[Iterable[Sums]], Any], Callable[[Any, Sums], float]]] = {
    "sum": (lambda steps: _sum(s.total for s in steps), lambda done, run: done + run.total),
    "count": (lambda steps: sum(s.count for s in steps), lambda done, run: float(done + run.count)),
    "avg": (lambda steps: (_sum(s.total for s in steps), sum(s.count for s in steps)), _mean),
    "std": (_joined, _deviation_of),
    "min": (lambda steps: min((s.low for s in steps), default=math.inf), lambda done, run: _known(min(done, run.low))),
    "max": (lambda steps: max((s.high for s in steps), default=-math.inf), lambda done, run: _known(max(done, run.high))),
    "first": (_first, lambda done, run: done if done == done else run.first),
    "last": (_last, lambda done, run: run.last if run.count else done),
}
"""What is gathered of the steps that are over, once a step, and what it is together with the running one."""
