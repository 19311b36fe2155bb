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
from tapeline.events import Event, Status, Trade
from tapeline.frames import HttpAnswer
from tapeline.instruments import Instrument, Registry
from tapeline.masking import hide
from tapeline.plans import Again, Channel, ConnectionPlan, Limits, Request, Stream

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


BookKind = Literal["diff", "fetched", "snapshot", "partial"]
TradeIds = Literal["consecutive", "unique", "none"]
UNNUMBERED = -1
Texts = Sequence[tuple[str, str]]
"""(price, size) of levels as the wire prints them, or what `Venue.book_checksum` needs of that (Kraken: the digits alone)."""


class BookMessage(msgspec.Struct, frozen=True, gc=False):
    """A book message before it is proved. `kind` says what it is:

    "diff"      changed levels, covering the update ids (`prev_seq`, `seq`]
    "fetched"   a whole book asked for over HTTP, standing at `seq`; `limit` levels a side were asked for
    "snapshot"  a whole book inside the stream, in order with the diffs
    "partial"   the best levels only, whole each time and without continuity

    `seq` UNNUMBERED: the venue numbers nothing (Coinbase Exchange, Kraken). Such diffs follow a snapshot of the same stream in the
    order of the wire, and what proves them is a checksum, or nothing but TCP.

    `exact`: `prev_seq` is the very `seq` of the message before, whatever the numbers do: they may stand still (nothing changed) or
    go back (the venue began anew) and the chain still holds (OKX). Otherwise ids only grow.

    `limit` of a "snapshot" or "partial" is as of a "fetched" book: a side that has so many levels was cut there.
    `cut`: after this message each side keeps its best `cut` levels and forgets the others, because the venue will not say when
    they go (Kraken). 0: nothing is cut.

    `checksum`: what `Venue.book_checksum` must give for the book after this message, None where the message bears none.
    `bid_texts`, `ask_texts` are the levels' wire texts, in the order of `bids` and `asks`, in every message of a stream that bears
    checksums: the next one is made of them, too.
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
    exact: bool = False
    cut: int = 0
    checksum: int | None = None
    bid_texts: Texts = ()
    ask_texts: Texts = ()


class BookChecksum(msgspec.Struct, frozen=True):
    """`of(bids, asks)` computes it from the texts of the best `levels` levels a side, best first (fewer where there are fewer)."""

    levels: int
    of: Callable[[Sequence[tuple[str, str]], Sequence[tuple[str, str]]], int]


class Ack(msgspec.Struct, frozen=True, gc=False):
    """The venue's answer to one of our control messages. `error` empty: accepted. `names`: the streams it spoke of, if it says.

    `id` is the message's own where the venue repeats it, else None. With neither, all that is unanswered counts as answered.
    """

    id: int | str | None
    error: str = ""
    names: tuple[str, ...] = ()


class Asked(msgspec.Struct, frozen=True, gc=False):
    """What one of our control messages asks for. `id` None: the venue repeats none, so an answer is known by its stream names.

    `gone`: it ends these streams instead of beginning them. `acked`: whether the venue will answer at all.
    """

    id: int | str | None
    names: tuple[str, ...]
    gone: bool = False
    acked: bool = True


class Skipped(msgspec.Struct, frozen=True, gc=False):
    """A trade that is no part of the market (insurance fund, zero price): not given out, but its id was seen."""

    instrument: str
    id: int
    aggregated: bool
    reason: str


class Filled(msgspec.Struct, frozen=True, gc=False):
    """A trade that stands for several: it bears the last of the ids `first` … `int(trade.id)` (OKX `trades`)."""

    trade: Trade
    first: int


class Past(msgspec.Struct, frozen=True, gc=False):
    """Trades of before now, oldest first: given out only where they fill a hole, flagged RECOVERED. Two sources:

    the answer to a `trades_request` (`asked` True), and what a venue repeats when a stream begins (Coinbase `last_match`, the
    snapshots of Kraken and Coinbase Advanced). `last_id`: the venue's newest trade id, where only that is told (a heartbeat's
    `last_trade_id`): if it is past what came, trades are missing.
    """

    instrument: str
    trades: Sequence[Trade] = ()
    asked: bool = False
    last_id: int | None = None


class Counted(msgspec.Struct, frozen=True, gc=False):
    """This message is number `seq` of its connection, over all streams (Coinbase Advanced): a number left out is a message lost,
    and whatever this connection carries may lack it.
    """

    seq: int


class Notice(msgspec.Struct, frozen=True, gc=False):
    """The venue will close this connection soon: open its successor at once."""

    reason: str


Record = Event | BookMessage | Ack | Skipped | Filled | Past | Counted | Notice
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
    trade_sides: ClassVar[bool] = True
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


def rejected(venue: str, instrument: str, ts_recv: int, channel: str, reason: str, flags: int = 0) -> Status:
    return Status(instrument, ts_recv, ts_recv, flags, "rejected", venue, channel, reason, None, None, 1)
