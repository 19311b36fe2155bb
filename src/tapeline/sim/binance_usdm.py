"""Binance USD-M futures on the wire.

Sources: the derivatives documents of 2026 (split addresses), connector types of 2026-07, recorded frames. What differs from
spot: books and bookTicker on `/public`, everything else on `/market`, and a stream asked for on the wrong path is acknowledged
and silent (an address without either behaves like `/public`); update ids of one sequence for all symbols, so that diffs chain
by `pu`, not by `U`; partial depth has the shape of a diff; trades carry `X` (undocumented stream, on `/public`); prices are
printed with the precision of the listing. Liquidations are sampled: the latest of a second.

Not imitated: private streams, continuous contracts, composite and asset indices, RPI depth (acknowledged and silent).
"""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from tapeline.clock import MILLI, SECOND
from tapeline.sim.binance_common import JSON_BOOL, BadRequest, BinanceLine, BinanceWire, Topics
from tapeline.sim.hub import MILLIS, Hub
from tapeline.sim.instrument import Aggregate, Batch, Instrument, Liquidation, Touch, Trade
from tapeline.sim.klines import INTERVALS
from tapeline.sim.latent import STEP
from tapeline.sim.market import Book, Market
from tapeline.sim.printing import Printer
from tapeline.sim.specs import Spec, VenueRules, listed

_PUBLIC = re.compile(r"bookTicker|trade|depth(5|10|20)?(@(0|100|250|500)ms)?")
_MARKET = re.compile(r"aggTrade|markPrice(@1s)?|ticker|miniTicker|forceOrder|kline_(" + "|".join(INTERVALS) + ")")
_ALL_PUBLIC = {"!bookTicker"}
_ALL_MARKET = {"!ticker@arr", "!miniTicker@arr", "!markPrice@arr", "!markPrice@arr@1s", "!forceOrder@arr"}
_LIMITS = {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20}
_WEIGHTS = {"ping": 1, "time": 1, "exchangeInfo": 1, "trades": 5, "aggTrades": 20, "premiumIndex": 1}
_TICKER_EVERY = 2 * SECOND


def _listed(base: str, price_decimals: int, tick: int, size_decimals: int, events: float, size: float) -> Spec:
    return listed(
        "binance-usdm",
        f"{base}USDT",
        base,
        "USDT",
        price_decimals,
        size_decimals,
        kind="perp",
        tick=tick,
        events=events,
        size=size,
    )


