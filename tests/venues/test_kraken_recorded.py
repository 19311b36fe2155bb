"""Kraken's recorded session (30 s of ten pairs, 2021, re-encoded as v2) through the real pipeline, against plain dictionaries.

The recording numbers every trade 1, as v1 had no ids, so that but the first of a pair are doubles; its snapshots bear no checksum.
"""

import gzip
import json
import zlib
from collections import Counter
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tapeline.engine.pipeline import Pipeline
from tapeline.events import BookUpdate, Event, Flag, Quote, Trade
from tapeline.frames import Frame
from tapeline.plans import Again
from tests.engine.feeds import answer, opened, play, recv, statuses

UPDATES = 4269


class Plain:
    """A book of the wire's own texts, by nothing but json and dictionaries."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[Decimal, str]] = {"bids": {}, "asks": {}}
        self.printed: dict[Decimal, str] = {}

    def apply(self, data: dict[str, Any]) -> None:
        for name, side in self.sides.items():
            for level in data[name]:
                price = Decimal(level["price"])
                self.printed[price] = level["price"]
                if Decimal(level["qty"]):
                    side[price] = level["qty"]
                else:
                    side.pop(price, None)

    def checksum(self) -> int:
        text = ""
        for name, reverse in (("asks", False), ("bids", True)):
            for price in sorted(self.sides[name], reverse=reverse)[:10]:
                text += "".join(t.replace(".", "").lstrip("0") for t in (self.printed[price], self.sides[name][price]))
        return zlib.crc32(text.encode())

    def touch(self) -> tuple[float, ...]:
        bid, ask = max(self.sides["bids"]), min(self.sides["asks"])
        return float(bid), float(self.sides["bids"][bid]), float(ask), float(self.sides["asks"][ask])


@pytest.fixture(scope="module")
def lines(shared_frames: Path) -> list[dict[str, Any]]:
    path = shared_frames / "recorded" / "kraken" / "v2_pairs10_20210417.jsonl.gz"
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


@pytest.fixture(scope="module")
def frames(lines: list[dict[str, Any]]) -> list[Frame]:
    """The list of pairs, then what came; times to the microsecond, as the file has them."""
    (pairs,) = [line for line in lines if line["t"] == "http"]
    received = [(round(Decimal(str(line["ts"])) * 10**6) * 1000, line["data"]) for line in lines if line["t"] == "recv"]
    start = received[0][0]
    listed = answer(start, pairs["data"].encode(), venue="kraken", purpose="instruments", native="")
    return [listed, opened(start, venue="kraken", streams=()), *(recv(ts, data.encode()) for ts, data in received)]


@pytest.fixture(scope="module")
def played(frames: list[Frame]) -> tuple[list[Event], Pipeline]:
    pipeline = Pipeline()
    return play(frames, pipeline), pipeline


def books(lines: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any], bool]]:
    """(pair, what is said of its book, whether it is a snapshot), numbers as texts."""
    found = []
    for line in lines:
        message = json.loads(line["data"], parse_float=str) if line["t"] == "recv" else {}
        if message.get("channel") == "book":
            found += [(d["symbol"], d, message["type"] == "snapshot") for d in message["data"]]
    return found


def test_every_checksum_is_right_and_every_touch_is_the_plain_books(
    lines: list[dict[str, Any]], played: tuple[list[Event], Pipeline]
) -> None:
    events, pipeline = played
    plain: dict[str, Plain] = {}
    wanted, right = [], 0
    for pair, said, whole in books(lines):
        book = plain.setdefault(pair, Plain())
        book.apply(said)
        wanted.append((f"kraken:{pair.replace('/', '-')}", *book.touch()))
        right += not whole and book.checksum() == said["checksum"]
    assert right == UPDATES
    quotes = [e for e in events if isinstance(e, Quote) and e.origin == "book"]
    assert [(q.instrument, q.bid, q.bid_size, q.ask, q.ask_size) for q in quotes] == wanted
    assert Counter(s.kind for s in statuses(events)) == {"connected": 1, "synced": 10}
    assert all(not count for count in pipeline.stats().values())
    assert sum(isinstance(e, BookUpdate) and not e.snapshot for e in events) == UPDATES
    assert not any(e.flags & Flag.BOOK_UNPROVEN for e in events)


def test_trades_and_names(played: tuple[list[Event], Pipeline]) -> None:
    events, pipeline = played
    assert {e.instrument for e in events if isinstance(e, Trade)} == {"kraken:XMR-USD", "kraken:SC-EUR"}
    registry = pipeline.feed_of("kraken", simulated=False).registry
    assert "kraken:BTC-CHF" in pipeline.lanes
    assert registry.by_id["kraken:BTC-CHF"].native == "BTC/CHF"
    assert (registry.by_id["kraken:BTC-CHF"].tick, registry.by_id["kraken:BTC-CHF"].lot) == (0.1, 1e-8)
    assert not [name for name in registry.by_id if "XBT" in name or "XDG" in name]


@pytest.mark.parametrize("seed", range(12))
def test_an_update_that_is_lost_is_found(frames: list[Frame], seed: int) -> None:
    """By the checksum of that pair's next updates: the book is given up, the stream is asked to begin anew, no other is touched."""
    updates = [i for i, f in enumerate(frames) if f.data.startswith(b'{"channel":"book","type":"update"')]
    gone = Random(seed).choice(updates[: len(updates) // 2])
    pair = json.loads(frames[gone].data)["data"][0]["symbol"]
    name = f"kraken:{pair.replace('/', '-')}"
    later = [i for i in updates if i > gone and b'"symbol":"%s"' % pair.encode() in frames[i].data]
    assert later, "the recording goes on for this pair"
    pipeline = Pipeline()
    events = play([f for i, f in enumerate(frames) if i != gone], pipeline)
    found = statuses(events, "gap")
    assert [s.instrument for s in found] == [name] * bool(found)
    if found:
        assert "checksum" in found[0].reason
        assert [r.instrument for r in pipeline.requests if isinstance(r, Again)] == [name]
    else:  # told again, or out of the best ten to the end: then nothing that is shown is wrong
        whole = Pipeline()
        play(frames, whole)
        assert pipeline.lanes[name].sync.book.depth(10) == whole.lanes[name].sync.book.depth(10)
