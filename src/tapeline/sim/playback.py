"""A recording served as if it were the venue.

Messages go out byte for byte, `speed` times as fast as they came, from the moment on which the first client subscribes. A
recorded diff stream answers every diff stream of its symbol, whatever cadence is asked for, because a recording has one.

A client that joins in the middle needs a snapshot that fits what it buffers, and the recorded ones may not: so the book is
kept up to date here from recorded snapshots and diffs, in the recording's own texts, and asked for over HTTP that is what it
gets. Before the first snapshot has come by, that one is given: it is newer than the buffer, which the protocol allows. Where the
recording itself has a gap, or no snapshot at all, the answer is 503.

Not served: what was not recorded. Klines, trades and exchange information over HTTP come from the recording's symbols alone.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from tapeline.errors import UsageError
from tapeline.instruments import split_pair
from tapeline.sim.binance_protocol import BinanceProtocol
from tapeline.sim.hub import MILLIS, Hub
from tapeline.sim.recording import Record, records
from tapeline.sim.registry import wire_class
from tapeline.sim.wire import Reply, SimBook

_LOOK_AHEAD = 200_000  # records searched for the first snapshots
_BUFFER = 10_000  # diffs kept for a snapshot to come, a symbol
_BURST = 2_000  # records sent a step at most: the rest waits for the next
_FULL = 4 << 20  # bytes unsent on a connection at which playback at full speed waits
Level = tuple[str, str]


class Snapshot(msgspec.Struct):
    lastUpdateId: int  # noqa: N815  the venue's name
    bids: list[Level]
    asks: list[Level]


class Diff(msgspec.Struct):
    U: int
    u: int
    b: list[Level]
    a: list[Level]
    pu: int | None = None


_snapshot = msgspec.json.Decoder(Snapshot).decode
_diff = msgspec.json.Decoder(Diff).decode


class RecordedBook:
    """Prices and sizes stay the texts they were."""

    def __init__(self) -> None:
        self.id: int | None = None
        self.first: Snapshot | None = None  # found ahead, given until a book stands
        self.bids: dict[str, str] = {}
        self.asks: dict[str, str] = {}
        self._waiting: list[Diff] = []

    def diff(self, diff: Diff) -> None:
        if self.id is None:
            self._waiting = [*self._waiting[-_BUFFER:], diff]
            return
        if diff.u <= self.id:
            return
        if (diff.pu != self.id and not diff.U <= self.id <= diff.u) if diff.pu is not None else self.id + 1 < diff.U:
            self.id, self.first, self._waiting = None, None, [diff]
            return
        self._put(diff)

    def snapshot(self, answer: Snapshot) -> None:
        if self.id is not None:
            return
        self.id, self.first = answer.lastUpdateId, None
        self.bids, self.asks = dict(answer.bids), dict(answer.asks)
        waiting, self._waiting = self._waiting, []
        for diff in waiting:
            self.diff(diff)

    def _put(self, diff: Diff) -> None:
        for side, changes in ((self.bids, diff.b), (self.asks, diff.a)):
            for price, size in changes:
                if size.strip("0."):
                    side[price] = size
                else:
                    side.pop(price, None)
        self.id = diff.u

    def freeze(self) -> Snapshot | None:
        """Best first; None where no book can be given."""
        if self.id is None:
            return self.first
        bids = sorted(self.bids.items(), key=lambda level: -float(level[0]))
        return Snapshot(self.id, bids, sorted(self.asks.items(), key=lambda level: float(level[0])))


class Playback(BinanceProtocol):
    """`speed` 0 is as fast as clients take it. Times, weights and addresses are those of the venue's own wire."""

    def __init__(self, venue: str, source: Path, *, session: str = "", speed: float = 1.0) -> None:
        """UsageError where the recording cannot be read."""
        model = wire_class(venue)
        if not issubclass(model, BinanceProtocol):
            raise UsageError(f"no playback as {venue!r}: only the Binance venues have one")
        if speed < 0:
            raise UsageError(f"speed {speed:g}: give how many times faster, 0 for as fast as possible")
        self._like(model)
        self.speed, self.played, self.ended = speed, 0, False
        self.books: dict[str, RecordedBook] = {}
        self._only = ""
        self._open: Callable[[], Iterator[Record]] = lambda: records(source, venue, session)
        self._look_ahead()
        self._records = self._open()
        self._next: Record | None = None
        self._origin: tuple[int, int] | None = None  # market time and recorded time at which playback began

    def _like(self, model: type[BinanceProtocol]) -> None:
        for name in (
            "prefixed",
            "venue",
            "max_streams",
            "messages_per_second",
            "ping_seconds",
            "pong_seconds",
            "weight_budget",
            "book_streams",
        ):
            setattr(self, name, getattr(model, name))
        self.rest, self.kinds, self.roots = model.rest, model.kinds, model.roots  # type: ignore[misc]

    def attach(self, hub: Hub) -> None:
        self.hub = hub

    def _look_ahead(self) -> None:
        """Which symbols there are, and the first snapshot of each."""
        for n, record in enumerate(self._open()):
            if n >= _LOOK_AHEAD:
                break
            native = self._native(record)
            if record.stream and native:
                self._only = native if self._only in {"", native} else "?"
            book = self.books.setdefault(native, RecordedBook()) if native else None
            if book is not None and not record.stream and book.first is None:
                book.first = _snapshot(record.body)
        if not self.books:
            raise UsageError(f"the recording holds no message of {self.venue}")

    def _native(self, record: Record) -> str:
        """A snapshot that does not say whose it is belongs to the recording's only symbol."""
        if record.stream:
            low, at, _ = record.stream.partition("@")
            return low.upper() if at and not low.startswith("!") else ""
        return record.native or (self._only if self._only != "?" else "")

    def serves(self, stream: str, path: str) -> bool:
        suffix = stream.partition("@")[2]
        books = suffix.startswith(("depth", "bookTicker", "trade"))
        return not self.kinds or books == (path != "market")

    def publish(self, now: int) -> None:
        topics = self.hub.topics.get(self.venue)
        if self.ended or (self._origin is None and not topics):
            return
        for _ in range(_BURST):
            record = self._next or next(self._records, None)
            if record is None:
                self.ended = True
                return
            self._origin = self._origin or (now, record.ts)
            if not self._due(record, now):
                self._next = record
                return
            self._next = None
            self._play(record)

    def _due(self, record: Record, now: int) -> bool:
        if not self.speed:
            return all(c.transport.get_write_buffer_size() + sum(map(len, c.out)) < _FULL for c in self.hub.conns)
        started, first = self._origin or (now, record.ts)
        return (record.ts - first) <= (now - started) * self.speed

    def _play(self, record: Record) -> None:
        self.played += 1
        native = self._native(record)
        if not record.stream:
            if native:
                self.books.setdefault(native, RecordedBook()).snapshot(_snapshot(record.body))
            return
        names = [record.stream]
        low, _, suffix = record.stream.partition("@")
        if suffix == "depth" or suffix.startswith("depth@"):
            self.books.setdefault(native, RecordedBook()).diff(_diff(record.body))
            names = [n for n in self.hub.topics.get(self.venue, ()) if n == f"{low}@depth" or n.startswith(f"{low}@depth@")]
        text = record.body.decode()
        for name in names:
            for conns in self.hub.topics.get(self.venue, {}).get(name, {}).values():
                self.hub.deliver(self.venue, name, conns, text)

    def weight(self, name: str, params: Mapping[str, str]) -> int:  # a recording has patience
        return 1

    def natives(self) -> list[str]:
        return list(self.books)

    def freeze(self, native: str) -> Snapshot | None:
        return self.books[native].freeze()

    def truth(self, native: str) -> SimBook:
        book = self.books.get(native, RecordedBook()).freeze()
        if book is None:
            raise UsageError(f"the recording has no book of {native!r} here; it knows {', '.join(self.books)}")
        sides = ([(float(p), float(s)) for p, s in side] for side in (book.bids, book.asks))
        return SimBook(book.lastUpdateId, *sides)

    def http(self, name: str, params: Mapping[str, str], now: int, book: Callable[[str], Any]) -> Reply:
        match name:
            case "ping":
                return Reply(b"{}")
            case "time":
                return Reply(b'{"serverTime":%d}' % (now // MILLIS))
            case "exchangeInfo":
                return Reply(msgspec.json.encode({"timezone": "UTC", "serverTime": now // MILLIS, "symbols": self._symbols()}))
            case "depth":
                return self._depth(params, book)
        return Reply(b'{"code":-1,"msg":"not in this recording"}', 404)

    def _depth(self, params: Mapping[str, str], book: Callable[[str], Any]) -> Reply:
        native, limit = params.get("symbol", ""), params.get("limit", "100")
        if native not in self.books:
            return Reply(b'{"code":-1121,"msg":"Invalid symbol."}', 400)
        frozen = book(native)
        if frozen is None:
            return Reply(b'{"code":-1,"msg":"the recording has no book here"}', 503)
        n = int(limit) if limit.isdigit() else 100
        return Reply(msgspec.json.encode(Snapshot(frozen.lastUpdateId, frozen.bids[:n], frozen.asks[:n])))

    def _symbols(self) -> list[dict[str, Any]]:
        out = []
        for native in self.books:
            base, quote = split_pair(native) or (native, "")
            out.append(
                {
                    "symbol": native,
                    "status": "TRADING",
                    "baseAsset": base,
                    "quoteAsset": quote,
                    **({"pair": native, "contractType": "PERPETUAL", "marginAsset": quote} if self.kinds else {}),
                    "filters": [],
                }
            )
        return out
