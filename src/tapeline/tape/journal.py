"""The writing half of the tape, without event loop and threads: frames get their numbers, blocks, segments; trouble is met.

Policy. In `default` mode frames wait in one block, at most BLOCK_FRAMES of them or BLOCK_BYTES; when it is full it is handed
to the operating system before `append` returns, so `kill -9` takes at most 255 handled frames. In `strict` mode nothing waits.

Trouble (full disk, read-only, I/O error) never reaches the feed as an exception. The states:

    recording ──a write fails──▶ failing ──a retry succeeds──▶ recording
                                    └──close──▶ off

* While failing, frames are held in memory, up to `tape.hold_mb`, and written under their own seqs when writing works again: a
  disk that was full for a while costs nothing then. What is held is not settled: no sink commits anything made of it.
* Past that, everything held is dropped and counted, with every frame that comes until writing works again, so memory is bounded.
  Dropped frames keep their seq, the hole shows in the block headers, and `lost_within` knows it.
* `append` retries at most once a second of frame time. Where frames were dropped, the first thing a retry writes is a LOST frame
  with a seq of its own and the time of the first frame of that `append`. Only when it is on the tape does the state change; the
  frames of that call follow it.
* So a LOST frame stands on the tape exactly *before the frames of the `append` call in which writing worked again*. `take_lost`
  hands it to whoever feeds the pipeline, who feeds it first. `close` makes a last try; its LOST frame comes after all others.
* The SESSION frame (seq 0) is the one frame that is kept while failing: without it the rest could not be replayed.
* A segment that is removed while it is written is trouble like any other, noticed at the next sync: its frames are lost, a new
  segment begins, and where the head went with it, it is written again.
"""

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from tapeline.clock import SECOND, Clock
from tapeline.config import TapeSettings
from tapeline.errors import TapeError
from tapeline.frames import Frame, FrameKind, Lost, Session, pack
from tapeline.tape import layout
from tapeline.tape.format import BLOCK_BYTES, BLOCK_FRAMES, encode, split
from tapeline.tape.segment import Removed, Segment

RETRY_NS = SECOND
FRAME_BYTES = 200
"""What a frame in memory takes beside its data, roughly."""
MOST_SPANS = 256


class SyncJob(msgspec.Struct):
    """What one fdatasync covers. `run` may be called in a thread; the result goes back through `Journal.end_sync`."""

    ended: list[Segment]
    current: Segment | None
    written: int
    settled: int
    error: OSError | None = None

    def run(self) -> "SyncJob":
        for segment in self.ended if self.current is None else [*self.ended, self.current]:
            try:
                segment.sync()
            except OSError as e:
                self.error = e
            if segment is not self.current:
                self._close(segment)
        return self

    def _close(self, segment: Segment) -> None:
        try:
            segment.close()
        except OSError as e:
            self.error = e


