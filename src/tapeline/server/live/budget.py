"""What the hub may take of the event loop, which the feed shares with it.

A push that encodes all that anybody watches has no bound: a viewer may watch 64 things, each of them another one than those of all
others. So what is made for viewers is paid from a share of the time, counted in CPU, since it is not our doing that the machine
gives the thread to another. What was overdrawn is paid back before anything else is bought: on average the share holds, whatever
one message costs. What was saved up is not spent in one go either, for the feed waits meanwhile: after `GO` periods' worth
comes somebody else's turn.
"""

from collections.abc import Callable
from typing import TypeVar

from tapeline.clock import SECOND, cpu_time

GO = 2
T = TypeVar("T")


class Budget:
    """`share` of each period (seconds), saved up for `periods` of them."""

    __slots__ = ("_go", "_left", "_most", "_share")

    def __init__(self, share: float, period: float, periods: int = 1) -> None:
        self._share = int(share * period * SECOND)
        self._left = self._most = self._share * periods
        self._go = GO * self._share

    @property
    def left(self) -> bool:
        return self._left > 0 and self._go > 0

    def renew(self) -> None:
        """One more period has passed."""
        self._left = min(self._most, self._left + self._share)
        self.go()

    def go(self) -> None:
        """The loop has done its other work."""
        self._go = GO * self._share

    def fill(self) -> None:
        """Nobody spent any for a while."""
        self._left = self._most

    def pay(self, make: Callable[[], T]) -> T:
        began = cpu_time()
        try:
            return make()
        finally:
            took = cpu_time() - began
            self._left -= took
            self._go -= took
