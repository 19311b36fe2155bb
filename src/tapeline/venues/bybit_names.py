"""Bybit's names. One symbol means different things by category, and only a connection's address says which.

`BTCUSDT` is spot on `/v5/public/spot` and a perpetual on `/v5/public/linear`; so a native name here is `category/symbol`:

    spot/BTCUSDT             BTC-USDT              linear/BTCUSDT           BTC-USDT-PERP
    linear/BTCPERP           BTC-USDC-PERP         linear/BTCUSDT-26DEC25   BTC-USDT-251226
    linear/BTC-26DEC25       BTC-USDC-251226       inverse/BTCUSD           BTC-USD-PERP
    inverse/BTCUSDZ25        BTC-USD-251226

Inverse futures are named by the month's letter; they are delivered on its last Friday, 08:00 UTC. Sizes of linear contracts are in
the base asset already; an inverse contract is worth 1 USD.

In a recording without addresses the category must be told from the message. Certain is: `L` stands in the trades of contracts
only, marks and open interest in their tickers only, liquidations are theirs; inverse symbols end in USD, dated ones and USDC
contracts have a dash or end in PERP. For books and candles there remains that spot's messages put `ts` right behind the topic and
those of contracts `type`, which no document promises; what even that does not tell is taken for what the symbol was last, or linear.
"""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal, get_args

from tapeline.clock import MILLI, SECOND
from tapeline.instruments import Instrument, Kind, split_pair
from tapeline.venues.listing import MONTHS

Category = Literal["spot", "linear", "inverse"]
CATEGORIES: Final[tuple[Category, ...]] = get_args(Category)

_LETTERS = "FGHJKMNQUVXZ"  # of the months, as all futures exchanges have them
_ADDRESS = re.compile(r"/v5/public/(spot|linear|inverse)\b")
_PATH = re.compile(r"(?<![a-z])(spot|linear|inverse)(?![a-z])", re.IGNORECASE)
_DASHED = re.compile(r"([A-Z0-9]+)-(\d{1,2})([A-Z]{3})(\d\d)")
_LETTERED = re.compile(rf"([A-Z0-9]+)(USD)([{_LETTERS}])(\d\d)")
_INVERSE = re.compile(rf"USD([{_LETTERS}]\d\d)?$")
_LINEAR = re.compile(r"-|PERP$")
_CONTRACT_TRADE = re.compile(rb'"L"\s*:')
_CONTRACT_TICKER = re.compile(rb'"(openInterest|markPrice|bid1Price|ask1Price)"\s*:|"type"\s*:\s*"delta"')
_SPOT_ORDER = re.compile(rb'^\s*\{\s*"topic"\s*:\s*"[^"]*"\s*,\s*"ts"')
_CONTRACT_ORDER = re.compile(rb'^\s*\{\s*"topic"\s*:\s*"[^"]*"\s*,\s*"type"')


def category_of(address: str) -> Category | None:
    """By the path of a connection's address, or by the last such word in a file's path; None where neither tells."""
    found = _ADDRESS.findall(address) or _PATH.findall(address)
    return _category(found[-1].lower()) if found else None


def _category(name: str) -> Category:
    return next(c for c in CATEGORIES if c == name)


def category_of_message(kind: str, symbol: str, raw: bytes) -> Category | None:
    """Told from the message alone, whose topic is `kind…symbol`; None where it does not tell."""
    if (of_symbol := category_of_symbol(symbol)) is not None:
        return of_symbol
    if kind in {"allLiquidation", "liquidation"}:
        return "linear"
    if kind == "publicTrade":
        return "linear" if _CONTRACT_TRADE.search(raw) else "spot"
    if kind == "tickers":
        return "linear" if _CONTRACT_TICKER.search(raw) else "spot"
    if _SPOT_ORDER.match(raw) is not None:
        return "spot"
    return "linear" if _CONTRACT_ORDER.match(raw) is not None else None


def category_of_symbol(symbol: str) -> Category | None:
    if _INVERSE.search(symbol) is not None:
        return "inverse"
    return "linear" if _LINEAR.search(symbol) is not None else None


def split_native(native: str) -> tuple[Category, str]:
    """A native name without its category is taken for the category that its shape tells, or linear."""
    category, slash, symbol = native.partition("/")
    if slash and category in CATEGORIES:
        return _category(category), symbol
    return category_of_symbol(native) or "linear", native


def delivery_of(ms: int) -> str:
    """`YYMMDD`, UTC."""
    return f"{datetime.fromtimestamp(ms * MILLI // SECOND, UTC):%y%m%d}"


def derive(native: str, label: str) -> Instrument:
    """An instrument from its native name alone."""
    category, symbol = split_native(native)
    base, quote, end = _parts(category, symbol)
    kind: Kind = "spot" if category == "spot" else "perpetual" if end == "PERP" else "future"
    name = "-".join(part for part in (base, quote, end) if part)
    return Instrument(
        id=f"{label}:{name}", venue=label, native=f"{category}/{symbol}", kind=kind, base=base, quote=quote,
        inverse=category == "inverse",
    )  # fmt: skip


def _parts(category: Category, symbol: str) -> tuple[str, str, str]:
    """(base, quote, PERP or date of delivery or nothing)."""
    if category == "spot":
        return *(split_pair(symbol) or (symbol, "")), ""
    if (dashed := _DASHED.fullmatch(symbol)) is not None and dashed[3] in MONTHS:
        base, quote = split_pair(dashed[1]) or (dashed[1], "USDC")
        return base, quote, f"{dashed[4]}{MONTHS.index(dashed[3]) + 1:02}{int(dashed[2]):02}"
    if category == "inverse" and (lettered := _LETTERED.fullmatch(symbol)) is not None:
        day = _last_friday(2000 + int(lettered[4]), _LETTERS.index(lettered[3]) + 1)
        return lettered[1], lettered[2], f"{day:%y%m%d}"
    if symbol.endswith("PERP") and len(symbol) > len("PERP"):
        return symbol.removesuffix("PERP"), "USDC", "PERP"
    return *(split_pair(symbol) or (symbol, "")), "PERP"


def native_of(symbol: str) -> str:
    """`BTC-USDT-PERP` → `linear/BTCUSDT`: for an instrument that is not listed."""
    parts = symbol.upper().split("-")
    if len(parts) != 3:
        return f"spot/{''.join(parts)}"
    base, quote, end = parts
    category: Category = "inverse" if quote == "USD" else "linear"
    if end == "PERP":
        return f"{category}/{base}PERP" if quote == "USDC" else f"{category}/{base}{quote}"
    if not re.fullmatch(r"\d\d(0[1-9]|1[0-2])\d\d", end):
        return f"{category}/{symbol.upper()}"
    year, month, day = end[:2], int(end[2:4]), int(end[4:])
    if category == "inverse":
        return f"{category}/{base}{quote}{_LETTERS[month - 1]}{year}"
    return f"{category}/{base}{'' if quote == 'USDC' else quote}-{day}{MONTHS[month - 1]}{year}"


def _last_friday(year: int, month: int) -> date:
    first_of_next = date(year + month // 12, month % 12 + 1, 1)
    last = first_of_next - timedelta(days=1)
    return last - timedelta(days=(last.weekday() - 4) % 7)
