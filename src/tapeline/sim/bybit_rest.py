"""What Bybit answers over HTTP, `/v5/market/…`, and the figures that its tickers tell.

Source: bybit-exchange/docs (2026-07-24), `docs/v5/market`. A refusal has status 200 and a `retCode`. Lists of trades and candles
begin with the newest. The open interest of the simulated market is half of what was traded in a day.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from tapeline.clock import SECOND
from tapeline.sim.hub import MILLIS
from tapeline.sim.instrument import Trade
from tapeline.sim.market import Book, Market
from tapeline.sim.printing import Printer, trimmed
from tapeline.sim.wire import Line, Reply
from tapeline.venues.bybit_names import CATEGORIES

INTERVAL_NAMES = {
    "1": "1m", "3": "3m", "5": "5m", "15": "15m", "30": "30m", "60": "1h", "120": "2h", "240": "4h", "360": "6h", "720": "12h",
    "D": "1d", "W": "1w",
}  # fmt: skip
_MOST = {"recent-trade": {"spot": 60, "linear": 1000, "inverse": 1000}}
_DELIVERY = 1_806_048_000_000  # 2027-03-26T08:00Z, of the futures that are listed here


class Wrong(Exception):
    """Answered with a `retCode`."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        super().__init__(text)


class Frozen(NamedTuple):
    """A book as the market has it, and as the stream of full books has told it so far, at that stream's `u`."""

    market: Book
    full: Book


TradeId = Callable[[Line, Trade], str]


