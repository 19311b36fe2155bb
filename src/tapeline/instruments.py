"""Instruments: their ids, what is known of them, and the registry that turns a venue's names into ours.

An id is `venue:symbol`; a symbol is `BASE-QUOTE` for spot, `BASE-QUOTE-PERP` for a perpetual, `BASE-QUOTE-YYMMDD` for a dated
future, or a plain ticker for a stock. Venue-native names (`BTCUSDT`) stay inside `venues/` and this registry.
"""

import difflib
from typing import Literal

import msgspec

from tapeline.errors import UsageError

Kind = Literal["spot", "perpetual", "future", "stock", "fx"]

# Longest first, so that BTCFDUSD splits before USD. Only used where a venue's instrument list is not at hand.
QUOTE_ASSETS = (
    "FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USDP", "USD1", "DAI", "USDS", "BIDR", "IDRT", "BVND", "BKRW", "VAI", "UST",
    "BTC", "ETH", "BNB", "XRP", "TRX", "DOGE", "DOT", "SOL", "PAX", "EURI", "AEUR",
    "EUR", "GBP", "TRY", "BRL", "AUD", "RUB", "UAH", "NGN", "ZAR", "PLN", "RON", "ARS", "JPY", "MXN", "CZK", "COP", "IDR", "USD",
)  # fmt: skip
_BY_LENGTH = tuple(sorted(QUOTE_ASSETS, key=len, reverse=True))


class Instrument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`tick` and `lot` are the smallest steps of price and size, None where not known. `native` is the venue's name.

    `contract_size`: units of the base asset in one contract (1.0 where sizes are in the base asset already).
    """

    id: str
    venue: str
    native: str
    kind: Kind
    base: str
    quote: str
    tick: float | None = None
    lot: float | None = None
    contract_size: float = 1.0
    status: str = ""

    @property
    def symbol(self) -> str:
        return self.id.partition(":")[2]


def split_id(instrument: str) -> tuple[str, str]:
    """`binance:BTC-USDT` → (`binance`, `BTC-USDT`). Raises UsageError on anything else."""
    venue, colon, symbol = instrument.partition(":")
    if not colon or not venue or not symbol:
        raise UsageError(f"{instrument!r} is no instrument: write venue:symbol, as in binance:BTC-USDT")
    return venue, symbol


def split_pair(native: str) -> tuple[str, str] | None:
    """`BTCUSDT` → (`BTC`, `USDT`) by the known quote assets; None where none fits."""
    for quote in _BY_LENGTH:
        if native.endswith(quote) and len(native) > len(quote):
            return native[: -len(quote)], quote
    return None


class Registry:
    """The instruments of one venue under one label, by native name and by id.

    `known` is filled from the venue's own list; a name that is not in it is derived by the venue's `derive`, so that frames of
    an unlisted instrument still decode. Re-labelling (a simulated market instead of the venue) changes every id.
    """

    def __init__(self, label: str) -> None:
        self.label = label
        self.by_native: dict[str, Instrument] = {}
        self.by_id: dict[str, Instrument] = {}

    def add(self, instrument: Instrument) -> Instrument:
        self.by_native[instrument.native] = instrument
        self.by_id[instrument.id] = instrument
        return instrument

    def nearest(self, symbol: str, n: int = 3) -> list[str]:
        """The n listed ids whose symbols are most like `symbol`, for "did you mean"."""
        symbols = {i.symbol: i.id for i in self.by_id.values()}
        return [symbols[s] for s in difflib.get_close_matches(symbol.upper(), symbols, n=n, cutoff=0.4)]
