"""Venues that misbehave: raw WebSocket servers over loopback, and what a test needs to watch a supervisor.

The frames are built here by hand, byte by byte (RFC 6455 §5.2), so that nothing of what is tested builds them.
"""

import asyncio
import base64
import hashlib
import itertools
import random
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from tapeline.clock import LiveClock
from tapeline.config import WireSettings
from tapeline.frames import Closed, Frame, FrameKind, Opened, unpack_closed, unpack_opened
from tapeline.plans import ConnectionPlan, Dialect, Limits, Stream
from tapeline.wire.budget import ConnectBudget
from tapeline.wire.supervisor import Supervisor
from tests.waiting import PATIENCE

LIMITS = Limits(messages_per_second=1000, streams_per_connection=200, connects_per_5_minutes=300, http_weight_per_minute=6000)
QUICK = WireSettings(connect_seconds=10, silence_seconds=30, backoff_first=0.01, backoff_most=0.05, stable_seconds=60)


def ws_frame(opcode: int, payload: bytes, *, fin: bool = True, rsv1: bool = False) -> bytes:
    head = bytes([(0x80 if fin else 0) | (0x40 if rsv1 else 0) | opcode])
    size = len(payload)
    if size < 126:
        return head + bytes([size]) + payload
    return head + (struct.pack("!BH", 126, size) if size < 65536 else struct.pack("!BQ", 127, size)) + payload


def text(data: str | bytes, **bits: bool) -> bytes:
    return ws_frame(1, data.encode() if isinstance(data, str) else data, **bits)


def close(code: int | None, reason: str = "") -> bytes:
    return ws_frame(8, b"" if code is None else struct.pack("!H", code) + reason.encode())


class Peer:
    """One accepted connection: `send` raw bytes, `read` the client's frames as (opcode, payload)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
        self.reader, self.writer, self.request = reader, writer, request

    def send(self, *frames: bytes) -> None:
        self.writer.write(b"".join(frames))

    async def read(self) -> tuple[int, bytes]:
        first, second = await self.reader.readexactly(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
        assert second & 0x80, "a client masks what it sends"
        mask = await self.reader.readexactly(4)
        masked = await self.reader.readexactly(size)
        return first & 0x0F, bytes(b ^ m for b, m in zip(masked, itertools.cycle(mask), strict=False))

    async def until_gone(self) -> None:
        """Swallow all the client sends until it says goodbye, and answer that."""
        while True:
            opcode, payload = await self.read()
            if opcode == 8:
                self.send(ws_frame(8, payload))
                return


def accept(request: bytes, extra: str = "") -> bytes:
    key = next(
        line.split(b":", 1)[1].strip() for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")
    )
    proof = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
    return f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {proof}\r\n{extra}\r\n".encode()


Script = Callable[[Peer], Awaitable[None]]


class Venue:
    """A listening server; `peers` counts connections, `scripts[n]` plays for the n-th (the last for all after)."""

    def __init__(self, scripts: list[Script | bytes], extra: str) -> None:
        self.scripts, self.extra = scripts, extra
        self.peers = 0
        self.port = 0
        self.scheme = "ws"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/ws"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self.scripts[min(self.peers, len(self.scripts) - 1)]
        self.peers += 1
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            if isinstance(script, bytes):
                writer.write(script)
            else:
                writer.write(accept(request, self.extra))
                await script(Peer(reader, writer, request))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def venue(*scripts: Script | bytes, extra: str = "", ssl: object = None) -> AsyncIterator[Venue]:
    """A script is a coroutine function for an accepted connection, or the raw HTTP answer to refuse with."""
    v = Venue(list(scripts), extra)
    tasks: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(v.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(begin, "127.0.0.1", 0, ssl=ssl)
    v.port = server.sockets[0].getsockname()[1]
    v.scheme = "wss" if ssl else "ws"
    try:
        yield v
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def plan(
    url: str, *, hello: tuple[bytes, ...] = (), acks: int = 0, limits: Limits = LIMITS, client_ping: bytes | None = None
) -> ConnectionPlan:
    return ConnectionPlan(
        venue="binance",
        url=url,
        streams=(Stream("btcusdt@trade", "trades", "binance:BTC-USDT"),),
        hello=hello,
        acks=acks,
        limits=limits,
        client_ping=client_ping,
    )


class Toy:
    """A language of two words: `+3 a b` begins streams, `-4 a b` ends them; 3 and 4 are the messages' numbers."""

    def __init__(self, *, answers: bool = True) -> None:
        self.answers = answers

    def subscribe(self, streams: Sequence[Stream], number: int) -> tuple[bytes, ...]:
        return (f"+{number} {' '.join(s.name for s in streams)}".encode(),)

    def unsubscribe(self, streams: Sequence[Stream], number: int) -> tuple[bytes, ...]:
        return (f"-{number} {' '.join(s.name for s in streams)}".encode(),)

    def acks(self, messages: Sequence[bytes]) -> int:
        return len(messages) if self.answers else 0

    def is_ack(self, data: bytes) -> bool:
        return b'"result"' in data


class Watch:
    """Keeps every frame and lets a test wait for some."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.calls: list[int] = []
        self.then: Callable[[list[Frame]], None] = lambda _: None  # acts on what came, as a collector does
        self._changed = asyncio.Event()

    def __call__(self, frames: list[Frame]) -> None:
        self.frames.extend(frames)
        self.calls.append(len(frames))
        self.then(frames)
        self._changed.set()

    def of(self, *kinds: FrameKind) -> list[Frame]:
        return [f for f in self.frames if f.kind in kinds]

    def data(self, *kinds: FrameKind) -> list[bytes]:
        return [f.data for f in self.of(*(kinds or (FrameKind.RECV,)))]

    def closed(self) -> list[Closed]:
        return [unpack_closed(f.data) for f in self.of(FrameKind.CLOSED)]

    def opened(self) -> list[Opened]:
        return [unpack_opened(f.data) for f in self.of(FrameKind.OPENED)]

    async def until(self, condition: Callable[[], object], seconds: float = PATIENCE) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def supervised(
    p: ConnectionPlan,
    settings: WireSettings = QUICK,
    *,
    grace: float = 0.05,
    dialect: Dialect | None = None,
    alone: bool = False,
) -> AsyncIterator[tuple[Supervisor, Watch]]:
    watch = Watch()
    supervisor = Supervisor(
        p,
        settings=settings,
        clock=LiveClock(),
        deliver=watch,
        next_conn=itertools.count(1).__next__,
        dialect=dialect or Toy(),
        budget=ConnectBudget(p.limits.connects_per_5_minutes),
        rng=random.Random(7),
        grace=grace,
        alone=alone,
    )
    task = asyncio.ensure_future(supervisor.run())
    try:
        yield supervisor, watch
    finally:
        await supervisor.stop()
        await task
    whole_lives(watch.frames)


def whole_lives(frames: list[Frame]) -> None:
    """What holds whatever happens: each connection begins with OPENED, ends with its one CLOSED, and times do not decrease."""
    assert [f.ts_recv for f in frames] == sorted(f.ts_recv for f in frames)
    for conn in {f.conn for f in frames if f.conn}:
        kinds = [f.kind for f in frames if f.conn == conn]
        assert kinds[0] == FrameKind.OPENED
        assert kinds[-1] == FrameKind.CLOSED
        assert kinds.count(FrameKind.OPENED) == kinds.count(FrameKind.CLOSED) == 1
