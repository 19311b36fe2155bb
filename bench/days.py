"""Days of a market for the benchmarks of the lake: made-up trades in order, and the books of a recorded futures session repeated."""

import random
import time
from collections.abc import Iterable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

import msgspec

from tapeline.clock import SECOND, LiveClock
from tapeline.config import KeepSettings, LakeSettings, Settings
from tapeline.events import BookUpdate, Event, Trade
from tapeline.lake.upkeep import Upkeep
from tapeline.market.bars import Bars
from tapeline.sinks.lake import LakeSink

MILLI = 1_000_000
DAY = 86_400 * SECOND
T0 = 1_795_132_800 * SECOND  # 2026-11-20T00:00:00Z: a day that is over
NAME = "binance:BTC-USDT"
SESSION = "20261120T000000Z-day0"
CHUNK = 250_000


def trades(count: int) -> Iterator[Trade]:
    """A day of `count` trades: a price that wanders by ticks, sizes of five decimals, in order of time."""
    r, price, step = random.Random(1), 6_000_000, DAY // count
    for i in range(count):
        ts = T0 + i * step + r.randrange(step)
        price += r.choice((-1, 0, 0, 1))
        side = "buy" if r.random() < 0.5 else "sell"
        yield Trade(NAME, ts, ts + 5 * MILLI, 0, price / 100, r.randrange(1, 100_000) / 100_000, side, str(1_000_000 + i))


def bars_of(made: Iterable[Trade]) -> Iterator[Event]:
    """The trades and the bars that a live session makes of them."""
    bars = Bars(NAME, Settings().pipeline)
    out: list[Event] = []
    for trade in made:
        bars.add(trade, out)
        out.append(trade)
        if len(out) > 1000:
            yield from out
            out.clear()
    bars.finish(T0 + DAY, out)
    yield from out


def book_day(updates: list[BookUpdate], count: int) -> Iterator[BookUpdate]:
    """A day of `count` updates, evenly spread: the session's again and again. Each round begins with the venue's snapshot, as after
    a reconnect: diffs alone would leave levels of the round before, where the price no longer is.
    """
    begin = next(i for i, u in enumerate(updates) if u.snapshot)
    step = DAY // count
    for i, u in zip(range(count), cycle(updates[begin:]), strict=False):
        ts = T0 + i * step
        prev = None if u.snapshot else i
        yield msgspec.structs.replace(u, ts_event=ts, ts_recv=ts + 5 * MILLI, seq=i + 1, prev_seq=prev)


class Filled(NamedTuple):
    """`wall`, `cpu`: seconds within the commits, without the making of the events."""

    rows: int
    wall: float
    cpu: float


def fill(data: Path, events: Iterator[Event]) -> Filled:
    """Commit them to a lake in chunks of the runner's size."""
    sink, total, wall, cpu = LakeSink(data), 0, 0.0, 0.0
    sink.open()
    for seq in range(1 << 30):
        if not (chunk := list(islice(events, CHUNK))):
            break
        wall, cpu = wall - time.perf_counter(), cpu - time.process_time()
        sink.commit(SESSION, seq, chunk)
        wall, cpu, total = wall + time.perf_counter(), cpu + time.process_time(), total + len(chunk)
    sink.finish(SESSION)
    sink.close()
    return Filled(total, wall, cpu)


def keep(data: Path) -> float:
    """What upkeep makes of a day that is over: one file, snapshots of books. Seconds."""
    sink = LakeSink(data)
    sink.open()
    upkeep = Upkeep(sink.store, lake=LakeSettings(), keep=KeepSettings(), clock=LiveClock(), tell=print, busy=True)
    began = time.perf_counter()
    upkeep.compact("9999-99-99")
    upkeep.snapshots()
    took = time.perf_counter() - began
    sink.close()
    return took
