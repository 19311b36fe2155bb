"""The words of TradingView's Universal Data Feed: how an instrument, a bar's length and a price step are said there. Pure.

Source: "UDF" and "Symbology" of the charting library's public documentation. What matters of it:

    resolution    seconds "5S", minutes "15", days "1D" (or "D"); never hours: 1h is "60"
    price step    minmov / pricescale: 0.01 is 1/100, 0.25 is 25/100, 5 is 5/1
    session       "24x7", or hours in the instrument's time zone: "0930-1600", "0900-1130,1230-1530", "1700-1700:23456" (its days)
    ticker        what data is asked by; `name` is only shown. Ours is the instrument's id, `venue:symbol`

The front end makes the lengths that are not served (30 minutes, weeks) from those that are.
"""

from decimal import Decimal
from typing import Any

from tapeline.clock import SECOND
from tapeline.config import INTERVALS
from tapeline.instruments import Instrument, Kind

Row = dict[str, Any]
TYPES: dict[Kind, str] = {
    "spot": "crypto",
    "perpetual": "futures",
    "future": "futures",
    "option": "option",
    "stock": "stock",
    "index": "index",
    "fx": "forex",
}
"""`symbols_types` by our kinds."""
COLOURS = {"info": "blue", "warning": "yellow", "critical": "red"}
"""Of marks, by severity: the protocol knows these by name."""


def resolution_of(interval: str) -> str:
    """`15s` → `15S`, `1h` → `60`, `1d` → `1D`."""
    seconds = INTERVALS[interval] // SECOND
    if seconds % 86400 == 0:
        return f"{seconds // 86400}D"
    return f"{seconds // 60}" if seconds % 60 == 0 else f"{seconds}S"


RESOLUTIONS = {resolution_of(interval): interval for interval in INTERVALS}
"""Resolution → interval, from the shortest up."""


def interval_of(resolution: str) -> str | None:
    """None where it is not served. `D` is `1D`."""
    return RESOLUTIONS.get(f"1{resolution}" if resolution in ("S", "D") else resolution)


def price_step(tick: float | None, decimals: int) -> tuple[int, int]:
    """(`minmov`, `pricescale`) of a tick; of a price with so many decimals where the tick is not known."""
    if not tick or tick <= 0:
        return 1, 10**decimals
    exact = Decimal(repr(tick)).normalize()
    scale = 10 ** max(0, -int(exact.as_tuple().exponent))
    return int(exact * scale), scale


def places(step: float | None, default: int) -> int:
    """The decimals that a step of sizes needs."""
    return max(0, -int(Decimal(repr(step)).normalize().as_tuple().exponent)) if step else default


def found(instrument: Instrument) -> Row:
    """A line of `/search`."""
    return {
        "symbol": instrument.symbol,
        "full_name": instrument.id,
        "ticker": instrument.id,
        "description": described(instrument),
        "exchange": instrument.venue,
        "type": TYPES[instrument.kind],
    }


def described(instrument: Instrument) -> str:
    pair = f"{instrument.base} / {instrument.quote}" if instrument.quote and instrument.kind != "stock" else instrument.base
    made_up = " (simulated market)" if instrument.venue.partition("-")[0] == "sim" else ""
    return f"{pair} {instrument.kind} at {instrument.venue}{made_up}"


def symbol(instrument: Instrument, decimals: int, zone: str, session: str) -> Row:
    """The answer of `/symbols`."""
    minmov, scale = price_step(instrument.tick, decimals)
    return {
        "name": instrument.symbol,
        "ticker": instrument.id,
        "full_name": instrument.id,
        "description": described(instrument),
        "type": TYPES[instrument.kind],
        "exchange": instrument.venue,
        "listed_exchange": instrument.venue,
        "session": session,
        "timezone": zone,
        "minmov": minmov,
        "minmov2": 0,
        "pricescale": scale,
        "pointvalue": 1,
        "format": "price",
        "currency_code": instrument.quote,
        "volume_precision": places(instrument.lot, 8),
        "visible_plots_set": "ohlcv",
        "data_status": "streaming",
        "has_seconds": True,
        "seconds_multipliers": [r[:-1] for r in RESOLUTIONS if r.endswith("S")],
        "has_intraday": True,
        "intraday_multipliers": [r for r in RESOLUTIONS if r.isdigit()],
        "has_daily": True,
        "daily_multipliers": ["1"],
        "has_weekly_and_monthly": False,
        "supported_resolutions": list(RESOLUTIONS),
    }


def config(venues: list[str]) -> Row:
    return {
        "supported_resolutions": list(RESOLUTIONS),
        "supports_search": True,
        "supports_group_request": False,
        "supports_marks": True,
        "supports_timescale_marks": True,
        "supports_time": True,
        "exchanges": [{"value": "", "name": "All venues", "desc": ""}, *({"value": v, "name": v, "desc": v} for v in venues)],
        "symbols_types": [
            {"name": "All types", "value": ""},
            *({"name": t, "value": t} for t in dict.fromkeys(TYPES.values())),
        ],
    }
