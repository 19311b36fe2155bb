"""The runner: from the bus to one sink, without ever holding up the feed.

    queue ──▶ gather ──▶ every few seconds or so many events: wait until the tape is durable ──▶ commit, in a thread

Three things come from the queue, and one rule decides them all: a commit must follow the sink's position, frame by frame.

    a batch that begins right after what is gathered       is gathered
    a batch that ends at or before the position            is skipped: it is in the sink already
    a batch that begins later, or straddles the position,  the sink catches up from the tape: the session is replayed from
    or a `Missed` marker                                   the last state ahead of the position, and what follows is committed

A sink on a server can lose what it had (Redis flushed, a stream deleted): its position goes back. What waits is let go then, and the
sink catches up from where it stands, up to what waited.

A commit that fails is tried again, after 1 s to 30 s, for as long as the program runs. Meanwhile the queue fills up,
overflows into a `Missed`, and the tape gives back what it dropped: memory stays bounded, nothing is lost. Only where the tape does
not have the frames either (it could not be written) is the hole accepted, after three attempts, and counted as `dropped`.

A sink holds what the tape holds. Events of frames that are lost to the tape (`recorded` says no) are not committed although they are
here: whoever verified, repaired or replayed would never find them again. They are counted as `dropped`, too.

At the end, `close` commits what is there within its deadline. The rest is on the tape, and `recovery.repair` of the next start
finds it.
"""

import asyncio
import concurrent.futures
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress

import structlog

from tapeline.clock import SECOND, Clock
from tapeline.config import SinkSettings
from tapeline.engine.bus import Batch, Missed, Subscription
from tapeline.errors import IntegrityError, TapeError
from tapeline.sinks.base import Sink, SinkStats
from tapeline.sinks.feed import CatchUp, Gathered, commit_all
from tapeline.sinks.registry import pace
from tapeline.sinks.worker import Worker

log = structlog.get_logger("tapeline.sinks")
BACKOFF_FIRST, BACKOFF_MOST = 1.0, 30.0
SHORT_TAPE_TRIES = 3
YIELD_EVERY = 256
LOST, HOLED = -1, -2


def _everything(_: int, __: int) -> bool:
    return True


