"""Coinbase Advanced Trade: market data without a key. The messages are in coinbase_advanced_wire.py.

Source: docs.cdp.coinbase.com "Advanced Trade WebSocket" (overview, channels, rate limits) and "public REST endpoints"; live captures
of 2026-08 and 09. One channel a message; acknowledgements are the list of everything that is subscribed, without an id, and may come
after the first data. What is subscribed as `level2` comes as `l2_data`. A connection on which nothing happens for 60 to 90 s is
closed, so `heartbeats`, one a second, is subscribed before everything else.

A book begins with its snapshot on the socket. `sequence_num` grows by one with each message of a connection: what is missing shows
at once, though not of which channel it was. Quotes come by `ticker`, 24-hour figures by `ticker_batch` (every 5 s), candles of five
minutes by `candles`, which begins with those of the last hours.

`market_trades.side` is the maker's by the documents, so events bear the other one; it is disputed, and the setting
`venues.coinbase-advanced.trade_side` turns it. Buys by aggressors print at the ask: that is how one tells.

Perpetuals of the international exchange (`BTC-PERP-INTX`) and dated futures (`BIT-28JUN24-CDE`) are listed among spot; their
sizes are contracts on the wire, in the base asset in events. Products of `-USDC` share the book of `-USD`.

8 new connections and 8 messages a second an address: half of them a connection, as there may be several. 10 requests a second.
"""

import re
from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import quote

import msgspec

from tapeline.clock import SECOND
from tapeline.config import INTERVALS
from tapeline.instruments import Instrument, Registry
from tapeline.plans import parts
from tapeline.venues.base import Asked, Channel, Limits, Request, Stream
from tapeline.venues.coinbase import MOST_TRADES, STREAMS_PER_MESSAGE, CoinbaseVenue, by_name
from tapeline.venues.coinbase_advanced_wire import AdvancedDecoder
from tapeline.venues.decoding import iso_nanoseconds
from tapeline.venues.listing import MONTHS, each, step, whole
from tapeline.venues.shapes import reader

API = "/api/v3/brokerage/market"
CANDLES = 300  # asked for; at most 350 are given
PAST = {"1m": "ONE_MINUTE", "5m": "FIVE_MINUTE", "15m": "FIFTEEN_MINUTE", "1h": "ONE_HOUR", "4h": "FOUR_HOUR", "1d": "ONE_DAY"}
_DATED = re.compile(r"([A-Z0-9]+)-(\d{1,2})([A-Z]{3})(\d\d)-CDE")
_CHANNELS: dict[str, Channel] = {
    "market_trades": "trades",
    "level2": "book",
    "ticker": "quotes",
    "ticker_batch": "ticker",
    "candles": "bars",
}


class _Contract(msgspec.Struct):
    contract_size: float | None = None
    contract_root_unit: str = ""
    contract_expiry: str | None = None
    contract_expiry_type: str = ""
    contract_code: str = ""


class _Product(msgspec.Struct):
    product_id: str
    base_currency_id: str = ""
    quote_currency_id: str = ""
    base_increment: float | None = None
    quote_increment: float | None = None
    price_increment: float | None = None
    product_type: str = "SPOT"
    status: str = ""
    is_disabled: bool = False
    trading_disabled: bool = False
    view_only: bool = False
    cancel_only: bool = False
    limit_only: bool = False
    post_only: bool = False
    auction_mode: bool = False
    future_product_details: _Contract | None = None


class _Products(msgspec.Struct):
    products: list[msgspec.Raw]


class _Control(msgspec.Struct):
    type: str
    channel: str
    product_ids: tuple[str, ...] = ()


_read_control = msgspec.json.Decoder(_Control).decode
_read_products = msgspec.json.Decoder(_Products).decode
_read_product = reader(_Product)
_STATES = ("is_disabled", "trading_disabled", "view_only", "cancel_only", "limit_only", "post_only", "auction_mode")


