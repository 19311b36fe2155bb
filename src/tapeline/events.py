"""The events: one definition each, from which the JSON form and the Arrow schema follow.

Every event carries `instrument` (`venue:symbol`, empty where a whole connection is meant), `ts_event` (the venue's clock) and
`ts_recv` (ours), both integer nanoseconds UTC, and `flags`, a bit set of `Flag`. A number that is not known is None,
never 0. Prices and sizes are float64; sizes are in units of the base asset unless the instrument says otherwise.

JSON (one object, a line each in files):  `to_json(event)`  →  {"type": "trade", "instrument": …, "flags": ["SIMULATED"], …}
Arrow:  `arrow_schema(Trade)`; times are int64 nanoseconds, flags an int32 bit set, book levels list<struct<price, size>>.
"""

from enum import IntFlag
from functools import cache, reduce
from operator import or_
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

if TYPE_CHECKING:
    import pyarrow as pa

Side = Literal["buy", "sell", "unknown"]
Origin = Literal["venue", "book"]
BarOrigin = Literal["trades", "venue"]
StatusKind = Literal[
    "connected",
    "disconnected",
    "gap",
    "resyncing",
    "synced",
    "stale",
    "crossed",
    "rejected",
    "late",
    "recovered",
]
Level = tuple[float, float]


class Flag(IntFlag):
    """What a consumer must know about one event. Numbers are part of the stored format: never renumber."""

    SNAPSHOT = 1
    LATE = 2  # arrived after the bar it belongs to was closed
    RECOVERED = 4  # fetched later, not received live
    SAMPLED = 8  # the venue sends only some of these
    AGGREGATED = 16  # several fills in one record
    OFF_BOOK = 32  # insurance fund, auto-deleveraging, block trades: no part of the continuous market
    RPI = 64  # retail price improvement orders
    SIMULATED = 128  # no real market is behind it
    BAD_TIME = 256  # the venue's time cannot be true; ts_event holds it all the same
    NO_VENUE_TIME = 512  # the venue gave no time; ts_event is ts_recv
    INEXACT = 1024  # a number with more than 15 significant digits: the exact text is on the tape
    BOOK_UNPROVEN = 2048  # the book is not joined to a snapshot, or has lost an update
    FILLED = 4096  # a bar in which nothing was traded, made on request from the close before it


class Event(msgspec.Struct, frozen=True, gc=False, tag_field="type"):
    instrument: str
    ts_event: int
    ts_recv: int
    flags: int


class Trade(Event, frozen=True, gc=False, tag="trade", omit_defaults=True):
    """`side` is the aggressor's. `id` is the venue's, as text, empty where the venue has none. `conditions` are the venue's codes of
    sale conditions, separated by commas, None where it gives none.
    """

    price: float
    size: float
    side: Side
    id: str
    conditions: str | None = None


class Quote(Event, frozen=True, gc=False, tag="quote"):
    """Best bid and offer. `origin` "venue": the venue's own; "book": the touch of our book after one update.

    A side that is empty is None. `seq` is the update id the quote stands at, where the venue has one.
    """

    bid: float | None
    bid_size: float | None
    ask: float | None
    ask_size: float | None
    seq: int | None
    origin: Origin


class BookUpdate(Event, frozen=True, gc=False, tag="book", omit_defaults=True):
    """One whole venue message. Sizes are absolute; 0 removes the level. `snapshot` replaces the book.

    The message covers the update ids (`prev_seq`, `seq`]; None where the venue numbers nothing.

    Of a snapshot: `bid_floor` and `ask_ceiling` are the farthest prices that it knows of, past which levels may be missing; None
    where it knows all. `depth`: from here on each side keeps its best so many levels, and what is pushed out is forgotten, because
    the venue will not say when it goes (Kraken, Bybit); None where nothing is.
    """

    bids: list[Level]
    asks: list[Level]
    snapshot: bool
    seq: int | None
    prev_seq: int | None
    bid_floor: float | None = None
    ask_ceiling: float | None = None
    depth: int | None = None


class Bar(Event, frozen=True, gc=False, tag="bar", omit_defaults=True):
    """Open, high, low, close and volume of [`ts_open`, `ts_open` + interval), in event time.

    `ts_event` is the end of the interval. `complete` is False where a trade may be missing: the feed began inside the
    interval, or a gap or a disconnection touches it. `revision` counts corrections by late trades. `origin` "venue" is the
    venue's own candle; `buy_volume` is the volume of buy aggressors; `notional` the sum of price × size, in the quote asset. Where
    sizes are contracts (`Instrument.inverse`), `notional` is contracts × contract value, and `vwap` weighted by contracts.

    Bars that are not of a fixed time (`tick:500`, `volume:10`; docs/bars-and-books.md) cover the trades from `ts_open` to
    `ts_event`, both included. `open_interest` is the last that was known when the bar closed.
    """

    interval: str
    ts_open: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    buy_volume: float | None
    notional: float | None
    vwap: float | None
    trades: int | None
    complete: bool
    revision: int
    origin: BarOrigin
    sell_volume: float | None = None
    open_interest: float | None = None


