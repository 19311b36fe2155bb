"""The sink contract. One file a sink; one conformance suite (`tests/sinks/`) runs over all of them.

A sink keeps events together with the tape position they reach, atomically: after `commit(batch)` returns, and after a
`kill -9` at any moment before or after, `position(session)` is the seq up to and including which every event of that session
is in the sink exactly once. Whoever feeds it (the runner, a repair) therefore only has to replay the session from its
beginning and skip the frames up to that position. Positions are kept per session, so that an earlier session can be
repaired while the present one is being written.

Sinks are called from one thread at a time, never from the event loop, and may block. `Serial` sees to that where a runner
and a repair share a sink. One process at a time holds a sink open; a second one is refused (ConfigError).

What a sink leaves out on purpose (SQLite: book updates) it says in its header and in `docs/sinks.md`; leaving out must
depend on nothing but the events and the state it commits with them, so that a replay leaves out the same.
"""

from collections.abc import Iterable, Sequence
from threading import Lock
from typing import Protocol

import msgspec

from tapeline.events import Event


class SinkStats(msgspec.Struct):
    """What `/api/v1/status` shows of a sink.

    `depth`: events waiting or being committed; `lag_seconds`: how long the oldest of them is overdue, 0 while its commit is not
    yet due; `due_seconds`: how long one may wait until it is (the lake: 30 s). `missed`: events that the queue could not hold and
    that were, or are being, caught up from the tape. `dropped`: events that are lost to this sink because the tape does not have
    them either. `error`: the last failure, empty once a commit has gone through again.
    """

    name: str
    events: int = 0
    commits: int = 0
    depth: int = 0
    dropped: int = 0
    missed: int = 0
    lag_seconds: float = 0.0
    due_seconds: float = 0.0
    error: str = ""


class Sink(Protocol):
    name: str

    def open(self) -> None:
        """Make or check the place, finish or undo what a crash left half done. Raises ConfigError where it cannot be used."""
        ...

    def position(self, session: str) -> int:
        """The last frame whose events are committed; -1 where there are none."""
        ...

    def commit(self, session: str, seq: int, events: Sequence[Event]) -> None:
        """Keep `events` and the position `seq` in one atomic step. `seq` must be past `position(session)`; an empty list of
        events only moves the position. Raises OSError or TapelineError where it cannot, leaving the earlier state.
        """
        ...

    def finished(self) -> Iterable[str]:
        """Sessions that were marked complete, so that start-up need not look at their tape again."""
        ...

    def finish(self, session: str) -> None:
        """Mark a session complete: its tape is closed and every event of it is committed."""
        ...

    def close(self) -> None:
        """Let go of the place. Nothing is pending: what was not committed is not in the sink. May be called twice."""
        ...


class Serial:
    """A sink behind a lock: a runner's thread and a repair's thread may share it, call by call."""

    def __init__(self, sink: Sink) -> None:
        self.name = sink.name
        self.sink = sink
        self._lock = Lock()

    def open(self) -> None:
        with self._lock:
            self.sink.open()

    def position(self, session: str) -> int:
        with self._lock:
            return self.sink.position(session)

    def commit(self, session: str, seq: int, events: Sequence[Event]) -> None:
        with self._lock:
            self.sink.commit(session, seq, events)

    def finished(self) -> Iterable[str]:
        with self._lock:
            return list(self.sink.finished())

    def finish(self, session: str) -> None:
        with self._lock:
            self.sink.finish(session)

    def close(self) -> None:
        with self._lock:
            self.sink.close()
