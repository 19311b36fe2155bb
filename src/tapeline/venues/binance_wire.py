"""One decoder for Binance's messages, spot and futures.

Sources: binance-spot-api-docs `web-socket-streams.md` (2026-06), the USDⓈ-M WebSocket market stream pages (2026-03 to 07).

A message comes raw (`/ws/…`) or in an envelope `{"stream": name, "data": …}` (`/stream`); acknowledgements and errors never
have the envelope. Nearly every frame is an enveloped trade, bookTicker or depthUpdate, so those are routed by the stream name
cut out of the bytes and decoded by one typed decoder, envelope and all; every other shape takes the slow way by its fields.
The shapes stand in binance_messages.py.

Traps: spot's bookTicker and partial depth carry no time and no event name; `m` true means the buyer was the maker, so the
aggressor sold; futures trades with `X` other than MARKET are no market trades; a futures partial book has the shape of a diff and
only the stream name tells; kline `f`/`L` may be −1; times are µs instead of ms where the connection asked for it.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import msgspec

from tapeline.clock import MILLI
from tapeline.errors import MalformedFrame
from tapeline.events import Bar, Liquidation, Quote, Side, Ticker, Trade
from tapeline.frames import HttpAnswer
from tapeline.instruments import Instrument, Registry
from tapeline.venues import binance_messages as w
from tapeline.venues.base import Ack, BookMessage, Notice, Past, Record, Request, Skipped
from tapeline.venues.decoding import (
    AGGREGATED,
    DAY,
    EARLIEST,
    MOST_SAID,
    NO_VENUE_TIME,
    OFF_BOOK,
    OTHER,
    RECOVERED,
    SAMPLED,
    BaseDecoder,
    long_run,
    nanoseconds,
)
from tapeline.venues.shapes import Rate

FULL_LIMITS = frozenset((5, 10, 20, 50, 100, 500, 1000, 5000))  # levels a side that /depth can be asked for


_ENVELOPE = b'{"stream":"'
LONGEST_HEAD, MOST_ROUTES = 100, 10_000  # of what is remembered by stream name, whoever makes names up
_many_decimals = re.compile(rb"\.[0-9]{9}").search
BIG = 10_000_000.0  # below it, and with at most 8 decimals, a number has no more than 15 digits
_EVENT_TIME = re.compile(rb'"[ET]":\s*(\d{12,17})\b')
_PARTIAL = re.compile(r"@depth\d+(@|$)")
_QUICK = re.compile(r"trade|aggTrade|bookTicker|depth(@\d+ms)?")


def event_time(raw: bytes) -> int | None:
    found = _EVENT_TIME.search(raw)
    return nanoseconds(int(found[1])) if found else None


Route = Callable[[bytes, int], Sequence[Record]]


def _stream_of(head: bytes) -> tuple[str, str]:
    """(native name, kind) of an enveloped message's beginning."""
    native, _, kind = head[len(_ENVELOPE) :].decode().partition("@")
    return native.upper(), kind


