"""Lists of instruments: asked of their venues side by side, kept for when there is no network.

A list is kept in the data directory, one file a venue; where it came from and when is said each time. A simulated venue's list is
labelled `sim` and never kept under the venue's name. Each venue has its own patience: `answer_seconds`, and less where a list is
kept, so that the slowest venue does not decide how long all take. What goes wrong with one is one line, and no other's business.

Where a venue gives no list (Yahoo) it is searched, and what was found is kept, too.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec

from tapeline.cli import asking, complain, output
from tapeline.clock import LiveClock
from tapeline.config import Settings
from tapeline.engine.connections import label_of
from tapeline.errors import ConfigError, MalformedFrame, TapelineError, Unreachable, UsageError, VenueError
from tapeline.instruments import Instrument, plausible
from tapeline.plans import Request
from tapeline.venues.base import Venue
from tapeline.venues.registry import venue_class

KEPT_PATIENCE = 3.0
"""Seconds that a venue may take to answer where a list of it is kept."""
Fault = VenueError | ConfigError | UsageError


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """A venue's list, as it is kept. `fetched` is ns UTC. `searched`: what the venue found for our words (`apple`: AAPL)."""

    venue: str
    source: str
    fetched: int
    instruments: list[Instrument]
    searched: bool = False


async def gather(names: list[str], words: str, settings: Settings, *, offline: bool) -> tuple[list[Listing], list[Fault]]:
    """Each venue's list, and what went wrong with the others. `words` are what a venue without a list is searched for."""
    kinds = [venue_class(name).name for name in dict.fromkeys(names)]  # a wrong name is said before anybody is asked
    found = await asyncio.gather(*(one(name, words, settings, offline=offline) for name in kinds))
    return [one for one in found if isinstance(one, Listing)], [one for one in found if isinstance(one, TapelineError)]


async def one(
    name: str, words: str, settings: Settings, *, offline: bool = False, tell: Callable[[str], None] = complain
) -> Listing | Fault:
    """The venue's own list; where it does not answer, the one that was kept; where there is none, the reason. `tell` takes what a
    person may want to know of where it came from.
    """
    place = Path(settings.data) / "instruments" / f"{name}.json"
    kept = _read(place, tell)
    if offline:
        return (
            _say(kept, "kept since", tell)
            if kept
            else VenueError(f"{name}: no list is kept in {place.parent}; leave out --offline once")
        )
    try:
        venue = asking.venue_of(name, settings)
        patience = min(KEPT_PATIENCE, settings.answer_seconds) if kept else settings.answer_seconds
        listing, simulated = await ask(venue, words, settings, patience)
    except (VenueError, ConfigError, UsageError) as fault:
        if kept is None:
            return fault
        tell(f"{fault}; using the list that was kept")
        return _say(kept, "kept since", tell)
    if not simulated:
        _keep(place, _with_earlier(listing, kept) if listing.searched else listing, tell)
    return _say(listing, "asked at", tell)


async def ask(venue: Venue, words: str, settings: Settings, seconds: float) -> tuple[Listing, bool]:
    """All parts of a list side by side, and whether a simulated market gave it. Raises VenueError where one does not come."""
    searching = venue.search_request("") is not None
    requests = venue.instruments_requests()
    if searching:
        if not words:
            raise UsageError(
                f"{venue.name} gives no list: name what you look for, as in `tapeline instruments {venue.name}:apple`"
            )
        requests = [r for r in (venue.search_request(words),) if r is not None]
    try:
        async with asyncio.timeout(seconds):
            parts = await asyncio.gather(*(_part(venue, request, settings, searching=searching) for request in requests))
    except TimeoutError:
        raise Unreachable(f"{venue.name} does not answer within {seconds:g} s ({requests[0].url})") from None
    found = [i for listed, _, _ in parts for i in listed]
    if not found and not searching:
        raise MalformedFrame(f"{venue.name}: the list of instruments is empty ({', '.join(url for _, url, _ in parts)})")
    listing = Listing(venue=venue.name, source=parts[0][1], fetched=LiveClock().now(), instruments=found, searched=searching)
    return listing, any(simulated for _, _, simulated in parts)


async def _part(venue: Venue, request: Request, settings: Settings, *, searching: bool) -> tuple[list[Instrument], str, bool]:
    answer, body = await asking.ask(venue, request, settings)
    if fault := asking.why_not(answer):
        raise fault
    label = label_of(venue.name, simulated=answer.simulated)
    listed = venue.read_search(body, label) if searching else venue.read_instruments(body, label)
    return [i for i in listed if plausible(i.symbol)], answer.url, answer.simulated


def _with_earlier(listing: Listing, kept: Listing | None) -> Listing:
    """What a search found, and what earlier ones did."""
    known = {i.id: i for i in (*(kept.instruments if kept else ()), *listing.instruments)}
    return msgspec.structs.replace(listing, instruments=list(known.values()), searched=False)


def _say(listing: Listing, when: str, tell: Callable[[str], None]) -> Listing:
    count = output.many(len(listing.instruments), "instrument")
    tell(f"{listing.venue}: {count} from {listing.source}, {when} {asking.today(listing.fetched)}")
    return listing


def _read(place: Path, tell: Callable[[str], None]) -> Listing | None:
    try:
        return msgspec.json.decode(place.read_bytes(), type=Listing)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as e:
        tell(f"{place} cannot be read and is left aside: {e}")
        return None


def _keep(place: Path, listing: Listing, tell: Callable[[str], None]) -> None:
    """A list that cannot be kept is a pity, no failure: it was shown."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        new = place.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(listing))
        new.replace(place)
    except OSError as e:
        tell(f"the list of {listing.venue} cannot be kept in {place.parent}: {e.strerror}")
