"""The decoder of Coinbase Exchange's feed, and what it shares with that of Advanced Trade.

Source: docs.cdp.coinbase.com "Exchange WebSocket channels" (2025-05), recorded frames of 2021.

Traps: `match.side` is the maker's, so the aggressor's is the other one. `ticker.side` is the taker's (107 of 107 tickers and matches
of one `trade_id` in the recorded session have opposite sides). `last_match` repeats the last trade when a stream begins and is none.
A snapshot bears no time (newer ones do). A time of year 1 is Go's zero, no time at all: the product's last one stands in for it,
flagged BAD_TIME. Sizes such as `0.-10000`, or negative ones, have been seen: such a level is left out of a snapshot, and an update
takes it off the book, because whatever is there, it is not what was there before.

A heartbeat's `last_trade_id` says which trade was the newest: with it a lost trade is noticed within a second. `sequence` counts
the product's full feed, of which these channels carry a part: its jumps mean nothing. An `l2update` has no number at all.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tapeline.clock import SECOND
from tapeline.config import INTERVALS
from tapeline.errors import MalformedFrame
from tapeline.events import Bar, Level, Quote, Side, Ticker, Trade
from tapeline.frames import HttpAnswer
from tapeline.instruments import Instrument, Registry
from tapeline.venues import coinbase_messages as w
from tapeline.venues.base import UNNUMBERED, Ack, BookMessage, Past, Record, Skipped
from tapeline.venues.decoding import (
    BAD_TIME,
    DAY,
    EARLIEST,
    MOST_SAID,
    NO_VENUE_TIME,
    OTHER,
    RECOVERED,
    BaseDecoder,
    iso_nanoseconds,
)
from tapeline.venues.shapes import Size

LEVEL2 = ("level2_batch", "level2", "level2_50")
"""What is asked for by one of these names may be acknowledged by another."""
_NO_SIZE = re.compile(r"-\d+(\.\d+)?|\d*\.-\d+", re.ASCII)
_TIME = re.compile(rb'"time(?:stamp)?"\s*:\s*"(\d{4}-[^"]{6,40})"')
Loose = Sequence[tuple[float, str]]


def event_time(raw: bytes) -> int | None:
    """The first time in a message that can be true."""
    for found in _TIME.finditer(raw):
        try:
            ns = iso_nanoseconds(found[1].decode())
        except ValueError:
            continue
        if ns > EARLIEST:
            return ns
    return None


def size_of(text: str) -> float | None:
    """A size as the wire prints it; None where it is one of those that cannot be one. ValueError on what is no number."""
    return None if _NO_SIZE.fullmatch(text) else float(msgspec.convert(text, Size, strict=False))


def sizes_of(levels: Loose, *, snapshot: bool) -> list[Level]:
    read = [(price, size_of(text)) for price, text in levels]
    return [(price, 0.0 if size is None else size) for price, size in read if size is not None or not snapshot]


class CoinbaseDecoder(BaseDecoder):
    """What both feeds share: times that cannot be true, tickers, bars and trades of before."""

    def __init__(self, registry: Registry, derive: Callable[[str, str], Instrument], *, simulated: bool) -> None:
        super().__init__(registry, derive, simulated=simulated)
        self._told: dict[str, int] = {}  # the last believable time by product

    def _time(self, text: str, native: str, ts_recv: int, flags: int) -> tuple[int, int]:
        """(ns, flags) of a message's time. One that is missing is ours; the zero of a clock is the product's last one."""
        if not text:
            return ts_recv, flags | NO_VENUE_TIME
        ns = iso_nanoseconds(text)
        if EARLIEST < ns < ts_recv + DAY:
            if ns > self._told.get(native, 0):
                self._told[native] = ns
            return ns, flags
        if ns > EARLIEST:
            return self.timed(ns, ts_recv, flags)
        told = self._told.get(native)
        return (ts_recv, flags | NO_VENUE_TIME) if told is None else (told, flags | BAD_TIME)

    def past_bars(self, rows: Sequence[w.PastCandle | w.Candle], answer: HttpAnswer, ts_recv: int) -> Sequence[Record]:
        """The venue's own candles of before we listened, oldest first, without the one that is still open."""
        name, interval, flags = self.instrument(answer.native), answer.purpose.removeprefix("bars "), self.flags | RECOVERED
        length = INTERVALS[interval]
        return [
            _bar(name, k, interval, k.start * SECOND + length, ts_recv, flags, complete=True)
            for k in sorted(rows, key=_start)
            if k.start * SECOND + length <= ts_recv
        ]

    @staticmethod
    def five_minutes(name: str, k: w.Candle, ts: int, ts_recv: int, flags: int) -> Bar:
        complete = k.start * SECOND + INTERVALS["5m"] <= ts
        return _bar(name, k, "5m", ts, ts_recv, flags, complete=complete)


