"""One level-2 order book.

Each side is a dict from price to size and a sorted list of keys with the best level at the end: bids by price, asks by
negated price. The touch is then `keys[-1]`, and as most changes happen near the touch, inserting moves few list entries.

A snapshot that was cut at a limit knows nothing past its last level. That boundary (`bid_floor`, `ask_ceiling`) is kept:
levels beyond it are applied when they change, but never reported, because what lies between them is unknown.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence

from tapeline.events import Level


class Book:
    __slots__ = (
        "_ask_keys",
        "_bid_keys",
        "ask_ceiling",
        "asks",
        "bid_floor",
        "bids",
        "max_levels",
        "seq",
        "ts_event",
        "ts_recv",
    )

    def __init__(self, max_levels: int = 10_000) -> None:
        self.max_levels = max_levels
        self.bids: dict[float, float] = {}
        self.asks: dict[float, float] = {}
        self._bid_keys: list[float] = []
        self._ask_keys: list[float] = []
        self.bid_floor: float | None = None
        self.ask_ceiling: float | None = None
        self.seq: int | None = None
        self.ts_event = 0
        self.ts_recv = 0

    def clear(self) -> None:
        self.bids.clear()
        self.asks.clear()
        self._bid_keys.clear()
        self._ask_keys.clear()
        self.bid_floor = self.ask_ceiling = self.seq = None

    def replace(self, bids: Iterable[Level], asks: Iterable[Level], limit: int = 0) -> None:
        """Begin anew from a snapshot. `limit`: levels a side that were asked for; a side that full was cut there."""
        self.bids = {p: s for p, s in bids if s}
        self.asks = {p: s for p, s in asks if s}
        self._bid_keys = sorted(self.bids)
        self._ask_keys = sorted(-p for p in self.asks)
        self.bid_floor = self._bid_keys[0] if limit and len(self.bids) >= limit else None
        self.ask_ceiling = -self._ask_keys[0] if limit and len(self.asks) >= limit else None

    def apply(self, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        """Set levels to their new absolute sizes, in order; 0 removes, and removing what is not there is normal."""
        side, keys = self.bids, self._bid_keys
        for price, size in bids:
            if size:
                if price not in side:
                    insort(keys, price)
                side[price] = size
            elif side.pop(price, None) is not None:
                del keys[bisect_left(keys, price)]
        if len(keys) > self.max_levels:
            self.bid_floor = _trim(side, keys, self.max_levels, 1.0, self.bid_floor)
        side, keys = self.asks, self._ask_keys
        for price, size in asks:
            if size:
                if price not in side:
                    insort(keys, -price)
                side[price] = size
            elif side.pop(price, None) is not None:
                del keys[bisect_left(keys, -price)]
        if len(keys) > self.max_levels:
            self.ask_ceiling = _trim(side, keys, self.max_levels, -1.0, self.ask_ceiling)

    @property
    def best_bid(self) -> float | None:
        return self._bid_keys[-1] if self._bid_keys else None

    @property
    def best_ask(self) -> float | None:
        return -self._ask_keys[-1] if self._ask_keys else None

    @property
    def crossed(self) -> bool:
        """Best bid at or above best ask: never true of a correct book in continuous trading."""
        b, a = self._bid_keys, self._ask_keys
        return bool(b and a and b[-1] >= -a[-1])

    def touch(self) -> tuple[float | None, float | None, float | None, float | None]:
        """(bid, bid_size, ask, ask_size); None for an empty side."""
        bid, ask = self.best_bid, self.best_ask
        return bid, None if bid is None else self.bids[bid], ask, None if ask is None else self.asks[ask]

    def sizes(self, levels: int) -> tuple[float, float]:
        """Total size of the best `levels` levels: (bids, asks)."""
        bids, asks = self.bids, self.asks
        return sum([bids[k] for k in self._bid_keys[-levels:]]), sum([asks[-k] for k in self._ask_keys[-levels:]])

    def depth(self, levels: int) -> tuple[list[Level], list[Level]]:
        """The best `levels` levels of each side, best first; nothing from beyond the known range."""
        floor, ceiling = self.bid_floor, self.ask_ceiling
        bids = [(p, self.bids[p]) for p in self._bid_keys[: -levels - 1 : -1] if floor is None or p >= floor]
        asks = [(-k, self.asks[-k]) for k in self._ask_keys[: -levels - 1 : -1] if ceiling is None or -k <= ceiling]
        return bids, asks


def _trim(side: dict[float, float], keys: list[float], most: int, sign: float, known: float | None) -> float:
    """Forget the levels farthest from the touch; the range known to be complete ends where they were cut."""
    for key in keys[: len(keys) - most]:
        del side[key * sign]
    del keys[: len(keys) - most]
    edge = keys[0] * sign
    if known is None:
        return edge
    return max(edge, known) if sign > 0 else min(edge, known)
