"""Instruments: their ids, what is known of them, and the registry that turns a venue's names into ours.

An id is `venue:symbol`; a symbol is `BASE-QUOTE` for spot, `BASE-QUOTE-PERP` for a perpetual, `BASE-QUOTE-YYMMDD` for a dated
future, or a plain ticker for a stock. Venue-native names (`BTCUSDT`) stay inside `venues/` and this registry.
"""

import difflib
from collections.abc import Iterable
from heapq import nlargest
from typing import Literal

import msgspec

from tapeline.errors import MalformedFrame, UsageError

Kind = Literal["spot", "perpetual", "future", "option", "stock", "index", "fx"]

# Longest first, so that BTCFDUSD splits before USD. Only used where a venue's instrument list is not at hand.
QUOTE_ASSETS = (
    "FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USDP", "USD1", "DAI", "USDS", "BIDR", "IDRT", "BVND", "BKRW", "VAI", "UST",
    "BTC", "ETH", "BNB", "XRP", "TRX", "DOGE", "DOT", "SOL", "PAX", "EURI", "AEUR",
    "EUR", "GBP", "TRY", "BRL", "AUD", "RUB", "UAH", "NGN", "ZAR", "PLN", "RON", "ARS", "JPY", "MXN", "CZK", "COP", "IDR", "USD",
)  # fmt: skip
MOST_LISTED, MOST_DERIVED = 200_000, 10_000
"""Instruments of one venue: on its list, and beside it. The largest venues list some 100,000."""
MOST_COMPARED = 200
"""Names that are compared letter by letter with one that is wrong: those that share most of its pairs of letters."""
LONGEST = 64
"""Bytes of a symbol. Percent-encoded it still is the name of a folder, which may have 255."""
_REFUSED = frozenset(" /\\<>\"'`")
_BY_LENGTH = tuple(sorted(QUOTE_ASSETS, key=len, reverse=True))


class Instrument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`tick` and `lot` are the smallest steps of price and size, None where not known. `native` is the venue's name.

    Sizes are in units of the base asset. `contract_size`: how many of those one contract is (1.0 where the venue counts in the
    base asset already). `inverse`: sizes are numbers of contracts instead, each worth `contract_size` of the quote asset, because
    what that is in the base asset depends on the price. `lot` is in the unit of sizes.
    `session`: when it is traded, a calendar's name (`XNYS`; see market/sessions.py); empty: always.
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
    inverse: bool = False
    session: str = ""
    status: str = ""

    @property
    def symbol(self) -> str:
        return self.id.partition(":")[2]


def plausible(symbol: str) -> bool:
    """Whether a venue can mean this as a name. Names become folders, labels, SQL values and text on pages, and a broken or
    hostile venue makes them up: what cannot be printed, blanks, slashes and quotes are no part of one.
    """
    return symbol.isprintable() and 0 < len(symbol.encode()) <= LONGEST and _REFUSED.isdisjoint(symbol)


def split_id(instrument: str) -> tuple[str, str]:
    """`binance:BTC-USDT` → (`binance`, `BTC-USDT`). Raises UsageError on anything else."""
    venue, _, symbol = instrument.partition(":")
    if not venue or not plausible(symbol):
        raise UsageError(f"{instrument[:80]!r} is no instrument: write venue:symbol, as in binance:BTC-USDT")
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
        self.listed = False  # whether the venue gave a list: then what is not on it does not exist
        self._derived = 0

    def add(self, instrument: Instrument) -> Instrument:
        """One that is not on the list. Raises MalformedFrame where its name cannot be one, or there are too many."""
        if not plausible(instrument.symbol):
            raise MalformedFrame(f"{instrument.native[:80]!r} cannot be the name of an instrument")
        if self._derived >= MOST_DERIVED:
            raise MalformedFrame(f"{instrument.native!r}: {MOST_DERIVED} instruments that are on no list are known already")
        self._derived += 1
        return self._put(instrument)

    def fill(self, listed: Iterable[Instrument]) -> int:
        """Take over the venue's list; the number of those that cannot be used, for their name or because there are too many."""
        refused = 0
        for instrument in listed:
            if plausible(instrument.symbol) and (len(self.by_id) < MOST_LISTED or instrument.id in self.by_id):
                self._put(instrument)
                self.listed = True
            else:
                refused += 1
        return refused

    def learn(self, instrument: Instrument) -> None:
        """Take over what the venue's messages tell of an instrument that is known by its name alone."""
        if instrument.id in self.by_id:
            self._put(instrument)

    def _put(self, instrument: Instrument) -> Instrument:
        self.by_native[instrument.native] = instrument
        self.by_id[instrument.id] = instrument
        return instrument

    def nearest(self, symbol: str, n: int = 3) -> list[str]:
        """The n listed ids whose symbols are most like `symbol`, for "did you mean"."""
        wanted = symbol.upper()
        symbols = {i.symbol.upper(): i.id for i in self.by_id.values()}
        pairs = _pairs(wanted)
        likely = nlargest(MOST_COMPARED, sorted(symbols), key=lambda s: len(pairs & _pairs(s)))  # comparing takes 20 µs each
        return [symbols[s] for s in difflib.get_close_matches(wanted, likely, n=n, cutoff=0.4)]


def _pairs(text: str) -> set[str]:
    """Its neighbouring letters, two by two."""
    return {text[i : i + 2] for i in range(len(text) - 1)}
