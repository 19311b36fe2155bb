"""Recordings written as other programs write them, straight from (time, message) pairs; nothing here is shared with the readers.

Receive times are taken down to whole microseconds: Tardis holds 100 ns, and cryptofeed a float of seconds, whose neighbours lie
238 ns apart in these years, so that the shortest text of each microsecond is that microsecond again. So every format holds the same.
"""

import gzip
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import zstandard

from tests.engine.recordings import FILES

Message = tuple[int, bytes]
RECORDED = {
    "coinbase": "coinbase-exchange/products10_20210417.jsonl.gz",
    "kraken": "kraken/v2_pairs10_20210417.jsonl.gz",
    "okx": "okx/v5_20220513.jsonl.gz",
}


def messages(frames: Path, venue: str, most: int = 6000) -> list[Message]:
    """What was received of a recorded session, snapshots among it."""
    if venue in FILES:
        lines = gzip.decompress((frames / "recorded" / FILES[venue]).read_bytes()).splitlines()[:most]
        found = [(int(head), raw) for head, _, raw in (line.partition(b" ") for line in lines)]
    else:
        lines = gzip.decompress((frames / "recorded" / RECORDED[venue]).read_bytes()).splitlines()
        entries = [json.loads(line) for line in lines]
        found = [(round(e["ts"] * 1e9), e["data"].encode()) for e in entries if e["t"] == "recv"][:most]
    return [(ts // 1000 * 1000, raw) for ts, raw in found]


def _iso(ts: int) -> str:
    return f"{datetime.fromtimestamp(ts // 10**9, UTC):%Y-%m-%dT%H:%M:%S}.{ts % 10**9 // 100:07d}Z"


def seconds(ts: int) -> float:
    """As time.time() gives it, of whole microseconds."""
    return ts // 1000 / 1e6


def lines(made: Sequence[Message]) -> bytes:
    return b"".join(b"%d %s\n" % m for m in made)


def tardis(made: Sequence[Message]) -> bytes:
    return b"".join(b"%s %s\n" % (_iso(ts).encode(), raw) for ts, raw in made)


def tardis_machine(made: Sequence[Message]) -> bytes:
    return b"".join(b'{"localTimestamp":"%s","message":%s}\n' % (_iso(ts).encode(), raw) for ts, raw in made)


def cryptofeed(made: Sequence[Message], address: str = "wss://venue", extra: Sequence[str] = ()) -> bytes:
    """`extra`: lines after the first two, as of HTTP answers."""
    head = ["configuration: {'trades': ['BTC-USDT']}", f"{address} <-> {seconds(made[0][0])!r}", *extra]
    return "\n".join([*head, *(f"{seconds(ts)!r}: {raw.decode()}" for ts, raw in made)]).encode() + b"\n"


WRITERS: dict[str, Callable[[Sequence[Message]], bytes]] = {
    "lines": lines,
    "hftbacktest.gz": lambda m: gzip.compress(lines(m), 1),
    "lines.zst": lambda m: zstandard.ZstdCompressor().compress(lines(m)),
    "tardis": tardis,
    "tardis.gz": lambda m: gzip.compress(tardis(m), 1),
    "tardis.ndjson": tardis_machine,
    "cryptofeed": cryptofeed,
}
