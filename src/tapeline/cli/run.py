"""`tapeline run`: the main job. Stream, keep, and show."""

import webbrowser
from typing import Annotated

from cyclopts import Parameter

from tapeline.cli.chosen import choose
from tapeline.cli.ending import told
from tapeline.cli.live import LiveSession, interruptible, say
from tapeline.cli.options import (
    Channels,
    Data,
    For,
    Host,
    Live,
    Port,
    Rate,
    Redundant,
    Seed,
    Simulate,
    Strict,
    duration,
    market,
)
from tapeline.cli.searching import finder_of
from tapeline.server.app import Server
from tapeline.server.query.query import Queries


async def run(
    *instruments: Annotated[
        str,
        Parameter(help="What to stream, as in binance:BTC-USDT. By default what the last session left, or the settings name."),
    ],
    live: Live = False,
    simulate: Simulate = False,
    channels: Channels = None,
    data: Data = None,
    port: Port = None,
    host: Host = None,
    strict: Strict = False,
    redundant: Redundant = False,
    browser: Annotated[bool, Parameter(negative="--no-browser", help="Open a browser where there is one.")] = True,
    seed: Seed = 1,
    rate: Rate = 1.0,
    for_: For = None,
) -> int:
    """Stream live markets, keep every message, and show them on a page.

    Where no venue answers within `answer_seconds`, it says why and goes on with the simulated market, labelled `sim` everywhere.
    While it runs, `tapeline subscribe` and `tapeline unsubscribe` change what is streamed; the next start goes on with that.
    """
    flags = {
        "data": data,
        "server.port": port,
        "server.host": host,
        "tape.mode": "strict" if strict else None,
        "redundant": redundant or None,
    }
    chosen, seconds, wanted = choose(instruments, channels, flags), duration(for_), market(live=live, simulate=simulate)
    async with interruptible() as stop, LiveSession(chosen.settings, chosen, seed=seed, rate=rate) as session:
        queries = Queries(session.data, chosen.settings.query)
        server = Server(
            session.collector,
            chosen.settings.server,
            session.collector.clock,
            queries=queries,
            alerts=session.alerts,
            recordings=session.data,
            finder=finder_of(session.collector, chosen.settings),
        )  # fmt: skip
        address = await server.start()
        session.address = next(iter(server.elsewhere()), address)
        say(f"page and API at {server.link()}")
        if links := server.links():
            say(f"from other machines, where nothing between forbids it: {' or '.join(links)}")
        say(f"streaming {chosen.why}")
        try:
            if browser:
                _open(server.ticket())
            stopped = await session.stream(stop, wanted, seconds)
        finally:
            await server.stop()
    return told(session.collector, session.data, stopped=stopped)


def _open(address: str) -> None:
    """Open a browser only where there is one with a screen."""
    try:
        found = webbrowser.get()
    except webbrowser.Error:
        return
    if not isinstance(found, webbrowser.GenericBrowser) or isinstance(found, webbrowser.BackgroundBrowser):
        found.open(address)
