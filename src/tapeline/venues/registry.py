"""The venues, one line each: name → module of this package and class. A venue's module is read when it is first asked for."""

from functools import cache
from importlib import import_module

from tapeline.errors import UsageError
from tapeline.venues.base import Venue

VENUES: dict[str, str] = {
    "binance": "binance:Binance",
    "binance-usdm": "binance_usdm:BinanceUsdm",
    "binance-coinm": "binance_coinm:BinanceCoinm",
    "coinbase": "coinbase:Coinbase",
    "coinbase-advanced": "coinbase_advanced:CoinbaseAdvanced",
    "kraken": "kraken:Kraken",
    "bybit": "bybit:Bybit",
    "okx": "okx:Okx",
    "finnhub": "finnhub:Finnhub",
    "yahoo": "yahoo:Yahoo",
}
INTERNAL = {"imported": "imported:Imported"}
"""Protocols of sessions on the tape that nobody can stream: no venues."""


@cache
def venue_class(name: str) -> type[Venue]:
    """Raises UsageError with the names there are."""
    try:
        module, _, attribute = (VENUES.get(name) or INTERNAL[name]).partition(":")
    except KeyError:
        raise UsageError(f"there is no venue {name!r}; there are {', '.join(VENUES)}") from None
    found: type[Venue] = getattr(import_module(f"tapeline.venues.{module}"), attribute)
    return found
