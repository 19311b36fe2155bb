"""Binance spot: connections, subscriptions, instruments. The messages are in binance_wire.py.

Source: binance-spot-api-docs, `web-socket-streams.md` and `rest-api.md` (2026-06/07). One URL `/stream` for everything; streams
are subscribed by message, so that each is acknowledged. At most 5 incoming messages a second (pongs count), 1024 streams a
connection, 300 connection attempts in 5 minutes, pings every 20 s, disconnection after 24 h. An unknown stream is acknowledged and
stays silent: only its silence tells.
"""

import re
from collections.abc import Sequence
from typing import ClassVar
from urllib.parse import quote

import msgspec

from tapeline.instruments import Instrument, Kind, Registry, split_pair
from tapeline.plans import parts
from tapeline.venues.base import Asked, Channel, ConnectionPlan, Decoder, Limits, Request, Stream, TradeIds, Venue
from tapeline.venues.binance_wire import BinanceDecoder, event_time
from tapeline.venues.listing import each, step, whole
from tapeline.venues.shapes import reader

PAST_INTERVALS = ("1m", "5m", "15m", "1h", "4h", "1d")
STREAMS_PER_MESSAGE = 100  # keeps a SUBSCRIBE below the 4 KiB that proxies like
_IS_ACK = re.compile(rb'^\s*\{\s*"(result|error|id|code)"\s*:')
_CHANNELS: dict[str, Channel] = {
    "trade": "trades",
    "aggTrade": "trades",
    "depth": "book",
    "bookTicker": "quotes",
    "kline": "bars",
    "ticker": "ticker",
    "miniTicker": "ticker",
    "markPrice": "ticker",
    "forceOrder": "liquidations",
}


class Filter(msgspec.Struct):
    filterType: str = ""
    tickSize: float | None = None
    stepSize: float | None = None


class Symbol(msgspec.Struct):
    symbol: str
    status: str
    baseAsset: str
    quoteAsset: str
    filters: list[Filter] = []
    contractType: str = ""


class _ExchangeInfo(msgspec.Struct):
    symbols: list[msgspec.Raw]


class _Control(msgspec.Struct):
    method: str
    id: int | str
    params: tuple[str, ...] = ()


_read_control = msgspec.json.Decoder(_Control).decode
_read_symbol = reader(Symbol)
_read_info = reader(_ExchangeInfo)


def steps(filters: Sequence[Filter]) -> tuple[float | None, float | None]:
    """(tick, lot)"""
    tick = next((f.tickSize for f in filters if f.filterType == "PRICE_FILTER"), None)
    lot = next((f.stepSize for f in filters if f.filterType == "LOT_SIZE"), None)
    return step(tick), step(lot)


def _control(method: str, streams: Sequence[Stream], number: int) -> tuple[bytes, ...]:
    messages = enumerate(parts([s.name for s in streams], STREAMS_PER_MESSAGE), number)
    return tuple(msgspec.json.encode({"method": method, "params": names, "id": n}) for n, names in messages)


