"""Frames to events: the one wiring, the same live and replayed.

`feed(frame, out)` appends to `out` the events that follow from one frame, and nothing but the frames decides what they are: time
is the frames' own, timers that fell due before a frame fire before it is handled, bearing the time they were due. What the market
floor wants asked over HTTP gathers in `requests`; which connections should be replaced gathers in `notices`. Live, the
collector acts on both; a replay throws them away, because the answers and the new connections are on the tape.

One pipeline serves one session, from its first frame. Order of what one frame makes: timers, then for each record bars and
status before the event that caused them, and after a book update the touch and the metrics of the book.
"""

from collections.abc import Callable, Iterator, Sequence
from operator import length_hint

import msgspec
import structlog

from tapeline.clock import SECOND
from tapeline.config import PipelineSettings, VenueSettings
from tapeline.engine.answers import Answers
from tapeline.engine.carriers import Carriers
from tapeline.engine.connections import BOOK_PATIENCE
from tapeline.engine.lanes import NEVER, Lanes
from tapeline.engine.records import Records
from tapeline.engine.sampling import LEAP, Sampling
from tapeline.errors import MalformedFrame, TapelineError
from tapeline.events import Event, Status, from_json
from tapeline.frames import (
    Frame,
    FrameKind,
    unpack_lost,
    unpack_session,
    unpack_switched,
)
from tapeline.market.sessions import open_since
from tapeline.venues.base import Notice

log = structlog.get_logger("tapeline.pipeline")
MESSAGE = int(FrameKind.BINARY)  # up to this kind, frames are messages; a plain integer: an enum's member is slow to look up
BEFORE = {"metrics": (), "bars": (), "groups": ()}
"""What sessions had on of which the head says nothing: those of a release that could not switch them."""


class Pipeline:
    def __init__(self, settings: PipelineSettings | None = None, venues: dict[str, VenueSettings] | None = None) -> None:
        """Without settings: the defaults, and no metrics but those of the book."""
        self.settings = settings or PipelineSettings(metrics=())
        self.faults = self.unknown_connection = 0
        self._lanes = Lanes(self.settings, venues if venues is not None else {})
        self._records = Records(self._lanes)
        self.carriers = Carriers(self._lanes, self._records, self.settings)
        self.connections = self.carriers.connections
        self._answers = Answers(self._lanes, self._records, self.connections)
        self.lanes, self.feeds, self.requests = self._lanes.by_name, self._lanes.feeds, self._lanes.requests
        self.notices, self.feed_of = self._records.notices, self._lanes.feed_of
        self._timers, self.kinds = self._lanes.timers, self._lanes.kinds
        self._now = 0
        self._sampling = Sampling(self._lanes)
        self._on_frame: dict[int, Callable[[Frame, list[Event]], None]] = {
            FrameKind.SENT: self.carriers.sent,
            FrameKind.HTTP: self._answers.take,
            FrameKind.OPENED: self.carriers.opened,
            FrameKind.CLOSED: self.carriers.closed,
            FrameKind.LOST: self._lost,
            FrameKind.END: self._end,
            FrameKind.GONE: self.carriers.gone,
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
                self.carriers.hold(connection, frame, out)
            else:
                try:
                    for record in connection.decode(frame.data, ts):
                        on_record[type(record)](record, connection, ts, out)
                except MalformedFrame as e:
                    self._records.malformed(connection, frame.data, e, ts, out)

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