class _Found:
    """What the tape gives of the frames up to `upto`, and how many events that is, however often it is asked."""

    def __init__(self, upto: int) -> None:
        self.events, self._counted, self._upto = 0, -1, upto

    def counted(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        for batch in batches:
            if batch.first_seq > self._upto:
                return
            if batch.seq > self._counted:
                self.events, self._counted = self.events + len(batch.events), batch.seq
            yield batch


class SinkRunner:
    """`synced(seq)` returns once the tape is durable up to frame `seq`; then `recorded(first, last)` says whether it has all of
    these frames. The sink is open already; `close` closes it.
    """

    def __init__(
        self,
        sink: Sink,
        subscription: Subscription,
        *,
        settings: SinkSettings,
        clock: Clock,
        synced: Callable[[int], Awaitable[None]],
        catch_up: CatchUp,
        recorded: Callable[[int, int], bool] = _everything,
        backoff_first: float = BACKOFF_FIRST,
    ) -> None:
        self._sink, self._subscription, self._clock = sink, subscription, clock
        self._synced, self._recorded, self._catch_up_source = synced, recorded, catch_up
        self._pace = pace(sink.name, settings)
        self._backoff_first = backoff_first
        self._worker = Worker(f"sink-{sink.name}")
        self._gathered = Gathered("", -1)
        self._oldest: int | None = None  # clock time since which something waits here
        self._due: float | None = None  # loop time of the next commit
        self._held: Batch | Missed | None = None  # taken from the queue, not gathered yet
        self._closing = asyncio.Event()
        self._whole = True  # nothing had to be left to the next start
        self._holed = False  # what came last is not on the tape
        self._task: asyncio.Task[None] | None = None
        self._stats = SinkStats(sink.name, due_seconds=self._pace.seconds)

    @property
    def name(self) -> str:
        return self._sink.name

    def tail(self) -> tuple[list[Batch], bool]:
        """What has come and is not known to be committed, oldest first, up to what is missing; whether that is all of it.

        To be called on the loop, and quick: events are not copied. While a commit is under way its events are in here, and may be
        in the sink as well: whoever joins both asks for this first, and leaves out what ends at or before the sink's position then.
        """
        gathered, found = self._gathered, list[Batch]()
        if gathered.waiting:
            found.append(Batch(gathered.session, gathered.start + 1, gathered.seq, gathered.events.copy()))
        held = [] if self._held is None else [self._held]
        for item in (*held, *self._subscription.waiting()):
            if isinstance(item, Missed):
                return found, False
            found.append(item)
        return found, True

    @property
    def stats(self) -> SinkStats:
        s = self._stats
        s.depth = self._subscription.depth + len(self._gathered.events)
        s.missed = self._subscription.dropped
        waited = 0.0 if self._oldest is None else (self._clock.now() - self._oldest) / SECOND
        s.lag_seconds = max(0.0, waited - self._pace.seconds)  # until then it waits because it is to
        return s

    def start(self) -> None:
        self._task = asyncio.create_task(self.run(), name=f"sink-{self._sink.name}")
        self._task.add_done_callback(self._ended)

    async def close(self, seconds: float = 1.0, *, patience: float = 0.0, hurry: asyncio.Event | None = None) -> bool:
        """Commit what is there, close the sink; False where the deadline or an error came first.

        Nothing more is taken from the bus. What is left over is on the tape. `patience`: so many seconds it first goes on as if
        nothing had ended, until all is committed, it is in trouble, or `hurry` is set.
        """
        if self._closing.is_set():
            return self._whole
        self._subscription.close()
        await self._patiently(patience, hurry or asyncio.Event())
        self._closing.set()
        try:
            async with asyncio.timeout(seconds):
                if self._task is not None:
                    await asyncio.wait([self._task])
                await self._worker.call(self._sink.close)
        except TimeoutError:
            self._worker.post(self._sink.close)
            self._whole = False
        finally:
            self._worker.stop()
            if self._task is not None and not self._task.done():
                self._task.cancel()
                await asyncio.wait([self._task])
        return self._whole

    async def _patiently(self, seconds: float, hurry: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        ends = loop.time() + seconds
        while self._task is not None and not self._task.done() and loop.time() < ends:
            if hurry.is_set() or self._stats.error:
                return
            await asyncio.wait([self._task], timeout=0.05)

    async def run(self) -> None:
        """Until the subscription ends, or something failed while closing. `start` does this as a task."""
        going_on = True
        while going_on and self._whole:
            self._held, going_on = await self._gather()
            await self._commit()
            if self._held is not None:
                await self._resolve(self._held)
                self._held = None

    async def _gather(self) -> tuple[Batch | Missed | None, bool]:
        """Take from the queue until a commit is due; (an item that needs more than gathering, whether the queue goes on)."""
        taken = 0
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._due) as deadline:
                async for item in self._subscription:
                    if isinstance(item, Missed) or not self._take(item):
                        return item, True
                    if deadline.when() != self._due:
                        deadline.reschedule(self._due)
                    if len(self._gathered.events) >= self._pace.events:
                        return None, True
                    taken += 1
                    if taken % YIELD_EVERY == 0:
                        await asyncio.sleep(0)
                return None, False
        return None, True

    def _take(self, batch: Batch) -> bool:
        """True where the batch is gathered, or is in the sink already."""
        gathered = self._gathered
        if batch.session == gathered.session and batch.seq <= gathered.seq:
            return True
        if not gathered.fits(batch):
            return False
        if not gathered.waiting:
            self._due = asyncio.get_running_loop().time() + self._pace.seconds
        gathered.add(batch)
        if self._oldest is None and batch.events:
            self._oldest = batch.events[0].ts_recv
        return True

    async def _resolve(self, item: Batch | Missed) -> None:
        """An item that does not simply follow: of another session, after a hole, or straddling the position."""
        if item.session != self._gathered.session:
            position = await self._persist(lambda: self._sink.position(item.session))
            if position is None:
                return
            self._gathered = Gathered(item.session, position)
        if isinstance(item, Batch) and self._take(item):
            return
        if item.seq > self._gathered.seq:
            await self._catch_up(item)

    async def _commit(self) -> None:
        gathered = self._gathered

        def commit() -> int:
            position = self._sink.position(gathered.session)
            if position < gathered.start:
                log.warning("a sink has lost what was committed; it begins again from the tape", sink=self._sink.name)
                return LOST
            if position not in (gathered.start, gathered.seq):
                raise IntegrityError(f"the sink stands at frame {position}, not at {gathered.start}: somebody else wrote to it")
            if position < gathered.seq:  # else an attempt that seemed to fail did not
                if not self._recorded(gathered.follows + 1, gathered.seq):
                    return HOLED
                self._sink.commit(gathered.session, gathered.seq, gathered.events)
            return len(gathered.events)

        if gathered.waiting:
            done = await self._persist(commit, durable=gathered.seq)
            if done is None:
                return
            if done in (LOST, HOLED):
                self._gathered = Gathered(gathered.session, gathered.start, gathered.follows)
                again = Batch(gathered.session, gathered.follows + 1, gathered.seq, gathered.events)
                await self._catch_up(again, holed=done == HOLED)
                return
            self._holed = False
            self._count(done)
            gathered.committed()
        self._oldest = self._due = None

    async def _catch_up(self, item: Batch | Missed, *, holed: bool = False) -> None:
        """Bring the sink up to `item.seq`, from the tape. `holed`: all of the item is new, and the tape lacks some of it."""
        if self._closing.is_set():
            self._whole = False
            return
        self._oldest = self._clock.now() - int(self._pace.seconds * SECOND)  # overdue at once
        short = 0
        found = _Found(item.seq)

        def replay(loop: asyncio.AbstractEventLoop) -> int:
            nonlocal short
            self._replay(item, loop, found)
            reached = self._sink.position(item.session)
            if reached < item.seq and not self._closing.is_set() and self._recorded(reached + 1, item.seq):
                short += 1
                if short < SHORT_TAPE_TRIES:
                    raise TapeError(f"the tape of session {item.session} gives frames up to {reached}, not to {item.seq}")
            return reached

        loop = asyncio.get_running_loop()
        reached = await self._persist(lambda: replay(loop), durable=item.seq)
        if reached is None:
            return
        if reached < item.seq or holed:
            self._admit_hole(item, reached, found.events)
        self._gathered = Gathered(item.session, reached, item.seq)
        self._oldest = self._due = None

    def _replay(self, item: Batch | Missed, loop: asyncio.AbstractEventLoop, found: "_Found") -> None:
        """In the thread: commit what the tape has after the sink's position, up to the item's last frame."""
        commit_all(
            self._sink,
            item.session,
            found.counted(self._catch_up_source(item.session, self._sink.position(item.session))),
            events=self._pace.events,
            upto=item.seq,
            before=lambda seq: self._wait_synced(seq, loop),
            after=lambda n: loop.call_soon_threadsafe(self._count, n),
            stop=self._closing.is_set,
        )

    def _admit_hole(self, item: Batch | Missed, reached: int, found: int) -> None:
        if self._closing.is_set():
            self._whole = False
            return
        lost = max(0, (item.events if isinstance(item, Missed) else len(item.events)) - found)
        if not lost and reached >= item.seq:
            return
        self._stats.dropped += lost
        which = f"frames {reached + 1}" if reached < item.seq else f"some of the frames {item.first_seq}"
        self._stats.error = f"{which} to {item.seq} are not on the tape: {lost} events are not in this sink"
        if not self._holed:
            log.error("a sink leaves out what the tape could not record", sink=self._sink.name, reason=self._stats.error)
        self._holed = True

    def _wait_synced(self, seq: int, loop: asyncio.AbstractEventLoop) -> None:
        """In the thread: wait for the tape, but not past the end of the program."""

        async def synced() -> None:
            await self._synced(seq)

        waiting = asyncio.run_coroutine_threadsafe(synced(), loop)
        while True:
            try:
                return waiting.result(timeout=0.1)
            except concurrent.futures.TimeoutError:
                if waiting.done():
                    raise
                if self._closing.is_set():
                    waiting.cancel()
                    raise TapeError("the program ends before the tape is durable") from None

    async def _persist(self, function: Callable[[], int], durable: int | None = None) -> int | None:
        """Run `function` in the thread until it goes through; its result, or None when closing cut it short.

        Every failure is kept in the stats and tried again: a sink in trouble must not bring down the feed.
        """
        delay = self._backoff_first
        while True:
            try:
                if durable is not None:
                    await self._synced(durable)
                result = await self._worker.call(function)
            except Exception as e:  # noqa: BLE001 - shown, and tried again
                self._tell(f"{type(e).__name__}: {e}")
            else:
                self._tell("")
                return result
            if self._closing.is_set():
                self._whole = False
                return None
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._closing.wait()
            delay = min(delay * 2, BACKOFF_MOST)

    def _tell(self, error: str) -> None:
        """For the status; trouble that begins or ends is also said where a person looks."""
        before, self._stats.error = self._stats.error, error
        if error and not before and not self._closing.is_set():
            log.error("a sink cannot be written; what it misses is on the tape", sink=self._sink.name, reason=error)
        elif before and not error:
            log.warning("the sink is written again", sink=self._sink.name)

    def _count(self, events: int) -> None:
        self._stats.events += events
        self._stats.commits += 1

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A runner that dies of a fault of its own says so; the feed goes on, and the next start repairs the sink."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._whole = False
            self._stats.error = f"stopped: {type(error).__name__}: {error}"
