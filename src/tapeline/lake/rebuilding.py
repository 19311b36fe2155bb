"""A book out of what was stored of it: updates and statuses, in the order in which they were made, into `market/book.py`'s own book.

    event                                             the book                        is then
    ─────────────────────────────────────────────────────────────────────────────────────────────────────────
    the session begins                                empty                           unproven: before the first snapshot
    snapshot                                          begins anew                     synced
    snapshot flagged BOOK_UNPROVEN                    begins anew                     unproven: nothing has continued it yet
    update                                            changed levels, cut if need be  synced
    update flagged BOOK_UNPROVEN                      as it was: it belongs to none   as it was
    update where there is no snapshot to change: it   as it was                       as it was
      lies on a day that retention took out
    status of it: resyncing, gap, crossed,            emptied                         unproven: what the status says
      disconnected; or of a hole in the tape

That is what the pipeline does, event by event, so the book is its book, level for level: the snapshot says from where on it knows
nothing (`bid_floor`, `ask_ceiling`) and how deep the venue keeps it (`depth`). One number is not stored with the events, how many
levels a side are kept at most (`pipeline.book_levels`); it comes from the tape's session, else from the default.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from tapeline.events import Flag, Level
from tapeline.market.book import Book

State = Literal["synced", "unproven"]
BOOK_UNPROVEN = int(Flag.BOOK_UNPROVEN)
ENDS = frozenset({"resyncing", "gap", "crossed", "disconnected"})
"""Kinds of status of the channel "book" after which there is no book, until a snapshot follows."""
BEGINS = "before the first snapshot"
JOINING = "no update has continued the snapshot yet"


class Kept(msgspec.Struct, frozen=True):
    """A book between two events, as a derived snapshot keeps it. Levels with size 0 are those that a side still remembers: they
    decide when it forgets its farthest.
    """

    bids: list[Level]
    asks: list[Level]
    bid_floor: float | None
    ask_ceiling: float | None
    depth: int | None
    bid_sweep: int
    ask_sweep: int
    state: State
    reason: str
    seq: int | None
    update_ts_event: int
    update_ts_recv: int


class Rebuilt:
    """Feed it one session's events of one instrument in order. `changed` counts levels changed since it was set to 0."""

    def __init__(self, max_levels: int) -> None:
        self.book = Book(max_levels)
        self.state: State = "unproven"
        self.reason = BEGINS
        self.depth = 0
        self.changed = 0
        self._begun = False  # a snapshot stands beneath

    def snapshot(
        self,
        levels: tuple[Sequence[Level], Sequence[Level]],
        seq: int | None,
        flags: int,
        times: tuple[int, int],
        edges: tuple[float | None, float | None],
        depth: int | None,
    ) -> None:
        bids, asks = levels
        self.depth, self._begun = depth or 0, True
        self.book.replace(bids, asks, 0, self.depth)
        self.book.narrow(*edges)
        self.changed += len(bids) + len(asks)
        self.book.seq = seq
        self.book.ts_event, self.book.ts_recv = times
        self.state, self.reason = ("unproven", JOINING) if flags & BOOK_UNPROVEN else ("synced", "")

    def update(self, bids: Sequence[Level], asks: Sequence[Level], seq: int | None, flags: int, times: tuple[int, int]) -> None:
        if flags & BOOK_UNPROVEN or not self._begun:
            return
        book = self.book
        if self.depth:
            book.apply_cut(bids, asks, self.depth)
        else:
            book.apply(bids, asks)
        self.changed += len(bids) + len(asks)
        if seq is not None:
            book.seq = seq
        book.ts_event, book.ts_recv = times
        self.state, self.reason = "synced", ""

    def end(self, kind: str, reason: str) -> None:
        """There is no book any more."""
        self.book.clear()
        self._begun = False
        self.state, self.reason = "unproven", f"{kind}: {reason}"

    def keep(self) -> Kept:
        book = self.book
        bids, asks = book.remembered()
        return Kept(
            bids, asks, book.bid_floor, book.ask_ceiling, self.depth or None, *book.sweeps,
            self.state, self.reason, book.seq, book.ts_event, book.ts_recv,
        )  # fmt: skip

    def resume(self, kept: Kept) -> None:
        """Go on where `keep` stood."""
        self.depth = kept.depth or 0
        self.book.restore(
            kept.bids, kept.asks, (kept.bid_floor, kept.ask_ceiling), (kept.bid_sweep, kept.ask_sweep), self.depth
        )
        self.book.seq, self.book.ts_event, self.book.ts_recv = kept.seq, kept.update_ts_event, kept.update_ts_recv
        self.state, self.reason = kept.state, kept.reason
        self._begun = kept.state == "synced" or kept.reason == JOINING