def _start(k: w.PastCandle | w.Candle) -> int:
    return k.start


def _bar(name: str, k: w.PastCandle | w.Candle, interval: str, ts: int, ts_recv: int, flags: int, *, complete: bool) -> Bar:
    return Bar(
        name, ts, ts_recv, flags, interval, k.start * SECOND, k.open, k.high, k.low, k.close,
        k.volume, None, None, None, None, complete, 0, "venue",
    )  # fmt: skip


def touch(
    bid: float | None, bid_size: float | None, ask: float | None, ask_size: float | None
) -> tuple[float | None, float | None, float | None, float | None]:
    """A price of 0, or a size of 0, is a side without orders."""
    bid_there, ask_there = bool(bid) and bid_size != 0, bool(ask) and ask_size != 0
    return (
        bid if bid_there else None,
        bid_size if bid_there else None,
        ask if ask_there else None,
        ask_size if ask_there else None,
    )


class ExchangeDecoder(CoinbaseDecoder):
    def __init__(self, registry: Registry, derive: Callable[[str, str], Instrument], *, simulated: bool) -> None:
        super().__init__(registry, derive, simulated=simulated)
        self._on: dict[type, Callable[[Any, bytes, int], Sequence[Record]]] = {
            w.Match: self._match,
            w.L2Update: self._update,
            w.L2Snapshot: self._whole,
            w.Ticker: self._ticker,
            w.Heartbeat: self._heartbeat,
            w.LastMatch: self._last_match,
            w.Subscriptions: self._subscriptions,
            w.Error: self._error,
        }

    def read(self, data: bytes, ts_recv: int) -> Sequence[Record]:
        try:
            m = w.read_exchange(data)
        except msgspec.ValidationError:
            return self._odd(data, ts_recv)
        return self._on[type(m)](m, data, ts_recv)

    def answer(self, answer: HttpAnswer, body: bytes, ts_recv: int) -> Sequence[Record]:
        if answer.purpose == "trades":
            return self._past_trades(w.read_past_trades(body), answer, self.flags_of(body), ts_recv)
        if answer.purpose.startswith("bars "):
            return self.past_bars(w.read_past_candle_rows(body), answer, ts_recv)
        return []

    def _odd(self, data: bytes, ts_recv: int) -> Sequence[Record]:
        """A kind of no use, a book with a size that is none, or malformed."""
        kind = w.read_head(data).type
        if kind in {"l2update", "snapshot"}:
            m = w.read_loose_exchange(data)
            if isinstance(m, w.LooseL2Update):
                bids, asks = ([(p, s) for side, p, s in m.changes if side == wanted] for wanted in ("buy", "sell"))
                return self._book(m, "diff", sizes_of(bids, snapshot=False), sizes_of(asks, snapshot=False), data, ts_recv)
            return self._book(m, "snapshot", sizes_of(m.bids, snapshot=True), sizes_of(m.asks, snapshot=True), data, ts_recv)
        if kind in {"match", "last_match", "ticker", "heartbeat", "subscriptions", "error"}:
            w.read_exchange(data)  # raises what is wrong with it
        self.count_unknown(kind or OTHER)
        return []

    def _trade(self, m: w.Match | w.PastTrade, native: str, flags: int, ts_recv: int) -> Trade:
        ts, flags = self._time(m.time, native, ts_recv, flags)
        side: Side = "sell" if m.side == "buy" else "buy"
        return Trade(self.instrument(native), ts, ts_recv, flags, m.price, m.size, side, str(m.trade_id))

    def _match(self, m: w.Match, data: bytes, ts_recv: int) -> Sequence[Record]:
        if m.price == 0 or m.size == 0:
            return [Skipped(self.instrument(m.product_id), m.trade_id, False, "zero")]
        return [self._trade(m, m.product_id, self.flags_of(data), ts_recv)]

    def _last_match(self, m: w.LastMatch, data: bytes, ts_recv: int) -> Sequence[Record]:
        name = self.instrument(m.product_id)
        if m.price == 0 or m.size == 0:
            return [Past(name, last_id=m.trade_id)]
        return [Past(name, (self._trade(m, m.product_id, self.flags_of(data), ts_recv),))]

    def _past_trades(self, rows: list[w.PastTrade], answer: HttpAnswer, flags: int, ts_recv: int) -> Sequence[Record]:
        good = sorted((t for t in rows if t.price and t.size), key=lambda t: t.trade_id)
        trades = tuple(self._trade(t, answer.native, flags, ts_recv) for t in good)
        return [Past(self.instrument(answer.native), trades, asked=True)]

    def _heartbeat(self, m: w.Heartbeat, data: bytes, ts_recv: int) -> Sequence[Record]:
        name = self.instrument(m.product_id)
        self._time(m.time, m.product_id, ts_recv, 0)
        return [Past(name, last_id=m.last_trade_id)] if m.last_trade_id else []

    def _update(self, m: w.L2Update, data: bytes, ts_recv: int) -> Sequence[Record]:
        bids = [(price, size) for side, price, size in m.changes if side == "buy"]
        asks = [(price, size) for side, price, size in m.changes if side == "sell"]
        return self._book(m, "diff", bids, asks, data, ts_recv)

    def _whole(self, m: w.L2Snapshot, data: bytes, ts_recv: int) -> Sequence[Record]:
        return self._book(m, "snapshot", m.bids, m.asks, data, ts_recv)

    def _book(self, m: Any, kind: Any, bids: list[Level], asks: list[Level], data: bytes, ts_recv: int) -> Sequence[Record]:
        if not m.product_id:
            raise MalformedFrame(f"{kind} names no product")
        ts, flags = self._time(m.time, m.product_id, ts_recv, self.flags_of(data))
        return [BookMessage(m.product_id, ts, flags, kind, bids, asks, UNNUMBERED, UNNUMBERED)]

    def _ticker(self, m: w.Ticker, data: bytes, ts_recv: int) -> Sequence[Record]:
        name = self.instrument(m.product_id)
        ts, flags = self._time(m.time, m.product_id, ts_recv, self.flags_of(data))
        best = touch(m.best_bid, m.best_bid_size, m.best_ask, m.best_ask_size)
        ticker = Ticker(name, ts, ts_recv, flags, m.price or None, m.open_24h, m.high_24h, m.low_24h, m.volume_24h)
        return [Quote(name, ts, ts_recv, flags, *best, m.sequence, "venue"), ticker]

    def _subscriptions(self, m: w.Subscriptions, data: bytes, ts_recv: int) -> Sequence[Record]:
        """All that is subscribed on this connection, whichever message asked for it."""
        names = tuple(
            f"{name}:{product}"
            for channel in m.channels
            for name in (LEVEL2 if channel.name in LEVEL2 else (channel.name,))
            for product in channel.product_ids or ()
        )
        return [Ack(None, names=names)] if names else []

    def _error(self, m: w.Error, data: bytes, ts_recv: int) -> Sequence[Record]:
        """It does not say which message it answers; the venue obeys no part of one that it refuses."""
        return [Ack(None, ": ".join(part for part in (m.message, m.reason) if part)[:MOST_SAID] or "error")]
