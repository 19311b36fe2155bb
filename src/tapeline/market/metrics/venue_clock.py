"""A venue's time as our clock has it: ours less the smallest lag (ts_recv − ts_event) seen so far.

A venue time that cannot be true (flagged, or more than a minute ahead of all before it) tells nothing of the lag, and what
bears one is placed by our clock; so is what bears none. What the venue only samples, or what was fetched later, keeps its time,
and tells nothing of the lag either.

Where a false time was believed all the same (nothing came before it), all that is true is more than a minute behind it from then
on: after a run of that the clock is `false`, and whoever asked it begins anew.
"""

from collections.abc import Sequence

from tapeline.clock import SECOND
from tapeline.events import Flag, Quote, Trade

OURS = int(Flag.BAD_TIME | Flag.NO_VENUE_TIME)
UNTIMED = OURS | int(Flag.RECOVERED | Flag.SAMPLED)
JUMP = 60 * SECOND
FALSE_RUN = 50


class VenueClock:
    """`lag` in ns, None before anything came."""

    __slots__ = ("_behind", "lag")

    def __init__(self) -> None:
        self.lag: int | None = None
        self._behind = 0  # how many in a row

    @property
    def false(self) -> bool:
        return self._behind >= FALSE_RUN

    def learn_all(self, events: Sequence[Trade | Quote]) -> bool:
        """True where all of them bear a time of their own that can be true: nearly always, and quickly seen."""
        lags = [e.ts_recv - e.ts_event for e in events]
        if not lags:
            return True
        least, flags = min(lags), {e.flags for e in events}
        if self.lag is not None and self.lag < -JUMP:
            self._behind = self._behind + len(lags) if least > self.lag + JUMP else 0
        if self.lag is not None and not self._is_false(least) and not any(f & UNTIMED for f in flags):
            self.lag = min(self.lag, least)
            return True
        for e in events:
            self.learn(e)
        return False

    def learn(self, e: Trade | Quote) -> None:
        lag = e.ts_recv - e.ts_event
        if not e.flags & UNTIMED and not self._is_false(lag) and (self.lag is None or lag < self.lag):
            self.lag = lag

    def place(self, e: Trade | Quote) -> int:
        """The venue's time to file `e` under, once the lag is learned from all that came with it."""
        ours = e.flags & OURS or self._is_false(e.ts_recv - e.ts_event)
        return self.at(e.ts_recv) if ours else e.ts_event

    def _is_false(self, lag: int) -> bool:
        return self.lag is not None and lag < min(self.lag, 0) - JUMP

    def at(self, ts_recv: int) -> int:
        """The venue's time at a time of ours."""
        return ts_recv - (self.lag or 0)
