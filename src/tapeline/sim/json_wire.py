"""What venues have in common that are asked in JSON for topics of (channel, instrument): Kraken, Bybit, OKX, Coinbase.

A stream is named `channel:native` here (`book.10:BTC/USD`, `trades:BTC-USDT`), `channel:` where it is of no instrument; the
channel's own parameters (depth, interval) are part of its name. A subclass reads control messages (`read`), words the answers
(`acks`, `command_error`), and writes payloads: `snapshot(stream)` for newcomers and `payloads(channel, line, now)` for all. The
rest, subscriptions, the order of answers, books of N levels, is done here.
"""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import msgspec

from tapeline.sim.depths import View, Views
from tapeline.sim.hub import Conn, Hub
from tapeline.sim.market import Market
from tapeline.sim.wire import Answers, Data, Line, Wire


class Ask(msgspec.Struct):
    """One control message, read. `op`: "subscribe", "unsubscribe" or the venue's word for anything else (`other` answers it)."""

    op: str
    streams: list[str]
    message: dict[str, Any]


class Refused(Exception):
    """A control message that cannot be obeyed: `code` and text as `command_error` takes them."""

    def __init__(self, msg: str, code: int = 0) -> None:
        self.msg, self.code = msg, code
        super().__init__(msg)


def object_of(data: bytes) -> dict[str, Any]:
    """A message that may be anything, as far as it is a JSON object; else an empty one: for refusals, which repeat parts of it."""
    try:
        message = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return message if isinstance(message, dict) else {}


class JsonWire(Wire):
    rejects_one = True
    snapshot_first: ClassVar[bool] = False  # snapshots come before the acknowledgements (Coinbase Advanced)

    def __init__(self, market: Market, hub: Hub) -> None:
        super().__init__(market, hub)
        self.views = Views()

    # To be written for each venue

    def read(self, conn: Conn, message: dict[str, Any]) -> Ask:
        """Refused where it makes no sense; `{}` stands for what is no JSON object."""
        raise NotImplementedError

    def acks(self, conn: Conn, ask: Ask, done: Sequence[str], failed: dict[str, str]) -> Sequence[bytes]:
        """The answers to a subscription or its end: `failed` streams with the reason. As many as the venue gives, or none."""
        raise NotImplementedError

    def payloads(self, channel: str, line: Line | None, now: int) -> Iterable[str]:
        """What a stream says at the end of the step at `now` (ns): asked each step while somebody listens.

        `line` is None for streams of no instrument. Regular ones: `if now % cadence == 0`.
        """
        raise NotImplementedError

    def other(self, conn: Conn, ask: Ask) -> Answers:
        """Answers to whatever is no subscription (ping)."""
        raise Refused(f"unknown operation {ask.op}")

    def channel_exists(self, channel: str) -> bool:
        raise NotImplementedError

    def why_not(self, conn: Conn, stream: str) -> str:
        """The reason in the venue's words for which a stream cannot be had; empty: it can."""
        channel, _, native = stream.partition(":")
        return "" if self.channel_exists(channel) and (not native or native in self.lines) else f"Invalid topic: {stream}"

    # Done here

    def view(self, stream: str, depth: int, *, truncated: bool = False) -> View:
        """The book of a stream, `depth` levels a side: see `depths`. Its `step()` is called by `payloads` alone, once a cadence."""
        line = self.lines[stream.partition(":")[2]]
        return self.views.get(stream, line.instrument, depth, truncated=truncated)

    def command(self, conn: Conn, data: bytes, *, wrapped: bool) -> Answers:
        try:
            message = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self.command_error(data, 0, "Invalid JSON", wrapped=wrapped)
        try:
            return self.obey(conn, self.read(conn, message if isinstance(message, dict) else {}))
        except Refused as why:
            return self.command_error(data, why.code, why.msg, wrapped=wrapped)

    def obey(self, conn: Conn, ask: Ask) -> Answers:
        if ask.op == "subscribe":
            return self._subscribe(conn, ask)
        if ask.op != "unsubscribe":
            return self.other(conn, ask)
        for stream in ask.streams:
            self.hub.unsubscribe(conn, stream)
        return self.acks(conn, ask, ask.streams, {})

    def _subscribe(self, conn: Conn, ask: Ask) -> Answers:
        done: list[str] = []
        failed: dict[str, str] = {}
        for stream in ask.streams:
            why = self.why_not(conn, stream)
            if conn.reject:
                why, conn.reject = conn.reject[1], None
            if why:
                failed[stream] = why
                continue
            done.append(stream)
            self.hub.subscribe(conn, stream, served=self.serves(stream, conn.path))
        snapshots = [Data(stream, body) for stream in done for body in self.snapshot(stream)]
        acks = self.acks(conn, ask, done, failed)
        return [*snapshots, *acks] if self.snapshot_first else [*acks, *snapshots]

    def serves(self, stream: str, path: str) -> bool:
        channel, _, native = stream.partition(":")
        return self.channel_exists(channel) and (not native or native in self.lines)

    def publish(self, now: int) -> None:
        topics = self.hub.topics.get(self.venue) or {}
        self.views.keep(topics)
        for stream in list(topics):
            channel, _, native = stream.partition(":")
            line = self.lines[native] if native else None
            for body in self.payloads(channel, line, now):
                self.hub.publish(self.venue, stream, body)
