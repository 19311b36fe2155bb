"""A replay that faces can watch: played, paused, at any speed, and sought to any instant, forwards and backwards.

One task (`run`, `perform`) does everything; what is called from outside only says what is wanted, and wakes it. In this order:

    seek     a pipeline from a mark (`cursor`) is fed up to the instant, as fast as can be
    step     the next second, or the next frames up to one that makes events, at once; then it rests
    rest     paused, or at the end
    play     what is due: the tape's own times, `speed` times as fast; 0 is as fast as can be

Whatever the way to an instant, the frames up to it are the same, and so is all that is made of them (rule 1). A seek is told to
those who keep something of the past (`bus.turns`): at first to hold still; to forget, where it begins anew somewhere else; and at
last that it is there. What is played on the way goes to the views in memory only (`bus.show`), so that they know the past of the new
place; sinks fetch what they lack from the tape. After each seek `epoch` is another: whoever holds rows of before must let go.

Frames are fed in slices of some milliseconds with the loop's other work between them, and a player that is not alone (`polite`)
rests as long as it has worked. Marks are made in a thread meanwhile, since a state of many books takes longer than a slice: nothing
but this task changes the pipeline, and it waits. How far a seek has come is told as `progress`. The player's clock stands where the
tape stands, so ages and rates are the recording's.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from tapeline.clock import SECOND, ReplayClock
from tapeline.engine.bus import Batch, Turn
from tapeline.engine.cursor import Cursor, Mark, Marks
from tapeline.engine.engine import Engine
from tapeline.errors import TapeError
from tapeline.events import Event, Metrics, Quote
from tapeline.frames import Frame

BATCH_FRAMES = 256
SLICE_FRAMES = 32
SLICE_SECONDS = 0.004
MARK_FRAMES = 20_000
"""About half a second of work: so long does a seek back take, beside what follows."""
WARM_FRAMES = 40_000
"""A seek begins so much before the instant, where it can, that the views in memory are full when it is there."""
WARM_MOST = 80_000
"""But no earlier than this: the mark before that one may be hours away."""
LATE_SECONDS = 1.0
"""What the machine was too slow for is not caught up in a rush."""
Step = Literal["second", "events"]


class Player(Engine):
    """`speed` 0 plays as fast as it can. `first` and `last`: when the session's first and last frame were received, ns; of one
    that is still being recorded `last` is as of the last look.
    """

    control = None  # what was streamed is not to be changed any more

    def __init__(
        self, root: Path, session: str, *, speed: float = 1.0, playing: bool = True, last: int = 0, polite: bool = False
    ) -> None:
        """Reads the tape. Raises TapeError, UsageError."""
        self._root, self._speed, self._polite = root, speed, polite
        self._cursor = Cursor(root, session)
        self._marks = Marks(root, session)
        frame = self._cursor.peek()
        if frame is None:
            raise TapeError(f"session {session} has no frame")
        self.first, self.last = frame.ts_recv, max(last, frame.ts_recv)
        self._tape_clock = ReplayClock(frame.ts_recv)
        super().__init__(self._cursor.pipeline, session, self._tape_clock, "replay")
        self.playing, self.finished, self.epoch = playing, False, 0
        self._target: int | None = None
        self._step: Step | None = None
        self._seeks = (0, 0)  # the instants between which a seek has to feed, ns
        self._place = frame.ts_recv  # reached at `_since`, loop time, which is None while it rests
        self._since: float | None = None
        self._wake = asyncio.Event()
        self._latest: dict[tuple[str, str], Event] = {}  # what stands until it is said anew: quotes and metrics
        self.bus.tap(self._remember)

    # What may be wanted. Call these on the loop.

    @property
    def speed(self) -> float:
        return self._speed

    @property
    def seeking(self) -> bool:
        return self._target is not None

    @property
    def instant(self) -> int:
        """The instant of the tape that is played, ns. Between two frames it goes on, though the clock stands at the first."""
        if self._target is not None:
            return self._target
        reached, coming = max(self._place, self.clock.now()), self._cursor.loaded
        if self._since is None or not self._speed or coming is None:
            return reached
        passed = (asyncio.get_running_loop().time() - self._since) * self._speed * SECOND
        return max(reached, min(self._place + int(passed), coming.ts_recv))

    @property
    def progress(self) -> float | None:
        """How much of the tape a seek has fed of what it has to, from 0 to 1 by the tape's time; None where none is on its way."""
        if self._target is None:
            return None
        begun, target = self._seeks
        return round(min(1.0, max(0.0, (self.clock.now() - begun) / (target - begun))), 3) if target > begun else 0.0

    def play(self) -> None:
        """Go on; at the end, where a session that is being recorded has grown since."""
        self._rebase()
        self.playing, self.finished = True, False
        self._wake.set()

    def pause(self) -> None:
        self._rebase()
        self.playing = False
        self._wake.set()

    def set_speed(self, speed: float) -> None:
        self._rebase()
        self._speed = speed
        self._wake.set()

    def seek(self, at: int) -> None:
        """To the state after the last frame received at `at` (ns) or before; to the nearest end where that is outside."""
        self._target, self._step = max(self.first, min(at, max(self.last, self.clock.now()))), None
        self._seeks = (0, 0)
        self._wake.set()

    def step(self, by: Step) -> None:
        self.pause()
        self._step = by

    def give_up(self, reason: str) -> None:
        """The tape could not be read on: it rests, says why, and may be sought."""
        self.reason, self.playing, self.finished = reason, False, True
        self._target = self._step = None
        self._tell("reached")

    async def reached(self) -> None:
        """Wait until nothing is being sought nor stepped."""
        while self._target is not None or self._step is not None:  # noqa: ASYNC110 - either
            await asyncio.sleep(0.005)

    # The task

    async def run(self) -> None:
        """Play to the end of the session; the bus stays open, so that the end can be looked at. Raises TapeError."""
        while not self.finished:
            await self._turn()

    async def perform(self, ended: Callable[[], None] = lambda: None) -> None:
        """For ever: what is wanted; `ended` is told each time that the end is come to. Raises TapeError."""
        while True:
            was = self.finished
            await self._turn()
            if self.finished and not was:
                ended()

    async def _turn(self) -> None:
        if self._target is not None:
            await self._seek()
        elif self._step is not None:
            await self._take_step(self._step)
        elif not self.playing or self.finished:
            await self._rest(None)
        else:
            await self._play()

    async def _play(self) -> None:
        if await self._at_end():
            self._place, self._since = self.clock.now(), None
            self.finished = self._target is None
        if (frame := self._cursor.peek()) is None:
            return
        if not self._speed:
            await self._consumed()
            self._publish(*self._cursor.take(None, BATCH_FRAMES))
            await self._mark()
            return
        wait = self._until(frame.ts_recv)
        if wait > 0:
            await self._rest(wait)
            return
        began = asyncio.get_running_loop().time()
        # 20 ms of the viewer's time at most are played at once
        self._publish(*self._cursor.take(frame.ts_recv + int(SECOND * self._speed / 50), BATCH_FRAMES))
        await self._breathe(began)
        await self._mark()

    def _until(self, ts: int) -> float:
        """Seconds until a frame is due."""
        now = asyncio.get_running_loop().time()
        if self._since is None:
            self._since = now
        wait = self._since + (ts - self._place) / SECOND / self._speed - now
        if wait < -LATE_SECONDS:
            self._place, self._since = ts, now
        return wait

    def _rebase(self) -> None:
        """What was played so far was played at the speed of then."""
        self._place, self._since = self.instant, None

    async def _rest(self, seconds: float | None) -> None:
        self._wake.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _breathe(self, began: float) -> None:
        await asyncio.sleep(asyncio.get_running_loop().time() - began if self._polite else 0)

    async def _consumed(self) -> None:
        """At full speed those who subscribed set the pace: nobody is to be told of a gap in a recording that has none."""
        await asyncio.sleep(0.003 if self._polite else 0)
        while any(s.depth > s.capacity // 2 for s in self.bus.subscriptions):  # noqa: ASYNC110 - any of them
            await asyncio.sleep(0.01)

    async def _at_end(self) -> bool:
        """Of what was on the tape when it was last looked: one that is being recorded may have more by now."""
        if self._cursor.peek() is None:
            await asyncio.to_thread(self._cursor.look_again)
        return self._cursor.peek() is None

    async def _take_step(self, by: Step) -> None:
        goal, began = self.instant + SECOND, self.events
        self._place, self._since = self.instant, None
        while (frame := self._cursor.peek()) is not None and self._target is None:
            if frame.ts_recv > goal if by == "second" else self.events > began:
                break
            at = asyncio.get_running_loop().time()
            self._publish(*self._cursor.take(goal if by == "second" else None, SLICE_FRAMES if by == "second" else 1))
            await self._breathe(at)
            await self._mark()
        self._place = self.clock.now() if frame is None or by == "events" else goal
        self.finished = frame is None and await self._at_end()
        self._step = None

    # Seeking

    async def _seek(self) -> None:
        """To `_target`, which may become another on the way: one that lies ahead is gone on to."""
        self._tell("hold")
        while (target := self._target) is not None:
            mark, anew = await asyncio.to_thread(self._best, target)
            if anew:
                await self._begin_anew(mark)
            self._seeks = self.clock.now(), target
            await self._forward(target)
            self.finished = await self._at_end()
            if self._target == target:
                self._place, self._since, self._target = target, None, None
        self.epoch += 1
        self._tell("reached")

    def _best(self, target: int) -> tuple[Mark | None, bool]:
        """Where to begin, and whether that is better than to go on from here. In a thread: reads what lies beside the tape."""
        marks, now = self._marks.before(target), self.clock.now()
        best = self._warm(marks)
        here = self._cursor.seq if now <= target and self.frames else -1
        return best, here < (0 if best is None else best.seq)

    @staticmethod
    def _warm(marks: list[Mark]) -> Mark | None:
        if not marks:
            return None
        nearest = marks[-1]
        for mark in reversed(marks):
            if nearest.seq - mark.seq >= WARM_FRAMES:
                return mark if nearest.seq - mark.seq <= WARM_MOST else nearest
        return None if nearest.seq <= WARM_MOST else nearest

    async def _begin_anew(self, mark: Mark | None) -> None:
        self._cursor = await asyncio.to_thread(Cursor, self._root, self.session, mark)
        self.pipeline, begun = self._cursor.pipeline, self._cursor.begun
        frame = self._cursor.peek()
        self._tape_clock.rewind(self.pipeline.heard or (self.first if frame is None else frame.ts_recv))
        self.frames, self.events = (begun.frames or begun.seq, begun.events) if begun is not None else (0, 0)
        self.last_status = dict(begun.statuses) if begun is not None else {}
        self.latency_ms, self._decimals = None, {}
        self._rate = (self.clock.now(), self.frames, 0.0)
        self._latest.clear()
        self._tell("forget")
        if begun is not None and begun.latest:
            self.bus.show(Batch(self.session, begun.seq, begun.seq - 1, list(begun.latest)))

    async def _forward(self, target: int) -> None:
        """Up to `target`, or to where another is wanted that lies before."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while (frame := self._cursor.peek()) is not None and frame.ts_recv <= target:
            self._make(*self._cursor.take(target, SLICE_FRAMES), self.bus.show)
            await self._mark()
            if loop.time() - began > SLICE_SECONDS:
                await self._breathe(began)
                began = loop.time()
                if self._target != target:
                    break

    # Frames

    def _publish(self, first: int, frames: list[Frame]) -> None:
        self._make(first, frames, self.bus.publish)

    def _make(self, first: int, frames: list[Frame], give: Callable[[Batch], None]) -> None:
        if not frames:
            return
        self._tape_clock.set(frames[-1].ts_recv)
        self.last = max(self.last, frames[-1].ts_recv)
        self.handle(first, frames, give)
        self.pipeline.requests.clear()
        self.pipeline.notices.clear()

    async def _mark(self) -> None:
        """Where one is due: so a seek back to here will be short."""
        seq = self._cursor.seq
        if seq >= MARK_FRAMES and self._marks.due(seq, MARK_FRAMES):
            counted: dict[str, Any] = {"frames": self.frames, "events": self.events, "statuses": dict(self.last_status)}
            counted["latest"] = tuple(self._latest.values())
            await asyncio.to_thread(self._marks.keep, self.pipeline, seq, self.clock.now(), counted)

    def _remember(self, batch: Batch) -> None:
        latest = self._latest
        for e in batch.events:
            if type(e) is Quote:
                latest[e.instrument, e.origin] = e
            elif type(e) is Metrics:
                latest[e.instrument, "metrics" if e.values is None else "sample"] = e

    def _tell(self, turn: Turn) -> None:
        for function in self.bus.turns:
            function(turn)

    def state(self) -> dict[str, Any]:
        """`/api/v1/replay` of docs/api.md, with times in ns. `speed` None: as fast as can be."""
        return {
            "session": self.session,
            "first": self.first,
            "last": self.last,
            "now": self.instant,
            "speed": self._speed or None,
            "playing": self.playing and not self.finished,
            "finished": self.finished,
            "seeking": self.seeking,
            "progress": self.progress,
            "epoch": self.epoch,
        }

    def status(self) -> dict[str, Any]:
        live = {
            "id": 0,
            "venue": "",
            "protocol": "",
            "url": "",
            "state": "up",
            "since": self.started,
            "streams": 0,
            "frames": 0,
            "last_frame": self.clock.now(),
            "attempts": 0,
        }
        connections = [
            {**live, "id": c.number, "venue": c.feed.label, "protocol": c.feed.venue.name, "url": c.opened.url}
            | {"streams": len(c.streams), "since": c.since, "latency_ms": c.latency_ms}
            for c in self.pipeline.connections.values()
        ]
        state = self.state()
        told = {name: state[name] for name in ("speed", "playing", "finished")}
        return super().status() | told | {"connections": connections, "replay": state}
