"""Coinbase Exchange: the public feed without a key. The messages are in coinbase_wire.py.

Source: docs.cdp.coinbase.com "Exchange WebSocket overview", "channels" and "rate limits", REST reference (2025-05). One message may
subscribe many products on many channels; the answer is the list of everything that is subscribed on the connection, without an id,
and it calls `level2_batch` by other names (`level2`, `level2_50`). A refusal does not say which message it answers, and nothing of a
refused message is obeyed. A connection that has not subscribed within 5 s is closed.

`level2`, `level3` and `full` want a key; `level2_batch` is the same book in batches of 50 ms. A book begins with its snapshot on the
socket: it is begun anew by subscribing anew. `matches` never comes without `heartbeat` here, whose `last_trade_id` shows what is
missing. `ticker` (at each match) carries the venue's quotes, `ticker_batch` (every 5 s) the 24-hour figures: the messages are the
same and both give both, but each can be ended without the other. There are no candles on the socket.

8 new connections a second, 100 messages a second, 10 requests a second over HTTP. How many products a connection takes is not
published; each book's snapshot is megabytes, and who reads too slowly is dropped (`ErrSlowConsume`): a connection gets 200 streams.
"""

import re
from collections.abc import Iterable, Sequence
from typing import ClassVar
from urllib.parse import quote

import msgspec

from tapeline.clock import SECOND
from tapeline.config import INTERVALS
from tapeline.instruments import Instrument, Registry
from tapeline.plans import parts
from tapeline.venues.base import Asked, Channel, ConnectionPlan, Decoder, Limits, Request, Stream, TradeIds, Venue
from tapeline.venues.coinbase_wire import ExchangeDecoder, event_time
from tapeline.venues.listing import each, step, whole
from tapeline.venues.shapes import reader

STREAMS_PER_MESSAGE = 100
MOST_TRADES = 1000  # of one answer
MOST_CANDLES = 300
PAST_INTERVALS = ("1m", "5m", "15m", "1h", "1d")
_IS_ACK = re.compile(rb'"(?:type|channel)"\s*:\s*"(?:subscriptions|error)"')
_HEAD = 100  # bytes of a message that say what it is
_EXCHANGE: dict[str, Channel] = {
    "matches": "trades",
    "level2_batch": "book",
    "level2": "book",
    "level2_50": "book",
    "ticker": "quotes",
    "ticker_batch": "ticker",
}


class _Product(msgspec.Struct):
    id: str
    base_currency: str
    quote_currency: str
    base_increment: float | None = None
    quote_increment: float | None = None
    status: str = ""
    trading_disabled: bool = False
    cancel_only: bool = False
    limit_only: bool = False
    post_only: bool = False
    auction_mode: bool = False


class _Channels(msgspec.Struct):
    name: str
    product_ids: tuple[str, ...] = ()


class _Control(msgspec.Struct):
    """`product_ids` are for the channels that stand there by their names alone."""

    type: str
    channels: list[str | _Channels] = []
    product_ids: tuple[str, ...] = ()


_read_control = msgspec.json.Decoder(_Control).decode
_read_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_read_product = reader(_Product)


def by_name(streams: Iterable[Stream]) -> dict[str, list[str]]:
    """Products by the venue's name of the channel."""
    found: dict[str, list[str]] = {}
    for stream in streams:
        name, _, product = stream.name.partition(":")
        products = found.setdefault(name, [])
        if product not in products:
            products.append(product)
    return found


class CoinbaseVenue(Venue):
    """What Exchange and Advanced Trade have in common. Streams are named `matches:BTC-USD`, by the venue's own channels."""

    trade_ids: ClassVar[TradeIds] = "consecutive"
    named: ClassVar[dict[str, Channel]]
    """The venue's channels, the one that is taken unless another is asked for first."""

    def plan(self, instruments: Sequence[Instrument], channels: Sequence[Channel]) -> list[ConnectionPlan]:
        chosen = [(channel, self._native(channel)) for channel in channels if channel in self.channels]
        streams = [Stream(f"{name}:{i.native}", channel, i.id) for i in instruments for channel, name in chosen]
        return [self.connection("", part, self.first()) for part in parts(streams, self.limits.streams_per_connection)]

    def _native(self, channel: Channel) -> str:
        other = self.settings.streams.get(channel)
        if other and self.named.get(other) != channel:
            fitting = ", ".join(name for name, carried in self.named.items() if carried == channel) or "nothing"
            raise self.no_stream(channel, f"fitting: {fitting}")
        return other or next(name for name, carried in self.named.items() if carried == channel)

    def first(self) -> tuple[bytes, ...]:
        """What is said before anything is subscribed."""
        return ()

    def stream(self, name: str) -> tuple[Channel, str] | None:
        native, _, product = name.partition(":")
        channel = self.named.get(native)
        return None if channel is None or not product else (channel, product)

    def is_ack(self, data: bytes) -> bool:
        return _IS_ACK.search(data, 0, _HEAD) is not None

    def derive(self, native: str, label: str) -> Instrument:
        base, _, quoted = native.partition("-")
        return Instrument(id=f"{label}:{native}", venue=label, native=native, kind="spot", base=base, quote=quoted)

    def native_of(self, symbol: str) -> str:
        return symbol.upper()

    def event_time(self, data: bytes) -> int | None:
        return event_time(data)


