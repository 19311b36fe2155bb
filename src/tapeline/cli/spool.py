"""Rows on their way to a file: gathered on the event loop, written by a thread, so that a slow disk never holds up the feed.

Bounded: past `MOST` waiting rows the newest are left out and counted. A write that fails is tried again with what waits, and said
once; only `close` raises it. Where a reader has gone away (`| head`) there is nothing to try again: the session is ended.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from tapeline.cli.live import say
from tapeline.events import Event
from tapeline.sinks.worker import Worker

MOST = 500_000
EVERY = 0.25


class Spool:
    """`write` is called in the thread, with whole rows in order; it writes all of them or raises OSError and wrote none."""

    def __init__(self, name: str, write: Callable[[Sequence[Event]], None]) -> None:
        self.name, self.missed = name, 0
        self._write, self._waiting = write, list[Event]()
        self._worker = Worker(f"spool-{name}")
        self._task: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._trouble = False

    def put(self, event: Event) -> None:
        if len(self._waiting) < MOST:
            self._waiting.append(event)
        else:
            self.missed += 1

    def start(self, over: asyncio.Event) -> None:
        """`over` is set where going on makes no sense."""
        self._task = asyncio.create_task(self._run(over), name=f"spool-{self.name}")

    async def _run(self, over: asyncio.Event) -> None:
        while not self._closing.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await self._closing.wait()
                    return
            try:
                await self._flush()
            except BrokenPipeError:
                over.set()
                return
            except OSError as e:
                if not self._trouble:
                    say(f"{self.name} cannot be written ({e.strerror or e}); tried again")
                self._trouble = True
            else:
                self._trouble = False

    async def _flush(self) -> None:
        if rows := self._waiting[:]:
            await self._worker.call(lambda: self._write(rows))
            del self._waiting[: len(rows)]

    async def close(self) -> None:
        """Write what is left. Raises OSError where it cannot."""
        self._closing.set()
        if self._task is not None:
            await self._task
        try:
            await self._flush()
        finally:
            self._worker.stop()
