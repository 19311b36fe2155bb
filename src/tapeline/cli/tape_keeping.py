"""The tape kept small: beside a live session, or once by `tapeline tape prune`.

`tape.retention` says what may go. Here it is told what the sinks have, and who is told what went.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import structlog

from tapeline.cli.output import many
from tapeline.clock import Clock, LiveClock
from tapeline.config import Settings
from tapeline.engine import checkpoint
from tapeline.sinks.base import Sink
from tapeline.sinks.recovery import committed
from tapeline.sinks.registry import make
from tapeline.sinks.worker import Worker
from tapeline.tape import retention

log = structlog.get_logger("tapeline.tape")
EVERY_SECONDS = 3600.0
PAUSE = 0.005
"""Rest while the frames of what goes are looked through beside a live feed."""


async def keep_small(
    data: Path, settings: Settings, sinks: Sequence[Sink], session: str, clock: Clock, *, every: float = EVERY_SECONDS
) -> None:
    """Remove what is too old or too much, at once and every hour, until cancelled. `session`: the one that is being recorded.

    In a thread of its own: a sink whose server hangs may keep it waiting, and nobody else.
    """
    if not (settings.keep.tape_days or settings.keep.tape_gb):
        return
    worker = Worker("retention")
    asked = partial(committed, list(sinks))
    try:
        while True:
            work = partial(_prune, data, settings, asked, clock, session)
            for removal in await worker.call(work):
                tell = log.error if removal.error else log.info
                tell(words(removal), session=removal.session)
            await asyncio.sleep(every)
    finally:
        worker.stop()


def _prune(data: Path, settings: Settings, asked: retention.Committed, clock: Clock, session: str) -> list[retention.Removal]:
    try:
        return retention.prune(data, settings.keep, clock.now(), asked, checkpoint.stamp(), own=session, pause=PAUSE)
    except Exception as e:  # noqa: BLE001 - told, and tried again in an hour; the feed goes on
        log.warning("nothing was removed from the tape", reason=f"{type(e).__name__}: {e}")
        return []


def prune_once(root: Path, settings: Settings, *, dry_run: bool) -> list[retention.Removal]:
    """Raises ConfigError where a sink that is on cannot be opened: what it has cannot be told then."""
    sinks = make(root, settings)
    try:
        for sink in sinks:
            sink.open()
        act = retention.plan if dry_run else retention.prune
        return act(root, settings.keep, LiveClock().now(), partial(committed, sinks), checkpoint.stamp())
    finally:
        for sink in sinks:
            sink.close()


def words(r: retention.Removal, *, dry_run: bool = False) -> str:
    what = (
        f"{many(r.segments, 'segment')} of session {r.session}, frames {max(r.first_seq, 1)} to {r.last_seq}, {r.bytes} bytes"
    )
    if r.error:
        return f"{what}: not removed: {r.error}"
    return f"{what}: {'would be removed' if dry_run else 'removed'}{', which is all of it' if r.whole else ''}"
