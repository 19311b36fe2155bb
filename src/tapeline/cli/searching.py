"""How the page's search asks the venues that are not connected: as `tapeline instruments` does, without a word on the terminal.

A simulated session asks a simulated market that stands still and is gone once it has answered for all venues: no search of a
simulated session reaches a real venue, and none starts a market that nobody streams.
"""

import asyncio
from contextlib import suppress

import msgspec

from tapeline.cli import listing
from tapeline.cli.simulated import SIMULATED_KEY
from tapeline.config import Settings, VenueSettings
from tapeline.engine.collector import Collector
from tapeline.errors import TapelineError, UsageError
from tapeline.server.search import Finder, Found
from tapeline.venues.registry import VENUES, venue_class


def finder_of(collector: Collector, settings: Settings) -> Finder:
    return Finder(tuple(VENUES), _Asker(collector, settings).ask)


class _Asker:
    def __init__(self, collector: Collector, settings: Settings) -> None:
        self._collector, self._settings = collector, settings
        self._lock = asyncio.Lock()
        self._simulated: dict[str, Found] | None = None

    async def ask(self, venue: str, words: str) -> Found:
        """Raises TapelineError where there is no answer."""
        if self._collector.mode == "simulated":
            return await self._ask_simulated(venue)
        found = await listing.one(venue, words, self._settings, tell=_silent)
        if isinstance(found, TapelineError):
            raise found
        return _named(found)

    async def _ask_simulated(self, venue: str) -> Found:
        async with self._lock:
            if self._simulated is None:
                self._simulated = await self._lists()
        if venue not in self._simulated:
            raise UsageError(f"{venue} has no simulator")
        return self._simulated[venue]

    async def _lists(self) -> dict[str, Found]:
        from tapeline.sim import SimServer
        from tapeline.sim.registry import simulated

        names = [name for name in VENUES if name in simulated()]
        sim = SimServer.in_thread(venues=names, live=False)
        await asyncio.to_thread(sim.__enter__)
        lists: dict[str, Found] = {}
        try:
            for name in names:
                there = VenueSettings(ws_url=sim.ws_url(name), http_url=sim.http_url(name))
                with suppress(TapelineError):  # a venue that only searches
                    lists[name] = await self._list(name, there)
        finally:
            await asyncio.to_thread(sim.__exit__, None, None, None)
        return lists

    async def _list(self, name: str, there: VenueSettings) -> Found:
        settings = msgspec.structs.replace(self._settings, venues={**self._settings.venues, name: there})
        venue = venue_class(name)(there, SIMULATED_KEY)
        found, _ = await listing.ask(venue, "", settings, self._settings.answer_seconds)
        return _named(found)


def _named(found: listing.Listing) -> Found:
    return Found([(f"{found.venue}:{i.symbol}", i) for i in found.instruments], found.searched)


def _silent(text: str) -> None:
    """Where a list came from is no news to whoever types into a search."""
