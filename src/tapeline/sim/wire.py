"""What a venue's wire is to the server: one subclass a venue, in a file of its own, found by its name (`registry.py`).

The server owns sockets, clocks, limits and faults; the wire owns everything that a venue spells in its own way: what it lists,
which addresses are its own, what a control message means, what streams exist, how payloads and answers look. A wire reads the
market (or a recording) and writes texts; it opens nothing and waits for nothing.

Order, which clients see and which the hooks keep: what a control message is answered with (acknowledgements, then snapshots, in
the order in which `command` gives them) is queued before the next step of the market is published; a snapshot shows the stream
as of its last message, so that the next message continues it for newcomers and others alike (`depths.View`).

`json_wire.JsonWire` does for most venues what they have in common; `docs/simulator.md` has the recipe.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import msgspec

from tapeline.sim import spoil
from tapeline.sim.hub import Conn, Hub
from tapeline.sim.instrument import Instrument, Trade
from tapeline.sim.klines import Kline
from tapeline.sim.market import Market
from tapeline.sim.printing import Printer
from tapeline.sim.specs import Spec, VenueRules


class SimBook(msgspec.Struct, frozen=True):
    """The truth about one book, as of update `last_update_id`: [price, size], best first.

    Sizes are in the base asset, those of inverse contracts in contracts, as in Tapeline's events.
    """

    last_update_id: int
    bids: list[tuple[float, float]]
    asks: list[tuple[float, float]]


class Reply(msgspec.Struct, frozen=True):
    body: bytes
    status: int = 200


class Place(NamedTuple):
    """Where a socket was opened: `kind` is the venue's own word for it, `streams` those asked for in the address."""

    kind: str = ""
    combined: bool = False
    streams: Sequence[str] = ()


class Data(NamedTuple):
    """A message of a stream among the answers to a control message (a snapshot): faults treat it as the stream's, not as an ack."""

    stream: str
    body: bytes


class Hangup(NamedTuple):
    """The venue closes a connection."""

    code: int
    reason: str = ""


Answers = bytes | Sequence[bytes | Data]
"""To one control message: bytes are acknowledgements and the like, in the order in which they are sent."""


class Line:
    """One instrument on the wire, and how its numbers are printed."""

    def __init__(self, instrument: Instrument, printer: Printer) -> None:
        self.instrument, self.printer = instrument, printer
        self.spec = instrument.spec
        self.native = instrument.spec.native

    def day(self, now: int) -> Kline:
        """The last 24 hours, flat at the last price where nothing traded."""
        price = self.instrument.last_price
        return self.instrument.klines.window(now) or Kline(now, price, price, price, price)

    def recent(self, limit: int, *, after: int | None = None, before: int | None = None) -> list[Trade]:
        """Of the trades that are kept those with ids between (both excluded), oldest first: the newest `limit` of them, or the
        oldest where only `after` is given, so that a client pages onwards from what it knows.
        """
        kept = [
            trade
            for trade in self.instrument.recent_trades
            if (after is None or trade.id > after) and (before is None or trade.id < before)
        ]
        return kept[:limit] if after is not None and before is None else kept[-limit:]


