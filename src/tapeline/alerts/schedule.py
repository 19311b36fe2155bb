"""When a rule may be raised: weekdays, hours of the day and the zone they are of.

    mon-fri 09:30-16:00 America/New_York        sat,sun        22:00-06:00 Europe/Berlin        mon-fri 08:00-12:00,13:00-17:00

Days and hours are those of the wall clock of the zone (UTC where none is named). It is open at an instant whose local time lies in
[begin, end) of a named day; hours over midnight belong to the day they begin on. An hour that the clock repeats is open both times;
one that it skips is not there, and what began in it begins with the first instant after it.
"""

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from tapeline.alerts.problems import RuleError
from tapeline.clock import SECOND

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES = 24 * 60
_HOURS = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")
_EXAMPLE = "write as in mon-fri 09:30-16:00 America/New_York"


class Schedule(msgspec.Struct, frozen=True):
    """`hours`: minutes of the day, begin and end; an end not after its begin is on the day after."""

    days: frozenset[int] = frozenset(range(7))
    hours: tuple[tuple[int, int], ...] = ((0, MINUTES),)
    zone: str = "UTC"

    @classmethod
    def of(cls, text: str) -> "Schedule":
        """Empty: always. Raises RuleError."""
        days, hours, zone = cls().days, cls().hours, "UTC"
        for found in re.finditer(r"\S+", text):
            word, at = found.group(), found.start()
            if ":" in word or word[0].isdigit():
                hours = tuple(_hours(part, text, at) for part in word.split(","))
            elif word[:3].lower() in DAYS and "/" not in word:
                days = _days(word, text, at)
            else:
                zone = _zone(word, text, at)
        return cls(days, hours, zone)

    @property
    def always(self) -> bool:
        return self == Schedule() or (len(self.days) == len(DAYS) and self.hours == ((0, MINUTES),))

    def is_open(self, ns: int) -> bool:
        local = datetime.fromtimestamp(ns // SECOND, UTC).astimezone(ZoneInfo(self.zone))
        minute, day = local.hour * 60 + local.minute, local.weekday()
        for begin, end in self.hours:
            if begin < end:
                if day in self.days and begin <= minute < end:
                    return True
            elif (day in self.days and minute >= begin) or ((day - 1) % 7 in self.days and minute < end):
                return True
        return False

    def next_open(self, ns: int) -> int | None:
        """The first instant not before `ns` at which it is open; None where there is none within ten days."""
        if self.always or self.is_open(ns):
            return ns
        zone = ZoneInfo(self.zone)
        today = datetime.fromtimestamp(ns // SECOND, UTC).astimezone(zone).date()
        begins = sorted(
            {
                begin
                for days in range(-1, 10)
                for minute, _ in self.hours
                for begin in _instants(today + timedelta(days), minute, self.zone)
                if begin > ns
            }
        )
        return next((begin for begin in begins if self.is_open(begin)), None)


@lru_cache(maxsize=4096)
def _instants(day: date, minute: int, zone: str) -> tuple[int, ...]:
    """When that minute of a local day begins, ns: twice where the clock goes back; where it skips it, the first instant after."""
    at = datetime.combine(day, time(minute // 60, minute % 60))
    both = sorted(int(at.replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()) for fold in (0, 1))
    if both[0] == both[1]:
        return (both[0] * SECOND,)
    local = datetime.fromtimestamp(both[0], UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    if local == at:
        return both[0] * SECOND, both[1] * SECOND
    offset = datetime.fromtimestamp(both[0], UTC).astimezone(ZoneInfo(zone)).utcoffset()
    for second in range(both[0], both[1] + 1, 60):
        if datetime.fromtimestamp(second, UTC).astimezone(ZoneInfo(zone)).utcoffset() != offset:
            return (second * SECOND,)
    return (both[1] * SECOND,)


def _days(word: str, source: str, at: int) -> frozenset[int]:
    days: set[int] = set()
    for part in word.lower().split(","):
        first, dash, last = part.partition("-")
        for name in (first, last) if dash else (first,):
            if name not in DAYS:
                raise RuleError(f"{name!r} is no day", source, at, f"days are {', '.join(DAYS)}", len(word))
        begin, end = DAYS.index(first), DAYS.index(last or first)
        days.update((begin + i) % 7 for i in range((end - begin) % 7 + 1))
    return frozenset(days)


def _hours(part: str, source: str, at: int) -> tuple[int, int]:
    found = _HOURS.fullmatch(part)
    numbers = [int(n) for n in found.groups()] if found else []
    if not numbers or numbers[1] > 59 or numbers[3] > 59:
        raise RuleError(f"{part!r} are no hours", source, at, _EXAMPLE, len(part))
    begin, end = numbers[0] * 60 + numbers[1], numbers[2] * 60 + numbers[3]
    if begin >= MINUTES or end > MINUTES or begin == end:
        raise RuleError(f"{part!r} are no hours of a day", source, at, "they lie between 00:00 and 24:00", len(part))
    return begin, end


def _zone(word: str, source: str, at: int) -> str:
    try:
        ZoneInfo(word)
    except (KeyError, ValueError, OSError):
        raise RuleError(f"{word!r} is neither days nor hours nor a time zone", source, at, _EXAMPLE, len(word)) from None
    return word
