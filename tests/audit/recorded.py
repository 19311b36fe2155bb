"""What the tests of audits share: a recorded minute, brought into lake and SQLite."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec

from tapeline.clock import ReplayClock
from tapeline.config import PipelineSettings, Settings, TapeSettings
from tapeline.engine.replay import batches
from tapeline.frames import Frame, Session
from tapeline.sinks.recovery import repair
from tapeline.sinks.registry import make
from tapeline.tape import reader
from tapeline.tape.writer import TapeWriter
from tests.engine.feeds import MS, T0, Market, answer, closed, opened, recv, trade

NAME = "binance:BTC-USDT"
TRADES = 600


def market(seed: int, *, lose: tuple[int, ...] = ()) -> Iterator[Frame]:
    """A minute of spot trades and books; trades of these numbers are lost on the way."""
    venue = Market(seed)
    yield opened(T0)
    yield recv(T0 + MS, venue.diff(T0 // MS))
    yield answer(T0 + 2 * MS, venue.snapshot())
    for i in range(1, TRADES):
        ts = T0 + i * 100 * MS
        yield recv(ts, venue.diff(ts // MS))
        if i not in lose:
            price = f"{100 + i % 7 / 10:.1f}"
            yield recv(ts + MS, trade(i, ts // MS, price, f"0.{i % 9 + 1}", maker=i % 3 == 0))
    yield closed(T0 + TRADES * 100 * MS)


def record(data: Path, session: str, frames: Iterator[Frame]) -> None:
    head = Session(id=session, version="0", pipeline=msgspec.to_builtins(PipelineSettings()))
    tape = TapeWriter(data, head, TapeSettings(), ReplayClock(T0))
    for frame in frames:
        tape.append(frame)
    tape.close_sync()


def bring_in(data: Path) -> None:
    sinks = make(data, Settings())
    for sink in sinks:
        sink.open()
    repair(data, sinks, {s.id: s.last_seq for s in reader.sessions(data)}, partial(batches, data))
    for sink in sinks:
        sink.close()


def lake_file(data: Path, kind: str) -> Path:
    return min((data / "lake").glob(f"kind={kind}/**/*.parquet"))
