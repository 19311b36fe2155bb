"""Binance COIN-M futures on the wire: as USD-M, with what differs.

Source: the COIN-M market stream and market data pages of 2026-03. One path, `/stream` or `/ws`, serves every stream; messages
name the pair (`ps`) beside the contract; sizes are contracts of 100 USD (BTC) or 10 USD, and what was traded is told in the base
asset. REST is `/dapi/v1`.

Not imitated: dated futures, index and continuous candles. Amounts in the base asset are contracts at the mean price of the
candle, not the sum over its trades.
"""

import re
from typing import Any, ClassVar

from tapeline.sim.binance_common import BinanceLine
from tapeline.sim.binance_usdm import UsdM
from tapeline.sim.instrument import Aggregate, Batch, Liquidation, Touch
from tapeline.sim.specs import Spec, listed

_SYMBOL = re.compile(r'"s":"(\w+?)_(\w+)"')


def _contract(base: str, price_decimals: int, events: float, size: float, value: float = 10.0) -> Spec:
    return listed(
        "binance-coinm",
        f"{base}USD_PERP",
        base,
        "USD",
        price_decimals,
        0,
        kind="perp",
        events=events,
        size=size,
        contract_size=value,
        inverse=True,
    )


class CoinM(UsdM):
    venue = "binance-coinm"
    specs: ClassVar[tuple[Spec, ...]] = (
        _contract("BTC", 1, 120.0, 0.05, 100.0),
        _contract("ETH", 2, 90.0, 0.6),
        _contract("SOL", 3, 40.0, 8.0),
        _contract("BNB", 2, 30.0, 2.0),
        _contract("XRP", 4, 30.0, 900.0),
    )
    default: ClassVar[tuple[str, ...]] = ("BTCUSD_PERP", "ETHUSD_PERP", "BNBUSD_PERP")
    prefixed = True
    rest = "/dapi/v1/"
    kinds: ClassVar[frozenset[str]] = frozenset()
    roots = frozenset({"dapi"})
    trade_suffix: ClassVar[str] = ""
    worth_key = "baseQty"

    def serves(self, stream: str, path: str) -> bool:  # one path for all
        return super().serves(stream, "market") or super().serves(stream, "public")

    @staticmethod
    def _paired(text: str) -> str:
        return _SYMBOL.sub(r'"s":"\1_\2","ps":"\1"', text, count=1)

    def aggregate_text(self, line: BinanceLine, one: Aggregate, unit: int, now: int) -> str:
        return re.sub(r'"nq":"\d+",', "", super().aggregate_text(line, one, unit, now))

    def touch_text(self, line: BinanceLine, touch: Touch, unit: int, now: int) -> str:
        return self._paired(super().touch_text(line, touch, unit, now))

    def diff_text(self, line: BinanceLine, batch: Batch, unit: int, now: int) -> str:
        return self._paired(super().diff_text(line, batch, unit, now))

    def partial_text(self, line: BinanceLine, batch: Batch, levels: int, unit: int, now: int) -> str:
        return self._paired(super().partial_text(line, batch, levels, unit, now))

    def force_text(self, line: BinanceLine, one: Liquidation, unit: int, now: int) -> str:
        return self._paired(super().force_text(line, one, unit, now))

    def ticker_text(self, line: BinanceLine, unit: int, now: int) -> str:
        return self._paired(super().ticker_text(line, unit, now))

    def mini_ticker_text(self, line: BinanceLine, unit: int, now: int) -> str:
        return self._paired(super().mini_ticker_text(line, unit, now))

    def exchange_info(self) -> dict[str, Any]:
        info = super().exchange_info()
        return {key: info[key] for key in ("timezone", "serverTime", "rateLimits", "exchangeFilters", "symbols")}

    def _symbol(self, line: BinanceLine) -> dict[str, Any]:
        symbol, spec = super()._symbol(line), line.spec
        status = symbol.pop("status")
        value = int(spec.contract_size)
        return symbol | {
            "pair": spec.native.partition("_")[0],
            "contractStatus": status,
            "contractSize": value,
            "marginAsset": spec.base,
        }


WIRE = CoinM
