"""Kraken spot: connections, subscriptions, instruments. The messages are in kraken_wire.py, those of old recordings in kraken_v1.py.

Source: docs.kraken.com, "Spot WebSocket v2", "Spot REST" and "Rate limits" (2026). One address for everything public,
`wss://ws.kraken.com/v2`; one subscription names one channel and many symbols, and each symbol is acknowledged by itself. The
address closes to who connects more than some 150 times in ten minutes (Cloudflare). What one may send and subscribe to on one
connection is not published ("Exceeded msg rate" is the answer to too much): what stands in `limits` is what we hold ourselves to.
Public REST is counted by address and pair, about one question a second.

Quotes and ticker are one channel, `ticker`, sent at each change of the best bid and offer (`event_trigger` "bbo") or at each trade;
a symbol has it once a connection, so where both are wanted the bbo stream bears both. The `instrument` channel is asked for on every
connection, without its snapshot of every pair: it tells of pairs that stop or begin to trade.

A trade's id is its number within the pair. REST gives the latest 1,000 trades, or the first 1,000 after a time, never by id, so that
a longer hole than that cannot be filled by ids alone.
"""

import re
import zlib
from collections.abc import Sequence
from typing import ClassVar
from urllib.parse import quote

import msgspec

from tapeline.clock import SECOND
from tapeline.config import VenueSettings
from tapeline.instruments import Instrument, Registry, split_pair
from tapeline.plans import parts
from tapeline.venues import kraken_messages as w
from tapeline.venues.base import (
    Asked,
    BookChecksum,
    Channel,
    ConnectionPlan,
    Decoder,
    Limits,
    Request,
    Stream,
    TradeIds,
    Venue,
)
from tapeline.venues.decoding import iso_nanoseconds
from tapeline.venues.kraken_v1 import seconds_to_ns
from tapeline.venues.kraken_wire import KrakenDecoder, result_of
from tapeline.venues.listing import each, step, whole

SYMBOLS_PER_MESSAGE = 50
PAST_MINUTES = (1, 5, 15, 60, 240, 1440)
PING_SECONDS = 30.0
_CHANNELS: dict[str, Channel] = {"trade": "trades", "book": "book", "ticker": "ticker", "ohlc": "bars"}
_DEFAULTS: dict[Channel, str] = {
    "trades": "trade",
    "book": "book-100",
    "quotes": "ticker-bbo",
    "bars": "ohlc-1",
    "ticker": "ticker",
}
API = "/0/public"
_PING = b'{"method":"ping"}'
_IS_ACK = re.compile(rb'"method"\s*:\s*"subscribe"')
_IS_DATA = re.compile(rb'^\s*\{\s*"channel"')
_EVENT_TIME = re.compile(rb'"(?:timestamp|time_out)":"([0-9T:.Z-]{20,32})"')
_EVENT_TIME_V1 = re.compile(rb'"(\d{10}\.\d{6})"')


class _Params(msgspec.Struct):
    channel: str
    symbol: tuple[str, ...] = ()


class _Control(msgspec.Struct):
    method: str
    req_id: int
    params: _Params


_read_control = msgspec.json.Decoder(_Control).decode


def crc32(bids: Sequence[tuple[str, str]], asks: Sequence[tuple[str, str]]) -> int:
    """Kraken's checksum of the best ten levels: asks before bids, each the digits of price and size, as the decoder gives them."""
    text = "".join([price + size for price, size in asks]) + "".join([price + size for price, size in bids])
    return zlib.crc32(text.encode())


