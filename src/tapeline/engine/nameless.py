"""Book snapshots that name no instrument: a REST answer among recorded lines has no symbol in it (Binance's `/depth`).

A snapshot belongs to the book whose update ids run close by and whose prices are near. Both must agree, and of one book only:
a snapshot in the wrong book would make it silently wrong, so what is ambiguous waits, and is reported at the end if nothing
came to take it. A snapshot of a book that stands already is not needed.
"""

from collections.abc import Iterable
from enum import Enum
from statistics import median

from tapeline.engine.lane import Lane
from tapeline.market.sync import State
from tapeline.venues.base import BookMessage

ID_WINDOW = 5_000_000  # futures number all instruments together, some 100,000 ids a second
PRICE_FACTOR = 1.25
MOST_WAITING = 16


class Fit(Enum):
    NO = 0
    NEEDED = 1
    STANDS = 2


class Nameless:
    """The snapshots of one feed that wait for their book."""

    def __init__(self) -> None:
        self.waiting: list[BookMessage] = []

    def put(self, m: BookMessage) -> None:
        self.waiting.append(m)
        del self.waiting[:-MOST_WAITING]

    def place(self, lanes: Iterable[Lane]) -> list[tuple[Lane, BookMessage]]:
        """Those that have found their book, and no longer wait; what is not needed is let go."""
        found: list[tuple[Lane, BookMessage]] = []
        lanes = list(lanes)
        for m in list(self.waiting):
            fits = {lane: fit for lane in lanes if (fit := _fit(m, lane)) is not Fit.NO}
            if len(fits) != 1:
                continue
            self.waiting.remove(m)
            lane, fit = next(iter(fits.items()))
            if fit is Fit.NEEDED:
                found.append((lane, m))
        return found


def _fit(m: BookMessage, lane: Lane) -> Fit:
    sync = lane.sync
    if sync.state is State.BUFFERING and sync.buffer:
        first, last = sync.buffer[0][0].prev_seq, sync.buffer[-1][0].seq
        near = first - ID_WINDOW <= m.seq <= last + ID_WINDOW
        return Fit.NEEDED if near and _price_fits(m, _price(lane)) else Fit.NO
    if sync.state in (State.SYNCED, State.JOINING) and sync.book.seq is not None:
        near = abs(sync.book.seq - m.seq) <= ID_WINDOW
        return Fit.STANDS if near and _price_fits(m, sync.book.best_bid) else Fit.NO
    return Fit.NO


def _price(lane: Lane) -> float | None:
    """What the instrument costs: its last trade, else the middle of the levels that its waiting updates name."""
    if lane.trades.last_price:
        return lane.trades.last_price
    named = [price for m, _ in lane.sync.buffer for price, _ in (*m.bids, *m.asks)]
    return median(named) if named else None


def _price_fits(m: BookMessage, price: float | None) -> bool:
    best = max((p for p, _ in m.bids), default=None) or min((p for p, _ in m.asks), default=None)
    return price is None or best is None or 1 / PRICE_FACTOR < best / price < PRICE_FACTOR
