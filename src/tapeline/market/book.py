"""One level-2 order book.

Each side is a dict from price to size and a sorted list of its keys with the best level at the end: bids by price, asks by
negated price. The touch is then `keys[-1]`, and as most changes happen near the touch, inserting moves few list entries.

Most levels that are removed come back soon, so a removed level stays in both with size 0, and coming back costs no more than a
change of size. Dead levels are taken off the end of the list at once, because the touch must be alive; elsewhere they are
skipped, and swept out when they may be half of a side. Measured on the recorded futures session: 1.8 × the speed of deleting.

A snapshot that was cut at a limit knows nothing past its last level. That boundary (`bid_floor`, `ask_ceiling`) is kept:
levels beyond it are applied when they change, but never reported, because what lies between them is unknown.
"""

from bisect import insort
from collections.abc import Iterable, Sequence

from tapeline.events import Level

SWEEP_AT = 1000  # removals a side before it is looked at


class _Side:
    """`sign` 1.0 for bids, −1.0 for asks: keys are sign × price, the best one last."""

    __slots__ = ("keys", "removed", "sign", "sizes")

    def __init__(self, sign: float, levels: Iterable[Level] = ()) -> None:
        self.sign = sign
        self.sizes = {p: s for p, s in levels if s}
        self.keys = sorted(p * sign for p in self.sizes)
        self.removed = 0

    def apply(self, levels: Sequence[Level]) -> None:
        sizes = self.sizes
        for price, size in levels:
            if price in sizes:
                sizes[price] = size
                if not size:
                    self.removed += 1
            elif size:
                sizes[price] = size
                insort(self.keys, price * self.sign)
        keys, sign = self.keys, self.sign
        while keys and not sizes[keys[-1] * sign]:
            del sizes[keys.pop() * sign]
        if self.removed > SWEEP_AT and self.removed > len(keys) // 2:
            self.sweep()

    def sweep(self) -> None:
        self.removed = 0
        self.sizes = {p: s for p, s in self.sizes.items() if s}
        self.keys = [k for k in self.keys if k * self.sign in self.sizes]

    def trim(self, most: int) -> float | None:
        """Forget the levels farthest from the touch; the price of the last one kept, None where nothing had to go."""
        if len(self.keys) <= most:
            return None
        self.sweep()
        if len(self.keys) <= most:
            return None
        for key in self.keys[: len(self.keys) - most]:
            del self.sizes[key * self.sign]
        del self.keys[: len(self.keys) - most]
        return self.keys[0] * self.sign

    def best(self, levels: int) -> list[Level]:
        """The best `levels` levels, best first."""
        found: list[Level] = []
        sizes, sign = self.sizes, self.sign
        for key in reversed(self.keys):
            if size := sizes[key * sign]:
                found.append((key * sign, size))
                if len(found) == levels:
                    break
        return found

    def total(self, levels: int) -> float:
        total, sizes, sign = 0.0, self.sizes, self.sign
        for key in reversed(self.keys):
            if size := sizes[key * sign]:
                total += size
                levels -= 1
                if not levels:
                    break
        return total


class Book:
    """`seq` is the update id it stands at; times are those of the last update. `bids` and `asks` are copies, for looking at."""

    __slots__ = ("_asks", "_bids", "ask_ceiling", "bid_floor", "max_levels", "seq", "ts_event", "ts_recv")

    def __init__(self, max_levels: int = 10_000) -> None:
        self.max_levels = max_levels
        self.ts_event = self.ts_recv = 0
        self.clear()

    def clear(self) -> None:
        self._bids, self._asks = _Side(1.0), _Side(-1.0)
        self.bid_floor: float | None = None
        self.ask_ceiling: float | None = None
        self.seq: int | None = None

    def replace(self, bids: Iterable[Level], asks: Iterable[Level], limit: int = 0) -> None:
        """Begin anew from a snapshot. `limit`: levels a side that were asked for; a side that full was cut there."""
        self._bids, self._asks = _Side(1.0, bids), _Side(-1.0, asks)
        full_bids, full_asks = (limit and len(side.keys) >= limit for side in (self._bids, self._asks))
        self.bid_floor = self._bids.keys[0] if full_bids else None
        self.ask_ceiling = -self._asks.keys[0] if full_asks else None

    def apply(self, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        """Set levels to their new absolute sizes, in order; 0 removes, and removing what is not there is normal."""
        if bids:
            self._bids.apply(bids)
            if len(self._bids.keys) > self.max_levels and (edge := self._bids.trim(self.max_levels)) is not None:
                self.bid_floor = edge if self.bid_floor is None else max(edge, self.bid_floor)
        if asks:
            self._asks.apply(asks)
            if len(self._asks.keys) > self.max_levels and (edge := self._asks.trim(self.max_levels)) is not None:
                self.ask_ceiling = edge if self.ask_ceiling is None else min(edge, self.ask_ceiling)

    @property
    def bids(self) -> dict[float, float]:
        return {p: s for p, s in self._bids.sizes.items() if s}

    @property
    def asks(self) -> dict[float, float]:
        return {p: s for p, s in self._asks.sizes.items() if s}

    @property
    def best_bid(self) -> float | None:
        keys = self._bids.keys
        return keys[-1] if keys else None

    @property
    def best_ask(self) -> float | None:
        keys = self._asks.keys
        return -keys[-1] if keys else None

    @property
    def crossed(self) -> bool:
        """Best bid at or above best ask: never true of a correct book in continuous trading."""
        bids, asks = self._bids.keys, self._asks.keys
        return bool(bids and asks and bids[-1] >= -asks[-1])

    def touch(self) -> tuple[float | None, float | None, float | None, float | None]:
        """(bid, bid_size, ask, ask_size); None for an empty side."""
        bids, asks = self._bids, self._asks
        bid = bids.keys[-1] if bids.keys else None
        ask = -asks.keys[-1] if asks.keys else None
        return bid, None if bid is None else bids.sizes[bid], ask, None if ask is None else asks.sizes[ask]

    def sizes(self, levels: int) -> tuple[float, float]:
        """Total size of the best `levels` levels: (bids, asks)."""
        return self._bids.total(levels), self._asks.total(levels)

    def depth(self, levels: int) -> tuple[list[Level], list[Level]]:
        """The best `levels` levels of each side, best first; nothing from beyond the known range."""
        bids, asks = self._bids.best(levels), self._asks.best(levels)
        floor, ceiling = self.bid_floor, self.ask_ceiling
        if floor is not None and bids and bids[-1][0] < floor:
            bids = [level for level in bids if level[0] >= floor]
        if ceiling is not None and asks and asks[-1][0] > ceiling:
            asks = [level for level in asks if level[0] <= ceiling]
        return bids, asks
