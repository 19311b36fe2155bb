"""What the pipeline knows of venues' feeds and of each open connection; the take-over from one connection to its successor.

A planned reconnect opens the successor before the old connection closes. While both are up, the successor's frames are held back
(bounded; the old one speaks for both); when the old one closes they are played, and what it had said already is dropped by its
id or time, then and for a few seconds more, as the successor may lag. So nothing is lost and nothing comes twice, whatever order
the two connections deliver in.
"""

from collections import deque

from tapeline.clock import SECOND
from tapeline.config import PipelineSettings, VenueSettings
from tapeline.events import Event, Flag, Status
from tapeline.frames import Closed, Frame, Opened
from tapeline.instruments import Registry
from tapeline.market.quality import Silence
from tapeline.venues.base import Ack, Channel, Decoder, Venue
from tapeline.venues.registry import venue_class

SIMULATED_LABEL = "sim"
MOST_HELD = 50_000  # frames of a successor; past that the oldest go, and the ids show what is missing
ACK_PATIENCE = 10 * SECOND
BOOK_PATIENCE = 5 * SECOND
"""How long an acknowledged book stream may say nothing before its book is begun from a snapshot alone."""


class Feed:
    """One venue under one label: its decoder and instruments. A simulated market is labelled `sim`, whatever it speaks."""

    def __init__(self, protocol: str, simulated: bool, settings: VenueSettings | None = None) -> None:
        self.venue: Venue = venue_class(protocol)(settings)
        self.label = SIMULATED_LABEL if simulated else protocol
        self.flags = int(Flag.SIMULATED) if simulated else 0
        self.registry = Registry(self.label)
        self.decoder: Decoder = self.venue.decoder(self.registry, simulated=simulated)


class Connection:
    def __init__(self, number: int, feed: Feed, opened: Opened, ts: int) -> None:
        self.number, self.feed, self.opened, self.since = number, feed, opened, ts
        self.decode = feed.decoder.decode
        self.streams: list[tuple[str, Channel, str]] = []  # (native name, channel, instrument id)
        for name in opened.streams:
            known = feed.venue.stream(name)
            if known is not None:
                self.streams.append((name, known[0], feed.decoder.instrument(known[1])))
        self.held: deque[Frame] | None = None  # not None while a predecessor still speaks
        self.replaces = opened.replaces  # passed on to its own successor, should it die before its turn
        self.overlap_until = 0  # our clock: until then it may repeat what its predecessor has said
        self.pending: dict[int | str, tuple[int, tuple[str, ...]]] = {}
        self.silences: dict[str, Silence] = {}
        self.given_up = False

    def by_instrument(self) -> dict[str, set[Channel]]:
        found: dict[str, set[Channel]] = {}
        for _, channel, instrument in self.streams:
            found.setdefault(instrument, set()).add(channel)
        return found

    def begin_hold(self, ts: int, settings: PipelineSettings) -> None:
        self.held = deque()
        self.silences = expected(self, ts, settings)

    def hold(self, frame: Frame) -> None:
        if self.held is not None:
            if len(self.held) >= MOST_HELD:
                self.held.popleft()
            self.held.append(frame)

    def sent(self, data: bytes, ts: int) -> None:
        asked = self.feed.venue.asked(data)
        if asked is not None:
            self.pending[asked[0]] = (ts, asked[1])

    def acknowledged(self, ack: Ack, ts: int, out: list[Event]) -> None:
        names = ack.names or (self.pending.pop(ack.id, (0, ()))[1] if ack.id is not None else ())
        for name in names:
            if name in self.silences:
                self.silences[name].acked = True
        if ack.error:
            what = ", ".join(names) or f"message {str(ack.id)[:40]}"
            out.append(self.status("rejected", f"{self.feed.label} refused {what}: {ack.error}", ts, max(len(names), 1)))

    def check_acks(self, now: int, out: list[Event]) -> None:
        for number, (ts, names) in list(self.pending.items()):
            if now - ts >= ACK_PATIENCE:
                del self.pending[number]
                reason = f"no acknowledgement of {len(names)} streams within {ACK_PATIENCE // SECOND} s"
                out.append(self.status("stale", reason, now, len(names)))

    def is_mute(self) -> bool:
        """Whether each stream that should speak was called stale without ever having spoken; said once."""
        due = [s for s in self.silences.values() if s.channel != "liquidations"]
        if self.given_up or not due or not all(s.stale and s.heard <= s.since for s in due):
            return False
        self.given_up = True
        return True

    def status(self, kind: str, reason: str, ts: int, count: int | None = None) -> Status:
        return Status("", ts, ts, self.feed.flags, kind, self.feed.label, "", reason, None, None, count)  # type: ignore[arg-type]

    def opened_status(self, ts: int) -> Status:
        o = self.opened
        again = f", attempt {o.attempt}" if o.attempt else ""
        taking_over = f", taking over from connection {o.replaces}" if o.replaces else ""
        reason = f"connection {self.number} to {o.url} with {len(o.streams)} streams{again}{taking_over}"
        return self.status("connected", reason, ts, self.number)

    def closed_status(self, closed: Closed, ts: int) -> Status:
        how = "planned" if closed.planned else "lost"
        why = f": {closed.reason}" if closed.reason else ""
        return self.status("disconnected", f"connection {self.number} {how}, code {closed.code}{why}", ts, self.number)


def expected(connection: Connection, ts: int, settings: PipelineSettings) -> dict[str, Silence]:
    """The silence watch of each stream of a connection."""
    return {name: Silence(name, channel, ts, settings) for name, channel, _ in connection.streams}
