"""The way from the hub to one viewer: frames, made once, written to every viewer that wants them.

A server's WebSocket frames are unmasked and, without compression, the same bytes for everyone. So the hub frames a message once
and hands the bytes to each connection's transport, past the layers that would encode it anew for each viewer (RFC 6455, 5.2:
one text frame, FIN set, length in 7, 16 or 64 bits). Whole frames only, so they cannot interleave with those of uvicorn.

Uvicorn offers no way to ask how far behind a peer is, nor to cut off one that reads nothing (its `close` waits for ever for a
buffer that never drains). `ViewerProtocol` therefore puts a `Pipe` into the ASGI scope as the extension `tapeline.pipe`.

A stream of server-sent events (`EventPipe`, put there by `door.DoorProtocol`) is the same in HTTP: one event is `data: …` and an
empty line (WHATWG HTML, 9.2), in a chunk of its own (RFC 9112, 7.1), or without one where HTTP/1.0 ends an answer by closing.
"""

import asyncio
import struct
from collections.abc import Callable
from typing import Any, Protocol, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

EXTENSION = "tapeline.pipe"
HIGH_WATER = 64 * 1024
Framing = Callable[[bytes], bytes]


def text_frame(payload: bytes) -> bytes:
    n = len(payload)
    if n < 126:
        return struct.pack(">BB", 0x81, n) + payload
    if n < 65536:
        return struct.pack(">BBH", 0x81, 126, n) + payload
    return struct.pack(">BBQ", 0x81, 127, n) + payload


def event_chunk(payload: bytes) -> bytes:
    return chunk(event_lines(payload))


def event_lines(payload: bytes) -> bytes:
    """JSON has no line end outside of its escapes, so one line it is."""
    return b"data: %s\n\n" % payload


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body)


def plain(body: bytes) -> bytes:
    return body


class Outlet(Protocol):
    """What the hub writes into. `framing` makes a frame of a message, `sent` counts the bytes that were queued."""

    framing: Framing
    sent: int

    def send(self, frames: bytes) -> None: ...

    def backlog(self) -> int: ...

    def abort(self) -> None: ...

    def end(self) -> None:
        """The server goes."""
        ...


class Pipe:
    framing: Framing = staticmethod(text_frame)

    def __init__(self, protocol: WebSocketsSansIOProtocol) -> None:
        self._protocol = protocol
        self.sent = 0
        protocol.transport.set_write_buffer_limits(high=HIGH_WATER)

    def send(self, frames: bytes) -> None:
        """Queue whole frames; nothing happens on a connection that is closing."""
        p = self._protocol
        if p.handshake_complete and not p.close_sent and not p.transport.is_closing():
            p.transport.write(frames)
            self.sent += len(frames)

    def backlog(self) -> int:
        """Bytes that the kernel has not taken yet: beyond its own buffer, what the viewer is behind."""
        return self._protocol.transport.get_write_buffer_size()

    async def drained(self) -> None:
        """Wait until the backlog is small again, or the connection lost."""
        await self._protocol.writable.wait()

    def abort(self) -> None:
        self._protocol.transport.abort()

    def end(self) -> None:
        """Nothing: uvicorn says goodbye to its WebSockets by itself."""


class Stretched(Protocol):
    """The HTTP connection under a stream: `door.DoorProtocol`."""

    transport: asyncio.Transport

    def stretch(self) -> None:
        """From now on the answer may take as long as it likes."""
        ...


class EventPipe:
    """Chunks past h11, whose writer keeps no state between two of them. Begins with `open`, once the head of the answer is out."""

    def __init__(self, protocol: Stretched, http_version: str) -> None:
        self._protocol = protocol
        self._chunked = http_version != "1.0"
        self.framing: Framing = event_chunk if self._chunked else event_lines
        self.frame: Framing = chunk if self._chunked else plain
        self.sent = 0

    def open(self) -> None:
        self._protocol.stretch()

    def send(self, frames: bytes) -> None:
        if not self._protocol.transport.is_closing():
            self._protocol.transport.write(frames)
            self.sent += len(frames)

    def backlog(self) -> int:
        return self._protocol.transport.get_write_buffer_size()

    def abort(self) -> None:
        self._protocol.transport.abort()

    def end(self) -> None:
        """The last chunk, and the connection with it."""
        if self._chunked:
            self.send(b"0\r\n\r\n")
        self._protocol.transport.close()


class ViewerProtocol(WebSocketsSansIOProtocol):
    async def run_asgi(self) -> None:
        scope = cast(dict[str, Any], self.scope)
        scope["extensions"][EXTENSION] = Pipe(self)
        await super().run_asgi()

    def handle_ping(self) -> None:
        """No pong for one who reads nothing: his pings would fill our memory."""
        if self.transport.get_write_buffer_size() < HIGH_WATER:
            super().handle_ping()
        else:
            self.conn.data_to_send()

    def shutdown(self) -> None:
        """A viewer that is already saying goodbye, and whose socket is not closed yet, gets no second goodbye: uvicorn would
        raise InvalidState, and the server would not stop."""
        if self.handshake_complete and self.conn.state is not State.OPEN:
            self.stop_keepalive()
            self.transport.close()
            return
        super().shutdown()


def abort_all(connections: set[Any]) -> None:
    """Cut what is still connected, HTTP or WebSocket: the last step of stopping."""
    for connection in list(connections):
        transport: asyncio.Transport | None = connection.transport
        if transport is not None:
            transport.abort()
