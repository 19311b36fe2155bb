"""What is missing of an instrument, as the Status events tell it: spans of event time.

A hole begins at the last record before it and ends at the first one after it, both included. Told by, for the channels that the
records come from:

    gap            of the instrument, of its venue's tape, or of a consumer that was too slow
    disconnected   of the instrument's stream, or of any connection of its venue: which streams it carried is not said, so all
                   are marked
    connected      of the instrument's stream; of a connection only where its number shows that a new session has begun
    recovered      mends the holes of the ids that it names

The first hole is what was before the first record. Never is a hole overlooked that is told of; some are marked where nothing
was missing: a connection that another one replaced, or whose trade ids went on without a jump.
"""

import msgspec

from tapeline.events import BookUpdate, Event, Liquidation, Metrics, Quote, Status, Ticker, Trade

NEVER = 1 << 62
CHANNELS: dict[type[Event], frozenset[str]] = {
    Trade: frozenset({"trades"}),
    Quote: frozenset({"quotes", "book"}),
    BookUpdate: frozenset({"book"}),
    Metrics: frozenset({"book", "trades"}),
    Ticker: frozenset({"ticker"}),
    Liquidation: frozenset({"liquidations"}),
}
EVERY = frozenset({"", "tape", "consumer"})
BEGIN = frozenset({"gap", "disconnected", "connected"})


class Hole(msgspec.Struct):
    since: int
    until: int = NEVER
    first: int | None = None
    last: int | None = None


class Source(msgspec.Struct):
    """One instrument. `last`: its latest event time. `kind`: which of two kinds of the same records counts, the first that
    came.
    """

    instrument: str
    number: int
    last: int = -1
    kind: int | str | None = None
    holes: list[Hole] = []
    open: bool = True  # the last hole has no end yet
    heard: int = 0

    def record(self, ts: int) -> None:
        """The first record after a hole: it ends."""
        self.holes[-1].until, self.open = max(ts, self.holes[-1].since), False

    def begin(self, said: Status, most: int) -> None:
        if self.open:
            return
        self.holes.append(Hole(self.last, NEVER, said.from_seq, said.to_seq))
        self.open = True
        if len(self.holes) > most:
            one, two = self.holes[:2]
            self.holes[:2] = [Hole(one.since, max(one.until, two.until))]

    def mend(self, said: Status) -> bool:
        """Whether some hole is none any more."""
        if said.from_seq is None or said.to_seq is None:
            return False
        left = [h for h in self.holes if not self._inside(h, said.from_seq, said.to_seq)]
        mended = len(left) < len(self.holes)
        self.open = self.open and bool(left) and left[-1] is self.holes[-1]
        self.holes = left
        return mended

    def _inside(self, hole: Hole, first: int, last: int) -> bool:
        return hole.first is not None and hole.last is not None and first <= hole.first and hole.last <= last

    def touches(self, start: int, end: int) -> bool:
        return any(h.since < end and start <= h.until for h in self.holes)


def source(instrument: str, number: int) -> Source:
    return Source(instrument, number, holes=[Hole(-1)])


def concerns(said: Status, instrument: str) -> bool:
    """Whether a status that is about the right channel is about this instrument."""
    if said.instrument:
        return said.instrument == instrument
    return not said.venue or instrument.partition(":")[0] == said.venue
