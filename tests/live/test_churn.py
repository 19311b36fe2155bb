"""Instruments come and go at random while connections are lost and replaced: nothing that stays is hurt, and a replay gives the same."""

import asyncio
import random
from pathlib import Path

import pytest

from tapeline.config import VenueSettings
from tapeline.events import Status, Trade
from tapeline.sim import SimServer
from tapeline.sim.registry import wire_class
from tapeline.venues.registry import venue_class
from tests.live.rig import CHANNELS, Run, running
from tests.waiting import becomes

TURNS = 30


async def churn(run: Run, sim: SimServer, venue: str, names: list[str], rng: random.Random) -> None:
    """`names[0]` stays as it is; the others are added, removed, and thinned out."""
    control = run.collector.control
    available = venue_class(venue).channels
    for _ in range(TURNS):
        name = rng.choice(names[1:])
        some = rng.sample(available, rng.randint(1, len(available)))
        if name not in control.wanted or rng.random() < 0.4:
            await control.subscribe([name], [c for c in CHANNELS if c in some])
        else:
            await control.unsubscribe([name], rng.choice((None, some)))
        if rng.random() < 0.12 and sim.hub.conns:
            rng.choice(list(sim.hub.conns)).close(1012)
        if rng.random() < 0.12 and run.collector.supervisors:
            rng.choice(run.collector.supervisors).replace("for the test")
        await asyncio.sleep(rng.choice((0.0, 0.0, 0.02, 0.2)))


def settled(run: Run) -> bool:
    """No reconnect is under way, nothing waits to be said, and each connection carries what it is to carry."""
    carried = run.collector.pipeline.connections
    for supervisor in run.collector.supervisors:
        connection = carried.get(supervisor.state.id)
        if connection is None or set(connection.streams) != {s.name for s in supervisor.plan.streams}:
            return False
    return len(carried) == len(run.collector.supervisors)


@pytest.mark.parametrize(("venue", "redundant"), [("binance", False), ("kraken", False), ("okx", True), ("coinbase", True)])
async def test_comings_and_goings(tmp_path: Path, venue: str, redundant: bool) -> None:
    kind = venue_class(venue)
    names = [kind().derive(native, venue).id for native in wire_class(venue).default[:5]]
    rng = random.Random(f"{venue}{redundant}")
    async with SimServer(seed=31, rate=3.0, venues=(venue,)) as sim:
        where = {venue: VenueSettings(ws_url=sim.ws_url(venue), http_url=sim.http_url(venue))}
        changes = {"instruments": (names[0],), "channels": ("trades", "book"), "venues": where, "redundant": redundant}
        async with running(sim, tmp_path, **changes) as run:
            await churn(run, sim, venue, names, rng)
            control = run.collector.control
            await control.subscribe(names[1:3], ("trades", "book"))
            await control.unsubscribe([n for n in names[3:] if n in control.wanted])
            shown = [s["instrument"] for s in control.subscriptions()]
            await run.until(lambda: settled(run))
            await becomes(lambda: set(run.collector.pipeline.lanes), set(shown))  # a book that ended is kept for a while
            await run.synced(*shown)
            mark = len(run.events)
            await run.until(lambda: {e.instrument for e in run.events[mark:] if type(e) is Trade} == set(shown))
            for name in shown:
                ids = [t.id for t in run.trades(name)]
                assert len(set(ids)) == len(ids), f"doubles of {name}"
            assert run.collector.pipeline.faults == 0
            assert not [s for s in run.events if type(s) is Status and s.kind in {"rejected", "crossed"}]
    assert run.published() == run.replayed()
