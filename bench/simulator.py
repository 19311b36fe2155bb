"""What the simulated market costs: each venue alone, then all of them in one process, with every channel of every default instrument
subscribed as Tapeline subscribes them.

    python bench/simulator.py [--seconds 20] [--rate 1] [--short] [--json]

The simulator is a process of its own; its CPU time (`time.process_time`) over the seconds is the share of a core. The client here
reads and drops. `listed` are instruments, `a second` messages sent.
"""

import argparse
import asyncio
import json
import multiprocessing
import threading
import time
from multiprocessing.connection import Connection as Pipe
from typing import NamedTuple

import aiohttp

from tapeline.config import VenueSettings
from tapeline.plans import ConnectionPlan
from tapeline.sim import SimServer
from tapeline.sim.registry import simulated
from tapeline.venues.registry import venue_class


class Cost(NamedTuple):
    venues: str
    listed: int
    connections: int
    messages: float  # a second
    core: float  # share


def serve(pipe: Pipe, venues: list[str], rate: float) -> None:
    """Say where each venue is and what it lists; then (CPU time, messages sent) as often as asked, until told to end."""

    async def main() -> None:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        async with SimServer(venues=venues, rate=rate) as sim:
            pipe.send({v: (sim.ws_url(v), sim.http_url(v), sim.wires[v].natives()) for v in venues})

            def answer() -> None:
                while pipe.recv():
                    pipe.send((time.process_time(), sim.hub.messages))
                loop.call_soon_threadsafe(ended.set)

            threading.Thread(target=answer, daemon=True).start()
            await ended.wait()

    asyncio.run(main())


async def listen(session: aiohttp.ClientSession, plan: ConnectionPlan, ready: asyncio.Semaphore) -> None:
    """Subscribe to all of a plan, in the venue's time; read and drop."""
    async with session.ws_connect(plan.url, max_msg_size=0, origin=plan.origin or None) as ws:

        async def greet() -> None:
            for hello in plan.hello:
                await ws.send_str(hello.decode())
                await asyncio.sleep(1.2 / plan.limits.messages_per_second)
            ready.release()
            while plan.client_ping:
                await asyncio.sleep(plan.limits.client_ping_seconds or 15)
                await ws.send_str(plan.client_ping.decode())

        greeting = asyncio.create_task(greet())
        async for _ in ws:
            pass
        greeting.cancel()


def plans(places: dict[str, tuple[str, str, list[str]]]) -> list[ConnectionPlan]:
    found = []
    for name, (ws_url, http_url, natives) in places.items():
        venue = venue_class(name)(VenueSettings(ws_url=ws_url, http_url=http_url), "a key")
        found += venue.plan([venue.derive(native, "sim") for native in natives], venue.channels)
    return found


async def measure(venues: list[str], rate: float, seconds: float) -> Cost:
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, venues, rate), daemon=True)
    process.start()

    async def ask(question: bool) -> tuple[float, int]:
        pipe.send(question)
        answer: tuple[float, int] = await asyncio.to_thread(pipe.recv)
        return answer

    places = await asyncio.to_thread(pipe.recv)
    wanted, ready = plans(places), asyncio.Semaphore(0)
    async with aiohttp.ClientSession() as session:
        clients = [asyncio.create_task(listen(session, plan, ready)) for plan in wanted]
        for _ in clients:
            await ready.acquire()
        cpu, sent = await ask(True)
        start = time.monotonic()
        await asyncio.sleep(seconds)
        more_cpu, more_sent = await ask(True)
        took = time.monotonic() - start
        lost = [task for task in clients if task.done()]
        for task in clients:
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
    pipe.send(False)
    process.join(10)
    if lost:
        raise SystemExit(f"{', '.join(venues)}: {len(lost)} connections were closed")
    listed = sum(len(natives) for _, _, natives in places.values())
    return Cost(" ".join(venues), listed, len(wanted), (more_sent - sent) / took, (more_cpu - cpu) / took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=1.0)
    parser.add_argument("--short", action="store_true", help="two seconds of all at once: only shows that it runs")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    seconds = 2.0 if options.short else options.seconds
    every = simulated()
    alone = [] if options.short else [[venue] for venue in every]
    for venues in [*alone, every]:
        cost = asyncio.run(measure(venues, options.rate, seconds))
        if options.json:
            print(json.dumps(cost._asdict()), flush=True)
        else:
            name = cost.venues if len(venues) == 1 else f"all {len(venues)}"
            print(
                f"{name:20} {cost.listed:3} listed {cost.connections:3} connections {cost.messages:8,.0f} a second"
                f" {cost.core:6.1%} of a core",
                flush=True,
            )


if __name__ == "__main__":
    main()
