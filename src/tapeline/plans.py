"""What is to be asked of a venue: which connections with which streams, which questions, within which limits.

Venues make these, the wire carries them out; so they are words, below both.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol, TypeVar

import msgspec
from msgspec.structs import replace

Channel = Literal["trades", "book", "quotes", "bars", "ticker", "liquidations"]
Item = TypeVar("Item")


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """A venue's published limits; sources stand in the venue's file."""

    messages_per_second: float  # what we may send on one connection, pongs included
    streams_per_connection: int
    books_per_connection: int | None = None  # streams of books among them, where the venue wants fewer of those
    connects_per_5_minutes: int
    http_weight_per_minute: int
    http_per_second: int | None = None  # requests of any weight, where the venue counts seconds
    max_age_seconds: float | None = None  # the venue closes every connection at this age
    ping_seconds: float | None = None  # the server's own ping interval
    client_ping_seconds: float | None = None  # how often we must ping at the application level


class Stream(msgspec.Struct, frozen=True):
    """One venue-native stream: `name` as the venue spells it, what it carries, of which instrument (id)."""

    name: str
    channel: Channel
    instrument: str


def fitting(waiting: list[Stream], carried: Sequence[Stream], limits: Limits) -> list[Stream]:
    """Take off `waiting`, in order, what fits on a connection that carries these already."""
    room = limits.streams_per_connection - len(carried)
    most = limits.streams_per_connection if limits.books_per_connection is None else limits.books_per_connection
    books = sum(s.channel == "book" for s in carried)
    begun: dict[str, Stream] = {}
    for stream in waiting:
        if len(begun) >= room:
            break
        if stream.channel != "book" or books < most:
            books += stream.channel == "book"
            begun[stream.name] = stream
    waiting[:] = [s for s in waiting if s.name not in begun]
    return list(begun.values())


def parts(items: Sequence[Item], most: int) -> Iterator[Sequence[Item]]:
    """In order, at most `most` at a time: streams of a connection, names in a message."""
    return (items[i : i + most] for i in range(0, len(items), most))


class ConnectionPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One connection to open. `hello` are the messages to send once it is up, in order, within `limits`.

    `acks` is how many of them the venue acknowledges.
    """

    venue: str
    url: str
    streams: tuple[Stream, ...]
    hello: tuple[bytes, ...]
    acks: int
    limits: Limits
    client_ping: bytes | None = None
    origin: str = ""  # the Origin header of the handshake, where the venue wants one


class Dialect(Protocol):
    """What the wire must know of a venue's language to begin and end streams on an open connection: `venues.base.Venue` is one."""

    def subscribe(self, streams: Sequence[Stream], number: int) -> tuple[bytes, ...]: ...

    def unsubscribe(self, streams: Sequence[Stream], number: int) -> tuple[bytes, ...]: ...

    def acks(self, messages: Sequence[bytes]) -> int: ...

    def is_ack(self, data: bytes) -> bool: ...


def carrying(plan: ConnectionPlan, streams: Sequence[Stream], dialect: Dialect) -> ConnectionPlan:
    """The plan with other streams: what its `hello` says before it subscribes stays, what follows is said of `streams`.

    A ping that is the subscription said again (Yahoo) says the new one.
    """
    before = plan.hello[: len(plan.hello) - len(dialect.subscribe(plan.streams, 1))] if plan.streams else plan.hello
    hello = (*before, *(dialect.subscribe(streams, len(before) + 1) if streams else ()))
    ping = plan.client_ping
    if ping in plan.hello and (said := dialect.subscribe(streams, 1)):
        ping = said[0]
    return replace(plan, streams=tuple(streams), hello=hello, acks=dialect.acks(hello), client_ping=ping)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A question for the venue's HTTP side. `url` is absolute. The answer's frame repeats purpose, native and attempt.

    `headers` are sent and never recorded: that is where a key belongs.

    `not_before` (ns UTC) is when it may be sent at the earliest: backoff is decided where it is reproducible, here.
    """

    venue: str
    purpose: str
    url: str
    weight: int
    native: str = ""
    attempt: int = 0
    not_before: int = 0
    headers: tuple[tuple[str, str], ...] = ()


class Again(msgspec.Struct, frozen=True, kw_only=True):
    """A wish to have an instrument's book stream begun anew on the connection that carries it, for the snapshot that it begins with.
    `not_before` as of a `Request`. `connection`: which one, where several carry it; 0: whichever does.
    """

    instrument: str
    connection: int = 0
    attempt: int = 0
    not_before: int = 0
