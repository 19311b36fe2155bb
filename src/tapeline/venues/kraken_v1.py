"""Kraken's WebSocket v1, for old recordings: arrays `[channel id, payload(s), "book-10", "XBT/USD"]` and objects with `event`.

A book message with both sides has two payloads; `c`, the checksum, stands in updates only, in the last one; a level that ends in
`"r"` is republished because it came into the depth again, and is applied like any other. Times are texts of seconds with six
decimals. Trades have no ids. Symbols are v1's (XBT, XDG) and become v2's, so that one instrument has one name. The checksum's rule
is that of v2. Where a message has several levels, its time is the latest of theirs.
"""

import re
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import msgspec

from tapeline.clock import SECOND
from tapeline.events import Bar, Quote, Side, Ticker, Trade
from tapeline.venues import kraken_messages as w
from tapeline.venues.base import UNNUMBERED, Ack, BookMessage, Record
from tapeline.venues.decoding import MOST_SAID, NO_VENUE_TIME, BaseDecoder
from tapeline.venues.kraken_candles import CandleClosing
from tapeline.venues.shapes import AnyPrice, Id, Price, Size, reader

MINUTE = 60 * SECOND
_SECONDS = re.compile(r"(\d{1,10})(?:\.(\d{1,9}))?", re.ASCII)
_TIMES = re.compile(rb'"\d{10}\.\d{6}"')  # 16 digits, and no number that a float64 must hold
_SIDES: dict[str, Side] = {"b": "buy", "s": "sell"}


class OldLevel(msgspec.Struct, array_like=True, gc=False):
    """What follows `time` is "r" or nothing, and of no use."""

    price: str
    volume: str
    time: str


class Sides(msgspec.Struct, gc=False):
    as_: list[OldLevel] | None = msgspec.field(default=None, name="as")
    bs: list[OldLevel] | None = None
    a: list[OldLevel] = []
    b: list[OldLevel] = []
    c: str = ""


class OldTrade(msgspec.Struct, array_like=True, gc=False):
    price: Price
    volume: Size
    time: str
    side: str


class OldSpread(msgspec.Struct, array_like=True, gc=False):
    bid: AnyPrice
    ask: AnyPrice
    time: str
    bid_volume: Size
    ask_volume: Size


class OldCandle(msgspec.Struct, array_like=True, gc=False):
    time: str
    end: str
    open: AnyPrice
    high: AnyPrice
    low: AnyPrice
    close: AnyPrice
    vwap: AnyPrice
    volume: Size
    count: Id


class OldTicker(msgspec.Struct, gc=False):
    """Each a list: of `c` the first is the last price, of the others the second is that of 24 hours."""

    c: list[AnyPrice]
    v: list[Size]
    l: list[AnyPrice]  # noqa: E741 - the venue's name
    h: list[AnyPrice]


_read_parts = reader(list[msgspec.Raw], strict=True)
_read_text = reader(str, strict=True)
_read_sides = reader(Sides, strict=True)
_read_trades = reader(list[OldTrade])
_read_spread = reader(OldSpread)
_read_candle = reader(OldCandle)
_read_ticker = reader(OldTicker)


def seconds_to_ns(text: str) -> int:
    """`1561939258.527900` to ns, integers all the way. ValueError on anything else."""
    found = _SECONDS.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is no time in seconds")
    return int(found[1]) * SECOND + int((found[2] or "").ljust(9, "0"))


def _texts(printed: Sequence[OldLevel]) -> list[tuple[str, str]]:
    """The digits as the checksum wants them: without points and leading zeros."""
    return [(x.price.replace(".", "").lstrip("0"), x.volume.replace(".", "").lstrip("0")) for x in printed]


def _levels(printed: Sequence[OldLevel]) -> list[tuple[float, float]]:
    """Their numbers, judged by the same types as everything else."""
    return msgspec.convert([(x.price, x.volume) for x in printed], list[tuple[Price, Size]], strict=False)


