"""Binance USDⓈ-M futures: what differs from spot.

Source: USDⓈ-M "Important WebSocket Change Notice" (2026-03) and the market stream pages. Since 2026-04-23 the streams are split over
two paths: `/public` (order book and bookTicker) and `/market` (trades, candles, mark price, liquidations). A stream asked for on
the wrong path is acknowledged and stays silent, so one venue takes two connections. 10 incoming messages a second, at most
200 streams a connection, pings every 3 minutes. Trades come aggregated (`aggTrade`); `@trade` is undocumented, and served on
`/public`. Books continue by `pu`, see market/sync.py.
"""

from typing import ClassVar

from tapeline.instruments import Instrument, Kind, split_pair
from tapeline.venues.base import Channel, Limits
from tapeline.venues.binance import Binance, Symbol
from tapeline.venues.binance_wire import BinanceDecoder, FuturesDecoder

_PUBLIC = ("depth", "bookTicker", "rpiDepth", "trade")


class BinanceUsdm(Binance):
    name = "binance-usdm"
    title = "Binance USDⓈ-M futures"
    ws_url = "wss://fstream.binance.com"
    http_url = "https://fapi.binance.com"
    channels: ClassVar[tuple[Channel, ...]] = ("trades", "book", "quotes", "bars", "ticker", "liquidations")
    limits = Limits(
        messages_per_second=10,
        streams_per_connection=200,
        connects_per_5_minutes=300,
        http_weight_per_minute=2400,
        max_age_seconds=24 * 3600,
        ping_seconds=180,
    )
    api = "/fapi/v1"
    depth = (1000, 20)
    info_weight = 1
    aggregate_weight = 20
    historical_weight = 0  # wants a key
    decoder_class: ClassVar[type[BinanceDecoder]] = FuturesDecoder
    suffixes: ClassVar[dict[Channel, tuple[str, ...]]] = {
        "trades": ("aggTrade",),
        "book": ("depth@100ms",),
        "quotes": ("bookTicker",),
        "bars": ("kline_1m",),
        "ticker": ("markPrice@1s", "ticker"),
        "liquidations": ("forceOrder",),
    }

    def path(self, suffix: str) -> str:
        return "/public/stream" if suffix.startswith(_PUBLIC) else "/market/stream"

    def heard_as(self, name: str) -> str:
        """Two streams are tickers: what the mark price says must not hide that the 24-hour ticker is silent, nor the other way."""
        suffix = name.partition("@")[2]
        return (
            "ticker:mark"
            if suffix.startswith("markPrice")
            else "ticker:last"
            if "icker" in suffix and suffix != "bookTicker"
            else ""
        )

    def _name(self, s: Symbol) -> tuple[str, Kind]:
        """By the symbol, not by `contractType`, which is empty or says other things before listing and while delivering."""
        delivery = s.symbol.partition("_")[2]
        return f"{s.baseAsset}-{s.quoteAsset}-{delivery or 'PERP'}", "future" if delivery else "perpetual"

    def derive(self, native: str, label: str) -> Instrument:
        """`BTCUSDT` is a perpetual, `BTCUSDT_240927` a future that is delivered on that day."""
        pair, _, delivery = native.partition("_")
        base, quoted = split_pair(pair) or (pair, "")
        symbol = "-".join(part for part in (base, quoted, delivery or "PERP") if part)
        kind: Kind = "future" if delivery else "perpetual"
        return Instrument(id=f"{label}:{symbol}", venue=label, native=native, kind=kind, base=base, quote=quoted)

    def native_of(self, symbol: str) -> str:
        pair, _, end = symbol.upper().rpartition("-")
        if end == "PERP":
            return pair.replace("-", "")
        return f"{pair.replace('-', '')}_{end}" if end.isdigit() else symbol.upper().replace("-", "")
