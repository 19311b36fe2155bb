"""The sink contract. One file a sink; one conformance suite (`tests/sinks/`) runs over all of them.

A sink keeps events together with the tape position they reach, atomically: after `commit(batch)` returns, and after a
`kill -9` at any moment before or after, `position(session)` is the seq up to and including which every event of that session
is in the sink exactly once. Whoever feeds it (the runner, a repair) therefore only has to replay the session from its
beginning and skip the frames up to that position.

Sinks are called from one thread at a time, never from the event loop, and may block.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from tapeline.events import Event


class SinkStats(msgspec.Struct):
    """What `/api/v1/status` shows of a sink. `lag_seconds`: age of the oldest event not yet committed."""

    name: str
    events: int = 0
    commits: int = 0
    depth: int = 0
    dropped: int = 0
    lag_seconds: float = 0.0
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

    def close(self) -> None: ...
