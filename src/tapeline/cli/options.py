"""Options that several commands share, each with its one text, and what their values mean."""

from typing import Annotated

from cyclopts import Parameter

from tapeline.cli.live import Market
from tapeline.errors import UsageError

INTERRUPTED = 130

Live = Annotated[bool, Parameter(help="Only real venues: exit 4 where none answers.")]
Simulate = Annotated[bool, Parameter(help="Use the simulated market.")]
Channels = Annotated[
    str | None, Parameter(help="Comma-separated: trades, book, quotes, bars, ticker, liquidations.", show_default=False)
]
Data = Annotated[str | None, Parameter(help="Directory of tape, lake and SQLite file.", show_default=False)]
Port = Annotated[int | None, Parameter(help="Port of the page; 0 takes a free one.", show_default=False)]
Host = Annotated[str | None, Parameter(help="Address of the page.", show_default=False)]
Redundant = Annotated[bool, Parameter(help="Two sets of connections to each venue: losing one loses nothing.")]
Strict = Annotated[bool, Parameter(help="Write each frame to the tape before it is handled.")]
Seed = Annotated[int, Parameter(help="Seed of the simulated market.")]
Rate = Annotated[float, Parameter(help="How busy the simulated market is; 1 is normal.")]
For = Annotated[str | None, Parameter(name="--for", help="Stop after this time, as in 15s or 5m.", show_default=False)]


def market(*, live: bool, simulate: bool) -> Market:
    if live and simulate:
        raise UsageError("--live and --simulate exclude each other")
    return "live" if live else "simulated" if simulate else "auto"


def duration(text: str | None, option: str = "--for") -> float | None:
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
        raise UsageError(f"{option} {text}: write seconds, or a number with s, m or h, as in 15s")
    return seconds
