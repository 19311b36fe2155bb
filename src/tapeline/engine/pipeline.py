"""Frames to events: the one wiring, the same live and replayed.

`feed(frame, out)` appends to `out` the events that follow from one frame, and nothing but the frames decides what they are: time
is the frames' own, timers that fell due before a frame fire before it is handled, bearing the time they were due. What the market
floor wants asked over HTTP gathers in `requests`; which connections should be replaced gathers in `notices`. Live, the
collector acts on both; a replay throws them away, because the answers and the new connections are on the tape.

One pipeline serves one session, from its first frame. Order of what one frame makes: timers, then for each record bars and
status before the event that caused them, and after a book update the touch and the metrics of the book.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import heappop, heappush
from operator import length_hint
from typing import Any

import msgspec
import structlog

from tapeline.clock import SECOND
from tapeline.config import PipelineSettings, VenueSettings
from tapeline.engine.connections import BOOK_PATIENCE, Connection, Feed, expected
from tapeline.engine.lane import Lane, Wants
from tapeline.engine.nameless import Nameless
from tapeline.errors import MalformedFrame, TapelineError
from tapeline.events import Bar, Event, Liquidation, Quote, Status, Ticker, Trade
from tapeline.frames import (
    Frame,
    FrameKind,
    HttpAnswer,
    unpack_answer,
    unpack_closed,
    unpack_gone,
    unpack_lost,
    unpack_opened,
    unpack_session,
)
from tapeline.market.sessions import open_since
from tapeline.market.sync import State
from tapeline.venues.base import Ack, Again, BookMessage, Channel, Counted, Filled, Notice, Past, Request, Skipped

log = structlog.get_logger("tapeline.pipeline")
MESSAGE = int(FrameKind.BINARY)  # up to this kind, frames are messages; a plain integer: an enum's member is slow to look up
NEVER = 1 << 63  # past every time that 64 bits hold
LEAP = 3600 * SECOND
MOST_LANES = 10_000  # instruments at once: some three times what the largest venues trade
OVERLAP = 5 * SECOND  # after a take-over the successor may lag: until then it may still say what its predecessor has said

_SLOW: dict[type, Channel] = {Ticker: "ticker", Bar: "bars", Liquidation: "liquidations"}
_FIGURES = ("last", "mark", "index", "funding_rate", "open_interest")


def _said(e: Ticker | Bar | Liquidation) -> str:
    """What tells the records of several streams of one channel apart: a bar's interval, the first figure that a ticker gives."""
    if isinstance(e, Ticker):
        return next((figure for figure in _FIGURES if getattr(e, figure) is not None), "")
    return e.interval if isinstance(e, Bar) else ""


