"""Tapeline: live market data you can trust.

    import tapeline as tl

    async for event in tl.stream("binance:BTC-USDT", channels=["trades", "book"]):
        ...
    for event in tl.replay("data", instruments=["binance:BTC-USDT"]):
        ...
    tl.open("data").sql("select venue, count(*) from trades group by 1")
    async for window in tl.windows(tl.stream("yahoo:AMZN"), tl.tumbling("1m"), "volume", last="last(price)"):
        ...

Names are imported when first used, so that `import tapeline` stays quick.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tapeline.api import open, replay, stream  # noqa: A004  `tl.open`
    from tapeline.errors import TapelineError
    from tapeline.events import Alert, Bar, BookUpdate, Event, Flag, Liquidation, Metrics, Quote, Status, Ticker, Trade
    from tapeline.market.metrics.base import History, Metric, Parameter, Sample
    from tapeline.market.windows.kinds import session, sliding, tumbling
    from tapeline.market.windows.results import Late, Limits, Window
    from tapeline.market.windows.tables import table
    from tapeline.windowing import windows

__version__ = "0.1.0"

_HOMES = {
    **dict.fromkeys(
        ("Alert", "Bar", "BookUpdate", "Event", "Flag", "Liquidation", "Metrics", "Quote", "Status", "Ticker", "Trade"),
        "tapeline.events",
    ),
    **dict.fromkeys(("History", "Metric", "Parameter", "Sample"), "tapeline.market.metrics.base"),
    **dict.fromkeys(("session", "sliding", "tumbling"), "tapeline.market.windows.kinds"),
    **dict.fromkeys(("Late", "Limits", "Window"), "tapeline.market.windows.results"),
    "table": "tapeline.market.windows.tables",
    "windows": "tapeline.windowing",
    "TapelineError": "tapeline.errors",
    "open": "tapeline.api",
    "replay": "tapeline.api",
    "stream": "tapeline.api",
}
__all__ = [
    "Alert",
    "Bar",
    "BookUpdate",
    "Event",
    "Flag",
    "History",
    "Late",
    "Limits",
    "Liquidation",
    "Metric",
    "Metrics",
    "Parameter",
    "Quote",
    "Sample",
    "Status",
    "TapelineError",
    "Ticker",
    "Trade",
    "Window",
    "__version__",
    "open",
    "replay",
    "session",
    "sliding",
    "stream",
    "table",
    "tumbling",
    "windows",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'tapeline' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)
