"""What windows there are, and lengths of time as people write them: `500ms`, `30s`, `1m`, `4h`, `1d`, `1w`.

Windows of a fixed size lie one behind the other from 1970-01-01T00:00:00Z on, those of whole weeks from Monday, 1970-01-05, as
bars do; `offset` moves them.
"""

import re
from datetime import timedelta
from math import gcd

import msgspec

from tapeline.clock import MICRO, MILLI, SECOND
from tapeline.errors import UsageError

Time = str | int | timedelta
"""`30s`, a timedelta, or ns."""
DAY = 86_400 * SECOND
WEEK = 7 * DAY
_MONDAY = 4 * DAY
_UNITS = {"us": MICRO, "ms": MILLI, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "d": DAY, "w": WEEK}
_LONGEST = 3660 * DAY


class Grid(msgspec.Struct, frozen=True, tag="grid"):
    """Windows of `size` that begin every `step`, ns. Tumbling ones have step = size."""

    size: int
    step: int
    offset: int = 0

    @property
    def pane(self) -> int:
        """The longest stretch that every window begins and ends with."""
        return gcd(self.size, self.step)

    def begin(self, ts: int) -> int:
        """Where the latest window that begins at or before a time begins."""
        return ts - (ts - self.offset) % self.step

    def next_end(self, after: int) -> int:
        """The first end of a window later than a time."""
        return after + self.step - (after - self.offset - self.size) % self.step


class Session(msgspec.Struct, frozen=True, tag="session"):
    gap: int


Kind = Grid | Session


def nanoseconds(name: str, time: Time, *, least: int = 1) -> int:
    """Raises UsageError, with the argument's `name`."""
    found: int | None = None
    if isinstance(time, timedelta):
        found = (time.days * 86_400 + time.seconds) * SECOND + time.microseconds * MICRO
    elif isinstance(time, str):
        parts = re.fullmatch(r"\s*(\d{1,12})\s*(us|ms|s|m|h|d|w)\s*", time)
        found = int(parts[1]) * _UNITS[parts[2]] if parts else None
    elif isinstance(time, int) and not isinstance(time, bool):
        found = time
    if found is None or not least <= found <= _LONGEST:
        raise UsageError(f"{name} {time!r} is no length of time: write 500ms, 30s, 1m, 4h, 1d or 1w, at most ten years")
    return found


def tumbling(size: Time, *, offset: Time = 0) -> Grid:
    """Windows of `size` one behind the other. Raises UsageError."""
    width = nanoseconds("size", size)
    return Grid(width, width, _offset(width, offset))


def sliding(size: Time, step: Time, *, offset: Time = 0) -> Grid:
    """Windows of `size`, a new one every `step`. Raises UsageError where records would fall between them."""
    width, every = nanoseconds("size", size), nanoseconds("step", step)
    if every > width:
        raise UsageError(f"the step {step!r} is longer than the window {size!r}: records between them would be in none")
    return Grid(width, every, _offset(every, offset))


def session(gap: Time) -> Session:
    """Windows of records less than `gap` apart. Raises UsageError."""
    return Session(nanoseconds("gap", gap))


def _offset(step: int, offset: Time) -> int:
    return (nanoseconds("offset", offset, least=0) + (_MONDAY if step % WEEK == 0 else 0)) % step
