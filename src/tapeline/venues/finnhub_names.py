"""Finnhub's symbols and ours.

    AAPL                AAPL                  a stock of the US, as BRK.B
    SAP.DE              SAP.DE                a stock elsewhere
    BINANCE:BTCUSDT     BINANCE:BTC-USDT      crypto: exchange, colon, what the exchange calls it
    COINBASE:BTC-USD    COINBASE:BTC-USD
    OANDA:EUR_USD       OANDA:EUR-USD         currencies: broker, colon, what the broker calls it
    IC MARKETS:1        IC_MARKETS:EUR-USD    where it is listed: the pair is what the list calls it; else IC_MARKETS:1

So a name is Finnhub's own with the pair written our way and no blanks, because names become folders; whoever types Finnhub's own
means the same. One dot does not tell a stock elsewhere (`7203.T`, Tokyo) from a class of shares (`BRK.B`), so the classes A to C are
taken for shares of the US, and the list knows better.
"""

import re

from tapeline.instruments import Instrument, Kind, split_pair

BROKERS = frozenset(
    {"FHFX", "FOREX.COM", "FXCM", "FXPIG", "FXPRO", "IC MARKETS", "ICMTRADER", "OANDA", "PEPPERSTONE", "PEPPERSTONEUK"}
)
"""What stands before the colon where currencies and metals are traded; anything else is an exchange of crypto assets."""
US_SESSION, FX_SESSION = "XNYS", "FX"
_OURS = {"XBT": "BTC", "XXBT": "BTC", "XDG": "DOGE", "XXDG": "DOGE", "XETH": "ETH", "ZUSD": "USD", "ZEUR": "EUR"}
_US_STOCK = re.compile(r"[A-Z0-9]+(\.[ABC])?")
_JOINTS = {"COINBASE": "-", "OANDA": "_"}  # between the two assets, where an exchange writes anything there


def kind_of(native: str) -> Kind:
    exchange, colon, _ = native.partition(":")
    if not colon:
        return "stock"
    return "fx" if exchange in BROKERS else "spot"


def derive(native: str, label: str, display: str = "", currency: str = "") -> Instrument:
    """`display`: what the list calls a pair, `EUR/USD`; `currency` of a stock, both empty where no list is at hand."""
    exchange, colon, name = native.partition(":")
    if not colon:
        us = bool(currency) or _US_STOCK.fullmatch(native) is not None
        session, quoted = (US_SESSION if us else ""), currency or ("USD" if us else "")
        return _instrument(label, native, native, native, quoted, session)
    base, quoted = _pair(display or name)
    symbol = f"{exchange.replace(' ', '_')}:{f'{base}-{quoted}' if quoted else name}"
    return _instrument(label, symbol, native, base, quoted, FX_SESSION if exchange in BROKERS else "")


def _instrument(label: str, symbol: str, native: str, base: str, quoted: str, session: str) -> Instrument:
    return Instrument(
        id=f"{label}:{symbol}", venue=label, native=native, kind=kind_of(native), base=base, quote=quoted, session=session
    )


def _pair(name: str) -> tuple[str, str]:
    """(base, quote) in our names; (name, "") where it cannot be told."""
    parts = re.split(r"[-_/]", name.upper())
    pair = (parts[0], parts[1]) if len(parts) == 2 and all(parts) else split_pair(name.upper())
    return (_OURS.get(pair[0], pair[0]), _OURS.get(pair[1], pair[1])) if pair else (name, "")


def spaced(symbol: str) -> str:
    """Finnhub's own name as it may be typed, where there is no room for blanks: `ic_markets:1` is `IC MARKETS:1`."""
    exchange, colon, name = symbol.upper().partition(":")
    return f"{exchange.replace('_', ' ')}:{name}" if colon else exchange


def native_of(symbol: str) -> str:
    """`BINANCE:BTC-USDT` → `BINANCE:BTCUSDT`, by how the exchange writes pairs; what is no pair of ours is taken as it is."""
    exchange, colon, name = spaced(symbol).partition(":")
    if not colon:
        return exchange
    return f"{exchange}:{name.replace('-', _JOINTS.get(exchange, ''))}"
