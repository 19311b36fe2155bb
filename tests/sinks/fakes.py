"""A tape in memory, and a sink that can be made to fail, around a real one."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from threading import Event as Flag

from tapeline.engine.bus import Batch
from tapeline.errors import TapeError
from tapeline.events import Event
from tapeline.sinks.base import Serial, Sink
from tests.sinks.helpers import batches


class Tape:
    """The frames of each session. `holes` are not on it; `end` is how far it reaches so far; `synced` how far it is durable."""

    def __init__(self, **sessions: list[list[Event]]) -> None:
        self.sessions = sessions
        self.holes: set[int] = set()
        self.end = 1 << 60
        self.durable = -1
        self.step = 1
        self.replays: list[tuple[str, int]] = []
        self.broken_at: int | None = None

    def catch_up(self, session: str, after: int) -> Iterator[Batch]:
        self.replays.append((session, after))
        for batch in batches(self.sessions[session], session, self.step, after):
            if self.broken_at is not None and batch.seq >= self.broken_at:
                raise TapeError(f"segment damaged at frame {self.broken_at}")
            if batch.seq <= self.end and batch.seq not in self.holes:
                yield batch

    def recorded(self, first: int, last: int) -> bool:
        return not any(first <= seq <= last for seq in self.holes)

    async def synced(self, seq: int) -> None:
        await asyncio.sleep(0)
        self.durable = max(self.durable, seq)


class Trying(Serial):
    """Fails as often as it is told to, stands still while `gate` is closed, and checks that the tape is ahead of it."""

    def __init__(self, sink: Sink, tape: Tape) -> None:
        super().__init__(sink)
        self.tape = tape
        self.failures = 0
        self.fail_after = 0  # failures after the commit went through
        self.gate = Flag()
        self.gate.set()
        self.sizes: list[int] = []
        self.before_commit: Callable[[], None] = lambda: None

    def commit(self, session: str, seq: int, events: Sequence[Event]) -> None:
        self.before_commit()
        self.gate.wait()
        assert seq <= self.tape.durable, "committed before the tape was durable"
        if self.failures:
            self.failures -= 1
            raise OSError("no space left")
        super().commit(session, seq, events)
        self.sizes.append(len(events))
        if self.fail_after:
            self.fail_after -= 1
            raise OSError("the answer got lost")


class Forgets:
    """A sink of one session on a server that can lose what it had, the position with it: `forget`."""

    name = "forgets"

    def __init__(self) -> None:
        self.gate = Flag()
        self.kept: list[Event] = []
        self.seq = -1
        self._finished = False

    def forget(self) -> None:
        self.kept, self.seq = [], -1

    def open(self) -> None:
        pass

    def position(self, _: str) -> int:
        return self.seq

    def commit(self, _: str, seq: int, events: Sequence[Event]) -> None:
        self.kept += events
        self.seq = seq

    def finished(self) -> list[str]:
        return ["s"] if self._finished else []

    def finish(self, _: str) -> None:
        self._finished = True

    def close(self) -> None:
        pass
