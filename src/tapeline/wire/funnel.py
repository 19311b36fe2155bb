"""Frames to the one who handles them, at most 256 a call and in order of receipt, without starving the loop.

What a socket read gives is handed on before the callback returns, so a lone frame waits for nothing. Where one read gives more,
the rest is queued and handed on 256 frames an iteration of the loop, so that other connections, timers and viewers get
their turn; meanwhile the connections that pushed stop reading, so what waits is bounded by one read buffer a connection, and
the venue's TCP window holds the rest. While something waits, everything pushed queues behind it: receive times never decrease.

That order holds between connections that share one funnel. Give all of them the same `Funnel` as their `deliver`.

A handler that raises is a fault of ours and not of the network: it is kept in `failed`, nothing more is handed on (counted in
`lost`), and every supervisor's `run()` raises it.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from tapeline.frames import Frame

Deliver = Callable[[list[Frame]], None]
BATCH = 256


class Funnel:
    def __init__(self, deliver: Deliver) -> None:
        self.failed: BaseException | None = None
        self.lost = 0
        self.most_waiting = 0
        self._deliver = deliver
        self._queue: deque[Frame] = deque()
        self._handing = False
        self._scheduled = False
        self._on_empty: list[Callable[[], None]] = []
        self._on_failed: list[Callable[[], None]] = []

    @classmethod
    def around(cls, deliver: Deliver) -> "Funnel":
        """`deliver` itself where it is a funnel."""
        return deliver if isinstance(deliver, Funnel) else cls(deliver)

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def __call__(self, frames: list[Frame]) -> None:
        """Hand `frames` on, now or in turn."""
        if self._queue or self._handing:
            self._wait(frames)
        elif len(frames) <= BATCH:
            self._hand(frames)
        else:
            self._wait(frames[BATCH:])
            self._hand(frames[:BATCH])

    def when_empty(self, function: Callable[[], None]) -> None:
        """Call `function` once nothing waits any more."""
        self._on_empty.append(function)

    def when_failed(self, function: Callable[[], None]) -> None:
        """Call `function` once the handler has failed; at once where it has already."""
        if self.failed is not None:
            function()
        self._on_failed.append(function)

    def flush(self) -> None:
        """Hand on all that waits, now: for the end of a session."""
        while self._queue and not self._handing:
            self._hand_some()
        self._empty()

    def _wait(self, frames: list[Frame]) -> None:
        self._queue.extend(frames)
        self.most_waiting = max(self.most_waiting, len(self._queue))
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._drain)

    def _drain(self) -> None:
        self._scheduled = False
        self._hand_some()
        if self._queue:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._drain)
        else:
            self._empty()

    def _hand_some(self) -> None:
        queue = self._queue
        if queue:
            self._hand([queue.popleft() for _ in range(min(BATCH, len(queue)))])

    def _hand(self, frames: list[Frame]) -> None:
        if self.failed is not None:
            self.lost += len(frames)
            return
        self._handing = True
        try:
            self._deliver(frames)
        except Exception as error:  # noqa: BLE001  kept, counted and raised by run(): see the header
            self.failed = error
            self.lost += len(frames)
            for function in self._on_failed:
                function()
        finally:
            self._handing = False

    def _empty(self) -> None:
        waiting, self._on_empty = self._on_empty, []
        for function in waiting:
            function()
