"""The shapes of Bybit's v5 messages and answers, and the typed decoders made from them.

Source: bybit-exchange/docs (2026-07-24), `docs/v5/websocket/public` and `docs/v5/market`. Only the fields that are used stand
here. Prices and sizes come as texts; a ticker's may be empty, and a key that is missing from it means "unchanged", so those stay
texts until they are merged.
"""

from typing import Literal

import msgspec

from tapeline.venues.shapes import ABSENT, AnyPrice, Id, Levels, Price, Size, reader
from tapeline.venues.shapes import Millis as Time

Kind = Literal["snapshot", "delta"]


class BookData(msgspec.Struct, gc=False):
    b: Levels
    a: Levels
    u: Id


class Book(msgspec.Struct, gc=False):
    """`cts`: when the matching engine made it; missing before 2023-11."""

    type: Kind
    ts: Time
    data: BookData
    cts: Time | None = None


class FullBook(BookData, gc=False):
    """An answer of `/full_orderbook`."""

    ts: Time
    cts: Time | None = None


class Trade(msgspec.Struct, gc=False):
    T: Time
    S: str
    v: Size
    p: AnyPrice
    i: str
    BT: bool = False
    RPI: bool = False


class Trades(msgspec.Struct, gc=False):
    data: list[Trade]


class TickerData(msgspec.Struct, gc=False):
    lastPrice: str | None = None
    prevPrice24h: str | None = None
    highPrice24h: str | None = None
    lowPrice24h: str | None = None
    volume24h: str | None = None
    turnover24h: str | None = None
    price24hPcnt: str | None = None
    markPrice: str | None = None
    indexPrice: str | None = None
    fundingRate: str | None = None
    nextFundingTime: str | None = None
    openInterest: str | None = None
    bid1Price: str | None = None
    bid1Size: str | None = None
    ask1Price: str | None = None
    ask1Size: str | None = None


class Ticker(msgspec.Struct, gc=False):
    type: Kind
    ts: Time
    data: TickerData


class Candle(msgspec.Struct, gc=False):
    start: Time
    interval: str
    open: Price
    close: Price
    high: Price
    low: Price
    volume: Size
    turnover: Size
    confirm: bool


class Candles(msgspec.Struct, gc=False):
    ts: Time
    data: list[Candle]


class Liquidated(msgspec.Struct, gc=False):
    """`S` is the side of the position that was closed, not of the order that closed it. `p` is the bankruptcy price."""

    T: Time
    S: str
    v: Size
    p: Price


class Liquidations(msgspec.Struct, gc=False):
    data: list[Liquidated]


class OneLiquidated(msgspec.Struct, gc=False):
    updatedTime: Time
    side: str
    size: Size
    price: Price


class OneLiquidation(msgspec.Struct, gc=False):
    """The topic `liquidation`, which `allLiquidation` replaced in 2025: the latest of a second."""

    data: OneLiquidated


class Topics(msgspec.Struct, gc=False):
    failTopics: list[str] = []
    successTopics: list[str] = []


class Head(msgspec.Struct, gc=False):
    """Just enough of any message to know what it is."""

    topic: str = ""
    op: str = ""
    success: bool | None = None
    ret_msg: str = ""
    req_id: str | int | None = None
    type: str = ""
    data: msgspec.Raw = ABSENT


class Control(msgspec.Struct, gc=False):
    op: str
    args: tuple[str, ...] = ()
    req_id: str | None = None


class PastTrade(msgspec.Struct, gc=False):
    execId: str
    price: AnyPrice
    size: Size
    side: str
    time: Time
    isBlockTrade: bool = False
    isRPITrade: bool = False


class PastTrades(msgspec.Struct, gc=False):
    list: list[PastTrade]


class PastCandle(msgspec.Struct, array_like=True, gc=False):
    start: Time
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Size
    turnover: Size


class PastCandles(msgspec.Struct, gc=False):
    list: list[PastCandle]


class PriceFilter(msgspec.Struct, frozen=True, gc=False):
    tickSize: float | None = None


class LotSizeFilter(msgspec.Struct, frozen=True, gc=False):
    """`basePrecision` on spot, `qtyStep` of contracts."""

    basePrecision: float | None = None
    qtyStep: float | None = None


class Listed(msgspec.Struct, gc=False):
    symbol: str
    baseCoin: str
    quoteCoin: str
    status: str = ""
    contractType: str = ""
    deliveryTime: Time = 0
    priceFilter: PriceFilter = PriceFilter()
    lotSizeFilter: LotSizeFilter = LotSizeFilter()


class Listing(msgspec.Struct, gc=False):
    category: str
    list: list[msgspec.Raw]
    nextPageCursor: str = ""


class Answer(msgspec.Struct, gc=False):
    """What every HTTP answer is wrapped in, those that refuse included: their status is 200, too."""

    retCode: int
    retMsg: str = ""
    result: msgspec.Raw = ABSENT


read_head = reader(Head)
read_control = reader(Control)
read_topics = reader(Topics)
read_book = reader(Book)
read_full_book = reader(FullBook)
read_trades = reader(Trades)
read_ticker = reader(Ticker)
read_candles = reader(Candles)
read_liquidations = reader(Liquidations)
read_one_liquidation = reader(OneLiquidation)
read_answer = reader(Answer)
read_past_trades = reader(PastTrades)
read_past_candles = reader(PastCandles)
read_listing = reader(Listing)
read_listed = reader(Listed)
