"""A recorded session over a real loopback WebSocket: the whole of Tapeline beside the weekend script, on the same frames.

    python bench/loopback.py [--short] [--json]

The server is a process of its own that writes ready-made WebSocket frames as fast as the client takes them. Tapeline is wire,
pipeline, bus and, in one case, tape, with a consumer that drops the events; the weekend script is `weekend.py`, a process of its
own. Counted from first frame to last, by the client's CPU time and by the clock: the script waits for its disk at each trade,
so the clock tells what market it could follow. Clients take turns; medians of several rounds.
"""

import argparse
import asyncio
import itertools
import json
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop
from pipeline import drop
from sending import serve_process
from sessions import load
from wire import LIMITS

from tapeline.clock import LiveClock
from tapeline.config import TapeSettings, WireSettings
from tapeline.engine.engine import Engine
from tapeline.engine.pipeline import Pipeline
from tapeline.frames import Frame, FrameKind, Session
from tapeline.plans import ConnectionPlan
from tapeline.tape.writer import TapeWriter
from tapeline.venues.registry import venue_class
from tapeline.wire.budget import ConnectBudget
from tapeline.wire.supervisor import Supervisor

VENUE = "binance-usdm"


def now() -> dict[str, float]:
    return {"cpu": time.process_time(), "wall": time.perf_counter()}


async def tapeline(url: str, count: int, folder: Path | None) -> dict[str, float]:
    """Seconds from the first message to the last; the tape in `folder`, None for none."""
    engine = Engine(Pipeline(), "bench", LiveClock(), "live")
    consumer = asyncio.ensure_future(drop(engine.bus.subscribe("bench")))
    tape = None
    if folder is not None:
        tape = TapeWriter(folder, Session(id="bench", version="0"), TapeSettings(), LiveClock())
        await tape.start()
    began, left, seq = now(), count, 0
    done: asyncio.Future[dict[str, float]] = asyncio.get_running_loop().create_future()

    def deliver(frames: list[Frame]) -> None:
        nonlocal began, left, seq
        got = sum([f.kind == FrameKind.RECV for f in frames])
        if got and left == count:
            began = now()
        if tape is not None:
            tape.append_many(frames)
        engine.handle(seq, frames)
        seq += len(frames)
        left -= got
        if got and left <= 0 and not done.done():
            done.set_result({name: t - began[name] for name, t in now().items()})

    supervisor = Supervisor(
        ConnectionPlan(venue=VENUE, url=url, streams=(), hello=(), acks=0, limits=LIMITS),
        settings=WireSettings(),
        clock=LiveClock(),
        deliver=deliver,
        next_conn=itertools.count(1).__next__,
        dialect=venue_class(VENUE)(),
        budget=ConnectBudget(300),
    )
    run = asyncio.ensure_future(supervisor.run())
    spent = await done
    await supervisor.stop()
    await run
    engine.bus.close()
    await consumer
    if tape is not None:
        await tape.close()
    assert not engine.pipeline.rejected, "frames were rejected"
    return spent


def weekend(url: str, count: int) -> dict[str, float]:
    command = [sys.executable, str(Path(__file__).with_name("weekend.py")), url, str(count)]
    spent: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return spent


def measure(port: int, rounds: int, count: int, few: int) -> dict[str, dict[str, float]]:
    """Frames a second of CPU and of the clock, medians, by case. The script takes the first `few` frames only."""
    rates: dict[str, dict[str, list[float]]] = {}

    def note(name: str, frames: int, spent: dict[str, float]) -> None:
        for kind, seconds in spent.items():
            rates.setdefault(name, {}).setdefault(kind, []).append(frames / seconds)

    for _ in range(rounds):
        for name, frames, kept in (("tapeline", count, False), ("with tape", count, True), ("few, with tape", few, True)):
            with tempfile.TemporaryDirectory() as folder:
                url = f"ws://127.0.0.1:{port}/{frames}"
                note(name, frames, uvloop.run(tapeline(url, frames, Path(folder) if kept else None)))
        note("weekend", few, weekend(f"ws://127.0.0.1:{port}/{few}", few))
    return {name: {kind: statistics.median(r) for kind, r in kinds.items()} for name, kinds in rates.items()}


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    arguments.add_argument("--short", action="store_true", help="few frames, one round")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    frames, where = load(VENUE)
    messages = [f.data for f in frames if f.kind == FrameKind.RECV]
    count, few = (5_000, 2_000) if given.short else (len(messages), 20_000)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=serve_process, args=(theirs, messages[:count]), daemon=True)
    server.start()
    try:
        results = measure(ours.recv(), 1 if given.short else given.rounds, count, few)
    finally:
        ours.send("stop")
        server.join(5)
    if given.json:
        print(json.dumps({"loopback": {"session": where, **results}}))
        return
    for name, rate in results.items():
        print(
            f"{name:16} {rate['cpu']:>9,.0f} frames a core-second {rate['wall']:>9,.0f} by the clock  ({where} futures session)"
        )


if __name__ == "__main__":
    main()
