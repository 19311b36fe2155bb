"""A venue's time as our clock has it: ours less the smallest lag (ts_recv − ts_event) seen so far.

A venue time that cannot be true (flagged, or more than a minute ahead of all before it) tells nothing of the lag, and what bears
one is placed by our clock; so is what bears none. What the venue only samples, or what was fetched later, keeps its time, and tells
nothing of the lag either.
"""

from tapeline.clock import SECOND
from tapeline.events import Flag, Quote, Trade

OURS = int(Flag.BAD_TIME | Flag.NO_VENUE_TIME)
UNTIMED = OURS | int(Flag.RECOVERED | Flag.SAMPLED)
JUMP = 60 * SECOND


class VenueClock:
    """`lag` in ns, None before anything came."""

    __slots__ = ("lag",)

    def __init__(self) -> None:
        self.lag: int | None = None

    def place(self, e: Trade | Quote) -> int:
        """The venue's time to file `e` under; the lag is learned from it."""
        known, lag = self.lag, e.ts_recv - e.ts_event
        if e.flags & UNTIMED:
            return self.at(e.ts_recv) if e.flags & OURS else e.ts_event
        if known is not None and lag < min(known, 0) - JUMP:
            return self.at(e.ts_recv)
        if known is None or lag < known:
            self.lag = lag
        return e.ts_event

    def at(self, ts_recv: int) -> int:
        """The venue's time at a time of ours."""
        return ts_recv - (self.lag or 0)
