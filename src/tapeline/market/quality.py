"""Is anything missing? Continuity of numbered trades, and silence of streams that should speak.

Trade ids of one stream are consecutive integers. A jump is a hole and is reported at once; an id from inside a hole that comes
after all fills it (two connections overlap, a venue reorders); any other id at or below the last is a duplicate. Many messages of
those in a row mean that the venue restarted its numbers; many in one message mean nothing, because a message may hold hundreds.

Silence is judged once a second on the pipeline's clock, so the hot path only stores a time. A stream is stale when it has been
silent for three times its usual longest pause, and for longer than any stream of its kind may be: `stale_seconds` where something
must always happen (books, quotes, tickers), `quiet_seconds` where nothing may (trades), never for liquidations.

The usual longest pause is learned: it rises to each longer pause at once and decays by 1/1024 a second, to a half in twelve
minutes. If messages come by chance, one in m seconds on the mean, and N of them fall into that memory, the longest pause is about
m ln N, and a pause of three times that comes once in N² memories: often enough to be no constant alarm, seldom enough to mean
something. So a pair that speaks every minute is left in peace, and one that speaks ten times a second is called stale after ten
seconds. Trades that were listened to for ten minutes are known well enough to be held to half a minute at least, instead of to
`quiet_seconds`.

A pause that was called stale teaches at most what was allowed, or one outage would excuse the next. A market that is closed is
not silent: nothing is learned, nothing is stale, and at the open the clock of silence starts anew. All of it depends on the times
of frames and of the checks between them, which a replay repeats.
"""

from enum import Enum

from tapeline.clock import SECOND
from tapeline.config import PipelineSettings
from tapeline.venues.base import Channel

MOST_HOLES = 1000
OLD_RUN_IS_RESET = 50
FAR_BACK = 10_000
FACTOR = 3  # of the usual longest pause
DECAY = 10  # bits: the usual longest pause loses 1/1024 a second
LISTENED = 600  # checks, one a second: from then on trades are known
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
    """`see(id)` judges one id; `last` may be advanced by the caller itself when `id == last + 1`. Holes: (first, last) ranges.

    Of too many holes the oldest are forgotten, and never filled: up to `forgotten` something stays missing.
    """

    __slots__ = ("_old_at", "_old_recv", "_old_run", "forgotten", "holes", "last")

    def __init__(self) -> None:
        self.last = -1
        self.holes: list[tuple[int, int]] = []
        self.forgotten = -1
        self._old_run, self._old_at, self._old_recv = 0, -1, 0

    def see(self, number: int, first: int = 0, ts_recv: int = 0) -> Seen:
        """`first`: where the record stands for the ids `first` … `number` (0: for `number` alone). `ts_recv`: when its message came,
        0 where it came alone.
        """
        last = self.last
        if last < 0 or (first or number) == last + 1:
            self.last = number
            return Seen.NEXT
        if number > last:
            if (first or number) > last:
                self.lack(last + 1, (first or number) - 1)
            self.last = number
            return Seen.GAP if (first or number) > last else Seen.NEXT
        if self.fill(number, first):
            return Seen.FILLED
        if self._old_at != last:
            self._old_run, self._old_at, self._old_recv = 1, last, ts_recv
        elif ts_recv == 0 or ts_recv != self._old_recv:
            self._old_run, self._old_recv = self._old_run + 1, ts_recv
        if self._old_run >= OLD_RUN_IS_RESET or far_back(number, last):
            self.last, self.forgotten = number, -1
            self.holes.clear()
            return Seen.RESET
        return Seen.DUPLICATE

    def lack(self, first: int, last: int) -> None:
        """Ids that are known to be missing."""
        self.holes.append((first, last))
        if len(self.holes) > MOST_HOLES:
            self.forgotten = max(self.forgotten, self.holes.pop(0)[1])

    def missing(self, first: int, last: int) -> tuple[int, int] | None:
        """The first hole within `first` … `last`; None where nothing of it is missing."""
        if first <= self.forgotten:
            return first, min(last, self.forgotten)
        for start, end in self.holes:
            if start <= last and end >= first:
                return max(start, first), min(end, last)
        return None

    def has(self, number: int) -> bool:
        """Whether a number was seen; one that is far back was not: the venue began its numbers anew."""
        seen = number <= self.last and not far_back(number, self.last)
        return seen and not any(first <= number <= last for first, last in self.holes)

    def fill(self, number: int, first: int = 0) -> bool:
        """Take a number, or `first` … `number`, out of the hole that it is missing from; False where it is missing from none.

        A record that stands for several of which some came already is refused: it would give them out twice, and those that are
        missing are still to be had one by one.
        """
        first = first or number
        for i, (start, end) in enumerate(self.holes):
            if start <= first and number <= end:
                self.holes[i : i + 1] = [h for h in ((start, first - 1), (number + 1, end)) if h[0] <= h[1]]
                return True
        return False


