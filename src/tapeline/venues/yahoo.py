"""Yahoo Finance: connections, subscriptions, names. The messages are in yahoo_wire.py, the symbols in yahoo_names.py.

Undocumented; the sources are yfinance (2026-08, `live.py`, `pricing.proto`) and a third party's measurements (2026-09). One
address for everything, no key. `{"subscribe": ["AAPL", "BTC-USD"]}` adds symbols, nothing is acknowledged or refused: only
silence tells of a wrong symbol. A connection serves 100 symbols, wrong ones included, and silently leaves out the rest; 110
connections side by side were served. Malformed JSON closes the connection with 1005. The server sends no heartbeat; yfinance
subscribes anew every 15 seconds to stay served, and so do we: the client's ping is the list of symbols.

A subscription is of a symbol and not of a channel, so a stream is a symbol, whatever channels are asked for. It is called
`trades` where the growth of a day's volume makes some, and `ticker` for currencies, crypto assets and indices, which have none
(yahoo_wire.py says why); each sample of either gives a `Ticker`, and quotes where it has bid or ask, which nobody has seen yet.

There is no list of instruments. The question at the start is a search that asks for no result, to know whether Yahoo answers;
`tapeline instruments yahoo:apple` searches.
"""

from collections.abc import Sequence
from typing import ClassVar
from urllib.parse import quote

import msgspec

from tapeline.instruments import Instrument, Registry
from tapeline.plans import parts
from tapeline.venues.base import Asked, Channel, ConnectionPlan, Decoder, Limits, Request, Stream, Venue
from tapeline.venues.listing import whole
from tapeline.venues.yahoo_names import EXCHANGES, SEARCHED, derive
from tapeline.venues.yahoo_wire import YahooDecoder, event_time

WITHOUT_VOLUME = frozenset({"fx", "spot", "index"})  # kinds that no trades can be made of
SEARCH_RESULTS = 25


class _Control(msgspec.Struct):
    subscribe: list[str] = []
    unsubscribe: list[str] = []


class _Found(msgspec.Struct):
    symbol: str = ""
    exchange: str = ""
    quoteType: str = ""


class _Search(msgspec.Struct):
    quotes: list[_Found] = []


_read_control = msgspec.json.Decoder(_Control).decode
_read_search = msgspec.json.Decoder(_Search).decode


class Yahoo(Venue):
    name = "yahoo"
    title = "Yahoo Finance"
    ws_url = "wss://streamer.finance.yahoo.com"
    http_url = "https://query1.finance.yahoo.com"
    channels: ClassVar[tuple[Channel, ...]] = ("trades", "ticker")
    trade_sides = False
    limits = Limits(
        messages_per_second=5,  # none is known
        streams_per_connection=100,
        connects_per_5_minutes=110,
        http_weight_per_minute=60,  # none is known
        client_ping_seconds=15,
    )

    def plan(self, instruments: Sequence[Instrument], channels: Sequence[Channel]) -> list[ConnectionPlan]:
        for channel in self.settings.streams:
            raise self.no_stream(channel, "Yahoo has one stream a symbol; leave it out")
        if not set(channels) & set(self.channels):
            return []
        streams = [Stream(i.native, self._channel(i.native), i.id) for i in instruments]
        return [self._connection(part) for part in parts(streams, self.limits.streams_per_connection)]

    def _channel(self, native: str) -> Channel:
        return "ticker" if derive(native, "").kind in WITHOUT_VOLUME else "trades"

    def _connection(self, streams: Sequence[Stream]) -> ConnectionPlan:
        (again,) = self.subscribe(streams, 1)
        return self.connection("/?version=2", streams, client_ping=again, origin="https://finance.yahoo.com")

    def subscribe(self, streams: Sequence[Stream], number: int) -> tuple[bytes, ...]:
        return (msgspec.json.encode({"subscribe": [s.name for s in streams]}),)

    def unsubscribe(self, streams: Sequence[Stream], number: int) -> tuple[bytes, ...]:
        return (msgspec.json.encode({"unsubscribe": [s.name for s in streams]}),)

    def acks(self, messages: Sequence[bytes]) -> int:
        return 0

    def stream(self, name: str) -> tuple[Channel, str] | None:
        return (self._channel(name), name) if name else None

    def heard_as(self, name: str) -> str:
        return "ticker"  # in each sample, though nothing was traded

    def asked(self, data: bytes) -> Asked | None:
        try:
            message = _read_control(data)
        except (msgspec.MsgspecError, ValueError):
            return None
        names = tuple(message.unsubscribe or message.subscribe)
        return Asked(None, names, gone=bool(message.unsubscribe), acked=False) if names else None

    def is_ack(self, data: bytes) -> bool:
        return False

    def decoder(self, registry: Registry, *, simulated: bool) -> Decoder:
        return YahooDecoder(registry, simulated=simulated)

    def instruments_requests(self) -> list[Request]:
        return [self._search("AAPL", 0)]

    def search_request(self, words: str) -> Request:
        return self._search(words, SEARCH_RESULTS)

    def _search(self, words: str, results: int) -> Request:
        return self.ask("instruments", f"/v1/finance/search?q={quote(words)}&quotesCount={results}&newsCount=0")

    def read_instruments(self, body: bytes, label: str) -> list[Instrument]:
        """Nothing, whatever was found: were this a list, all that is not on it would be refused."""
        self.read_search(body, label)
        return []

    def read_search(self, body: bytes, label: str) -> list[Instrument]:
        found = whole(_read_search, body, "search of yahoo").quotes
        return [_instrument(one, label) for one in found if one.symbol]

    def derive(self, native: str, label: str) -> Instrument:
        return derive(native, label)

    def native_of(self, symbol: str) -> str:
        return symbol.upper()

    def event_time(self, data: bytes) -> int | None:
        return event_time(data)


def _instrument(found: _Found, label: str) -> Instrument:
    known = derive(found.symbol, label)
    session = EXCHANGES[found.exchange].session if found.exchange in EXCHANGES else known.session
    return msgspec.structs.replace(known, kind=SEARCHED.get(found.quoteType, known.kind), session=session)
