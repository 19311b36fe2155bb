"""What a venue is to the rest of the house. Pure: bytes in, records out; no clock, no sockets.

A venue file gives one subclass of `Venue` and one line in `venues/registry.py`. The engine asks it
    `plan(...)`      which connections to open and which streams go on which,
    `decoder(...)`   for a stateful decoder of one label's frames,
    `instruments_requests()` / `read_instruments(...)`   for the venue's instrument list.
The decoder never fetches: where a book needs a snapshot, the market floor *asks* with a `Request`, the engine sends it through
the venue's weight budget, and the answer comes back as an HTTP frame. Where books begin on the socket, it asks for the stream to
be subscribed anew, and the answer is the snapshot that follows.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar, Literal, Protocol

import msgspec

from tapeline.config import VenueSettings
from tapeline.errors import ConfigError
from tapeline.frames import HttpAnswer
from tapeline.instruments import Instrument, Registry
from tapeline.masking import hide
from tapeline.plans import Again, Channel, ConnectionPlan, Limits, Request, Stream
from tapeline.venues.records import (
    UNNUMBERED,
    Ack,
    Asked,
    BookKind,
    BookMessage,
    Counted,
    Filled,
    Notice,
    Past,
    Record,
    Skipped,
    rejected,
)

__all__ = [
    "UNNUMBERED",
    "Ack",
    "Again",
    "Asked",
    "BookChecksum",
    "BookKind",
    "BookMessage",
    "Channel",
    "ConnectionPlan",
    "Counted",
    "Decode",
    "Decoder",
    "Filled",
    "Limits",
    "Notice",
    "Past",
    "Record",
    "Request",
    "Skipped",
    "Stream",
    "TradeIds",
    "Venue",
    "rejected",
]

TradeIds = Literal["consecutive", "unique", "none"]


class BookChecksum(msgspec.Struct, frozen=True):
    """`of(bids, asks)` computes it from the texts of the best `levels` levels a side, best first (fewer where there are fewer)."""

    levels: int
    of: Callable[[Sequence[tuple[str, str]], Sequence[tuple[str, str]]], int]


Decode = Callable[[bytes, int], Sequence[Record]]


class Decoder(Protocol):
    """Stateful, pure. Raises `errors.MalformedFrame` on what cannot be read; unknown message kinds give `[]` and are counted.

    `venues/decoding.py` has a base class with what all decoders need.
    """

    registry: Registry
    unknown: dict[str, int]

    def decode(self, data: bytes, ts_recv: int) -> Sequence[Record]: ...

    def of_connection(self, url: str) -> Decode:
        """The way for one connection's messages: `decode`, but where the address decides what they mean (Bybit's categories)."""
        ...

    def decode_answer(self, answer: HttpAnswer, body: bytes, ts_recv: int) -> Sequence[Record]: ...

    def instrument(self, native: str) -> str:
        """The id of a venue-native name, listed or derived."""
        ...

    def snapshot_request(self, native: str, attempt: int, not_before: int) -> Request | None:
        """How to ask for a book snapshot; None where books begin on the socket."""
        ...


class Venue:
    """Subclass, set the class variables, implement the methods; `docs/adding-a-venue.md` walks through it."""

    name: ClassVar[str]
    title: ClassVar[str]
    limits: Limits  # the published ones; of an instance, what the settings make of them
    ws_url: ClassVar[str]
    http_url: ClassVar[str]
    channels: ClassVar[tuple[Channel, ...]]
    trade_ids: ClassVar[TradeIds] = "none"
    """consecutive: integers, +1 each an instrument, so that a missing one shows. unique: texts that tell doubles, not holes."""
    trade_sides: bool = True
    """Whether trades tell the aggressor's side. Where they never do, bars have no volume of buyers."""
    book_checksum: ClassVar[BookChecksum | None] = None
    secret: ClassVar[str] = ""
    """The name of the API key that the venue needs (`finnhub` is read from `FINNHUB_API_KEY`); empty: none."""
    key_page: ClassVar[str] = ""
    """Where one gets that key."""
    one_connection: ClassVar[bool] = False
    """The venue allows a single connection: no successor before the old one has gone, no redundant twin (Finnhub)."""

    def __init__(self, settings: VenueSettings | None = None, key: str = "") -> None:
        """`key`: the API key, where the venue needs one. It goes into addresses and headers and nowhere else."""
        self.settings, self.key = settings or VenueSettings(), key
        hide(key)
        if self.settings.most_streams or self.settings.requests_per_minute:
            self.limits = msgspec.structs.replace(
                self.limits,
                streams_per_connection=self.settings.most_streams or self.limits.streams_per_connection,
                http_weight_per_minute=self.settings.requests_per_minute or self.limits.http_weight_per_minute,
            )

    # What venues make of the settings, for their own use

    def ask(
        self,
        purpose: str,
        path: str,
        native: str = "",
        attempt: int = 0,
        not_before: int = 0,
        *,
        weight: int = 1,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> Request:
        """A question for a path at the venue's HTTP address."""
        url = (self.settings.http_url or self.http_url).rstrip("/") + path
        return Request(
            venue=self.name, purpose=purpose, url=url, weight=weight, native=native, attempt=attempt, not_before=not_before,
            headers=headers,
        )  # fmt: skip

    def connection(
        self,
        path: str,
        streams: Sequence[Stream],
        first: tuple[bytes, ...] = (),
        *,
        client_ping: bytes | None = None,
        origin: str = "",
    ) -> ConnectionPlan:
        """One to a path at the venue's WebSocket address, which says `first` before it subscribes to its streams."""
        hello = (*first, *self.subscribe(streams, len(first) + 1))
        url = (self.settings.ws_url or self.ws_url).rstrip("/") + path
        return ConnectionPlan(
            venue=self.name, url=url, streams=tuple(streams), hello=hello, acks=self.acks(hello), limits=self.limits,
            client_ping=client_ping, origin=origin,
        )  # fmt: skip

    def no_stream(self, channel: str, hint: str) -> ConfigError:
        """The error of a stream in the settings that is none of its channel: many venues would acknowledge it and stay silent."""
        key = f"venues.{self.name}.streams.{channel}"
        return ConfigError(key, self.settings.streams[channel], f"this is no stream of {channel}: {hint}")

    # The contract

    def plan(self, instruments: Sequence[Instrument], channels: Sequence[Channel]) -> list[ConnectionPlan]:
        """`hello` is what `subscribe` says of each connection's streams, after whatever else must be said first."""
        raise NotImplementedError

    def subscribe(self, streams: Sequence[Stream], number: int) -> tuple[bytes, ...]:
        """The messages that begin these streams on a connection that is open. `number`: of the first message, where the venue wants
        ids; each message takes the next one.
        """
        raise NotImplementedError

    def unsubscribe(self, streams: Sequence[Stream], number: int) -> tuple[bytes, ...]:
        raise NotImplementedError

    def acks(self, messages: Sequence[bytes]) -> int:
        """How many answers these messages get when all goes well. One each by default."""
        return len(messages)

    def stream(self, name: str) -> tuple[Channel, str] | None:
        """What a venue-native stream name carries: (channel, native symbol). None where it is not known."""
        raise NotImplementedError

    def heard_as(self, name: str) -> str:
        """What shows that a stream speaks, where that is not any record of its channel: another channel (`ticker`), or, where
        several streams of an instrument are of one channel, that and the first figure its messages give: `ticker:mark`.
        """
        return ""

    def asked(self, data: bytes) -> Asked | None:
        """What a control message of ours asked for, to know what an acknowledgement or its absence is about."""
        raise NotImplementedError

    def is_ack(self, data: bytes) -> bool:
        """Whether a received message answers one of the `hello` messages: how a planned reconnect knows that it is ready."""
        raise NotImplementedError

    def decoder(self, registry: Registry, *, simulated: bool) -> Decoder:
        raise NotImplementedError

    def instruments_requests(self) -> list[Request]:
        """What to ask for the list of instruments, purpose "instruments", in as many parts as the venue gives it in; the first
        also tells whether the venue answers at all. A venue without a list (Yahoo) names any cheap question here.
        """
        raise NotImplementedError

    def search_request(self, words: str) -> Request | None:
        """How to ask for instruments like `words` where the venue gives no list to search in; `read_search` reads the answer."""
        return None

    def read_search(self, body: bytes, label: str) -> list[Instrument]:
        """As `read_instruments`, of the answer to a `search_request`."""
        return self.read_instruments(body, label)

    def more_instruments(self, body: bytes) -> Request | None:
        """Where an answer says that the list goes on: how to ask for the next part. None by default."""
        return None

    def past_requests(self, native: str, not_before: int) -> list[Request]:
        """What to ask for the candles of before we listened, so that a page is full when it opens. None by default."""
        return []

    def trades_request(self, native: str, first: int | None, last: int | None, attempt: int, not_before: int) -> Request | None:
        """How to ask for missing trades, purpose "trades": those with ids `first` … `last` (`last` None: up to now), or the most
        recent ones where ids are not consecutive (`first` None). None where the venue offers nothing. The answer is a `Past`.
        """
        return None

    def poll_requests(self, streams: Sequence[Stream], not_before: int) -> list[Request]:
        """What to ask over HTTP again and again while the socket is refused, purpose "poll". Empty where that is no way."""
        return []

    def read_instruments(self, body: bytes, label: str) -> list[Instrument]:
        """One part of the list, empty where the venue has none: names are derived. Raises MalformedFrame where it is no list."""
        raise NotImplementedError

    def lists(self, symbol: str) -> bool:
        """Whether the venue's list would have this instrument if there were one. False where the list is only a part (Finnhub)."""
        return True

    def typed(self, symbol: str) -> str:
        """The native name that a user may have typed: as it is, in capitals."""
        return symbol.upper()

    def derive(self, native: str, label: str) -> Instrument:
        """An instrument from its native name alone (known quote assets)."""
        raise NotImplementedError

    def native_of(self, symbol: str) -> str:
        """`BTC-USDT` → `BTCUSDT`: for an instrument that is not listed."""
        raise NotImplementedError

    def event_time(self, data: bytes) -> int | None:
        """The venue's time in a raw message, for recordings that lack our receive time. None where it has none."""
        raise NotImplementedError
