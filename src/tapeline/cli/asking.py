"""Asking a venue one question from the command line, and saying in plain words why there was no answer."""

from tapeline.clock import LiveClock, iso
from tapeline.config import Settings
from tapeline.errors import Refused, Unreachable, VenueError
from tapeline.frames import HttpAnswer
from tapeline.keys import key_of
from tapeline.venues.base import Request, Venue
from tapeline.venues.registry import venue_class

_WORDS = {
    401: "the venue refuses the API key (HTTP 401)",
    403: "the venue refuses this address (HTTP 403)",
    418: "the venue has banned this address for a while (HTTP 418)",
    429: "too many requests; the venue asks us to wait (HTTP 429)",
    451: "the venue does not serve this region (HTTP 451)",
}


def venue_of(name: str, settings: Settings) -> Venue:
    """Ready to be asked, with its key where it needs one. Raises ConfigError where there is none."""
    kind = venue_class(name)
    return kind(settings.venues.get(name), key_of(kind.secret, kind.key_page))


async def ask(venue: Venue, request: Request, settings: Settings) -> tuple[HttpAnswer, bytes]:
    """One request through the same rooms that live data uses: proxies, TLS and time-outs are theirs."""
    from tapeline.wire.http import Http

    http = Http(venue.name, venue.limits, settings=settings.wire, clock=LiveClock(), deliver=lambda _: None)
    try:
        return await http.ask(request)
    finally:
        await http.close()


def why_not(answer: HttpAnswer) -> VenueError | None:
    """None where the answer is good."""
    if answer.status == 200:
        return None
    if answer.status == 0:
        return Unreachable(f"{answer.venue} does not answer: {answer.error} ({answer.url})")
    words = _WORDS.get(answer.status, f"the venue answered HTTP {answer.status}")
    return Refused(f"{answer.venue}: {words} ({answer.url})", answer.status)


def today(ns: int) -> str:
    return iso(ns)[:16].replace("T", " ") + " UTC"
