"""Binance COIN-M futures: what differs from USDⓈ-M.

Source: the COIN-M "WebSocket Market Streams" and "Market Data" pages (2026-03). The streams were not split over paths here:
`/stream` serves all of them. Contracts are margined in the base asset and are worth a fixed amount of US dollars, 100 of BTC and 10
of every other asset (`contractSize` of exchangeInfo), so quantities are numbers of contracts everywhere: trades, books, candles,
liquidations. Where USDⓈ-M tells the volume in the quote asset, COIN-M tells it in the *base* asset (`q`, `Q` of candles and
tickers); what we give as notional is contracts × contract value. A mean price of the venue's own candles is not given: of the
number of contracts and their worth in the base asset follows the harmonic mean, which is not the mean weighted by contracts.

Messages have `ps`, the pair (`BTCUSD`), beside `s`, the contract (`BTCUSD_PERP`, `BTCUSD_260925`). Every pair is quoted in USD: it
must not be split by the known quote assets, by which BNBUSD would be BN in BUSD. Exchange info says `contractStatus`, not `status`.
Books continue by `pu` as on USDⓈ-M.
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar

import msgspec

from tapeline.clock import MILLI
from tapeline.events import Bar, Ticker
from tapeline.frames import HttpAnswer
from tapeline.instruments import Instrument, Kind
from tapeline.venues import binance_messages as w
from tapeline.venues.base import Record
from tapeline.venues.binance import Filter, steps
from tapeline.venues.binance_usdm import BinanceUsdm
from tapeline.venues.binance_wire import BinanceDecoder, FuturesDecoder
from tapeline.venues.decoding import RECOVERED, nanoseconds
from tapeline.venues.shapes import reader

USD = "USD"
VALUES = {"BTC": 100.0}
VALUE = 10.0
"""One contract in US dollars, where the list is not at hand."""


class _Symbol(msgspec.Struct):
    symbol: str
    contractStatus: str
    baseAsset: str
    quoteAsset: str
    contractSize: Annotated[float, msgspec.Meta(gt=0, le=1e12)]
    filters: list[Filter] = []


_read_symbol = reader(_Symbol)


class CoinmDecoder(FuturesDecoder):
    def _kline(self, m: w.Kline, ts_recv: int, native: str, flags: int) -> Sequence[Record]:
        k, (ts, flags), known = m.k, self._time(m.E, ts_recv, flags), self.listed(native)
        return [
            Bar(
                known.id, ts, ts_recv, flags, k.i, nanoseconds(k.t), k.o, k.h, k.l, k.c,
                k.v, k.V, k.v * known.contract_size, None, k.n, k.x, 0, "venue",
            )
        ]  # fmt: skip

    def _past(self, rows: list[w.PastCandle], answer: HttpAnswer, ts_recv: int) -> Sequence[Record]:
        known, interval, flags = self.listed(answer.native), answer.purpose.removeprefix("bars "), self.flags | RECOVERED
        return [
            Bar(
                known.id, nanoseconds(k.close_time) + MILLI, ts_recv, flags, interval, nanoseconds(k.open_time),
                k.open, k.high, k.low, k.close, k.volume, k.buy_volume, k.volume * known.contract_size,
                None, k.trades, True, 0, "venue",
            )
            for k in rows
            if nanoseconds(k.close_time) < ts_recv
        ]  # fmt: skip

    def _ticker(self, m: w.Ticker, ts_recv: int, native: str, flags: int) -> Sequence[Record]:
        (ts, flags), known = self._time(m.E, ts_recv, flags), self.listed(native)
        return [Ticker(known.id, ts, ts_recv, flags, m.c, m.o, m.h, m.l, m.v, m.v * known.contract_size, m.P)]


class BinanceCoinm(BinanceUsdm):
    name = "binance-coinm"
    title = "Binance COIN-M futures"
    ws_url = "wss://dstream.binance.com"
    http_url = "https://dapi.binance.com"
    api = "/dapi/v1"
    decoder_class: ClassVar[type[BinanceDecoder]] = CoinmDecoder

    def path(self, suffix: str) -> str:
        return "/stream"

    def _read_listed(self, raw: msgspec.Raw, label: str) -> Instrument:
        s = _read_symbol(raw)
        known = self._contract(s.symbol, s.baseAsset, s.quoteAsset, s.contractSize, label)
        tick, lot = steps(s.filters)
        return msgspec.structs.replace(known, tick=tick, lot=lot, status=s.contractStatus)

    def derive(self, native: str, label: str) -> Instrument:
        base = native.partition("_")[0].removesuffix(USD)
        return self._contract(native, base, USD, VALUES.get(base, VALUE), label)

    @staticmethod
    def _contract(native: str, base: str, quoted: str, value: float, label: str) -> Instrument:
        end = native.partition("_")[2] or "PERP"
        kind: Kind = "perpetual" if end == "PERP" else "future"
        return Instrument(
            id=f"{label}:{base}-{quoted}-{end}",
            venue=label,
            native=native,
            kind=kind,
            base=base,
            quote=quoted,
            contract_size=value,
            inverse=True,
        )

    def native_of(self, symbol: str) -> str:
        """`BTC-USD-PERP` → `BTCUSD_PERP`. A contract always names its end: without one the perpetual is meant."""
        pair, dash, end = symbol.upper().rpartition("-")
        if dash and (end == "PERP" or end.isdigit()):
            return f"{pair.replace('-', '')}_{end}"
        native = symbol.upper().replace("-", "")
        return native if "_" in native else f"{native}_PERP"
