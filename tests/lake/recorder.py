"""A process that records into a lake at full speed and compacts it all the time, told by lines on its standard input.

run     publish without pause
rest    no more; answers with the number of events published since the start
quit    end in order, with a last commit
"""

import asyncio
import sys
from pathlib import Path

from tapeline.clock import LiveClock
from tapeline.config import KeepSettings, LakeSettings, SinkSettings
from tapeline.engine.bus import Batch, Bus
from tapeline.events import Event, Quote, Trade
from tapeline.lake.tail import TailServer
from tapeline.lake.upkeep import Upkeep
from tapeline.sinks.lake import LakeSink
from tapeline.sinks.runner import SinkRunner
from tests.sinks.fakes import Tape
from tests.sinks.helpers import BTC, ETH, T0

FRAMES_AT_ONCE = 50
MOST_WAITING = 50_000


def frame(seq: int) -> list[Event]:
    name, ts = (BTC, ETH)[seq % 2], T0 + seq * 1_000_000
    trade = Trade(name, ts, ts, 0, 1.0, 1.0, "buy", str(seq))
    return [trade, Quote(name, ts, ts, 0, 1.0, 1.0, 2.0, 1.0, seq, "venue")] if seq % 3 else [trade]


def say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


async def main(data: Path, seconds: float) -> None:
    bus, sink, tape = Bus(), LakeSink(data), Tape()
    sink.open()
    settings = SinkSettings(lake_seconds=seconds)
    queue = bus.subscribe("lake", settings.queue_events, "drop")
    runner = SinkRunner(sink, queue, settings=settings, clock=LiveClock(), synced=tape.synced, catch_up=tape.catch_up)
    runner.start()
    upkeep = Upkeep(
        sink.store,
        lake=LakeSettings(compact_seconds=0.05, compact_files=3),
        keep=KeepSettings(),
        clock=LiveClock(),
        tell=say,
        busy=True,
    )
    upkeep.start()
    async with TailServer(data, runner.tail):
        say("ready")
        seq = 0
        while await asyncio.to_thread(sys.stdin.readline) == "run\n":
            told = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
            while not told.done():
                for _ in range(FRAMES_AT_ONCE):
                    bus.publish(Batch("s", seq, seq, frame(seq)))
                    seq += 1
                await asyncio.sleep(0.002 if queue.depth < MOST_WAITING else 0.05)
            say(bus.published)
        upkeep.join(30)
        await runner.close(30)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), float(sys.argv[2])))
