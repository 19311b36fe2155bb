"""`tapeline run`: the main job. Stream, keep, and show."""

import webbrowser
from collections.abc import Mapping
from typing import Annotated

from cyclopts import Parameter

from tapeline.cli import context
from tapeline.cli.live import LiveSession, Market, interruptible, say, summary
from tapeline.config import Settings
from tapeline.errors import UsageError
from tapeline.instruments import split_id, split_pair
from tapeline.server.app import Server
from tapeline.venues.registry import venue_class

INTERRUPTED = 130


def market(*, live: bool, simulate: bool) -> Market:
    if live and simulate:
        raise UsageError("--live and --simulate exclude each other")
    return "live" if live else "simulated" if simulate else "auto"


def duration(text: str | None) -> float | None:
    """`15s`, `5m`, `2h` or plain seconds, in seconds."""
    if text is None:
        return None
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    try:
        seconds = float(number) * units[unit]
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise UsageError(f"--for {text}: write seconds, or a number with s, m or h, as in 15s")
    return seconds


def settings_of(instruments: tuple[str, ...], flags: Mapping[str, object]) -> Settings:
    """The settings in force, their instruments looked at before anything is started. Raises ConfigError, UsageError."""
    for name in instruments:
        _whole(name)
    named = {"instruments": instruments} if instruments else {}
    settings = context.load({**flags, **named}).settings
    for name in settings.instruments:
        _served(name)
    return settings


def _whole(name: str) -> None:
    """`btcusdt` and `BTC-USDT` are what people type first: the answer spells out what they meant."""
    if ":" in name:
        return
    pair = split_pair(name.upper().replace("-", "").replace("/", ""))
    likely = "-".join(pair or ("BTC", "USDT"))
    raise UsageError(
        f"{name!r} is no instrument: write venue:symbol, as in binance:{likely}; `tapeline instruments {name}` searches the venues"
    )


def _served(name: str) -> None:
    venue, symbol = split_id(name)
    if venue == "sim":
        real = f"{'binance-usdm' if symbol.endswith('-PERP') else 'binance'}:{symbol}"
        raise UsageError(f"{name} is what the simulated market calls it: name the real one and add --simulate, as in {real}")
    venue_class(venue)


async def run(
    *instruments: Annotated[str, Parameter(help="What to stream, as in binance:BTC-USDT.")],
    live: Annotated[bool, Parameter(help="Only real venues: exit 4 where none answers.")] = False,
    simulate: Annotated[bool, Parameter(help="Use the simulated market.")] = False,
    channels: Annotated[
        str | None, Parameter(help="Comma-separated: trades, book, quotes, bars, ticker, liquidations.", show_default=False)
    ] = None,
    data: Annotated[str | None, Parameter(help="Directory of tape, lake and SQLite file.", show_default=False)] = None,
    port: Annotated[int | None, Parameter(help="Port of the page; 0 takes a free one.", show_default=False)] = None,
    host: Annotated[str | None, Parameter(help="Address of the page.", show_default=False)] = None,
    strict: Annotated[bool, Parameter(help="Write each frame to the tape before it is handled.")] = False,
    browser: Annotated[bool, Parameter(negative="--no-browser", help="Open a browser where there is one.")] = True,
    seed: Annotated[int, Parameter(help="Seed of the simulated market.")] = 1,
    rate: Annotated[float, Parameter(help="How busy the simulated market is; 1 is normal.")] = 1.0,
    for_: Annotated[
        str | None, Parameter(name="--for", help="Stop after this time, as in 15s or 5m.", show_default=False)
    ] = None,
) -> int:
    """Stream live markets, keep every message, and show them on a page.

    Where no venue answers within `answer_seconds`, it says why and goes on with the simulated market, labelled `sim` everywhere.
    """
    mode = "strict" if strict else None
    flags = {"channels": channels, "data": data, "server.port": port, "server.host": host, "tape.mode": mode}
    settings, seconds, wanted = settings_of(instruments, flags), duration(for_), market(live=live, simulate=simulate)
    async with interruptible() as stop, LiveSession(settings, seed=seed, rate=rate) as session:
        server = Server(session.collector, settings.server, session.collector.clock)
        address = await server.start()
        say(f"page and API at {address}")
        try:
            if browser:
                _open(address)
            stopped = await session.stream(stop, wanted, seconds)
        finally:
            await server.stop()
    say(summary(session.collector, session.data))
    return INTERRUPTED if stopped else 0


def _open(address: str) -> None:
    """Open a browser only where there is one with a screen."""
    try:
        found = webbrowser.get()
    except webbrowser.Error:
        return
    if not isinstance(found, webbrowser.GenericBrowser) or isinstance(found, webbrowser.BackgroundBrowser):
        found.open(address)