class V1:
    """Reads v1's messages for a decoder, which lends its names, times and flags."""

    def __init__(self, decoder: BaseDecoder, candles: CandleClosing) -> None:
        self._d, self._candles = decoder, candles
        self._kinds: dict[str, Callable[[list[msgspec.Raw], str, str, int, int], Sequence[Record]]] = {
            "book": self._book,
            "trade": self._trades,
            "spread": self._spread,
            "ohlc": self._candle,
            "ticker": self._ticker,
        }

    def read(self, raw: bytes, ts_recv: int) -> Sequence[Record]:
        _, *payloads, name, pair = _read_parts(raw)
        channel, _, parameter = _read_text(name).partition("-")
        if not payloads:
            raise ValueError(f"a {channel[:40]} message without anything in it")
        build = self._kinds.get(channel)
        if build is None:
            self._d.count_unknown(channel)
            return []
        return build(payloads, parameter, w.modern(_read_text(pair)), ts_recv, self._d.flags_of(_TIMES.sub(b"", raw)))

    def event(self, head: w.Head) -> Sequence[Record]:
        """`subscriptionStatus` answers a subscription; heartbeats and pongs say nothing that is not known by their coming."""
        if head.event == "subscriptionStatus":
            names = (f"{head.channelName}:{w.modern(head.pair)}",) if head.channelName and head.pair else ()
            return [Ack(None, head.errorMessage[:MOST_SAID] if head.status == "error" else "", names)]
        if head.event not in {"heartbeat", "systemStatus", "pong"}:
            self._d.count_unknown(head.event)
        return []

    def _book(self, payloads: list[msgspec.Raw], depth: str, native: str, ts_recv: int, flags: int) -> Sequence[Record]:
        parts: list[Sides] = [_read_sides(p) for p in payloads if bytes(p) != b"null"]
        whole = any(p.as_ is not None or p.bs is not None for p in parts)
        bids = list(chain.from_iterable((p.bs or []) if whole else p.b for p in parts))
        asks = list(chain.from_iterable((p.as_ or []) if whole else p.a for p in parts))
        times = [seconds_to_ns(x.time) for x in chain(bids, asks)]
        ts, flags = self._d.timed(max(times), ts_recv, flags) if times else (ts_recv, flags | NO_VENUE_TIME)
        checksum = next((int(p.c) for p in parts if p.c), None)
        cut = int(depth)
        if cut not in w.DEPTHS:
            raise ValueError(f"book-{depth} of {native} has no depth that is known")
        return [
            BookMessage(
                native, ts, flags, "snapshot" if whole else "diff", _levels(bids), _levels(asks), UNNUMBERED, UNNUMBERED,
                cut if whole else 0, cut=cut, checksum=checksum,
                bid_texts=_texts(bids), ask_texts=_texts(asks),
            )
        ]  # fmt: skip

    def _trades(self, payloads: list[msgspec.Raw], _: str, native: str, ts_recv: int, flags: int) -> Sequence[Record]:
        name, trades = self._d.instrument(native), []
        for row in _read_trades(payloads[0]):
            ts, marked = self._d.timed(seconds_to_ns(row.time), ts_recv, flags)
            trades.append(Trade(name, ts, ts_recv, marked, row.price, row.volume, _SIDES.get(row.side, "unknown"), ""))
        return trades

    def _spread(self, payloads: list[msgspec.Raw], _: str, native: str, ts_recv: int, flags: int) -> Sequence[Record]:
        m = _read_spread(payloads[0])
        ts, flags = self._d.timed(seconds_to_ns(m.time), ts_recv, flags)
        return [quote(self._d.instrument(native), ts, ts_recv, flags, m.bid, m.bid_volume, m.ask, m.ask_volume)]

    def _candle(self, payloads: list[msgspec.Raw], minutes: str, native: str, ts_recv: int, flags: int) -> Sequence[Record]:
        m, length = _read_candle(payloads[0]), int(minutes) * MINUTE
        interval = w.MINUTES.get(int(minutes))
        if interval is None:
            raise ValueError(f"ohlc-{minutes} of {native} has no interval that is known")
        ts, flags = self._d.timed(seconds_to_ns(m.time), ts_recv, flags)
        bar = Bar(
            self._d.instrument(native), ts, ts_recv, flags, interval, seconds_to_ns(m.end) - length, m.open, m.high, m.low,
            m.close, m.volume, None, None, m.vwap or None, m.count, False, 0, "venue",
        )  # fmt: skip
        return self._candles.update(bar, length)

    def _ticker(self, payloads: list[msgspec.Raw], _: str, native: str, ts_recv: int, flags: int) -> Sequence[Record]:
        m, flags = _read_ticker(payloads[0]), flags | NO_VENUE_TIME
        last, volume, low, high = (_at(m.c, 0), _at(m.v, 1), _at(m.l, 1), _at(m.h, 1))
        return [Ticker(self._d.instrument(native), ts_recv, ts_recv, flags, last, None, high, low, volume)]


def _at(values: list[Any], place: int) -> float | None:
    return values[place] if len(values) > place else None


def quote(name: str, ts: int, ts_recv: int, flags: int, bid: float, bid_size: float, ask: float, ask_size: float) -> Quote:
    """A side without orders comes as zeros: it is unknown, not a price of 0."""
    has_bid, has_ask = bool(bid and bid_size), bool(ask and ask_size)
    return Quote(
        name, ts, ts_recv, flags, bid if has_bid else None, bid_size if has_bid else None, ask if has_ask else None,
        ask_size if has_ask else None, None, "venue",
    )  # fmt: skip
