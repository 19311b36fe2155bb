"""What is imported as plain data (CSV files): no venue, and none to connect to; the registry keeps it apart from those.

Its messages are our own events as JSON (docs/events.md), one each: `trade`, `quote`, `bar`, `ticker`, `liquidation`, `book`. So the
tape stays the source of truth for such data, too, and everything that is made from messages is made from these: bars from trades,
best quotes and metrics from books. An instrument keeps the name it was imported under, `binance:BTC-USDT`. Of the message's times
`ts_event` counts; `ts_recv` is the frame's. Books have no numbers: order is all that proves them.

Whether trades tell the aggressor's side is decided for an instrument by the first one: where it does not, bars have no volume of
buyers, instead of none.
"""

import re
from collections.abc import Sequence

import msgspec

from tapeline.errors import MalformedFrame
from tapeline.events import Bar, BookUpdate, Event, Liquidation, Quote, Ticker, Trade, from_json
from tapeline.frames import HttpAnswer
from tapeline.instruments import Instrument, Kind, Registry
from tapeline.plans import Channel, ConnectionPlan, Limits, Request, Stream
from tapeline.venues.base import UNNUMBERED, Asked, BookMessage, Decode, Decoder, Record, Venue

_DATED = re.compile(r"-\d{6}$")


class Imported(Venue):
    name = "imported"
    title = "Imported data"
    ws_url = http_url = ""
    channels = ("trades", "book", "quotes", "bars", "ticker", "liquidations")
    limits = Limits(messages_per_second=1, streams_per_connection=1, connects_per_5_minutes=1, http_weight_per_minute=1)

    def plan(self, instruments: Sequence[Instrument], channels: Sequence[Channel]) -> list[ConnectionPlan]:
        return []

    def subscribe(self, streams: Sequence[Stream], number: int) -> tuple[bytes, ...]:
        return ()

    def unsubscribe(self, streams: Sequence[Stream], number: int) -> tuple[bytes, ...]:
        return ()

    def stream(self, name: str) -> tuple[Channel, str] | None:
        return None

    def asked(self, data: bytes) -> Asked | None:
        return None

    def is_ack(self, data: bytes) -> bool:
        return False

    def decoder(self, registry: Registry, *, simulated: bool) -> Decoder:
        return ImportedDecoder(registry, self, simulated=simulated)

    def instruments_requests(self) -> list[Request]:
        return []

    def read_instruments(self, body: bytes, label: str) -> list[Instrument]:
        return []

    def derive(self, native: str, label: str) -> Instrument:
        """`native` is the whole id: `binance:BTC-USDT`."""
        venue, _, symbol = native.partition(":")
        base, dash, rest = symbol.partition("-")
        return Instrument(
            id=native, venue=venue, native=native, kind=_kind(symbol), base=base, quote=rest.partition("-")[0] if dash else ""
        )

    def native_of(self, symbol: str) -> str:
        return symbol

    def event_time(self, data: bytes) -> int | None:
        return None


def _kind(symbol: str) -> Kind:
    if symbol.endswith("-PERP"):
        return "perpetual"
    return "future" if _DATED.search(symbol) else "spot" if "-" in symbol else "stock"


class ImportedDecoder:
    def __init__(self, registry: Registry, venue: Imported, *, simulated: bool) -> None:
        self.registry, self.unknown = registry, dict[str, int]()
        self._venue, self.simulated = venue, simulated
        self._traded: set[str] = set()

    def decode(self, data: bytes, ts_recv: int) -> Sequence[Record]:
        try:
            event = from_json(data)
        except msgspec.ValidationError as e:
            raise MalformedFrame(str(e)) from None
        if not isinstance(event, Trade | Quote | Bar | BookUpdate | Ticker | Liquidation):
            raise MalformedFrame(f"a {type(event).__name__} is made here, and not imported")
        name = self.instrument(event.instrument)
        if isinstance(event, BookUpdate):
            return [_book(event, name)]
        if isinstance(event, Trade) and name not in self._traded:
            self._traded.add(name)
            self._venue.trade_sides = event.side != "unknown"  # read when the instrument's lane is made, right after this
        return [_received(event, ts_recv)]

    def of_connection(self, url: str) -> Decode:
        return self.decode

    def decode_answer(self, answer: HttpAnswer, body: bytes, ts_recv: int) -> Sequence[Record]:
        return []

    def instrument(self, native: str) -> str:
        if native not in self.registry.by_native:
            self.registry.add(self._venue.derive(native, self.registry.label))
        return native

    def snapshot_request(self, native: str, attempt: int, not_before: int) -> Request | None:
        return None


def _received(event: Event, ts_recv: int) -> Record:
    if isinstance(event, Quote):
        return msgspec.structs.replace(event, ts_recv=ts_recv, origin="venue")
    if isinstance(event, Bar):
        return msgspec.structs.replace(event, ts_recv=ts_recv, origin="venue")
    return event if event.ts_recv == ts_recv else msgspec.structs.replace(event, ts_recv=ts_recv)


def _book(m: BookUpdate, name: str) -> BookMessage:
    kind = "snapshot" if m.snapshot else "diff"
    return BookMessage(name, m.ts_event, m.flags, kind, m.bids, m.asks, UNNUMBERED, UNNUMBERED)  # type: ignore[arg-type]
