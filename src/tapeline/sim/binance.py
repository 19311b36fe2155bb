"""Binance spot on the wire.

Sources: binance-spot-api-docs (web-socket-streams.md of 2026-06, rest-api.md), and recorded frames for what the documents do
not say (texts with eight decimals). Diffs of 100 and 1000 ms, each with `U` = previous `u` + 1; bookTicker and partial depth
carry no event time; partial depth has a shape of its own, without the symbol.

Not imitated: order entry, SBE, calendar-month bars, rolling windows other than 24 h, reference prices and block trades (their
streams are acknowledged and silent, as a market without any would be).
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from tapeline.clock import MILLI, SECOND
from tapeline.sim.binance_common import JSON_BOOL, BinanceLine, BinanceWire, Topics
from tapeline.sim.hub import MILLIS
from tapeline.sim.instrument import Aggregate, Batch, Instrument, Touch, Trade
from tapeline.sim.klines import INTERVALS, Kline
from tapeline.sim.market import Book
from tapeline.sim.printing import Printer
from tapeline.sim.specs import Spec, VenueRules, listed

_SUFFIXES = re.compile(
    r"trade|aggTrade|bookTicker|ticker|miniTicker|avgPrice|depth(5|10|20)?(@100ms)?|kline_(" + "|".join(INTERVALS) + ")"
)
_ALL = {"!ticker@arr", "!miniTicker@arr"}
_WEIGHTS = {
    "ping": 1,
    "time": 1,
    "exchangeInfo": 20,
    "trades": 25,
    "historicalTrades": 25,
    "aggTrades": 4,
    "klines": 2,
    "avgPrice": 2,
}


def _listed(base: str, price_decimals: int, size_decimals: int, events: float, size: float, levels: int = 500) -> Spec:
    return listed(
        "binance", f"{base}USDT", base, "USDT", price_decimals, size_decimals, events=events, size=size, levels=levels
    )


class Spot(BinanceWire):
    venue = "binance"
    specs = (
        _listed("BTC", 2, 5, 150.0, 0.012, 700),
        _listed("ETH", 2, 4, 110.0, 0.25, 600),
        _listed("SOL", 2, 3, 70.0, 4.0),
        _listed("BNB", 2, 3, 45.0, 0.9),
        _listed("XRP", 4, 1, 50.0, 400.0),
        _listed("DOGE", 5, 0, 40.0, 2500.0),
        _listed("ADA", 4, 1, 25.0, 500.0),
        _listed("LTC", 2, 3, 20.0, 2.0),
    )
    default = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT", "XRPUSDT", "DOGEUSDT")
    rules = VenueRules(cadences=(100 * MILLI, 1000 * MILLI))
    max_streams = 1024
    messages_per_second = 5
    ping_seconds = 20.0
    pong_seconds = 60.0
    weight_budget = 6000
    rest = "/api/v3/"
    roots = frozenset({"ws", "stream", "api"})
    depth_suffix: ClassVar[dict[int, tuple[str, ...]]] = {100 * MILLI: ("@100ms",), SECOND: ("",)}
    kline_push = 2 * SECOND
    most_klines = 1000
    agg_trade_suffix = ',"M":true'
    trade_suffix = ',"isBestMatch":true'

    def printer(self, instrument: Instrument) -> Printer:
        return Printer(instrument.spec, 8, 8)

    def serves(self, stream: str, path: str) -> bool:  # one path serves all
        low, at, suffix = stream.partition("@")
        return stream in _ALL or (bool(at) and low in self.by_low and _SUFFIXES.fullmatch(suffix) is not None)

    def weight(self, name: str, params: Mapping[str, str]) -> int:
        if name != "depth":
            return _WEIGHTS.get(name, 1)
        limit = int(params.get("limit", "100")) if params.get("limit", "100").isdigit() else 100
        return next((w for most, w in ((100, 5), (500, 25), (1000, 50)) if limit <= most), 250)

    def trade_text(self, line: BinanceLine, trade: Trade, unit: int, now: int) -> str:
        p = line.printer
        return (
            f'{{"e":"trade","E":{min(trade.ts + MILLI, now) // unit},"s":"{line.native}","t":{trade.id},'
            f'"p":"{p.price(trade.price)}","q":"{p.size(trade.size)}","T":{trade.ts // unit},'
            f'"m":{JSON_BOOL[trade.buyer_is_maker]},"M":true}}'
        )

    def aggregate_text(self, line: BinanceLine, one: Aggregate, unit: int, now: int) -> str:
        p = line.printer
        return (
            f'{{"e":"aggTrade","E":{min(one.ts + MILLI, now) // unit},"s":"{line.native}","a":{one.id},"p":"{p.price(one.price)}",'
            f'"q":"{p.size(one.size)}","f":{one.first},"l":{one.last},"T":{one.ts // unit},'
            f'"m":{JSON_BOOL[one.buyer_is_maker]},"M":true}}'
        )

    def touch_text(self, line: BinanceLine, touch: Touch, unit: int, now: int) -> str:  # bookTicker has no times
        u, _, bid, bid_size, ask, ask_size = touch
        p = line.printer
        return (
            f'{{"u":{u},"s":"{line.native}","b":"{p.price(bid)}","B":"{p.size(bid_size)}",'
            f'"a":"{p.price(ask)}","A":"{p.size(ask_size)}"}}'
        )

    def diff_text(self, line: BinanceLine, batch: Batch, unit: int, now: int) -> str:
        bids, asks = self.changed(batch, line)
        return (
            f'{{"e":"depthUpdate","E":{now // unit},"s":"{line.native}","U":{batch.previous + 1},"u":{batch.last},'
            f'"b":[{bids}],"a":[{asks}]}}'
        )

    def partial_text(self, line: BinanceLine, batch: Batch, levels: int, unit: int, now: int) -> str:  # no times
        return self._book_text(line, batch.last, line.instrument.lob.bids.top(levels), line.instrument.lob.asks.top(levels))

    @staticmethod
    def _book_text(line: BinanceLine, last: int, bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> str:
        p = line.printer
        return f'{{"lastUpdateId":{last},"bids":[{p.levels(bids)}],"asks":[{p.levels(asks)}]}}'

    def depth_body(self, line: BinanceLine, book: Book, limit: int) -> str:
        return self._book_text(line, book.last_update_id, book.bids[:limit], book.asks[:limit])

    def slow(self, topics: Topics, now: int) -> None:
        self.emit_all(topics, "ticker", "!ticker@arr", self.ticker_text, now)
        self.emit_all(topics, "miniTicker", "!miniTicker@arr", self.mini_ticker_text, now)
        for line in self.by_name.values():
            self.emit(topics, f"{line.low}@avgPrice", partial(self.average_text, line, now=now))

    def ticker_text(self, line: BinanceLine, unit: int, now: int) -> str:
        p, day, instrument = line.printer, line.day(now), line.instrument
        bid, bid_size, ask, ask_size = instrument.lob.touch()
        last = instrument.recent_trades[-1].size if instrument.recent_trades else 0
        change = (day.close - day.open) * 100 / day.open
        return (
            f'{{"e":"24hrTicker","E":{now // unit},"s":"{line.native}","p":"{p.price(day.close - day.open)}","P":"{change:.3f}",'
            f'"w":"{p.mean(day.notional, day.volume)}","x":"{p.price(day.open)}","c":"{p.price(day.close)}","Q":"{p.size(last)}",'
            f'"b":"{p.price(bid)}","B":"{p.size(bid_size)}","a":"{p.price(ask)}","A":"{p.size(ask_size)}",'
            f'"o":"{p.price(day.open)}","h":"{p.price(day.high)}","l":"{p.price(day.low)}","v":"{p.size(day.volume)}",'
            f'"q":"{p.amount(day.notional)}","O":{(now - 86_400 * SECOND) // unit},"C":{now // unit},"F":{day.first},'
            f'"L":{day.last},"n":{day.trades}}}'
        )

    def _average(self, line: BinanceLine, now: int) -> str:
        window: Kline | None = line.instrument.klines.window(now, 300 * SECOND)
        return line.printer.mean(window.notional, window.volume) if window else line.printer.price(line.instrument.last_price)

    def average_text(self, line: BinanceLine, unit: int, now: int) -> str:
        traded = line.instrument.recent_trades[-1].ts if line.instrument.recent_trades else now
        return (
            f'{{"e":"avgPrice","E":{now // unit},"s":"{line.native}","i":"5m","w":"{self._average(line, now)}",'
            f'"T":{traded // unit}}}'
        )

    def more(self, name: str, params: Mapping[str, str], now: int) -> str:
        if name == "avgPrice":
            line = self.line(params)
            return f'{{"mins":5,"price":"{self._average(line, now)}","closeTime":{now // MILLIS}}}'
        return super().more(name, params, now)

    def exchange_info(self) -> dict[str, Any]:
        return {
            "timezone": "UTC",
            "serverTime": self.market.now // MILLIS,
            "rateLimits": [
                {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": self.weight_budget},
                {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61000},
            ],
            "exchangeFilters": [],
            "symbols": [self._symbol(line) for line in self.by_name.values()],
        }

    @staticmethod
    def _symbol(line: BinanceLine) -> dict[str, Any]:
        p, spec = line.printer, line.instrument.spec
        tick, lot = p.price(1), p.size(1)
        return {
            "symbol": spec.native,
            "status": "TRADING",
            "baseAsset": spec.base,
            "baseAssetPrecision": 8,
            "quoteAsset": spec.quote,
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "baseCommissionPrecision": 8,
            "quoteCommissionPrecision": 8,
            "orderTypes": [
                "LIMIT",
                "LIMIT_MAKER",
                "MARKET",
                "STOP_LOSS",
                "STOP_LOSS_LIMIT",
                "TAKE_PROFIT",
                "TAKE_PROFIT_LIMIT",
            ],
            "icebergAllowed": True,
            "ocoAllowed": True,
            "otoAllowed": True,
            "opoAllowed": True,
            "quoteOrderQtyMarketAllowed": True,
            "allowTrailingStop": True,
            "cancelReplaceAllowed": True,
            "amendAllowed": True,
            "pegInstructionsAllowed": True,
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": True,
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
                {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": "9000000.00000000", "stepSize": lot},
                {"filterType": "ICEBERG_PARTS", "limit": 10},
                {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True, "avgPriceMins": 5},
            ],
            "permissions": [],
            "permissionSets": [["SPOT", "MARGIN"]],
            "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
            "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
        }


WIRE = Spot
