"""The tape of a running session: `journal` on the event loop, everything slow in two threads.

On the loop: numbering, encoding, `os.write` (into the page cache). In the thread "tape-sync": fdatasync and fsync of the
directory every `sync_ms`, and at once where somebody waits in `synced`. In the thread "tape-seal": compressing ended segments,
with pauses, so that the feed keeps the processor. Both threads are daemons and `close` is bounded: a hung disk cannot hold up
the end of the program. What is not sealed then is sealed later (`reader.seal`); nothing depends on it.

How the engine uses it, so that live equals replay and the tape comes first:

    tape = TapeWriter(...)
    pipeline.feed(0, [tape.head])                       # the SESSION frame has seq 0
    await tape.start()
    for frames in arriving:
        last = tape.append_many(frames)
        while lost := tape.take_lost():                 # stands before these frames on the tape, too
            pipeline.feed(lost[0], [lost[1]])
        pipeline.feed(last - len(frames) + 1, frames)
    await tape.close()                                  # then take_lost() once more

`journal` tells the policy and what happens when the disk does not take the frames.
"""

import asyncio
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Literal

import msgspec

from tapeline.clock import Clock
from tapeline.config import TapeSettings
from tapeline.errors import TapeError
from tapeline.frames import Frame, Session
from tapeline.tape.background import Worker
from tapeline.tape.journal import Journal
from tapeline.tape.layout import new_session_id
from tapeline.tape.sealing import seal, seal_segment

__all__ = ["TapeStats", "TapeWriter", "new_session_id"]

CLOSE_SECONDS = 1.5
"""Most time `close` waits for the disk."""
SLACK = 1.25
SEAL_PAUSE = 0.005
"""Rest after each 256 KiB while sealing beside a live feed: some 40 MB a second, a fifth of a core."""


class TapeStats(msgspec.Struct, frozen=True, kw_only=True):
    """`written_seq`: last frame handed to the operating system; `synced_seq`: last one on the disk itself.

    `frames`, `bytes`: written in this session; `lost_frames`: handled but not recorded; `lag_frames`: handled, not yet synced;
    `held_frames`: in memory until the disk takes them.
    `unsealed`: why the last segment could not be compressed, which costs room but no frame.
    """

    state: Literal["recording", "failing", "off"]
    reason: str
    path: str
    bytes: int
    frames: int
    lost_frames: int
    written_seq: int
    synced_seq: int
    segments: int
    lag_frames: int
    held_frames: int
    unsealed: str = ""