class Metrics(Event, frozen=True, gc=False, tag="metrics", omit_defaults=True):
    """Of the book after one update, or, where `values` is not null, a sample of everything that is switched on.

    Of the book: `spread_bps` = 10⁴ · spread / mid; `imbalance` = (B − A) / (B + A) over the sizes of the
    best N levels a side; `microprice` = (bid · ask_size + ask · bid_size) / (bid_size + ask_size). None on a one-sided book.

    A sample (`pipeline.metrics`, every `pipeline.metrics_ms`) has in `values` the metrics of docs/analytics.md by name; one that is
    not known yet is not among them. `incomplete` names, separated by commas, those that a hole or a warm-up touches. `ts_event` is
    then the venue's time as our clock has it.
    """

    mid: float | None
    spread: float | None
    spread_bps: float | None
    imbalance: float | None
    microprice: float | None
    seq: int | None
    values: dict[str, float] | None = None
    incomplete: str | None = None


class Ticker(Event, frozen=True, gc=False, tag="ticker"):
    """The venue's own figures: over 24 hours (of stocks: the trading day), and of a derivative. `next_funding` is ns UTC; rates are
    per funding period.

    `session`: which part of the trading day it is of, `pre`, `regular`, `post`, `extended` or `overnight`, where the venue says so.
    """

    last: float | None = None
    open: float | None = None
    high: float | None = None
    low: float | None = None
    volume: float | None = None
    notional: float | None = None
    change_pct: float | None = None
    mark: float | None = None
    index: float | None = None
    funding_rate: float | None = None
    next_funding: int | None = None
    open_interest: float | None = None
    session: str | None = None


class Liquidation(Event, frozen=True, gc=False, tag="liquidation"):
    """A forced order. `side` is the order's: "sell" closes a long. `price` is the order's, `average` what it filled at."""

    price: float
    size: float
    side: Side
    average: float | None
    id: str


class Status(Event, frozen=True, gc=False, tag="status"):
    """Integrity as data. `from_seq`..`to_seq` are the first and last missing (or joined) id; `count` how many."""

    kind: StatusKind
    venue: str
    channel: str
    reason: str
    from_seq: int | None
    to_seq: int | None
    count: int | None


class Alert(Event, frozen=True, gc=False, tag="alert", omit_defaults=True):
    """A rule of docs/alerts.md that came true (`state` "raised") or false again ("resolved"). `rule` is its name, `id` names
    this alert for good: raised and resolved bear the same. `value` is the left side of the comparison.
    """

    rule: str
    state: str
    value: float | None
    text: str
    severity: str | None = None
    id: str | None = None


AnyEvent = Trade | Quote | BookUpdate | Bar | Metrics | Ticker | Liquidation | Status | Alert
TYPES: dict[str, type[Event]] = {str(t.__struct_config__.tag): t for t in get_args(AnyEvent)}
E_ = TypeVar("E_", bound=Event)

_encode = msgspec.json.Encoder().encode
_encode_flags = cache(lambda flags: b'"flags":' + _encode([f.name for f in Flag if f & flags]))


def to_json(event: Event) -> bytes:
    """One line of JSON without the newline. No text field precedes `flags` but the instrument, so the first match is it."""
    raw = _encode(event)
    flags = event.flags
    return raw.replace(b'"flags":%d' % flags, _encode_flags(flags), 1)


def from_json(raw: bytes | str) -> Event:
    """The inverse of `to_json`. Raises msgspec.ValidationError on anything else."""
    try:
        data = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise msgspec.ValidationError(f"an event is one JSON object: {e}") from None
    if not isinstance(data, dict) or not isinstance(names := data.get("flags", []), list):
        raise msgspec.ValidationError("an event is an object with a list of flags")
    try:
        data["flags"] = int(reduce(or_, (Flag[name] for name in names), Flag(0)))
    except (KeyError, TypeError) as e:
        raise msgspec.ValidationError(f"unknown flag {e}") from None
    event: Event = msgspec.convert(data, AnyEvent)
    return event


def fields(event_type: type[Event]) -> dict[str, Any]:
    """Field name → type, in the order of definition: what schemas, tables and documents are made from."""
    hints = get_type_hints(event_type)
    return {name: hints[name] for name in event_type.__struct_fields__}


def bare_type(hint: Any) -> tuple[Any, bool]:
    """A field's type without its None, and whether None is allowed: `float | None` → (float, True)."""
    if get_origin(hint) in (Union, UnionType):
        rest = [a for a in get_args(hint) if a is not NoneType]
        return rest[0], len(rest) < len(get_args(hint))
    return hint, False


@cache
def arrow_schema(event_type: type[Event]) -> "pa.Schema":
    """The Arrow schema of an event type. Low-cardinality texts are dictionary-encoded by the writer, not by the type."""
    import pyarrow as pa

    level = pa.list_(
        pa.struct([pa.field("price", pa.float64(), nullable=False), pa.field("size", pa.float64(), nullable=False)])
    )
    types = {int: pa.int64(), float: pa.float64(), bool: pa.bool_(), str: pa.string()}
    columns = []
    for name, hint in fields(event_type).items():
        bare, optional = bare_type(hint)
        if name == "flags":
            kind = pa.int32()
        elif get_origin(bare) is list:
            kind = level
        elif get_origin(bare) is dict:
            kind = pa.map_(pa.string(), pa.float64())
        elif get_origin(bare) is Literal:
            kind = pa.string()
        else:
            kind = types[bare]
        columns.append(pa.field(name, kind, nullable=optional))
    return pa.schema(columns, metadata={"tapeline.event": str(event_type.__struct_config__.tag), "tapeline.version": "1"})
