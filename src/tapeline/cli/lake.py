"""`tapeline lake`: what is in the lake, and its upkeep by hand.

A running session keeps its lake in order by itself; `compact` is for one that nobody writes: every folder then becomes as few files
as it can.
"""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from tapeline.cli import context, output
from tapeline.cli.live import say
from tapeline.clock import LiveClock
from tapeline.config import KeepSettings
from tapeline.errors import TapelineError, UsageError
from tapeline.lake.catalogue import read
from tapeline.lake.layout import STATE_FILE, root
from tapeline.lake.state import LakeFile

app = App(name="lake", help="List what is in the lake, and put its files together.", default_parameter=Parameter(negative=()))

Data = Annotated[Path | None, Parameter(help="Data directory; that of the settings where none is given.", show_default=False)]
NEVER = "9999-99-99"


class Held(msgspec.Struct, frozen=True):
    """What the lake holds of one kind and instrument. `compacted`: the share of its rows in files that were put together."""

    kind: str
    instrument: str
    days: int
    first: str
    last: str
    files: int
    rows: int
    bytes: int
    compacted: float


@app.command
def ls(data: Data = None, *, json: context.Json = False) -> None:
    """What is in the lake: kind, instrument, days, files, rows, bytes, the share of rows in large files."""
    found = held(read(_data(data)).files)
    if json:
        output.write_json(found)
        return
    table = [("kind", "instrument", "days", "from", "to", "files", "rows", "bytes", "compacted")]
    table += [
        (
            h.kind,
            h.instrument or "-",
            str(h.days),
            h.first,
            h.last,
            str(h.files),
            str(h.rows),
            str(h.bytes),
            f"{h.compacted:.0%}",
        )
        for h in found
    ]
    output.write(output.columns(table))


@app.command
def compact(data: Data = None) -> None:
    """Put the files of every folder together, those of today too. Refused while another process writes the lake."""
    from tapeline.lake.upkeep import Upkeep
    from tapeline.sinks.lake import LakeSink

    settings, place = context.load({}).settings, _data(data)
    if not (root(place) / STATE_FILE).exists():
        raise UsageError(f"there is no lake in {place}")
    sink = LakeSink(place)
    sink.open()
    try:
        upkeep = Upkeep(sink.store, lake=settings.lake, keep=KeepSettings(), clock=LiveClock(), tell=say, busy=True)
        upkeep.compact(today=NEVER)
        stats = upkeep.stats
    finally:
        sink.close()
    sizes = f"{stats.rows} rows written, {stats.bytes_before} -> {stats.bytes_after} bytes"
    output.write(f"{output.many(stats.merged_files, 'file')} became {stats.made_files}: {sizes}\n")
    if stats.errors or stats.left:
        raise TapelineError(f"the lake is not wholly compacted: {stats.error or 'some files cannot be read'}")


def held(files: Iterable[LakeFile]) -> list[Held]:
    """By kind and instrument."""
    groups: dict[tuple[str, str, str], list[LakeFile]] = defaultdict(list)
    for file in files:
        groups[file.kind, file.venue, file.symbol].append(file)
    return [
        _held(kind, f"{venue}:{symbol}" if symbol else venue, group) for (kind, venue, symbol), group in sorted(groups.items())
    ]


def _held(kind: str, instrument: str, files: list[LakeFile]) -> Held:
    dates = {f.date for f in files}
    rows = sum(f.rows for f in files)
    large = sum(f.rows for f in files if f.compacted)
    size = sum(f.bytes for f in files)
    return Held(kind, instrument, len(dates), min(dates), max(dates), len(files), rows, size, large / rows if rows else 0.0)


def _data(data: Path | None) -> Path:
    place = Path(context.load({"data": None if data is None else str(data)}).settings.data)
    if data is not None and not place.is_dir():
        raise UsageError(f"there is no data directory {data}")
    return place