class CoinbaseAdvanced(CoinbaseVenue):
    name = "coinbase-advanced"
    title = "Coinbase Advanced Trade"
    ws_url = "wss://advanced-trade-ws.coinbase.com"
    http_url = "https://api.coinbase.com"
    channels: ClassVar[tuple[Channel, ...]] = ("trades", "book", "quotes", "bars", "ticker")
    named = _CHANNELS
    limits = Limits(
        messages_per_second=4,
        streams_per_connection=200,
        connects_per_5_minutes=2400,
        http_weight_per_minute=600,
        http_per_second=10,
    )

    def first(self) -> tuple[bytes, ...]:
        return (_message("subscribe", "heartbeats"),)

    def subscribe(self, streams: Sequence[Stream], number: int) -> tuple[bytes, ...]:
        return self._control("subscribe", streams)

    def unsubscribe(self, streams: Sequence[Stream], number: int) -> tuple[bytes, ...]:
        return self._control("unsubscribe", streams)

    @staticmethod
    def _control(what: str, streams: Sequence[Stream]) -> tuple[bytes, ...]:
        return tuple(
            _message(what, name, part)
            for name, products in by_name(streams).items()
            for part in parts(products, STREAMS_PER_MESSAGE)
        )

    def asked(self, data: bytes) -> Asked | None:
        try:
            message = _read_control(data)
        except (msgspec.MsgspecError, ValueError):
            return None
        if message.type not in {"subscribe", "unsubscribe"}:
            return None
        names = tuple(f"{message.channel}:{p}" for p in message.product_ids) if message.channel in self.named else ()
        gone = message.type == "unsubscribe"  # answered by what is left, which names nothing of what went
        return Asked(None, names, gone=gone, acked=bool(names) and not gone)

    def decoder(self, registry: Registry, *, simulated: bool) -> AdvancedDecoder:
        return AdvancedDecoder(registry, self.derive, simulated=simulated, told=self.settings.trade_side)

    def instruments_requests(self) -> list[Request]:
        return [self.ask("instruments", f"{API}/products")]

    def past_requests(self, native: str, not_before: int) -> list[Request]:
        now = not_before // SECOND
        return [
            self.ask(
                f"bars {interval}",
                f"{API}/products/{quote(native)}/candles?start={now - CANDLES * (INTERVALS[interval] // SECOND)}"
                f"&end={now}&granularity={granularity}",
                native,
                not_before=not_before,
            )
            for interval, granularity in PAST.items()
        ]

    def trades_request(self, native: str, first: int | None, last: int | None, attempt: int, not_before: int) -> Request:
        """The most recent ones: there is no asking by id."""
        return self.ask("trades", f"{API}/products/{quote(native)}/ticker?limit={MOST_TRADES}", native, attempt, not_before)

    def read_instruments(self, body: bytes, label: str) -> list[Instrument]:
        what, taken = f"products of {self.name}", set[str]()
        return each(whole(_read_products, body, what).products, lambda raw: self._listed(raw, label, taken), what)

    @staticmethod
    def _listed(raw: msgspec.Raw, label: str, taken: set[str]) -> Instrument | None:
        """`taken`: the ids so far."""
        p = _read_product(raw)
        contract = p.future_product_details if p.product_type == "FUTURE" else None
        about: dict[str, Any] = {
            "venue": label,
            "native": p.product_id,
            "tick": step(p.price_increment) or step(p.quote_increment),
            "status": next((flag for flag in _STATES if getattr(p, flag)), p.status),
        }
        if contract is not None:
            return _contract(p, contract, label, taken, about)
        base, quoted = p.base_currency_id, p.quote_currency_id
        if not base or not quoted:
            return None
        symbol, lot = f"{base}-{quoted}", step(p.base_increment)
        return Instrument(id=f"{label}:{symbol}", kind="spot", base=base, quote=quoted, lot=lot, **about)

    def derive(self, native: str, label: str) -> Instrument:
        if dated := _DATED.fullmatch(native):
            code, day, month, year = dated.groups()
            if month in MONTHS:
                symbol = f"{code}-USD-{year}{MONTHS.index(month) + 1:02}{int(day):02}"
                return Instrument(id=f"{label}:{symbol}", venue=label, native=native, kind="future", base=code, quote="USD")
        if native.endswith("-PERP-INTX"):
            base = native.removesuffix("-PERP-INTX")
            symbol = f"{base}-USDC-PERP"
            return Instrument(id=f"{label}:{symbol}", venue=label, native=native, kind="perpetual", base=base, quote="USDC")
        return super().derive(native, label)

    def native_of(self, symbol: str) -> str:
        symbol = symbol.upper()
        pair, _, end = symbol.rpartition("-")
        base = pair.partition("-")[0]
        if end == "PERP":
            return f"{base}-PERP-INTX"
        if pair and re.fullmatch(r"\d{6}", end) and 1 <= int(end[2:4]) <= 12:
            return f"{base}-{int(end[4:])}{MONTHS[int(end[2:4]) - 1]}{end[:2]}-CDE"
        return symbol


def _message(what: str, channel: str, products: Sequence[str] = ()) -> bytes:
    """With the keys in the order of the documents."""
    return msgspec.json.encode({"type": what, **({"product_ids": products} if products else {}), "channel": channel})


def _contract(p: _Product, c: _Contract, label: str, taken: set[str], about: dict[str, Any]) -> Instrument:
    """Two contracts on one asset and day (a nano and a whole one) differ by their codes: the second one is named by its own."""
    base, quoted = c.contract_root_unit or p.product_id.partition("-")[0], p.quote_currency_id or "USD"
    perpetual = c.contract_expiry_type == "PERPETUAL"
    end = "PERP" if perpetual else _day(c)
    if f"{label}:{base}-{quoted}-{end}" in taken:
        base = c.contract_code or p.product_id.partition("-")[0]
    taken.add(f"{label}:{base}-{quoted}-{end}")
    size = step(c.contract_size) or 1.0
    return Instrument(
        id=f"{label}:{base}-{quoted}-{end}",
        kind="perpetual" if perpetual else "future",
        base=base,
        quote=quoted,
        lot=step((p.base_increment or 1.0) * size),
        contract_size=size,
        **about,
    )


def _day(c: _Contract) -> str:
    """YYMMDD of the delivery. ValueError where none is told."""
    iso_nanoseconds(c.contract_expiry or "")
    return (c.contract_expiry or "")[2:10].replace("-", "")