class Binance(Venue):
    name = "binance"
    title = "Binance spot"
    ws_url = "wss://stream.binance.com:9443"
    http_url = "https://api.binance.com"
    channels: ClassVar[tuple[Channel, ...]] = ("trades", "book", "quotes", "bars", "ticker")
    trade_ids: ClassVar[TradeIds] = "consecutive"
    limits = Limits(
        messages_per_second=5,
        streams_per_connection=1024,
        connects_per_5_minutes=300,
        http_weight_per_minute=6000,
        max_age_seconds=24 * 3600,
        ping_seconds=20,
    )
    api: ClassVar[str] = "/api/v3"
    depth: ClassVar[tuple[int, int]] = (5000, 250)  # levels of a snapshot, weight of asking for it
    info_weight: ClassVar[int] = 20
    aggregate_weight: ClassVar[int] = 4
    historical_weight: ClassVar[int] = 25
    decoder_class: ClassVar[type[BinanceDecoder]] = BinanceDecoder
    suffixes: ClassVar[dict[Channel, tuple[str, ...]]] = {
        "trades": ("trade",),
        "book": ("depth@100ms",),
        "quotes": ("bookTicker",),
        "bars": ("kline_1m",),
        "ticker": ("ticker",),
    }

    def path(self, suffix: str) -> str:
        """The URL path that a stream is served on."""
        return "/stream"

    def plan(self, instruments: Sequence[Instrument], channels: Sequence[Channel]) -> list[ConnectionPlan]:
        by_path: dict[str, list[Stream]] = {}
        for instrument in instruments:
            for channel in channels:
                for suffix in self._suffixes(channel):
                    stream = Stream(f"{instrument.native.lower()}@{suffix}", channel, instrument.id)
                    by_path.setdefault(self.path(suffix), []).append(stream)
        most = self.limits.streams_per_connection
        micros = "?timeUnit=MICROSECOND" if self.settings.time_unit == "us" else ""
        return [self.connection(path + micros, part) for path, streams in by_path.items() for part in parts(streams, most)]

    def _suffixes(self, channel: Channel) -> tuple[str, ...]:
        other = self.settings.streams.get(channel)
        if not other:
            return self.suffixes.get(channel, ())
        known = self.stream(f"x@{other}")
        if known is None or known[0] != channel:
            raise self.no_stream(channel, "see docs/venues.md for what fits")
        return (other,)

    def subscribe(self, streams: Sequence[Stream], number: int) -> tuple[bytes, ...]:
        return _control("SUBSCRIBE", streams, number)

    def unsubscribe(self, streams: Sequence[Stream], number: int) -> tuple[bytes, ...]:
        return _control("UNSUBSCRIBE", streams, number)

    def stream(self, name: str) -> tuple[Channel, str] | None:
        native, _, suffix = name.partition("@")
        channel = _CHANNELS.get(re.split(r"[@_\d]", suffix, maxsplit=1)[0])
        return None if channel is None or not native else (channel, native.upper())

    def asked(self, data: bytes) -> Asked | None:
        try:
            message = _read_control(data)
        except (msgspec.MsgspecError, ValueError):
            return None
        if message.method not in {"SUBSCRIBE", "UNSUBSCRIBE"}:
            return None
        return Asked(message.id, message.params, gone=message.method == "UNSUBSCRIBE")

    def is_ack(self, data: bytes) -> bool:
        return _IS_ACK.match(data) is not None

    def decoder(self, registry: Registry, *, simulated: bool) -> Decoder:
        return self.decoder_class(registry, self.derive, self._snapshot_request, simulated=simulated)

    def _snapshot_request(self, native: str, attempt: int, not_before: int) -> Request:
        levels, weight = self.depth
        path = f"{self.api}/depth?symbol={quote(native)}&limit={levels}"
        return self.ask("book", path, native, attempt, not_before, weight=weight)

    def trades_request(self, native: str, first: int | None, last: int | None, attempt: int, not_before: int) -> Request | None:
        """`historicalTrades` or `aggTrades` from an id on, 1,000 at most: whichever of them the stream numbers. Futures want a key
        for the former (`historical_weight` 0): there a hole in single trades stays.
        """
        aggregated = self._suffixes("trades") == ("aggTrade",)
        name, weight = ("aggTrades", self.aggregate_weight) if aggregated else ("historicalTrades", self.historical_weight)
        if first is None or not weight:
            return None
        limit = 1000 if last is None else min(1000, last - first + 1)
        path = f"{self.api}/{name}?symbol={quote(native)}&fromId={first}&limit={limit}"
        return self.ask("trades", path, native, attempt, not_before, weight=weight)

    def past_requests(self, native: str, not_before: int) -> list[Request]:
        """499 candles of each longer interval: one more would cost twice the weight on futures."""
        of = f"{self.api}/klines?symbol={quote(native)}"
        return [
            self.ask(f"bars {interval}", f"{of}&interval={interval}&limit=499", native, not_before=not_before, weight=2)
            for interval in PAST_INTERVALS
        ]

    def instruments_requests(self) -> list[Request]:
        return [self.ask("instruments", f"{self.api}/exchangeInfo", weight=self.info_weight)]

    def read_instruments(self, body: bytes, label: str) -> list[Instrument]:
        what = f"exchangeInfo of {self.name}"
        return each(whole(_read_info, body, what).symbols, lambda raw: self._read_listed(raw, label), what)

    def _read_listed(self, raw: msgspec.Raw, label: str) -> Instrument:
        """One symbol of the list. Raises msgspec's errors and ValueError."""
        s = _read_symbol(raw)
        symbol, kind = self._name(s)
        tick, lot = steps(s.filters)
        return Instrument(
            id=f"{label}:{symbol}",
            venue=label,
            native=s.symbol,
            kind=kind,
            base=s.baseAsset,
            quote=s.quoteAsset,
            tick=tick,
            lot=lot,
            status=s.status,
        )

    def _name(self, s: Symbol) -> tuple[str, Kind]:
        return f"{s.baseAsset}-{s.quoteAsset}", "spot"

    def derive(self, native: str, label: str) -> Instrument:
        pair = split_pair(native)
        base, quoted = pair or (native, "")
        symbol = f"{base}-{quoted}" if pair else native
        return Instrument(id=f"{label}:{symbol}", venue=label, native=native, kind="spot", base=base, quote=quoted)

    def native_of(self, symbol: str) -> str:
        return symbol.replace("-", "").upper()

    def event_time(self, data: bytes) -> int | None:
        return event_time(data)
