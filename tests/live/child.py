"""A live session in a process of its own, to be killed: counts the frames it has HANDLED into shared memory, after each call.

python -m tests.live.child DATA ADDRESS MODE COUNTER [SINKS]
"""

import asyncio
import mmap
import struct
import sys
from pathlib import Path

from tapeline.cli.live import LiveSession
from tapeline.config import SinkSettings, TapeSettings, WireSettings
from tests.live.rig import settings_at


async def main(data: str, address: str, mode: str, counter: str, sinks: str = "yes") -> None:
    chosen = settings_at(
        f"ws://{address}",
        f"http://{address}",
        Path(data),
        tape=TapeSettings(mode=mode, flush_ms=100, sync_ms=200),
        sinks=SinkSettings(lake=sinks == "yes", sqlite=sinks == "yes", commit_seconds=0.1, lake_seconds=0.25),
        wire=WireSettings(connect_seconds=60.0),
        answer_seconds=120.0,
    )
    with open(counter, "r+b") as file, mmap.mmap(file.fileno(), 16) as shared:  # noqa: ASYNC230, PTH123 - shared memory
        async with LiveSession(chosen) as session:
            collector = session.collector
            handle, handled = collector.handle, 1  # the SESSION frame

            def counting(first, frames):
                nonlocal handled
                handle(first, frames)
                handled += len(frames)
                struct.pack_into("q", shared, 0, handled)

            collector.handle = counting
            await session.connect("live")
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
