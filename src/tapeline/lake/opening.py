"""The book as it stood where a span begins: the first update of an export that starts in the middle of a session.

Without it, updates would be applied to nothing. Where the book was not whole at that moment (a gap, a lost connection, a new
session) there is none, and the first snapshot within the span is the first book.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec

from tapeline.engine.connections import is_simulated
from tapeline.events import BookUpdate, Flag, Level
from tapeline.lake import rows
from tapeline.lake.books import BookAt, book
from tapeline.lake.catalogue import Catalogue, fresh
from tapeline.lake.layout import DAY
from tapeline.lake.rows import Selection

BEFORE_ALL = ("", -1)
Numbered = tuple[tuple[str, int], BookUpdate]


def updates(data: Path, instrument: str, start: int | None, end: int | None) -> Iterator[tuple[int, list[Numbered]]]:
    """What makes the books of a span, a batch at a time: (rows read, updates by (session, n)). The book at its start comes first."""
    cut = _Cut()
    if start is not None and (opened := opening(data, instrument, start)) is not None:
        yield 0, [(BEFORE_ALL, cut.told(opened))]
    for batch in rows.batches(data, rows.book_selection(instrument, start, end), "made"):
        yield batch.num_rows, [(key, cut.told(update)) for key, update in rows.numbered(BookUpdate, [batch])]


class _Cut:
    """Says what goes without a word: where a venue keeps the best levels only (`BookUpdate.depth`), those that are pushed out. Who
    does not know that rule would have them for ever, and see them again when the levels before them are gone.
    """

    def __init__(self) -> None:
        self._depth: int | None = None
        self._sides: tuple[dict[float, float], dict[float, float]] = ({}, {})

    def told(self, m: BookUpdate) -> BookUpdate:
        """The update, with the removals that follow from it."""
        if m.snapshot:
            self._depth, self._sides = m.depth, ({}, {})
        if self._depth is None:
            return m
        bids, asks = (self._applied(side, levels, best_last=best_last) for side, levels, best_last in self._of(m))
        return m if bids is m.bids and asks is m.asks else msgspec.structs.replace(m, bids=bids, asks=asks)

    def _of(self, m: BookUpdate) -> tuple[tuple[dict[float, float], list[Level], bool], ...]:
        return (self._sides[0], m.bids, True), (self._sides[1], m.asks, False)

    def _applied(self, side: dict[float, float], levels: list[Level], *, best_last: bool) -> list[Level]:
        for price, size in levels:
            if size:
                side[price] = size
            else:
                side.pop(price, None)
        if self._depth is None or len(side) <= self._depth:
            return levels
        gone = sorted(side, reverse=best_last)[self._depth :]
        for price in gone:
            del side[price]
        return [*levels, *((price, 0.0) for price in gone)]


def opening(data: Path, instrument: str, start: int) -> BookUpdate | None:
    """The book of all updates before `start` (`ts_event`, ns), dated by the last of them; None where it was not whole."""
    found = fresh(data, partial(_book, instrument, start - 1))
    if found is None or found.state != "synced" or found.ts_event is None or found.ts_recv is None:
        return None
    flags = int(Flag.SNAPSHOT | Flag.SIMULATED) if is_simulated(instrument.partition(":")[0]) else int(Flag.SNAPSHOT)
    depth = _depth(data, instrument, start)
    return BookUpdate(
        instrument, found.ts_event, found.ts_recv, flags, found.bids, found.asks, True, found.seq, None, depth=depth
    )


def _depth(data: Path, instrument: str, before: int) -> int | None:
    """To how many levels the book of a venue is cut: what its latest snapshot of the day, or of the day before, said."""
    day = (before - 1) // DAY * DAY
    for start in (day, day - DAY):
        said = None
        for batch in rows.batches(
            data, Selection("book_updates", (instrument,), start, min(before, start + DAY), "snapshot"), "made"
        ):
            said = batch.column("depth")[-1]
        if said is not None:
            return None if said.as_py() is None else int(said.as_py())
    return None


def _book(instrument: str, at: int, catalogue: Catalogue) -> BookAt | None:
    if not catalogue.chosen("book", (instrument,)):
        return None
    return book(catalogue, instrument, at, by="event")
