"""`tapeline import`: other programs' recordings onto the tape, and from there into the sinks (docs/export-import.md)."""

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cyclopts import Parameter

from tapeline import __version__
from tapeline.cli import context, output
from tapeline.cli.feeding import Fed, feed
from tapeline.cli.live import say
from tapeline.cli.options import Data
from tapeline.cli.output import many
from tapeline.cli.progress import advancing
from tapeline.config import SHAPING, Settings
from tapeline.engine.foreign import FORMATS, Format
from tapeline.engine.importing import Assembler, Recording, Tally, survey
from tapeline.frames import Frame, Session, Source
from tapeline.tape import intake
from tapeline.venues.base import Venue
from tapeline.venues.registry import VENUES, venue_class

COPY_BYTES = 1 << 20
TOLD_EVERY = 4096


def import_(
    venue: Annotated[str, Parameter(help=f"Whose messages they are: {', '.join(VENUES)}.")],
    file: Annotated[
        str,
        Parameter(allow_leading_hyphen=True, help="Raw messages, a line each, .gz and .zst too; - is standard input."),
    ] = "-",
    *files: Annotated[str, Parameter(help="Further files of the same recording.")],
    format_: Annotated[
        Literal["auto", "tardis", "cryptofeed", "hftbacktest", "lines"],
        Parameter(name="--format", help="Who wrote them; auto tells by the first lines."),
    ] = "auto",
    data: Data = None,
    url: Annotated[str, Parameter(help="Address that the messages came from, where it decides what they mean (Bybit).")] = "",
    json: context.Json = False,
) -> None:
    """Bring recordings of other programs onto the tape and into the sinks.

    The files become one session with the recording's own receive times. What cannot be read is counted, told and kept on the
    tape. A file that was imported before is left out.
    """
    settings = context.load({"data": data}).settings
    wanted: Format | None = next((f for f in FORMATS if f == format_), None)
    _raw(settings, venue_class(venue)(), (file, *files), wanted, url, as_json=json)


def _raw(settings: Settings, venue: Venue, files: Sequence[str], wanted: Format | None, url: str, *, as_json: bool) -> None:
    root = Path(settings.data)
    with intake.staged(root) as place:
        new = _new(root, [_survey(name, place, wanted, venue) for name in files])
        if not new:
            say("nothing is left to import")
            return
        assembler, first = Assembler(venue, new, url), min(r.first for r in new)
        session = _session(settings, [r.source for r in new], first)
        with advancing("reading", "bytes", sum(r.bytes for r in new)) as advance:
            last = intake.write(place, session, first, _told(assembler, advance), settings.tape)
        intake.settle(place, root, session.id)
    with advancing("into the sinks", "frames", last + 1) as advance:
        fed = feed(root, settings, session.id, last, advance)
    _report(Imported(session.id, last + 1, assembler.tally, fed), as_json=as_json)


class Imported(msgspec.Struct):
    session: str
    frames: int
    lines: Tally
    made: Fed


def _told(assembler: Assembler, advance: Callable[[int], None]) -> Iterator[Frame]:
    told = 0
    for n, frame in enumerate(assembler.frames()):
        if n % TOLD_EVERY == 0:
            advance(assembler.tally.bytes - told)
            told = assembler.tally.bytes
        yield frame


def _survey(file: str, place: Path, wanted: Format | None, venue: Venue) -> Recording:
    path, name = (_spooled(place), "standard input") if file == "-" else (Path(file), Path(file).name)
    with advancing(f"looking at {name}", "bytes", 0) as advance:
        recording = survey(path, name, wanted, venue, advance)
    if recording.damage:
        say(f"{recording.damage}; what stands before the damage is imported")
    return recording


def _spooled(place: Path) -> Path:
    """Standard input in a file: it is read twice, for its digest and for its lines."""
    with closing(tempfile.NamedTemporaryFile(dir=place, delete=False)) as file:
        shutil.copyfileobj(sys.stdin.buffer, file, COPY_BYTES)
    return Path(file.name)


def _new(root: Path, found: list[Recording]) -> list[Recording]:
    """Those that are not on the tape yet, each once."""
    known = intake.known_sources(root)
    new: dict[str, Recording] = {}
    for recording in found:
        if recording.digest in known:
            say(f"{recording.name} was imported before, as session {known[recording.digest]}: left out")
        elif recording.digest in new:
            say(f"{recording.name} is the same as {new[recording.digest].name}: left out")
        else:
            new[recording.digest] = recording
    return list(new.values())


def _session(settings: Settings, sources: list[Source], first: int) -> Session:
    return Session(
        id=intake.session_id(first, sources),
        version=__version__,
        pipeline=msgspec.to_builtins(settings.pipeline),
        venues={name: {key: getattr(v, key) for key in SHAPING} for name, v in settings.venues.items()},
        note="imported",
        sources=sources,
    )


def _report(done: Imported, *, as_json: bool) -> None:
    if as_json:
        output.write_json(done)
        return
    lines, made = done.lines, done.made
    for text in lines.named:
        say(text)
    if lines.bad > len(lines.named):
        say(f"… and {lines.bad - len(lines.named)} more lines like these")
    notes = {
        "could not be read (they are on the tape as they are)": lines.bad,
        "had no time (the venue's own was taken)": lines.untimed,
        "had times that ran back (they were held)": lines.back,
    }
    say(f"{many(lines.messages, 'message')} in {many(done.frames, 'frame')} of session {done.session}")
    for text, n in notes.items():
        if n:
            say(f"{many(n, 'line')} {text}")
    if lines.lost:
        say(f"the recording marks {many(lines.lost, 'lost connection')}")
    kinds = ", ".join(f"{n} {kind}" for kind, n in made.events.items()) or "nothing"
    say(f"made of it: {kinds}; {many(made.gaps, 'gap')}, {made.rejected} rejected")
    for sink, text in made.sinks.items():
        say(f"{sink}: {text}")
