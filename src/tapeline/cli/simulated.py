"""The simulated market behind a live session: one simulator for the venues that it begins with, another for each that is added.

All venues of one simulator quote around the same prices; one that is added later trades a market of its own, by the same seed.
"""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from tapeline.config import VenueSettings
from tapeline.engine.collector import Collector
from tapeline.errors import UsageError

if TYPE_CHECKING:
    from tapeline.sim import ThreadedSim

SIMULATED_KEY = "simulated-key"


class SimulatedMarket:
    """`close()` in every case."""

    def __init__(self, collector: Collector, seed: int, rate: float) -> None:
        self.venues: set[str] = set()
        self._collector, self._seed, self._rate = collector, seed, rate
        self._sims: list[ThreadedSim] = []

    @staticmethod
    def lacking(venues: Iterable[str]) -> list[str]:
        """Those of these that have no simulator."""
        from tapeline.sim.registry import simulated

        return sorted(set(venues) - set(simulated()))

    async def serve(self, venues: Iterable[str]) -> None:
        """Let the collector find these venues here. Raises UsageError where one has no simulator."""
        from tapeline.sim import SimServer

        new = sorted(set(venues) - self.venues)
        if lacking := self.lacking(new):
            raise UsageError(f"the session is simulated, and {', '.join(lacking)} has no simulator")
        if not new:
            return
        self.venues.update(new)
        sim = SimServer.in_thread(venues=new, seed=self._seed, rate=self._rate)
        await asyncio.to_thread(sim.__enter__)
        self._sims.append(sim)
        for venue in new:
            self._collector.control.keys[venue] = SIMULATED_KEY
            chosen = self._collector.venues.get(venue, VenueSettings())  # other streams; and what stands in the session's head
            self._collector.venues[venue] = msgspec.structs.replace(
                chosen, ws_url=sim.ws_url(venue), http_url=sim.http_url(venue)
            )

    async def close(self) -> None:
        for sim in self._sims:
            await asyncio.to_thread(sim.__exit__, None, None, None)
