"""Windows over stored events, in the order in which they were made, so that they equal those that were live.

What a pipeline made stands in the lake by (session, n). The events that are windowed and the statuses, which tell what is
missing, are read in that order and go through the same operator as live. All that a live operator sees besides only moves its
clock, and how far that went in the end the files' footers say.

Read are committed rows, of all days sorted together by DuckDB, in bounded memory.
"""

from collections.abc import Iterator
from functools import partial
from heapq import merge
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from tapeline.errors import UsageError
from tapeline.events import Event, Status
from tapeline.instruments import split_id
from tapeline.lake import known, rows, scan, views
from tapeline.lake.catalogue import Catalogue, fresh
from tapeline.lake.rows import Selection
from tapeline.market.windows.operator import Windows
from tapeline.market.windows.over import Door, LateTo, Over

VIEWS = {kind: name for name, kind in views.VIEWS.items() if name != "bars"}


class Asked(NamedTuple):
    """Times in ns, None is all there is."""

    instruments: tuple[str, ...]
    start: int | None
    end: int | None


def windows(data: Path, asked: Asked, operator: Windows, late: LateTo | None) -> Over:
    """Raises UsageError where there is no such event or instrument, IntegrityError as they are read."""
    for name in asked.instruments:
        split_id(name)
    if not asked.instruments:
        raise UsageError(
            "windows() needs at least one instrument, as in lake.windows('binance:BTC-USDT', tl.tumbling('1m'), 'vwap')"
        )
    known.check(data, asked.instruments)
    until = partial(fresh, data, partial(_until, instruments=asked.instruments))
    return Over(_events(data, asked, operator.of), Door(operator, late), asked.end, until)


def _events(data: Path, asked: Asked, of: type[Event]) -> Iterator[Any]:
    """The events, and the statuses of these instruments and of their venues' connections."""
    names = ", ".join(map(views.quoted, ("", *asked.instruments)))
    mine = Selection(VIEWS[of], asked.instruments, asked.start, asked.end)
    said = Selection(VIEWS[Status], (), asked.start, asked.end, f"instrument IN ({names})")
    chosen: dict[type[Event], Selection] = {of: mine, Status: said}
    found = [rows.numbered(kind, rows.batches(data, s, "made", at_once=True)) for kind, s in chosen.items()]
    for _, event in merge(*found, key=itemgetter(0)):
        yield event


def _until(catalogue: Catalogue, instruments: tuple[str, ...]) -> int | None:
    """Our clock when the last of all events of these instruments was made."""
    wanted = {split_id(name) for name in instruments}
    venues = {venue for venue, _ in wanted}
    files = [f for f in catalogue.files if (f.venue, f.symbol) in wanted or (f.venue in venues and not f.symbol)]
    spans = [g.spans["ts_recv"][1] for _, found in scan.in_order(catalogue, files) for g in found if "ts_recv" in g.spans]
    return max(spans, default=None)
