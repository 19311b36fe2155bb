"""HTTP connections, bounded in number and in patience.

Uvicorn bounds how many requests it answers at a time, not how many connections it holds: whoever only connects, sends a request byte
by byte, or reads no answer stays as long as he likes. Some thousand of those take every file descriptor of the process, and the tape
cannot open its next segment. So here

    the head of a request, and what it sends behind it, must come within `REQUEST_SECONDS` of its first byte (or of connecting)
    an answer must be read within `ANSWER_SECONDS` of its last byte; but a stream of events has none, and the hub minds its reader
    at `most_connections()` requests are answered 503, and past some more connections are cut as they come

What is cut is not logged one by one: a broken program would fill the log, and it says nothing about the feed.
"""

import asyncio
import logging
import sys
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from tapeline.server.access.guard import BUSY
from tapeline.server.access.policy import PLAIN
from tapeline.server.live.pipe import EXTENSION, EventPipe

REQUEST_SECONDS = 10.0
ANSWER_SECONDS = 30.0
MOST_CONNECTIONS = 1000
SPARE = 50
"""Connections past the most that still get an answer, 503."""
_NOISE = (
    "Invalid HTTP request",
    "Unsupported upgrade request",
    "Invalid UTF-8 sequence",
    "ASGI callable returned without completing handshake",
)


def most_connections() -> int:
    """At most half of the files that this process may open: the other half is for tape, sinks and venues."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return MOST_CONNECTIONS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else max(8, min(MOST_CONNECTIONS, soft // 2 - SPARE))


class Quiet(logging.Filter):
    """Lets through what is a fault of ours, and not what a client did."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith(_NOISE)


class DoorProtocol(H11Protocol):
    _deadline: asyncio.TimerHandle | None = None
    _owed = 0.0
    _stretched = False

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._inner, self.app = self.app, self._with_pipe
        self._most, self.limit_concurrency = self.limit_concurrency, None

    async def _with_pipe(self, scope: Any, receive: Any, send: Any) -> None:
        """The application, with the way past h11 that a stream of events needs. Where there are too many connections it is told so,
        and answers as it answers everything: uvicorn's own 503 has none of our headers.
        """
        if self._most is not None and (len(self.connections) >= self._most or len(self.tasks) > self._most):
            scope[BUSY] = True
        scope.setdefault("extensions", {})[EXTENSION] = EventPipe(self, scope["http_version"])
        await self._inner(scope, receive, send)

    def stretch(self) -> None:
        self._stretched = True
        self._expect()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self._most is not None and len(self.connections) > self._most + SPARE:
            transport.abort()
        self._expect()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP, or has too long a head (431)."""
        status = getattr(sys.exc_info()[1], "error_status_hint", 400)
        body = f"{status}: {msg}\n".encode()
        head = {**PLAIN, "content-type": "text/plain; charset=utf-8", "content-length": str(len(body)), "connection": "close"}
        headers = [(name.encode(), value.encode()) for name, value in head.items()]
        for event in (h11.Response(status_code=status, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._expect()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._expect()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._expect()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._expect()

    def _patience(self) -> float:
        """Seconds that the client has for what it owes us now; 0 where that is nothing, or somebody else looks after it."""
        if self not in self.connections:
            return 0.0  # it is over, or became a WebSocket
        if self.transport.is_closing():
            return ANSWER_SECONDS
        if self._stretched:
            return 0.0
        if self.timeout_keep_alive_task is not None:
            return 0.0  # between two requests: uvicorn has a time for that
        return REQUEST_SECONDS if self.conn.their_state in (h11.IDLE, h11.SEND_BODY) else ANSWER_SECONDS

    def _expect(self) -> None:
        """Begin a deadline where something new is owed; more bytes of the same do not move it."""
        owed = self._patience()
        if owed == self._owed:
            return
        self._owed = owed
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(owed, self._cut) if owed else None

    def _cut(self) -> None:
        if self in self.connections:
            self.transport.abort()
