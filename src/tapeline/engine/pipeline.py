"""Frames to events: the one wiring, the same live and replayed.

`feed(frame, out)` appends to `out` the events that follow from one frame, and nothing but the frames decides what they are: time
is the frames' own, timers that fell due before a frame fire before it is handled, bearing the time they were due. What the market
floor wants asked over HTTP gathers in `requests`; which connections should be replaced gathers in `notices`. Live, the
collector acts on both; a replay throws them away, because the answers and the new connections are on the tape.

One pipeline serves one session, from its first frame. Order of what one frame makes: timers, then for each record bars and
status before the event that caused them, and after a book update the touch and the metrics of the book.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import length_hint
from typing import Any, NamedTuple

import msgspec
import structlog

from tapeline.clock import SECOND
from tapeline.config import PipelineSettings, VenueSettings
from tapeline.engine import polling
from tapeline.engine.answers import Answers
from tapeline.engine.connections import BOOK_PATIENCE, Connection, Feed, expected
from tapeline.engine.lanes import NEVER, Lanes
from tapeline.engine.records import Records
from tapeline.engine.sampling import LEAP, Sampling
from tapeline.errors import MalformedFrame, TapelineError
from tapeline.events import Event, Status, from_json
from tapeline.frames import (
    Frame,
    FrameKind,
    unpack_closed,
    unpack_gone,
    unpack_lost,
    unpack_opened,
    unpack_session,
    unpack_switched,
)
from tapeline.market.sessions import open_since
from tapeline.venues.base import Notice

log = structlog.get_logger("tapeline.pipeline")
MESSAGE = int(FrameKind.BINARY)  # up to this kind, frames are messages; a plain integer: an enum's member is slow to look up
OVERLAP = 5 * SECOND  # after a take-over the successor may lag: until then it may still say what its predecessor has said
BEFORE = {"metrics": (), "bars": (), "groups": ()}
"""What sessions had on of which the head says nothing: those of a release that could not switch them."""


class Gone(NamedTuple):
    """A connection that closed, those that carry some of its streams as well, and the one that was opened to replace it."""

    connection: Connection
    twins: list[Connection]
    successor: Connection | None


class Pipeline:
    def __init__(self, settings: PipelineSettings | None = None, venues: dict[str, VenueSettings] | None = None) -> None:
        """Without settings: the defaults, and no metrics but those of the book."""
        self.settings = settings or PipelineSettings(metrics=())
        self.connections: dict[int, Connection] = {}
        self.watch: Callable[[Connection], None] | None = None  # told of each connection before its first message (tally.py)
        self.faults = self.unknown_connection = 0
        self._lanes = Lanes(self.settings, venues if venues is not None else {})
        self._records = Records(self._lanes)
        self._answers = Answers(self._lanes, self._records, self.connections)
        self.lanes, self.feeds, self.requests = self._lanes.by_name, self._lanes.feeds, self._lanes.requests
        self.notices, self.feed_of = self._records.notices, self._lanes.feed_of
        self._timers, self.kinds = self._lanes.timers, self._lanes.kinds
        self._now = 0
        self._sampling = Sampling(self._lanes)
        self._on_frame: dict[int, Callable[[Frame, list[Event]], None]] = {
            FrameKind.SENT: self._sent,
            FrameKind.HTTP: self._answers.take,
            FrameKind.OPENED: self._opened,
            FrameKind.CLOSED: self._closed,
            FrameKind.LOST: self._lost,
            FrameKind.END: self._end,
            FrameKind.GONE: self._gone,
            FrameKind.ALERT: self._alert,
            FrameKind.SWITCHED: self._switched,
        }

    @classmethod
    def of_session(cls, first: Frame) -> "Pipeline":
        """The pipeline that a session's first frame describes. TapelineError where it is no such frame."""
        if first.kind != FrameKind.SESSION:
            raise TapelineError("a session begins with its SESSION frame; this one does not")
        session = unpack_session(first.data)
        venues = {name: msgspec.convert(kept, VenueSettings) for name, kept in session.venues.items()}
        return cls(msgspec.convert({**BEFORE, **session.pipeline}, PipelineSettings), venues)

    def feed(self, frame: Frame, out: list[Event]) -> None:
        self._feed(iter((frame,)), out)

    def feed_many(self, first_seq: int, frames: Sequence[Frame], out: list[Event]) -> None:
        """Feed frames in order. A fault of our own must not stop a feed: the frame it happened on is counted, reported as a
        Status and stays on the tape for whoever mends it; the next one is handled as if nothing had been.
        """
        left = iter(frames)
        while length_hint(left):
            try:
                self._feed(left, out)
            except Exception as e:  # noqa: BLE001 - counted, reported, kept on the tape
                at = len(frames) - length_hint(left) - 1
                self._fault(first_seq + at, frames[at], e, out)

    def _feed(self, frames: Iterator[Frame], out: list[Event]) -> None:
        """The loop that everything goes through: nearly all frames are messages, so their way is spelled out in it."""
        self._sampling.begin(out)
        try:
            self._each(frames, out)
        finally:
            self._sampling.gather(out)

    def _each(self, frames: Iterator[Frame], out: list[Event]) -> None:
        connections, on_record, timers = self.connections, self._records.handlers, self._timers
        for frame in frames:
            ts = frame.ts_recv
            if ts >= timers.due:
                self._fire(ts, out)
            self._now = ts
            if frame.kind > MESSAGE:
                if (handler := self._on_frame.get(frame.kind)) is not None:
                    self._sampling.show(out)  # it may end an instrument, or begin it anew
                    handler(frame, out)
            elif (connection := connections.get(frame.conn)) is None:
                self.unknown_connection += 1
            elif connection.held is not None:
                self._hold(connection, frame, out)
            else:
                try:
                    for record in connection.decode(frame.data, ts):
                        on_record[type(record)](record, connection, ts, out)
                except MalformedFrame as e:
                    self._malformed(connection, frame.data, e, ts, out)

    def _fault(self, seq: int, frame: Frame, error: Exception, out: list[Event]) -> None:
        self.faults += 1
        log.error("frame could not be handled", seq=seq, exc_info=error)
        reason = f"frame {seq} could not be handled, a fault of Tapeline's own: {type(error).__name__}: {error}"
        out.append(Status("", frame.ts_recv, frame.ts_recv, 0, "rejected", "", "", reason, None, None, 1))

    def finish(self, out: list[Event]) -> None:
        """End of input that nothing will follow: unproven book updates and open bars are given out, marked as what they are."""
        for lane in self.lanes.values():
            lane.sync.finish(out)
            lane.trades.bars.finish(self._now, out)
        self._records.finish(self._now, out)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "watch": None}

    @property
    def heard(self) -> int:
        """When the last frame was received, ns; 0 before the first."""
        return self._now

    @property
    def portable(self) -> bool:
        """Whether its state may be put away: that of a user's metric may hold anything."""
        ours = "tapeline."
        return all(type(m).__module__.startswith(ours) for lane in self.lanes.values() for m in lane.analytics.metrics)

    @property
    def instruments(self) -> set[str]:
        """All of which anything was asked, those included of which nothing is any more."""
        return self.lanes.keys() | self._lanes.ended.keys()

    def stats(self) -> dict[str, int]:
        lanes = self.lanes.values()
        return {
            "gaps": sum(lane.trades.gaps + lane.sync.gaps for lane in lanes),
            "resyncs": sum(lane.sync.resyncs for lane in lanes),
            "rejected": self.rejected,
            "faults": self.faults,
            "duplicates": sum(lane.sync.duplicates for lane in lanes),
        }

    # Frames

    def _message(self, connection: Connection, data: bytes, ts: int, out: list[Event]) -> None:
        try:
            for record in connection.decode(data, ts):
                self._records.handlers[type(record)](record, connection, ts, out)
        except MalformedFrame as e:
            self._malformed(connection, data, e, ts, out)

    def _malformed(self, connection: Connection, data: bytes, error: MalformedFrame, ts: int, out: list[Event]) -> None:
        self._records.rejected += 1
        head = data[:120].decode("utf-8", "replace")
        out.append(connection.status("rejected", f"malformed frame: {error}; it begins {head!r}", ts, 1))

    def _hold(self, connection: Connection, frame: Frame, out: list[Event]) -> None:
        """Keep a successor's frame; an acknowledgement is heard at once, as its time-out runs."""
        if connection.pending and connection.feed.venue.is_ack(frame.data):
            self._message(connection, frame.data, frame.ts_recv, out)
        else:
            connection.hold(frame)

    def _sent(self, frame: Frame, out: list[Event]) -> None:
        connection, ts = self.connections.get(frame.conn), frame.ts_recv
        if connection is None or (asked := connection.feed.venue.asked(frame.data)) is None:
            return
        connection.asks(asked, ts)
        if asked.gone:
            self._end_streams(connection, asked.names, ts, out)
            return
        for name in asked.names:
            found = connection.begin(name, ts, self.settings)
            if found is not None and connection.held is None:
                channel, instrument = found
                lane = self._lanes.of(instrument, connection.feed)
                lane.begin(name, channel, connection.silences[name], ts, out)
                if channel == "book":
                    lane.carried_by(connection.number, ts)
                for other in self._twins(connection):
                    self._pair(connection, other, ts)
        self._expect(connection, ts)

    def _end_streams(self, connection: Connection, names: Iterable[str], ts: int, out: list[Event]) -> None:
        for name in names:
            found = connection.end(name)
            if found is not None and connection.held is None:
                lane = self.lanes.get(found[1])
                if found[0] == "book" and lane is not None and lane.spares is not None:
                    lane.spares.lost(connection.number, "its stream ended", ts, out)
                self._end_stream(name, found[1], connection.feed, ts, out)

    def _end_stream(self, name: str, instrument: str, feed: Feed, ts: int, out: list[Event]) -> None:
        """Nobody carries this stream any more, unless another connection does."""
        lane = self.lanes.get(instrument)
        if lane is None or any(name in c.streams for c in self.connections.values() if c.feed is feed and c.held is None):
            return
        lane.end(name, ts, out)
        self._lanes.drop_idle(lane)
        for connection in self.connections.values():
            if connection.held is not None and connection.feed is feed and (known := connection.means(name)) is not None:
                connection.skip(*known, ts)

    def _gone(self, frame: Frame, out: list[Event]) -> None:
        """What another connection carries is not gone: an instrument that came back may have moved to that one."""
        gone, ts = unpack_gone(frame.data), frame.ts_recv
        for feed in self.feeds.values():
            for name in gone.streams if feed.venue.name == gone.venue else ():
                if (known := feed.venue.stream(name)) is not None:
                    self._end_stream(name, feed.decoder.instrument(known[1]), feed, ts, out)

    def _opened(self, frame: Frame, out: list[Event]) -> None:
        opened, ts = unpack_opened(frame.data), frame.ts_recv
        connection = Connection(frame.conn, self.feed_of(opened.venue, opened.simulated), opened, ts)
        self.connections[frame.conn] = connection
        if self.watch is not None:
            self.watch(connection)
        polling.ended(connection.feed, ts, out)
        if connection.replaces in self.connections:
            connection.begin_hold(ts, self.settings)
        else:
            self._watch(connection, ts)
        out.append(connection.opened_status(ts))

    def _watch(self, connection: Connection, ts: int) -> None:
        """Expect each stream of a connection to speak from now on."""
        connection.silences = expected(connection, ts, self.settings)
        for name, (channel, instrument) in connection.streams.items():
            lane = self._lanes.of(instrument, connection.feed)
            lane.watch(name, connection.silences[name])
            if channel == "book":
                lane.ending = NEVER
                lane.carried_by(connection.number, ts)
            elif channel == "trades":
                lane.trades.begun(ts)
        for other in self._twins(connection):
            self._pair(connection, other, ts)
        self._expect(connection, ts)

    def _expect(self, connection: Connection, ts: int) -> None:
        if connection.streams:
            self._timers.check_from(ts)

    def _closed(self, frame: Frame, out: list[Event]) -> None:
        connection, ts = self.connections.pop(frame.conn, None), frame.ts_recv
        if connection is None:
            return
        closed = unpack_closed(frame.data)
        out.append(connection.closed_status(closed, ts))
        successor = next((c for c in self.connections.values() if c.replaces == frame.conn and c.held is not None), None)
        if connection.held is not None:  # it never spoke; the one it was to replace still does
            if successor is not None:
                successor.replaces = connection.replaces
            return
        gone = Gone(connection, self._twins(connection), successor)
        for name in connection.streams:
            self._stream_lost(name, gone, ts, out)
        if not connection.streams and not connection.opened.streams:
            self._unnamed_lost(connection, ts, out)
        for twin in gone.twins:
            twin.overlap_until = NEVER if self._twins(twin) else ts + OVERLAP  # it may lag behind the one that is gone
        if successor is not None:
            self._take_over(successor, ts, out)

    def _stream_lost(self, name: str, gone: Gone, ts: int, out: list[Event]) -> None:
        """A stream's connection is gone: a successor goes on with it, a twin carries it as well, or it is lost."""
        channel, instrument = gone.connection.streams[name]
        lane, number = self.lanes.get(instrument), gone.connection.number
        if lane is None:
            return
        twin = next((t for t in gone.twins if name in t.streams), None)
        if twin is not None:
            lane.silences[name] = twin.silences[name]
        else:
            lane.silences.pop(name, None)
        if channel == "book" and lane.spares is not None:
            if gone.successor is not None:
                lane.spares.renamed(number, gone.successor.number)
            else:
                lane.spares.lost(number, f"connection {number} lost", ts, out)
        elif gone.successor is None and twin is None:
            lane.lost({channel}, f"connection {number} lost", ts, out)

    def _unnamed_lost(self, connection: Connection, ts: int, out: list[Event]) -> None:
        """A connection of an imported recording, which does not tell what was asked for: whatever of its venue nobody is known to
        carry, it may have carried.
        """
        for lane in self.lanes.values():
            if lane.venue == connection.feed.label and not lane.wanted:
                lane.lost({"book", "trades", "quotes", "ticker"}, f"connection {connection.number} lost", ts, out)

    def _twins(self, connection: Connection) -> list[Connection]:
        """The other connections that speak and carry some of the same streams."""
        return [
            c
            for c in self.connections.values()
            if c is not connection
            and c.feed is connection.feed
            and c.held is None
            and c.streams.keys() & connection.streams.keys()
        ]

    def _pair(self, connection: Connection, other: Connection, ts: int) -> None:
        """Two connections carry some of the same streams: doubles are dropped, and each keeps a book of its own."""
        connection.overlap_until = other.overlap_until = NEVER
        for name, (channel, instrument) in connection.streams.items():
            if channel == "book" and name in other.streams:
                self.lanes[instrument].twin(other.number, connection.number, ts)

    def _take_over(self, connection: Connection, ts: int, out: list[Event]) -> None:
        held, connection.held = connection.held or (), None
        acked = {name for name, s in connection.silences.items() if s.acked}
        self._watch(connection, ts)
        for name in acked & connection.silences.keys():
            connection.silences[name].acked = True
        connection.overlap_until = max(connection.overlap_until, ts + OVERLAP)
        for frame in held:
            self._message(connection, frame.data, frame.ts_recv, out)
        connection.caught_up()

    def _alert(self, frame: Frame, out: list[Event]) -> None:
        """A rule came true, or false again: the alerts' room says so by a frame, so that a replay says it, too."""
        event = from_json(frame.data)
        out.append(msgspec.structs.replace(event, ts_recv=frame.ts_recv))

    def _switched(self, frame: Frame, out: list[Event]) -> None:
        switched = unpack_switched(frame.data)
        self._lanes.switch(switched.metrics, switched.bars, switched.groups)
        self._sampling.tell_unknown(frame.ts_recv, out)

    def _end(self, frame: Frame, out: list[Event]) -> None:
        """The session ends here: what its open bars hold is not to be lost, unfinished as it is."""
        for lane in self.lanes.values():
            lane.trades.bars.finish(frame.ts_recv, out)

    def _lost(self, frame: Frame, out: list[Event]) -> None:
        """Frames were handled that the tape does not have: begin anew, so that the replay can follow from here."""
        lost, ts = unpack_lost(frame.data), frame.ts_recv
        reason = f"{lost.frames} frames were not recorded: {lost.reason}"
        for label, flags in {(feed.label, feed.flags): None for feed in self.feeds.values()} or {("", 0): None}:
            out.append(Status("", ts, ts, flags, "gap", label, "tape", reason, None, None, lost.frames))
        self.connections.clear()
        self._lanes.clear()  # feeds, too: whatever they learned of instruments may be in the hole
        self._records.nameless.clear()

    # Timers

    @property
    def rejected(self) -> int:
        """What venues refused or garbled."""
        return self._records.rejected

    @property
    def now(self) -> int:
        """Our clock, as of the latest frame."""
        return self._now

    @property
    def metrics(self) -> list[str]:
        """Names of what is sampled."""
        return self._lanes.metrics

    @property
    def due(self) -> int:
        """Our clock: when a timer fires next, frame or not."""
        return self._timers.due

    def _fire(self, now: int, out: list[Event]) -> None:
        """Fire what fell due up to `now`, in the order of time; of equal times bars first, by the age of their lanes.

        After a leap of the clock only the last hour is checked second by second.
        """
        timers = self._timers
        while timers.due <= now:
            if (entry := timers.next_bar()) is not None:
                due, lane = entry[0], self._lanes.by_number.get(entry[1])
                if lane is not None and due == lane.trades.queued:
                    lane.trades.bars.close_by_clock(due, out)
                    lane.trades.queued = NEVER
                    if lane.trades.bars.due < NEVER:
                        timers.queue(lane)
            elif timers.sample <= timers.check:
                due = timers.sample
                timers.sample = self._sampling.next_due(now, self._now)  # first: a fault must not come again each frame
                self._sampling.sample(due, out)
            else:
                self._sampling.show(out)
                self._check(timers.check, out)
                timers.check = max(timers.check + SECOND, now - LEAP) if self.connections else NEVER
            timers.set_due()

    def _check(self, now: int, out: list[Event]) -> None:
        for connection in self.connections.values():
            if connection.pending:
                connection.check_acks(now, out)
            if connection.held is None and connection.is_mute():
                self._records.notice(Notice("none of its streams has ever spoken"), connection, now, out)
        for lane in list(self.lanes.values()):
            if lane.ending <= now:
                lane.over("book", now, out)
                self._lanes.drop_idle(lane)
            lane.tend(now, out)
            opened = open_since(lane.session, now)
            for silence in lane.silences.values():
                silence.heard = lane.heard.get(silence.key, 0)
                change = silence.check(now, self.settings, opened)
                if change == "stale":
                    lane.status("stale", silence.channel, silence.reason(now), now, out)
                elif change == "recovered":
                    lane.status("recovered", silence.channel, f"{silence.name}: speaks again", now, out)
                if silence.channel == "book" and silence.acked and now - silence.since >= BOOK_PATIENCE:
                    lane.sync.begin(now, out)
