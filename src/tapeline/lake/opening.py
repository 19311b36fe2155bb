"""The book as it stood where a span begins: the first update of an export that starts in the middle of a session.

Without it, updates would be applied to nothing. It is folded from the last snapshot before the span; where the book was not whole at
that moment (a gap, a lost connection, a new session) there is none, and the first snapshot within the span is the first book.
"""

from collections.abc import Iterator
from heapq import merge
from pathlib import Path
from typing import Any

from tapeline.events import BookUpdate, Flag, Status
from tapeline.lake import rows
from tapeline.lake.catalogue import read
from tapeline.lake.layout import DAY
from tapeline.lake.rows import Selection
from tapeline.lake.views import quoted
from tapeline.market.book import Book

BEFORE_ALL = ("", -1)
EVERY = 1 << 30
UNPROVEN = int(Flag.BOOK_UNPROVEN)
_ENDS = "kind IN ('gap', 'resyncing', 'crossed') AND channel = 'book'"
Numbered = tuple[tuple[str, int], BookUpdate]


def updates(data: Path, instrument: str, start: int | None, end: int | None) -> Iterator[tuple[int, list[Numbered]]]:
    """What makes the books of a span, a batch at a time: (rows read, updates by (session, n)). The book at its start comes first."""
    if start is not None and (opened := opening(data, instrument, start)) is not None:
        yield 0, [(BEFORE_ALL, opened)]
    for batch in rows.batches(data, rows.book_selection(instrument, start, end), "made"):
        yield batch.num_rows, list(rows.numbered(BookUpdate, [batch]))


def opening(data: Path, instrument: str, start: int) -> BookUpdate | None:
    """The book of all updates before `start` (`ts_event`, ns), dated by the last of them; None where it was not whole."""
    if (found := _last_snapshot(data, instrument, start)) is None:
        return None
    day, (session, n) = found
    where = f"(session_id > {quoted(session)} OR (session_id = {quoted(session)} AND n >= {n}))"
    made: Any = rows.numbered(BookUpdate, _read(data, "book_updates", instrument, day, start, where))
    told: Any = rows.numbered(Status, _read(data, "status", instrument, day, start, f"{where} AND {_ENDS}"))
    book, last, of = Book(), None, ""
    for (made_in, _), event in merge(made, told, key=lambda item: item[0]):
        if isinstance(event, Status) or (not event.snapshot and (event.flags & UNPROVEN or made_in != of)):
            last = None
        elif event.snapshot:
            book.replace(event.bids, event.asks)
            last, of = event, made_in
        elif last is not None:
            book.apply(event.bids, event.asks)
            last = event
    if last is None:
        return None
    bids, asks = book.depth(EVERY)
    flags = int(Flag.SNAPSHOT) | last.flags & int(Flag.SIMULATED)
    return BookUpdate(instrument, last.ts_event, last.ts_recv, flags, bids, asks, True, last.seq, None)


def _read(data: Path, view: str, instrument: str, start: int, end: int, where: str) -> Iterator[Any]:
    return rows.batches(data, Selection(view, (instrument,), start, end, where), "made")


def _last_snapshot(data: Path, instrument: str, before: int) -> tuple[int, tuple[str, int]] | None:
    """(the day it lies under, its session and number), looked for from day to day back."""
    files = read(data).chosen("book", (instrument,), None, before)
    first = min((f.first_ts for f in files), default=before)
    day = (before - 1) // DAY * DAY
    while day + DAY > first:
        last = None
        for batch in _read(data, "book_updates", instrument, day, min(before, day + DAY), "snapshot"):
            last = batch.column("session_id")[-1].as_py(), batch.column("n")[-1].as_py()
        if last is not None:
            return day, last
        day -= DAY
    return None
