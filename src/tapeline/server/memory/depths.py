"""The books of the recent past, in memory, for the heatmap: who is looked at four times a second, others once.

A look is taken at the first batch of events of each step of the source's clock, or by a timer where none comes, and labelled with
the step's beginning: within some ms it is the book of that time. A book that did not change since the last look is the same
one, and takes neither time nor memory again. Each instrument has two rings:

    seconds   a look a second, `LEVELS` levels a side (`LOOKED_LEVELS` while somebody looks at it)
    fine      a look every 250 ms while somebody looks at it, the last `FINE_COLUMNS`

Bounds: `server.heatmap_mb` for all rings together; past it the rings that hold more than an equal share lose their oldest looks,
which the lake has. Nobody has to look at the first `OTHERS` instruments that have a book; of at most `MOST_LOOKED` the looks are
fine. No more than `AT_ONCE` looks are taken in one go, so that the feed never waits for long. In a replay that plays fast, steps
are passed over and have no look.

Measured on the recorded spot session, by a book of over 1,000 levels a side: a look of 200 levels takes 0.2 ms of CPU and 5 kB,
one of 1,000 levels 0.7 ms and 24 kB. So 40 instruments cost 0.8 % of a core, and each that is looked at 0.3 % more; the usual
64 MB hold five minutes of 40 instruments, or more than three hours of one.
"""

import asyncio
from collections import deque
from collections.abc import Iterator

from tapeline.clock import MILLI, SECOND
from tapeline.config import ServerSettings
from tapeline.engine.bus import Batch, Turn
from tapeline.engine.source import Source
from tapeline.market.columns import Raw, raw
from tapeline.server.memory.history import History

FINE = 250 * MILLI
FINE_COLUMNS = 600
LEVELS = 200
LOOKED_LEVELS = 1000
MOST_LOOKED = 16
OTHERS = 64
AT_ONCE = 8
BREATH_SECONDS = 0.02
LOOK_SECONDS = 60.0
"""How long after the last question somebody still looks."""
MEGABYTE = 1 << 20
Look = tuple[int, Raw | None]
"""When (ns), and the book; None where it was not proved right."""


class Ring:
    """Looks by time. `nbytes`: of the books in it, each once."""

    __slots__ = ("looks", "most", "nbytes")

    def __init__(self, most: int | None = None) -> None:
        self.looks: deque[Look] = deque()
        self.most, self.nbytes = most, 0

    def put(self, ts: int, book: Raw | None) -> None:
        if book is not None and not (self.looks and self.looks[-1][1] is book):
            self.nbytes += book.nbytes
        self.looks.append((ts, book))
        if self.most is not None and len(self.looks) > self.most:
            self.drop()

    def drop(self) -> None:
        """The oldest."""
        _, book = self.looks.popleft()
        if book is not None and not (self.looks and self.looks[0][1] is book):
            self.nbytes -= book.nbytes

    def back(self, every: int) -> Iterator[Look]:
        """Those at the steps of a grid, newest first."""
        return (look for look in reversed(self.looks) if not look[0] % every)


class Looks:
    """Those of one instrument. `until`: the loop's time up to which somebody looks at it."""

    __slots__ = ("book", "digits", "fine", "seconds", "until", "version")

    def __init__(self) -> None:
        self.seconds, self.fine = Ring(), Ring(FINE_COLUMNS)
        self.version: tuple[int, int, int] | None = None
        self.book: Raw | None = None
        self.digits = 0
        self.until = 0.0

    def back(self, every: int) -> Iterator[Look]:
        """The looks at the steps of a grid (ns), newest first. Where the fine ones end those of whole seconds go on."""
        before = 1 << 63
        for look in self.fine.back(every):
            before = look[0]
            yield look
        for look in self.seconds.back(max(every, SECOND)):
            if look[0] < before:
                yield look

    def since(self, every: int, after: int, most: int) -> list[Look]:
        """The last `most` after a time, oldest first."""
        found: list[Look] = []
        for look in self.back(every):
            if look[0] <= after or len(found) == most:
                break
            found.append(look)
        return found[::-1]


