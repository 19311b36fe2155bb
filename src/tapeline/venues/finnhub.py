"""Finnhub: stocks, crypto assets and currencies. The messages are in finnhub_wire.py, the symbols in finnhub_names.py.

Sources: Finnhub's API documents (trades, quote, symbol lists; AsyncAPI copy of 2026-08) and recorded messages. `[?]`: commonly said,
not written by Finnhub.

One address, the key in it; one connection a key, another one is refused with 429 `[?]`, a wrong key with 401. One message
subscribes one symbol and nothing is acknowledged; what goes wrong comes as `{"type": "error"}` without saying what it is about.
A free key takes 50 symbols `[?]` and 60 calls a minute. The server says `{"type": "ping"}` about once a minute where nothing
else is said; no answer is documented, and none is sent: WebSocket's own pings prove that we live.

There are trades and nothing else: no quotes, no books. Currencies mostly come with volume 0, which is a price and no trade, so
their stream is one of `ticker`, whichever of the two channels is asked for.

Where the socket is refused, quotes are polled over HTTP: see `wire/poller.py`. The key goes to HTTP as a header.

The list of all that Finnhub has is too long to ask for (70 exchanges of stocks, 15 of crypto, 10 brokers): we ask for stocks of the
US and the largest of the others, and what belongs elsewhere is taken at its word (`lists`).
"""

from collections.abc import Sequence
from typing import ClassVar
from urllib.parse import quote

import msgspec

from tapeline.errors import ConfigError
from tapeline.instruments import Instrument, Registry
from tapeline.venues import finnhub_names as names
from tapeline.venues.base import Asked, Channel, ConnectionPlan, Decoder, Limits, Request, Stream, Venue
from tapeline.venues.finnhub_wire import FinnhubDecoder, event_time
from tapeline.venues.listing import each, whole

LISTS = (
    ("stock", "US"),
    ("crypto", "binance"),
    ("crypto", "coinbase"),
    ("crypto", "kraken"),
    ("forex", "oanda"),
    ("forex", "ic markets"),
)
_LISTED = frozenset(exchange.upper() for _, exchange in LISTS)
_PREFIX = "trade:"


class _Symbol(msgspec.Struct):
    symbol: str
    displaySymbol: str = ""
    currency: str = ""
    mic: str | None = None


class _Control(msgspec.Struct):
    type: str
    symbol: str


_read_symbols = msgspec.json.Decoder(list[msgspec.Raw]).decode
_read_symbol = msgspec.json.Decoder(_Symbol).decode
_read_control = msgspec.json.Decoder(_Control).decode


class Finnhub(Venue):
    name = "finnhub"
    title = "Finnhub"
    ws_url = "wss://ws.finnhub.io"
    http_url = "https://finnhub.io"
    channels: ClassVar[tuple[Channel, ...]] = ("trades", "ticker")
    secret = "finnhub"  # noqa: S105  the name of the key
    key_page = "https://finnhub.io/register"
    one_connection = True
    limits = Limits(
        messages_per_second=10,  # none is known
        streams_per_connection=50,
        connects_per_5_minutes=60,  # none is known
        http_weight_per_minute=60,
    )

    def plan(self, instruments: Sequence[Instrument], channels: Sequence[Channel]) -> list[ConnectionPlan]:
        for channel in self.settings.streams:
            raise self.no_stream(channel, "Finnhub has one stream a symbol; leave it out")
        if not set(channels) & set(self.channels) or not instruments:
            return []
        streams = tuple(dict.fromkeys(Stream(_PREFIX + i.native, self._channel(i.native), i.id) for i in instruments))
        if len(streams) > self.limits.streams_per_connection:
            most = self.limits.streams_per_connection
            fix = f"a key of the free plan takes {most} symbols; for another plan set venues.finnhub.most_streams"
            raise ConfigError("instruments", f"{len(streams)} of finnhub", fix)
        return [self.connection(f"/?token={quote(self.key, safe='')}" if self.key else "/", streams)]

    @staticmethod
    def _channel(native: str) -> Channel:
        return "ticker" if names.kind_of(native) == "fx" else "trades"

    def subscribe(self, streams: Sequence[Stream], number: int) -> tuple[bytes, ...]:
        return tuple(msgspec.json.encode({"type": "subscribe", "symbol": s.name.removeprefix(_PREFIX)}) for s in streams)

    def unsubscribe(self, streams: Sequence[Stream], number: int) -> tuple[bytes, ...]:
        return tuple(msgspec.json.encode({"type": "unsubscribe", "symbol": s.name.removeprefix(_PREFIX)}) for s in streams)

    def acks(self, messages: Sequence[bytes]) -> int:
        return 0

    def stream(self, name: str) -> tuple[Channel, str] | None:
        native = name.removeprefix(_PREFIX)
        return (self._channel(native), native) if native and native != name else None

    def asked(self, data: bytes) -> Asked | None:
        try:
            message = _read_control(data)
        except (msgspec.MsgspecError, ValueError):
            return None
        if message.type not in {"subscribe", "unsubscribe"}:
            return None
        return Asked(None, (_PREFIX + message.symbol,), gone=message.type == "unsubscribe", acked=False)

    def is_ack(self, data: bytes) -> bool:
        return False

    def decoder(self, registry: Registry, *, simulated: bool) -> Decoder:
        return FinnhubDecoder(registry, self.derive, simulated=simulated)

    def _request(self, purpose: str, path: str, native: str = "", not_before: int = 0) -> Request:
        headers = (("X-Finnhub-Token", self.key),) if self.key else ()
        return self.ask(purpose, f"/api/v1/{path}", native, not_before=not_before, headers=headers)

    def instruments_requests(self) -> list[Request]:
        return [self._request("instruments", f"{kind}/symbol?exchange={quote(exchange)}") for kind, exchange in LISTS]

    def poll_requests(self, streams: Sequence[Stream], not_before: int) -> list[Request]:
        natives = dict.fromkeys(s.name.removeprefix(_PREFIX) for s in streams)
        return [self._request("poll", f"quote?symbol={quote(n, safe='')}", n, not_before) for n in natives]

    def read_instruments(self, body: bytes, label: str) -> list[Instrument]:
        what, made = "symbols of finnhub", dict[str, Instrument]()
        for one in each(whole(_read_symbols, body, what), lambda raw: _listed(raw, label), what):
            name = one.id
            if name in made:  # two symbols of an exchange by one name: the second keeps the venue's own
                name = f"{label}:{one.native.replace(' ', '_')}"
            made.setdefault(name, msgspec.structs.replace(one, id=name))
        return list(made.values())

    def lists(self, symbol: str) -> bool:
        exchange, colon, _ = names.spaced(symbol).partition(":")
        return exchange in _LISTED if colon else "." not in symbol

    def typed(self, symbol: str) -> str:
        return names.spaced(symbol)

    def derive(self, native: str, label: str) -> Instrument:
        return names.derive(native, label)

    def native_of(self, symbol: str) -> str:
        return names.native_of(symbol)

    def event_time(self, data: bytes) -> int | None:
        return event_time(data)


def _listed(raw: msgspec.Raw, label: str) -> Instrument:
    s = _read_symbol(raw)
    return names.derive(s.symbol, label, s.displaySymbol if ":" in s.symbol else "", s.currency)