class Wire:
    """Subclass, set the class variables, implement the methods that raise NotImplementedError; the others are hooks."""

    venue: ClassVar[str]
    specs: ClassVar[tuple[Spec, ...]] = ()
    default: ClassVar[tuple[str, ...]] = ()  # natives that are traded unless named
    rules: ClassVar[VenueRules] = VenueRules()

    prefixed: ClassVar[bool] = True  # its addresses begin with /<venue>; False where `owns` knows them
    max_streams: ClassVar[int] = 1_000_000
    messages_per_second: ClassVar[int] = 1000  # incoming on a connection, pings and pongs included
    rate_close: ClassVar[Hangup] = Hangup(1008, "Too many requests")
    ping_seconds: ClassVar[float] = 0.0  # between WebSocket pings; 0: none
    pong_seconds: ClassVar[float] = 60.0
    subscribe_seconds: ClassVar[float] = 0.0  # a connection that asked for nothing by then is closed; 0: never
    subscribe_close: ClassVar[Hangup] = Hangup(1008, "No subscription")
    idle_seconds: ClassVar[float] = 0.0  # with nothing said by either side for so long it is closed; 0: never
    idle_close: ClassVar[Hangup] = Hangup(1000, "Idle")
    weight_budget: ClassVar[int] = 6000  # of HTTP requests in `weight_seconds`
    weight_seconds: ClassVar[int] = 60
    weight_ban: ClassVar[bool] = False  # 418 for clients that do not heed 429
    book_endpoints: ClassVar[tuple[str, ...]] = ("depth",)  # globs: which HTTP names late and stale snapshots act on
    book_streams: ClassVar[str] = "*book*"  # glob: which streams faults of messages act on unless they say
    stamps: ClassVar[bool] = False  # each message is different on each connection: `stamp` is called
    rejects_one: ClassVar[bool] = False  # of several topics in one request, some may be refused: `Conn.reject`

    patience: float = 1.0
    """Multiplies the venue's own periods (`subscribe_seconds`, `idle_seconds`, whatever `tend` counts); tests shorten them."""
    hub: Hub
    market: Market

    def __init__(self, market: Market, hub: Hub) -> None:
        self.market, self.hub = market, hub
        self.lines = {i.spec.native: Line(i, self.printer(i)) for i in self.listed()}

    def listed(self) -> list[Instrument]:
        return [i for (venue, _), i in self.market.instruments.items() if venue == self.venue]

    def printer(self, instrument: Instrument) -> Printer:
        """As many decimals as the listing has."""
        return Printer(instrument.spec, instrument.spec.price_decimals, instrument.spec.size_decimals)

    # Addresses

    def owns(self, path: str) -> bool:  # a hook
        """Whether an address without the venue's name in front belongs to it."""
        return False

    def place(self, path: str, query: Mapping[str, str]) -> Place | None:
        """None where no socket lives."""
        raise NotImplementedError

    def admit(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> int | None:
        """Of each handshake and HTTP request: the status that refuses it (401), None where it may come in."""
        return None

    def refusal(self, status: int) -> bytes | None:
        """The body of an HTTP refusal; None where the venue has none of its own."""
        return None

    # Connections

    def opened(self, conn: Conn, now: int) -> Sequence[bytes]:
        """What is said before anything is asked."""
        return ()

    def command(self, conn: Conn, data: bytes, *, wrapped: bool) -> Answers:
        """Obey one control message; what to answer."""
        raise NotImplementedError

    def command_error(self, data: bytes, code: int, msg: str, *, wrapped: bool) -> bytes:
        """An error in answer to the control message `data`, which is not obeyed."""
        raise NotImplementedError

    def tend(self, conn: Conn, now: float) -> Hangup | Sequence[bytes] | None:
        """Some 40 times a second for each connection (`now`: loop time, s): close it, or say something, or neither.

        What belongs to the market's time (heartbeats once a second) belongs into `publish`: this clock runs even where the
        market stands.
        """
        if self.subscribe_seconds and not conn.asked and now - conn.opened > self.subscribe_seconds * self.patience:
            return self.subscribe_close
        if self.idle_seconds and now - max(conn.last_in, conn.last_out) > self.idle_seconds * self.patience:
            return self.idle_close
        return None

    def stamp(self, conn: Conn, body: bytes) -> bytes:
        """Where `stamps`: what each message, acknowledgements too, gets on this connection, before faults act on it."""
        return body

    def shutdown_notice(self, conn: Conn, now: int) -> bytes | None:
        """None where the venue gives none."""
        return None

    # Streams

    def serves(self, stream: str, path: str) -> bool:
        """Whether anything will ever be sent for this name on a connection of this kind."""
        raise NotImplementedError

    def publish(self, now: int) -> None:
        """Hand the hub what is due at `now` (ns), the end of a step of the market."""
        raise NotImplementedError

    def snapshot(self, stream: str) -> Sequence[bytes]:
        """What a newcomer gets, standing where the stream's last message stood; nothing where books begin elsewhere."""
        return ()

    def trading_changed(self, native: str, *, trading: bool) -> Sequence[Data]:
        """What the venue says when an instrument is halted or delisted (the market has emptied its book), or trades again."""
        return ()

    # HTTP

    def endpoint(self, path: str) -> str | None:
        """The name of an HTTP address, None where there is none."""
        return path.strip("/") or None

    def weight(self, name: str, params: Mapping[str, str]) -> int:
        return 1

    def headers(self, used: int) -> dict[str, str]:
        """Of an HTTP answer: `used` of the budget."""
        return {}

    def http(self, name: str, params: Mapping[str, str], now: int, book: Callable[[str], Any]) -> Reply:
        """`book(native)` gives the book to show: `freeze(native)` of this moment or an earlier one."""
        raise NotImplementedError

    # Books

    def natives(self) -> list[str]:
        return list(self.lines)

    def freeze(self, native: str) -> Any:
        """The book as it stands, in whatever form `http` wants it: a `market.Book`."""
        return self.market.book(self.venue, native)

    def truth(self, native: str) -> SimBook:
        """UsageError where there is no such instrument."""
        book, spec = self.market.book(self.venue, native), self.market.instrument(self.venue, native).spec
        prices, sizes = 10**spec.price_decimals, 10**spec.size_decimals
        unit = 1.0 if spec.inverse else spec.contract_size
        bids, asks = ([(p * spec.tick / prices, s / sizes * unit) for p, s in side] for side in (book.bids, book.asks))
        return SimBook(book.last_update_id, bids, asks)

    # Faults

    def split(self, payload: bytes) -> list[bytes]:
        """A book diff as two that follow one another; anything else as it is."""
        return [payload]

    def cross(self, payload: bytes) -> bytes:
        """A book diff that crosses the book; anything else as it is."""
        return spoil.cross(payload)

    def malform(self, payload: bytes, how: str) -> bytes:
        """`how` as in `faults.Malformed`; for wires whose payloads are not JSON all through."""
        return spoil.malform(payload, how)

    def skew(self, payload: bytes, ms: int) -> bytes:
        """The same message with its times moved."""
        return spoil.skew(payload, ms)

    def corrupt(self, payload: bytes) -> bytes:
        """A book message with a wrong checksum; anything else as it is."""
        return spoil.corrupt(payload)
