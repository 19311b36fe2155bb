"""Batches gathered into commits: the same for the live queue, for catching up and for repairs.

A sink must never be given half a frame, for its position is the number of a frame; so commits are whole batches, joined end to
end. A batch from the live queue must follow exactly. One from the tape may leave frames out, since a tape that could not be written
for a while has holes in its numbers and says so with a LOST frame; but it may never give a frame again. So a hole in the sink would
not show: before each commit of what the tape gave the sink is asked whether it still stands where it stood.
"""

from collections.abc import Callable, Iterable, Iterator

from tapeline.engine.bus import Batch
from tapeline.errors import IntegrityError
from tapeline.events import Event
from tapeline.sinks.base import Sink

CatchUp = Callable[[str, int], Iterator[Batch]]
"""(session, after) → the batches of the frames past `after`, in order, up to the tape's present end; called in a thread, may
block. One batch a frame, so that catching up can end between any two frames of the live queue; coarser ones are right too, but
may have to be replayed again where they straddle a batch of the queue. Raises TapeError where the tape cannot be read.
"""


def _nothing(_: int) -> None:
    pass


class Gathered:
    """The frames after `start`, the sink's position, up to `seq` of one session that wait to be committed.

    `upto`: frames that are missing for good, so that the first batch follows them and not the position. `follows`: the frame
    before the first one that waits.
    """

    def __init__(self, session: str, position: int, upto: int = -1) -> None:
        self.session = session
        self.start = position
        self.seq = self.follows = max(position, upto)
        self.events: list[Event] = []
        self.waiting = False

    def fits(self, batch: Batch) -> bool:
        """Whether `batch` begins right where this ends."""
        return batch.session == self.session and batch.first_seq == self.seq + 1

    def add(self, batch: Batch) -> None:
        self.seq = batch.seq
        self.events += batch.events
        self.waiting = True

    def committed(self) -> None:
        self.start = self.follows = self.seq
        self.events, self.waiting = [], False

    def hand_over(self, sink: Sink) -> int:
        """Commit what waits; how many events. Raises IntegrityError where the sink stands elsewhere by now: a server can lose what
        it had, and what waits here would then follow a hole.
        """
        if (stands := sink.position(self.session)) != self.start:
            raise IntegrityError(f"{sink.name} stands at frame {stands} of session {self.session}, no longer at {self.start}")
        sink.commit(self.session, self.seq, self.events)
        count = len(self.events)
        self.committed()
        return count


def commit_all(
    sink: Sink,
    session: str,
    batches: Iterable[Batch],
    *,
    events: int,
    upto: int | None = None,
    before: Callable[[int], None] = _nothing,
    after: Callable[[int], object] = _nothing,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Commit `batches`, which follow the sink's position, some `events` at a time; the number of events committed.

    It ends with the batches, with the batch that reaches frame `upto`, or where `stop()` says so. `before(seq)` is called before
    each commit and may wait (until the tape is durable up to there) or raise; `after(n)` after it. Whatever a batch source raises
    comes through, after what came before it is committed.
    """
    gathered, total = Gathered(session, sink.position(session)), 0

    def commit() -> None:
        nonlocal total
        if gathered.waiting:
            before(gathered.seq)
            count = gathered.hand_over(sink)
            total += count
            after(count)

    source = iter(batches)
    while not stop():
        try:
            batch = next(source, None)
        except Exception:
            commit()
            raise
        if batch is None:
            break
        if batch.first_seq <= gathered.seq:
            commit()
            raise IntegrityError(f"frame {batch.first_seq} of session {session!r} comes again after frame {gathered.seq}")
        gathered.add(batch)
        if len(gathered.events) >= events:
            commit()
        if upto is not None and batch.seq >= upto:
            break
    commit()
    return total
