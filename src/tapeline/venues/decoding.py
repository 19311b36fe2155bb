"""What every venue's decoder needs: names, times, numbers that do not fit, kinds of messages that are of no use.

A decoder turns one message into records. This base class turns what msgspec says of an unreadable one into `MalformedFrame`,
counts what is unknown (bounded: a venue may invent kinds without end), and looks up instruments.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

import msgspec

from tapeline.clock import MICRO, MILLI, SECOND
from tapeline.errors import MalformedFrame
from tapeline.events import Flag
from tapeline.frames import HttpAnswer
from tapeline.instruments import Instrument, Registry
from tapeline.venues.base import Decode, Record, Request

# Plain integers: IntFlag's operators cost a microsecond each.
AGGREGATED = int(Flag.AGGREGATED)
BAD_TIME = int(Flag.BAD_TIME)
INEXACT = int(Flag.INEXACT)
NO_VENUE_TIME = int(Flag.NO_VENUE_TIME)
OFF_BOOK = int(Flag.OFF_BOOK)
RECOVERED = int(Flag.RECOVERED)
RPI = int(Flag.RPI)
SAMPLED = int(Flag.SAMPLED)

EARLIEST = 946_684_800 * SECOND  # 2000-01-01: no market time before it is true
DAY = 86_400 * SECOND
MOST_MS = (2**63 - 1) // MILLI  # the last millisecond of 2262 that nanoseconds can tell; as microseconds it is April 1970
MOST_SAID = 300  # characters of a venue's error that are repeated
MOST_KINDS, LONGEST_KIND, OTHER = 100, 40, "(other)"  # unknown kinds of messages that are counted apart
_DIGITS = bytes.maketrans(b"0123456789.", b"0" * 11)
_LONG = b"0" * 17
LONGEST_EXPONENT = 8  # characters behind a number's digits that may still be its own, and the one that ends it
_RUN = re.compile(rb"[0-9.]+")
_NUMBER = re.compile(rb'[":,\[]\s*"?-?(\d*\.?\d{1,})(?:[eE][-+]?\d+)?"?\s*(?=[",\]}])')
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(?:Z|[+-]00:?00)?", re.ASCII)


def long_run(raw: bytes) -> bool:
    """Whether `raw` has a run of 17 digits and points, without which no number in it can be inexact."""
    return _LONG in raw.translate(_DIGITS)


def inexact(raw: bytes) -> bool:
    """Whether a decimal in `raw` has more than 15 significant digits, so that a float64 may not hold it.

    The first test is quick and passes nearly everything; then only the long runs are looked at, as a snapshot may have megabytes.
    Where a message holds few numbers it is quicker still to look behind their points and at their values; venues write no
    exponents, which that would not see.
    """
    flat = raw.translate(_DIGITS)
    at = flat.find(_LONG)
    while at >= 0:
        run = _RUN.match(raw, at)
        end = run.end() if run is not None else len(raw)
        around = raw[max(0, at - 4) : end + LONGEST_EXPONENT]
        if any(b"." in n and len(n.replace(b".", b"").strip(b"0")) > 15 for n in _NUMBER.findall(around)):
            return True
        at = flat.find(_LONG, end)
    return False


def nanoseconds(t: int) -> int:
    """Venue time to ns: 13 digits are milliseconds, 16 are microseconds. Integers all the way."""
    return t * MILLI if t <= MOST_MS else t * MICRO


def iso_nanoseconds(text: str) -> int:
    """`2026-08-26T15:16:16.730423Z` (UTC, up to 9 decimals) to ns, integers all the way. ValueError on anything else."""
    digits = len(text) - 21
    if 1 <= digits <= 9 and text[19] == "." and text[-1] == "Z" and (fraction := text[20:-1]).isdecimal() and text.isascii():
        return _seconds(text[:19]) + int(fraction.ljust(9, "0"))
    return _any_iso(text)


@lru_cache(maxsize=256)
def _seconds(text: str) -> int:
    """Of a time without its fraction. Messages of one second share it: a fifth of the time of reading it each time."""
    return _any_iso(text)


def _any_iso(text: str) -> int:
    found = _ISO.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is no UTC time")
    year, month, day, hour, minute, second = (int(g) for g in found.groups()[:6])
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second <= 60):
        raise ValueError(f"{text[:40]!r} is no UTC time")
    fraction = (found[7] or "").ljust(9, "0")
    seconds = _days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second
    return seconds * SECOND + int(fraction)


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 of the Gregorian calendar, years before 1 too (Howard Hinnant, "chrono-Compatible Low-Level Date
    Algorithms", days_from_civil)."""
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


class BaseDecoder:
    """Subclass and implement `read`; override what else the venue has."""

    def __init__(
        self,
        registry: Registry,
        derive: Callable[[str, str], Instrument],
        snapshot: Callable[[str, int, int], Request | None] | None = None,
        *,
        simulated: bool,
    ) -> None:
        """`snapshot(native, attempt, not_before)`: how a book's snapshot is asked for, None where books begin on the socket."""
        self.registry = registry
        self.unknown: dict[str, int] = {}
        self.flags = int(Flag.SIMULATED) if simulated else 0
        self._derive, self._snapshot = derive, snapshot

    def read(self, data: bytes, ts_recv: int) -> Sequence[Record]:
        """One message. May raise msgspec's errors, ValueError or MalformedFrame on what cannot be read."""
        raise NotImplementedError

    def answer(self, answer: HttpAnswer, body: bytes, ts_recv: int) -> Sequence[Record]:
        """One HTTP answer of status 200, whatever purpose it has. May raise as `read`."""
        return []

    def decode(self, data: bytes, ts_recv: int) -> Sequence[Record]:
        try:
            return self.read(data, ts_recv)
        except (msgspec.MsgspecError, ValueError, RecursionError) as e:
            raise MalformedFrame(f"{e}") from None

    def decode_answer(self, answer: HttpAnswer, body: bytes, ts_recv: int) -> Sequence[Record]:
        try:
            return self.answer(answer, body, ts_recv)
        except (msgspec.MsgspecError, ValueError, RecursionError) as e:
            raise MalformedFrame(f"{answer.purpose} of {answer.native}: {e}") from None

    def of_connection(self, url: str) -> Decode:
        return self.decode

    def instrument(self, native: str) -> str:
        known = self.registry.by_native.get(native)
        if known is None:
            known = self.registry.add(self._derive(native, self.registry.label))
        return known.id

    def listed(self, native: str) -> Instrument:
        """The instrument itself: its contract size, its steps."""
        return self.registry.by_id[self.instrument(native)]

    def snapshot_request(self, native: str, attempt: int, not_before: int) -> Request | None:
        return None if self._snapshot is None else self._snapshot(native, attempt, not_before)

    def count_unknown(self, kind: str) -> None:
        kind = kind[:LONGEST_KIND]
        if kind not in self.unknown and len(self.unknown) >= MOST_KINDS:
            kind = OTHER
        self.unknown[kind] = self.unknown.get(kind, 0) + 1

    def flags_of(self, raw: bytes) -> int:
        return self.flags | INEXACT if inexact(raw) else self.flags

    @staticmethod
    def timed(ns: int, ts_recv: int, flags: int) -> tuple[int, int]:
        """(ns, flags): a venue's time that cannot be true is kept, and flagged. One that 64 bits cannot hold is replaced, too."""
        if EARLIEST < ns < ts_recv + DAY:
            return ns, flags
        return (ns if -(2**63) <= ns < 2**63 else ts_recv), flags | BAD_TIME
