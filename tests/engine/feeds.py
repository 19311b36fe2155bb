"""What the tests of the pure core share: frames as they cross the wire, and a small venue whose book is always known."""

import json
import random
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from tapeline.config import PipelineSettings
from tapeline.engine.pipeline import Pipeline
from tapeline.events import BookUpdate, Event, Quote, Status
from tapeline.frames import Closed, Frame, FrameKind, HttpAnswer, Lost, Opened, Session, pack, pack_answer
from tapeline.venues.base import Record
from tapeline.venues.registry import venue_class

MS = 1_000_000
SECOND = 1_000_000_000
T0 = 1_795_255_500_000 * MS  # 2026-11-21T10:05:00Z
SPOT, FUTURES = "binance", "binance-usdm"
SPOT_STREAMS = ("btcusdt@trade", "btcusdt@depth@100ms", "btcusdt@bookTicker")


def session(**pipeline: Any) -> Frame:
    return Frame(T0, FrameKind.SESSION, 0, pack(Session(id="s", version="1", pipeline=pipeline)))


def opened(ts: int = T0, conn: int = 1, venue: str = SPOT, streams: Sequence[str] = SPOT_STREAMS, **more: Any) -> Frame:
    return Frame(ts, FrameKind.OPENED, conn, pack(Opened(venue=venue, url="ws://venue", streams=list(streams), **more)))


def closed(ts: int, conn: int = 1, code: int = 1006, **more: Any) -> Frame:
    return Frame(ts, FrameKind.CLOSED, conn, pack(Closed(code=code, **more)))


def recv(ts: int, message: Any, conn: int = 1) -> Frame:
    data = message if isinstance(message, bytes) else json.dumps(message, separators=(",", ":")).encode()
    return Frame(ts, FrameKind.RECV, conn, data)


def sent(ts: int, message: Any, conn: int = 1) -> Frame:
    return Frame(ts, FrameKind.SENT, conn, json.dumps(message).encode())


def tick(ts: int) -> Frame:
    return Frame(ts, FrameKind.TICK, 0, b"")


def lost(ts: int, frames: int = 3) -> Frame:
    return Frame(ts, FrameKind.LOST, 0, pack(Lost(frames=frames, since=ts, reason="disk full")))


def answer(ts: int, body: Any, *, status: int = 200, native: str = "BTCUSDT", venue: str = SPOT, **more: Any) -> Frame:
    purpose, url = more.pop("purpose", "book"), more.pop("url", "http://venue/depth?limit=1000")
    head = HttpAnswer(venue=venue, purpose=purpose, url=url, status=status, native=native, **more)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Frame(ts, FrameKind.HTTP, 0, pack_answer(head, raw))


def levels(side: dict[str, str]) -> list[list[str]]:
    return [[p, s] for p, s in side.items()]


def spot_diff(
    first: int, last: int, bids: Any = (), asks: Any = (), ms: int = T0 // MS, symbol: str = "BTCUSDT"
) -> dict[str, Any]:
    data = {"e": "depthUpdate", "E": ms, "s": symbol, "U": first, "u": last, "b": list(bids), "a": list(asks)}
    return {"stream": f"{symbol.lower()}@depth@100ms", "data": data}


