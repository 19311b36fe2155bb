"""The decoder of Coinbase Advanced Trade's feed.

Sources: docs.cdp.coinbase.com "Advanced Trade WebSocket", live captures of 2026-08 and 09.

Every message, acknowledgements too, is number `sequence_num` of its connection, over all channels: each gives a `Counted` first. A
number left out is a message lost, and since books bear no numbers of their own, any book of that connection may lack it.

Traps: data may come before the acknowledgement of its subscription. Trades come newest first; an event may hold several products'.
A snapshot's `event_time` is often 1970, so it takes the envelope's time; an update that of its last level, when it changed.
A message of a `-USDC` product may bear the name of the `-USD` product whose book it shares. Whose side `market_trades` tells is
disputed: the maker's by Coinbase's documents and by nautilus_trader, while ccxt passes it on as it is; `trade_side` turns it.

A `-USD` message goes to the `-USDC` instrument where only that one was asked for, and to both where both were.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import compress
from operator import attrgetter
from typing import Any, Literal

import msgspec

from tapeline.errors import MalformedFrame
from tapeline.events import Level, Quote, Side, Ticker, Trade
from tapeline.frames import HttpAnswer
from tapeline.instruments import Instrument, Registry
from tapeline.venues import coinbase_messages as w
from tapeline.venues.base import UNNUMBERED, Ack, BookKind, BookMessage, Counted, Past, Record, Skipped
from tapeline.venues.coinbase_wire import CoinbaseDecoder, sizes_of, touch
from tapeline.venues.decoding import MOST_SAID, OTHER, RECOVERED

Told = Literal["maker", "taker"]
MANY = 50
_pair = attrgetter("price_level", "new_quantity")
_side = attrgetter("side")
_is_bid, _is_offer = "bid".__eq__, "offer".__eq__


def sides(updates: Sequence[w.Level]) -> tuple[list[Level], list[Level]]:
    """Bids and asks, in their order; of the 100,000 levels of a snapshot without a loop in Python."""
    if len(updates) < MANY:
        pairs = [(u.side == "bid", (u.price_level, u.new_quantity)) for u in updates]
        return [level for is_bid, level in pairs if is_bid], [level for is_bid, level in pairs if not is_bid]
    levels, names = list(map(_pair, updates)), list(map(_side, updates))
    return list(compress(levels, map(_is_bid, names))), list(compress(levels, map(_is_offer, names)))


def loose_sides(updates: Sequence[w.LooseLevel], *, snapshot: bool) -> tuple[list[Level], list[Level]]:
    bids, asks = ([(u.price_level, u.new_quantity) for u in updates if u.side == side] for side in ("bid", "offer"))
    return sizes_of(bids, snapshot=snapshot), sizes_of(asks, snapshot=snapshot)


def scaled(levels: list[Level], unit: float) -> list[Level]:
    return [(price, in_base(size, unit)) for price, size in levels]


def in_base(contracts: float, unit: float) -> float:
    """Contracts in units of the base asset: 3 × 0.1 is 0.3."""
    return round(contracts * unit, 12)


class AdvancedDecoder(CoinbaseDecoder):
    def __init__(
        self, registry: Registry, derive: Callable[[str, str], Instrument], *, simulated: bool, told: Told = "maker"
    ) -> None:
        """`told`: whose side the venue's trades bear."""
        super().__init__(registry, derive, simulated=simulated)
        self._sides: dict[str, Side] = {"BUY": "sell", "SELL": "buy"} if told == "maker" else {"BUY": "buy", "SELL": "sell"}
        self._asked: set[str] = set()
        self._on: dict[type, Callable[[Any, bytes, int], Iterator[Record]]] = {
            w.L2Data: self._book,
            w.LooseL2Data: self._book,
            w.MarketTrades: self._trades,
            w.AdvancedTicker: self._tickers,
            w.TickerBatch: self._tickers,
            w.Candles: self._candles,
            w.Heartbeats: self._heartbeats,
            w.AdvancedSubscriptions: self._subscriptions,
        }

    def instrument(self, native: str) -> str:
        """Asked for by the engine, of each stream: so it is known which of two names for one book is wanted."""
        if len(self._asked) < MOST_ASKED:
            self._asked.add(native)
        return super().instrument(native)

    def _name(self, native: str) -> str:
        known = self.registry.by_native.get(native)
        return known.id if known is not None else super().instrument(native)

    def _natives(self, product: str) -> tuple[str, ...]:
        """Whom a message of this product is for."""
        if not product:
            raise MalformedFrame("a message names no product")
        alias = product + "C" if product.endswith("-USD") else ""
        if not alias or alias not in self._asked:
            return (product,)
        return (product, alias) if product in self._asked else (alias,)

    def _unit(self, native: str) -> float:
        name = self._name(native)
        return self.registry.by_id[name].contract_size

    def read(self, data: bytes, ts_recv: int) -> Sequence[Record]:
        try:
            m = w.read_advanced(data)
        except msgspec.ValidationError:
            m = self._odd(data)
            if not isinstance(m, w.LooseL2Data):
                return m
        return [Counted(m.sequence_num), *self._on[type(m)](m, data, ts_recv)]

    def _odd(self, data: bytes) -> w.LooseL2Data | Sequence[Record]:
        """An error, a channel of no use, a book with a size that is none, or malformed."""
        head = w.read_head(data)
        if head.channel == "l2_data":
            loose: w.LooseL2Data = w.read_loose_advanced(data)
            return loose
        if head.channel in {"market_trades", "ticker", "ticker_batch", "candles", "heartbeats", "subscriptions"}:
            w.read_advanced(data)  # raises what is wrong with it
        if head.type == "error":
            e = w.read_error(data)
            return [Ack(None, ": ".join(part for part in (e.message, e.reason) if part)[:MOST_SAID] or "error")]
        self.count_unknown(head.channel or head.type or OTHER)
        return [] if head.sequence_num is None else [Counted(head.sequence_num)]

    def answer(self, answer: HttpAnswer, body: bytes, ts_recv: int) -> Sequence[Record]:
        if answer.purpose == "trades":
            trades = self._prints(w.read_past_prints(body).trades, answer.native, self.flags_of(body), ts_recv)
            return [Past(self._name(answer.native), tuple(t for t in trades if isinstance(t, Trade)), asked=True)]
        if answer.purpose.startswith("bars "):
            return self.past_bars(w.read_past_candles(body).candles, answer, ts_recv)
        return []

    def _book(self, m: w.L2Data | w.LooseL2Data, data: bytes, ts_recv: int) -> Iterator[Record]:
        for event in m.events:
            kind: BookKind = "snapshot" if type(event) in _BEGUN else "diff"
            if isinstance(event, _LOOSE):
                bids, asks = loose_sides(event.updates, snapshot=kind == "snapshot")
            else:
                bids, asks = sides(event.updates)
            ts, flags = self._time(_changed_at(event, m.timestamp), event.product_id, ts_recv, self.flags_of(data))
            for native in self._natives(event.product_id):
                unit = self._unit(native)
                both = (bids, asks) if unit == 1.0 else (scaled(bids, unit), scaled(asks, unit))
                yield BookMessage(native, ts, flags, kind, *both, UNNUMBERED, UNNUMBERED)

    def _trades(self, m: w.MarketTrades, data: bytes, ts_recv: int) -> Iterator[Record]:
        flags = self.flags_of(data)
        for event in m.events:
            for product, trades in _by_product(event.trades).items():
                for native in self._natives(product):
                    if event.type == "update":
                        yield from self._prints(trades, native, flags, ts_recv)
                    else:
                        past = self._prints(trades, native, flags, ts_recv)
                        yield Past(self._name(native), tuple(t for t in past if isinstance(t, Trade)))

    def _prints(self, trades: Sequence[w.Print], native: str, flags: int, ts_recv: int) -> Iterator[Trade | Skipped]:
        """Oldest first."""
        name, unit = self._name(native), self._unit(native)
        for t in trades if len(trades) == 1 else sorted(trades, key=_id):
            if t.price == 0 or t.size == 0:
                yield Skipped(name, t.trade_id, False, "zero")
                continue
            ts, flagged = self._time(t.time, native, ts_recv, flags)
            size = t.size if unit == 1.0 else in_base(t.size, unit)
            yield Trade(name, ts, ts_recv, flagged, t.price, size, self._sides[t.side], str(t.trade_id))

    def _tickers(self, m: w.AdvancedTicker, data: bytes, ts_recv: int) -> Iterator[Record]:
        flags = self.flags_of(data)
        for t in (t for event in m.events for t in event.tickers):
            for native in self._natives(t.product_id):
                name, unit = self._name(native), self._unit(native)
                ts, flagged = self._time(m.timestamp, native, ts_recv, flags)
                sizes = (
                    None if s is None else in_base(s, unit) for s in (t.best_bid_quantity, t.best_ask_quantity, t.volume_24_h)
                )
                bid_size, ask_size, volume = sizes if unit != 1.0 else (t.best_bid_quantity, t.best_ask_quantity, t.volume_24_h)
                if t.best_bid is not None or t.best_ask is not None:
                    best = touch(t.best_bid, bid_size, t.best_ask, ask_size)
                    yield Quote(name, ts, ts_recv, flagged, *best, None, "venue")
                change = t.price_percent_chg_24_h
                yield Ticker(
                    name, ts, ts_recv, flagged, t.price or None, None, t.high_24_h, t.low_24_h, volume, change_pct=change
                )

    def _candles(self, m: w.Candles, data: bytes, ts_recv: int) -> Iterator[Record]:
        """A snapshot holds those of the last hours, newest first; an update the one that is open, each time anew."""
        for event in m.events:
            flags = self.flags_of(data) | (RECOVERED if event.type == "snapshot" else 0)
            for k in sorted(event.candles, key=_start):
                for native in self._natives(k.product_id):
                    ts, flagged = self._time(m.timestamp, native, ts_recv, flags)
                    yield self.five_minutes(self._name(native), k, ts, ts_recv, flagged)

    def _heartbeats(self, m: w.Heartbeats, data: bytes, ts_recv: int) -> Iterator[Record]:
        return iter(())

    def _subscriptions(self, m: w.AdvancedSubscriptions, data: bytes, ts_recv: int) -> Iterator[Record]:
        """All that is subscribed on this connection, whichever message asked for it."""
        names = tuple(
            name
            for event in m.events
            for channel, products in event.subscriptions.items()
            for product in products or ()
            for name in _acked(channel, product)
        )
        if names:
            yield Ack(None, names=names)


def _changed_at(event: Any, sent: str) -> str:
    """An update's own time, where it can be true; else that of the message."""
    if type(event) in _BEGUN or not event.updates:
        return sent
    text: str = event.updates[-1].event_time
    return text if text > "2" else sent  # the zeros of clocks begin with 0001 and 1970


MOST_ASKED = 10_000
_BEGUN = frozenset((w.BookBegun, w.LooseBookBegun))
_LOOSE = (w.LooseBookBegun, w.LooseBookChanged)
_id = attrgetter("trade_id")
_start = attrgetter("start")


def _acked(channel: str, product: str) -> tuple[str, ...]:
    """The streams that this is about; what was asked for as `-USDC` may be named `-USD`."""
    name = f"{channel}:{product}"
    return (name, name + "C") if product.endswith("-USD") else (name,)


def _by_product(trades: list[w.Print]) -> dict[str, list[w.Print]]:
    if len({t.product_id for t in trades}) == 1:
        return {trades[0].product_id: trades}
    found: defaultdict[str, list[w.Print]] = defaultdict(list)
    for t in trades:
        found[t.product_id].append(t)
    return found
