"""What a venue is to the rest of the house. Pure: bytes in, records out; no clock, no sockets.

A venue file gives one subclass of `Venue` and one line in `venues/registry.py`. The engine asks it
    `plan(...)`      which connections to open and which streams go on which,
    `decoder(...)`   for a stateful decoder of one label's frames,
    `instruments_request()` / `read_instruments(...)`   for the venue's instrument list.
The decoder never fetches: where a book needs a snapshot, the market floor *asks* with a `Request`, the engine sends it through
the venue's weight budget, and the answer comes back as an HTTP frame.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal, Protocol

import msgspec

from tapeline.config import VenueSettings
from tapeline.events import Event, Status
from tapeline.frames import HttpAnswer
from tapeline.instruments import Instrument, Registry
from tapeline.plans import Channel, ConnectionPlan, Limits, Request, Stream

__all__ = [
    "Ack",
    "BookKind",
    "BookMessage",
    "Channel",
    "ConnectionPlan",
    "Decoder",
    "Limits",
    "Notice",
    "Record",
    "Request",
    "Stream",
    "Venue",
    "rejected",
]


BookKind = Literal["diff", "fetched", "snapshot", "partial"]


class BookMessage(msgspec.Struct, frozen=True, gc=False):
    """A book message before it is proved. `kind` says what it is:

    "diff"      changed levels, covering the update ids (`prev_seq`, `seq`]
    "fetched"   a whole book asked for over HTTP, standing at `seq`; `limit` levels a side were asked for
    "snapshot"  a whole book inside the stream, in order with the diffs
    "partial"   the best levels only, whole each time and without continuity
    """

    native: str
    ts_event: int
    flags: int
    kind: BookKind
    bids: list[tuple[float, float]]
    asks: list[tuple[float, float]]
    seq: int
    prev_seq: int
    limit: int = 0


class Ack(msgspec.Struct, frozen=True, gc=False):
    """The venue's answer to one of our control messages. `error` empty: accepted. `names`: the streams it spoke of, if it says."""

    id: int | str | None
    error: str = ""
    names: tuple[str, ...] = ()


class Skipped(msgspec.Struct, frozen=True, gc=False):
    """A trade that is no part of the market (insurance fund, zero price): not given out, but its id was seen."""

    instrument: str
    id: int
    aggregated: bool
    reason: str


class Notice(msgspec.Struct, frozen=True, gc=False):
    """The venue will close this connection soon: open its successor at once."""

    reason: str


Record = Event | BookMessage | Ack | Skipped | Notice


class Decoder(Protocol):
    """Stateful, pure. Raises `errors.MalformedFrame` on what cannot be read; unknown message kinds give `[]` and are counted."""

    registry: Registry
    unknown: dict[str, int]

    def decode(self, data: bytes, ts_recv: int) -> Sequence[Record]: ...

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
    limits: ClassVar[Limits]
    ws_url: ClassVar[str]
    http_url: ClassVar[str]
    channels: ClassVar[tuple[Channel, ...]]
    numbered_trades: ClassVar[bool] = False  # trade ids are integers, +1 each, so that a missing one shows

    def __init__(self, settings: VenueSettings | None = None) -> None:
        self.settings = settings or VenueSettings()

    def plan(self, instruments: Sequence[Instrument], channels: Sequence[Channel]) -> list[ConnectionPlan]:
        raise NotImplementedError

    def stream(self, name: str) -> tuple[Channel, str] | None:
        """What a venue-native stream name carries: (channel, native symbol). None where it is not known."""
        raise NotImplementedError

    def asked(self, data: bytes) -> tuple[int | str, tuple[str, ...]] | None:
        """(id, stream names) of a subscription that we sent, to know what an acknowledgement or its absence is about."""
        raise NotImplementedError

    def is_ack(self, data: bytes) -> bool:
        """Whether a received message answers one of the `hello` messages: how a planned reconnect knows that it is ready."""
        raise NotImplementedError

    def decoder(self, registry: Registry, *, simulated: bool) -> Decoder:
        raise NotImplementedError

    def instruments_request(self) -> Request:
        raise NotImplementedError

    def past_requests(self, native: str, not_before: int) -> list[Request]:
        """What to ask for the candles of before we listened, so that a page is full when it opens. None by default."""
        return []

    def read_instruments(self, body: bytes, label: str) -> list[Instrument]:
        """Raises MalformedFrame where the body is not the list."""
        raise NotImplementedError

    def derive(self, native: str, label: str) -> Instrument:
        """An instrument from its native name alone (known quote assets)."""
        raise NotImplementedError

    def native_of(self, symbol: str) -> str:
        """`BTC-USDT` → `BTCUSDT`: for an instrument that is not listed."""
        raise NotImplementedError

    def event_time(self, data: bytes) -> int | None:
        """The venue's time in a raw message, for recordings that lack our receive time. None where it has none."""
        raise NotImplementedError


def rejected(venue: str, instrument: str, ts_recv: int, channel: str, reason: str, flags: int = 0) -> Status:
    return Status(instrument, ts_recv, ts_recv, flags, "rejected", venue, channel, reason, None, None, 1)
