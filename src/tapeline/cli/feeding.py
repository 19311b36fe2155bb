"""What is on the tape into the sinks that are on, for commands that are no live session."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from tapeline.cli.live import say
from tapeline.cli.output import many
from tapeline.config import Settings
from tapeline.engine.bus import Batch
from tapeline.engine.replay import batches
from tapeline.errors import ConfigError
from tapeline.events import Status
from tapeline.sinks.base import Sink
from tapeline.sinks.recovery import repair
from tapeline.sinks.registry import make

HAS_IT = "has it already"


class Fed(msgspec.Struct):
    """Of one session: events by kind, what the decoder could not read, gaps; and what each sink made of it."""

    events: dict[str, int] = {}
    rejected: int = 0
    gaps: int = 0
    sinks: dict[str, str] = {}

    @property
    def total(self) -> int:
        return sum(self.events.values())


def feed(data: Path, settings: Settings, session: str, last: int, told: Callable[[int], None] | None = None) -> Fed:
    """Bring a closed session, whose last frame is `last`, into each sink that is on. `told` is given the frames played, once.

    A sink that cannot be used now is said and left: the next `run` or `record` brings the session into it. Where every sink has the
    session already, it is played all the same, to be counted, unless `told` is None.
    """
    fed = Fed()
    opened = _opened(data, settings, fed)
    counting = _Counting(data, fed, told or (lambda _: None))
    try:
        reports = repair(data, opened, {session: last}, counting.catch_up)
    finally:
        for sink in opened:
            sink.close()
    for report in reports:
        fed.sinks[report.sink] = report.error or many(report.events, "event")
    for sink in opened:
        fed.sinks.setdefault(sink.name, HAS_IT)
    if told is not None and not counting.counted:
        for _ in counting.catch_up(session, -1):
            pass
    return fed


class _Counting:
    """The first play of the session is counted, whoever asked for it; where no sink did, it is played for that."""

    def __init__(self, data: Path, fed: Fed, told: Callable[[int], None]) -> None:
        self._data, self._fed, self._told = data, fed, told
        self.counted = False

    def catch_up(self, session: str, after: int) -> Iterator[Batch]:
        if self.counted or after >= 0:
            yield from batches(self._data, session, after)
            return
        self.counted = True
        kinds: Counter[type] = Counter()
        for batch in batches(self._data, session, after):
            kinds.update(map(type, batch.events))
            for event in batch.events:
                if type(event) is Status:
                    self._fed.rejected += event.kind == "rejected"
                    self._fed.gaps += event.kind == "gap"
            self._told(batch.seq - batch.first_seq + 1)
            yield batch
        self._fed.events = {str(kind.__struct_config__.tag): n for kind, n in kinds.most_common()}  # type: ignore[attr-defined]


def _opened(data: Path, settings: Settings, fed: Fed) -> list[Sink]:
    opened = []
    for sink in make(data, settings):
        try:
            sink.open()
        except ConfigError as e:
            fed.sinks[sink.name] = "left for later"
            say(f"{sink.name} is not fed now: {e}; the next `tapeline run` or `record` brings the session in")
        else:
            opened.append(sink)
    return opened
