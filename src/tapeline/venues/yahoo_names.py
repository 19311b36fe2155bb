"""Yahoo's symbols and exchange codes: what an instrument is, when it is traded, when its day changes.

Yahoo gives no list of instruments, so a symbol says what it can, and the first message of an instrument (its exchange, its quote
type, its currency) says the rest:

    AAPL, BRK-B            a stock; a suffix names the exchange outside America: VOD.L, SAP.DE, 7203.T
    BTC-USD                a crypto asset in a currency
    EURUSD=X, JPY=X        a currency pair; three letters alone are dollars in that currency
    ^GSPC                  an index
    ES=F                   a future

`Instrument.session` is a calendar's name of market/sessions.py. An exchange that is not in the table has none: an instrument of
it is taken to be traded always, and may be called stale at night; better than to be called closed while it is not.
"""

from typing import NamedTuple

from tapeline.clock import SECOND
from tapeline.instruments import Instrument, Kind

HOUR = 3600 * SECOND
DAY = 24 * HOUR
ALWAYS, FX = "", "FX"


class Exchange(NamedTuple):
    """`turn`: the hour (UTC) at which its day of volume begins anew, far from its trading in summer and winter."""

    session: str
    turn: int = 0


_AMERICA = Exchange("XNYS", 7)
_CHICAGO = Exchange("CMES", 22)
_EAST = 18

EXCHANGES: dict[str, Exchange] = {
    **dict.fromkeys(("NMS", "NGM", "NCM", "NAS", "NYQ", "NYS", "ASE", "PCX", "BTS", "NIM", "SNP", "DJI", "WCB", "CXI"), _AMERICA),
    **dict.fromkeys(("PNK", "OQB", "OQX", "OEM", "OPR"), _AMERICA),  # over the counter; options
    **dict.fromkeys(("CME", "CBT", "NYM", "CMX", "NYB"), _CHICAGO),
    "TOR": Exchange("XTSE", 7), "VAN": Exchange("XTSE", 7), "SAO": Exchange("BVMF", 7), "MEX": Exchange("XMEX", 7),
    "LSE": Exchange("XLON"), "IOB": Exchange("XLON"), "FGI": Exchange("XLON"), "GER": Exchange("XETR"), "FRA": Exchange("XFRA"),
    "PAR": Exchange("XPAR"), "AMS": Exchange("XAMS"), "BRU": Exchange("XBRU"), "LIS": Exchange("XLIS"), "MIL": Exchange("XMIL"),
    "MCE": Exchange("XMAD"), "EBS": Exchange("XSWX"), "VIE": Exchange("XWBO"), "STO": Exchange("XSTO"), "CPH": Exchange("XCSE"),
    "HEL": Exchange("XHEL"), "OSL": Exchange("XOSL"), "WSE": Exchange("XWAR"), "IST": Exchange("XIST"), "JNB": Exchange("XJSE"),
    "TLV": Exchange("XTAE"), "JPX": Exchange("XTKS", _EAST), "OSA": Exchange("XTKS", _EAST), "HKG": Exchange("XHKG", _EAST),
    "SHH": Exchange("XSHG", _EAST), "SHZ": Exchange("XSHG", _EAST), "TAI": Exchange("XTAI", _EAST), "KSC": Exchange("XKRX", _EAST),
    "KOE": Exchange("XKRX", _EAST), "ASX": Exchange("XASX", _EAST), "NZE": Exchange("XNZE", 12), "SES": Exchange("XSES", _EAST),
    "NSI": Exchange("XBOM", _EAST), "BSE": Exchange("XBOM", _EAST),
    "CCC": Exchange(ALWAYS), "CCY": Exchange(FX, 22),
}  # fmt: skip
SUFFIXES: dict[str, str] = {
    "L": "LSE", "IL": "IOB", "DE": "GER", "F": "FRA", "PA": "PAR", "AS": "AMS", "BR": "BRU", "LS": "LIS", "MI": "MIL", "MC": "MCE",
    "SW": "EBS", "VI": "VIE", "ST": "STO", "CO": "CPH", "HE": "HEL", "OL": "OSL", "WA": "WSE", "IS": "IST", "JO": "JNB",
    "TA": "TLV", "TO": "TOR", "V": "VAN", "SA": "SAO", "MX": "MEX", "T": "JPX", "HK": "HKG", "SS": "SHH", "SZ": "SHZ",
    "TW": "TAI", "KS": "KSC", "KQ": "KOE", "AX": "ASX", "NZ": "NZE", "SI": "SES", "NS": "NSI", "BO": "BSE",
}  # fmt: skip
_INDICES = {
    **dict.fromkeys(("^GSPC", "^DJI", "^IXIC", "^RUT", "^NDX", "^NYA", "^VIX"), "NYQ"),
    "^FTSE": "LSE", "^GDAXI": "GER", "^FCHI": "PAR", "^N225": "JPX", "^HSI": "HKG", "^GSPTSE": "TOR", "^AXJO": "ASX",
}  # fmt: skip
_CURRENCIES = frozenset({"USD", "EUR", "GBP", "JPY", "CAD", "AUD", "CHF", "CNY", "KRW", "INR", "BRL", "TRY", "USDT", "USDC"})
KINDS: dict[int, Kind] = {
    8: "stock", 9: "index", 11: "stock", 13: "option", 14: "fx", 15: "stock", 18: "future", 20: "stock", 41: "spot",
}  # fmt: skip
"""By `quote_type`: equity, index, mutual fund, option, currency, warrant, future, ETF, crypto asset."""
SEARCHED: dict[str, Kind] = {
    "EQUITY": "stock", "INDEX": "index", "MUTUALFUND": "stock", "OPTION": "option", "CURRENCY": "fx", "WARRANT": "stock",
    "FUTURE": "future", "ETF": "stock", "CRYPTOCURRENCY": "spot",
}  # fmt: skip
"""By `quoteType` of the search."""


def derive(native: str, label: str) -> Instrument:
    kind, base, quote, exchange = _read(native)
    session = EXCHANGES[exchange].session if exchange else ALWAYS
    return Instrument(id=f"{label}:{native}", venue=label, native=native, kind=kind, base=base, quote=quote, session=session)


def _read(native: str) -> tuple[Kind, str, str, str]:
    """Kind, base, quote and exchange code of a symbol; what it does not tell is empty."""
    if native.startswith("^"):
        return "index", native, "", _INDICES.get(native, "")
    if native.endswith("=X"):
        pair = native[:-2]
        return ("fx", pair[:3], pair[3:], "CCY") if len(pair) == 6 else ("fx", "USD", pair, "CCY")
    if native.endswith("=F"):
        return "future", native[:-2], "", "CME"
    base, _, quote = native.rpartition("-")
    if base and quote in _CURRENCIES:
        return "spot", base, quote, "CCC"
    stock, _, suffix = native.rpartition(".")
    if stock and suffix in SUFFIXES:
        return "stock", native, "", SUFFIXES[suffix]
    return ("stock", native, "USD", "NYQ") if not stock else ("stock", native, "", "")


def day_of(ns: int, exchange: str) -> int:
    """The number of the day of volume that a moment belongs to."""
    turn = EXCHANGES[exchange].turn if exchange in EXCHANGES else 0
    return (ns - turn * HOUR) // DAY
