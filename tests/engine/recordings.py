"""The recorded Binance sessions, and the plainest program that could read them: json and dictionaries.

Nothing here is shared with Tapeline. A book follows the documented rule: drop what the snapshot has (`u <= lastUpdateId`), then set
each level to its size, 0 removing it. The oracle is the venue's own bookTicker: after a diff with final id `u`, the best bid and
ask equal the latest bookTicker whose `u` is not greater.
"""

import gzip
import json
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

FILES = {"binance": "binance-spot/btcusdt_20240808.gz", "binance-usdm": "binance-usdm/btcusdt_20240808.gz"}
INSTRUMENTS = {"binance": "binance:BTC-USDT", "binance-usdm": "binance-usdm:BTC-USDT-PERP"}
Touch = tuple[float, float, float, float]


@dataclass
class Book:
    sides: tuple[dict[float, str], dict[float, str]] = field(default_factory=lambda: ({}, {}))
    id: int = -1

    def begin(self, snapshot: dict[str, Any]) -> None:
        self.sides = tuple({float(p): s for p, s in snapshot[key]} for key in ("bids", "asks"))  # type: ignore[assignment]
        self.id = snapshot["lastUpdateId"]

    def apply(self, diff: dict[str, Any]) -> None:
        for side, key in zip(self.sides, ("b", "a"), strict=True):
            for price, size in diff[key]:
                if float(size):
                    side[float(price)] = size
                else:
                    side.pop(float(price), None)
        self.id = diff["u"]

    def touch(self) -> Touch:
        bid, ask = max(self.sides[0]), min(self.sides[1])
        return bid, float(self.sides[0][bid]), ask, float(self.sides[1][ask])

    def snapshot(self) -> bytes:
        bids, asks = ([[repr(p), s] for p, s in side.items()] for side in self.sides)
        return json.dumps({"lastUpdateId": self.id, "bids": bids, "asks": asks}, separators=(",", ":")).encode()


@dataclass
class Recording:
    path: Path
    lines: list[bytes]
    messages: list[dict[str, Any]]  # of each line, out of its envelope

    @cached_property
    def diffs(self) -> list[int]:
        """Indices of the lines that are depth diffs."""
        return [i for i, m in enumerate(self.messages) if m.get("e") == "depthUpdate"]

    @cached_property
    def snapshot(self) -> int:
        (found,) = [i for i, m in enumerate(self.messages) if "lastUpdateId" in m]
        return found

    @cached_property
    def tickers(self) -> list[dict[str, Any]]:
        return [m for m in self.messages if "A" in m]

    @cached_property
    def trades(self) -> list[dict[str, Any]]:
        return [m for m in self.messages if m.get("e") == "trade"]

    def books(self) -> Iterator[tuple[dict[str, Any], Book]]:
        """(diff, the book after it), of each diff that is newer than the snapshot. One book, changed in place."""
        book = Book()
        book.begin(self.messages[self.snapshot])
        for i in self.diffs:
            if self.messages[i]["u"] > book.id:
                book.apply(self.messages[i])
                yield self.messages[i], book


@cache
def recording(frames: Path, venue: str) -> Recording:
    path = frames / "recorded" / FILES[venue]
    lines = gzip.decompress(path.read_bytes()).splitlines()
    messages = [json.loads(line.partition(b" ")[2]) for line in lines]
    return Recording(path, lines, [m.get("data", m) for m in messages])


@cache
def touches(frames: Path, venue: str) -> dict[int, Touch]:
    """The touch of the plain book by update id."""
    return {diff["u"]: book.touch() for diff, book in recording(frames, venue).books()}


@cache
def oracle(frames: Path, venue: str) -> dict[int, Touch]:
    """The venue's own touch by update id, of each diff after the snapshot."""
    tickers = recording(frames, venue).tickers
    ids = [t["u"] for t in tickers]
    assert ids == sorted(ids)
    found = {}
    for seq in touches(frames, venue):
        t = tickers[bisect_right(ids, seq) - 1]
        found[seq] = (float(t["b"]), float(t["B"]), float(t["a"]), float(t["A"]))
    return found
