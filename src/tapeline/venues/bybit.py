"""Bybit v5: spot, linear and inverse contracts in one venue. Messages: bybit_wire.py, names: bybit_names.py.

Source: bybit-exchange/docs (2026-07-24), "Connect", "Rate Limit Rules" and the pages of each topic and endpoint. One address a
category, `/v5/public/{spot|linear|inverse}`, so instruments of two categories take two connections; names of streams here are
`category/topic`. Topics are subscribed by message. Its `req_id` comes back with the answer; it bears the category, because the
topics in a message do not. One topic that the venue does not know may cost the whole message (`error:handler not found,topic:…`), so
messages are small, ten topics each, which is also all that spot takes.

Limits: 500 connections in 5 minutes, topics of 21,000 characters together on a connection (500 topics are always less), HTTP
600 requests in 5 s, of which a tenth is used. How many messages a second a connection may send is not published. A ping every 20 s;
a connection that says nothing for 10 minutes is cut. Nothing is announced before the venue closes one.

Depths of books: 50 levels every 20 ms, 200 every 100 ms, 1000 every 200 ms; `orderbook.1` every 10 ms is the quotes. 200 is asked
for: as fresh as other venues' books, where 1000 is half as fresh. `orderbook.full` is all of it every 200 ms; since 2026-07 spot has
it, contracts not yet. It begins over HTTP, where the others begin on the socket. The instruments of a category come in one answer of
up to 1,000; one with more would need the cursor, which is not followed.

Trade ids are unique texts without order: a hole does not show, a double does. After a reconnection the venue's most recent trades
(1,000, spot 60) tell what was missed, as far as they reach back.
"""

import re
from collections.abc import Iterator, Sequence
from typing import ClassVar
from urllib.parse import quote

import msgspec

from tapeline.errors import MalformedFrame
from tapeline.instruments import Instrument, Registry
from tapeline.plans import parts
from tapeline.venues import bybit_messages as w
from tapeline.venues.base import Asked, Channel, ConnectionPlan, Decoder, Limits, Request, Stream, TradeIds, Venue
from tapeline.venues.bybit_names import CATEGORIES, Category, delivery_of, derive, native_of, split_native
from tapeline.venues.bybit_reader import BOOK_DEPTHS, FULL, INTERVALS
from tapeline.venues.bybit_wire import MINUTES, BybitDecoder, event_time, result_of
from tapeline.venues.listing import each, step, whole

TOPICS_PER_MESSAGE = 10
CHARACTERS = 21_000  # of a connection's topics
PAST_CANDLES = 500
API = "/v5/market"
_IS_ACK = re.compile(rb'"op"\s*:\s*"(un)?subscribe"|"COMMAND_RESP"')
_CHANNELS: dict[str, Channel] = {
    "publicTrade": "trades",
    "orderbook": "book",
    "kline": "bars",
    "tickers": "ticker",
    "allLiquidation": "liquidations",
}


def _channel(topic: str) -> Channel | None:
    """What a topic without its symbol carries."""
    kind, _, parameter = topic.partition(".")
    if kind == "orderbook":
        return "quotes" if parameter == "1" else "book" if parameter == FULL or parameter in BOOK_DEPTHS else None
    if (parameter in INTERVALS) != (kind == "kline") or (parameter and kind != "kline"):
        return None
    return _CHANNELS.get(kind)


