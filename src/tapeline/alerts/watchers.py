"""Parts of a rule that have a memory beside windows: crossings, `for`, and statuses that pass.

A crossing above is true while the left side is above the right one, having been at or below it before: it comes true once a
crossing, and not at the start of a session in which it is above already. A side that is not known for a while is remembered: what
was below before a gap and is above after it has crossed. `crosses` in either direction is true for the event that crosses alone.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from tapeline.alerts.standing import NEVER, Standing
from tapeline.alerts.syntax import Direction

Truth = Callable[[], bool | None]
Read = Callable[[], float]


class Now:
    """The time that the engine has come to, our clock, ns."""

    __slots__ = ("at",)

    def __init__(self) -> None:
        self.at = 0


class Watcher(Protocol):
    def observe(self, now: int) -> None:
        """Something that it looks at may have changed, or its time has come."""
        ...

    def wake(self, now: int) -> int:
        """When it may change by time alone."""
        ...


class Crossing:
    """`armed`: the left side was on the side that it has to come from; 0 where it was on none yet."""

    __slots__ = ("_direction", "_just", "_left", "_right", "armed")

    def __init__(self, direction: Direction, left: Read, right: Read) -> None:
        self._direction, self._left, self._right = direction, left, right
        self.armed = 0  # either: the side, −1 or 1; else 1
        self._just = False

    def observe(self, now: int) -> None:  # noqa: ARG002  one signature
        off = self._left() - self._right()
        self._just = False
        if off != off:
            return
        if self._direction == "either":
            side = (off > 0) - (off < 0)
            self._just = bool(side and self.armed and side != self.armed)
            self.armed = side or self.armed
        elif (off <= 0) if self._direction == "above" else (off >= 0):
            self.armed = 1

    def disarm(self) -> None:
        """An alert ended while it is still beyond: only a new crossing counts."""
        if self._direction != "either":
            self.armed = 0

    def holds(self) -> bool | None:
        return self.beyond(self._right())

    def within(self, moved: Callable[[float], float]) -> Truth:
        """The same, with the right side moved."""
        return lambda: self.beyond(moved(self._right()))

    def beyond(self, right: float) -> bool | None:
        left = self._left()
        if not (left == left and right == right):
            return None
        if self._direction == "either":
            return self._just
        return bool(self.armed) and (left > right if self._direction == "above" else left < right)

    def wake(self, now: int) -> int:  # noqa: ARG002  one signature
        return NEVER


class Held:
    """`of` for `span`: true from the moment that it has held so long without a break; not to know it is a break."""

    __slots__ = ("_now", "_of", "_since", "_span")

    def __init__(self, of: Truth, span: int, now: Now) -> None:
        self._of, self._span, self._now = of, span, now
        self._since: int | None = None

    def observe(self, now: int) -> None:
        if not self._of():
            self._since = None
        elif self._since is None:
            self._since = now

    def holds(self) -> bool | None:
        if self._since is None:
            return self._of()  # false, or not known
        return self._now.at - self._since >= self._span

    def wake(self, now: int) -> int:
        due = NEVER if self._since is None else self._since + self._span
        return due if due > now else NEVER


class Moments:
    """`status is …` of one instrument, or of it and its venue's connections."""

    __slots__ = ("_kinds", "_now", "_standings")

    def __init__(self, standings: Sequence[Standing], kinds: frozenset[str], now: Now) -> None:
        self._standings, self._kinds, self._now = standings, kinds, now

    def observe(self, now: int) -> None:
        """Standings keep themselves."""

    def holds(self) -> bool | None:
        found = [standing.any_of(self._kinds, self._now.at) for standing in self._standings]
        return True if True in found else False if False in found else None

    def wake(self, now: int) -> int:
        return min(standing.wake(now) for standing in self._standings)
