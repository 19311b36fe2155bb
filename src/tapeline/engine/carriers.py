"""Which connection carries which stream: opened, asked, replaced, lost.

Each stream is watched from the moment that a connection carries it. Where two carry the same (a planned reconnect's successor, a
redundant twin) doubles are dropped and each keeps a book of its own; a stream is lost only with the last of them
(`engine/connections.py`).
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from tapeline.clock import SECOND
from tapeline.config import PipelineSettings
from tapeline.engine import polling
from tapeline.engine.connections import Connection, Feed, expected
from tapeline.engine.lanes import NEVER, Lanes
from tapeline.engine.records import Records
from tapeline.events import Event
from tapeline.frames import Frame, unpack_closed, unpack_gone, unpack_opened

OVERLAP = 5 * SECOND  # after a take-over the successor may lag: until then it may still say what its predecessor has said


class Gone(NamedTuple):
    """A connection that closed, those that carry some of its streams as well, and the one that was opened to replace it."""

    connection: Connection
    twins: list[Connection]
    successor: Connection | None


class Carriers:
    """`connections`: those that are open, by their number. `watch` is told of each before its first message (`tally.py`)."""

    def __init__(self, lanes: Lanes, records: Records, settings: PipelineSettings) -> None:
        self.connections: dict[int, Connection] = {}
        self.watch: Callable[[Connection], None] | None = None
        self._lanes, self._records, self._settings = lanes, records, settings

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "watch": None}

    def hold(self, connection: Connection, frame: Frame, out: list[Event]) -> None:
        """Keep a successor's frame; an acknowledgement is heard at once, as its time-out runs."""
        if connection.pending and connection.feed.venue.is_ack(frame.data):
            self._records.take(connection, frame.data, frame.ts_recv, out)
        else:
            connection.hold(frame)

    def sent(self, frame: Frame, out: list[Event]) -> None:
        connection, ts = self.connections.get(frame.conn), frame.ts_recv
        if connection is None or (asked := connection.feed.venue.asked(frame.data)) is None:
            return
        connection.asks(asked, ts)
        if asked.gone:
            self._end_streams(connection, asked.names, ts, out)
            return
        for name in asked.names:
            found = connection.begin(name, ts, self._settings)
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
                lane = self._lanes.by_name.get(found[1])
                if found[0] == "book" and lane is not None and lane.spares is not None:
                    lane.spares.lost(connection.number, "its stream ended", ts, out)
                self._end_stream(name, found[1], connection.feed, ts, out)

    def _end_stream(self, name: str, instrument: str, feed: Feed, ts: int, out: list[Event]) -> None:
        """Nobody carries this stream any more, unless another connection does."""
        lane = self._lanes.by_name.get(instrument)
        if lane is None or any(name in c.streams for c in self.connections.values() if c.feed is feed and c.held is None):
            return
        lane.end(name, ts, out)
        self._lanes.drop_idle(lane)
        for connection in self.connections.values():
            if connection.held is not None and connection.feed is feed and (known := connection.means(name)) is not None:
                connection.skip(*known, ts)

    def gone(self, frame: Frame, out: list[Event]) -> None:
        """What another connection carries is not gone: an instrument that came back may have moved to that one."""
        gone, ts = unpack_gone(frame.data), frame.ts_recv
        for feed in self._lanes.feeds.values():
            for name in gone.streams if feed.venue.name == gone.venue else ():
                if (known := feed.venue.stream(name)) is not None:
                    self._end_stream(name, feed.decoder.instrument(known[1]), feed, ts, out)

    def opened(self, frame: Frame, out: list[Event]) -> None:
        opened, ts = unpack_opened(frame.data), frame.ts_recv
        connection = Connection(frame.conn, self._lanes.feed_of(opened.venue, opened.simulated), opened, ts)
        self.connections[frame.conn] = connection
        if self.watch is not None:
            self.watch(connection)
        polling.ended(connection.feed, ts, out)
        if connection.replaces in self.connections:
            connection.begin_hold(ts, self._settings)
        else:
            self._watch(connection, ts)
        out.append(connection.opened_status(ts))

    def _watch(self, connection: Connection, ts: int) -> None:
        """Expect each stream of a connection to speak from now on."""
        connection.silences = expected(connection, ts, self._settings)
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
            self._lanes.timers.check_from(ts)

    def closed(self, frame: Frame, out: list[Event]) -> None:
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
        lane, number = self._lanes.by_name.get(instrument), gone.connection.number
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
        for lane in self._lanes.by_name.values():
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
                self._lanes.by_name[instrument].twin(other.number, connection.number, ts)

    def _take_over(self, connection: Connection, ts: int, out: list[Event]) -> None:
        held, connection.held = connection.held or (), None
        acked = {name for name, s in connection.silences.items() if s.acked}
        self._watch(connection, ts)
        for name in acked & connection.silences.keys():
            connection.silences[name].acked = True
        connection.overlap_until = max(connection.overlap_until, ts + OVERLAP)
        for frame in held:
            self._records.take(connection, frame.data, frame.ts_recv, out)
        connection.caught_up()
