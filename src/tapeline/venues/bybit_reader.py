"""How the messages of one of Bybit's connections are read: topic by topic, in one category.

Source: bybit-exchange/docs (2026-07-24), `docs/v5/websocket/public`. Nearly every frame begins with its topic, by which it is routed
to one typed decoder; control messages, and frames whose keys come in another order, take the slow way. The shapes stand in
bybit_messages.py.

Books: a snapshot when the topic begins, and whenever the venue wants; then deltas whose `u` is one more than the one before. A
message with `u` 1 is a snapshot whatever its type says: the venue's service began anew. The venue keeps the topic's depth of levels
on each side: what falls out of it is removed by name, what comes into it is told, so the book ends with its last level (`cut`).
The time is `cts`, the matching engine's, which agrees with the trades'; `ts` is when it was sent. Retail price improvement
orders are in no book. Of several depths of one instrument only the first counts: their `u` have nothing to do with each other.
`orderbook.full` has deltas only and begins with an HTTP snapshot by the same `u`; its `u` 1 asks for another, as it may be empty.

Traps: `orderbook.1` is a quote; it is repeated after 3 s without a change, with the same `u`, and was told in deltas once. In
liquidations `S` is the side of the position: "Buy" means that a long was closed, by selling. A trade message says "snapshot" and
holds new trades all the same. A ticker's key that is missing has not changed, and one that is empty is unknown; spot's tickers name
no bid and ask, those of contracts give quotes as long as `orderbook.1` gives none. Candles and tickers of inverse contracts count
`volume` in contracts of 1 USD and `turnover` in the base asset.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tapeline.clock import MILLI
from tapeline.events import Bar, Liquidation, Quote, Side, Ticker, Trade
from tapeline.instruments import Instrument
from tapeline.venues import bybit_messages as w
from tapeline.venues.base import Ack, BookMessage, Record
from tapeline.venues.bybit_names import Category
from tapeline.venues.decoding import DAY, EARLIEST, MOST_SAID, OFF_BOOK, OTHER, RPI, SAMPLED, BaseDecoder, long_run
from tapeline.venues.shapes import AnyPrice, Levels, Millis, Rate, Size

INTERVALS: dict[str, str] = {
    "1": "1m", "3": "3m", "5": "5m", "15": "15m", "30": "30m", "60": "1h", "120": "2h", "240": "4h", "360": "6h", "720": "12h",
    "D": "1d", "W": "1w", "M": "1M",
}  # fmt: skip
BOOK_DEPTHS = {"50": 50, "200": 200, "500": 500, "1000": 1000}  # 500 stands in old recordings
FULL = "full"
LONGEST_HEAD, MOST_ROUTES = 100, 10_000  # of what is remembered by topic, whoever makes topics up

TOPIC = b'{"topic":"'
_NAMED = re.compile(r"topic:\s*([^\s,\"']+)", re.IGNORECASE)
_OPTION = re.compile(r"-[CP](-|$)")
SIDES: dict[str, Side] = {"Buy": "buy", "Sell": "sell"}
_CLOSED_BY: dict[str, Side] = {"Buy": "sell", "Sell": "buy"}
_FIGURES: dict[str, Any] = {
    "lastPrice": AnyPrice, "prevPrice24h": AnyPrice, "highPrice24h": AnyPrice, "lowPrice24h": AnyPrice,
    "volume24h": Size, "turnover24h": Size, "price24hPcnt": Rate, "markPrice": AnyPrice, "indexPrice": AnyPrice,
    "fundingRate": Rate, "nextFundingTime": Millis, "openInterest": Size,
}  # fmt: skip
_TOUCH: dict[str, Any] = {"bid1Price": AnyPrice, "bid1Size": Size, "ask1Price": AnyPrice, "ask1Size": Size}

Route = Callable[[bytes, int], Sequence[Record]]
Figures = dict[str, Any]  # by the venue's key; None: unknown
Best = tuple[float, float] | None


def oddities(block: bool, rpi: bool) -> int:
    return (OFF_BOOK if block else 0) | (RPI if rpi else 0)


def worth(volume: float, turnover: float, *, inverse: bool) -> tuple[float | None, float | None]:
    """(notional, vwap) of a candle. Inverse contracts are worth 1 USD each; their mean price by contracts is not told."""
    if inverse:
        return volume, None
    return turnover, turnover / volume if volume else None


class _Told:
    """What a topic has told so far: a ticker's figures, level 1. `listed`: its instrument, as known when it first spoke."""

    __slots__ = ("ask", "bid", "figures", "listed")

    def __init__(self) -> None:
        self.listed: Instrument | None = None
        self.figures: Figures = {}
        self.bid: Best = None
        self.ask: Best = None


