"""`tapeline record`: stream onto the tape and into the sinks, without a page."""

from typing import Annotated

from cyclopts import Parameter

from tapeline.cli.chosen import choose
from tapeline.cli.live import LiveSession, interruptible, say, summary
from tapeline.cli.options import (
    INTERRUPTED,
    Channels,
    Data,
    For,
    Live,
    Rate,
    Redundant,
    Seed,
    Simulate,
    Strict,
    duration,
    market,
)


async def record(
    *instruments: Annotated[
        str,
        Parameter(
            help="What to record, as in binance-usdm:BTC-USDT-PERP. By default what the last session left, or the settings name."
        ),
    ],
    live: Live = False,
    simulate: Simulate = False,
    channels: Channels = None,
    data: Data = None,
    strict: Strict = False,
    redundant: Redundant = False,
    seed: Seed = 1,
    rate: Rate = 1.0,
    for_: For = None,
) -> int:
    """Stream live markets onto the tape and into the sinks, without a page. Ends with --for, Ctrl-C or SIGTERM."""
    flags = {"data": data, "tape.mode": "strict" if strict else None, "redundant": redundant or None}
    chosen, seconds, wanted = choose(instruments, channels, flags), duration(for_), market(live=live, simulate=simulate)
    async with interruptible() as stop, LiveSession(chosen.settings, chosen, seed=seed, rate=rate) as session:
        if chosen.kept:
            say(f"recording {chosen.why}")
        stopped = await session.stream(stop, wanted, seconds)
    say(summary(session.collector, session.data))
    return INTERRUPTED if stopped else 0