class Kraken(Venue):
    name = "kraken"
    title = "Kraken spot"
    ws_url = "wss://ws.kraken.com"
    http_url = "https://api.kraken.com"
    channels: ClassVar[tuple[Channel, ...]] = ("trades", "book", "quotes", "bars", "ticker")
    trade_ids: ClassVar[TradeIds] = "consecutive"
    book_checksum: ClassVar[BookChecksum | None] = BookChecksum(10, crc32)
    limits = Limits(
        messages_per_second=10,
        streams_per_connection=500,
        connects_per_5_minutes=75,
        http_weight_per_minute=60,
        client_ping_seconds=PING_SECONDS,
    )

    def __init__(self, settings: VenueSettings | None = None, key: str = "") -> None:
        super().__init__(settings, key)
        self._next_past = 0  # ns: when the next question about the past may be asked

    def plan(self, instruments: Sequence[Instrument], channels: Sequence[Channel]) -> list[ConnectionPlan]:
        kinds = self._kinds(channels)
        streams = [Stream(f"{kind}:{i.native}", channel, i.id) for i in instruments for channel, kind in kinds.items()]
        first = (_message("subscribe", "instrument", (), 1),)
        most = self.limits.streams_per_connection
        return [self.connection("/v2", part, first, client_ping=_PING) for part in parts(streams, most)]

    def _kinds(self, channels: Sequence[Channel]) -> dict[Channel, str]:
        kinds = {channel: self._kind(channel) for channel in dict.fromkeys(channels) if channel in _DEFAULTS}
        if "quotes" in kinds and "ticker" in kinds:
            del kinds["ticker"]  # its figures come with the quotes
        return kinds

    def _kind(self, channel: Channel) -> str:
        other = self.settings.streams.get(channel)
        if not other:
            return _DEFAULTS[channel]
        known = self.stream(f"{other}:x")
        if known is None or (known[0] != channel and not (channel == "quotes" and other.startswith("ticker"))):
            fits = ", ".join(k for k in w.KINDS if _CHANNELS.get(k.partition("-")[0]) == channel) or "ticker, ticker-bbo"
            raise self.no_stream(channel, f"there are {fits}")
        return other

    def subscribe(self, streams: Sequence[Stream], number: int) -> tuple[bytes, ...]:
        return _messages("subscribe", streams, number)

    def unsubscribe(self, streams: Sequence[Stream], number: int) -> tuple[bytes, ...]:
        return _messages("unsubscribe", streams, number)

    def acks(self, messages: Sequence[bytes]) -> int:
        """One a symbol."""
        return sum(len(_read_control(message).params.symbol) or 1 for message in messages)

    def stream(self, name: str) -> tuple[Channel, str] | None:
        kind, _, native = name.partition(":")
        if not native or kind not in w.KINDS:
            return None
        channel = "quotes" if kind == "ticker-bbo" else _CHANNELS.get(kind.partition("-")[0])
        return None if channel is None else (channel, native)

    def asked(self, data: bytes) -> Asked | None:
        try:
            message = _read_control(data)
        except (msgspec.MsgspecError, ValueError):
            return None
        place = message.req_id % w.KINDS_PER_ID
        if message.method not in {"subscribe", "unsubscribe"} or place >= len(w.KINDS) or not message.params.symbol:
            return None  # the instrument channel is of no instrument
        names = tuple(f"{w.KINDS[place]}:{symbol}" for symbol in message.params.symbol)
        return Asked(message.req_id, names, gone=message.method == "unsubscribe")

    def is_ack(self, data: bytes) -> bool:
        return _IS_DATA.match(data) is None and _IS_ACK.search(data, 0, 1000) is not None

    def decoder(self, registry: Registry, *, simulated: bool) -> Decoder:
        return KrakenDecoder(registry, self.derive, simulated=simulated)

    # HTTP

    def instruments_requests(self) -> list[Request]:
        return [self.ask("instruments", f"{API}/AssetPairs")]

    def past_requests(self, native: str, not_before: int) -> list[Request]:
        """Up to 720 candles of each longer interval, one question a second whatever the pair: more are refused."""
        first = max(not_before, self._next_past)
        self._next_past = first + len(PAST_MINUTES) * SECOND
        of = f"{API}/OHLC?pair={quote(w.rest_pair(native))}"
        return [
            self.ask(f"bars {w.MINUTES[minutes]}", f"{of}&interval={minutes}", native, not_before=first + n * SECOND)
            for n, minutes in enumerate(PAST_MINUTES)
        ]

    def trades_request(self, native: str, first: int | None, last: int | None, attempt: int, not_before: int) -> Request | None:
        """The latest 1,000: ids cannot be asked for."""
        return self.ask("trades", f"{API}/Trades?pair={quote(w.rest_pair(native))}&count=1000", native, attempt, not_before)

    def read_instruments(self, body: bytes, label: str) -> list[Instrument]:
        what = f"AssetPairs of {self.name}"
        return each(whole(result_of, body, what).values(), lambda raw: self._listed(raw, label), what)

    def _listed(self, raw: msgspec.Raw, label: str) -> Instrument | None:
        pair: w.RestPair = w.read_rest_pair(raw)
        if "/" not in pair.wsname:  # it is not on the feed (dark pools)
            return None
        tick = pair.tick_size if pair.tick_size is not None else _power(pair.pair_decimals)
        lot = _power(pair.lot_decimals)
        derived = self.derive(w.modern(pair.wsname), label)
        return msgspec.structs.replace(derived, tick=step(tick), lot=step(lot), status=pair.status)

    def derive(self, native: str, label: str) -> Instrument:
        base, _, quoted = w.modern(native).partition("/")
        if not quoted:
            base, quoted = split_pair(native) or (native, "")
        symbol = f"{base}-{quoted}" if quoted else native
        return Instrument(id=f"{label}:{symbol}", venue=label, native=native, kind="spot", base=base, quote=quoted)

    def native_of(self, symbol: str) -> str:
        return w.modern(symbol.upper().replace("-", "/"))

    def event_time(self, data: bytes) -> int | None:
        try:
            if (found := _EVENT_TIME.search(data)) is not None:
                return iso_nanoseconds(found[1].decode())
            old = _EVENT_TIME_V1.search(data)
            return seconds_to_ns(old[1].decode()) if old is not None else None
        except ValueError:
            return None


def _power(decimals: int | None) -> float | None:
    return None if decimals is None else float(f"1e{-decimals}")


def _messages(method: str, streams: Sequence[Stream], number: int) -> tuple[bytes, ...]:
    by_kind: dict[str, list[str]] = {}
    for stream in streams:
        kind, _, symbol = stream.name.partition(":")
        by_kind.setdefault(kind, []).append(symbol)
    found: list[bytes] = []
    for kind, symbols in by_kind.items():
        for part in parts(symbols, SYMBOLS_PER_MESSAGE):
            found.append(_message(method, kind, tuple(part), number + len(found)))
    return tuple(found)


def _message(method: str, kind: str, symbols: tuple[str, ...], number: int) -> bytes:
    """One subscription, spelled as the documents spell it."""
    channel, _, parameter = kind.partition("-")
    params: dict[str, object] = {"channel": channel}
    if symbols:
        params["symbol"] = symbols
    if channel == "book":
        params["depth"] = int(parameter)
    elif channel == "ohlc":
        params["interval"] = int(parameter)
    elif channel == "ticker":
        params["event_trigger"] = parameter or "trades"
    if method == "subscribe":
        params["snapshot"] = channel != "instrument"
    req_id = number * w.KINDS_PER_ID + w.KINDS.index(kind)
    return msgspec.json.encode({"method": method, "params": params, "req_id": req_id})
