"""The book as it stood where a span begins: the first update of an export that starts in the middle of a session.

Without it, updates would be applied to nothing. Where the book was not whole at that moment (a gap, a lost connection, a new
session) there is none, and the first snapshot within the span is the first book.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tapeline.engine.connections import is_simulated
from tapeline.events import BookUpdate, Flag
from tapeline.lake import rows
from tapeline.lake.books import BookAt, book
from tapeline.lake.catalogue import Catalogue, fresh

BEFORE_ALL = ("", -1)
Numbered = tuple[tuple[str, int], BookUpdate]


def updates(data: Path, instrument: str, start: int | None, end: int | None) -> Iterator[tuple[int, list[Numbered]]]:
    """What makes the books of a span, a batch at a time: (rows read, updates by (session, n)). The book at its start comes first."""
    if start is not None and (opened := opening(data, instrument, start)) is not None:
        yield 0, [(BEFORE_ALL, opened)]
    for batch in rows.batches(data, rows.book_selection(instrument, start, end), "made"):
        yield batch.num_rows, list(rows.numbered(BookUpdate, [batch]))


def opening(data: Path, instrument: str, start: int) -> BookUpdate | None:
    """The book of all updates before `start` (`ts_event`, ns), dated by the last of them; None where it was not whole."""
    found = fresh(data, partial(_book, instrument, start - 1))
    if found is None or found.state != "synced" or found.ts_event is None or found.ts_recv is None:
        return None
    flags = int(Flag.SNAPSHOT | Flag.SIMULATED) if is_simulated(instrument.partition(":")[0]) else int(Flag.SNAPSHOT)
    return BookUpdate(instrument, found.ts_event, found.ts_recv, flags, found.bids, found.asks, True, found.seq, None)


def _book(instrument: str, at: int, catalogue: Catalogue) -> BookAt | None:
    if not catalogue.chosen("book", (instrument,)):
        return None
    return book(catalogue, instrument, at, by="event")
