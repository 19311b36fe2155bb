"""Bar intervals by name: any whole number of seconds, minutes, hours, days or weeks.

    7s   90s   3m   2h   1d   1w

Bars of an interval stand one behind the other from 1970-01-01T00:00:00Z on, so that those of the usual intervals begin on the
minute, on the hour and at midnight UTC. Weeks, and multiples of a week, are counted from the first Monday after that, 1970-01-05.
"""

import re

import msgspec

from tapeline.clock import MILLI, SECOND
from tapeline.errors import UsageError

_UNITS = {"s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "d": 86_400 * SECOND, "w": 604_800 * SECOND}
_MONDAY = 4 * 86_400 * SECOND
_MOST = 3660 * 86_400 * SECOND


class Interval(msgspec.Struct, frozen=True):
    """`width` in ns; bars begin at `origin` + any multiple of it."""

    name: str
    width: int
    origin: int = 0

    def slot(self, ts: int) -> int:
        """The number of the bar that a time falls into."""
        return (ts - self.origin) // self.width

    def begin(self, slot: int) -> int:
        return self.origin + slot * self.width


def step_of(text: str) -> Interval:
    """As `interval_of`, and milliseconds (`100ms`): the step between two instants."""
    found = re.fullmatch(r"(\d{1,9})ms", text.strip())
    return Interval(text.strip(), int(found[1]) * MILLI) if found and int(found[1]) else interval_of(text)


def interval_of(text: str) -> Interval:
    """Raises UsageError where `text` names none."""
    found = re.fullmatch(r"(\d{1,9})([smhdw])", text.strip())
    width = int(found[1]) * _UNITS[found[2]] if found else 0
    if found is None or not 0 < width <= _MOST:
        raise UsageError(
            f"{text!r} is no interval: write a number with s, m, h, d or w, as in 90s, 5m or 1w; ten years at most"
        )
    return Interval(found[0], width, _MONDAY if found[2] == "w" else 0)
