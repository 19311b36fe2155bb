"""Tardis.dev's names of exchanges and symbols: for files in its formats. Pure.

Theirs are a venue's section (`binance-futures`, `okex-swap`) and the venue's own symbol in capitals; docs.tardis.dev lists them.
"""

from tapeline.errors import UsageError
from tapeline.venues.registry import VENUES, venue_class

_EXCHANGES = {"binance-usdm": "binance-futures", "binance-coinm": "binance-delivery"}
_SECTIONS = {
    **{exchange: (venue, "") for venue, exchange in _EXCHANGES.items()},
    "okex": ("okx", ""), "okex-swap": ("okx", ""), "okex-futures": ("okx", ""),
    "bybit-spot": ("bybit", "spot/"), "coinbase": ("coinbase", ""), "kraken": ("kraken", ""), "binance": ("binance", ""),
}  # fmt: skip


def exchange_and_symbol(venue: str, symbol: str) -> tuple[str, str]:
    """`binance-usdm`, `BTC-USDT-PERP` → `binance-futures`, `BTCUSDT`."""
    native = venue_class(venue)().native_of(symbol).rpartition("/")[2].upper()  # Bybit's name their category first
    derivative = symbol.count("-") > 1
    if venue == "okx":
        return ("okex" if not derivative else "okex-swap" if symbol.endswith("-PERP") else "okex-futures"), native
    if venue == "bybit":
        return ("bybit" if derivative else "bybit-spot"), native
    return _EXCHANGES.get(venue, venue), native


def instrument_of(exchange: str, symbol: str) -> str:
    """`binance-futures`, `BTCUSDT` → `binance-usdm:BTC-USDT-PERP`. UsageError where Tapeline does not know the exchange."""
    venue, category = _SECTIONS.get(exchange, (exchange, ""))
    if exchange == "bybit":
        category = "linear/" if symbol.endswith(("USDT", "PERP")) else "inverse/"
    if venue == "sim":
        return venue_class("binance")().derive(symbol, "sim").id
    if venue not in VENUES:
        raise UsageError(
            f"exchange {exchange!r} of the file is not known here: name the instrument, as in --instrument binance:BTC-USDT"
        )
    return venue_class(venue)().derive(category + symbol, venue).id
