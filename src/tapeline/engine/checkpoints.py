"""States of a live pipeline, left beside its tape now and then.

On the loop the pipeline is only turned into bytes (5 ms with ten books); they are compressed and written in a thread, once the tape
is on the disk up to there. A state is due when a segment ends, and some time after the one before: EVERY at the least, and so long
that the loop spends no more than a thousandth of its time on them. While the tape cannot be written there are none, since nothing
could be replayed from them.

Trouble with a state is told once and harms nobody: whoever replays begins earlier.
"""

import asyncio
from collections.abc import Callable

import structlog

from tapeline.clock import MILLI, SECOND, Clock, cpu_time
from tapeline.engine import checkpoint
from tapeline.engine.pipeline import Pipeline
from tapeline.errors import TapeError
from tapeline.tape import states
from tapeline.tape.background import Worker
from tapeline.tape.writer import TapeWriter

log = structlog.get_logger("tapeline.checkpoint")
EVERY = 120 * SECOND
SHARE = 1000


class Checkpoints:
    """`track` keeps a task until it is done."""

    def __init__(
        self,
        pipeline: Pipeline,
        tape: TapeWriter,
        clock: Clock,
        track: Callable[[asyncio.Task[None]], object],
        *,
        every: int = EVERY,
    ) -> None:
        self.every = every
        self.taken = 0
        self.worst_ms = 0.0
        self._pipeline, self._tape, self._clock, self._track = pipeline, tape, clock, track
        self._stamp = checkpoint.stamp()  # now: the files may be others by the time that a state is due
        self._worker: Worker | None = None
        self._due = clock.now() + every
        self._segments = tape.segments
        self._writing = False
        self._told = False

    def look(self) -> None:
        """After frames were handled and what they asked for was sent on: take a state where one is due."""
        now = self._clock.now()
        if self._writing:
            return
        ended = self._tape.rotate(now)  # here, so that a segment begins where a state stands
        segments = self._tape.segments + ended
        if (now < self._due and segments == self._segments) or self._tape.failing:
            return
        began = cpu_time()
        try:
            raw = checkpoint.dump(self._pipeline)
        except Exception as e:  # noqa: BLE001 - told; the feed must go on, and a replay can do without
            self._due = now + SECOND * SHARE
            self._segments = segments
            self._tell(f"{type(e).__name__}: {e}")
            return
        took = cpu_time() - began
        self.worst_ms = max(self.worst_ms, took / MILLI)
        self._due, self._segments = now + max(self.every, took * SHARE), segments
        self._writing = True
        self._track(asyncio.get_running_loop().create_task(self._keep(self._tape.next_seq, now, raw), name="checkpoint"))

    async def _keep(self, seq: int, now: int, raw: bytes) -> None:
        directory, stamp = self._tape.directory, self._stamp

        def write() -> None:
            states.write(directory, seq, now, stamp, raw)
            states.tidy(directory, stamp)

        try:
            await self._tape.synced(seq - 1)
            if self._tape.failing or self._tape.lost_within(seq - 1, seq - 1):
                return  # it knows what no replay can
            self._worker = self._worker or Worker("states")
            await asyncio.wrap_future(self._worker.submit(write))
            self.taken += 1
        except (OSError, TapeError) as e:
            self._tell(str(e))
        finally:
            self._writing = False

    def _tell(self, reason: str) -> None:
        if not self._told:
            log.warning("a state of the pipeline could not be kept; a replay takes longer without", reason=reason)
        self._told = True

    def close(self) -> None:
        if self._worker is not None:
            self._worker.stop()
