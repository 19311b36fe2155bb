"""The sessions that the benchmarks run on: recorded ones from `../shared/frames`, or made by the simulator where that is missing.

TAPELINE_SHARED points to another `shared`, as in the tests.
"""

import asyncio
import os
from pathlib import Path
from typing import Any

from tapeline.clock import MILLI, SECOND
from tapeline.engine.lines import frames as frames_of_lines
from tapeline.engine.lines import open_lines
from tapeline.engine.pipeline import Pipeline
from tapeline.events import Event, Trade
from tapeline.frames import Frame, FrameKind, Opened, pack
from tapeline.venues.registry import venue_class

SHARED = Path(os.environ.get("TAPELINE_SHARED") or Path(__file__).parents[2] / "shared") / "frames"
FILES = {"binance-usdm": "binance-usdm/btcusdt_20240808.gz", "binance": "binance-spot/btcusdt_20240808.gz"}
STREAMS = {"binance-usdm": ("trade", "bookTicker", "depth@0ms"), "binance": ("trade", "bookTicker", "depth@100ms")}
START = 1_790_000_000 * SECOND
SIMULATED_FRAMES = 40_000


def load(venue: str, most: int | None = None, shared: Path = SHARED) -> tuple[list[Frame], str]:
    """(frames of one connection, OPENED first; where they are from): trades, quotes and book diffs of BTCUSDT, one snapshot."""
    path = shared / "recorded" / FILES[venue]
    if path.exists():
        with open_lines(path) as lines:
            return list(frames_of_lines(venue_class(venue)(), lines, path.name))[:most], "recorded"
    return simulated(venue)[:most], "simulated"


def simulated(venue: str) -> list[Frame]:
    """The same mix from the simulated market, written by its wire, without a socket."""
    from tapeline.sim.faultbox import FaultBox
    from tapeline.sim.hub import MILLIS, Hub
    from tapeline.sim.market import Market
    from tapeline.sim.registry import choose, wire_class

    frames = [Frame(START, FrameKind.OPENED, 1, pack(Opened(venue=venue, url="simulated")))]

    class Tap(Hub):
        def deliver(self, venue: str, stream: str, conns: list[Any], payload: str) -> None:  # noqa: ARG002
            frames.append(Frame(market.now, FrameKind.RECV, 1, f'{{"stream":"{stream}","data":{payload}}}'.encode()))

    kind = wire_class(venue)
    market = Market(choose([kind], ("BTCUSDT",)), {venue: kind.rules}, seed=1, start=START, rate=20.0)
    hub = Tap(FaultBox())
    wire = kind(market, hub)
    hub.topics[venue] = {f"btcusdt@{name}": {MILLIS: [None]} for name in STREAMS[venue]}  # type: ignore[list-item]
    asked = False
    for now in market.advance(START + 3600 * SECOND):
        wire.publish(now)
        if not asked and now - START > 500 * MILLI:
            asked = True
            reply = wire.http("depth", {"symbol": "BTCUSDT", "limit": "1000"}, now, wire.freeze)
            frames.append(Frame(market.now, FrameKind.RECV, 1, reply.body))
        if len(frames) >= SIMULATED_FRAMES:
            break
    return frames


def events(frames: list[Frame]) -> list[Event]:
    out: list[Event] = []
    Pipeline().feed_many(0, frames, out)
    return out


def trades(frames: list[Frame]) -> list[Trade]:
    return [e for e in events(frames) if isinstance(e, Trade)]


async def idle() -> None:
    """Let the consumers of a bus have their turn."""
    await asyncio.sleep(0)