class Coinbase(CoinbaseVenue):
    name = "coinbase"
    title = "Coinbase Exchange"
    ws_url = "wss://ws-feed.exchange.coinbase.com"
    http_url = "https://api.exchange.coinbase.com"
    channels: ClassVar[tuple[Channel, ...]] = ("trades", "book", "quotes", "ticker")
    named = _EXCHANGE
    limits = Limits(
        messages_per_second=100,
        streams_per_connection=200,
        connects_per_5_minutes=2400,
        http_weight_per_minute=600,
        http_per_second=10,
    )

    def subscribe(self, streams: Sequence[Stream], number: int) -> tuple[bytes, ...]:
        return self._control("subscribe", streams)

    def unsubscribe(self, streams: Sequence[Stream], number: int) -> tuple[bytes, ...]:
        return self._control("unsubscribe", streams)

    def _control(self, what: str, streams: Sequence[Stream]) -> tuple[bytes, ...]:
        return tuple(self._message(what, by_name(part)) for part in parts(streams, STREAMS_PER_MESSAGE))

    @staticmethod
    def _message(what: str, named: dict[str, list[str]]) -> bytes:
        if "matches" in named:
            named = {**named, "heartbeat": named["matches"]}
        channels = [{"name": name, "product_ids": products} for name, products in named.items()]
        return msgspec.json.encode({"type": what, "channels": channels})

    def asked(self, data: bytes) -> Asked | None:
        try:
            message = _read_control(data)
        except (msgspec.MsgspecError, ValueError):
            return None
        if message.type not in {"subscribe", "unsubscribe"}:
            return None
        channels = [_Channels(c, message.product_ids) if isinstance(c, str) else c for c in message.channels]
        names = tuple(f"{c.name}:{p}" for c in channels if c.name in self.named for p in c.product_ids)
        gone = message.type == "unsubscribe"  # answered by what is left, which names nothing of what went
        return Asked(None, names, gone=gone, acked=bool(names) and not gone)

    def decoder(self, registry: Registry, *, simulated: bool) -> Decoder:
        return ExchangeDecoder(registry, self.derive, simulated=simulated)

    def instruments_requests(self) -> list[Request]:
        return [self.ask("instruments", "/products")]

    def past_requests(self, native: str, not_before: int) -> list[Request]:
        """The last 300 candles of each interval; 4 hours are not among those that there are."""
        return [
            self.ask(
                f"bars {interval}",
                f"/products/{quote(native)}/candles?granularity={INTERVALS[interval] // SECOND}",
                native,
                not_before=not_before,
            )
            for interval in PAST_INTERVALS
        ]

    def trades_request(self, native: str, first: int | None, last: int | None, attempt: int, not_before: int) -> Request | None:
        """`after` gives the trades below an id, `before` the newest above one, both newest first. Of a long hole with two ends the
        oldest are asked for first.
        """
        path = f"/products/{quote(native)}/trades?limit={MOST_TRADES}"
        if first is not None and last is not None:
            end = min(last, first + MOST_TRADES - 1)
            path = f"/products/{quote(native)}/trades?limit={end - first + 1}&after={end + 1}"
        elif first is not None:
            path += f"&before={first - 1}"
        return self.ask("trades", path, native, attempt, not_before)

    def read_instruments(self, body: bytes, label: str) -> list[Instrument]:
        what = f"products of {self.name}"
        return each(whole(_read_list, body, what), lambda raw: self._listed(raw, label), what)

    @staticmethod
    def _listed(raw: msgspec.Raw, label: str) -> Instrument:
        p = _read_product(raw)
        said = ("trading_disabled", "cancel_only", "limit_only", "post_only", "auction_mode")
        symbol = f"{p.base_currency}-{p.quote_currency}"
        return Instrument(
            id=f"{label}:{symbol}",
            venue=label,
            native=p.id,
            kind="spot",
            base=p.base_currency,
            quote=p.quote_currency,
            tick=step(p.quote_increment),
            lot=step(p.base_increment),
            status=next((flag for flag in said if getattr(p, flag)), p.status),
        )
