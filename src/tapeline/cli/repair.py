"""`tapeline repair`: lake and SQLite as the tape says they should be.

First every sink that is on is brought up to date, as the next start would do it. Then tape, lake and SQLite are proved against each
other, and what does not hold is made anew from the tape (`sinks/rebuild.py`), beside the old one. Nothing here changes the tape.
"""

from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tapeline.audit.audit import audit, check
from tapeline.audit.report import Report
from tapeline.audit.words import page
from tapeline.cli import context, output
from tapeline.cli.live import say
from tapeline.cli.progress import counting
from tapeline.config import Settings
from tapeline.engine.replay import batches
from tapeline.errors import ConfigError, UsageError
from tapeline.sinks import rebuild
from tapeline.sinks.recovery import repair as bring_in
from tapeline.sinks.registry import make
from tapeline.tape import reader


def repair(
    data: Annotated[Path | None, Parameter(help="Data directory; that of the settings by default.", show_default=False)] = None,
    *,
    anew: Annotated[
        list[str] | None,
        Parameter(help="Make this sink anew whatever its state: lake or sqlite; repeatable.", show_default=False),
    ] = None,
    json: context.Json = False,
) -> None:
    """Bring every sink up to date from the tape, prove lake and SQLite, and make anew what does not hold. Exit code 5 where
    something is left that cannot be repaired: a damaged tape.
    """
    settings = context.load({"data": None if data is None else str(data)}).settings
    root = Path(settings.data)
    if not root.is_dir():
        raise UsageError(f"there is no data directory {root}")
    rebuild.check(anew or ())
    for name in rebuild.settle(root):
        say(f"{name}: an interrupted repair is finished")
    if anew:
        _anew(root, sorted(set(anew)))
    _up_to_date(root, settings)
    report = _audit(root)
    if broken := sorted({p.what for p in report.broken} & rebuild.PLACES.keys()):
        say(f"{' and '.join(broken)} will be made anew from the tape")
        _anew(root, broken)
        report = _audit(root)
    if json:
        output.write_json(report)
    else:
        output.write(page(report))
    check(report)


def _audit(root: Path) -> Report:
    with counting("reading the tape", "frames") as progress:
        return audit(root, progress)


def _up_to_date(root: Path, settings: Settings) -> None:
    """What the next start would bring in. A sink that cannot be opened because its state is damaged is left to be made anew."""
    ends = {s.id: s.last_seq for s in reader.sessions(root) if s.frames and not s.live}
    sinks = []
    try:
        for sink in make(root, settings):
            try:
                sink.open()
            except ConfigError as e:
                if "another tapeline" in str(e) or sink.name not in rebuild.PLACES:
                    raise
                say(f"{sink.name}: {e}")
                continue
            sinks.append(sink)
        for done in bring_in(root, sinks, ends, partial(batches, root, single=True)):
            if done.error:
                say(done.error)
            elif done.events:
                say(f"{done.sink}: {done.events} events of session {done.session} brought in")
    finally:
        for sink in sinks:
            sink.close()


def _anew(root: Path, names: list[str]) -> None:
    damaged = {finding.session for finding in reader.verify(root) if not finding.noted}
    found = {
        s.id: rebuild.OnTape(s.last_seq, s.first_ts, s.last_ts, whole=s.segments[0].first_seq == 0 and s.id not in damaged)
        for s in reader.sessions(root)
        if s.frames and not s.live
    }
    for done in rebuild.rebuild(root, names, found, partial(batches, root), say):
        if done.error:
            say(done.error)
    say(f"{' and '.join(names)} made anew from {output.many(len(found), 'session')} of the tape")
