"""The shapes of Binance's messages, spot and futures, and the typed decoders made from them.

Sources: binance-spot-api-docs `web-socket-streams.md` (2026-06), the USDⓈ-M WebSocket market stream pages (2026-03 to 07).
Only the fields that are used stand here: unknown ones are skipped by the parser. Numbers come as strings; times are µs where that
was asked for, and never past what µs may be.
"""

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from tapeline.venues.shapes import ABSENT, AnyPrice, Id, Levels, PreviousId, Price, Rate, Size, reader
from tapeline.venues.shapes import Micros as Time

Interval = Literal["1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"]


class Trade(msgspec.Struct, gc=False):
    t: Id
    p: AnyPrice
    q: Size
    T: Time
    m: bool
    s: str = ""
    X: str = "MARKET"


class PastTrade(msgspec.Struct, gc=False):
    """A row of `/trades` and `/historicalTrades`; those of `/aggTrades` have the shape of the stream's."""

    id: Id
    price: AnyPrice
    qty: Size
    time: Time
    isBuyerMaker: bool


class AggTrade(msgspec.Struct, gc=False):
    p: AnyPrice
    q: Size
    T: Time
    m: bool
    s: str = ""
    a: Id | None = None


class Depth(msgspec.Struct, gc=False):
    E: Time
    U: Id
    u: Id
    b: Levels
    a: Levels
    s: str = ""
    pu: PreviousId | None = None


class BookTicker(msgspec.Struct, gc=False):
    u: Id
    b: AnyPrice
    B: Size
    a: AnyPrice
    A: Size
    s: str = ""
    E: Time | None = None


class Snapshot(msgspec.Struct, gc=False):
    lastUpdateId: PreviousId
    bids: Levels
    asks: Levels
    E: Time | None = None


class Candle(msgspec.Struct, gc=False):
    t: Time
    T: Time
    i: Interval
    o: Price
    c: Price
    h: Price
    l: Price  # noqa: E741 - the venue's name
    v: Size
    n: Id
    x: bool
    q: Size
    V: Size


class PastCandle(msgspec.Struct, array_like=True, gc=False):
    """One row of REST `/klines`, in the venue's order; what follows `buy_volume` is not used."""

    open_time: Time
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Size
    close_time: Time
    notional: Size
    trades: int
    buy_volume: Size


class Kline(msgspec.Struct, gc=False):
    E: Time
    s: str
    k: Candle


class Ticker(msgspec.Struct, gc=False):
    E: Time
    s: str
    c: AnyPrice
    o: AnyPrice
    h: AnyPrice
    l: AnyPrice  # noqa: E741 - the venue's name
    v: Size
    q: Size
    P: Rate | None = None


class MarkPrice(msgspec.Struct, gc=False):
    E: Time
    s: str
    p: AnyPrice
    r: str = ""
    i: AnyPrice | None = None
    T: Time = 0


class ForcedOrder(msgspec.Struct, gc=False):
    s: str
    S: str
    q: Size
    p: AnyPrice
    T: Time
    ap: AnyPrice | None = None


class ForceOrder(msgspec.Struct, gc=False):
    o: ForcedOrder


class OpenInterest(msgspec.Struct, gc=False):
    symbol: str
    openInterest: Size
    time: Time | None = None


class Error(msgspec.Struct, gc=False):
    code: int = 0
    msg: str = ""


class Head(msgspec.Struct, gc=False):
    """Just enough of any message to know what it is."""

    stream: str = ""
    data: msgspec.Raw = ABSENT
    e: str = ""
    s: str = ""
    u: int | None = None
    lastUpdateId: int | None = None
    openInterest: msgspec.Raw = ABSENT
    result: msgspec.Raw = ABSENT
    id: int | str | None = None
    error: Error | None = None
    code: int | None = None
    msg: str = ""


def enveloped(kind: type[msgspec.Struct]) -> Callable[[bytes], Any]:
    struct = msgspec.defstruct(f"{kind.__name__}Envelope", [("data", kind)], gc=False)
    return msgspec.json.Decoder(struct, strict=False).decode


read_head = reader(Head)
read_list = reader(list[msgspec.Raw])
read_trade = reader(Trade)
read_agg_trade = reader(AggTrade)
read_depth = reader(Depth)
read_book_ticker = reader(BookTicker)
read_kline = reader(Kline)
read_ticker = reader(Ticker)
read_mark_price = reader(MarkPrice)
read_force_order = reader(ForceOrder)
read_open_interest = reader(OpenInterest)
read_past_candles = reader(list[PastCandle])
read_past_trades = reader(list[PastTrade])
read_past_aggregates = reader(list[AggTrade])
read_snapshot = reader(Snapshot)
