"""The world of a soak: the simulated market as a process of its own, and the address by which its faults are armed."""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import aiohttp
import msgspec
from soak_books import Feeds

from tapeline.sim.wire import SimBook

ROOT = Path(__file__).resolve().parent.parent


class Plan(NamedTuple):
    seconds: float
    rate: float
    seed: int
    every: float  # seconds between two faults
    feeds: Feeds


class World:
    """The control address of the simulated market; `armed` and `hits` count faults by name."""

    def __init__(self, http: aiohttp.ClientSession, address: str) -> None:
        self._http, self._address = http, address
        self.armed: Counter[str] = Counter()
        self.hits: Counter[str] = Counter()

    async def ask(self, method: str, what: str, body: object = None, **query: str) -> Any:
        data = None if body is None else msgspec.json.encode(body)
        async with self._http.request(method, f"{self._address}/_sim/{what}", data=data, params=query) as answer:
            answer.raise_for_status()
            return msgspec.json.decode(await answer.read())

    async def arm(self, faults: list[Any]) -> None:
        """In the place of what was armed before."""
        await self.disarm()
        self.armed.update(str(fault.__struct_config__.tag) for fault in faults)
        await self.ask("POST", "faults", faults)

    async def disarm(self) -> None:
        for report in await self.ask("GET", "faults"):
            self.hits[report["fault"]] += report["hits"]
        await self.ask("DELETE", "faults")

    async def book(self, venue: str, native: str) -> SimBook:
        return msgspec.convert(await self.ask("GET", "book", venue=venue, symbol=native), SimBook)


@contextlib.contextmanager
def market(plan: Plan) -> Iterator[str]:
    """`tapeline simulate` in a process of its own; its address."""
    command = [sys.executable, "-m", "tapeline", "simulate", *plan.feeds.symbols, "--venues", ",".join(plan.feeds.venues)]
    command += ["--port", "0"]
    command += ["--seed", str(plan.seed), "--rate", str(plan.rate)]
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(command, cwd=ROOT, stderr=said, stdin=subprocess.DEVNULL) as process,
    ):
        try:
            yield _address(process, said)
        finally:
            process.terminate()


def _address(process: "subprocess.Popen[bytes]", said: IO[bytes]) -> str:
    while True:
        ended = process.poll() is not None
        text = os.pread(said.fileno(), 1 << 16, 0).decode()  # a seek would move the place where the other one writes
        if found := re.search(r"http://127\.0\.0\.1:\d+(?=\s)", text):
            return found[0]
        if ended:
            raise SystemExit(f"tapeline simulate ended before it listened:\n{text}")
        time.sleep(0.05)
