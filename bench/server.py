"""What viewers cost: the server's CPU for 0, 1, 10, 50 and 200 viewers, source to viewer, and the history's price per event.

    python bench/server.py [--seconds 5] [--viewers 0,1,10,50,200]

The feed is synthetic and steady: four instruments, each with 50 book changes (book, quote, metrics) and 50 trades a second, as a
busy pair of a large exchange sends them. Each viewer watches what the page watches: status, trades, book and bars of one instrument,
quotes and metrics of all. Viewers run in a process of their own; only the server's CPU time is counted (feed, history, hub, and
sockets), as a share of one core. "added" is what viewers add to the feed without any.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from typing import Any

import uvloop
from websockets.asyncio.client import connect

from tapeline.clock import LiveClock
from tapeline.config import ServerSettings
from tapeline.engine.bus import Batch, Bus
from tapeline.engine.source import BookView
from tapeline.events import Bar, BookUpdate, Event, Metrics, Quote, Trade
from tapeline.instruments import Instrument
from tapeline.server.app import Server
from tapeline.server.memory.history import History

NAMES = [f"sim:{base}-USDT" for base in ("BTC", "ETH", "SOL", "XRP")]
LEVELS = [(100.0 - i / 100, 1.5 + i) for i in range(1000)]
CHANGES = 50  # book changes, and trades, a second and instrument
WATCHED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("status", {}),
    ("alerts", {}),
    ("trades", {"instruments": NAMES[:1]}),
    ("book", {"instruments": NAMES[:1], "depth": 50}),
    ("bars", {"instruments": NAMES[:1], "interval": "1m"}),
    ("quotes", {"instruments": ["*"]}),
    ("metrics", {"instruments": ["*"], "kind": "book"}),
    ("metrics", {"instruments": NAMES[:1], "kind": "sample"}),
)
"""What the page asks for as it opens."""


class Feed:
    """A `Source` that publishes a steady synthetic market."""

    mode: Any = "simulated"

    def __init__(self) -> None:
        self.bus = Bus()
        self.n = 0
        self._instruments = [
            Instrument(id=n, venue="sim", native=n, kind="spot", base="B", quote="Q", tick=0.01, lot=0.01) for n in NAMES
        ]

    def events(self, now: int) -> list[Event]:
        self.n += 1
        out: list[Event] = []
        for name in NAMES:
            out.append(
                BookUpdate(name, now, now, 128, LEVELS[:5], LEVELS[5:10], snapshot=False, seq=self.n, prev_seq=self.n - 1)
            )
            out.append(Quote(name, now, now, 128, 99.99, 1.0 + self.n, 100.01, 2.0, self.n, "book"))
            out.append(Metrics(name, now, now, 128, 100.0, 0.02, 2.0, 0.1, 100.001, self.n))
            out.append(Trade(name, now, now, 128, 100.0 + self.n % 100 / 100, 0.5, "buy", str(self.n)))
        return out

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        at = loop.time()
        while True:
            self.bus.publish(Batch("bench", self.n, self.n, self.events(time.time_ns())))
            at += 1 / CHANGES
            await asyncio.sleep(max(0.0, at - loop.time()))

    def now(self) -> int:
        return time.time_ns()

    def status(self) -> dict[str, Any]:
        instruments = [{"id": n, "state": "live", "book": "synced", "last_event": 0, "last_status": None} for n in NAMES]
        return {
            "mode": self.mode, "reason": "", "version": "0", "session": "bench", "started": 0, "now": 0, "speed": None,
            "frames": self.n, "events": self.n, "frames_per_second": 0.0, "gaps": 0, "rejected": 0, "resyncs": 0,
            "connections": [], "instruments": instruments, "tape": {"state": "off"}, "sinks": [],
        }  # fmt: skip

    def instruments(self) -> list[Instrument]:
        return self._instruments

    def listed(self) -> list[Instrument]:
        return self._instruments

    def book(self, instrument: str, depth: int) -> BookView:
        return BookView(
            instrument=instrument, ts_event=self.n, ts_recv=self.n, seq=self.n, state="synced",
            bids=LEVELS[:depth], asks=LEVELS[:depth], bid_floor=None, ask_ceiling=None,
        )  # fmt: skip

    def open_bar(self, instrument: str, interval: str) -> Bar:
        n = float(self.n)
        return Bar(instrument, 0, 0, 128, interval, 0, 1.0, 2.0, 0.5, 1.5, n, n, n, 1.5, self.n, True, 0, "trades")


async def watch(address: str, latencies: list[float] | None) -> None:
    """One viewer, for ever. Only the one that measures looks into its messages."""
    async with connect(address, proxy=None, compression=None, max_size=None) as ws:
        for channel, more in WATCHED:
            await ws.send(json.dumps({"method": "subscribe", "params": {"channel": channel, **more}}))
        while True:
            raw = await ws.recv(decode=False)
            if latencies is not None and raw.startswith(b'{"channel":"trades","type":"update"'):
                now = time.time_ns()
                latencies += [(now - trade["ts_recv"] * 1000) / 1e6 for trade in json.loads(raw)["data"]]


async def viewers(address: str, count: int, seconds: float) -> None:
    """The other process: prints the source-to-viewer latencies."""
    latencies: list[float] = []
    tasks = [asyncio.create_task(watch(address, latencies if n == 0 else None)) for n in range(count)]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print(json.dumps(latencies))


async def measure(count: int, seconds: float) -> tuple[float, list[float]]:
    """The server's share of a core with `count` viewers, and the latencies one of them saw (ms)."""
    feed = Feed()
    server = Server(feed, ServerSettings(port=0), LiveClock())
    address = (await server.start()).replace("http", "ws") + "/api/v1/ws"
    running = asyncio.create_task(feed.run())
    child = None
    if count:
        command = [sys.executable, __file__, "--address", address, "--viewers", str(count), "--seconds", str(seconds + 3)]
        child = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        while len(server.hub.viewers) < count or any(len(v.keys) < len(WATCHED) for v in server.hub.viewers):  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.05)
    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.sleep(seconds)
    share = (time.process_time() - cpu) / (time.perf_counter() - wall)
    missed = server.hub.missed_trades + server.hub.dropped
    out = (await child.communicate())[0] if child is not None else b"[]"
    running.cancel()
    await server.stop()
    assert not missed, f"viewers missed {missed}: this machine is too busy to measure"
    return share, json.loads(out)


def tap_price(rounds: int = 20_000) -> float:
    """Nanoseconds an event that the history adds to the engine."""
    feed, history = Feed(), History(ServerSettings())
    batches = [Batch("bench", n, n, feed.events(n)) for n in range(rounds)]
    start = time.perf_counter()
    for batch in batches:
        history.tap(batch)
    return (time.perf_counter() - start) * 1e9 / sum(len(b.events) for b in batches)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--viewers", default="0,1,10,50,200")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--address", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.address:
        uvloop.run(viewers(args.address, int(args.viewers), args.seconds))
        return
    print(f"history: {statistics.median(tap_price() for _ in range(5)):.0f} ns an event (median of 5)")
    idle = 0.0
    for count in map(int, args.viewers.split(",")):
        share, latencies = uvloop.run(measure(count, args.seconds))
        idle = share if count == 0 else idle
        seen = f", source to viewer median {statistics.median(latencies):.1f} ms" if latencies else ""
        print(f"{count:4d} viewers: {share:6.1%} of a core, added {share - idle:6.1%}{seen}")


if __name__ == "__main__":
    main()
