"""Repair at start: what a crash, a Ctrl-C or a broken sink left behind is brought in from the tape.

For every earlier session that a sink has not marked finished, what comes after the sink's position is committed, and the session is
marked finished. A session is replayed once for all sinks that lack something of it, from the position of the one that is farthest
behind; each takes what is new to it. Sinks keep positions per session, so this can go on in a thread beside the live feed; give it
`registry.make`'s sinks, which take turns.

A session whose last frame a sink has already reached is not replayed. A tape that cannot be read to its end is reported, kept
unfinished and tried again at the next start. A sink that fails is reported, and keeps none of the others waiting.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec
import structlog

from tapeline.engine.bus import Batch
from tapeline.errors import IntegrityError, TapelineError
from tapeline.sinks.base import Sink
from tapeline.sinks.feed import CatchUp, Gathered
from tapeline.tape.retention import EVERYTHING

log = structlog.get_logger("tapeline.sinks")
COMMIT_EVENTS = 50_000


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was done for one session and sink: frames `first_seq`..`last_seq` brought in. `error` empty where all went well."""

    session: str
    sink: str
    first_seq: int
    last_seq: int
    events: int = 0
    error: str = ""


def committed(sinks: Iterable[Sink], session: str) -> int:
    """The last frame of a session that each of these sinks has: what is up to there, none of them will ask the tape for again.

    `EVERYTHING` where all have finished it; -1 where one of them cannot be asked now. May wait for a sink that is at work.
    """
    least = EVERYTHING
    for sink in sinks:
        try:
            least = min(least, EVERYTHING if session in set(sink.finished()) else sink.position(session))
        except Exception as e:  # noqa: BLE001 - whatever it is, what this sink may need is kept
            log.warning("the tape is kept, as a sink does not say what it has", sink=sink.name, reason=str(e))
            return -1
    return least


def repair(
    data: Path,
    sinks: Sequence[Sink],
    sessions: Mapping[str, int | None] | Iterable[str],
    catch_up: CatchUp,
    *,
    stop: Callable[[], bool] = lambda: False,
) -> list[Report]:
    """Bring each open sink up to the end of each session, oldest first. Blocks; call it in a thread.

    `sessions`: the closed sessions on the tape, never the one being recorded; as a mapping it gives the seq of each one's last
    frame, None where that is not known. One report for each session and sink that was not finished. `stop()` ends it early.
    """
    ends = dict(sessions) if isinstance(sessions, Mapping) else dict.fromkeys(sessions)
    done: dict[str, frozenset[str]] = {}
    reports: list[Report] = []
    for session in sorted(ends):
        if stop():
            break
        jobs = [job for sink in sinks if (job := _job(sink, session, done)) is not None]
        end = ends[session]
        _play(session, [job for job in jobs if not job.error and (end is None or job.first < end)], catch_up, stop)
        reports += [job.ended(data, finish=not stop()) for job in jobs]
    return reports


class _Job:
    """One sink's share of one session. `error`: what went wrong with it, the first time; from then on it takes nothing."""

    def __init__(self, sink: Sink, session: str) -> None:
        self.sink, self.session = sink, session
        self.gathered = Gathered(session, -1)
        self.first = -1  # the position that it began with
        self.events = 0
        self.error = ""
        self.apart = False  # a batch straddles its position: it needs a replay of its own

    def begin(self) -> None:
        self.first = self.sink.position(self.session)
        self.gathered = Gathered(self.session, self.first)

    def trying(self, work: Callable[[], object]) -> None:
        if self.error:
            return
        try:
            work()
        except (OSError, TapelineError) as e:
            self.error = str(e)

    def take(self, batch: Batch) -> None:
        if self.apart or batch.seq <= self.gathered.seq:
            return
        if batch.first_seq <= self.gathered.seq:
            self.apart = True
            return
        self.gathered.add(batch)
        if len(self.gathered.events) >= COMMIT_EVENTS:
            self.commit()

    def commit(self) -> None:
        if self.gathered.waiting:
            self.events += self.gathered.hand_over(self.sink)

    def ended(self, data: Path, *, finish: bool) -> Report:
        if finish:
            self.trying(lambda: self.sink.finish(self.session))
        reached = self.first
        with suppress(OSError, TapelineError):
            reached = self.sink.position(self.session)
        error = f"{self.sink.name} is not complete for session {self.session} of {data}: {self.error}" if self.error else ""
        return Report(
            session=self.session,
            sink=self.sink.name,
            first_seq=self.first + 1,
            last_seq=reached,
            events=self.events,
            error=error,
        )


def _job(sink: Sink, session: str, done: dict[str, frozenset[str]]) -> _Job | None:
    """None where the sink has finished the session."""
    job = _Job(sink, session)

    def begin() -> None:
        if sink.name not in done:
            done[sink.name] = frozenset(sink.finished())
        if session not in done[sink.name]:
            job.begin()

    job.trying(begin)
    return None if session in done.get(sink.name, ()) else job


def _play(session: str, jobs: Sequence[_Job], catch_up: CatchUp, stop: Callable[[], bool]) -> None:
    if not jobs:
        return
    trouble = ""
    try:
        for batch in _in_order(session, catch_up(session, min(job.gathered.seq for job in jobs))):
            if stop() or all(job.error or job.apart for job in jobs):
                break
            for job in jobs:
                job.trying(partial(job.take, batch))
    except (OSError, TapelineError) as e:
        trouble = str(e)
    finally:
        for job in jobs:
            job.trying(job.commit)
            job.error = job.error or trouble
    for job in jobs:
        if job.apart and not job.error and not stop():
            job.apart = False
            _play(session, [job], catch_up, stop)


def _in_order(session: str, batches: Iterable[Batch]) -> Iterator[Batch]:
    """As they come. Raises IntegrityError where a frame comes again."""
    seq = -1
    for batch in batches:
        if batch.first_seq <= seq:
            raise IntegrityError(f"frame {batch.first_seq} of session {session!r} comes again after frame {seq}")
        seq = batch.seq
        yield batch
