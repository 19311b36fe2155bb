"""`tapeline doctor`: is everything here that a good session needs? One line a check, with the fix.

A venue that does not answer is a warning: Tapeline then runs on the simulated market. `--strict` makes it exit 4 where no venue
answers at all. A check that fails makes it exit 1.
"""

import asyncio
import sys
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from typing import Annotated
from urllib.parse import urlsplit

from cyclopts import Parameter

from tapeline.cli import asking, checks, context, output
from tapeline.cli.checks import Check
from tapeline.clock import SECOND, LiveClock
from tapeline.config import Settings
from tapeline.errors import ConfigError, VenueError
from tapeline.frames import HttpAnswer
from tapeline.masking import mask
from tapeline.venues.base import Venue
from tapeline.venues.registry import VENUES

MIRRORS = {"binance": "https://data-api.binance.vision"}
DRIFT_SECONDS = 2.0
"""A Date header counts whole seconds and the answer took its time: less than this proves nothing."""
_COLOURS = {"ok": "32", "warn": "33", "fail": "31"}


async def doctor(
    *,
    strict: Annotated[bool, Parameter(help="Exit 4 where no venue answers.")] = False,
    json: context.Json = False,
) -> int:
    """Check this machine, its network and the venues."""
    settings = context.load().settings
    found = list(checks.machine(settings))
    reached = await asyncio.gather(*(_asked(name, settings) for name in VENUES))
    found += [check for check, _ in reached]
    found.append(_clock([drift for _, drift in reached if drift is not None]))
    if json:
        output.write_json(found)
    else:
        _print(found)
    if any(check.state == "fail" for check in found):
        return 1
    if strict and all(check.state != "ok" for check, _ in reached):
        raise VenueError("no venue answers")
    return 0


def _print(found: Sequence[Check]) -> None:
    """A fix that several checks share is said once, with the first."""
    said: set[str] = set()
    rows = []
    for c in found:
        fix = f". {c.fix[:1].upper()}{c.fix[1:]}" if c.fix and c.fix not in said else ""
        said.add(c.fix)
        rows.append((c.state, c.name, c.text + fix))
    lines = output.columns(rows).splitlines(keepends=True)
    if sys.stdout.isatty():
        lines = [f"\x1b[{_COLOURS[c.state]}m{line[:4]}\x1b[0m{line[4:]}" for c, line in zip(found, lines, strict=True)]
    output.write("".join(lines))


async def _asked(name: str, settings: Settings) -> tuple[Check, float | None]:
    try:
        venue = asking.venue_of(name, settings)
    except ConfigError as e:  # a key is missing
        return Check(f"venue {name}", "warn", str(e)), None
    return await _venue(venue, settings)


async def _venue(venue: Venue, settings: Settings) -> tuple[Check, float | None]:
    """Name, connection and answer, in this order: the first that fails is what is wrong. And our clock minus the venue's, in s."""
    name, request = f"venue {venue.name}", venue.instruments_requests()[0]
    fix = "`tapeline run` will use the simulated market; venues.NAME.http_url and ws_url name a mirror"
    if venue.name in MIRRORS:
        fix += f" ({MIRRORS[venue.name]})"
    step = await _reach(request.url, settings.wire.connect_seconds)
    if step:
        return Check(name, "warn", step, fix), None
    answer, _ = await asking.ask(venue, request, settings)
    if fault := asking.why_not(answer):
        return Check(name, "warn", str(fault), fix), None
    host = urlsplit(request.url).hostname
    return Check(name, "ok", f"{host} answers" + (", a simulated market" if answer.simulated else "")), _drift(answer)


async def _reach(url: str, seconds: float) -> str:
    """What is wrong with the name or the connection, empty where nothing is. A proxy does both for us, so it is asked alone."""
    from tapeline.wire.address import proxy_for

    proxy = proxy_for(url)
    parts = urlsplit(proxy or url)
    host, port = parts.hostname or "", parts.port or {"http": 80, "socks5": 1080}.get(parts.scheme, 443)
    what = f"the proxy {mask(proxy)}" if proxy else host
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds):
            await loop.getaddrinfo(host, port)
    except (OSError, TimeoutError) as e:
        return f"DNS does not know {what}: {e or 'no answer in time'}"
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as e:
        return f"{what} port {port} cannot be reached: {e or 'no answer in time'}"
    writer.close()
    return ""


def _drift(answer: HttpAnswer) -> float | None:
    try:
        theirs = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (KeyError, ValueError):
        return None
    return LiveClock().now() / SECOND - theirs


def _clock(drifts: Sequence[float]) -> Check:
    if not drifts:
        return Check("clock", "warn", "cannot be compared: no venue told its time", "compare it by hand, or with `timedatectl`")
    worst = max(drifts, key=abs)
    if abs(worst) < DRIFT_SECONDS:
        return Check("clock", "ok", f"within {DRIFT_SECONDS:g} s of the venues' clocks")
    way = "ahead of" if worst > 0 else "behind"
    return Check("clock", "warn", f"{abs(worst):.0f} s {way} the venues' clocks", "switch on NTP: timedatectl set-ntp true")