class TapeWriter:
    """`root` is the data directory. Raises TapeError where the session exists already; nothing else raises for the disk.

    `on_trouble(reason)` is called once each time recording stops, `on_recovery()` when it goes on; they must not raise.
    Without an event loop: `append`, `flush`, `close_sync` are enough; segments are then synced and sealed at the end.
    """

    def __init__(
        self,
        root: Path,
        session: Session,
        settings: TapeSettings,
        clock: Clock,
        *,
        on_trouble: Callable[[str], None] | None = None,
        on_recovery: Callable[[], None] | None = None,
    ) -> None:
        self.root, self.session = root, session
        self._settings, self._clock = settings, clock
        self._journal = Journal(root, session, settings, clock, on_trouble)
        self._journal.on_recovery = on_recovery
        self._closed = False
        self._tasks: list[asyncio.Task[None]] = []
        self._wake = asyncio.Event()
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._sealing: list[Future[None]] = []
        self._stop_sealing = Event()
        self._unsealed = ""

    @property
    def head(self) -> Frame:
        """The SESSION frame, seq 0, the first to feed to the pipeline."""
        return self._journal.head

    @property
    def directory(self) -> Path:
        return self._journal.directory

    @property
    def next_seq(self) -> int:
        return self._journal.next_seq

    @property
    def segments(self) -> int:
        """How many were begun."""
        return self._journal.segments

    def rotate(self, now: int) -> bool:
        """End the segment here where it is full: the next one begins with the next frame. Whether it did.

        Whoever asks after each `append` chooses the place; by itself the tape ends a segment only when it is a quarter past full.
        """
        self._journal.slack = SLACK
        full = not self.failing and self._journal.full(now)
        if full:
            self._journal.rotate()
        return full and not self.failing

    @property
    def failing(self) -> bool:
        return bool(self._journal.trouble)

    def append(self, frame: Frame) -> int:
        """Its seq. Raises TapeError after `close`, never for what the disk does."""
        return self.append_many([frame])

    def append_many(self, frames: Sequence[Frame]) -> int:
        """The seq of the last one. After it, and before feeding `frames` to the pipeline, feed what `take_lost` gives."""
        if self._closed:
            raise TapeError(f"the tape of session {self.session.id} is closed; nothing can be appended to it")
        return self._journal.append(frames)

    def take_lost(self) -> tuple[int, Frame] | None:
        """A LOST frame that was written before the frames of the last `append_many`, with its seq."""
        return self._journal.take_lost()

    def flush(self) -> None:
        """Hand everything appended to the operating system; from there `kill -9` cannot take it."""
        self._journal.flush()

    async def synced(self, seq: int) -> None:
        """Returns once everything up to `seq` is on the disk, or counted as lost. What a full disk did not take waits in memory, and
        whoever waits here for it.

        Raises TapeError where the tape is closed before the disk answers.
        """
        if seq <= self._journal.settled_seq:
            return
        if self._closed:
            raise TapeError("the tape is closed, and the disk did not confirm everything in time")
        if not self._tasks:
            self.sync_now()
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append((seq, waiter))
        self._wake.set()
        await waiter

    def lost_within(self, first: int, last: int) -> bool:
        """Whether any of these frames, for which `synced` has returned, is not on the tape. For any thread."""
        return self._journal.lost_within(first, last)

    def sync_now(self) -> None:
        """Everything appended onto the disk, and ended segments sealed, while the caller waits: for use without `start`."""
        self.flush()
        self._seal_later(self._journal.end_sync(self._journal.begin_sync().run()))

    async def start(self) -> None:
        """Begin flushing, syncing and sealing in the background. At most once."""
        self._syncer, self._sealer = Worker("tape-sync"), Worker("tape-seal")
        self._tasks = [
            asyncio.create_task(self._flush_often(), name="tape-flush"),
            asyncio.create_task(self._sync_often(), name="tape-sync"),
        ]

    def seal_earlier(self) -> None:
        """Compress what earlier sessions left behind, in the background and at low pace. After `start`."""
        self._sealing.append(self._sealer.submit(self._seal_earlier))

    def _seal_earlier(self) -> None:
        seal(self.root, stop=self._stop_sealing, pause=SEAL_PAUSE)

    async def _flush_often(self) -> None:
        while not self._closed:
            await asyncio.sleep(self._settings.flush_ms / 1000)
            self._journal.flush()

    async def _sync_often(self) -> None:
        while not self._closed:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._settings.sync_ms / 1000)
            self._wake.clear()
            await self._sync()

    async def _sync(self) -> None:
        self._journal.flush()
        job = self._journal.begin_sync()
        if job.ended or job.current is not None:
            job = await asyncio.wrap_future(self._syncer.submit(job.run))
        self._seal_later(self._journal.end_sync(job))
        still = []
        for seq, waiter in self._waiters:
            if seq > self._journal.settled_seq:
                still.append((seq, waiter))
            elif not waiter.done():
                waiter.set_result(None)
        self._waiters = still

    def _seal_later(self, paths: list[Path]) -> None:
        for path in paths:
            if self._tasks:
                self._sealing = [f for f in self._sealing if not f.done()]
                self._sealing.append(self._sealer.submit(lambda path=path: self._seal(path, SEAL_PAUSE)))  # type: ignore[misc]
            else:
                self._seal(path, 0)

    def _seal(self, path: Path, pause: float) -> None:
        try:
            seal_segment(path, stop=self._stop_sealing, pause=0 if self._closed else pause)
        except (OSError, TapeError) as e:
            self._unsealed = f"{path.name}: {e}"

    def _finish(self) -> None:
        self._closed = True
        self._journal.finish(self._clock.now())

    async def close(self) -> None:
        """Flush, fdatasync, seal, within CLOSE_SECONDS. Take the last LOST frame afterwards."""
        if self._closed:
            return
        if not self._tasks:
            self.close_sync()
            return
        self._finish()
        self._wake.set()
        flusher, syncer = self._tasks
        flusher.cancel()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await syncer  # may have been in the middle of a job
                await self._sync()
                await asyncio.gather(*map(asyncio.wrap_future, self._sealing))
        except TimeoutError:
            self._unsealed = f"the disk took longer than {CLOSE_SECONDS} s; the next start seals the rest"
        finally:
            self._release()

    async def discard(self) -> None:
        """Close, and remove the session: nothing in it is worth keeping."""
        await self.close()
        shutil.rmtree(self._journal.directory, ignore_errors=True)

    def _release(self) -> None:
        self._stop_sealing.set()
        for worker in (self._syncer, self._sealer):
            worker.stop()
        for _, waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(TapeError("the tape was closed before the disk confirmed what was waited for"))
        self._journal.unlock()

    def close_sync(self) -> None:
        """`close` without an event loop: waits for the disk as long as it takes."""
        if self._closed:
            return
        self._finish()
        self._seal_later(self._journal.end_sync(self._journal.begin_sync().run()))
        self._journal.unlock()

    def stats(self) -> TapeStats:
        j = self._journal
        return TapeStats(
            state="off" if self._closed else "failing" if j.trouble else "recording",
            reason=j.trouble,
            path=str(j.current.path if j.current is not None else j.directory),
            bytes=j.bytes,
            frames=j.frames,
            lost_frames=j.lost_frames,
            written_seq=j.written_seq,
            synced_seq=j.synced_seq,
            segments=j.segments,
            lag_frames=max(0, j.last_seq - j.settled_seq),
            held_frames=j.waiting if j.trouble else 0,
            unsealed=self._unsealed,
        )
