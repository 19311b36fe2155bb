"""Connections and topics: who gets what, encoded once, bounded.

A topic is one stream name of one venue. Its subscribers are grouped by the time unit that their connection asked for, because
that is the only thing in which payloads of one stream differ; whether a payload is wrapped in the combined envelope is each
connection's own property. Frames are queued on the connection and written once a pump.

Where a venue stamps its messages (a sequence number a connection), each connection has its own bytes: the stamp is put on
first and faults act on the stamped message, so that one that is dropped leaves a hole in the sequence.

Bounds: a connection may have `max_buffer` bytes unsent; past that it is closed with 1008 and counted in `slow_closed`.
Everything that a venue sends runs through `Hub.deliver`, where the faults stand (`faults.py`).
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tapeline.sim import wsframes

if TYPE_CHECKING:
    from tapeline.sim.faultbox import FaultBox

MILLIS, MICROS = 1_000_000, 1_000
"""Divisors from ns to the time unit of a connection."""
_LINGER = 1.0  # s a peer has to answer a close frame


_numbers = itertools.count(1)


class Conn:
    """One WebSocket connection as the venue sees it.

    `number` is its own in this process; `state` is the wire's to keep things in; `query` that of its address. `last_in`,
    `last_out`: loop time of the client's and the venue's last message. `asked`: it has subscribed to something. `reject`: set by a
    fault while a command is obeyed, the (code, text) with which the wire is to refuse one of its topics.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        venue: str,
        *,
        path: str,
        combined: bool,
        unit: int = MILLIS,
        query: Mapping[str, str] | None = None,
    ) -> None:
        self.transport, self.venue, self.path, self.unit = transport, venue, path, unit
        self.number, self.query = next(_numbers), query or {}
        self.state: dict[str, Any] = {}
        self.stamp: Callable[[Conn, bytes], bytes] | None = None
        self.last_in = self.last_out = 0.0
        self.asked = False
        self.reject: tuple[int, str] | None = None
        self.acks: deque[bytes] = deque()  # held back by a fault
        self.combined = combined
        self.streams: dict[str, None] = {}
        self.deflater: wsframes.Deflater | None = None
        self.out: list[bytes] = []
        self.incoming: deque[float] = deque()
        self.opened = self.next_ping = 0.0
        self.pinged: tuple[bytes, float] | None = None
        self.muted_until = 0.0
        self.pings = True
        self.closing = False
        self.max_buffer = 16 << 20
        self.sent = 0

    def put(self, frame: bytes) -> None:
        self.out.append(frame)

    def text(self, payload: bytes) -> None:
        """Queue one message outside of any stream (acks are never wrapped in the envelope)."""
        if self.stamp is not None:
            payload = self.stamp(self, payload)
        self.put(self.deflater.encode(payload) if self.deflater else wsframes.encode(payload))

    def flush(self, now: float = 0.0) -> bool:
        """Write what is queued (`now`: loop time); False where the peer is too slow and the connection was closed."""
        if not self.out:
            return True
        self.last_out = now or self.last_out
        data, self.out = b"".join(self.out), []
        if self.closing or self.transport.is_closing():
            return True
        self.transport.write(data)
        if self.transport.get_write_buffer_size() <= self.max_buffer:
            return True
        self.close(1008, "Slow consumer")
        return False

    def close(self, code: int, reason: str = "") -> None:
        """Start the closing handshake; 1006 drops the line without a word. A peer that does not answer is dropped as well."""
        if self.closing:
            return
        self.closing = True
        if code == 1006 or self.transport.is_closing():
            self.transport.abort()
            return
        self.transport.write(b"".join(self.out) + wsframes.close_frame(code, reason))
        self.out.clear()
        asyncio.get_running_loop().call_later(_LINGER, self.transport.abort)


class Hub:
    """`topics[venue][stream][unit]` lists the connections to serve; empty lists are removed."""

    def __init__(self, faults: "FaultBox") -> None:
        self.faults = faults
        self.conns: set[Conn] = set()
        self.topics: dict[str, dict[str, dict[int, list[Conn]]]] = {}
        self.messages = 0
        self.slow_closed = 0

    def subscribe(self, conn: Conn, stream: str, *, served: bool) -> None:
        """`served` False: the venue takes the name and never sends anything (unknown stream, wrong path)."""
        if stream in conn.streams:
            return
        conn.streams[stream] = None
        conn.asked = True
        if served:
            self.topics.setdefault(conn.venue, {}).setdefault(stream, {}).setdefault(conn.unit, []).append(conn)

    def unsubscribe(self, conn: Conn, stream: str) -> None:
        conn.streams.pop(stream, None)
        groups = self.topics.get(conn.venue, {}).get(stream)
        if groups is None or conn not in groups.get(conn.unit, ()):
            return
        groups[conn.unit].remove(conn)
        if not groups[conn.unit]:
            del groups[conn.unit]
        if not groups:
            del self.topics[conn.venue][stream]

    def leave(self, conn: Conn) -> None:
        for stream in list(conn.streams):
            self.unsubscribe(conn, stream)
        self.conns.discard(conn)

    def publish(self, venue: str, stream: str, payload: str) -> None:
        """One message of a stream to all its subscribers, if there are any."""
        for conns in self.topics.get(venue, {}).get(stream, {}).values():
            self.deliver(venue, stream, conns, payload)

    def of(self, venue: str) -> list[Conn]:
        """Its open connections."""
        return [conn for conn in self.conns if conn.venue == venue and not conn.closing]

    def deliver(self, venue: str, stream: str, conns: list[Conn], payload: str) -> None:
        """One message of a stream to these of its subscribers, through whatever faults are armed."""
        body = payload.encode()
        if conns and conns[0].stamp is not None:
            for conn in conns:
                self.send(conn, stream, body)
        elif self.faults.watching:
            for spoiled, style in self.faults.messages(venue, stream, body):
                self._send(stream, conns, spoiled, style)
        else:
            self._send(stream, conns, body, 0)

    def send(self, conn: Conn, stream: str, body: bytes) -> None:
        """One message of a stream to one connection: for what differs between connections, and for snapshots."""
        if conn.stamp is not None:
            body = conn.stamp(conn, body)
        if not self.faults.watching:
            self._send(stream, [conn], body, 0)
            return
        for spoiled, style in self.faults.messages(conn.venue, stream, body, conn.number):
            self._send(stream, [conn], spoiled, style)

    def _send(self, stream: str, conns: list[Conn], body: bytes, parts: int) -> None:
        raw = wrapped = b""
        for conn in conns:
            self.messages += 1
            conn.sent += 1
            if conn.combined:
                wrapped = wrapped or b'{"stream":"%b","data":%b}' % (stream.encode(), body)
            whole = wrapped if conn.combined else body
            if parts:
                conn.put(wsframes.fragments(whole, parts, wsframes.encode(b"between", wsframes.PING)))
            elif conn.deflater:
                conn.put(conn.deflater.encode(whole))
            elif conn.combined:
                conn.put(wsframes.encode(whole))
            else:
                raw = raw or wsframes.encode(body)
                conn.put(raw)

    def flush(self, now: float) -> None:
        """`now`: loop time. Muted connections lose what was queued: that is what silence means."""
        for conn in list(self.conns):
            if conn.muted_until > now:
                conn.out.clear()
            elif not conn.flush(now):
                self.slow_closed += 1
