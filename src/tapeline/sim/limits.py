"""A venue's patience: request weight per minute and incoming messages per second.

Weight is counted in whole minutes of the venue's clock (or whatever period it has). Past the budget a request gets 429 and how
long to wait; where the venue bans, ten more in spite of that, and the address gets 418 for two minutes, whatever it asks.
"""

from collections import deque

import msgspec

from tapeline.clock import SECOND

_PATIENCE = 10
_BAN = 120 * SECOND


class Verdict(msgspec.Struct, frozen=True):
    status: int
    used: int
    retry_after: int = 0


class Weights:
    def __init__(self, budget: int, seconds: int = 60, *, bans: bool = True) -> None:
        self.budget, self.bans = budget, bans
        self.used = 0
        self._period = seconds * SECOND
        self._minute = self._over = self._banned_until = 0

    def charge(self, weight: int, now: int) -> Verdict:
        """`now`: ns. A refused request costs nothing but patience."""
        if now < self._banned_until:
            return Verdict(418, self.used, -(-(self._banned_until - now) // SECOND))
        minute = now // self._period
        if minute != self._minute:
            self._minute, self.used, self._over = minute, 0, 0
        if self.used + weight <= self.budget:
            self.used += weight
            return Verdict(200, self.used)
        self._over += 1
        if self.bans and self._over > _PATIENCE:
            self._banned_until = now + _BAN
            return Verdict(418, self.used, _BAN // SECOND)
        return Verdict(429, self.used, max(1, -(-((minute + 1) * self._period - now) // SECOND)))


def too_many(times: deque[float], now: float, most: int, seconds: float = 1.0) -> bool:
    """Whether a message arriving `now` (s) is more than `most` within `seconds`; remembers it."""
    while times and times[0] <= now - seconds:
        times.popleft()
    times.append(now)
    return len(times) > most
