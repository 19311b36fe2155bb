"""The digits of a book, for checksums that a venue computes from its own texts.

A float64 holds every price and size, but not how the wire prints them (`0.00100000`), and that is what Kraken and OKX sum up. So the
texts of a book's levels are kept beside it, by price, and only those of the best levels are looked up.
"""

from tapeline.market.book import Book
from tapeline.venues.base import BookChecksum, BookMessage

SLACK = 2000  # texts of levels that have gone, before they are swept out
_Texts = dict[float, tuple[str, str]]


class Digits:
    def __init__(self, checksum: BookChecksum) -> None:
        self._checksum = checksum
        self._bids: _Texts = {}
        self._asks: _Texts = {}
        self._sweep_at = SLACK

    def take(self, m: BookMessage) -> None:
        """Note the texts of a message's levels; of a snapshot's, in place of all others."""
        if m.kind != "diff":
            self._bids, self._asks = {}, {}
        for texts, levels, printed in ((self._bids, m.bids, m.bid_texts), (self._asks, m.asks, m.ask_texts)):
            texts.update(zip([price for price, _ in levels], printed, strict=True))

    def of(self, book: Book) -> int:
        """The checksum of the book as it stands. KeyError where a level came without its text."""
        bids, asks = book.depth(self._checksum.levels)
        value = self._checksum.of([self._bids[p] for p, _ in bids], [self._asks[p] for p, _ in asks])
        if len(self._bids) + len(self._asks) > self._sweep_at:
            self._sweep(book)
        return value

    def _sweep(self, book: Book) -> None:
        live_bids, live_asks = book.bids, book.asks
        self._bids = {p: text for p, text in self._bids.items() if p in live_bids}
        self._asks = {p: text for p, text in self._asks.items() if p in live_asks}
        self._sweep_at = 2 * (len(self._bids) + len(self._asks)) + SLACK
