"""Repair at start: what a crash, a Ctrl-C or a broken sink left behind is brought in from the tape.

For every earlier session that a sink has not marked finished, the session is replayed from its first frame (books and bars need
their past), what comes after the sink's position is committed, and the session is marked finished. Sinks keep positions per
session, so this can go on in a thread beside the live feed; give it `registry.make`'s sinks, which take turns.

A session whose last frame a sink has already reached is not replayed. A tape that cannot be read to its end is reported, kept
unfinished and tried again at the next start.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import structlog

from tapeline.errors import TapelineError
from tapeline.sinks.base import Sink
from tapeline.sinks.feed import CatchUp, commit_all
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
        for sink in sinks:
            if stop():
                return reports
            report = _repair_one(data, sink, session, ends[session], catch_up, stop, done)
            reports += [report] if report is not None else []
    return reports


def _repair_one(
    data: Path,
    sink: Sink,
    session: str,
    end: int | None,
    catch_up: CatchUp,
    stop: Callable[[], bool],
    done: dict[str, frozenset[str]],
) -> Report | None:
    """None where the sink has finished the session. A sink whose server is away is reported and keeps none of the others waiting."""
    position = reached = -1
    error = ""
    counted: list[int] = []
    try:
        if sink.name not in done:
            done[sink.name] = frozenset(sink.finished())
        if session in done[sink.name]:
            return None
        position = reached = sink.position(session)
        if end is None or position < end:
            batches = catch_up(session, position)
            commit_all(sink, session, batches, events=COMMIT_EVENTS, after=counted.append, stop=stop)
        reached = sink.position(session)
        if not stop():
            sink.finish(session)
    except (OSError, TapelineError) as e:
        error = f"{sink.name} is not complete for session {session} of {data}: {e}"
        with suppress(OSError, TapelineError):
            reached = sink.position(session)
    return Report(
        session=session,
        sink=sink.name,
        first_seq=position + 1,
        last_seq=reached,
        events=sum(counted),
        error=error,
    )
