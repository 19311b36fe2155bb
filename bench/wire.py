"""What a frame costs over a real loopback WebSocket: Tapeline's wire beside the `websockets` client, on the same server.

    python bench/wire.py [--short] [--json]

The server is a process of its own (`sending.py`). Two loads: as
fast as the client can (`saturated`, many frames a read), and one frame a wake-up (`paced`). Counted is the client's CPU time
(`time.process_time`) from the first frame to the last, medians of several rounds, the clients taking turns. Messages are of the
sizes of trades and book diffs (190 bytes); a `websockets` message is made into the same `Frame`, so both end at the same place.
"""

import argparse
import asyncio
import itertools
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

import uvloop
from sending import serve_process

from tapeline.clock import LiveClock
from tapeline.config import WireSettings
from tapeline.frames import Frame, FrameKind
from tapeline.plans import ConnectionPlan, Limits
from tapeline.venues.registry import venue_class
from tapeline.wire.budget import ConnectBudget
from tapeline.wire.supervisor import Supervisor

MESSAGE = (
    b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1723100000000,"s":"BTCUSDT","a":3000000000,'
    b'"p":"60123.45000000","q":"0.00123000","f":3700000000,"l":3700000001,"T":1723100000000,"m":true}}'
)
LIMITS = Limits(messages_per_second=1000, streams_per_connection=1, connects_per_5_minutes=300, http_weight_per_minute=1)


class Meter:
    """CPU seconds from the first of `count` frames to the last."""

    def __init__(self, count: int) -> None:
        self.left = self.count = count
        self.begun = 0.0
        self.done: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def __call__(self, frames: list[Frame]) -> None:
        got = sum([f.kind == FrameKind.RECV for f in frames])
        if got and self.left == self.count:
            self.begun = time.process_time()
        self.left -= got
        if got and self.left <= 0 and not self.done.done():
            self.done.set_result(time.process_time() - self.begun)


async def tapeline_client(url: str, count: int) -> float:
    meter = Meter(count)
    plan = ConnectionPlan(venue="bench", url=url, streams=(), hello=(), acks=0, limits=LIMITS)
    supervisor = Supervisor(
        plan,
        settings=WireSettings(),
        clock=LiveClock(),
        deliver=meter,
        next_conn=itertools.count(1).__next__,
        dialect=venue_class("binance")(),
        budget=ConnectBudget(300),
    )
    run = asyncio.ensure_future(supervisor.run())
    spent = await meter.done
    await supervisor.stop()
    await run
    return spent


async def websockets_client(url: str, count: int) -> float:
    import websockets

    meter, now = Meter(count), LiveClock().now
    async with websockets.connect(url, compression=None, max_queue=None, proxy=None) as socket:
        while not meter.done.done():
            meter([Frame(now(), FrameKind.RECV, 1, await socket.recv(decode=False))])
    return await meter.done


CLIENTS: dict[str, Callable[[str, int], Awaitable[float]]] = {"tapeline": tapeline_client, "websockets": websockets_client}


def measure(port: int, rounds: int, loads: dict[str, int]) -> dict[str, dict[str, float]]:
    """Frames a core-second, median, by load and client."""
    rates: dict[str, dict[str, list[float]]] = {load: {name: [] for name in CLIENTS} for load in loads}
    for _ in range(rounds):
        for (load, count), (name, client) in itertools.product(loads.items(), CLIENTS.items()):
            spent = uvloop.run(client(f"ws://127.0.0.1:{port}/{count}/{load}", count))  # type: ignore[arg-type]
            rates[load][name].append(count / spent)
    return {load: {name: statistics.median(r) for name, r in by_name.items()} for load, by_name in rates.items()}


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    arguments.add_argument("--short", action="store_true", help="one small round")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    loads = {"saturated": 20_000, "paced": 200} if given.short else {"saturated": 300_000, "paced": 2_000}
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=serve_process, args=(theirs, [MESSAGE]), daemon=True)
    server.start()
    try:
        results = measure(ours.recv(), 1 if given.short else given.rounds, loads)
    finally:
        ours.send("stop")
        server.join(5)
    if given.json:
        sys.stdout.write(json.dumps({"wire": results}) + "\n")
        return
    for load, rate in results.items():
        ours_rate, other = rate["tapeline"], rate["websockets"]
        rates = f"tapeline {ours_rate:>9,.0f}   websockets {other:>9,.0f}   {ours_rate / other:.1f}x"
        print(f"{load:10} frames a core-second: {rates}")


if __name__ == "__main__":
    main()