class Pipeline:
    def __init__(self, settings: PipelineSettings | None = None, venues: dict[str, VenueSettings] | None = None) -> None:
        self.settings = settings or PipelineSettings()
        self.requests: list[Request | Again] = []
        self.notices: list[tuple[int, str]] = []
        self.lanes: dict[str, Lane] = {}
        self.feeds: dict[tuple[str, bool], Feed] = {}
        self.connections: dict[int, Connection] = {}
        self.rejected = self.faults = 0
        self.unknown_connection = 0
        self.due = NEVER  # our clock: when a timer fires next, frame or not
        self._venues = venues if venues is not None else {}  # shared: addresses may still change before a feed is made
        self._next_check = NEVER
        self._timers: list[tuple[int, int]] = []  # a heap: when a lane's next bar closes, and the lane's number
        self._numbered: dict[int, Lane] = {}
        self._lanes_made = 0
        self._ended: set[str] = set()  # instruments that were unsubscribed: an answer that is still under way is of no use
        self._now = 0
        self._nameless: dict[str, Nameless] = {}  # by the feed's label
        self._on_frame: dict[int, Callable[[Frame, list[Event]], None]] = {
            FrameKind.SENT: self._sent,
            FrameKind.HTTP: self._http,
            FrameKind.OPENED: self._opened,
            FrameKind.CLOSED: self._closed,
            FrameKind.LOST: self._lost,
            FrameKind.END: self._end,
            FrameKind.GONE: self._gone,
        }
        self._on_record: dict[type, Callable[[Any, Connection, int, list[Event]], None]] = {
            Trade: self._trade,
            Quote: self._quote,
            BookMessage: self._book,
            Ticker: self._slow,
            Bar: self._slow,
            Liquidation: self._slow,
            Skipped: self._skipped,
            Filled: self._filled,
            Past: self._past,
            Counted: self._counted,
            Ack: self._ack,
            Notice: self._notice,
            Status: self._told,
        }

    @classmethod
    def of_session(cls, first: Frame) -> "Pipeline":
        """The pipeline that a session's first frame describes. TapelineError where it is no such frame."""
        if first.kind != FrameKind.SESSION:
            raise TapelineError("a session begins with its SESSION frame; this one does not")
        session = unpack_session(first.data)
        venues = {name: msgspec.convert(kept, VenueSettings) for name, kept in session.venues.items()}
        return cls(msgspec.convert(session.pipeline, PipelineSettings), venues)

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
        connections, on_record = self.connections, self._on_record
        for frame in frames:
            ts = frame.ts_recv
            if ts >= self.due:
                self._fire(ts, out)
            self._now = ts
            if frame.kind > MESSAGE:
                if (handler := self._on_frame.get(frame.kind)) is not None:
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
            lane.bars.finish(self._now, out)
        for label, nameless in self._nameless.items():
            flags = next(feed.flags for feed in self.feeds.values() if feed.label == label)
            for m in nameless.waiting:
                reason = f"a book snapshot at {m.seq} names no instrument and fits no book, or several"
                out.append(Status("", self._now, self._now, flags, "rejected", label, "book", reason, None, None, 1))
        self._nameless.clear()

    def stats(self) -> dict[str, int]:
        lanes = self.lanes.values()
        return {
            "gaps": sum(lane.gaps + lane.sync.gaps for lane in lanes),
            "resyncs": sum(lane.sync.resyncs for lane in lanes),
            "rejected": self.rejected,
            "faults": self.faults,
            "duplicates": sum(lane.sync.duplicates for lane in lanes),
        }

    # Frames

    def _message(self, connection: Connection, data: bytes, ts: int, out: list[Event]) -> None:
        try:
            for record in connection.decode(data, ts):
                self._on_record[type(record)](record, connection, ts, out)
        except MalformedFrame as e:
            self._malformed(connection, data, e, ts, out)

    def _malformed(self, connection: Connection, data: bytes, error: MalformedFrame, ts: int, out: list[Event]) -> None:
        self.rejected += 1
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
                self._lane(instrument, connection.feed).begin(name, channel, connection.silences[name], ts, out)
        self._check_from(connection, ts)

    def _end_streams(self, connection: Connection, names: Iterable[str], ts: int, out: list[Event]) -> None:
        for name in names:
            found = connection.end(name)
            if found is not None and connection.held is None:
                self._end_stream(name, found[1], connection.feed, ts, out)

    def _end_stream(self, name: str, instrument: str, feed: Feed, ts: int, out: list[Event]) -> None:
        """Nobody carries this stream any more, unless another connection does."""
        lane = self.lanes.get(instrument)
        if lane is None or any(name in c.streams for c in self.connections.values() if c.feed is feed and c.held is None):
            return
        lane.end(name, ts, out)
        self._drop_idle(lane)

    def _drop_idle(self, lane: Lane) -> None:
        """Forget an instrument of which nothing is asked for any more."""
        if not lane.wanted and lane.ending == NEVER:
            del self.lanes[lane.instrument], self._numbered[lane.number]
            self._ended.add(lane.instrument)

    def _gone(self, frame: Frame, out: list[Event]) -> None:
        gone, ts = unpack_gone(frame.data), frame.ts_recv
        for connection in self.connections.values():
            if connection.feed.venue.name == gone.venue:
                self._end_streams(connection, gone.streams, ts, out)
        for feed in self.feeds.values():
            for name in gone.streams if feed.venue.name == gone.venue else ():
                if (known := feed.venue.stream(name)) is not None:
                    self._end_stream(name, feed.decoder.instrument(known[1]), feed, ts, out)

    def _http(self, frame: Frame, out: list[Event]) -> None:
        try:
            answer, body = unpack_answer(frame.data)
        except (msgspec.MsgspecError, ValueError) as e:
            raise TapelineError(f"HTTP frame without a readable head: {e}") from None
        feed, ts = self._feed_of_answer(answer), frame.ts_recv
        if self._ended and answer.native and feed.decoder.instrument(answer.native) in self._ended:
            return
        try:
            if answer.status == 200 and answer.purpose == "instruments":
                self._listed(feed, body, ts, out)
            elif answer.status == 200:
                for record in feed.decoder.decode_answer(answer, body, ts):
                    if isinstance(record, BookMessage):
                        self._lane_of(record.native, feed).sync.on_message(record, ts, out)
                    elif isinstance(record, Past):
                        self._past_of(record, feed, ts, out)
                    elif isinstance(record, Bar | Ticker):
                        out.append(record)
            else:
                self._unanswered(feed, answer, answer.error or f"HTTP {answer.status}", ts, out)
        except MalformedFrame as e:
            self.rejected += 1
            out.append(Status("", ts, ts, feed.flags, "rejected", feed.label, answer.purpose, str(e), None, None, 1))
            self._unanswered(feed, answer, "the answer could not be read", ts, out)

    def _listed(self, feed: Feed, body: bytes, ts: int, out: list[Event]) -> None:
        refused = feed.registry.fill(feed.venue.read_instruments(body, feed.label))
        if refused:
            reason = f"{refused} of the listed instruments have names that cannot be names, or are too many"
            out.append(Status("", ts, ts, feed.flags, "rejected", feed.label, "instruments", reason, None, None, refused))

    def _unanswered(self, feed: Feed, answer: HttpAnswer, reason: str, ts: int, out: list[Event]) -> None:
        """A book's snapshot, or trades, that could not be had: whoever asked decides what to do."""
        if answer.purpose == "book":
            self._lane_of(answer.native, feed).sync.on_refused(reason, ts, out)
        elif answer.purpose == "trades":
            lane = self._lane_of(answer.native, feed)
            lane.repair.refused(reason, ts)
            lane.report(ts, out)

    def _opened(self, frame: Frame, out: list[Event]) -> None:
        opened, ts = unpack_opened(frame.data), frame.ts_recv
        connection = Connection(frame.conn, self.feed_of(opened.venue, opened.simulated), opened, ts)
        self.connections[frame.conn] = connection
        if connection.replaces in self.connections:
            connection.begin_hold(ts, self.settings)
        else:
            self._watch(connection, ts)
        out.append(connection.opened_status(ts))

    def _watch(self, connection: Connection, ts: int) -> None:
        """Expect each stream of a connection to speak from now on."""
        connection.silences = expected(connection, ts, self.settings)
        for name, (channel, instrument) in connection.streams.items():
            lane = self._lane(instrument, connection.feed)
            lane.watch(name, connection.silences[name])
            if channel == "book":
                lane.ending = NEVER
            elif channel == "trades":
                lane.begun(ts)
        self._check_from(connection, ts)

    def _check_from(self, connection: Connection, ts: int) -> None:
        """From the first stream on, a look each second whether all speak."""
        if self._next_check == NEVER and connection.streams:
            self._next_check = ts + SECOND
            self.due = min(self.due, self._next_check)

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
        for instrument, channels in connection.by_instrument().items():
            lane = self.lanes.get(instrument)
            if lane is not None:
                for name in connection.streams:
                    lane.silences.pop(name, None)
                if successor is None:
                    lane.lost(channels, f"connection {connection.number} lost", ts, out)
        if successor is not None:
            self._take_over(successor, ts, out)

    def _take_over(self, connection: Connection, ts: int, out: list[Event]) -> None:
        held, connection.held = connection.held or (), None
        acked = {name for name, s in connection.silences.items() if s.acked}
        self._watch(connection, ts)
        for name in acked & connection.silences.keys():
            connection.silences[name].acked = True
        connection.overlap_until = ts + OVERLAP
        for frame in held:
            self._message(connection, frame.data, frame.ts_recv, out)

    def _end(self, frame: Frame, out: list[Event]) -> None:
        """The session ends here: what its open bars hold is not to be lost, unfinished as it is."""
        for lane in self.lanes.values():
            lane.bars.finish(frame.ts_recv, out)

    def _lost(self, frame: Frame, out: list[Event]) -> None:
        """Frames were handled that the tape does not have: begin anew, so that the replay can follow from here."""
        lost, ts = unpack_lost(frame.data), frame.ts_recv
        reason = f"{lost.frames} frames were not recorded: {lost.reason}"
        for label, flags in {(feed.label, feed.flags): None for feed in self.feeds.values()} or {("", 0): None}:
            out.append(Status("", ts, ts, flags, "gap", label, "tape", reason, None, None, lost.frames))
        self.lanes.clear()
        self._timers.clear()
        self._numbered.clear()
        self._ended.clear()
        self.connections.clear()
        self.feeds.clear()  # whatever they learned of instruments may be in the hole
        self._nameless.clear()
        self._next_check = self.due = NEVER

    # Records

    def _trade(self, t: Trade, connection: Connection, ts: int, out: list[Event], first: int = 0) -> None:
        lane = self.lanes.get(t.instrument) or self._lane(t.instrument, connection.feed)
        if ts < connection.overlap_until and (lane.has_trade(t) if lane.numbered else self._double(lane, "trade", t.ts_event)):
            return
        lane.trade(t, ts, out, first)
        if lane.bars.due < lane.queued:
            self._queue(lane)

    def _quote(self, q: Quote, connection: Connection, ts: int, out: list[Event]) -> None:
        lane = self.lanes.get(q.instrument) or self._lane(q.instrument, connection.feed)
        lane.heard["quotes"] = ts
        if q.seq is not None:
            if ts < connection.overlap_until and q.seq <= lane.quote_seq:
                return
            lane.quote_seq = q.seq
        out.append(q)

    def _book(self, m: BookMessage, connection: Connection, ts: int, out: list[Event]) -> None:
        if not m.native:
            self._nameless.setdefault(connection.feed.label, Nameless()).put(m)
            self._place_nameless(connection.feed.label, ts, out)
            return
        lane = self._lane_of(m.native, connection.feed)
        lane.heard["book"] = ts
        if ts < connection.overlap_until and lane.sync.has(m):
            return
        lane.sync.on_message(m, ts, out)
        if self._nameless and lane.sync.state is State.BUFFERING and lane.venue in self._nameless:
            self._place_nameless(lane.venue, ts, out)

    def _slow(self, e: Ticker | Bar | Liquidation, connection: Connection, ts: int, out: list[Event]) -> None:
        lane = self._lane(e.instrument, connection.feed)
        channel = _SLOW[type(e)]
        key = f"{channel}:{_said(e)}"
        lane.heard[channel] = ts
        if channel == "ticker":
            lane.heard[key] = ts
        if ts < connection.overlap_until and self._double(lane, key, e.ts_event):
            return
        lane.latest[key] = e.ts_event
        out.append(e)

    def _double(self, lane: Lane, key: str, ts_event: int) -> bool:
        return ts_event <= lane.latest.get(key, -1)

    def _filled(self, f: Filled, connection: Connection, ts: int, out: list[Event]) -> None:
        self._trade(f.trade, connection, ts, out, f.first)

    def _past(self, p: Past, connection: Connection, ts: int, out: list[Event]) -> None:
        self._past_of(p, connection.feed, ts, out)

    def _past_of(self, p: Past, feed: Feed, ts: int, out: list[Event]) -> None:
        lane = self._lane(p.instrument, feed)
        lane.past(p, ts, out)
        if lane.bars.due < lane.queued:
            self._queue(lane)

    def _counted(self, c: Counted, connection: Connection, ts: int, out: list[Event]) -> None:
        """One message of a connection whose venue counts them. One left out may have been of any of its streams."""
        due, connection.counted = connection.counted, c.seq + 1
        if due is None or c.seq == due:
            return
        lost = c.seq - due
        reason = f"connection {connection.number}: messages missing" if lost > 0 else "message numbers went back"
        status = connection.status("gap", reason, ts, lost if lost > 0 else None)
        out.append(msgspec.structs.replace(status, from_seq=due, to_seq=c.seq - 1) if lost > 0 else status)
        for instrument, channels in connection.by_instrument().items():
            if "book" in channels and (lane := self.lanes.get(instrument)) is not None:
                lane.sync.damage("a message of its connection is missing", ts, out)

    def _skipped(self, s: Skipped, connection: Connection, ts: int, out: list[Event]) -> None:
        self._lane(s.instrument, connection.feed).skipped(s.id, ts, out, aggregated=s.aggregated)

    def _ack(self, ack: Ack, connection: Connection, ts: int, out: list[Event]) -> None:
        if ack.error:
            self.rejected += 1
        connection.acknowledged(ack, ts, out)

    def _notice(self, notice: Notice, connection: Connection, ts: int, out: list[Event]) -> None:
        self.notices.append((connection.number, notice.reason))
        out.append(connection.status("connected", f"{notice.reason}: connection {connection.number} will be replaced", ts))

    def _told(self, status: Status, connection: Connection, ts: int, out: list[Event]) -> None:  # noqa: ARG002 - one signature
        """What the venue says of itself (maintenance), or the decoder of what it could not use."""
        out.append(status)

    def _place_nameless(self, label: str, ts: int, out: list[Event]) -> None:
        lanes = (lane for lane in self.lanes.values() if lane.venue == label)
        for lane, message in self._nameless[label].place(lanes):
            lane.sync.on_message(message, ts, out)

    # Lanes and feeds

    def feed_of(self, protocol: str, simulated: bool) -> Feed:
        feed = self.feeds.get((protocol, simulated))
        if feed is None:
            feed = self.feeds[protocol, simulated] = Feed(protocol, simulated, self._venues.get(protocol))
        return feed

    def _feed_of_answer(self, answer: HttpAnswer) -> Feed:
        """A request that failed (no answer, a proxy's error page) does not know whether a simulated market was asked. The feed
        that asked is the one whose connection is open.
        """
        if answer.status != 200:
            asking = {c.feed for c in self.connections.values() if c.feed.venue.name == answer.venue}
            if len(asking) == 1:
                return asking.pop()
        return self.feed_of(answer.venue, answer.simulated)

    def _lane_of(self, native: str, feed: Feed) -> Lane:
        known = feed.registry.by_native.get(native)
        name = known.id if known is not None else feed.decoder.instrument(native)
        return self.lanes.get(name) or self._lane(name, feed)

    def _lane(self, instrument: str, feed: Feed) -> Lane:
        lane = self.lanes.get(instrument)
        if lane is None:
            if len(self.lanes) >= MOST_LANES:
                raise MalformedFrame(f"{instrument}: {MOST_LANES} instruments are streamed already")
            known = feed.registry.by_id[instrument]
            native = known.native

            def ask(attempt: int, not_before: int) -> Request | Again:
                request = feed.decoder.snapshot_request(native, attempt, not_before)
                return request or Again(instrument=instrument, attempt=attempt, not_before=not_before)

            def ask_trades(first: int | None, last: int | None, attempt: int, not_before: int) -> Request | None:
                return feed.venue.trades_request(native, first, last, attempt, not_before)

            number = self._lanes_made
            lane = Lane(
                instrument,
                feed.label,
                self.settings,
                Wants(ask, ask_trades, self.requests),
                feed.flags,
                number=number,
                trade_ids=feed.venue.trade_ids,
                checksum=feed.venue.book_checksum,
                contract_value=known.contract_size if known.inverse else None,
            )
            lane.registry = feed.registry
            self.lanes[instrument] = self._numbered[number] = lane
            self._lanes_made += 1
            self._ended.discard(instrument)
        return lane

    # Timers

    def _queue(self, lane: Lane) -> None:
        """Come back to a lane when its next bar closes. An earlier entry for it stays behind, and is passed over."""
        lane.queued = due = lane.bars.due
        heappush(self._timers, (due, lane.number))
        self.due = min(self.due, due)

    def _fire(self, now: int, out: list[Event]) -> None:
        """Fire what fell due up to `now`, in the order of time; of equal times bars first, by the age of their lanes.

        After a leap of the clock only the last hour is checked second by second.
        """
        timers = self._timers
        while self.due <= now:
            if timers and timers[0][0] <= self._next_check:
                due, number = heappop(timers)
                lane = self._numbered.get(number)
                if lane is not None and due == lane.queued:
                    lane.bars.close_by_clock(due, out)
                    lane.queued = NEVER
                    if lane.bars.due < NEVER:
                        self._queue(lane)
            else:
                due = self._next_check
                self._check(due, out)
                self._next_check = max(due + SECOND, now - LEAP) if self.connections else NEVER
            self.due = min(self._next_check, timers[0][0] if timers else NEVER)

    def _check(self, now: int, out: list[Event]) -> None:
        for connection in self.connections.values():
            if connection.pending:
                connection.check_acks(now, out)
            if connection.held is None and connection.is_mute():
                self._notice(Notice("none of its streams has ever spoken"), connection, now, out)
        for lane in list(self.lanes.values()):
            if lane.ending <= now:
                lane.over("book", now, out)
                self._drop_idle(lane)
            lane.sync.retry(now, out)
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