def answer(
    lines: Mapping[str, Line], name: str, params: Mapping[str, str], now: int, book: Callable[[str], Frozen], trade_id: TradeId
) -> Reply:
    code, text, result = 0, "OK", {}
    try:
        result = _result(lines, name, params, now, book, trade_id)
    except Wrong as wrong:
        code, text = wrong.code, str(wrong)
    whole = {"retCode": code, "retMsg": text, "result": result, "retExtInfo": {}, "time": now // MILLIS}
    return Reply(msgspec.json.encode(whole))


def _result(
    lines: Mapping[str, Line], name: str, params: Mapping[str, str], now: int, book: Callable[[str], Frozen], trade_id: TradeId
) -> dict[str, Any]:
    if name == "time":
        return {"timeSecond": str(now // SECOND), "timeNano": str(now)}
    category = params.get("category", "")
    if category not in CATEGORIES:
        raise Wrong(10001, "params error: Category is invalid")
    if name == "instruments-info":
        return instruments(lines, category, params.get("symbol", ""))
    line = lines.get(f"{category}/{params.get('symbol', '')}")
    if line is None:
        raise Wrong(10001, "Not supported symbols")
    match name:
        case "recent-trade":
            return trades(line, category, _limit(params, _MOST[name][category], 60 if category == "spot" else 500), trade_id)
        case "kline":
            return candles(line, category, params, now)
        case "orderbook":
            return depth(line, book(line.native).market, _limit(params, 1000, 1 if category == "spot" else 25), now)
        case "full_orderbook":
            return depth(line, book(line.native).full, 10_000, now)
    raise Wrong(10001, f"there is no {name} here")


def _limit(params: Mapping[str, str], most: int, default: int) -> int:
    text = params.get("limit", "")
    if not text:
        return default
    if not text.isdecimal() or not int(text) >= 1:
        raise Wrong(10001, "params error: limit is invalid")
    return min(int(text), most)


def instruments(lines: Mapping[str, Line], category: str, symbol: str) -> dict[str, Any]:
    chosen = [
        listed(line, category)
        for native, line in lines.items()
        if native.startswith(f"{category}/") and symbol in {"", native.partition("/")[2]}
    ]
    return {"category": category, "list": chosen, "nextPageCursor": ""}


def listed(line: Line, category: str) -> dict[str, Any]:
    spec = line.spec
    tick, lot = (trimmed(f"{step:.8f}") for step in (spec.tick_size, spec.lot_size))
    item: dict[str, Any] = {
        "symbol": spec.native.partition("/")[2],
        "baseCoin": spec.base,
        "quoteCoin": spec.quote,
        "status": "Closed" if line.instrument.halted else "Trading",
        "priceFilter": {"tickSize": tick},
    }
    if category == "spot":
        return {**item, "innovation": "0", "lotSizeFilter": {"basePrecision": lot, "minOrderAmt": "5"}}
    future = spec.kind == "future"
    return {
        **item,
        "contractType": f"{category.title()}{'Futures' if future else 'Perpetual'}",
        "launchTime": "1585526400000",
        "deliveryTime": str(_DELIVERY) if future else "0",
        "fundingInterval": 0 if future else 480,
        "settleCoin": spec.base if spec.inverse else spec.quote,
        "lotSizeFilter": {"qtyStep": lot, "minOrderQty": lot},
    }


def trades(line: Line, category: str, limit: int, trade_id: TradeId) -> dict[str, Any]:
    p = line.printer
    rows = [
        {
            "execId": trade_id(line, t),
            "symbol": line.native.partition("/")[2],
            "price": p.price(t.price),
            "size": p.size(t.size),
            "side": "Sell" if t.buyer_is_maker else "Buy",
            "time": str(t.ts // MILLIS),
            "isBlockTrade": False,
            "isRPITrade": False,
        }
        for t in reversed(line.recent(limit))
    ]
    return {"category": category, "list": rows}


def candles(line: Line, category: str, params: Mapping[str, str], now: int) -> dict[str, Any]:
    if (interval := INTERVAL_NAMES.get(params.get("interval", ""))) is None:
        raise Wrong(10001, "Invalid period!")
    times = {key: int(params[key]) for key in ("start", "end") if re.fullmatch(r"\d{1,15}", params.get(key, ""))}
    bars = [
        b
        for b in line.instrument.klines.recent(interval, now, 3000)
        if times.get("start", 0) <= b.open_time // MILLIS <= times.get("end", now)
    ]
    p = line.printer
    rows = [
        [
            str(b.open_time // MILLIS),
            *map(p.price, (b.open, b.high, b.low, b.close)),
            p.size(b.volume),
            p.worth(b.volume, b.notional),
        ]
        for b in reversed(bars[-_limit(params, 1000, 200) :])
    ]
    return {"symbol": line.native.partition("/")[2], "category": category, "list": rows}


def depth(line: Line, frozen: Book, limit: int, now: int) -> dict[str, Any]:
    """`u` is the market's here; at the venue it is that of the stream of 1000 levels."""
    p = line.printer
    sides = {key: [[p.price(q), p.size(s)] for q, s in side[:limit]] for key, side in (("b", frozen.bids), ("a", frozen.asks))}
    millis = now // MILLIS
    ids = {"u": frozen.last_update_id, "seq": frozen.last_update_id, "cts": millis - 2}
    return {"s": line.native.partition("/")[2], **sides, "ts": millis, **ids}


def figures(market: Market, line: Line, now: int) -> dict[str, str]:
    """All that a ticker of this instrument tells, as texts."""
    p, day, spec = line.printer, line.day(now), line.spec
    told = {
        "symbol": spec.native.partition("/")[2],
        "price24hPcnt": f"{day.close / day.open - 1 if day.open else 0.0:.6f}",
        "lastPrice": p.price(day.close),
        "prevPrice24h": p.price(day.open),
        "highPrice24h": p.price(day.high),
        "lowPrice24h": p.price(day.low),
        "turnover24h": p.worth(day.volume, day.notional),
        "volume24h": p.size(day.volume),
    }
    if spec.kind == "spot":
        return told
    marks, lob = market.marks(spec.venue, spec.native), line.instrument.lob
    told |= {"markPrice": _quoted(p, marks.mark), "indexPrice": _quoted(p, marks.spot), "openInterest": p.size(day.volume // 2)}
    told |= {"fundingRate": "", "nextFundingTime": ""}
    if spec.kind == "perp":
        told |= {"fundingRate": f"{marks.funding:.8f}", "nextFundingTime": str(market.next_funding() // MILLIS)}
    return told | {
        **_best(p, "bid1", lob.bids.top(1)),
        **_best(p, "ask1", lob.asks.top(1)),
    }


def _quoted(p: Printer, price: float) -> str:
    return f"{price:.{p.price_digits}f}"


def _best(p: Printer, key: str, best: list[tuple[int, int]]) -> dict[str, str]:
    price, size = (p.price(best[0][0]), p.size(best[0][1])) if best else ("", "")
    return {f"{key}Price": price, f"{key}Size": size}
