"""`tapeline bars`: bars of any kind, out of the lake."""

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
    interval: Annotated[
        str,
        Parameter(
            help="A number with s, m, h, d or w (1m, 90s, 1w from Monday on), by a clock or an exchange 1d@America/New_York, "
            "1h@XNYS; or tick:500, volume:10, notional:1000000, tick_imbalance:100, volume_run:50, renko:10, heikin-ashi:1m."
        ),
    ] = "1m",
    *,
    from_: Annotated[
        str | None, Parameter(name="--from", help="The first bar begins here or later; ISO time, UTC.", show_default=False)
    ] = None,
    to: Annotated[str | None, Parameter(help="Bars that begin before this time.", show_default=False)] = None,
    source: Annotated[
        Source,
        Parameter(help="trades: from the trades even where bars are stored; stored: what is stored and nothing else."),
    ] = "auto",
    fill: Annotated[bool, Parameter(help="Also a bar where nothing was traded, flagged FILLED.", negative="")] = False,
    format_: FormatOption = None,
    output: OutputOption = None,
    data: Data = None,
) -> None:
    """Bars of any kind from what was recorded, to the last digit those that were live."""
    settings = context.load({"data": data}).settings
    table = Lake(settings.data).bars(instrument, interval, start=from_, end=to, source=source, fill=fill)
    give(table, format_, output, SEEN)