class Silence:
    """One stream's silence. `heard` is stored by whoever hears it; `check` gives what changed: "stale", "recovered" or nothing.

    `key`: what tells that it speaks, of `Lane.heard`; its channel unless several streams of an instrument share that.
    `closed`: its market is closed, and it says nothing.
    """

    __slots__ = (
        "_listened",
        "_previous",
        "acked",
        "channel",
        "closed",
        "heard",
        "key",
        "limit",
        "name",
        "since",
        "stale",
        "usual",
    )

    def __init__(self, name: str, channel: Channel, since: int, settings: PipelineSettings, key: str = "") -> None:
        self.name, self.channel, self.since, self.key = name, channel, since, key or channel
        self.heard = 0
        self.acked = False
        self.stale = self.closed = False
        self.usual = 0  # its usual longest pause, ns
        self._previous = 0
        self._listened = 0  # checks while its market was open
        may_rest = {"trades": settings.quiet_seconds, "liquidations": float(NEVER // SECOND)}
        self.limit = int(may_rest.get(channel, settings.stale_seconds) * SECOND)

    def resume(self, before: "Silence | None") -> None:
        """What was known of the stream on the connection before."""
        if before is not None:
            self.usual, self._listened = before.usual, before._listened  # noqa: SLF001 - of the same class

    def check(self, now: int, settings: PipelineSettings, opened: int | None = 0) -> str:
        """`opened`: since when its market is open; None where it is closed."""
        allowed = self._allowed(settings)
        if opened is None:
            self.closed, self.stale, self._previous = now - self.heard >= allowed, False, self.heard
            return ""
        self.closed = False
        self._listened += 1
        self._learn(opened, allowed)
        if self.stale:
            if now - self.heard < SECOND + SECOND // 2 and self.heard > self.since:
                self.stale = False
                return "recovered"
            return ""
        if now - max(self.heard, self.since, opened) >= self._allowed(settings):
            self.stale = True
            return "stale"
        return ""

    def _learn(self, opened: int, allowed: int) -> None:
        """The pause that ended since the last check; two that ended within a second count as one."""
        self.usual -= self.usual >> DECAY
        if self.heard > self._previous:
            before = max(self._previous, self.since, opened)
            if self._previous and self.heard > before:
                self.usual = max(self.usual, min(self.heard - before, allowed))
            self._previous = self.heard

    def _allowed(self, settings: PipelineSettings) -> int:
        stale = int(settings.stale_seconds * SECOND)
        if self.heard <= self.since and self.channel != "liquidations":
            return min(self.limit, FACTOR * stale)  # it never spoke: a wrong name or path
        known = self.channel == "trades" and self._listened >= LISTENED
        return max(min(self.limit, FACTOR * stale) if known else self.limit, FACTOR * self.usual)

    def reason(self, now: int) -> str:
        if self.heard > self.since:
            usual = f", where {self.usual / SECOND:.1f} s are usual" if self.usual > SECOND else ""
            return f"{self.name}: silent for {(now - self.heard) / SECOND:.1f} s{usual}"
        state = "acknowledged" if self.acked else "not acknowledged"
        return f"{self.name}: {state}, and silent since it was asked for: wrong name or wrong path?"
