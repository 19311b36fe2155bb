"""Metrics of a book after one update: mid, spread, imbalance, microprice.

    mid          (bid + ask) / 2
    spread       ask − bid, as the decimal that it is: 0.01, not 0.010000000002;  in basis points 10⁴ · spread / mid
    imbalance    (B − A) / (B + A), B and A the summed sizes of the best N levels a side
    microprice   (bid · ask_size + ask · bid_size) / (bid_size + ask_size)   (Gatheral and Oomen 2010: the weighted mid)

A one-sided book has none of them: None, never 0; nor what would be divided by a size or a price of nothing, as venues print them
where there is no market.
"""

from math import floor, log10

from tapeline.events import Metrics
from tapeline.market.book import Book

Touch = tuple[float | None, float | None, float | None, float | None]


def book_metrics(
    book: Book | None, touch: Touch, levels: int, instrument: str, ts_event: int, ts_recv: int, flags: int
) -> Metrics:
    """`touch` is the book's own: whoever publishes a quote has it at hand. Without a book there is no imbalance."""
    bid, bid_size, ask, ask_size = touch
    if bid is None or ask is None or bid_size is None or ask_size is None:
        return Metrics(instrument, ts_event, ts_recv, flags, None, None, None, None, None, book.seq if book else None)
    # Prices have at most 15 significant digits, so their difference is a multiple of the 15th digit's place.
    mid, spread = (bid + ask) / 2, round(ask - bid, 14 - floor(log10(max(abs(bid), abs(ask)) or 1.0)))
    total_bid, total_ask = book.sizes(levels) if book else (0.0, 0.0)
    near, total = bid_size + ask_size, total_bid + total_ask
    return Metrics(
        instrument,
        ts_event,
        ts_recv,
        flags,
        mid,
        spread,
        10_000 * spread / mid if mid else None,
        (total_bid - total_ask) / total if total else None,
        (bid * ask_size + ask * bid_size) / near if near else None,
        book.seq if book else None,
    )
