"""The digits of a book, for checksums that a venue computes from its own texts.

A float64 holds every price and size, but not how the wire prints them (`0.00100000`), and that is what Kraken and OKX sum up. So
the texts of a book's levels are kept beside it, by price, and only those of the best levels are looked up. Texts of levels that have
gone stay until a sweep: they cost nothing, as a level that comes back brings its own.
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
        """Note the texts of a message's levels, in order, as a price may occur twice; of a whole book, in place of all others.

        ValueError where levels and texts are not as many.
        """
        if m.kind != "diff":
            self._bids, self._asks = {}, {}
        for texts, levels, printed in ((self._bids, m.bids, m.bid_texts), (self._asks, m.asks, m.ask_texts)):
            if printed:
                for (price, _), text in zip(levels, printed, strict=True):
                    texts[price] = text

    def of(self, book: Book) -> int | None:
        """The checksum of the book as it stands; None where a level came without its text, so that nothing can be said."""
        bids, asks = book.prices(self._checksum.levels)
        bid_texts, ask_texts = self._bids, self._asks
        try:
            value = self._checksum.of([bid_texts[p] for p in bids], [ask_texts[p] for p in asks])
        except KeyError:
            return None
        if len(bid_texts) + len(ask_texts) > self._sweep_at:
            self._sweep(book)
        return value

    def _sweep(self, book: Book) -> None:
        live_bids, live_asks = book.bids, book.asks
        self._bids = {p: text for p, text in self._bids.items() if p in live_bids}
        self._asks = {p: text for p, text in self._asks.items() if p in live_asks}
        self._sweep_at = 2 * (len(self._bids) + len(self._asks)) + SLACK
