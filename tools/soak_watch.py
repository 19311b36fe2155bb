"""What a soak looks at while it runs: the process itself, the queues inside it, and two viewers of its page.

The process is read from `/proc` where there is one (Linux); elsewhere memory and descriptors are not known and not judged. Peaks
are kept for each quarter of the run, so that what grows can be told from what merely swings: caches fill and sinks gather during
the first quarters, so the last quarter is compared with the second.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

SAMPLE_SECONDS = 0.5
CHANNELS = ("trades", "quotes", "bars", "metrics", "status")
PROC = Path("/proc/self")


def memory() -> int:
    """Resident bytes; 0 where not known."""
    try:
        return int((PROC / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def descriptors() -> int:
    """Open file descriptors; 0 where not known."""
    try:
        return sum(1 for _ in (PROC / "fd").iterdir()) - 1  # less the one that lists
    except OSError:
        return 0


POOLS = ("asyncio_", "uvloop_")  # of the event loop, kept for the next call


def threads() -> int:
    """Those at work."""
    return sum(not t.name.startswith(POOLS) for t in threading.enumerate())


def measure(status: dict[str, Any], queues: list[int]) -> dict[str, float]:
    sinks, tape = status["sinks"], status["tape"]
    return {
        "memory (MB)": memory() / 1e6,
        "descriptors": descriptors(),
        "tasks": len(asyncio.all_tasks()),
        "threads": threads(),
        "bus depth (events)": max(queues, default=0),
        "sink depth (events)": max((s["depth"] for s in sinks), default=0),
        "sink lag (s)": max((s["lag_seconds"] for s in sinks), default=0.0),
        "tape lag (frames)": tape["lag_frames"],
        "latency (ms)": status["latency_ms"] or 0.0,
    }


class Watch:
    """Peaks by name, one for each quarter of `seconds`. `trouble` are words of tape and sinks that are no good news."""

    def __init__(self, seconds: float, status: Callable[[], dict[str, Any]], queues: Callable[[], list[int]]) -> None:
        self.seconds, self._status, self._queues = seconds, status, queues
        self.peaks: dict[str, list[float]] = {}
        self.trouble: set[str] = set()
        self.samples = 0

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            due = loop.time() + SAMPLE_SECONDS
            await asyncio.sleep(SAMPLE_SECONDS)
            late = max(0.0, loop.time() - due)
            quarter = min(3, int(4 * (loop.time() - began) / self.seconds))
            self._take(quarter, late)

    def _take(self, quarter: int, late: float) -> None:
        status = self._status()
        self.samples += 1
        for name, value in {**measure(status, self._queues()), "loop held up (ms)": late * 1000}.items():
            peaks = self.peaks.setdefault(name, [0.0] * 4)
            peaks[quarter] = max(peaks[quarter], value)
        if status["tape"]["state"] != "recording":
            self.trouble.add(f"the tape was {status['tape']['state']}: {status['tape']['reason']}")
        self.trouble |= {f"{s['name']}: {s['error']}" for s in status["sinks"] if s["error"]}


class Viewer:
    """Subscribes to all that a page does, again after each end; `pause` seconds after each message make it a slow one."""

    def __init__(self, address: str, books: list[str], pause: float = 0.0) -> None:
        self._url = address.replace("http", "ws", 1) + "/api/v1/ws"
        self._books, self._pause = books, pause
        self.messages = self.missed = self.opened = 0
        self.errors: set[str] = set()

    async def run(self) -> None:
        while True:
            with suppress(OSError, WebSocketException, TimeoutError):
                async with connect(self._url, max_size=None, max_queue=4, close_timeout=0.5) as socket:
                    self.opened += 1
                    try:
                        await self._watch(socket)
                    except asyncio.CancelledError:
                        socket.transport.abort()  # in Python 3.11.2 no time limit ends the goodbye of a cancelled task
                        raise
            await asyncio.sleep(0.5)

    async def _watch(self, socket: ClientConnection) -> None:
        wanted: list[dict[str, Any]] = [
            {"channel": channel} | ({} if channel == "status" else {"instruments": ["*"]}) for channel in CHANNELS
        ]
        wanted += [{"channel": "book", "instruments": [name], "depth": 25} for name in self._books]
        for number, params in enumerate(wanted):
            await socket.send(msgspec.json.encode({"id": number, "method": "subscribe", "params": params}).decode())
        async for text in socket:
            message = msgspec.json.decode(text)
            self.messages += 1
            if "error" in message:
                self.errors.add(message["error"]["message"])
            if message.get("channel") == "trades":
                self.missed += message["missed"]
            if self._pause:
                await asyncio.sleep(self._pause)
