"""How much a client may ask: a token bucket for each address it comes from, and one for all.

The buckets are for the honest (a script in a loop, a page that comes back too eagerly) and against floods from one place: the loop
that answers is the loop that listens to the markets. `MOST_PEERS` are remembered; beyond, the one that was quiet longest is
forgotten, which gives it a full bucket again: no harm, the bucket of all still counts.
"""

from collections import OrderedDict

MOST_PEERS = 1024
ALL = 4
"""All clients together may do so many times what one may."""


class Tokens:
    """At most `burst` at once and `rate` a second on average. Times are loop times in seconds."""

    __slots__ = ("at", "burst", "left", "rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate, self.burst = rate, burst
        self.left, self.at = burst, now

    def fill(self, now: float) -> None:
        self.left = min(self.burst, self.left + (now - self.at) * self.rate)
        self.at = now

    def wait(self, now: float) -> float:
        """Seconds until one more is allowed; 0: now."""
        self.fill(now)
        return 0.0 if self.left >= 1 else (1 - self.left) / self.rate


class Rates:
    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._peers: OrderedDict[str, Tokens] = OrderedDict()
        self._all = Tokens(ALL * rate, ALL * burst, 0.0)

    def wait(self, peer: str, now: float) -> float:
        """Seconds that this peer must wait before it may take one; 0: it may. Nothing is taken."""
        return max(self._of(peer, now).wait(now), self._all.wait(now))

    def take(self, peer: str, now: float) -> float:
        """The same, and it is taken where it may be."""
        if seconds := self.wait(peer, now):
            return seconds
        self._of(peer, now).left -= 1
        self._all.left -= 1
        return 0.0

    def __len__(self) -> int:
        return len(self._peers)

    def _of(self, peer: str, now: float) -> Tokens:
        bucket = self._peers.get(peer)
        if bucket is None:
            bucket = self._peers[peer] = Tokens(self._rate, self._burst, now)
        self._peers.move_to_end(peer)
        while len(self._peers) > MOST_PEERS:
            self._peers.popitem(last=False)
        return bucket
