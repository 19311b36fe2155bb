"""`tapeline record`: stream onto the tape and into the sinks, without a page."""

from typing import Annotated

from cyclopts import Parameter

from tapeline.cli.live import LiveSession, interruptible, say, summary
from tapeline.cli.run import INTERRUPTED, duration, market, settings_of


async def record(
    *instruments: Annotated[str, Parameter(help="What to record, as in binance-usdm:BTC-USDT-PERP.")],
    live: Annotated[bool, Parameter(help="Only real venues: exit 4 where none answers.")] = False,
    simulate: Annotated[bool, Parameter(help="Use the simulated market.")] = False,
    channels: Annotated[
        str | None, Parameter(help="Comma-separated: trades, book, quotes, bars, ticker, liquidations.", show_default=False)
    ] = None,
    data: Annotated[str | None, Parameter(help="Directory of tape, lake and SQLite file.", show_default=False)] = None,
    strict: Annotated[bool, Parameter(help="Write each frame to the tape before it is handled.")] = False,
    seed: Annotated[int, Parameter(help="Seed of the simulated market.")] = 1,
    rate: Annotated[float, Parameter(help="How busy the simulated market is; 1 is normal.")] = 1.0,
    for_: Annotated[
        str | None, Parameter(name="--for", help="Stop after this time, as in 15s or 5m.", show_default=False)
    ] = None,
) -> int:
    """Stream live markets onto the tape and into the sinks, without a page. Ends with --for, Ctrl-C or SIGTERM."""
    flags = {"channels": channels, "data": data, "tape.mode": "strict" if strict else None}
    settings, seconds, wanted = settings_of(instruments, flags), duration(for_), market(live=live, simulate=simulate)
    async with interruptible() as stop, LiveSession(settings, seed=seed, rate=rate) as session:
        stopped = await session.stream(stop, wanted, seconds)
    say(summary(session.collector, session.data))
    return INTERRUPTED if stopped else 0
