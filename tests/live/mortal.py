"""Whole live sessions to be killed: a parent that has imported everything forks one for each line of standard input.

The line is the session's settings as JSON. The child says `working` once events flow, and again each time upkeep has swapped files.
"""

import asyncio
import os
import sys

import msgspec
import uvloop

from tapeline.cli.live import LiveSession
from tapeline.config import Settings
from tapeline.engine.bus import Batch
from tapeline.lake.store import Store
from tapeline.sinks import lake, rebuild, sqlite  # noqa: F401 - imported before forking, as all that is heavy
from tapeline.tape.journal import Journal


def say(word: str) -> None:
    os.write(1, f"{word}\n".encode())


async def live(settings: Settings) -> None:
    swap = Store.swap

    def telling(self, *change, **more):
        swap(self, *change, **more)
        say("swapped")

    Store.swap = telling
    begin = Journal.__init__

    def short(self, *arguments):
        begin(self, *arguments)
        self._most_bytes = 50_000  # settings begin at a megabyte, which a second does not fill

    Journal.__init__ = short
    async with LiveSession(settings) as session:
        events = 0

        def count(batch: Batch) -> None:
            nonlocal events
            if events < 200 <= events + len(batch.events):
                say("working")
            events += len(batch.events)

        session.collector.bus.tap(count)
        await session.connect("live")
        await asyncio.Event().wait()


def main() -> None:
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                uvloop.run(live(msgspec.json.decode(line, type=Settings)))
            except BaseException as e:  # noqa: BLE001 - a forked child must not run on
                say(f"failed {e!r}")
            os._exit(0)
        say(f"born {pid}")
        _, status = os.waitpid(pid, 0)
        say("killed" if os.WIFSIGNALED(status) else "ended")


if __name__ == "__main__":
    main()
