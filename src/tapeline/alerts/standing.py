"""The integrity of an instrument, or of a venue's connections, as rules see it: what `status is gap or stale` means.

A status is a state of its channel until the next one comes: connected, disconnected, resyncing, synced, crossed, stale, recovered,
and the gap of a book, which ends when the book is synced. A gap of trades, a late trade and a rejected message are of a moment: they
hold for HOLD after the last one of the kind, or until the missing trades were recovered. What was asked for, a planned reconnect or
an instrument that is unsubscribed, is no trouble: it changes nothing, or ends what was.
"""

from tapeline.clock import SECOND
from tapeline.events import Status

HOLD = 60 * SECOND
MOMENTS = frozenset({"rejected", "late"})
NEVER = 1 << 63


class Standing:
    """`reason`: of the latest status."""

    __slots__ = ("moments", "reason", "states")

    def __init__(self) -> None:
        self.states: dict[str, str] = {}
        self.moments: dict[tuple[str, str], int] = {}
        self.reason = ""

    def take(self, e: Status) -> None:
        self.reason = e.reason
        if e.kind in MOMENTS or (e.kind == "gap" and e.channel != "book"):
            self.moments[e.channel, e.kind] = e.ts_recv + HOLD
        elif e.kind == "disconnected" and e.reason == "unsubscribed":
            self.states.pop(e.channel, None)
            self.moments = {key: until for key, until in self.moments.items() if key[0] != e.channel}
        elif not is_planned(e):
            self.states[e.channel] = e.kind
            if e.kind == "recovered":
                self.moments.pop((e.channel, "gap"), None)

    def any_of(self, kinds: frozenset[str], now: int) -> bool | None:
        """None where nothing was ever told."""
        if any(kind in kinds for kind in self.states.values()):
            return True
        if any(kind in kinds and until > now for (_, kind), until in self.moments.items()):
            return True
        return False if self.states or self.moments else None

    def wake(self, now: int) -> int:
        """When it changes by time alone."""
        return min((until for until in self.moments.values() if until > now), default=NEVER)


def is_planned(e: Status) -> bool:
    """A connection that was closed because another one took its place, or it was of no more use."""
    return e.kind == "disconnected" and not e.instrument and " planned, code " in e.reason
