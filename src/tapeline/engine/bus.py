"""The bus: one producer, the collector or the replay; any number of consumers, each with its own bounded queue and policy.

A batch is all the events of a run of frames. It carries the seq of its last frame, so that a sink knows the tape position it
may commit; a batch without events still moves the position, and joins the one before it in the queue. The queue's capacity counts
events, and a policy says what happens when it is full:

    "drop"      the batch is dropped and counted; the next batch that gets through is preceded by a `Missed` marker
    "conflate"  the oldest batches are dropped and counted, so that the newest are kept; a marker stands in their place

Nothing blocks the producer: rule 4. A sink that cannot miss anything catches up from the tape at the marker.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Literal

import msgspec

from tapeline.events import Event

Policy = Literal["drop", "conflate"]
Turn = Literal["hold", "forget", "reached"]
"""Of a replay that is sought: nothing is to be shown any more; what was kept is of no more use, and what comes now leads to another
instant; it is there.
"""


class Batch(msgspec.Struct, frozen=True):
    """Events of the frames up to and including `seq` of `session`, in order. `first_seq`: the first frame it covers."""

    session: str
    first_seq: int
    seq: int
    events: list[Event]


class Missed(msgspec.Struct, frozen=True):
    """`events` events of the frames `first_seq`..`seq` were dropped for this consumer."""

    session: str
    first_seq: int
    seq: int
    events: int


class Subscription:
    """One consumer's queue. Iterate it; it ends when the bus closes and the queue is empty."""

    def __init__(self, name: str, capacity: int, policy: Policy) -> None:
        self.name, self.capacity, self.policy = name, capacity, policy
        self.depth = 0  # events waiting
        self.delivered = 0
        self.dropped = 0
        self._queue: deque[Batch | Missed] = deque()
        self._missed: Missed | None = None
        self._wake = asyncio.Event()
        self._closed = False

    def put(self, batch: Batch) -> None:
        size = len(batch.events)
        full = size and self.depth + size > self.capacity
        behind = not size and self._missed is not None  # an empty batch joins what was dropped, lest markers pile up
        if self._queue and (full or behind):
            if self.policy == "drop":
                self._miss(batch)
                return
            self._make_room(size)
        if self._missed is not None:
            self._queue.append(self._missed)
            self._missed = None
        last = self._queue[-1] if self._queue else None
        if not size and isinstance(last, Batch) and last.session == batch.session:
            self._queue[-1] = Batch(last.session, last.first_seq, batch.seq, last.events)
        else:
            self._queue.append(batch)
        self.depth += size
        self._wake.set()

    def _miss(self, batch: Batch) -> None:
        m = self._missed
        self.dropped += len(batch.events)
        self._missed = (
            Missed(batch.session, batch.first_seq, batch.seq, len(batch.events))
            if m is None
            else Missed(m.session, m.first_seq, batch.seq, m.events + len(batch.events))
        )

    def _make_room(self, size: int) -> None:
        lost: Missed | None = None
        while self._queue and self.depth + size > self.capacity:
            old = self._queue.popleft()
            n = len(old.events) if isinstance(old, Batch) else old.events
            if isinstance(old, Batch):
                self.depth -= n
                self.dropped += n
            lost = Missed(
                old.session,
                old.first_seq if lost is None else lost.first_seq,
                old.seq,
                n + (0 if lost is None else lost.events),
            )
        if lost is not None:
            self._queue.appendleft(lost)

    def waiting(self) -> list[Batch | Missed]:
        """What is in the queue now, oldest first, and stays in it; a marker at the end where the newest did not fit."""
        return [*self._queue, *([] if self._missed is None else [self._missed])]

    def close(self) -> None:
        if self._missed is not None:
            self._queue.append(self._missed)
            self._missed = None
        self._closed = True
        self._wake.set()

    def __aiter__(self) -> AsyncIterator[Batch | Missed]:
        return self

    async def __anext__(self) -> Batch | Missed:
        while not self._queue:
            if self._closed:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        item = self._queue.popleft()
        if isinstance(item, Batch):
            self.depth -= len(item.events)
            self.delivered += len(item.events)
        return item


class Bus:
    def __init__(self) -> None:
        self.subscriptions: list[Subscription] = []
        self.taps: list[Callable[[Batch], None]] = []
        self.turns: list[Callable[[Turn], None]] = []  # told, on the loop, by a replay that is sought
        self.published = 0
        self._closed = False

    def subscribe(self, name: str, capacity: int = 100_000, policy: Policy = "drop") -> Subscription:
        subscription = Subscription(name, capacity, policy)
        if self._closed:
            subscription.close()
        self.subscriptions.append(subscription)
        return subscription

    def tap(self, function: Callable[[Batch], None]) -> None:
        """Call `function` with each batch at once, on the loop: for in-memory views that must be quick and never fail."""
        self.taps.append(function)

    def show(self, batch: Batch) -> None:
        """To the taps only: what a replay plays on its way to an instant."""
        for function in self.taps:
            function(batch)

    def unsubscribe(self, subscription: Subscription) -> None:
        subscription.close()
        if subscription in self.subscriptions:
            self.subscriptions.remove(subscription)

    def publish(self, batch: Batch) -> None:
        self.published += len(batch.events)
        for function in self.taps:
            function(batch)
        for subscription in self.subscriptions:
            subscription.put(batch)

    def close(self) -> None:
        self._closed = True
        for subscription in self.subscriptions:
            subscription.close()
