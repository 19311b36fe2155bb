"""Is anything missing? Continuity of numbered trades, and silence of streams that should speak.

Trade ids of one stream are consecutive integers. A jump is a hole and is reported at once; an id from inside a hole that comes after
all fills it (two connections overlap, a venue reorders); any other id at or below the last is a duplicate. Many of those in a
row mean that the venue restarted its numbers.

Silence is judged once a second on the pipeline's clock, so the hot path only stores a time. What silence means depends on the
channel: books and quotes of liquid pairs never rest, trades may, liquidations say nothing for hours. A stream's own longest pause
widens its allowance, so a quiet pair is not called stale again and again.
"""

from enum import Enum

from tapeline.clock import SECOND
from tapeline.config import PipelineSettings
from tapeline.venues.base import Channel

MOST_HOLES = 1000
OLD_RUN_IS_RESET = 50
FAR_BACK = 10_000
NEVER = 1 << 63  # past every time that 64 bits hold


class Seen(Enum):
    NEXT = "next"
    GAP = "gap"
    FILLED = "filled"
    DUPLICATE = "duplicate"
    RESET = "reset"


def far_back(number: int, last: int) -> bool:
    """Whether an id is so far before the last one that it cannot be a double of something recent: the numbers began anew."""
    return number < last // 2 and last - number > FAR_BACK


class IdTracker:
    """`see(id)` judges one id; `last` may be advanced by the caller itself when `id == last + 1`. Holes: (first, last) ranges."""

    __slots__ = ("_old_at", "_old_run", "holes", "last")

    def __init__(self) -> None:
        self.last = -1
        self.holes: list[tuple[int, int]] = []
        self._old_run, self._old_at = 0, -1

    def see(self, number: int, first: int = 0) -> Seen:
        """`first`: where the record stands for the ids `first` … `number` (0: for `number` alone)."""
        last = self.last
        if last < 0 or (first or number) == last + 1:
            self.last = number
            return Seen.NEXT
        if number > last:
            if (first or number) > last:
                self.lack(last + 1, (first or number) - 1)
            self.last = number
            return Seen.GAP if (first or number) > last else Seen.NEXT
        if self.fill(number):
            return Seen.FILLED
        self._old_run = self._old_run + 1 if self._old_at == last else 1
        self._old_at = last
        if self._old_run >= OLD_RUN_IS_RESET or far_back(number, last):
            self.last = number
            self.holes.clear()
            return Seen.RESET
        return Seen.DUPLICATE

    def lack(self, first: int, last: int) -> None:
        """Ids that are known to be missing."""
        self.holes.append((first, last))
        del self.holes[:-MOST_HOLES]

    def missing(self, first: int, last: int) -> tuple[int, int] | None:
        """The first hole within `first` … `last`; None where nothing of it is missing."""
        for start, end in self.holes:
            if start <= last and end >= first:
                return max(start, first), min(end, last)
        return None

    def has(self, number: int) -> bool:
        return number <= self.last and not any(first <= number <= last for first, last in self.holes)

    def fill(self, number: int) -> bool:
        """Take a number out of the hole that it is missing from; False where it is missing from none."""
        for i, (first, last) in enumerate(self.holes):
            if first <= number <= last:
                self.holes[i : i + 1] = [h for h in ((first, number - 1), (number + 1, last)) if h[0] <= h[1]]
                return True
        return False


class Silence:
    """One stream's silence. `heard` is stored by the hot path; `check` gives what changed: "stale", "recovered" or nothing."""

    __slots__ = ("_longest", "_previous", "acked", "channel", "heard", "limit", "name", "since", "stale")

    def __init__(self, name: str, channel: Channel, since: int, settings: PipelineSettings) -> None:
        self.name, self.channel, self.since = name, channel, since
        self.heard = 0
        self.acked = False
        self.stale = False
        self._longest = 0
        self._previous = 0
        may_rest = {"trades": settings.quiet_seconds, "liquidations": float(NEVER // SECOND)}
        self.limit = int(may_rest.get(channel, settings.stale_seconds) * SECOND)

    def check(self, now: int, settings: PipelineSettings) -> str:
        self._longest = max(self._longest, self.heard - self._previous if self._previous else 0)
        self._previous = self.heard
        if self.stale:
            if now - self.heard < SECOND + SECOND // 2 and self.heard > self.since:
                self.stale = False
                return "recovered"
            return ""
        if now - max(self.heard, self.since) >= self._allowed(settings):
            self.stale = True
            return "stale"
        return ""

    def _allowed(self, settings: PipelineSettings) -> int:
        if self.heard <= self.since and self.channel != "liquidations":
            return int(min(self.limit, 3 * settings.stale_seconds * SECOND))  # it never spoke: a wrong name or path
        return max(self.limit, min(3 * self._longest, int(settings.quiet_seconds * SECOND)))

    def reason(self, now: int) -> str:
        if self.heard > self.since:
            return f"{self.name}: silent for {(now - self.heard) / SECOND:.1f} s"
        state = "acknowledged" if self.acked else "not acknowledged"
        return f"{self.name}: {state}, and silent since it was asked for: wrong name or wrong path?"
