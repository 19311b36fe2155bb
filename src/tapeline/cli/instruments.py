"""`tapeline instruments`: what a venue trades, from its own list.

The list is kept in the data directory, so that it is there without a network; where it came from is said each time. A simulated
venue's list is labelled `sim` and never kept under the venue's name. A venue that gives no list is searched for the words, and
what was ever found there is what is kept of it.
"""

import asyncio
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from tapeline.cli import asking, complain, context, output
from tapeline.clock import LiveClock
from tapeline.config import Settings
from tapeline.engine.connections import label_of
from tapeline.errors import ConfigError, MalformedFrame, UsageError, VenueError
from tapeline.instruments import Instrument, Registry, plausible
from tapeline.venues.base import Venue
from tapeline.venues.registry import VENUES, venue_class

HEAD = ("id", "native", "kind", "tick", "lot", "contract", "session", "status")


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """A venue's list, as it is kept. `fetched` is ns UTC. `searched`: what the venue itself has found for the words."""

    venue: str
    source: str
    fetched: int
    instruments: list[Instrument]
    searched: bool = False


async def instruments(
    query: Annotated[str | None, Parameter(help="Part of a name, ours or the venue's, or a whole id.")] = None,
    /,
    *,
    venue: Annotated[list[str] | None, Parameter(help="One venue; repeatable. Default: all.")] = None,
    data: Annotated[str | None, Parameter(help="Data directory, where lists are kept.")] = None,
    offline: Annotated[bool, Parameter(help="Use the kept list; ask nobody.")] = False,
    json: context.Json = False,
) -> None:
    """List or search what a venue trades."""
    settings = context.load({"data": data}).settings
    names, words = _split(query, venue or list(VENUES))
    found = await asyncio.gather(*(_listing(venue_class(n).name, words, settings, offline=offline) for n in names))
    listings = [one for one in found if isinstance(one, Listing)]
    faults = [one for one in found if not isinstance(one, Listing)]
    if not listings:
        raise faults[0]
    for fault in faults:
        complain(str(fault))
    every = [i for listing in listings for i in listing.instruments]
    chosen = [i for listing in listings for i in listing.instruments if listing.searched or _fits(i, words)]
    if words and not chosen:
        raise UsageError(_nearest(words, names, every))
    if json:
        output.write_json(chosen)
    else:
        output.write(output.columns([HEAD, *map(_row, sorted(chosen, key=lambda i: i.id))]))


def _split(query: str | None, venues: list[str]) -> tuple[list[str], str]:
    """`binance:BTC` asks one venue. A query that is no id asks all that were named."""
    name, colon, rest = (query or "").partition(":")
    return ([name], rest.upper()) if colon else (venues, name.upper())


def _fits(instrument: Instrument, words: str) -> bool:
    return words in instrument.symbol.upper() or words in instrument.native.upper()


def _nearest(words: str, names: list[str], every: list[Instrument]) -> str:
    registry = Registry("")
    registry.fill(every)
    near = registry.nearest(words, 3)
    return f"no instrument like {words!r} at {', '.join(names)}" + (f"; nearest are {', '.join(near)}" if near else "")


def _row(instrument: Instrument) -> tuple[str, ...]:
    contract = instrument.contract_size if instrument.inverse or instrument.contract_size != 1.0 else None
    figures = (f"{x:.12f}".rstrip("0").rstrip(".") if x else "" for x in (instrument.tick, instrument.lot, contract))
    return (instrument.id, instrument.native, instrument.kind, *figures, instrument.session, instrument.status)


async def _listing(
    name: str, words: str, settings: Settings, *, offline: bool
) -> Listing | VenueError | ConfigError | UsageError:
    """The venue's own list; where it does not answer, the one that was kept; where there is none, the reason."""
    place = Path(settings.data) / "instruments" / f"{name}.json"
    kept = _read(place)
    if offline and kept:
        return _say(kept, "kept since")
    if offline:
        return VenueError(f"{name}: no list is kept in {place.parent}; leave out --offline once")
    try:
        listing, simulated = await _fetch(asking.venue_of(name, settings), words, settings)
    except (VenueError, ConfigError, UsageError) as fault:
        if kept is None:
            return fault
        complain(f"{fault}; using the list that was kept")
        return _say(kept, "kept since")
    if not simulated:
        _keep(place, _added(kept, listing) if listing.searched else listing)
    return _say(listing, "asked at")


def _added(kept: Listing | None, found: Listing) -> Listing:
    known = {i.id: i for i in (*(kept.instruments if kept else ()), *found.instruments)}
    return msgspec.structs.replace(found, instruments=list(known.values()), searched=False)


async def _fetch(venue: Venue, words: str, settings: Settings) -> tuple[Listing, bool]:
    search = venue.search_request(words)
    if search is not None and not words:
        raise UsageError(f"{venue.name} gives no list: name what you look for, as in `tapeline instruments {venue.name}:apple`")
    found: list[Instrument] = []
    sources, simulated = [], False
    read = venue.read_instruments if search is None else venue.read_search
    for request in venue.instruments_requests() if search is None else [search]:
        answer, body = await asking.ask(venue, request, settings)
        if fault := asking.why_not(answer):
            raise fault
        simulated = simulated or answer.simulated
        sources.append(answer.url)
        listed = read(body, label_of(venue.name, simulated=simulated))
        found += [i for i in listed if plausible(i.symbol)]
    if not found and search is None:
        raise MalformedFrame(f"{venue.name}: the list of instruments is empty ({', '.join(sources)})")
    listing = Listing(
        venue=venue.name, source=sources[0], fetched=LiveClock().now(), instruments=found, searched=search is not None
    )
    return listing, simulated


def _say(listing: Listing, when: str) -> Listing:
    count = f"{len(listing.instruments):,} instruments"
    complain(f"{listing.venue}: {count} from {listing.source}, {when} {asking.today(listing.fetched)}")
    return listing


def _read(place: Path) -> Listing | None:
    try:
        return msgspec.json.decode(place.read_bytes(), type=Listing)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as e:
        complain(f"{place} cannot be read and is left aside: {e}")
        return None


def _keep(place: Path, listing: Listing) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    new = place.with_suffix(".new")
    new.write_bytes(msgspec.json.encode(listing))
    new.replace(place)
