"""One level-2 order book.

A side is a dict from price to size, and a sorted list of the keys of its best levels (bids by price, asks by negated price) with the
best one at the end, so that the touch is `keys[-1]`. Few ever look deep into a book, so only the best `WINDOW` levels are kept
sorted; from `edge` on the list is complete, and what lies beyond waits in the dict until it is asked for.

An update is one `dict.update`. A level that it removes stays with size 0: it comes back soon, as a rule, and costs nothing then.
Such dead levels are skipped when levels are counted, taken off at once where they are best, and swept out when they may be
half of a side. Measured on the recorded futures session, with 68 levels an update: half the time of inserting and deleting one by
one in a fully sorted list, and 1.5 × that of the bare `dict.update`; on the spot session 0.85 and 2.1 ×.

A snapshot that was cut at a limit knows nothing past its last level, and neither does a side that grew past `max_levels` and lost
its farthest. That boundary (`bid_floor`, `ask_ceiling`) is kept. Levels beyond it are applied when they change, and `depth` never
gives them, because those that did not change are missing. The touch may be one of them all the same: when the market moves there,
every level near it changes. On the recorded sessions, both of which run past their snapshot, it equals the venue's own every time.

A book that its venue cuts at a depth (Kraken) is kept otherwise: a few levels an update, at most 1,000 of them, and most updates
push one out at the far end. All its keys stay sorted and nothing dead stays, so that cutting is counting: measured on the recorded
session 0.8 µs an update of a 1,000-level book and 1.3 µs of a 100-level one, no more than `apply` alone.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence, Sized
from itertools import islice
from operator import itemgetter
from typing import Literal

from tapeline.events import Level

WINDOW = 500  # best levels of a side that are kept sorted, at least
MANY = 300  # new levels in one update: so many, put in one by one, would each move what is there
SLACK = 1000  # dead levels, or levels too many, before a side is swept
NOWHERE = float("-inf")
_price = itemgetter(0)


class _Side:
    """`sign` 1.0 for bids, −1.0 for asks: keys are sign × price, the best one last; `edge` and `floor` are keys, too.
    `tidy`: the keys are those of all levels, and none is dead.
    """

    __slots__ = ("edge", "floor", "keys", "most", "sign", "sizes", "sweep_at", "tidy", "window")

    def __init__(self, sign: float, most: int, levels: Iterable[Level] = (), limit: int = 0) -> None:
        self.sign, self.most, self.window = sign, most, WINDOW
        self.keys: list[float] = []
        self.edge, self.tidy = NOWHERE, False
        self.floor = NOWHERE
        levels = levels if isinstance(levels, Sized) else list(levels)
        if len(levels) > most + SLACK:  # a snapshot of 100,000 levels: sorting it first takes a third of the time
            levels = sorted(levels, key=_price, reverse=sign > 0)[: most + SLACK]
            self.floor = levels[-1][0] * sign
        self.sizes = {p: s for p, s in levels if s}
        if 0 < limit <= len(self.sizes):
            self.floor = max(self.floor, min([p * sign for p in self.sizes]))
        self.sweep()

    def apply(self, levels: Sequence[Level]) -> None:
        sizes, keys, sign = self.sizes, self.keys, self.sign
        self.tidy = False
        before = len(sizes)
        sizes.update(levels)
        if grown := len(sizes) - before:
            edge = self.edge
            new = islice(reversed(sizes), grown)  # a dict keeps the order of insertion: the new ones are its last
            if grown > MANY:
                keys += [key for price in new if (key := price * sign) >= edge]
                keys.sort()
            else:
                for price in new:
                    key = price * sign
                    if key >= edge:
                        insort(keys, key)
        if not keys or not sizes[keys[-1] * sign]:
            self._uncover()
        if len(sizes) > self.sweep_at:
            self.sweep()

    def _uncover(self) -> None:
        """Take dead levels off the top until the best one is alive."""
        sizes, sign = self.sizes, self.sign
        while self.keys or self.edge > NOWHERE:
            if not self.keys:
                self._sort(WINDOW)
            elif sizes[self.keys[-1] * sign]:
                return
            else:
                del sizes[self.keys.pop() * sign]

    def _sort(self, window: int) -> None:
        """Sort the best `window` levels anew, the dead among them. Reading causes this, too, so it decides nothing else."""
        self.window, self.tidy, sign = window, False, self.sign
        keys = sorted([p * sign for p in self.sizes])
        self.edge = keys[-window] if len(keys) > window else NOWHERE
        self.keys = keys[-window:]

    def sweep(self) -> None:
        """Forget the dead, and the farthest of too many, which ends the known range there."""
        self.sizes = {p: s for p, s in self.sizes.items() if s}
        if len(self.sizes) > self.most:
            keys = sorted([p * self.sign for p in self.sizes])[-self.most :]
            self.sizes = {(p := key * self.sign): self.sizes[p] for key in keys}
            self.floor = max(self.floor, keys[0])
        self.sweep_at = min(2 * len(self.sizes), self.most) + SLACK
        self._sort(self.window)

    def resume(self, levels: Iterable[Level], sweep_at: int) -> None:
        """Take over what another side remembers, the dead included."""
        self.sizes, self.sweep_at, self.tidy = dict(levels), sweep_at, False
        self._sort(WINDOW)

    def apply_cut(self, levels: Sequence[Level], most: int) -> None:
        """`apply`, then keep the best `most` levels and forget the others: the known range ends with the last one of so many."""
        if not self.tidy:
            self._tidy()
        sizes, keys, sign = self.sizes, self.keys, self.sign
        for price, size in levels:
            if size:
                if price not in sizes:
                    insort(keys, price * sign)
                sizes[price] = size
            elif sizes.pop(price, 0.0):
                del keys[bisect_left(keys, price * sign)]
        if (beyond := len(keys) - most) > 0:
            for key in keys[:beyond]:
                del sizes[key * sign]
            del keys[:beyond]
        self.floor = keys[0] if len(keys) == most else NOWHERE

    def _tidy(self) -> None:
        self.sizes = {p: s for p, s in self.sizes.items() if s}
        self.keys = sorted([p * self.sign for p in self.sizes])
        self.edge, self.tidy = NOWHERE, True

    def best(self, levels: int) -> list[Level]:
        """The best `levels` levels, best first."""
        if len(self.keys) < levels and self.edge > NOWHERE:
            self._sort(2 * max(self.window, levels))
        found: list[Level] = []
        sizes, sign = self.sizes, self.sign
        for key in reversed(self.keys):
            if len(found) == levels:
                break
            if size := sizes[key * sign]:
                found.append((key * sign, size))
        if len(found) < levels and self.edge > NOWHERE:
            self._sort(2 * max(self.window, levels))
            return self.best(levels)
        return found

    def top(self, levels: int, skip: int) -> tuple[list[float], list[float], bool]:
        """Prices and sizes, best first, of the best `levels` remembered levels but the first `skip`, without the dead and what lies
        past the known range; and whether that is all that is known.
        """
        if len(self.keys) < levels and self.edge > NOWHERE:
            self._sort(2 * max(self.window, levels))
        keys, sizes, sign = self.keys, self.sizes, self.sign
        known = bisect_left(keys, self.floor)
        first = max(known, len(keys) - levels)
        prices = [key * sign for key in keys[first : max(first, len(keys) - skip)]]
        prices.reverse()
        found = [sizes[price] for price in prices]
        if 0.0 in found:
            prices = [price for price, size in zip(prices, found, strict=True) if size]
            found = [size for size in found if size]
        return prices, found, first == known and self.edge <= self.floor

    def within(self, price: float) -> int:
        """How many of the levels that are sorted now, dead or alive, are no worse than `price`."""
        return len(self.keys) - bisect_left(self.keys, price * self.sign)

    def prices(self, levels: int) -> list[float]:
        """The prices of `best`."""
        if self.tidy:
            sign = self.sign
            return [key * sign for key in self.keys[: -levels - 1 : -1]]
        return [price for price, _ in self.best(levels)]

    def known(self, levels: int) -> list[Level]:
        """As `best`, without what lies past the known range."""
        found, sign, floor = self.best(levels), self.sign, self.floor
        return [level for level in found if level[0] * sign >= floor] if found and found[-1][0] * sign < floor else found

    def total(self, levels: int) -> float:
        """The size of the best `levels` levels together."""
        total, left, sizes, sign = 0.0, levels, self.sizes, self.sign
        for key in reversed(self.keys):
            if size := sizes[key * sign]:
                total += size
                left -= 1
                if not left:
                    return total
        if self.edge > NOWHERE:
            self._sort(2 * max(self.window, levels))
            return self.total(levels)
        return total


class Book:
    """`seq` is the update id it stands at; times are those of the last update. `bids` and `asks` are copies, for looking at."""

    __slots__ = ("_asks", "_bids", "max_levels", "seq", "ts_event", "ts_recv")

    def __init__(self, max_levels: int = 10_000) -> None:
        self.max_levels = max_levels
        self.ts_event = self.ts_recv = 0
        self.clear()

    def clear(self) -> None:
        self.replace((), ())
        self.seq: int | None = None

    def replace(self, bids: Iterable[Level], asks: Iterable[Level], limit: int = 0, cut: int = 0) -> None:
        """Begin anew from a snapshot. `limit`: levels a side that were asked for; a side that full was cut there.

        `cut`: levels a side that the venue takes for known, so that they are kept even past `max_levels`.
        """
        most = max(self.max_levels, cut)
        self._bids, self._asks = _Side(1.0, most, bids, limit), _Side(-1.0, most, asks, limit)

    def apply(self, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        """Set levels to their new absolute sizes, in order; 0 removes, and removing what is not there is normal."""
        if bids:
            self._bids.apply(bids)
        if asks:
            self._asks.apply(asks)

    def apply_cut(self, bids: Sequence[Level], asks: Sequence[Level], levels: int) -> None:
        """`apply`, then forget what lies past the best `levels` of each side."""
        self._bids.apply_cut(bids, levels)
        self._asks.apply_cut(asks, levels)

    def narrow(self, bid_floor: float | None, ask_ceiling: float | None) -> None:
        """It can speak of nothing past these prices, as was told beside its levels."""
        if bid_floor is not None:
            self._bids.floor = max(self._bids.floor, bid_floor)
        if ask_ceiling is not None:
            self._asks.floor = max(self._asks.floor, -ask_ceiling)

    def remembered(self) -> tuple[list[Level], list[Level]]:
        """All levels in no order, those with size 0 that are still remembered among them: with `sweeps` and the edges, its state."""
        return list(self._bids.sizes.items()), list(self._asks.sizes.items())

    @property
    def size(self) -> int:
        """How many levels are remembered."""
        return len(self._bids.sizes) + len(self._asks.sizes)

    @property
    def sweeps(self) -> tuple[int, int]:
        """The number of remembered bids, and of asks, at which the farthest and the dead are forgotten."""
        return self._bids.sweep_at, self._asks.sweep_at

    def restore(
        self,
        bids: Iterable[Level],
        asks: Iterable[Level],
        edges: tuple[float | None, float | None],
        sweeps: tuple[int, int],
        cut: int = 0,
    ) -> None:
        """Go on from what `remembered`, the edges and `sweeps` said of another book."""
        self.replace((), (), 0, cut)
        for side, levels, sweep_at in ((self._bids, bids, sweeps[0]), (self._asks, asks, sweeps[1])):
            side.resume(levels, sweep_at)
        self.narrow(*edges)

    def top(self, side: Literal["bids", "asks"], levels: int, skip: int = 0) -> tuple[list[float], list[float], bool]:
        """(prices, sizes, whether that is all that is known) of about the best `levels` of a side, best first, but the first
        `skip`: those that died and are still remembered count among them. The quick way to read some hundred levels again and
        again, piece by piece while nothing changes.
        """
        return (self._bids if side == "bids" else self._asks).top(levels, skip)

    def within(self, side: Literal["bids", "asks"], price: float) -> int:
        """How many levels `top` is to be asked for to reach `price`: as far as they are sorted already."""
        return (self._bids if side == "bids" else self._asks).within(price)

    def prices(self, levels: int) -> tuple[list[float], list[float]]:
        """The prices of the best `levels` levels of each side, best first."""
        return self._bids.prices(levels), self._asks.prices(levels)

    @property
    def bids(self) -> dict[float, float]:
        return {p: s for p, s in self._bids.sizes.items() if s}

    @property
    def asks(self) -> dict[float, float]:
        return {p: s for p, s in self._asks.sizes.items() if s}

    @property
    def bid_floor(self) -> float | None:
        """The lowest bid that the book can speak of; None where it knows them all."""
        floor = self._bids.floor
        return None if floor == NOWHERE else floor

    @property
    def ask_ceiling(self) -> float | None:
        """The highest ask that the book can speak of; None where it knows them all."""
        floor = self._asks.floor
        return None if floor == NOWHERE else -floor

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
        """The best `levels` levels of each side, best first, `max_levels` at most; nothing from beyond the known range."""
        levels = min(levels, self.max_levels)
        return self._bids.known(levels), self._asks.known(levels)