def futures_diff(prev: int, first: int, last: int, bids: Any = (), asks: Any = (), ms: int = T0 // MS) -> dict[str, Any]:
    data = {
        "e": "depthUpdate",
        "E": ms,
        "T": ms,
        "s": "BTCUSDT",
        "U": first,
        "u": last,
        "pu": prev,
        "b": list(bids),
        "a": list(asks),
    }
    return {"stream": "btcusdt@depth@100ms", "data": data}


def snapshot(last: int, bids: Any, asks: Any) -> dict[str, Any]:
    return {"lastUpdateId": last, "bids": list(bids), "asks": list(asks)}


def trade(
    number: int, ms: int, price: str = "100.1", size: str = "0.5", *, maker: bool = False, symbol: str = "BTCUSDT"
) -> dict[str, Any]:
    data = {"e": "trade", "E": ms, "s": symbol, "t": number, "p": price, "q": size, "T": ms, "m": maker, "M": True}
    return {"stream": f"{symbol.lower()}@trade", "data": data}


def ticker(seq: int, bid: str = "100.0", ask: str = "100.2", symbol: str = "BTCUSDT") -> dict[str, Any]:
    return {"stream": f"{symbol.lower()}@bookTicker", "data": {"u": seq, "s": symbol, "b": bid, "B": "1", "a": ask, "A": "2"}}


def play(frames: Iterable[Frame], pipeline: Pipeline | None = None, **settings: Any) -> list[Event]:
    """All events of the frames, by `feed` alone, so that any exception shows."""
    pipeline = pipeline or Pipeline(PipelineSettings(**settings))
    out: list[Event] = []
    for frame in frames:
        pipeline.feed(frame, out)
    return out


def statuses(events: Iterable[Event], *kinds: str, channel: str | None = None) -> list[Status]:
    found = [e for e in events if isinstance(e, Status) and (not kinds or e.kind in kinds)]
    return [e for e in found if channel is None or e.channel == channel]


def book_quotes(events: Iterable[Event]) -> list[Quote]:
    return [e for e in events if isinstance(e, Quote) and e.origin == "book"]


def book_updates(events: Iterable[Event]) -> list[BookUpdate]:
    return [e for e in events if isinstance(e, BookUpdate)]


def records(raw: Any, venue: str = SPOT, ts_recv: int = T0) -> Sequence[Record]:
    """What the venue's decoder makes of one message."""
    from tapeline.instruments import Registry

    decoder = venue_class(venue)().decoder(Registry(venue), simulated=False)
    return decoder.decode(raw if isinstance(raw, bytes) else json.dumps(raw, separators=(",", ":")).encode(), ts_recv)


class Market:
    """A seeded venue: it knows its book, and tells every change as a numbered diff, spot or futures style."""

    def __init__(self, seed: int, *, futures: bool = False) -> None:
        self.random, self.futures = random.Random(seed), futures
        self.bids = {f"{100 - i / 10:.1f}": f"{i + 1}.0" for i in range(30)}
        self.asks = {f"{100.1 + i / 10:.1f}": f"{i + 1}.5" for i in range(30)}
        self.id = 1000

    def snapshot(self) -> dict[str, Any]:
        return snapshot(self.id, levels(self.bids), levels(self.asks))

    def diff(self, ms: int = T0 // MS) -> dict[str, Any]:
        """One change of a few levels; futures ids leap, as other symbols use the numbers between."""
        prev, first = self.id, self.id + (self.random.randint(2, 9) if self.futures else 1)
        self.id = first + self.random.randint(0, 5)
        bids = self._change(self.bids, [f"{100 - i / 10:.1f}" for i in range(40)])
        asks = self._change(self.asks, [f"{100.1 + i / 10:.1f}" for i in range(40)])
        return futures_diff(prev, first, self.id, bids, asks, ms) if self.futures else spot_diff(first, self.id, bids, asks, ms)

    def _change(self, side: dict[str, str], prices: list[str]) -> list[list[str]]:
        changed = []
        for price in self.random.sample(prices, self.random.randint(0, 4)):
            size = "0.0" if self.random.random() < 0.3 and len(side) > 5 else f"{self.random.randint(1, 99)}.25"
            if size == "0.0":
                side.pop(price, None)
            else:
                side[price] = size
            changed.append([price, size])
        return changed

    def touch(self) -> tuple[float, float, float, float]:
        bid, ask = max(self.bids, key=float), min(self.asks, key=float)
        return float(bid), float(self.bids[bid]), float(ask), float(self.asks[ask])


def same(one: Sequence[Event], other: Sequence[Event]) -> None:
    """Equal, with the first difference shown rather than thousands of lines."""
    for i, (a, b) in enumerate(zip(one, other, strict=False)):
        assert msgspec.structs.asdict(a) == msgspec.structs.asdict(b), f"event {i}"
        assert type(a) is type(b), f"event {i}"
    assert len(one) == len(other)