class Journal:
    """Frames in, files out. Not thread-safe: one thread appends. `end_sync` is to be called by that thread, too."""

    def __init__(
        self, root: Path, session: Session, settings: TapeSettings, clock: Clock, on_trouble: Callable[[str], None] | None
    ) -> None:
        self.on_recovery: Callable[[], None] | None = None
        self.directory = layout.tape_dir(root) / session.id
        if self.directory.exists():
            raise TapeError(f"{self.directory} exists: a new start never writes to an old session; take a new session id")
        self.trouble = ""
        self.next_seq = 1
        self.written_seq = self.synced_seq = self.settled_seq = -1
        self.frames = self.lost_frames = self.bytes = self.segments = 0
        self.current: Segment | None = None
        self.head = Frame(clock.now(), FrameKind.SESSION, 0, pack(session))
        self.slack = 1.0
        self._strict = settings.mode == "strict"
        self._most_bytes = settings.segment_mb << 20
        self._most_ns = settings.segment_minutes * 60 * SECOND
        self._most_held = settings.hold_mb << 20
        self._on_trouble = on_trouble
        self._lock = layout.SessionLock(self.directory)
        self._locked = self._head_written = False
        self._pending: list[Frame] = []
        self._pending_bytes = 0
        self._retired: list[Segment] = []
        self._last_ts = self._tried = self.head.ts_recv
        self._lost = self._lost_since = 0
        self._lost_spans: tuple[tuple[int, int], ...] = ()  # never changed in place: other threads read it
        self._lost_out: deque[tuple[int, Frame]] = deque(maxlen=64)
        try:
            self._write_head()
        except OSError as e:
            self._fail(e)

    @property
    def last_seq(self) -> int:
        return self.next_seq - 1

    @property
    def waiting(self) -> int:
        return len(self._pending)

    def append(self, frames: Sequence[Frame]) -> int:
        """The seq of the last one. Never raises for what the disk does."""
        if not frames:
            return self.last_seq
        if self.trouble and frames[0].ts_recv - self._tried >= RETRY_NS:
            self._resume(frames[0].ts_recv)
        self.next_seq += len(frames)
        self._last_ts = frames[-1].ts_recv
        if self.trouble and self._lost:
            self._lose(frames)
            return self.last_seq
        self._pending += frames
        self._pending_bytes += sum([len(f.data) for f in frames])
        if self.trouble:
            self._hold()
        elif self._strict or len(self._pending) >= BLOCK_FRAMES or self._pending_bytes >= BLOCK_BYTES:
            self.flush(partial=self._strict or self._pending_bytes >= BLOCK_BYTES)
        return self.last_seq

    def flush(self, *, partial: bool = True) -> None:
        """Hand what waits to the operating system; without `partial`, full blocks only."""
        if self.trouble:
            return
        try:
            self._drain(partial=partial)
        except OSError as e:
            self._fail(e)

    def _drain(self, *, partial: bool) -> None:
        """Raises OSError, with what could not be written still waiting."""
        done = 0
        try:
            while (left := len(self._pending) - done) and (partial or left >= BLOCK_FRAMES):
                run: Sequence[Frame] = self._pending[done : done + BLOCK_FRAMES]
                if self._pending_bytes >= BLOCK_BYTES:
                    run = next(split(run))
                self._write(self.next_seq - left, run)
                done += len(run)
                self._pending_bytes -= sum([len(f.data) for f in run])
        finally:
            del self._pending[:done]

    def take_lost(self) -> tuple[int, Frame] | None:
        return self._lost_out.popleft() if self._lost_out else None

    def _write(self, first_seq: int, frames: Sequence[Frame]) -> None:
        """Raises OSError, with nothing of it on the tape."""
        segment = self.current
        ts = frames[0].ts_recv
        if self.full(ts, self.slack):
            self.retire()
            segment = None
        if segment is None:
            self._prepare()
            segment = self.current = Segment(self.directory, first_seq, ts)
            self.segments += 1
        block = encode(first_seq, frames)
        segment.write(block, len(frames))
        self.frames += len(frames)
        self.bytes += len(block)
        self.written_seq = first_seq + len(frames) - 1

    def _write_head(self) -> None:
        self._write(0, [self.head])
        self._head_written = True

    def _has_head(self) -> bool:
        first = (layout.segment_path(self.directory, 0, suffix) for suffix in (layout.OPEN, layout.SEALED))
        return self._head_written and any(path.exists() for path in (*first, self.directory / layout.REMOVED))

    def _prepare(self) -> None:
        """The session's directory and its lock, made anew where somebody removed them."""
        if self._locked and self.directory.is_dir():
            return
        self._lock.release()
        self.directory.mkdir(parents=True, exist_ok=True)
        layout.sync_dir(self.directory.parent)
        self._locked = self._lock.take(wait=True)

    def full(self, now: int, slack: float = 1.0) -> bool:
        """Whether the current segment is to be ended. `slack`: how many times larger and older it may be."""
        s = self.current
        return s is not None and (s.size >= slack * self._most_bytes or now - s.first_ts >= slack * self._most_ns)

    def rotate(self) -> None:
        """End the current segment here, between two frames."""
        self.flush()
        self.retire()

    def retire(self) -> None:
        """End the current segment; the next sync closes it."""
        segment, self.current = self.current, None
        if segment is None:
            return
        if segment.size:
            self._retired.append(segment)
        else:
            segment.close()
            self.segments -= 1

    def _fail(self, error: OSError) -> None:
        """From here on nothing is recorded, until `_resume`."""
        told = bool(self.trouble)
        self._hold()
        self.trouble = f"{error.strerror or error} ({self.directory})"
        self._tried = self._last_ts
        self.retire()
        if not told and self._on_trouble is not None:
            self._on_trouble(self.trouble)

    def _hold(self) -> None:
        """What waits stays in memory, unless it is too much."""
        if self._pending_bytes + len(self._pending) * FRAME_BYTES > self._most_held:
            self._lose_waiting()

    def _lose_waiting(self) -> None:
        self._lose(self._pending)
        self._pending, self._pending_bytes = [], 0

    def _lose(self, frames: Sequence[Frame]) -> None:
        """The newest `frames` will not be on the tape."""
        if not frames:
            return
        if not self._lost:
            self._lost_since = frames[0].ts_recv
        self._lost += len(frames)
        self.lost_frames += len(frames)
        self._note_lost(self.next_seq - len(frames), self.last_seq)

    def _note_lost(self, first: int, last: int) -> None:
        spans = self._lost_spans
        if spans and spans[-1][1] + 1 >= first >= spans[-1][0]:
            spans, first = spans[:-1], spans[-1][0]
        self._lost_spans = (*spans[1 - MOST_SPANS :], (first, last))

    def lost_within(self, first: int, last: int) -> bool:
        """Whether any of these frames is settled and yet not on the tape. For any thread."""
        return any(a <= last and first <= b for a, b in self._lost_spans)

    def _resume(self, ts: int) -> None:
        """Try to write again, the LOST frame first, then what was held. Nothing is held where frames are lost."""
        lost = Frame(ts, FrameKind.LOST, 0, pack(Lost(frames=self._lost, since=self._lost_since, reason=self.trouble)))
        try:
            if not self._has_head():
                self._write_head()
            if self._lost:
                self._write(self.next_seq, [lost])
                self._lost_out.append((self.next_seq, lost))
                self.next_seq += 1
                self._lost = 0
            self._drain(partial=True)
        except OSError as e:
            self._fail(e)
            self._tried = ts
        else:
            self.trouble, self._lost = "", 0
            if self.on_recovery is not None:
                self.on_recovery()

    def finish(self, now: int) -> None:
        """Write all that can be written and end the last segment."""
        if self.trouble:
            self._resume(max(now, self._last_ts))
        if self.trouble:
            self._lose_waiting()
        self.flush()
        self.retire()

    def begin_sync(self) -> SyncJob:
        current = self.current if self.current is not None and self.current.dirty else None
        return SyncJob([*self._retired], current, self.written_seq, self.last_seq - self.waiting)

    def end_sync(self, job: SyncJob) -> list[Path]:
        """Take a job's result; the paths of segments that are closed now and may be sealed."""
        self._retired = [s for s in self._retired if s not in job.ended]
        self.settled_seq = max(self.settled_seq, job.settled)
        if job.error is None:
            self.synced_seq = max(self.synced_seq, job.written)
        else:
            self._fail(job.error)
            if isinstance(job.error, Removed):
                self._lose_segment(job.error.segment)
        return [s.path for s in job.ended if not s.dirty]

    def _lose_segment(self, segment: Segment) -> None:
        """All that is in it, also what was written after the sync that missed it; and what waits, which would follow a hole."""
        self._retired = [s for s in self._retired if s is not segment]
        segment.close()
        self._lost_since = self._lost_since if self._lost else self._last_ts
        self._lost += segment.frames
        self.lost_frames += segment.frames
        self._note_lost(segment.first_seq, segment.first_seq + segment.frames - 1)
        self._lose_waiting()

    def unlock(self) -> None:
        self._lock.release()
