"""What is told of a book while it is kept: its updates, its touch, its metrics, and the status events of its synchronisation."""

from tapeline.config import PipelineSettings
from tapeline.events import BookUpdate, Event, Quote, Status, StatusKind
from tapeline.market.book import Book
from tapeline.market.metrics.per_update import book_metrics
from tapeline.venues.base import UNNUMBERED, BookMessage


class Teller:
    """Appends events of one instrument to `out`. `flags` are added to those of every message (SIMULATED)."""

    def __init__(self, instrument: str, venue: str, settings: PipelineSettings, flags: int) -> None:
        self.instrument, self.venue, self.settings, self.flags = instrument, venue, settings, flags

    def book(self, m: BookMessage, ts_recv: int, out: list[Event], flags: int, *, touch: Book | None = None) -> None:
        """What a message says of the book; with `touch`, the book after it, its best bid and offer and its metrics, too."""
        name, flags, snapshot = self.instrument, flags | m.flags | self.flags, m.kind != "diff"
        seq = None if m.seq == UNNUMBERED else m.seq
        prev_seq = None if snapshot or seq is None else m.prev_seq
        if snapshot and touch is not None:
            edges = touch.bid_floor, touch.ask_ceiling
            out.append(BookUpdate(name, m.ts_event, ts_recv, flags, m.bids, m.asks, True, seq, None, *edges, m.cut or None))
        else:
            out.append(BookUpdate(name, m.ts_event, ts_recv, flags, m.bids, m.asks, snapshot, seq, prev_seq))
        if touch is not None:
            touch.ts_event, touch.ts_recv = m.ts_event, ts_recv
            best = touch.touch()
            out.append(Quote(name, m.ts_event, ts_recv, flags, *best, seq, "book"))
            out.append(book_metrics(touch, best, self.settings.imbalance_levels, name, m.ts_event, ts_recv, flags))

    def status(
        self,
        kind: StatusKind,
        reason: str,
        ts_recv: int,
        out: list[Event],
        from_seq: int | None = None,
        to_seq: int | None = None,
    ) -> None:
        count = None if from_seq is None or to_seq is None else to_seq - from_seq + 1
        out.append(
            Status(self.instrument, ts_recv, ts_recv, self.flags, kind, self.venue, "book", reason, from_seq, to_seq, count)
        )
