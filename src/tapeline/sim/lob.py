"""A limit order book of single orders, price-time priority, integers only.

Each half keeps its prices as sorted keys with the best at the end: a bid's key is its price, an ask's the negative of it, so
that one piece of code serves both. `touched` collects the prices whose total changed since the last `drain`: that is all a
venue needs to print an absolute-quantity diff.
"""

from bisect import bisect_left, insort

Fill = tuple[int, int]


class Half:
    """One side. `sign` is 1 for bids, -1 for asks: price = sign * key."""

    __slots__ = ("keys", "orders", "sign", "totals", "touched")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.orders: dict[int, list[int]] = {}
        self.totals: dict[int, int] = {}  # sum of each queue
        self.touched: set[int] = set()

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def best(self) -> int:
        """Price of the best order. IndexError where the side is empty."""
        return self.sign * self.keys[-1]

    def best_size(self) -> int:
        return self.totals[self.keys[-1]]

    def total(self, key: int) -> int:
        """Resting size at a key, 0 where there is none."""
        return self.totals.get(key, 0)

    def add(self, key: int, size: int) -> None:
        queue = self.orders.get(key)
        if queue is None:
            insort(self.keys, key)
            self.orders[key] = [size]
            self.totals[key] = size
        else:
            queue.append(size)
            self.totals[key] += size
        self.touched.add(key)

    def cancel(self, key: int, position: int) -> None:
        """Remove the order at `position` (0 is first in the queue)."""
        queue = self.orders[key]
        self.totals[key] -= queue.pop(position)
        self.touched.add(key)
        if not queue:
            self.clear_level(key)

    def clear_level(self, key: int) -> None:
        del self.orders[key], self.totals[key]
        if self.keys[-1] == key:
            self.keys.pop()
        else:
            del self.keys[bisect_left(self.keys, key)]
        self.touched.add(key)

    def clear(self) -> None:
        self.touched.update(self.keys)
        self.keys.clear()
        self.orders.clear()
        self.totals.clear()

    def take(self, size: int, keep: int = 1) -> list[Fill]:
        """Execute against the best orders: (price, size) per resting order hit. The last `keep` levels are never eaten."""
        fills: list[Fill] = []
        while size > 0 and len(self.keys) > keep:
            key = self.keys[-1]
            queue = self.orders[key]
            self.touched.add(key)
            eaten = filled = 0
            for resting in queue:
                fill = min(resting, size)
                fills.append((self.sign * key, fill))
                size -= fill
                filled += fill
                if fill < resting:
                    queue[eaten] = resting - fill
                    break
                eaten += 1
                if not size:
                    break
            del queue[:eaten]
            self.totals[key] -= filled
            if not queue:
                self.clear_level(key)
        return fills

    def drain(self) -> set[int]:
        touched, self.touched = self.touched, set()
        return touched

    def top(self, n: int) -> list[Fill]:
        """The best n levels as (price, total), best first."""
        sign, totals = self.sign, self.totals
        return [(sign * key, totals[key]) for key in self.keys[: -n - 1 : -1]]


class Lob:
    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = Half(1)
        self.asks = Half(-1)

    def touch(self) -> tuple[int, int, int, int]:
        """Best bid and its size, best ask and its size; zeros where the book is empty."""
        if not self.bids.keys or not self.asks.keys:
            return 0, 0, 0, 0
        return self.bids.best, self.bids.best_size(), self.asks.best, self.asks.best_size()