class Bybit(Venue):
    name = "bybit"
    title = "Bybit"
    ws_url = "wss://stream.bybit.com"
    http_url = "https://api.bybit.com"
    channels: ClassVar[tuple[Channel, ...]] = ("trades", "book", "quotes", "bars", "ticker", "liquidations")
    trade_ids: ClassVar[TradeIds] = "unique"
    limits = Limits(
        messages_per_second=10,
        streams_per_connection=500,
        connects_per_5_minutes=500,
        http_weight_per_minute=720,
        client_ping_seconds=20,
    )
    topics: ClassVar[dict[Channel, str]] = {
        "trades": "publicTrade",
        "book": "orderbook.200",
        "quotes": "orderbook.1",
        "bars": "kline.1",
        "ticker": "tickers",
        "liquidations": "allLiquidation",
    }

    def plan(self, instruments: Sequence[Instrument], channels: Sequence[Channel]) -> list[ConnectionPlan]:
        by_category: dict[Category, list[Stream]] = {category: [] for category in CATEGORIES}
        for instrument in instruments:
            category, symbol = split_native(instrument.native)
            for channel in channels:
                if topic := self._topic(channel, category):
                    by_category[category].append(Stream(f"{category}/{topic}.{symbol}", channel, instrument.id))
        return [
            self.connection(f"/v5/public/{category}", shard, client_ping=b'{"op":"ping"}')
            for category, streams in by_category.items()
            for shard in self._shards(streams)
        ]

    def _topic(self, channel: Channel, category: Category) -> str:
        """Empty where the category has no such topic: spot knows no liquidations."""
        if channel == "liquidations" and category == "spot":
            return ""
        other = self.settings.streams.get(channel)
        if other and _channel(other) != channel:
            raise self.no_stream(channel, "see docs/venues.md for what fits")
        return other or self.topics.get(channel, "")

    def _shards(self, streams: Sequence[Stream]) -> Iterator[list[Stream]]:
        """As many on a connection as its topics may have characters, quotation marks and commas included."""
        shard: list[Stream] = []
        used = 0
        for stream in streams:
            size = len(_topic_of(stream.name)) + 3
            if shard and (used + size > CHARACTERS or len(shard) == self.limits.streams_per_connection):
                yield shard
                shard, used = [], 0
            shard.append(stream)
            used += size
        if shard:
            yield shard

    def subscribe(self, streams: Sequence[Stream], number: int) -> tuple[bytes, ...]:
        return _control("subscribe", streams, number)

    def unsubscribe(self, streams: Sequence[Stream], number: int) -> tuple[bytes, ...]:
        return _control("unsubscribe", streams, number)

    def stream(self, name: str) -> tuple[Channel, str] | None:
        category, slash, topic = name.partition("/")
        kind, dot, symbol = topic.rpartition(".")
        channel = _channel(kind)
        if channel is None or not (slash and dot and symbol) or category not in CATEGORIES:
            return None
        return channel, f"{category}/{symbol}"

    def asked(self, data: bytes) -> Asked | None:
        try:
            message: w.Control = w.read_control(data)
        except (msgspec.MsgspecError, ValueError):
            return None
        if message.op not in {"subscribe", "unsubscribe"}:
            return None
        category, slash, _ = (message.req_id or "").partition("/")
        before = f"{category}/" if slash and category in CATEGORIES else ""
        names = tuple(before + topic for topic in message.args)
        return Asked(message.req_id or None, names, gone=message.op == "unsubscribe")

    def is_ack(self, data: bytes) -> bool:
        return not data.startswith(b'{"topic"') and _IS_ACK.search(data) is not None

    def decoder(self, registry: Registry, *, simulated: bool) -> Decoder:
        full = self.settings.streams.get("book") == f"orderbook.{FULL}"
        return BybitDecoder(registry, self._full_book if full else None, simulated=simulated)

    def _full_book(self, native: str, attempt: int, not_before: int) -> Request:
        category, symbol = split_native(native)
        path = f"{API}/full_orderbook?category={category}&symbol={quote(symbol)}"
        return self.ask("book", path, native, attempt, not_before)

    def instruments_requests(self) -> list[Request]:
        return [self.ask("instruments", f"{API}/instruments-info?category={c}&limit=1000") for c in CATEGORIES]

    def more_instruments(self, body: bytes) -> Request | None:
        """A category of more than 1,000 instruments comes in pages, each of which names the next one."""
        try:
            listing: w.Listing = w.read_listing(result_of(body))
        except (MalformedFrame, msgspec.MsgspecError, ValueError, RecursionError):
            return None  # whoever reads it says what is wrong
        if not listing.nextPageCursor or listing.category not in CATEGORIES:
            return None
        path = f"{API}/instruments-info?category={listing.category}&limit=1000&cursor={quote(listing.nextPageCursor, safe='%')}"
        return self.ask("instruments", path)

    def past_requests(self, native: str, not_before: int) -> list[Request]:
        category, symbol = split_native(native)
        of = f"category={category}&symbol={quote(symbol)}"
        return [
            self.ask(f"bars {ours}", f"{API}/kline?{of}&interval={theirs}&limit={PAST_CANDLES}", native, not_before=not_before)
            for theirs, ours in INTERVALS.items()
            if ours in MINUTES
        ]

    def trades_request(self, native: str, first: int | None, last: int | None, attempt: int, not_before: int) -> Request:
        """The most recent ones: the venue knows no other question."""
        category, symbol = split_native(native)
        most = 60 if category == "spot" else 1000
        path = f"{API}/recent-trade?category={category}&symbol={quote(symbol)}&limit={most}"
        return self.ask("trades", path, native, attempt, not_before)

    def read_instruments(self, body: bytes, label: str) -> list[Instrument]:
        what = f"instruments of {self.name}"
        listing: w.Listing = whole(lambda answer: w.read_listing(result_of(answer)), body, what)
        if (category := next((c for c in CATEGORIES if c == listing.category), None)) is None:
            raise MalformedFrame(f"{what}: there is no category {listing.category[:40]!r}")
        return each(listing.list, lambda raw: _listed(w.read_listed(raw), category, label), what)

    def derive(self, native: str, label: str) -> Instrument:
        return derive(native, label)

    def native_of(self, symbol: str) -> str:
        return native_of(symbol)

    def event_time(self, data: bytes) -> int | None:
        return event_time(data)


def _topic_of(name: str) -> str:
    return name.partition("/")[2]


def _control(op: str, streams: Sequence[Stream], number: int) -> tuple[bytes, ...]:
    """Streams of one connection, so of one category."""
    category = streams[0].name.partition("/")[0] if streams else ""
    messages = enumerate(parts([_topic_of(s.name) for s in streams], TOPICS_PER_MESSAGE), number)
    return tuple(msgspec.json.encode({"req_id": f"{category}/{n}", "op": op, "args": topics}) for n, topics in messages)


def _listed(x: w.Listed, category: Category, label: str) -> Instrument:
    """Named by what it is, not by its symbol. A perpetual has a time of delivery, too, when it is about to be delisted."""
    end = "" if category == "spot" else delivery_of(x.deliveryTime) if x.contractType.endswith("Futures") else "PERP"
    symbol = "-".join(part for part in (x.baseCoin, x.quoteCoin, end) if part)
    return Instrument(
        id=f"{label}:{symbol}",
        venue=label,
        native=f"{category}/{x.symbol}",
        kind="spot" if category == "spot" else "perpetual" if end == "PERP" else "future",
        base=x.baseCoin,
        quote=x.quoteCoin,
        tick=step(x.priceFilter.tickSize),
        lot=step(x.lotSizeFilter.basePrecision if category == "spot" else x.lotSizeFilter.qtyStep),
        inverse=category == "inverse",
        status=x.status,
    )
