"""Where bars of time begin and end: one behind the other, from an open to a close, both on whole seconds.

    Fixed      every so many ns from 1970 on, weeks from a Monday (`7s`, `1w`)
    Zoned      by the clock on the wall of a time zone (`1d@America/New_York`, `4h@Europe/Berlin`)
    Trading    from the open of an exchange's trading on (`1h@XNYS`), cut off at its close

By the wall clock a bar begins whenever that clock reaches, or is put over, a multiple of the interval. So a day lasts 23 or 25 hours
where the clocks are changed; of bars of four hours one lasts three or five, and of bars of an hour the one that does not exist is
left out and the one that comes twice is two bars. A change that is put over no multiple splits no bar.

By an exchange the regular trading counts, and nothing beside it: outside of it there is no bar. Half days end early, so the last bar
may be short; a lunch break ends a bar and begins one, except for `1d`, which goes from the open to the close.
"""

from datetime import UTC, datetime
from functools import cache
from typing import Protocol
from zoneinfo import ZoneInfo

from tapeline.clock import SECOND
from tapeline.market import sessions

Span = tuple[int, int]
NOWHERE = (0, 0)


class Slots(Protocol):
    """`width`: the usual one, ns."""

    width: int

    def span(self, ts: int) -> Span | None:
        """[open, close) of the bar that a time (ns UTC) falls into; None: into none."""
        ...

    def resume(self, ts: int) -> int | None:
        """When, after a time that falls into no bar, the next one begins; None where that is not known."""
        ...


class Fixed:
    __slots__ = ("origin", "width")

    def __init__(self, width: int, origin: int = 0) -> None:
        self.width, self.origin = width, origin

    def span(self, ts: int) -> Span:
        start = ts - (ts - self.origin) % self.width
        return start, start + self.width

    def resume(self, ts: int) -> int:
        return ts


class Zoned:
    """`width` divides a day, or is whole days, at most a week. The last answer is kept, as most questions repeat it."""

    __slots__ = ("_last", "origin", "width", "zone")

    def __init__(self, zone: str, width: int, origin: int = 0) -> None:
        self.zone, self.width, self.origin = zone, width, origin
        self._last = NOWHERE

    def span(self, ts: int) -> Span:
        if not self._last[0] <= ts < self._last[1]:
            self._last = self._begin(ts), self._end(ts)
        return self._last

    def resume(self, ts: int) -> int:
        return ts

    def _begin(self, ts: int) -> int:
        offset = _offset(self.zone, ts)
        start = self._floor(ts + offset) - offset
        if _offset(self.zone, start) == offset:
            return start
        change = self._change(start, ts)
        before = _offset(self.zone, change - 1)
        return change if self._splits(change) else self._floor(change - 1 + before) - before

    def _end(self, ts: int) -> int:
        offset = _offset(self.zone, ts)
        end = self._floor(ts + offset) + self.width - offset
        if _offset(self.zone, end) == offset:
            return end
        change = self._change(ts, end)  # at `end` itself, too: put back there, the clock shows the same bar again
        after = _offset(self.zone, change)
        return change if self._splits(change) else self._floor(change + after) + self.width - after

    def _floor(self, local: int) -> int:
        return local - (local - self.origin) % self.width

    def _splits(self, change: int) -> bool:
        """Whether a bar ends where the clocks change."""
        after = change + _offset(self.zone, change)
        before = change - 1 + _offset(self.zone, change - 1)
        return self._floor(before) != self._floor(after) or self._floor(after) == after

    def _change(self, start: int, end: int) -> int:
        """When, after `start` and by `end`, the clocks change: to the second."""
        low, high, offset = start // SECOND, end // SECOND, _offset(self.zone, start)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if _offset(self.zone, middle * SECOND) == offset else (low, middle)
        return high * SECOND


class Trading:
    """`session` as in `market/sessions.py`."""

    __slots__ = ("_last", "session", "width")

    def __init__(self, session: str, width: int) -> None:
        self.session, self.width = session, width
        self._last = NOWHERE

    def span(self, ts: int) -> Span | None:
        if self._last[0] <= ts < self._last[1]:
            return self._last
        found = sessions.trading(self.session, ts, whole_day=self.width == 86_400 * SECOND)
        if found is None:
            return None
        opens, closes = found
        start = ts - (ts - opens) % self.width
        self._last = start, min(start + self.width, closes)
        return self._last

    def resume(self, ts: int) -> int | None:
        return sessions.next_open(self.session, ts)


_zone = cache(ZoneInfo)


def _offset(zone: str, ts: int) -> int:
    offset = datetime.fromtimestamp(ts // SECOND, UTC).astimezone(_zone(zone)).utcoffset()
    return 0 if offset is None else round(offset.total_seconds()) * SECOND
