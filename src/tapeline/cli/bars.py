"""`tapeline bars`: bars of any interval, out of the lake."""

from typing import Annotated

from cyclopts import Parameter

from tapeline.cli import context
from tapeline.cli.options import Data
from tapeline.cli.tables import FormatOption, OutputOption, give
from tapeline.lake.bars import Source
from tapeline.lake.lake import Lake

SEEN = ("ts_open", "open", "high", "low", "close", "volume", "buy_volume", "vwap", "trades", "complete")


def bars(
    instrument: Annotated[str, Parameter(help="As in binance:BTC-USDT.")],
    interval: Annotated[str, Parameter(help="A number with s, m, h, d or w: 1m, 90s, 2h, 1w. Weeks begin on Monday.")] = "1m",
    *,
    from_: Annotated[
        str | None, Parameter(name="--from", help="The first bar begins here or later; ISO time, UTC.", show_default=False)
    ] = None,
    to: Annotated[str | None, Parameter(help="Bars that begin before this time.", show_default=False)] = None,
    source: Annotated[
        Source,
        Parameter(help="trades: from the trades even where bars are stored; stored: what is stored and nothing else."),
    ] = "auto",
    format_: FormatOption = None,
    output: OutputOption = None,
    data: Data = None,
) -> None:
    """Bars of any interval from what was recorded, to the last digit those that were live."""
    settings = context.load({"data": data}).settings
    table = Lake(settings.data).bars(instrument, interval, start=from_, end=to, source=source)
    give(table, format_, output, SEEN)
