"""The venues, one line each."""

from tapeline.errors import UsageError
from tapeline.venues.base import Venue
from tapeline.venues.binance import Binance
from tapeline.venues.binance_usdm import BinanceUsdm

VENUES: dict[str, type[Venue]] = {
    "binance": Binance,
    "binance-usdm": BinanceUsdm,
}


def venue_class(name: str) -> type[Venue]:
    """Raises UsageError with the names there are."""
    try:
        return VENUES[name]
    except KeyError:
        raise UsageError(f"there is no venue {name!r}; there are {', '.join(VENUES)}") from None
