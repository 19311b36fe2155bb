"""The touch of one instrument as it becomes known, and the holes in it.

Its source is the book where one is asked for, else the venue's own quotes. A hole begins where the source loses its proof: the
book has a gap, is crossed or begins anew, a connection is lost, a stream falls silent or ends. It begins at that moment, by our
clock as the venue's, and ends with the next touch that is proven; of a change of sources it is made, too. In `touches` it is a
row of NaN.

Quotes come in their order of arrival, which is the order of a book's updates: one whose venue time goes back keeps its place.
"""

import numpy as np

from tapeline.events import Flag, Quote
from tapeline.market.metrics.store import Floats, Ints, Touches
from tapeline.market.metrics.venue_clock import VenueClock

UNPROVEN = int(Flag.BOOK_UNPROVEN)
BREAKS = {"gap", "crossed", "resyncing", "stale", "disconnected"}
ORIGINS = {"book": "book", "quotes": "venue"}
"""Which quotes a channel makes."""
Row = tuple[float | None, float | None, float | None, float | None]
_NOTHING: Row = (None, None, None, None)


def _own_time(q: Quote) -> int:
    return q.ts_event


class Touching:
    """`take` and `broken` gather; `settle` puts what was gathered into `touches`, once a sample.

    `known_since`: the venue's time, None while the touch is not known; `first_new`: from which place on touches are new.
    """

    __slots__ = ("_by_book", "_came", "_last", "_timed", "first_new", "known_since", "touches")

    def __init__(self) -> None:
        self.begin_anew()
        self._by_book: bool | None = None
        self._timed = True  # all that came bear a time that can be true
        self._came: dict[str, list[Quote | int]] = {"book": [], "venue": []}  # a number: a hole begins at that time of ours

    def begin_anew(self) -> None:
        """But for what came since the last sample."""
        self.touches = Touches()
        self.known_since: int | None = None
        self.first_new = 0
        self._last = 0  # the latest venue time of a quote, were it one that changed nothing

    def take(self, q: Quote) -> None:
        if self._by_book and q.origin == "venue":
            return  # most of all events, where both are streamed
        self._came[q.origin].append(q.ts_recv if q.flags & UNPROVEN else q)

    def broken(self, channel: str, ts_recv: int) -> None:
        """Nothing is known any more by this channel."""
        if channel in ORIGINS:
            self._came[ORIGINS[channel]].append(ts_recv)

    def learn(self, clock: VenueClock, *, by_book: bool) -> None:
        """Let the lag be learned from what came of that source."""
        came = self._came["book" if by_book else "venue"]
        self._timed = clock.learn_all([e for e in came if isinstance(e, Quote)])

    def settle(self, clock: VenueClock, ts_recv: int, *, by_book: bool) -> None:
        """File what came under its venue time."""
        came = self._came["book" if by_book else "venue"]
        self._came = {"book": [], "venue": []}
        if self._by_book is not None and by_book is not self._by_book:
            first = came[0] if came else ts_recv
            came = [first.ts_recv if isinstance(first, Quote) else first, *came]
        self._by_book = by_book
        place = _own_time if self._timed else clock.place
        times = [place(e) if isinstance(e, Quote) else clock.at(e) for e in came]
        rows = [(e.bid, e.bid_size, e.ask, e.ask_size) if isinstance(e, Quote) else _NOTHING for e in came]
        self.first_new = self._add(np.array(times, np.int64), np.array(rows, float).reshape(-1, 4).T)

    def _add(self, times: Ints, rows: Floats) -> int:
        if not len(times):
            return len(self.touches)
        times = np.maximum.accumulate(np.maximum(times, self._last))
        self._last = int(times[-1])
        holes = np.flatnonzero(np.isnan(rows).all(axis=0))
        begin = int(holes[-1]) + 1 if len(holes) else 0
        if begin == len(times):
            self.known_since = None
        elif len(holes) or self.known_since is None:
            self.known_since = int(times[begin])
        return self.touches.add(times, rows)

    @property
    def latest(self) -> tuple[float, float, float, float] | None:
        """bid, bid size, ask, ask size, NaN where a side is empty; None where it is not known."""
        t = self.touches
        if self.known_since is None or not len(t):
            return None
        return float(t.bid[-1]), float(t.bid_size[-1]), float(t.ask[-1]), float(t.ask_size[-1])
