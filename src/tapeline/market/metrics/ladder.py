"""One side of a book at the instant of a sample: arrays of its best levels with their running sums, for all metrics that read
it.

It is read from the top, twice as deep each time that somebody asks for more, `MOST` levels at the deepest; what lies farther
out, or past what the book knows (`Book.bid_floor`), is not known: None, never the sum of what happens to be there.
"""

from typing import Literal

import numpy as np

from tapeline.market.book import Book
from tapeline.market.metrics.store import Floats

FIRST, MOST = 64, 4096


class Ladder:
    """`price` and `size`, best first, as deep as was read."""

    def __init__(self, book: Book, side: Literal["bids", "asks"]) -> None:
        self._book, self._side = book, side
        self._sign = -1.0 if side == "bids" else 1.0
        floor = book.bid_floor if side == "bids" else book.ask_ceiling
        self._edge = np.inf if floor is None else floor * self._sign  # the farthest that the book can speak of
        self._depth = 0
        self._ended = False
        self.price: Floats = np.empty(0)
        self.size: Floats = np.empty(0)
        self._read(FIRST)

    def _read(self, depth: int) -> None:
        prices, sizes, self._ended = self._book.top(self._side, depth, self._depth)
        self._depth = depth
        self.price = np.concatenate([self.price, prices])
        self.size = np.concatenate([self.size, sizes])
        self._far: Floats = self.price * self._sign  # the farther, the larger
        self._total: Floats = self.size.cumsum()

    def _may_deepen(self, wanted: int = 0) -> bool:
        """`wanted`: how deep to read, if that is known; at least half of what is read already is added."""
        if self._ended or self._depth >= MOST:
            return False
        self._read(min(max(wanted, self._depth + self._depth // 2), MOST))
        return True

    def best(self, levels: int) -> float | None:
        """The size of the best `levels` levels together; of all there are, where the book knows that there are no more."""
        while len(self.size) < levels:
            if not self._may_deepen():
                if not self._ended or self._edge < np.inf:
                    return None
                return float(self._total[-1]) if len(self._total) else 0.0
        return float(self._total[levels - 1])

    def within(self, price: float) -> float | None:
        """The size of all levels up to and including `price`."""
        limit = price * self._sign
        if limit > self._edge:
            return None
        wanted = self._book.within(self._side, price) + 1
        while not len(self._far) or self._far[-1] <= limit:
            if not self._may_deepen(wanted):
                if not self._ended:
                    return None
                break
        count = int(np.searchsorted(self._far, limit, side="right"))
        return float(self._total[count - 1]) if count else 0.0

    def fill(self, notional: float, contract_value: float | None) -> float | None:
        """The mean price at which a market order of that much of the quote asset fills; None where the book is too thin."""
        while True:
            worth = self.size * contract_value if contract_value else self.price * self.size
            paid = worth.cumsum()
            if len(paid) and paid[-1] >= notional:
                break
            if not self._may_deepen():
                return None
        last = int(np.searchsorted(paid, notional))
        before = float(paid[last - 1]) if last else 0.0
        got = float((worth[:last] / self.price[:last]).sum()) + (notional - before) / float(self.price[last])
        return notional / got
