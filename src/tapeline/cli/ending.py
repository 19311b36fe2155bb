"""What is said when a session has ended, and the exit code it leaves with."""

from pathlib import Path

from tapeline.cli.live import say
from tapeline.cli.options import INTERRUPTED
from tapeline.cli.output import many
from tapeline.engine.collector import Collector


def summary(collector: Collector, data: Path) -> str:
    stats = collector.pipeline.stats()
    counts = ", ".join(
        many(n, word) for n, word in ((collector.frames, "frame"), (collector.events, "event"), (stats["gaps"], "gap"))
    )
    kept = f"{collector.mode} data of session {collector.session} in {data}/"
    if collector.tape is None:
        kept = f"{collector.mode} data, nothing of it is kept"
    elif collector.came_to_nothing:
        kept = f"nothing came in, and no session is kept in {data}/"
    if lost := collector.unrecorded:
        kept += f", without {many(lost, 'frame')} that the disk did not take: LOST"
    return f"{counts}, {many(stats['resyncs'], 'resync')}, {stats['rejected']} rejected; {kept}"


def told(collector: Collector, data: Path, *, stopped: bool) -> int:
    """Say what came of a session; its exit code. Frames that were lost are a failure, though the feed was none."""
    say(summary(collector, data))
    return INTERRUPTED if stopped else 1 if collector.unrecorded else 0
