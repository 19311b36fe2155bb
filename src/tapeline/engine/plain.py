"""Rows of other people's CSV files: what their columns mean, and the event that each row is.

Columns are known by their names, as people write them (`NAMES`; upper and lower case alike), or by `map` (`price=px`). A file
without header is known only where it is one of Binance's public dumps: `trades`, `aggTrades` and `klines`. What a row is:

    trades        time, price, size; side or is_buyer_maker, id, receive time where there are any
    bars          open time, open, high, low, close, volume; close time, trades, volume of buyers, notional where there are any
    quotes        bid_price, bid_amount, ask_price, ask_amount
    book          a level a row (Tardis' incremental_book_L2): rows of one time belong together; or the best levels in one row
                  (book_snapshot_N), which is a whole book each time
    liquidations  as trades; only where it is said, since their columns are the same

Times are ISO 8601 (in `tz` where they name no zone), or numbers: seconds, ms, µs or ns, judged by the size of the file's first one
(`foreign.integer_time`), and the same for all of its rows. Nothing is guessed beyond that: a row whose number is none, whose size
is zero or whose time is of another unit is rejected, with its reason.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from math import isfinite
from typing import Literal, get_args
from zoneinfo import ZoneInfo

import msgspec

from tapeline.clock import MICRO, MILLI, SECOND, parse_iso
from tapeline.errors import UsageError
from tapeline.events import Side

Kind = Literal["trades", "bars", "quotes", "book", "liquidations"]
KINDS: tuple[str, ...] = get_args(Kind)
Unit = Literal["iso", "s", "ms", "us", "ns"]
UNITS: dict[str, int] = {"s": SECOND, "ms": MILLI, "us": MICRO, "ns": 1}

NAMES: dict[str, tuple[str, ...]] = {
    "time": (
        "ts_event", "ts_open", "timestamp", "time", "ts", "datetime", "date", "trade_time", "transact_time", "open_time",
        "open time", "exchange_timestamp", "t",
    ),
    "recv": ("ts_recv", "local_timestamp", "recv_time", "receive_time", "received"),
    "price": ("price", "px", "p", "rate"),
    "size": ("size", "qty", "amount", "quantity", "volume", "vol", "q", "base_qty"),
    "side": ("side", "taker_side", "aggressor", "direction"),
    "maker": ("is_buyer_maker", "isbuyermaker", "buyer_maker", "m"),
    "id": ("id", "trade_id", "agg_trade_id", "tradeid", "tid"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "vol", "v", "base_volume"),
    "close_time": ("close_time", "close time"),
    "trades": ("trades", "count", "number_of_trades", "num_trades"),
    "buy_volume": ("buy_volume", "taker_buy_volume", "taker_buy_base_volume", "taker_buy_base_asset_volume"),
    "notional": ("notional", "quote_volume", "quote_asset_volume", "turnover"),
    "bid": ("bid_price", "bid", "best_bid"),
    "bid_size": ("bid_amount", "bid_size", "bid_qty", "best_bid_qty"),
    "ask": ("ask_price", "ask", "best_ask"),
    "ask_size": ("ask_amount", "ask_size", "ask_qty", "best_ask_qty"),
    "snapshot": ("is_snapshot", "snapshot"),
    "more": ("more",),
    "interval": ("interval",),
    "instrument": ("instrument",),
    "exchange": ("exchange",),
    "symbol": ("symbol",),
}  # fmt: skip
"""Role → names of columns, the likeliest first."""
NEEDED: dict[str, tuple[str, ...]] = {
    "trades": ("time", "price", "size"),
    "liquidations": ("time", "price", "size", "side"),
    "bars": ("time", "open", "high", "low", "close", "volume"),
    "quotes": ("time", "bid", "ask"),
    "book": ("time", "snapshot", "side", "price", "size"),
}
_BINANCE: dict[str, tuple[str, ...]] = {
    "trades": ("id", "price", "size", "", "time", "maker"),
    "aggTrades": ("id", "price", "size", "", "", "time", "maker"),
    "klines": ("time", "open", "high", "low", "close", "volume", "close_time", "notional", "trades", "buy_volume"),
}
_LEVEL = re.compile(r"(asks|bids)\[(\d+)\]\.(price|amount)")
_BUY, _SELL = frozenset({"buy", "b", "bid", "long"}), frozenset({"sell", "s", "ask", "short"})
_TRUE, _FALSE = frozenset({"true", "1", "t", "yes"}), frozenset({"false", "0", "f", "no"})
_SIGNIFICANT = 15


class BadRow(ValueError):
    """Why a row cannot be used."""


class Layout(msgspec.Struct, frozen=True):
    """`columns`: role → place. `levels`: of a row with the best levels: (side, place of the price, of the size). `aggregated`: each
    trade stands for several. `header`: the first row is one.
    """

    kind: Kind
    columns: dict[str, int]
    header: bool = True
    aggregated: bool = False
    levels: tuple[tuple[str, int, int], ...] = ()


def layout(first: Sequence[str], kind: Kind | None, mapping: Mapping[str, str]) -> Layout:
    """What the columns of a file mean, by its first row. UsageError where that cannot be told."""
    names = [cell.strip().lower() for cell in first]
    if not mapping and (found := _binance(names)) is not None:
        return found
    columns = {
        role: names.index(name) for role, known in NAMES.items() if (name := next((n for n in known if n in names), None))
    }
    if (opened := next((n for n in ("ts_open", "open_time", "open time") if n in names), None)) is not None:
        columns["time"] = names.index(opened)
    for role, name in mapping.items():
        if role not in NAMES:
            raise UsageError(f"--map {role}={name}: there is no {role!r}; there are {', '.join(NAMES)}")
        if name.lower() not in names:
            raise UsageError(f"--map {role}={name}: the file has no such column; it has {', '.join(first)}")
        columns[role] = names.index(name.lower())
    levels = _levels(names)
    kind = kind or _kind(columns, levels)
    lacking = [role for role in NEEDED[kind or "trades"] if role not in columns]
    if levels and kind == "book":
        lacking = [role for role in ("time",) if role not in columns]
    if kind is None or lacking:
        raise UsageError(
            f"columns {', '.join(first)[:200]}: {'no kind of data is' if kind is None else f'{kind} are'} told by them"
            f"{', without ' + ' and '.join(lacking) if kind else ''}; name them, as in --kind trades --map price=px --map size=qty"
        )
    return Layout(kind, columns, levels=levels, aggregated="agg_trade_id" in names)


def _binance(cells: Sequence[str]) -> Layout | None:
    """A dump without header: by where its times and truth values stand."""
    if not cells or not all(_number_like(c) or c in ("true", "false") for c in cells):
        return None
    if len(cells) == 12 and _time_like(cells[0]) and _time_like(cells[6]):
        name = "klines"
    elif len(cells) in (6, 7) and _time_like(cells[4]) and cells[5] in ("true", "false"):
        name = "trades"
    elif len(cells) in (7, 8) and _time_like(cells[5]) and cells[6] in ("true", "false"):
        name = "aggTrades"
    else:
        raise UsageError(
            "the file has no header, and is none of Binance's dumps of trades, aggTrades and klines: add a first line of names"
        )
    columns = {role: i for i, role in enumerate(_BINANCE[name]) if role}
    return Layout("bars" if name == "klines" else "trades", columns, header=False, aggregated=name == "aggTrades")


def _number_like(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _time_like(cell: str) -> bool:
    return cell.isdigit() and len(cell) >= 12


def _levels(names: Sequence[str]) -> tuple[tuple[str, int, int], ...]:
    places: dict[tuple[str, int], dict[str, int]] = {}
    for i, name in enumerate(names):
        if found := _LEVEL.fullmatch(name):
            places.setdefault((found[1], int(found[2])), {})[found[3]] = i
    return tuple((side, at["price"], at["amount"]) for (side, _), at in sorted(places.items()) if len(at) == 2)


def _kind(columns: Mapping[str, int], levels: Sequence[object]) -> Kind | None:
    if levels or {"snapshot", "side", "price"} <= columns.keys():
        return "book"
    if {"bid", "ask"} <= columns.keys():
        return "quotes"
    if {"open", "high", "low", "close"} <= columns.keys():
        return "bars"
    return "trades" if {"price", "size"} <= columns.keys() else None


class Times:
    """Texts to nanoseconds: of one unit within a file."""

    def __init__(self, unit: Unit | None, tz: str) -> None:
        self.unit = unit
        self.judged = unit is None
        try:
            self._tz = ZoneInfo(tz)
        except (KeyError, ValueError, OSError):
            raise UsageError(f"--tz {tz}: there is no such time zone; write one as in Europe/Berlin, or UTC") from None

    def read(self, text: str) -> int:
        """Raises BadRow."""
        cell = text.strip()
        whole, _, fraction = cell.partition(".")
        numeric = whole.isdigit() and (not fraction or fraction.isdigit())
        if self.unit is None:
            self.unit = _judged(whole) if numeric else "iso"
        if self.unit == "iso":
            return self._iso(cell)
        if not numeric:
            raise BadRow(f"time {cell[:40]!r} is no number")
        if self.judged and (other := _judged(whole)) != self.unit:
            raise BadRow(f"time {cell[:40]} would be {other}, those before it are {self.unit}")
        scale = UNITS[self.unit]
        return _in_range(int(whole) * scale + int((fraction + "0" * 9)[:9]) * scale // SECOND)

    def _iso(self, cell: str) -> int:
        text = cell.replace("/", "-")
        try:
            moment = datetime.fromisoformat(re.sub(r"\.\d+", "", text).replace("Z", "+00:00"))
            if moment.tzinfo is not None or self._tz.key == "UTC":
                return _in_range(parse_iso(text))
            local = int(moment.replace(tzinfo=self._tz).timestamp()) * SECOND
            return _in_range(local + parse_iso(text) % SECOND)
        except (ValueError, OverflowError):
            raise BadRow(f"time {cell[:40]!r} is no ISO time") from None


def _judged(whole: str) -> Unit:
    digits = len(whole.lstrip("0"))
    return "s" if digits <= 11 else "ms" if digits <= 14 else "us" if digits <= 17 else "ns"


def _in_range(ns: int) -> int:
    if not 0 < ns < 1 << 63:
        raise BadRow("its time is out of range")
    return ns


def number(text: str, what: str, *, positive: bool = False) -> tuple[float, bool]:
    """The number, and whether it has more digits than a float64 holds. Raises BadRow."""
    cell = text.strip()
    try:
        value = float(cell)
    except ValueError:
        raise BadRow(f"{what} {cell[:40]!r} is no number" if cell else f"it has no {what}") from None
    if not isfinite(value) or "_" in cell:
        raise BadRow(f"{what} {cell[:40]!r} is no number")
    if positive and value <= 0:
        raise BadRow(f"{what} is {cell[:40]}")
    if len(cell) <= _SIGNIFICANT:
        return value, False
    mantissa = re.split(r"[eE]", cell)[0].replace(".", "").lstrip("+-0").rstrip("0")
    return value, len(mantissa) > _SIGNIFICANT


def optional(text: str | None, what: str) -> float | None:
    return None if text is None or not text.strip() else number(text, what)[0]


def side_of(side: str | None, maker: str | None) -> Side:
    """The aggressor's: where the buyer made the order that stood, the seller came. Raises BadRow."""
    if side is not None and side.strip():
        word = side.strip().lower()
        if word in _BUY:
            return "buy"
        if word in _SELL:
            return "sell"
        if word == "unknown":
            return "unknown"
        raise BadRow(f"side {side[:40]!r} is neither buy nor sell")
    if maker is not None and maker.strip():
        return "sell" if truth(maker, "is_buyer_maker") else "buy"
    return "unknown"


def truth(text: str, what: str) -> bool:
    word = text.strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise BadRow(f"{what} {text[:40]!r} is neither true nor false")
