"""Keeping what a book knows around the market.

A snapshot tells so many levels and no more (Binance: 5,000 on spot, 1,000 on futures, there some 0.1 % of the price), and what
lies past the last one is not known until it changes. As the market moves towards that edge, less and less depth can be shown. So,
when three quarters of the way are gone, a new snapshot is asked for while the book goes on; the diffs that come meanwhile are
kept, the new snapshot is brought up to date by them, and the book that results takes the old one's place. That is a proof besides:
both books stand at the same update and must have the same touch.

At most one request in 30 s, and at most `MOST_KEPT` diffs are kept for it: an answer that takes longer is not waited for.
"""

from collections import deque
from collections.abc import Callable

from tapeline.clock import SECOND
from tapeline.market.book import Book
from tapeline.venues.base import BookMessage

PAUSE = 30 * SECOND
MOST_KEPT = 500
GONE = 0.75  # of the way from the touch to the edge
NOWHERE = float("inf")


class Renewal:
    """`request(not_before)` asks for a snapshot and says whether it could be asked for."""

    __slots__ = ("_answer", "_high", "_kept", "_low", "_next", "_request")

    def __init__(self, request: Callable[[int], bool]) -> None:
        self._request = request
        self._next = 0
        self.stop()

    def stop(self) -> None:
        """The book is given up: it will begin anew by itself."""
        self._kept: deque[BookMessage] | None = None
        self._answer: BookMessage | None = None
        self._low, self._high = -NOWHERE, NOWHERE

    def begin(self, book: Book) -> None:
        """A new snapshot stands: note where the market must not go."""
        self.stop()
        bid, ask, floor, ceiling = book.best_bid, book.best_ask, book.bid_floor, book.ask_ceiling
        if bid is not None and floor is not None:
            self._low = bid - GONE * (bid - floor)
        if ask is not None and ceiling is not None:
            self._high = ask + GONE * (ceiling - ask)

    def after(self, book: Book, m: BookMessage, ts_recv: int) -> Book | None:
        """`m` was applied. The renewed book, where one is ready."""
        if m.seq < m.prev_seq:
            self._kept = self._answer = None  # the venue's numbers began anew: ids of before cannot be compared
        if self._kept is None:
            bid, ask = book.best_bid, book.best_ask
            low, high = bid is not None and bid <= self._low, ask is not None and ask >= self._high
            if (low or high) and ts_recv >= self._next:
                self._next = ts_recv + PAUSE
                if self._request(ts_recv):
                    self._kept = deque()
            return None
        self._kept.append(m)
        if len(self._kept) > MOST_KEPT:
            self._kept = self._answer = None
            return None
        return self._ready(book)

    def answer(self, m: BookMessage, book: Book) -> Book | None:
        """The snapshot came. The renewed book, where the kept diffs continue it up to where the old one stands."""
        if self._kept is None:
            return None
        self._answer = m
        return self._ready(book)

    def refused(self) -> None:
        self._kept = self._answer = None

    def _ready(self, book: Book) -> Book | None:
        m, kept = self._answer, self._kept
        if m is None or kept is None or book.seq is None or book.seq < m.seq:
            return None  # not there, or of a moment that the stream has not reached
        self._kept = self._answer = None
        if kept[0].prev_seq > m.seq if kept else book.seq > m.seq:
            return None  # older than the first diff kept
        renewed = Book(book.max_levels)
        renewed.replace(m.bids, m.asks, m.limit)
        for diff in kept:
            if diff.seq > m.seq:
                renewed.apply(diff.bids, diff.asks)
        renewed.seq, renewed.ts_event, renewed.ts_recv = book.seq, book.ts_event, book.ts_recv
        return renewed
