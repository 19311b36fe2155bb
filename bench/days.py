"""Days of a market for the benchmarks of the lake: made-up trades in order, and the books of a recorded futures session repeated."""

import gzip
import json
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec

from tapeline.config import Settings
from tapeline.engine.pipeline import Pipeline
from tapeline.events import BookUpdate, Event, Trade
from tapeline.frames import Frame, FrameKind, Opened, pack
from tapeline.sinks.lake import LakeSink

MILLI = 1_000_000
SECOND = 1000 * MILLI
DAY = 86_400 * SECOND
T0 = 1_795_132_800 * SECOND  # 2026-11-20T00:00:00Z: a day that is over
NAME = "binance:BTC-USDT"
CHUNK = 250_000


def trades(count: int) -> Iterator[Trade]:
    """A day of `count` trades: a price that wanders by ticks, sizes of five decimals, in order of time."""
    r, price, step = random.Random(1), 6_000_000, DAY // count
    for i in range(count):
        ts = T0 + i * step + r.randrange(step)
        price += r.choice((-1, 0, 0, 1))
        side = "buy" if r.random() < 0.5 else "sell"
        yield Trade(NAME, ts, ts + 5 * MILLI, 0, price / 100, r.randrange(1, 100_000) / 100_000, side, str(1_000_000 + i))


def bars_of(made: Iterator[Trade], settings: Settings) -> Iterator[Event]:
    """The trades and the bars that a live session makes of them."""
    from tapeline.market.bars import Bars

    bars = Bars(NAME, settings.pipeline)
    out: list[Event] = []
    for trade in made:
        bars.add(trade, out)
        out.append(trade)
        if len(out) > 1000:
            yield from out
            out.clear()
    bars.finish(T0 + DAY, out)
    yield from out


def recorded_books(path: Path) -> list[BookUpdate]:
    """The book updates of the recorded futures session."""
    pipeline, out = Pipeline(), list[Event]()
    streams = ["btcusdt@depth@0ms"]
    pipeline.feed(Frame(0, FrameKind.OPENED, 1, pack(Opened(venue="binance-usdm", url="ws://x", streams=streams))), out)
    with gzip.open(path, "rb") as lines:
        for line in lines:
            ts, _, raw = line.partition(b" ")
            if b"depthUpdate" in raw or b"lastUpdateId" in raw:
                kind = FrameKind.RECV
                data = raw.strip()
                if b"lastUpdateId" in raw:
                    kind, data = FrameKind.HTTP, _answer(raw)
                pipeline.feed(Frame(int(ts), kind, 1 if kind is FrameKind.RECV else 0, data), out)
    return [e for e in out if isinstance(e, BookUpdate)]


def _answer(raw: bytes) -> bytes:
    from tapeline.frames import HttpAnswer, pack_answer

    body = json.loads(raw)
    head = HttpAnswer(venue="binance-usdm", purpose="book", url="http://x/depth?limit=1000", status=200, native="BTCUSDT")
    return pack_answer(head, json.dumps(body).encode())


def book_day(updates: list[BookUpdate], count: int) -> Iterator[BookUpdate]:
    """A day of `count` updates: the recorded ones again and again, ten a second, each round begun by a snapshot."""
    step = DAY // count
    for i in range(count):
        u = updates[i % len(updates)]
        ts = T0 + i * step
        yield msgspec.structs.replace(u, ts_event=ts, ts_recv=ts + 5 * MILLI, seq=i + 1, prev_seq=None if u.snapshot else i)


def fill(data: Path, events: Iterator[Event], session: str = "20261120T000000Z-day0") -> int:
    """Commit them to a lake in chunks of the runner's size; how many."""
    sink, seq, total = LakeSink(data), 0, 0
    sink.open()
    while chunk := list(islice(events, CHUNK)):
        sink.commit(session, seq, chunk)
        seq, total = seq + 1, total + len(chunk)
    sink.finish(session)
    sink.close()
    return total


def compact(data: Path) -> None:
    """What upkeep makes of a day that is over."""
    from tapeline.clock import LiveClock
    from tapeline.config import KeepSettings, LakeSettings
    from tapeline.lake.upkeep import Upkeep

    sink = LakeSink(data)
    sink.open()
    Upkeep(sink.store, lake=LakeSettings(), keep=KeepSettings(), clock=LiveClock(), tell=print, busy=True).compact("9999-99-99")
    sink.close()
