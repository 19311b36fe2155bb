"""Playing a tape: the same frames through the same pipeline make the same events.

Books and bars need their past, so a session is played from its first frame, or from a state that its pipeline left beside the tape
(`checkpoint`), which makes no difference but in time; what is not asked for is dropped.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import msgspec
import structlog

from tapeline.engine import checkpoint
from tapeline.engine.bus import Batch
from tapeline.engine.pipeline import Pipeline
from tapeline.errors import TapeError, UsageError
from tapeline.events import Event, Status
from tapeline.frames import Frame, FrameKind, Switched, pack
from tapeline.tape import reader

log = structlog.get_logger("tapeline.replay")
BATCH_FRAMES = 256
MOST_NAMED = 10


def batches(root: Path, session: str, after: int = -1, *, single: bool = False) -> Iterator[Batch]:
    """The events of one session as batches, those of the frames up to seq `after` left out.

    This is what a sink catches up from. A batch covers a block of the tape; `single` gives one batch a frame, so that whoever takes
    over from the live queue can stop at any frame. Raises TapeError where the tape is damaged, UsageError where there is no such
    session.
    """
    yield from _batches(Playing(root, session, most=after + 1), after, single=single)


def switched_batches(root: Path, session: str, metrics: Sequence[str], *, before: int | None = None) -> Iterator[Batch]:
    """The events of a session with these metrics sampled as well, whatever it sampled itself. It may begin at a state of the
    pipeline that saw only frames received before `before` (ns); then what they are made from is gathered from there on.
    """
    playing, switched = Playing(root, session, most=None if before is not None else 0, before=before), not metrics
    for first, frames in playing.frames:
        pipeline, out = playing.pipeline(frames[0]), playing.opening
        playing.opening = []
        if not switched:
            data = pack(Switched(metrics=list(metrics)))
            out, switched = out + _feed(pipeline, first, [Frame(frames[0].ts_recv, FrameKind.SWITCHED, 0, data)]), True
        yield Batch(session, first, first + len(frames) - 1, out + _feed(pipeline, first, frames))


class Playing:
    """A session's frames from a place on, and the pipeline that they go through.

    Where the session's beginning was removed on purpose it begins at the first state behind that. Where there is none that can be
    used (another version of the program made it), a new pipeline is told what opened the connections and what is listed, as
    of the first frame that is left, and books and bars begin there: `opening` says so.
    """

    def __init__(self, root: Path, session: str, *, most: int | None = None, before: int | None = None) -> None:
        """Frames ahead of seq `most`, or received before `before` (ns), may be left out, where a state knows of them."""
        self.session = session
        self.opening: list[Event] = []
        self._pipeline: Pipeline | None = None
        begin, gone = 0, reader.removed(root, session)
        found = checkpoint.latest(root, session, most=most, before=before, least=gone + 1)
        if found is None and gone >= 0 and (most is None or most <= gone):
            found = checkpoint.latest(root, session, least=gone + 1, first=True)
            log.warning("what is asked for begins before what is left of the tape", session=session, removed_to=gone)
        if found is not None:
            self._pipeline, begin = found
        elif gone >= 0:
            begin = self._begin_anew(root, gone)
        self.frames = reader.read_batches(root, session, after=begin - 1)

    def _begin_anew(self, root: Path, gone: int) -> int:
        """The seq of the frame to go on with."""
        first = next(reader.read(root, self.session, after=gone), None)
        if first is None:
            return gone + 1
        seq, ts = first[0], first[1].ts_recv
        left = [frame for at, frame in reader.read(root, self.session) if at <= gone]
        self._pipeline = _begin(left[0], self.session)
        _feed(self._pipeline, 0, [Frame(ts, frame.kind, frame.conn, frame.data) for frame in left])
        reason = (
            f"frames 1 to {gone} of session {self.session} were removed to make room, and this version of Tapeline has no state "
            f"of its pipeline behind them: books, bars and gaps begin anew at frame {seq}"
        )
        log.warning("a session whose beginning was removed is played without what was known there", reason=reason)
        for label, flags in {(feed.label, feed.flags): None for feed in self._pipeline.feeds.values()} or {("", 0): None}:
            self.opening.append(Status("", ts, ts, flags, "gap", label, "tape", reason, 1, gone, gone))
        return seq

    def pipeline(self, first: Frame) -> Pipeline:
        self._pipeline = self._pipeline or _begin(first, self.session)
        return self._pipeline

    @property
    def instruments(self) -> Collection[str]:
        """Of which something was heard before the place where it begins."""
        return () if self._pipeline is None else self._pipeline.instruments


def _batches(playing: Playing, after: int, *, single: bool = False) -> Iterator[Batch]:
    session, opening = playing.session, playing.opening
    for first, frames in playing.frames:
        pipeline = playing.pipeline(frames[0])
        known = max(0, min(len(frames), after + 1 - first))
        _feed(pipeline, first, frames[:known])
        step = 1 if single else len(frames)
        for i in range(known, len(frames), step):
            part = frames[i : i + step]
            yield Batch(session, first + i, first + i + len(part) - 1, opening + _feed(pipeline, first + i, part))
            opening = []


def _feed(pipeline: Pipeline, first: int, frames: list[Frame]) -> list[Event]:
    out: list[Event] = []
    pipeline.feed_many(first, frames, out)
    pipeline.requests.clear()
    pipeline.notices.clear()
    return out


def _begin(first: Frame, session: str) -> Pipeline:
    try:
        return Pipeline.of_session(first)
    except (msgspec.MsgspecError, ValueError) as e:
        raise TapeError(f"session {session}: its first frame does not describe a pipeline: {e}") from None


def chosen_sessions(root: Path, session: str = "") -> list[reader.SessionInfo]:
    """The sessions on the tape, oldest first, or just the one named. UsageError where there is none."""
    found = [s for s in reader.sessions(root) if s.frames and session in {"", s.id}]
    if not found:
        wanted = f"session {session}" if session else "recording"
        raise UsageError(f"there is no {wanted} under {root}: `tapeline tape ls` lists what is there")
    return found


def replay(
    root: Path,
    *,
    instruments: Collection[str] = (),
    start: int | None = None,
    end: int | None = None,
    session: str = "",
    absent: Callable[[str], None] = lambda _: None,
) -> Iterator[Event]:
    """The events of every session (or one), oldest first; of these instruments (default all, connection events always), with
    `start` <= ts_recv < `end` (ns). `absent` is told, at the end, which of them never occurred, and which did.
    """
    wanted, met = frozenset(instruments) | {""}, {""}
    for info in chosen_sessions(root, session):
        if (start is not None and info.last_ts < start) or (end is not None and info.first_ts >= end):
            continue
        playing = Playing(root, info.id, before=start or 0)
        met.update(playing.instruments)
        for batch in _batches(playing, -1):
            met.update([event.instrument for event in batch.events])
            for event in batch.events:
                if (
                    (not instruments or event.instrument in wanted)
                    and (start is None or event.ts_recv >= start)
                    and (end is None or event.ts_recv < end)
                ):
                    yield event
            if end is not None and batch.events and batch.events[-1].ts_recv >= end:
                break
    if missing := sorted(wanted - met):
        absent(f"the recording has no event of {', '.join(missing)}; it has {', '.join(sorted(met - {''})[:MOST_NAMED])}")
