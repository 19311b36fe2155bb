"""Streams that are begun anew on an open connection: ended, and once the venue has answered, begun again.

Where books begin on the socket, that is how a new snapshot is asked for. Wishes that are due together go out together, one round
after the other; a stream that is wished for already is not wished for twice, so at most one wish waits a stream. A venue that
answers nothing gets a moment. A wish that finds no connection up is dropped: the next one begins every stream anyway.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from tapeline.clock import SECOND, Clock
from tapeline.plans import Dialect, Stream
from tapeline.wire.connection import Connection

ANSWER_SECONDS = 2.0  # for the answer to the end of a stream, before it is begun all the same
MOMENT_SECONDS = 0.2  # between end and beginning where a venue answers nothing
Live = Callable[[Sequence[Stream]], tuple[Connection, list[Stream]] | None]


class Anew:
    """`live(streams)` gives the connection that carries them now, and which of them are still to be carried."""

    def __init__(self, live: Live, dialect: Dialect, clock: Clock) -> None:
        self._live, self._dialect, self._clock = live, dialect, clock
        self._wanted: dict[str, tuple[int, Stream]] = {}
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def want(self, stream: Stream, not_before: int) -> None:
        """`not_before`: ns UTC."""
        self._wanted.setdefault(stream.name, (not_before, stream))
        self._woken.set()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work(), name="anew")

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _work(self) -> None:
        while self._wanted:
            self._woken.clear()
            wait = min(not_before for not_before, _ in self._wanted.values()) - self._clock.now()
            if wait > 0:
                await _woken(self._woken, wait / SECOND)
                continue
            now = self._clock.now()
            due = [stream for not_before, stream in self._wanted.values() if not_before <= now]
            for stream in due:
                del self._wanted[stream.name]
            await self._round(due)

    async def _round(self, due: list[Stream]) -> None:
        if (found := self._live(due)) is None or not found[1]:
            return
        connection, streams = found
        leave = self._dialect.unsubscribe(streams, connection.next_number)
        acks = self._dialect.acks(leave)
        saying = connection.say(leave, acks)
        ends: set[asyncio.Future[Any]] = {saying.answered, connection.closed}
        await asyncio.wait(ends, timeout=ANSWER_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not acks:
            await asyncio.wait({connection.closed}, timeout=MOMENT_SECONDS)
        again = self._live(streams)
        if connection.closed.done() or again is None or not again[1]:
            return
        join = self._dialect.subscribe(again[1], connection.next_number)
        connection.say(join, self._dialect.acks(join))


async def _woken(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