class UsdM(BinanceWire):
    venue = "binance-usdm"
    specs: ClassVar[tuple[Spec, ...]] = (
        _listed("BTC", 2, 10, 3, 190.0, 0.03),
        _listed("ETH", 2, 1, 3, 140.0, 0.6),
        _listed("SOL", 4, 100, 2, 80.0, 8.0),
        _listed("XRP", 4, 1, 1, 60.0, 900.0),
        _listed("DOGE", 6, 10, 0, 45.0, 6000.0),
        _listed("BNB", 3, 10, 2, 40.0, 2.0),
    )
    default: ClassVar[tuple[str, ...]] = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")
    rules = VenueRules(
        cadences=(STEP, 100 * MILLI, 250 * MILLI, 500 * MILLI),
        shared_ids=True,
        spread=40,
        first_update_id=8_900_000_000_000,
        first_trade_id=6_000_000_000,
    )
    max_streams = 200
    messages_per_second = 10
    ping_seconds = 180.0
    pong_seconds = 600.0
    weight_budget = 2400
    rest = "/fapi/v1/"
    kinds = frozenset({"public", "market"})
    roots = frozenset({"public", "market", "private", "fapi"})
    depth_suffix: ClassVar[dict[int, tuple[str, ...]]] = {
        STEP: ("@0ms",),
        100 * MILLI: ("@100ms",),
        250 * MILLI: ("", "@250ms"),
        500 * MILLI: ("@500ms",),
    }
    kline_push = 250 * MILLI
    most_klines = 1500

    def __init__(self, market: Market, hub: Hub) -> None:
        super().__init__(market, hub)
        self.forced: dict[str, Liquidation] = {}  # the latest of each symbol in this second

    def printer(self, instrument: Instrument) -> Printer:
        return Printer(instrument.spec, instrument.spec.price_decimals, instrument.spec.size_decimals)

    def serves(self, stream: str, path: str) -> bool:
        low, at, suffix = stream.partition("@")
        every, each = (_ALL_MARKET, _MARKET) if path == "market" else (_ALL_PUBLIC, _PUBLIC)
        return stream in every or (bool(at) and low in self.by_low and each.fullmatch(suffix) is not None)

    def weight(self, name: str, params: Mapping[str, str]) -> int:
        limit = int(params.get("limit", "500")) if params.get("limit", "500").isdigit() else 500
        if name == "depth":
            return _LIMITS.get(limit, 20)
        if name == "klines":
            return next((w for most, w in ((99, 1), (499, 2), (1000, 5)) if limit <= most), 10)
        return _WEIGHTS.get(name, 1)

    def trade_text(self, line: BinanceLine, trade: Trade, unit: int, now: int) -> str:
        p = line.printer
        return (
            f'{{"e":"trade","E":{min(trade.ts + MILLI, now) // unit},"T":{trade.ts // unit},"s":"{line.native}","t":{trade.id},'
            f'"p":"{p.price(trade.price)}","q":"{p.size(trade.size)}","X":"MARKET","m":{JSON_BOOL[trade.buyer_is_maker]}}}'
        )

    def aggregate_text(self, line: BinanceLine, one: Aggregate, unit: int, now: int) -> str:
        p = line.printer
        size = p.size(one.size)
        return (
            f'{{"e":"aggTrade","E":{min(one.ts + MILLI, now) // unit},"s":"{line.native}","a":{one.id},"p":"{p.price(one.price)}",'
            f'"q":"{size}","nq":"{size}","f":{one.first},"l":{one.last},"T":{one.ts // unit},"m":{JSON_BOOL[one.buyer_is_maker]}}}'
        )

    def touch_text(self, line: BinanceLine, touch: Touch, unit: int, now: int) -> str:
        u, ts, bid, bid_size, ask, ask_size = touch
        p = line.printer
        return (
            f'{{"e":"bookTicker","u":{u},"s":"{line.native}","b":"{p.price(bid)}","B":"{p.size(bid_size)}","a":"{p.price(ask)}",'
            f'"A":"{p.size(ask_size)}","T":{ts // unit},"E":{min(ts + MILLI, now) // unit}}}'
        )

    def diff_text(self, line: BinanceLine, batch: Batch, unit: int, now: int) -> str:
        bids, asks = self.changed(batch, line)
        return self._depth_text(line, batch, unit, now, bids, asks)

    def partial_text(self, line: BinanceLine, batch: Batch, levels: int, unit: int, now: int) -> str:
        p, lob = line.printer, line.instrument.lob
        return self._depth_text(line, batch, unit, now, p.levels(lob.bids.top(levels)), p.levels(lob.asks.top(levels)))

    @staticmethod
    def _depth_text(line: BinanceLine, batch: Batch, unit: int, now: int, bids: str, asks: str) -> str:
        return (
            f'{{"e":"depthUpdate","E":{now // unit},"T":{(now - MILLI) // unit},"s":"{line.native}","U":{batch.first},'
            f'"u":{batch.last},"pu":{batch.previous},"b":[{bids}],"a":[{asks}]}}'
        )

    def more_streams(self, topics: Topics, line: BinanceLine, now: int) -> None:
        self._records(topics, "!bookTicker", line, line.instrument.touches, self.touch_text, now)
        if line.instrument.liquidations:
            self.forced[line.native] = line.instrument.liquidations[-1]

    def slow(self, topics: Topics, now: int) -> None:
        for native, one in self.forced.items():
            line = self.by_name[native]
            for name in (f"{line.low}@forceOrder", "!forceOrder@arr"):
                self.emit(topics, name, lambda unit, ln=line, liq=one: self.force_text(ln, liq, unit, now))  # type: ignore[misc]
        self.forced.clear()
        for suffix in ("@1s", "") if now % (3 * SECOND) == 0 else ("@1s",):
            self.emit_all(topics, f"markPrice{suffix}", f"!markPrice@arr{suffix}", self.mark_text, now)
        if now % _TICKER_EVERY == 0:
            self.emit_all(topics, "ticker", "!ticker@arr", self.ticker_text, now)
            self.emit_all(topics, "miniTicker", "!miniTicker@arr", self.mini_ticker_text, now)

    def marks(self, line: BinanceLine) -> tuple[str, str, str, str]:
        """Mark price, index price, estimated settle price and funding rate, as text."""
        marks, tick = self.market.marks(self.venue, line.native), line.spec.tick_size
        mark, index = line.printer.exact(marks.mark / tick), line.printer.exact(marks.spot / tick)
        return mark, index, index, f"{marks.funding:.8f}"

    def mark_text(self, line: BinanceLine, unit: int, now: int) -> str:
        mark, index, settle, funding = self.marks(line)
        return (
            f'{{"e":"markPriceUpdate","E":{now // unit},"s":"{line.native}","p":"{mark}","i":"{index}","P":"{settle}",'
            f'"r":"{funding}","T":{self.market.next_funding() // unit},"ap":"{mark}"}}'
        )

    def force_text(self, line: BinanceLine, one: Liquidation, unit: int, now: int) -> str:
        p = line.printer
        size = p.size(one.size)
        return (
            f'{{"e":"forceOrder","E":{now // unit},"o":{{"s":"{line.native}","S":"{"SELL" if one.sell else "BUY"}","o":"LIMIT",'
            f'"f":"IOC","q":"{size}","p":"{p.price(one.price)}","ap":"{p.exact(one.average)}","X":"FILLED","l":"{size}",'
            f'"z":"{size}","T":{one.ts // unit}}}}}'
        )

    def ticker_text(self, line: BinanceLine, unit: int, now: int) -> str:
        p, day, instrument = line.printer, line.day(now), line.instrument
        last = instrument.recent_trades[-1].size if instrument.recent_trades else 0
        change = (day.close - day.open) * 100 / day.open
        return (
            f'{{"e":"24hrTicker","E":{now // unit},"s":"{line.native}","p":"{p.price(day.close - day.open)}","P":"{change:.3f}",'
            f'"w":"{p.mean(day.notional, day.volume)}","c":"{p.price(day.close)}","Q":"{p.size(last)}","o":"{p.price(day.open)}",'
            f'"h":"{p.price(day.high)}","l":"{p.price(day.low)}","v":"{p.size(day.volume)}",'
            f'"q":"{p.worth(day.volume, day.notional)}",'
            f'"O":{(now - 86_400 * SECOND) // unit},"C":{now // unit},"F":{day.first},"L":{day.last},"n":{day.trades}}}'
        )

    def depth_body(self, line: BinanceLine, book: Book, limit: int) -> str:
        p, millis = line.printer, self.market.now // MILLIS
        return (
            f'{{"lastUpdateId":{book.last_update_id},"E":{millis},"T":{millis - 1},'
            f'"bids":[{p.levels(book.bids[:limit])}],"asks":[{p.levels(book.asks[:limit])}]}}'
        )

    def limit(self, params: Mapping[str, str], most: int, default: int) -> int:
        if most != 5000:
            return super().limit(params, most, default)
        limit = self.number(params, "limit") or 500
        if limit not in _LIMITS:
            raise BadRequest(-4021, f"{limit} is not valid depth limit")
        return limit

    def more(self, name: str, params: Mapping[str, str], now: int) -> str:
        if name != "premiumIndex":
            return super().more(name, params, now)
        if "symbol" in params:
            return self._premium(self.line(params), now)
        return f"[{','.join(self._premium(line, now) for line in self.by_name.values())}]"

    def _premium(self, line: BinanceLine, now: int) -> str:
        mark, index, settle, funding = self.marks(line)
        return (
            f'{{"symbol":"{line.native}","markPrice":"{mark}","indexPrice":"{index}","estimatedSettlePrice":"{settle}",'
            f'"lastFundingRate":"{funding}","interestRate":"0.00010000",'
            f'"nextFundingTime":{self.market.next_funding() // MILLIS},"time":{now // MILLIS}}}'
        )

    def exchange_info(self) -> dict[str, Any]:
        return {
            "timezone": "UTC",
            "serverTime": self.market.now // MILLIS,
            "futuresType": "U_MARGINED",
            "rateLimits": [
                {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": self.weight_budget}
            ],
            "exchangeFilters": [],
            "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
            "symbols": [self._symbol(line) for line in self.by_name.values()],
        }

    def _symbol(self, line: BinanceLine) -> dict[str, Any]:
        p, spec = line.printer, line.instrument.spec
        tick, lot = p.price(1), p.size(1)
        return {
            "symbol": spec.native,
            "pair": spec.native,
            "contractType": "PERPETUAL",
            "deliveryDate": 4133404800000,
            "onboardDate": 1569398400000,
            "status": "TRADING",
            "maintMarginPercent": "2.5000",
            "requiredMarginPercent": "5.0000",
            "baseAsset": spec.base,
            "quoteAsset": spec.quote,
            "marginAsset": spec.quote,
            "pricePrecision": spec.price_decimals,
            "quantityPrecision": spec.size_decimals,
            "baseAssetPrecision": 8,
            "quotePrecision": 8,
            "underlyingType": "COIN",
            "underlyingSubType": ["PoW"],
            "triggerProtect": "0.0500",
            "liquidationFee": "0.012500",
            "marketTakeBound": "0.05",
            "maxMoveOrderLimit": 10000,
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": p.price(10_000_000), "tickSize": tick},
                {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": p.size(1_000_000_000), "stepSize": lot},
                {"filterType": "MARKET_LOT_SIZE", "minQty": lot, "maxQty": p.size(100_000_000), "stepSize": lot},
                {"filterType": "MAX_NUM_ORDERS", "limit": 200},
                {"filterType": "MIN_NOTIONAL", "notional": "5"},
            ],
            "orderTypes": [
                "LIMIT",
                "MARKET",
                "STOP",
                "STOP_MARKET",
                "TAKE_PROFIT",
                "TAKE_PROFIT_MARKET",
                "TRAILING_STOP_MARKET",
            ],
            "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
        }


WIRE = UsdM
