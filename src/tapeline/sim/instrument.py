"""One simulated instrument: its book, its ids and everything that follows from them.

Whatever happens is one *event*: an order rests, is cancelled, or takes. Each event gets one update id. From it follow trades
(consecutive ids, one per resting order hit), a touch record where best price or size changed, bars, and the set of changed
prices from which diffs of any cadence are printed. So all that a venue publishes agrees by construction.

Update ids come from an `Ids` source: an instrument's own (spot: consecutive) or one shared by a whole venue whose other symbols
take ids too (futures: increasing with holes).
"""

import random
from collections import deque
from typing import NamedTuple, Protocol

import msgspec

from tapeline.sim.klines import Klines
from tapeline.sim.lob import Half, Lob
from tapeline.sim.specs import Spec

_KEPT = 10_000  # trades for HTTP: at rate 1 some minutes of a busy instrument


class Trade(msgspec.Struct, frozen=True, gc=False):
    """`taker` numbers the taking order: fills of one taker at one price are one aggregated trade."""

    id: int
    ts: int
    price: int
    size: int
    buyer_is_maker: bool
    taker: int


class Aggregate(msgspec.Struct, frozen=True, gc=False):
    id: int
    ts: int
    price: int
    size: int
    first: int
    last: int
    buyer_is_maker: bool


class Touch(NamedTuple):
    u: int
    ts: int
    bid: int
    bid_size: int
    ask: int
    ask_size: int


class Liquidation(NamedTuple):
    """A forced order: `sell` is the order's side, `price` its limit, `average` its mean fill in float ticks."""

    ts: int
    sell: bool
    size: int
    price: int
    average: float


class Ids:
    """Update ids. `spread` > 0: others take up to that many ids between two of ours."""

    __slots__ = ("_rng", "last", "spread")

    def __init__(self, last: int, spread: int = 0, seed: str = "") -> None:
        self.last, self.spread = last, spread
        self._rng = random.Random(f"{seed}:ids")

    def take(self) -> int:
        self.last += 1 if not self.spread else 1 + int(self._rng.random() * self.spread)
        return self.last


class Batch:
    """Prices changed since the last diff of one cadence, and the ids it covers. `previous` is the last diff's final id."""

    __slots__ = ("asks", "bids", "first", "last", "previous")

    def __init__(self, last: int) -> None:
        self.bids: set[int] = set()
        self.asks: set[int] = set()
        self.first = 0
        self.last = self.previous = last

    def add(self, bids: set[int], asks: set[int], first: int, last: int) -> None:
        self.bids |= bids
        self.asks |= asks
        self.first = self.first or first
        self.last = last

    def clear(self) -> None:
        self.bids, self.asks = set(), set()
        self.first, self.previous = 0, self.last


class Watcher(Protocol):
    """Told of the keys whose totals changed in a step; of a restart of the ids by `restart`. `depths.View` is one."""

    def add(self, bids: set[int], asks: set[int]) -> None: ...

    def restart(self, last: int) -> None: ...


class Instrument:
    """`trades`, `aggregates`, `touches`, `liquidations` are the current step's; `recent_*` what HTTP answers with."""

    def __init__(self, spec: Spec, ids: Ids, cadences: tuple[int, ...], trade_id: int) -> None:
        self.spec, self.ids = spec, ids
        self.lob = Lob()
        self.klines = Klines()
        self.last_id = ids.last
        self.trade_id, self.aggregate_id, self.taker = trade_id, trade_id * 3 // 4, 0
        self.trades: list[Trade] = []
        self.aggregates: list[Aggregate] = []
        self.touches: list[Touch] = []
        self.liquidations: list[Liquidation] = []
        self.recent_trades: deque[Trade] = deque(maxlen=_KEPT)
        self.recent_aggregates: deque[Aggregate] = deque(maxlen=_KEPT)
        self.fair = 0.0
        self.last_price = 0
        self._first = 0
        self._shown: tuple[int, int, int, int] = (0, 0, 0, 0)
        self.batches = {cadence: Batch(ids.last) for cadence in cadences}
        self.watchers: list[Watcher] = []
        self.halted = False

    def begin_step(self) -> None:
        for records in (self.trades, self.aggregates, self.touches, self.liquidations):
            records.clear()

    def end_step(self) -> None:
        bids, asks = self.lob.bids.drain(), self.lob.asks.drain()
        if self._first:
            for batch in self.batches.values():
                batch.add(bids, asks, self._first, self.last_id)
            for watcher in self.watchers:
                watcher.add(bids, asks)
            self._first = 0

    def event(self, ts: int) -> None:
        """Close one event: take its id, and record the touch where it changed."""
        self.last_id = self.ids.take()
        self._first = self._first or self.last_id
        shown = self.lob.touch()
        if shown != self._shown:
            self._shown = shown
            self.touches.append(Touch(self.last_id, ts, *shown))

    def rest(self, ts: int, half: Half, price: int, size: int) -> None:
        half.add(half.sign * price, size)
        self.event(ts)

    def cancel(self, ts: int, half: Half, key: int, position: int) -> None:
        half.cancel(key, position)
        self.event(ts)

    def pull_level(self, ts: int, half: Half, key: int) -> None:
        """All makers of one price leave at once."""
        half.clear_level(key)
        self.event(ts)

    def take(self, ts: int, half: Half, size: int) -> list[tuple[int, int]]:
        """A market order eats into `half`; selling eats bids, so there the buyer is the maker."""
        fills = half.take(size, keep=5)
        if not fills:
            return fills
        self.taker += 1
        maker_buys = half.sign == 1
        start = self.trade_id + 1
        for price, lots in fills:
            self.trade_id += 1
            trade = Trade(self.trade_id, ts, price, lots, maker_buys, self.taker)
            self.trades.append(trade)
            self.recent_trades.append(trade)
            self.klines.add(ts, trade.id, price, lots, maker_buys)
        self.last_price = fills[-1][0]
        self._aggregate(ts, fills, start, maker_buys)
        self.event(ts)
        return fills

    def _aggregate(self, ts: int, fills: list[tuple[int, int]], first: int, maker_buys: bool) -> None:
        start = 0
        for n in range(1, len(fills) + 1):
            if n < len(fills) and fills[n][0] == fills[start][0]:
                continue
            self.aggregate_id += 1
            size = sum(lots for _, lots in fills[start:n])
            one = Aggregate(self.aggregate_id, ts, fills[start][0], size, first + start, first + n - 1, maker_buys)
            self.aggregates.append(one)
            self.recent_aggregates.append(one)
            start = n

    def reset_ids(self, last: int = 0) -> None:
        """The venue's service restarted: update ids begin anew after `last`."""
        self.ids.last = self.last_id = last
        self._first = 0
        for batch in self.batches.values():
            batch.first = 0
            batch.last = batch.previous = last
        for watcher in self.watchers:
            watcher.restart(last)

    def halt(self) -> None:
        """Everybody leaves: the book is empty until the market reopens."""
        self.halted = True
        for half in (self.lob.bids, self.lob.asks):
            half.clear()
        self.last_id = self.ids.take()
        self._first = self._first or self.last_id
        self._shown = (0, 0, 0, 0)
