"""Where in a session a player stands: the frames that come next, and the pipeline that they go through.

A cursor begins at the session's beginning or at a *mark*: a state of the pipeline that lies beside the tape, or one that was kept in
memory on the way here (`Marks`). From a mark on, the same frames make the same events, so it matters for time only. Marks in memory
are bounded in number and in bytes; where there are too many, the one that is missed least goes: the one with the closest neighbours.
"""

from bisect import bisect_right, insort
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
import structlog
import zstandard

from tapeline.engine import checkpoint
from tapeline.engine.pipeline import Pipeline
from tapeline.engine.replay import Playing
from tapeline.errors import TapeError
from tapeline.events import Event, Status
from tapeline.frames import Frame
from tapeline.tape import layout, reader, states

log = structlog.get_logger("tapeline.player")
MOST_MARKS = 48
MOST_BYTES = 64 << 20
_ts = attrgetter("ts_recv")
_seq = attrgetter("seq")


class Mark(msgspec.Struct, frozen=True):
    """`seq`: of the frame to go on with; `ts`: of the last one that it has seen, ns. `raw`: None where it lies beside the tape.

    What the player had counted until there, and the latest that each instrument had said, is known to marks in memory only.
    """

    seq: int
    ts: int
    raw: bytes | None = None
    frames: int = 0
    events: int = 0
    statuses: dict[str, Status] = {}
    latest: tuple[Event, ...] = ()


class Marks:
    """Those in memory and those beside the tape, by seq."""

    def __init__(self, root: Path, session: str) -> None:
        self._directory = layout.session_dir(root, session)
        self._kept: list[Mark] = []
        self._possible = True

    def due(self, seq: int, every: int) -> bool:
        """Whether no mark in memory lies within `every` frames before `seq`."""
        at = bisect_right(self._kept, seq, key=_seq)
        return self._possible and (at == 0 or seq - self._kept[at - 1].seq >= every)

    def keep(self, pipeline: Pipeline, seq: int, ts: int, counted: dict[str, Any]) -> None:
        """Does nothing where a metric of another package is on: whoever seeks begins further back."""
        try:
            raw = zstandard.ZstdCompressor(level=1).compress(checkpoint.dump(pipeline))
        except Exception as e:  # noqa: BLE001 - told; a state is a cache, and a player can do without
            log.warning("a state of the pipeline could not be kept; seeking takes longer without", reason=str(e))
            self._possible = False
            return
        insort(self._kept, Mark(seq, ts, raw, **counted), key=_seq)
        while len(self._kept) > MOST_MARKS or (len(self._kept) > 1 and sum(len(m.raw or b"") for m in self._kept) > MOST_BYTES):
            self._drop_one()

    def _drop_one(self) -> None:
        """The first one stays longest where all are as far apart: the beginning is asked for most."""
        kept = self._kept
        gaps = [(kept[i + 1].seq - kept[i - 1].seq, i) for i in range(1, len(kept) - 1)]
        del kept[min(gaps)[1] if gaps else -1]

    def before(self, ts: int) -> list[Mark]:
        """Those that saw only frames received up to `ts`, by seq. Raises TapeError."""
        stored = [Mark(s.seq, s.ts) for s in states.states(self._directory) if s.stamp == checkpoint.stamp()]
        known = {m.seq for m in self._kept}
        found = [*self._kept, *(m for m in stored if m.seq not in known)]
        return sorted((m for m in found if m.ts <= ts), key=_seq)


class Cursor:
    """`pipeline` is as of the frames before `seq`; `take` moves on."""

    def __init__(self, root: Path, session: str, mark: Mark | None = None) -> None:
        """From the beginning, or what is left of it, where there is no mark. Raises TapeError, UsageError; reads the first block."""
        self._root, self._session = root, session
        self._frames: list[Frame] = []
        self._at = self._first = 0
        self.begun = mark
        self._blocks: Iterator[tuple[int, list[Frame]]]
        if mark is not None and mark.raw is not None:
            self.pipeline = checkpoint.load(zstandard.ZstdDecompressor().decompress(mark.raw))
            self._first = mark.seq
            self._blocks = reader.read_batches(root, session, after=mark.seq - 1)
            self._fill()
            return
        playing = Playing(root, session, most=0 if mark is None else mark.seq)
        self._blocks = playing.frames
        self._fill()
        if not self._frames:
            raise TapeError(f"session {session} has no frame")
        self.pipeline = playing.pipeline(self._frames[0])
        if mark is not None and self._first != mark.seq:
            self.begun = None  # that state could not be read: another, or the beginning, took its place

    @property
    def seq(self) -> int:
        """Of the frame that comes next, as far as it is known."""
        return self._first + self._at

    def peek(self) -> Frame | None:
        """The frame that comes next; None at the end of what is on the tape. Raises TapeError."""
        if self._at == len(self._frames) and not self._fill():
            return None
        return self._frames[self._at]

    @property
    def loaded(self) -> Frame | None:
        """As `peek`, without a look at the tape: None at the end of a block as well."""
        return self._frames[self._at] if self._at < len(self._frames) else None

    def take(self, until: int | None, most: int) -> tuple[int, list[Frame]]:
        """The next frames of one block, received at `until` (ns) at the latest, `most` of them; (seq of the first, frames)."""
        begin, end = self._at, min(self._at + most, len(self._frames))
        if until is not None:
            end = bisect_right(self._frames, until, begin, end, key=_ts)
        self._at = end
        return self._first + begin, self._frames[begin:end]

    def look_again(self) -> None:
        """At the end: a session that is still being recorded may have grown since. Reads the tape: not for the event loop."""
        self._blocks = reader.read_batches(self._root, self._session, after=self.seq - 1)
        self._fill()

    def _fill(self) -> bool:
        found = next(self._blocks, None)
        if found is None:
            return False
        (self._first, self._frames), self._at = found, 0
        return True