class Depths:
    """`tap` is for the bus. A timer runs while somebody looks, until `stop`."""

    def __init__(self, source: Source, history: History, settings: ServerSettings) -> None:
        self.capacity = settings.heatmap_mb * MEGABYTE
        self.of: dict[str, Looks] = {}
        self.dropped = 0
        self._source, self._history = source, history
        self._looked: set[str] = set()
        self._second = self._fine = self._due = 0  # the steps that are looked at, and when the next begins
        self._waiting: deque[str] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def nbytes(self) -> int:
        return sum(ring.nbytes for ring in self._rings())

    def _rings(self) -> list[Ring]:
        return [ring for looks in self.of.values() for ring in (looks.seconds, looks.fine)]

    def turned(self, turn: Turn) -> None:
        """A replay goes somewhere else: no look of before holds; who is looked at still is."""
        if turn != "forget":
            return
        until = {name: looks.until for name, looks in self.of.items() if name in self._looked}
        self.of = {name: Looks() for name in until}
        for name, when in until.items():
            self.of[name].until = when
        self._second = self._fine = self._due = 0
        self._waiting.clear()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        """Where no batch comes."""
        self._forget(loop.time())
        self.look()
        wait = BREATH_SECONDS if self._waiting else (FINE - self._source.now() % FINE) / SECOND
        self._timer = loop.call_later(wait, self._wake, loop) if self._looked else None

    def watch(self, instrument: str) -> Looks:
        """Somebody looks at it, from now on for a while."""
        looks = self.of.get(instrument)
        if looks is None:
            looks = self.of[instrument] = Looks()
        loop = asyncio.get_running_loop()
        looks.until = loop.time() + LOOK_SECONDS
        if instrument not in self._looked and len(self._looked) < MOST_LOOKED:
            self._looked.add(instrument)
            self._due = 0
            self.look()
        if self._timer is None:
            self._wake(loop)
        return looks

    def _forget(self, now: float) -> None:
        for name in [name for name in self._looked if self.of[name].until < now]:
            self._looked.discard(name)
            self.of[name].fine = Ring(FINE_COLUMNS)

    def tap(self, _: Batch) -> None:
        if self._waiting or self._source.now() >= self._due:
            self.look()

    def look(self) -> None:
        """Take some of the looks that are due."""
        now = self._source.now()
        if now >= self._due:
            self._begin(now)
        for _ in range(min(AT_ONCE, len(self._waiting))):
            self._take(self._waiting.popleft())
            if not self._waiting:
                self._keep()

    def _begin(self, now: int) -> None:
        second, self._fine = now - now % SECOND, now - now % FINE
        self._due = self._fine + FINE if self._looked else second + SECOND
        self._waiting = deque(dict.fromkeys([*self._looked, *self._waiting]))
        if second > self._second and self.capacity:
            self._second = second
            for name in self._history.books:
                if name not in self.of and len(self.of) < OTHERS:
                    self.of[name] = Looks()
            self._waiting.extend(name for name in self.of if name not in self._waiting)

    def _take(self, name: str) -> None:
        looks = self.of[name]
        looked = name in self._looked
        book = self._book(name, looks, LOOKED_LEVELS if looked else LEVELS)
        if self.capacity and not (looks.seconds.looks and looks.seconds.looks[-1][0] >= self._second):
            looks.seconds.put(self._second, book)
        if looked and not (looks.fine.looks and looks.fine.looks[-1][0] >= self._fine):
            looks.fine.put(self._fine, book)

    def _book(self, name: str, looks: Looks, levels: int) -> Raw | None:
        history = self._history
        version = (history.books.get(name, 0), history.status.total, levels)
        if version != looks.version:
            looks.version = version
            view = self._source.book(name, levels)
            looks.book = None
            if view is not None and view.state == "synced":
                floor, ceiling = view.bid_floor is not None, view.ask_ceiling is not None
                cut = (floor or len(view.bids) >= levels, ceiling or len(view.asks) >= levels)
                looks.book = raw(view.bids, view.asks, cut, looks.digits)
                looks.digits = looks.book.digits
        return looks.book

    def _keep(self) -> None:
        """Within the budget: whoever has more than an equal share gives. Without one only fine looks are kept, which are bounded."""
        if not self.capacity:
            return
        rings = sorted((ring for ring in self._rings() if ring.looks), key=lambda ring: ring.nbytes, reverse=True)
        over = sum(ring.nbytes for ring in rings) - self.capacity
        for ring in rings:
            share = self.capacity // len(rings)
            while over > 0 and ring.nbytes > share and ring.looks:
                before = ring.nbytes
                ring.drop()
                self.dropped += 1
                over -= before - ring.nbytes
