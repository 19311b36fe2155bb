"""`tapeline record`: stream onto the tape and into the sinks, without a page; or into a clean CSV and nothing else."""

from typing import Annotated

from cyclopts import Parameter

from tapeline.cli import context
from tapeline.cli.chosen import choose
from tapeline.cli.ending import told
from tapeline.cli.jobs import Jobs, Wanted
from tapeline.cli.live import LiveSession, interruptible, say
from tapeline.cli.options import (
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
    csv: Annotated[
        str | None,
        Parameter(
            allow_leading_hyphen=True,
            help="Write the trades to one clean file, and report what was left out and why. .gz and .zst are packed; - is stdout.",
        ),
    ] = None,
    report: Annotated[str | None, Parameter(help="With --csv: write the report to this file, as JSON.")] = None,
    summary_: Annotated[
        str | None, Parameter(name="--summary", help="Print the new trades of each instrument in a line this often, as in 5s.")
    ] = None,
    ticker_csv: Annotated[str | None, Parameter(help="Add each ticker to its instrument's own CSV in this folder.")] = None,
    keep: Annotated[
        bool | None,
        Parameter(
            negative="--no-keep",
            help="Keep tape, lake and SQLite file. The default, but with --csv or --ticker-csv and no data directory named.",
        ),
    ] = None,
) -> int:
    """Stream live markets onto the tape and into the sinks, without a page. Ends with --for, Ctrl-C or SIGTERM."""
    asked = Wanted(csv=csv, report=report, summary=summary_, ticker_csv=ticker_csv)
    flags = {"data": data, "tape.mode": "strict" if strict else None, "redundant": redundant or None}
    keeps = keep if keep is not None else not asked.files or context.load(flags).origin("data") != "default"
    chosen = choose(instruments, channels or (None if keeps else asked.channels), flags)
    seconds, wanted, jobs = duration(for_), market(live=live, simulate=simulate), Jobs(asked)
    session = LiveSession(chosen.settings, chosen, seed=seed, rate=rate, keep=keeps)
    async with interruptible() as stop, jobs.around(session):
        if chosen.kept:
            say(f"recording {chosen.why}")
        stopped = await session.stream(stop, wanted, seconds)
    return told(session.collector, session.data, stopped=stopped)