class Reader:
    """One connection's messages."""

    def __init__(self, decoder: BaseDecoder, category: Category, quoted: set[str]) -> None:
        """`quoted`: ids of the instruments whose level 1 comes by a topic of its own, on whatever connection."""
        self.decoder, self.category, self.quoted = decoder, category, quoted
        self._routes: dict[bytes, Route] = {}
        self._told: dict[bytes, _Told] = {}
        self._depths: dict[str, str] = {}  # which depth makes an instrument's book

    def __getstate__(self) -> dict[str, Any]:
        """Without the routes: they are made again of what they were told, when they are needed."""
        return self.__dict__ | {"_routes": {}}

    def read(self, data: bytes, ts_recv: int) -> Sequence[Record]:
        end = data.find(b'"', len(TOPIC))
        head = data[:end]
        route = self._routes.get(head) or (self._route(head) if end > 0 else self._by_fields)
        return route(data, ts_recv)

    def _route(self, head: bytes) -> Route:
        """The way of one topic's frames, made when its first one comes. `head` is the message up to the end of the topic."""
        if not head.startswith(TOPIC) or len(head) > LONGEST_HEAD:
            return self._by_fields
        if len(self._told) >= MOST_ROUTES:
            self._routes.clear()
            self._told.clear()
        told = self._told.get(head) or _Told()
        route = self._routes[head] = self._route_of(head[len(TOPIC) :].decode(), told)
        self._told[head] = told
        return route

    def _listed(self, symbol: str, told: "_Told") -> Instrument:
        """The instrument, as it was known when its topic first spoke."""
        told.listed = told.listed or self.decoder.listed(self._native(symbol))
        return told.listed

    def _route_of(self, topic: str, told: "_Told") -> Route:
        kind, _, symbol = topic.partition(".")
        parameter, dot, rest = symbol.partition(".")
        if _OPTION.search(symbol):
            return self._unknown("option")
        if kind == "orderbook" and dot:
            return self._book(parameter, rest, told)
        if kind == "kline" and parameter in INTERVALS and rest:
            return self._candles(INTERVALS[parameter], rest, told)
        made = {"publicTrade": self._trades, "tickers": self._ticker, "allLiquidation": self._liquidations}.get(kind)
        if kind == "liquidation":
            made = self._one_liquidation
        return self._unknown(kind) if made is None or dot or not symbol else made(symbol, told)

    def _unknown(self, kind: str) -> Route:
        def route(raw: bytes, ts_recv: int) -> Sequence[Record]:  # noqa: ARG001 - one signature for all routes
            w.read_head(raw)
            self.decoder.count_unknown(kind)
            return ()

        return route

    def _native(self, symbol: str) -> str:
        return f"{self.category}/{symbol}"

    def _book(self, depth: str, symbol: str, told: "_Told") -> Route:
        if depth == "1":
            return self._quote(symbol, told)
        if depth != FULL and depth not in BOOK_DEPTHS:
            return self._unknown(f"orderbook.{depth}")
        full, levels = depth == FULL, BOOK_DEPTHS.get(depth, 0)
        decoder, native, plain, read = self.decoder, self._native(symbol), self.decoder.flags, w.read_book
        decoder.instrument(native)  # refuses names without end, which must not be remembered either
        if self._depths.setdefault(symbol, depth) != depth:
            return self._unknown(f"orderbook.{depth} beside orderbook.{self._depths[symbol]}")

        def route(raw: bytes, ts_recv: int) -> Sequence[Record]:
            m: w.Book = read(raw)
            flags = decoder.flags_of(raw) if long_run(raw) else plain
            ts, flags = decoder.timed((m.cts or m.ts) * MILLI, ts_recv, flags)
            d = m.data
            if not full and (m.type == "snapshot" or d.u == 1):
                return (BookMessage(native, ts, flags, "snapshot", d.b, d.a, d.u, -1, levels, False, levels),)
            return (BookMessage(native, ts, flags, "diff", d.b, d.a, d.u, d.u - 1, levels, full, levels),)

        return route

    def _quote(self, symbol: str, told: "_Told") -> Route:
        decoder, name = self.decoder, self._listed(symbol, told).id
        self.quoted.add(name)

        def route(raw: bytes, ts_recv: int) -> Sequence[Record]:
            m: w.Book = w.read_book(raw)
            ts, flags = decoder.timed((m.cts or m.ts) * MILLI, ts_recv, decoder.flags_of(raw))
            whole = m.type == "snapshot" or m.data.u == 1
            bid, ask = best(m.data.b, None if whole else told.bid), best(m.data.a, None if whole else told.ask)
            told.bid, told.ask = bid, ask
            b, b_size = bid or (None, None)
            a, a_size = ask or (None, None)
            return (Quote(name, ts, ts_recv, flags, b, b_size, a, a_size, m.data.u, "venue"),)

        return route

    def _trades(self, symbol: str, told: "_Told") -> Route:
        decoder, name, plain, read = self.decoder, self._listed(symbol, told).id, self.decoder.flags, w.read_trades

        def route(raw: bytes, ts_recv: int) -> Sequence[Record]:
            flags, latest = decoder.flags_of(raw) if long_run(raw) else plain, ts_recv + DAY
            return [
                Trade(name, ts, ts_recv, flags, t.p, t.v, SIDES.get(t.S, "unknown"), t.i)
                if EARLIEST < (ts := t.T * MILLI) < latest and not (t.BT or t.RPI)
                else odd(t, ts_recv, flags)
                for t in read(raw).data
                if t.p and t.v  # a trade of nothing is none
            ]

        def odd(t: w.Trade, ts_recv: int, flags: int) -> Trade:
            ts, flags = decoder.timed(t.T * MILLI, ts_recv, flags | oddities(t.BT, t.RPI))
            return Trade(name, ts, ts_recv, flags, t.p, t.v, SIDES.get(t.S, "unknown"), t.i)

        return route

    def _ticker(self, symbol: str, told: "_Told") -> Route:
        decoder, listed, figures = self.decoder, self._listed(symbol, told), told.figures

        def route(raw: bytes, ts_recv: int) -> Sequence[Record]:
            m: w.Ticker = w.read_ticker(raw)
            ts, flags = decoder.timed(m.ts * MILLI, ts_recv, decoder.flags_of(raw))
            news, touch = _told(m.data, _FIGURES), _told(m.data, _TOUCH)
            if m.type == "snapshot":
                figures.clear()
            figures.update(news | touch)
            made: list[Record] = []
            if news:
                made.append(_ticker(figures, listed, ts, ts_recv, flags))
            if touch and listed.id not in self.quoted:
                made.append(_touch(figures, listed.id, ts, ts_recv, flags))
            return made

        return route

    def _candles(self, interval: str, symbol: str, told: "_Told") -> Route:
        decoder, listed = self.decoder, self._listed(symbol, told)

        def route(raw: bytes, ts_recv: int) -> Sequence[Record]:
            m: w.Candles = w.read_candles(raw)
            ts, flags = decoder.timed(m.ts * MILLI, ts_recv, decoder.flags_of(raw))
            return [
                Bar(
                    listed.id, ts, ts_recv, flags, interval, k.start * MILLI, k.open, k.high, k.low, k.close,
                    k.volume, None, *worth(k.volume, k.turnover, inverse=listed.inverse), None, k.confirm, 0, "venue",
                )
                for k in m.data
            ]  # fmt: skip

        return route

    def _liquidations(self, symbol: str, _: "_Told") -> Route:
        def route(raw: bytes, ts_recv: int) -> Sequence[Record]:
            flags = self.decoder.flags_of(raw)
            m: w.Liquidations = w.read_liquidations(raw)
            return [self._liquidation(symbol, x.T, x.S, x.p, x.v, ts_recv, flags) for x in m.data]

        return route

    def _one_liquidation(self, symbol: str, _: "_Told") -> Route:
        older = self._unknown("liquidation")

        def route(raw: bytes, ts_recv: int) -> Sequence[Record]:
            if b'"updatedTime"' not in raw:  # the API of before v5 had a topic of this name
                return older(raw, ts_recv)
            x: w.OneLiquidated = w.read_one_liquidation(raw).data
            flags = self.decoder.flags_of(raw) | SAMPLED
            return (self._liquidation(symbol, x.updatedTime, x.side, x.price, x.size, ts_recv, flags),)

        return route

    def _liquidation(
        self, symbol: str, time: int, side: str, price: float, size: float, ts_recv: int, flags: int
    ) -> Liquidation:
        ts, flags = self.decoder.timed(time * MILLI, ts_recv, flags)
        name = self.decoder.instrument(self._native(symbol))
        return Liquidation(name, ts, ts_recv, flags, price, size, _CLOSED_BY.get(side, "unknown"), None, "")

    def _by_fields(self, raw: bytes, ts_recv: int) -> Sequence[Record]:
        head: w.Head = w.read_head(raw)
        if head.topic:
            name = TOPIC + head.topic.encode()
            route = self._routes.get(name) or (self._route(name) if len(name) <= LONGEST_HEAD else self._unknown("topic"))
            return route(raw, ts_recv)
        return self._control(head)

    def _control(self, head: w.Head) -> Sequence[Record]:
        if head.op in {"ping", "pong"}:
            return ()
        if head.type == "COMMAND_RESP":
            return self._by_topic(w.read_topics(head.data))
        if head.success is None or head.op not in {"subscribe", "unsubscribe", ""}:
            self.decoder.count_unknown(head.op or OTHER)
            return ()
        number = head.req_id or None
        if head.success:
            return (Ack(number),)
        names = () if number is not None else tuple(self._named(topic) for topic in _NAMED.findall(head.ret_msg))
        return (Ack(number, head.ret_msg[:MOST_SAID] or "no reason is given", names),)

    def _by_topic(self, topics: w.Topics) -> Sequence[Record]:
        """The form in which options are answered: each topic by name."""
        made = []
        if topics.successTopics:
            made.append(Ack(None, "", tuple(map(self._named, topics.successTopics))))
        if topics.failTopics:
            made.append(Ack(None, "no such topic", tuple(map(self._named, topics.failTopics))))
        return made

    def _named(self, topic: str) -> str:
        return f"{self.category}/{topic}"


