"""The only reader of the machine's time.

Live, time is the machine's; replayed, it is the tape's. Everything that needs to know "now" is handed a `Clock`.
All times are integer nanoseconds since 1970-01-01 UTC.
"""

import time
from datetime import UTC, datetime
from typing import Protocol

SECOND = 1_000_000_000
MILLI = 1_000_000
MICRO = 1_000


class Clock(Protocol):
    def now(self) -> int: ...


def cpu_time() -> int:
    """CPU time that the calling thread has used, ns: for what work costs, never for what happens."""
    return time.thread_time_ns()


class LiveClock:
    """The machine's UTC clock, never running backwards: a step back (NTP, a resumed laptop) holds the last value.

    Receive times order frames on the tape, and timers fire in that order, so they must not decrease.
    """

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = 0

    def now(self) -> int:
        t = time.time_ns()
        if t > self._last:
            self._last = t
        return self._last


class ReplayClock:
    """Stands where the tape stands; whoever plays the tape moves it."""

    __slots__ = ("_now",)

    def __init__(self, now: int = 0) -> None:
        self._now = now

    def now(self) -> int:
        return self._now

    def set(self, now: int) -> None:
        self._now = max(self._now, now)

    def rewind(self, now: int) -> None:
        """The one way back: another place of the tape is played."""
        self._now = now


def iso(ns: int) -> str:
    """`2026-11-20T09:00:00.000000001Z`: all nine digits, so that nothing is rounded."""
    seconds, rest = divmod(ns, SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def parse_iso(text: str) -> int:
    """Nanoseconds of an ISO 8601 time; no zone means UTC; up to nine fractional digits. ValueError if it is none."""
    head, dot, tail = text.partition(".")
    digits = ""
    if dot:
        digits = tail[: len(tail) - len(tail.lstrip("0123456789"))]
        head, tail = head + tail[len(digits) :], ""
    moment = datetime.fromisoformat(head.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * SECOND + int(digits.ljust(9, "0")[:9] or 0)
