"""What a venue's wire is to the server: one subclass a venue, in a file of its own.

The server owns sockets, clocks, limits and faults; the wire owns everything that a venue spells in its own way: which addresses
are its own, what a control message means, what streams exist, how payloads and answers look. A wire reads the market (or a
recording) and writes texts; it opens nothing and waits for nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import msgspec

from tapeline.sim.hub import Conn, Hub


class SimBook(msgspec.Struct, frozen=True):
    """The truth about one book, as of update `last_update_id`: [price, size], best first."""

    last_update_id: int
    bids: list[tuple[float, float]]
    asks: list[tuple[float, float]]


class Reply(msgspec.Struct, frozen=True):
    body: bytes
    status: int = 200


class Place(NamedTuple):
    """Where a socket was opened: `kind` is the venue's own word for it, `streams` those asked for in the address."""

    kind: str
    combined: bool
    streams: list[str]


class Wire:
    """Subclass, set the class variables, implement the methods."""

    venue: ClassVar[str]
    max_streams: ClassVar[int]
    messages_per_second: ClassVar[int]  # incoming, pings and pongs included
    ping_seconds: ClassVar[float]
    pong_seconds: ClassVar[float]
    weight_budget: ClassVar[int]  # of HTTP requests, a minute

    hub: Hub

    def owns(self, path: str) -> bool:
        """Whether an address without the venue's name in front belongs to it."""
        raise NotImplementedError

    def place(self, path: str, query: Mapping[str, str]) -> Place | None:
        """None where no socket lives."""
        raise NotImplementedError

    def command(self, conn: Conn, data: bytes, *, wrapped: bool) -> bytes:
        """Obey one control message; what to answer."""
        raise NotImplementedError

    def command_error(self, data: bytes, code: int, msg: str, *, wrapped: bool) -> bytes:
        """An error in answer to the control message `data`."""
        raise NotImplementedError

    def shutdown_notice(self, conn: Conn, now: int) -> bytes:
        raise NotImplementedError

    def refusal(self, status: int) -> bytes | None:
        """The body of an HTTP refusal; None where the venue has none of its own."""
        raise NotImplementedError

    def serves(self, stream: str, path: str) -> bool:
        """Whether anything will ever be sent for this name on a connection of this kind."""
        raise NotImplementedError

    def publish(self, now: int) -> None:
        """Hand the hub what is due at `now` (ns)."""
        raise NotImplementedError

    def endpoint(self, path: str) -> str | None:
        """The name of an HTTP address, None where there is none."""
        raise NotImplementedError

    def weight(self, name: str, params: Mapping[str, str]) -> int:
        raise NotImplementedError

    def http(self, name: str, params: Mapping[str, str], now: int, book: Callable[[str], Any]) -> Reply:
        """`book(native)` gives the book to show: `freeze(native)` of this moment or an earlier one."""
        raise NotImplementedError

    def natives(self) -> list[str]:
        raise NotImplementedError

    def freeze(self, native: str) -> Any:
        """The book as it stands, in whatever form `http` wants it."""
        raise NotImplementedError

    def truth(self, native: str) -> SimBook:
        """UsageError where there is no such instrument."""
        raise NotImplementedError

    def split(self, payload: bytes) -> list[bytes]:
        """A book diff as two that follow one another; anything else as it is."""
        return [payload]

    def cross(self, payload: bytes) -> bytes:
        """A book diff that crosses the book; anything else as it is."""
        return payload
