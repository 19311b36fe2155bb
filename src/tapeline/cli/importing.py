"""What `tapeline import` does: look at the files, write a session beside the tape, move it there, feed the sinks, and tell."""

import csv
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path
from typing import TypeVar

import msgspec

from tapeline import __version__
from tapeline.cli import output
from tapeline.cli.feeding import HAS_IT, Fed, feed
from tapeline.cli.live import say
from tapeline.cli.output import many
from tapeline.cli.progress import advancing
from tapeline.config import SHAPING, Settings
from tapeline.engine.foreign import FORMATS, Format
from tapeline.engine.importing import Assembler, Recording, Tally, survey
from tapeline.engine.plain_files import PlainFile, PlainRows, Reject, Wanted, is_of_simulated, look
from tapeline.errors import UsageError
from tapeline.frames import Frame, Session, Source
from tapeline.tape import intake, reader
from tapeline.venues.base import Venue
from tapeline.venues.registry import venue_class

__all__ = ["FORMATS", "Wanted", "plain", "raw"]

COPY_BYTES = 1 << 20
TOLD_EVERY = 4096
F = TypeVar("F", Recording, PlainFile)


class Imported(msgspec.Struct):
    session: str
    frames: int
    lines: Tally
    made: Fed


def raw(settings: Settings, venue: str, files: Sequence[str], form: Format | None, url: str, *, as_json: bool) -> None:
    """Raw recordings of one venue, as one session."""
    protocol, root = venue_class(venue)(), Path(settings.data)
    with intake.staged(root) as place:
        new = _new(settings, [_survey(file, place, form, protocol) for file in files])
        if not new:
            return
        assembler, first = Assembler(protocol, new, url), min(r.first for r in new)
        frames = _told(assembler.frames(), assembler.tally)
        session, last = _write(settings, place, new, first, frames)
    _finish(settings, session, last, assembler.tally, as_json=as_json)


def plain(settings: Settings, files: Sequence[str], wanted: Wanted, rejects: str | None, *, as_json: bool) -> None:
    """CSV files, as one session."""
    root = Path(settings.data)
    with intake.staged(root) as place:
        new = _new(settings, [_look(file, place, wanted) for file in files])
        if not new:
            return
        for file in new:
            say(file.said())
        with _rejecting(rejects) as reject:
            rows = PlainRows(new, place, reject)
            ordered = rows.ordered()
            if (first := next(ordered, None)) is None:
                raise UsageError(f"no row can be used: {'; '.join(rows.tally.named[:3]) or 'there are none'}")
            frames = rows.frames(chain([first], ordered), is_of_simulated(first[1]))
            session, last = _write(settings, place, new, first[0], _told(frames, rows.tally))
    if rejects and rows.tally.bad:
        say(f"{rejects} has the {many(rows.tally.bad, 'row')} that could not be used")
    _finish(settings, session, last, rows.tally, as_json=as_json)


@contextmanager
def _rejecting(path: str | None) -> Iterator[Reject | None]:
    if path is None:
        yield None
        return
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "line", "reason", "row"))
        yield lambda name, line, reason, row: writer.writerow((name, line, reason, *row))


def _write(
    settings: Settings, place: Path, new: Sequence[Recording] | Sequence[PlainFile], first: int,
    frames: Callable[[Callable[[int], None]], Iterator[Frame]],
) -> tuple[str, int]:  # fmt: skip
    """The session's id and the seq of its last frame."""
    session = _session(settings, [f.source for f in new], first)
    with advancing("reading", "bytes", sum(f.bytes for f in new)) as advance:
        last = intake.write(place, session, first, frames(advance), settings.tape)
    intake.settle(place, Path(settings.data), session.id)
    return session.id, last


def _told(frames: Iterator[Frame], tally: Tally) -> Callable[[Callable[[int], None]], Iterator[Frame]]:
    def telling(advance: Callable[[int], None]) -> Iterator[Frame]:
        told = 0
        for n, frame in enumerate(frames):
            if n % TOLD_EVERY == 0:
                advance(tally.bytes - told)
                told = tally.bytes
            yield frame

    return telling


def _finish(settings: Settings, session: str, last: int, tally: Tally, *, as_json: bool) -> None:
    with advancing("into the sinks", "frames", last + 1) as advance:
        fed = feed(Path(settings.data), settings, session, last, advance)
    _report(Imported(session, last + 1, tally, fed), as_json=as_json)


def _survey(file: str, place: Path, wanted: Format | None, venue: Venue) -> Recording:
    path, name = _at(file, place)
    with advancing(f"looking at {name}", "bytes", 0) as advance:
        return survey(path, name, wanted, venue, advance)


def _look(file: str, place: Path, wanted: Wanted) -> PlainFile:
    path, name = _at(file, place)
    with advancing(f"looking at {name}", "bytes", 0) as advance:
        return look(path, name, wanted, advance)


def _at(file: str, place: Path) -> tuple[Path, str]:
    return (_spooled(place), "standard input") if file == "-" else (Path(file), Path(file).name)


def _spooled(place: Path) -> Path:
    """Standard input in a file: it is read twice, for its digest and for its lines."""
    with closing(tempfile.NamedTemporaryFile(dir=place, delete=False)) as file:
        shutil.copyfileobj(sys.stdin.buffer, file, COPY_BYTES)
    return Path(file.name)


def _new(settings: Settings, found: list[F]) -> list[F]:
    """Those that are not on the tape yet, each once. Of those that are, an import that was killed may not have fed the sinks."""
    root = Path(settings.data)
    known = intake.known_sources(root)
    new: dict[str, F] = {}
    for file in found:
        if file.digest in known:
            say(f"{file.name} was imported before, as session {known[file.digest]}: left out")
        elif file.digest in new:
            say(f"{file.name} is the same as {new[file.digest].name}: left out")
        else:
            new[file.digest] = file
            if file.damage:
                say(f"{file.damage}; what stands before the damage is imported")
    for session in dict.fromkeys(known[file.digest] for file in found if file.digest in known):
        last = next(info.last_seq for info in reader.sessions(root) if info.id == session)
        for sink, text in feed(root, settings, session, last).sinks.items():
            if text != HAS_IT:
                say(f"{sink}: {text} of session {session}")
    if not new:
        say("nothing is left to import")
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
        say(f"… and {lines.bad - len(lines.named)} more like these")
    say(f"{many(lines.messages, 'message')} in {many(done.frames, 'frame')} of session {done.session}")
    notes = {
        "could not be used": lines.bad,
        "had no time (the venue's own was taken)": lines.untimed,
        "had times that ran back (they were held)": lines.back,
    }
    for text, n in notes.items():
        if n:
            say(f"{many(n, 'line')} {text}")
    if lines.lost:
        say(f"the recording marks {many(lines.lost, 'lost connection')}")
    kinds = ", ".join(f"{n} {kind}" for kind, n in made.events.items()) or "nothing"
    say(f"made of it: {kinds}; {many(made.gaps, 'gap')}, {made.rejected} rejected")
    for sink, text in made.sinks.items():
        say(f"{sink}: {text}")
