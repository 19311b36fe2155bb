"""`tapeline decode`: other people's recordings in, events out. Its output is a contract: the event table of docs/events.md."""

import sys
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from tapeline.cli import context
from tapeline.engine.lines import bounded, decode_lines, open_lines
from tapeline.engine.pipeline import Pipeline
from tapeline.errors import UsageError
from tapeline.events import TYPES, Event, Metrics, to_json
from tapeline.venues.registry import VENUES, venue_class

CHUNK = 4096


def decode(
    venue: Annotated[str, Parameter(help=f"Whose messages they are: {', '.join(VENUES)}.")],
    file: Annotated[
        str,
        Parameter(
            allow_leading_hyphen=True, help="Lines of `<recv_ns> <raw message>` or the raw message alone; .gz too; - is stdin."
        ),
    ] = "-",
    *,
    events: Annotated[
        str,
        Parameter(
            help="Which events to print, comma-separated: trade, quote, book, bar, metrics, ticker, liquidation, status."
        ),
    ] = "",
    url: Annotated[
        str,
        Parameter(help="Address that the messages came from, where it decides what they mean (Bybit). Default: the file's."),
    ] = "",
) -> None:
    """Turn raw recorded frames into events, as JSON lines.

    They run through the same pipeline as live data: books are proved, gaps reported, bars made. REST book snapshots may stand
    among the lines. What cannot be read is counted and reported as a status event.
    """
    wanted = _wanted(events)
    protocol = venue_class(venue)()
    settings = context.load().settings.pipeline
    pipeline = Pipeline(settings if Metrics in wanted else msgspec.structs.replace(settings, metrics=()))
    lines = bounded(sys.stdin.buffer if file == "-" else open_lines(Path(file)))
    damage: list[str] = []
    made = decode_lines(protocol, _readable(lines, damage), url or file, pipeline)
    counts = dict.fromkeys(TYPES, 0)
    while chunk := list(islice(made, CHUNK)):
        _print([e for e in chunk if type(e) in wanted])
        for e in chunk:
            counts[str(e.__struct_config__.tag)] += 1
    stats = pipeline.stats()
    made_text = ", ".join(f"{n} {name}" for name, n in counts.items() if n) or "nothing"
    unknown = {kind: n for feed in pipeline.feeds.values() for kind, n in feed.decoder.unknown.items()}
    other = "; not used: " + ", ".join(f"{n} × {kind}" for kind, n in unknown.items()) if unknown else ""
    print(f"tapeline: {made_text}; {stats['gaps']} gaps, {stats['rejected']} rejected{other}", file=sys.stderr)  # noqa: T201  what it did, beside the data
    if damage:
        raise UsageError(f"{file} is damaged or cut off: {damage[0]}; the events above are those before the damage")


def _wanted(names: str) -> set[type[Event]]:
    chosen = [n.strip() for n in names.split(",") if n.strip()] or list(TYPES)
    for name in chosen:
        if name not in TYPES:
            raise UsageError(f"--events {names}: there is no event {name!r}; there are {', '.join(TYPES)}")
    return {TYPES[name] for name in chosen}


def _readable(lines: Iterable[bytes], damage: list[str]) -> Iterable[bytes]:
    """A damaged gzip ends the input; what is wrong with it is told in `damage`, after everything that could be read."""
    import gzip
    import zlib

    try:
        yield from lines
    except (EOFError, gzip.BadGzipFile, zlib.error, OSError) as e:
        damage.append(str(e))


def _print(events: list[Event]) -> None:
    if events:
        sys.stdout.buffer.write(b"\n".join([to_json(e) for e in events]) + b"\n")
