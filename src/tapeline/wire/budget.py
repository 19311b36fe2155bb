"""What we may spend at a venue: connects, messages, request weight. Pure: the caller says what time it is and does the waiting.

`Window` is a sliding window: at most `limit` in any `seconds`. A token bucket would let through twice its size when a full bucket
meets its refill, and venues count windows. A reservation is made at once and says how long to wait for it, so that waiters are
served in order and need no queue of their own.

`WeightBudget` follows Binance: a window is a minute of the clock, shared by everything that leaves our address, and each answer's
`X-MBX-USED-WEIGHT-1M` says what is really used, other programs included. A margin stays unspent, because their clock is not ours.
"""

import math
from collections import deque

from tapeline.clock import SECOND

MINUTE = 60 * SECOND
MARGIN = 0.9


class Window:
    """At most `limit` in any span of `seconds`. `waited` counts the reservations that had to wait."""

    def __init__(self, limit: int, seconds: float) -> None:
        self.limit, self.seconds = max(1, limit), seconds
        self.waited = 0
        self._times: deque[float] = deque()

    def wait(self, now: float) -> float:
        """Seconds until one more would be allowed; 0.0 means now."""
        times = self._times
        while times and times[0] <= now - self.seconds:
            times.popleft()
        if len(times) < self.limit:
            return 0.0
        return max(0.0, times[len(times) - self.limit] + self.seconds - now)

    def reserve(self, now: float) -> float:
        """Take one; returns the seconds to wait before using it."""
        wait = self.wait(now)
        self.waited += wait > 0.0
        self._times.append(now + wait)
        return wait


class ConnectBudget(Window):
    """Connection attempts of one venue, over all its connections: `per_5_minutes`, less a margin."""

    def __init__(self, per_5_minutes: int) -> None:
        super().__init__(math.floor(per_5_minutes * MARGIN), 300.0)


class MessageRate(Window):
    """What we send on one connection, `per_second` at most, pongs included.

    The last place in each second is kept for a pong: who answers a ping late is dropped, who subscribes late is only late. The
    span is a little over a second, because the venue measures on arrival and the network bunches.
    """

    def __init__(self, per_second: float) -> None:
        whole = math.floor(per_second)
        super().__init__(whole, 1.05 if whole >= 1 else 1.05 / per_second)
        self.kept = 1 if self.limit > 1 else 0

    def allows_message(self, now: float) -> float:
        """Seconds until a message other than a pong may go."""
        if self.kept == 0:
            return self.wait(now)
        self.wait(now)  # forgets what is past
        times, free = self._times, self.limit - self.kept
        if len(times) < free:
            return 0.0
        return max(0.0, times[len(times) - free] + self.seconds - now)


class WeightBudget:
    """Request weight of one venue in the current minute. Times in ns UTC."""

    def __init__(self, per_minute: int) -> None:
        self.limit = max(1, math.floor(per_minute * MARGIN))
        self.used = 0
        self.in_flight = 0
        self.waited = 0
        self.blocked_until = 0
        self._minute = 0

    def wait(self, weight: int, now: int) -> int:
        """Ns until a request of `weight` may go; 0 means now. One heavier than the whole budget goes into an empty minute."""
        if now < self.blocked_until:
            return self.blocked_until - now
        self._turn(now)
        spent = self.used + self.in_flight
        if spent + weight <= self.limit or spent == 0:
            return 0
        return (self._minute + 1) * MINUTE - now

    def take(self, weight: int) -> None:
        """Call when `wait` said 0; `answered` must follow."""
        self.in_flight += weight

    def answered(self, weight: int, used: int | None, now: int) -> None:
        """`used` is what the venue says is used in its minute, this request included; None where it does not say."""
        self._turn(now)
        self.in_flight -= weight
        self.used = self.used + weight if used is None else used

    def block(self, seconds: float, now: int) -> None:
        """Nothing may go for `seconds`: the venue said so (429, 418, Retry-After)."""
        self.blocked_until = max(self.blocked_until, now + int(seconds * SECOND))

    def _turn(self, now: int) -> None:
        minute = now // MINUTE
        if minute != self._minute:
            self._minute, self.used = minute, 0
