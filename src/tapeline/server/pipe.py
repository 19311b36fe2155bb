"""The way from the hub to one viewer: WebSocket frames, made once, written to every viewer that wants them.

A server's WebSocket frames are unmasked and, without compression, the same bytes for everyone. So the hub frames a message once
and hands the bytes to each connection's transport, past the layers that would encode it anew for each viewer (RFC 6455, 5.2:
one text frame, FIN set, length in 7, 16 or 64 bits). Whole frames only, so they cannot interleave with those of uvicorn.

Uvicorn offers no way to ask how far behind a peer is, nor to cut off one that reads nothing (its `close` waits for ever for a
buffer that never drains). `ViewerProtocol` therefore puts a `Pipe` into the ASGI scope as the extension `tapeline.pipe`.
"""

import asyncio
import struct
from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

EXTENSION = "tapeline.pipe"
HIGH_WATER = 64 * 1024


def text_frame(payload: bytes) -> bytes:
    n = len(payload)
    if n < 126:
        return struct.pack(">BB", 0x81, n) + payload
    if n < 65536:
        return struct.pack(">BBH", 0x81, 126, n) + payload
    return struct.pack(">BBQ", 0x81, 127, n) + payload


class Pipe:
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
