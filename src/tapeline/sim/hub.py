"""Connections and topics: who gets what, encoded once, bounded.

A topic is one stream name of one venue. Its subscribers are grouped by the time unit that their connection asked for, because
that is the only thing in which payloads of one stream differ; whether a payload is wrapped in the combined envelope is each
connection's own property. Frames are queued on the connection and written once a pump.

Bounds: a connection may have `max_buffer` bytes unsent; past that it is closed with 1008 and counted in `slow_closed`.
Everything that a venue sends runs through `Hub.deliver`, where the faults stand (`faults.py`).
"""

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from tapeline.sim import wsframes

if TYPE_CHECKING:
    from tapeline.sim.faultbox import FaultBox

MILLIS, MICROS = 1_000_000, 1_000
"""Divisors from ns to the time unit of a connection."""
_LINGER = 1.0  # s a peer has to answer a close frame


class Conn:
    """One WebSocket connection as the venue sees it."""

    def __init__(self, transport: asyncio.Transport, venue: str, *, path: str, combined: bool, unit: int = MILLIS) -> None:
        self.transport, self.venue, self.path, self.unit = transport, venue, path, unit
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
        self.put(self.deflater.encode(payload) if self.deflater else wsframes.encode(payload))

    def flush(self) -> bool:
        """Write what is queued; False where the peer is too slow and the connection was closed."""
        if not self.out:
            return True
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

    def deliver(self, venue: str, stream: str, conns: list[Conn], payload: str) -> None:
        """One message of a stream to its subscribers, through whatever faults are armed."""
        if self.faults.watching:
            for body, style in self.faults.messages(venue, stream, payload.encode()):
                self._send(stream, conns, body, style)
        else:
            self._send(stream, conns, payload.encode(), 0)

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
            elif not conn.flush():
                self.slow_closed += 1