class BinanceDecoder(BaseDecoder):
    """Stateless but for its routes and counters. `build` turns one decoded struct into records; see the table at the end."""

    futures: ClassVar[bool] = False

    def __init__(
        self,
        registry: Registry,
        derive: Callable[[str, str], Instrument],
        snapshot: Callable[[str, int, int], Request | None],
        *,
        simulated: bool,
    ) -> None:
        super().__init__(registry, derive, snapshot, simulated=simulated)
        self._routes: dict[bytes, Route] = {}
        self._named: dict[bytes, str] = {}  # what the instrument was called when a route was made
        self._kinds = self._of_kinds()

    def _of_kinds(self) -> dict[str, tuple[Callable[..., Any], Callable[..., Sequence[Record]]]]:
        return {
            "trade": (w.read_trade, self._trade),
            "aggTrade": (w.read_agg_trade, self._agg_trade),
            "blockTrade": (w.read_trade, self._block_trade),
            "depthUpdate": (w.read_depth, self._depth),
            "bookTicker": (w.read_book_ticker, self._quote),
            "kline": (w.read_kline, self._kline),
            "24hrTicker": (w.read_ticker, self._ticker),
            "24hrMiniTicker": (w.read_ticker, self._ticker),
            "markPriceUpdate": (w.read_mark_price, self._mark_price),
            "forceOrder": (w.read_force_order, self._liquidation),
        }

    def __getstate__(self) -> dict[str, Any]:
        """Without what is made of functions: it is made again when it is needed."""
        return {key: value for key, value in self.__dict__.items() if key not in {"_routes", "_kinds"}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._kinds = self._of_kinds()
        self._routes = {}

    def read(self, data: bytes, ts_recv: int) -> Sequence[Record]:
        head = data[: data.find(b'"', 11)]
        route = self._routes.get(head) or self._route(head)
        return route(data, ts_recv)

    def answer(self, answer: HttpAnswer, body: bytes, ts_recv: int) -> Sequence[Record]:
        """A book snapshot, or past candles. Other purposes are not for the market."""
        if answer.purpose == "book":
            asked, flags = re.search(r"[?&]limit=(\d+)", answer.url), self.flags_of(body)
            return [self._fetched(w.read_snapshot(body), answer.native, ts_recv, int(asked[1]) if asked else 0, flags)]
        if answer.purpose.startswith("bars "):
            return self._past(w.read_past_candles(body), answer, ts_recv)
        if answer.purpose == "trades":
            return [self._missing(answer, body, ts_recv)]
        return []

    def _missing(self, answer: HttpAnswer, body: bytes, ts_recv: int) -> Past:
        """Trades that were missed, single or aggregated as they were asked for; of those that are no trades nothing is told here."""
        native, flags = answer.native, self.flags_of(body)
        found: list[Record] = []
        if "/aggTrades" in answer.url:
            for a in w.read_past_aggregates(body):
                found += self._agg_trade(a, ts_recv, native, flags)
        else:
            for t in w.read_past_trades(body):
                one = w.Trade(t.id, t.price, t.qty, t.time, t.isBuyerMaker)
                found += self._trade(one, ts_recv, native, flags)
        return Past(self.instrument(native), [t for t in found if isinstance(t, Trade)], asked=True)

    def _past(self, rows: list[w.PastCandle], answer: HttpAnswer, ts_recv: int) -> Sequence[Record]:
        """The venue's own candles of before we listened; the last row is of the interval that is still open."""
        name, interval, flags = self.instrument(answer.native), answer.purpose.removeprefix("bars "), self.flags | RECOVERED
        return [
            Bar(
                name, nanoseconds(k.close_time) + MILLI, ts_recv, flags, interval, nanoseconds(k.open_time),
                k.open, k.high, k.low, k.close, k.volume, k.buy_volume, k.notional,
                k.notional / k.volume if k.volume else None, k.trades, True, 0, "venue",
            )
            for k in rows
            if nanoseconds(k.close_time) < ts_recv
        ]  # fmt: skip

    def _route(self, head: bytes) -> Route:
        """The way of one stream's frames, made when its first one comes. `head` is the message up to the end of the name."""
        if not head.startswith(_ENVELOPE) or len(head) > LONGEST_HEAD:
            return self._by_fields
        if len(self._named) >= MOST_ROUTES:
            self._routes.clear()
            self._named.clear()
        if (name := self._named.get(head)) is None:
            native, kind = _stream_of(head)
            name = self.instrument(native) if native[:1] != "!" and _QUICK.fullmatch(kind) else ""
            self._named[head] = name
        route = self._routes[head] = self._route_of(head, name)
        return route

    def _route_of(self, head: bytes, name: str) -> Route:
        native, kind = _stream_of(head)
        if not name:
            return self._by_fields
        if kind == "bookTicker":
            return self._quick_quote(native, name)
        if kind == "trade":
            return self._quick_trade(native, name)
        if kind == "aggTrade":
            return self._quick(w.AggTrade, self._agg_trade, native)
        return self._quick(w.Depth, self._depth, native)

    def _quick(self, shape: type[msgspec.Struct], build: Callable[..., Sequence[Record]], native: str) -> Route:
        read, plain = w.enveloped(shape), self.flags

        def route(raw: bytes, ts_recv: int) -> Sequence[Record]:
            flags = self.flags_of(raw) if long_run(raw) else plain
            return build(read(raw).data, ts_recv, native, flags)

        return route

    # Nine frames of ten are quotes and trades. Those with nothing unusual about them are built right here, without a call; any
    # other takes the long way, which decides the same from the start.

    def _quick_quote(self, native: str, name: str) -> Route:
        read, plain = w.enveloped(w.BookTicker), self.flags
        timeless = plain | NO_VENUE_TIME

        def route(raw: bytes, ts_recv: int) -> Sequence[Record]:
            m: w.BookTicker = read(raw).data
            if 0.0 < m.B < BIG > m.A > 0.0 and m.b < BIG > m.a and _many_decimals(raw) is None:
                if m.E is None:
                    return (Quote(name, ts_recv, ts_recv, timeless, m.b, m.B, m.a, m.A, m.u, "venue"),)
                ts = m.E * MILLI
                if EARLIEST < ts < ts_recv + DAY:
                    return (Quote(name, ts, ts_recv, plain, m.b, m.B, m.a, m.A, m.u, "venue"),)
            return self._quote(m, ts_recv, native, self.flags_of(raw))

        return route

    def _quick_trade(self, native: str, name: str) -> Route:
        read, plain = w.enveloped(w.Trade), self.flags

        def route(raw: bytes, ts_recv: int) -> Sequence[Record]:
            m: w.Trade = read(raw).data
            ts, price, size = m.T * MILLI, m.p, m.q
            if (
                0.0 < price < BIG > size > 0.0
                and m.X == "MARKET"
                and EARLIEST < ts < ts_recv + DAY
                and _many_decimals(raw) is None
            ):
                return (Trade(name, ts, ts_recv, plain, price, size, "sell" if m.m else "buy", str(m.t)),)
            return self._trade(m, ts_recv, native, self.flags_of(raw))

        return route

    def _by_fields(self, raw: bytes, ts_recv: int) -> Sequence[Record]:
        if raw.lstrip()[:1] == b"[":
            return [r for item in w.read_list(raw) for r in self._payload(bytes(item), "", ts_recv)]
        head = w.read_head(raw)
        if not (inner := bytes(head.data)):
            return self._payload(raw, head.stream, ts_recv, head)
        if inner[:1] == b"[":
            return [r for item in w.read_list(inner) for r in self._payload(bytes(item), head.stream, ts_recv)]
        return self._payload(inner, head.stream, ts_recv)

    def _payload(self, raw: bytes, stream: str, ts_recv: int, head: w.Head | None = None) -> Sequence[Record]:
        head = head or w.read_head(raw)
        native = stream.partition("@")[0].upper() if stream and stream[0] != "!" else ""
        if head.e:
            return self._event(raw, head.e, stream, native, ts_recv)
        if head.lastUpdateId is not None:
            return self._whole_book(raw, stream, native, ts_recv)
        if head.u is not None and (head.s or native):
            return self._quote(w.read_book_ticker(raw), ts_recv, head.s or native, self.flags_of(raw))
        if bytes(head.openInterest):
            return self._open_interest(w.read_open_interest(raw), ts_recv)
        return self._control(head)

    def _event(self, raw: bytes, kind: str, stream: str, native: str, ts_recv: int) -> Sequence[Record]:
        if kind == "serverShutdown":
            return [Notice("serverShutdown")]
        if "@rpiDepth" in stream:
            kind = "rpiDepth"  # a diff of another book, by its shape: it must not get into this one
        known = self._kinds.get(kind)
        if known is None:
            self.count_unknown(kind)
            return []
        read, build = known
        message = read(raw)
        native = getattr(message, "s", "") or native
        if kind == "depthUpdate" and _PARTIAL.search(stream):
            return self._partial_of_diff(message, ts_recv, native, self.flags_of(raw))
        if kind != "forceOrder" and not native:
            raise MalformedFrame(f"{kind} names no symbol")
        return build(message, ts_recv, native, self.flags_of(raw))

    def _control(self, head: w.Head) -> Sequence[Record]:
        if head.error is not None:
            return [Ack(head.id, f"{head.error.msg[:MOST_SAID]} (code {head.error.code})")]
        if head.code is not None and head.msg:
            return [Ack(head.id, f"{head.msg[:MOST_SAID]} (code {head.code})")]
        if bytes(head.result):
            return [Ack(head.id)]
        self.count_unknown(OTHER)
        return []

    def _time(self, t: int, ts_recv: int, flags: int) -> tuple[int, int]:
        """(ns, flags) of a venue time in ms or µs."""
        return self.timed(nanoseconds(t), ts_recv, flags)

    def _trade(self, m: w.Trade, ts_recv: int, native: str, flags: int) -> Sequence[Record]:
        instrument = self.instrument(native)
        if m.X != "MARKET" or m.p == 0 or m.q == 0:
            return [Skipped(instrument, m.t, False, m.X if m.p and m.q else "zero")]
        ts, flags = self._time(m.T, ts_recv, flags)
        return [Trade(instrument, ts, ts_recv, flags, m.p, m.q, "sell" if m.m else "buy", str(m.t))]

    def _block_trade(self, m: w.Trade, ts_recv: int, native: str, flags: int) -> Sequence[Record]:
        ts, flags = self._time(m.T, ts_recv, flags | OFF_BOOK)
        return [Trade(self.instrument(native), ts, ts_recv, flags, m.p, m.q, "sell" if m.m else "buy", str(m.t))]

    def _agg_trade(self, m: w.AggTrade, ts_recv: int, native: str, flags: int) -> Sequence[Record]:
        instrument = self.instrument(native)
        if m.p == 0 or m.q == 0:
            return [] if m.a is None else [Skipped(instrument, m.a, True, "zero")]
        ts, flags = self._time(m.T, ts_recv, flags | AGGREGATED)
        name = "" if m.a is None else str(m.a)
        return [Trade(instrument, ts, ts_recv, flags, m.p, m.q, "sell" if m.m else "buy", name)]

    def _depth(self, m: w.Depth, ts_recv: int, native: str, flags: int) -> Sequence[Record]:
        if m.u < m.U:
            raise MalformedFrame(f"depthUpdate of {native} ends at {m.u} before it begins at {m.U}")
        ts, flags = self._time(m.E, ts_recv, flags)
        if not self.futures:
            return [BookMessage(native, ts, flags, "diff", m.b, m.a, m.u, m.U - 1)]
        if m.pu is None:
            raise MalformedFrame(f"depthUpdate of {native} lacks pu")
        return [BookMessage(native, ts, flags, "diff", m.b, m.a, m.u, min(m.pu, m.U - 1))]

    def _partial_of_diff(self, m: w.Depth, ts_recv: int, native: str, flags: int) -> Sequence[Record]:
        ts, flags = self._time(m.E, ts_recv, flags)
        return [BookMessage(native, ts, flags, "partial", m.b, m.a, m.u, -1)]

    def _whole_book(self, raw: bytes, stream: str, native: str, ts_recv: int) -> Sequence[Record]:
        """A partial book of a stream, or a REST snapshot that stands among recorded lines (then no symbol is named)."""
        m, flags = w.read_snapshot(raw), self.flags_of(raw)
        if native and not stream.endswith("@depthSnapshot"):
            return [BookMessage(native, ts_recv, flags | NO_VENUE_TIME, "partial", m.bids, m.asks, m.lastUpdateId, -1)]
        full = len(m.bids) if len(m.bids) in FULL_LIMITS else len(m.asks)
        return [self._fetched(m, native, ts_recv, full if full in FULL_LIMITS else 0, flags)]

    def _fetched(self, m: w.Snapshot, native: str, ts_recv: int, limit: int, flags: int) -> BookMessage:
        ts, flags = (ts_recv, flags | NO_VENUE_TIME) if m.E is None else self._time(m.E, ts_recv, flags)
        return BookMessage(native, ts, flags, "fetched", m.bids, m.asks, m.lastUpdateId, -1, limit)

    def _quote(self, m: w.BookTicker, ts_recv: int, native: str, flags: int) -> Sequence[Record]:
        ts, flags = (ts_recv, flags | NO_VENUE_TIME) if m.E is None else self._time(m.E, ts_recv, flags)
        known = self.registry.by_native.get(native)
        name = known.id if known is not None else self.instrument(native)
        if m.B == 0 or m.A == 0:  # a side without orders is unknown, not a price of 0
            bid, bid_size = (m.b, m.B) if m.B else (None, None)
            ask, ask_size = (m.a, m.A) if m.A else (None, None)
            return [Quote(name, ts, ts_recv, flags, bid, bid_size, ask, ask_size, m.u, "venue")]
        return [Quote(name, ts, ts_recv, flags, m.b, m.B, m.a, m.A, m.u, "venue")]

    def _kline(self, m: w.Kline, ts_recv: int, native: str, flags: int) -> Sequence[Record]:
        k, (ts, flags) = m.k, self._time(m.E, ts_recv, flags)
        vwap = k.q / k.v if k.v else None
        return [
            Bar(
                self.instrument(native), ts, ts_recv, flags, k.i, nanoseconds(k.t), k.o, k.h, k.l, k.c,
                k.v, k.V, k.q, vwap, k.n, k.x, 0, "venue",
            )
        ]  # fmt: skip

    def _ticker(self, m: w.Ticker, ts_recv: int, native: str, flags: int) -> Sequence[Record]:
        ts, flags = self._time(m.E, ts_recv, flags)
        return [Ticker(self.instrument(native), ts, ts_recv, flags, m.c, m.o, m.h, m.l, m.v, m.q, m.P)]

    def _mark_price(self, m: w.MarkPrice, ts_recv: int, native: str, flags: int) -> Sequence[Record]:
        """`r` is empty and `T` 0 for what pays no funding (dated futures)."""
        ts, flags = self._time(m.E, ts_recv, flags)
        rate = msgspec.convert(m.r, Rate, strict=False) if m.r else None
        if not m.T:
            return [Ticker(self.instrument(native), ts, ts_recv, flags, mark=m.p, index=m.i)]
        name, funding = self.instrument(native), nanoseconds(m.T)
        return [Ticker(name, ts, ts_recv, flags, mark=m.p, index=m.i, funding_rate=rate, next_funding=funding)]

    def _liquidation(self, m: w.ForceOrder, ts_recv: int, native: str, flags: int) -> Sequence[Record]:
        """Only the latest order of a symbol per second is sent, so what arrives is a sample."""
        o = m.o
        ts, flags = self._time(o.T, ts_recv, flags | SAMPLED)
        side: Side = "sell" if o.S == "SELL" else "buy" if o.S == "BUY" else "unknown"
        return [Liquidation(self.instrument(o.s), ts, ts_recv, flags, o.p, o.q, side, o.ap or None, "")]

    def _open_interest(self, m: w.OpenInterest, ts_recv: int) -> Sequence[Record]:
        ts, flags = (ts_recv, self.flags | NO_VENUE_TIME) if m.time is None else self._time(m.time, ts_recv, self.flags)
        return [Ticker(self.instrument(m.symbol), ts, ts_recv, flags, open_interest=m.openInterest)]


class FuturesDecoder(BinanceDecoder):
    futures = True