def best(levels: Levels, before: Best) -> Best:
    """Level 1 of a side after a message: the level that it sets, else the one before unless it removes that."""
    for level in levels:
        if level[1]:
            return level
    return None if before is None or any(price == before[0] for price, _ in levels) else before


def _told(data: w.TickerData, kinds: dict[str, Any]) -> Figures:
    """What a ticker says; None for a figure that it says to be unknown. Raises msgspec's error on what is no number."""
    return {
        key: msgspec.convert(text, kind, strict=False) if text else None
        for key, kind in kinds.items()
        if (text := getattr(data, key)) is not None
    }


def _ticker(f: Figures, listed: Instrument, ts: int, ts_recv: int, flags: int) -> Ticker:
    """Of inverse contracts, each worth 1 USD, the volume is the notional."""
    last, opened, high, low, volume, turnover, change, mark, index, funding, following, interest = map(f.get, _FIGURES)
    notional = volume if listed.inverse else turnover
    per_cent = None if change is None else round(change * 100, 10)
    next_funding = following * MILLI if following else None
    return Ticker(
        listed.id, ts, ts_recv, flags, last, opened, high, low, volume, notional, per_cent, mark, index,
        funding, next_funding, interest,
    )  # fmt: skip


def _touch(f: Figures, name: str, ts: int, ts_recv: int, flags: int) -> Quote:
    """A side without orders has no price."""
    bid, bid_size, ask, ask_size = map(f.get, _TOUCH)
    if not (bid and bid_size):
        bid = bid_size = None
    if not (ask and ask_size):
        ask = ask_size = None
    return Quote(name, ts, ts_recv, flags, bid, bid_size, ask, ask_size, None, "venue")
