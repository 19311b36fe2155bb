"""Frames a core-second from raw bytes to events, books, touch, metrics and bars, published on a bus: the engine as it runs live.

    python bench/pipeline.py [--short] [--json]

Batches of 256 frames, as the wire hands them over; a consumer takes every batch from its queue and drops it. Cases take turns, so
that a busy machine is busy for all of them; counted is CPU time (`time.process_time`), medians of several rounds. `msgspec` is the
same frames through the typed JSON decoders alone: what no pipeline on this parser can be faster than. The tape is written to a
temporary directory in default mode; its disk synchronisation is a thread and part of the figure.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop
from sessions import FILES, idle, load

from tapeline.clock import LiveClock
from tapeline.config import TapeSettings
from tapeline.engine.bus import Subscription
from tapeline.engine.engine import Engine
from tapeline.engine.pipeline import Pipeline
from tapeline.frames import Frame, Session
from tapeline.tape.writer import TapeWriter
from tapeline.venues import binance_messages as messages

BATCH = 256


async def drop(events: Subscription) -> None:
    async for _ in events:
        pass


async def through(frames: list[Frame], tape: TapeWriter | None) -> float:
    """CPU seconds."""
    engine = Engine(Pipeline(), "bench", LiveClock(), "replay")
    consumer = asyncio.ensure_future(drop(engine.bus.subscribe("bench")))
    began = time.process_time()
    for i in range(0, len(frames), BATCH):
        batch = frames[i : i + BATCH]
        if tape is not None:
            tape.append_many(batch)
        engine.handle(i, batch)
        await idle()
    spent = time.process_time() - began
    engine.bus.close()
    await consumer
    return spent


async def tape_off(frames: list[Frame]) -> float:
    return await through(frames, None)


async def tape_on(frames: list[Frame]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        tape = TapeWriter(Path(folder), Session(id="bench", version="0"), TapeSettings(), LiveClock())
        await tape.start()
        try:
            return await through(frames, tape)
        finally:
            await tape.close()


async def msgspec_alone(frames: list[Frame]) -> float:
    shapes = {b"@trade": messages.Trade, b"@bookTicker": messages.BookTicker, b"@depth": messages.Depth}
    readers = {name: messages.enveloped(shape) for name, shape in shapes.items()}
    jobs = [(read, f.data) for f in frames for name, read in readers.items() if name in f.data[:60]]
    began = time.process_time()
    for read, data in jobs:
        read(data)
    return time.process_time() - began


CASES: dict[str, Callable[[list[Frame]], Awaitable[float]]] = {
    "msgspec": msgspec_alone,
    "tape off": tape_off,
    "tape on": tape_on,
}


def measure(frames: list[Frame], rounds: int) -> dict[str, float]:
    """Frames a core-second, median, by case."""
    rates: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(rounds):
        for name, case in CASES.items():
            rates[name].append(len(frames) / uvloop.run(case(frames)))  # type: ignore[arg-type]
    return {name: statistics.median(r) for name, r in rates.items()}


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    arguments.add_argument("--short", action="store_true", help="few frames, one round")
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    results: dict[str, dict[str, float | str]] = {}
    for venue in FILES:
        frames, where = load(venue, 10_000 if given.short else None)
        results[venue] = {"session": where, **measure(frames, 1 if given.short else given.rounds)}
    if given.json:
        print(json.dumps({"pipeline": results}))
        return
    for venue, rates in results.items():
        text = "   ".join(f"{name} {rate:>9,.0f}" for name, rate in rates.items() if not isinstance(rate, str))
        print(f"{venue:13} {rates['session']}, frames a core-second: {text}")


if __name__ == "__main__":
    main()
