"""How long to wait before connecting again.

Exponential with full jitter: the n-th failure in a row waits a uniformly random time up to `first · 2ⁿ`, at most `most`. Full
jitter, because a thousand clients that a venue dropped at once must not come back at once. What the venue itself asks for
(`Retry-After`) is a lower bound; 429 and 418 without it have their own: an address that goes on knocking is banned for longer.

Only a connection that held for `stable` seconds makes the next wait short again. A venue that accepts and drops at once is as
down as one that refuses.
"""

import random
from datetime import UTC
from email.utils import parsedate_to_datetime

from tapeline.clock import SECOND

BANNED_SECONDS = 120.0
"""Wait after a 418 that names no time: Binance's shortest ban is two minutes."""
LONGEST_RETRY_AFTER = 3 * 86_400.0
"""Binance's longest ban is three days; a venue that names more is not believed."""


class Backoff:
    def __init__(self, first: float, most: float, stable: float, rng: random.Random | None = None) -> None:
        self.first, self.most, self.stable = first, most, stable
        self.failures = 0
        self._rng = rng or random.Random()

    def delay(self, status: int = 0, retry_after: float | None = None) -> float:
        """Seconds to wait after one more failure. `status`: the HTTP status or close code that came with it."""
        ceiling = min(self.most, self.first * 2.0 ** min(self.failures, 32))
        self.failures += 1
        jittered = self._rng.uniform(0.0, ceiling)
        return max(jittered, floor_of(status, retry_after, self.most))

    def held(self, seconds: float) -> None:
        """A connection ended after being up for `seconds`."""
        if seconds >= self.stable:
            self.failures = 0


def floor_of(status: int, retry_after: float | None, most: float) -> float:
    """The least wait that an answer demands."""
    if retry_after is not None:
        return min(max(retry_after, 0.0), LONGEST_RETRY_AFTER)
    return {429: most, 418: max(most, BANNED_SECONDS)}.get(status, 0.0)


def parse_retry_after(text: str | None, now: int) -> float | None:
    """Seconds of a `Retry-After` header: a number, or a date that is compared with `now` (ns). None where it says nothing."""
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        return _until(text, now)
    return seconds if 0.0 <= seconds < float("inf") else None


def _until(text: str, now: int) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - now / SECOND)
