"""The shapes of Kraken's messages, WebSocket v2, v1 and REST, the typed decoders made from them, and Kraken's old names.

Sources: docs.kraken.com, "Spot WebSocket v2" (book, trade, ticker, ohlc, instrument, status), "Spot WebSocket v1" and "Spot REST"
(AssetPairs, Trades, OHLC), 2026. Only the fields that are used stand here. v2 prints prices and sizes as JSON numbers, v1 and REST
as texts; either is read everywhere.
"""

from typing import Annotated, Literal

import msgspec

from tapeline.venues.shapes import AnyPrice, Id, Price, Rate, Seconds, Size, reader

Symbol = Annotated[str, msgspec.Meta(min_length=1)]
Crc = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
Type = Literal["snapshot", "update"]

DEPTHS = (10, 25, 100, 500, 1000)
MINUTES = {1: "1m", 5: "5m", 15: "15m", 30: "30m", 60: "1h", 240: "4h", 1440: "1d", 10080: "1w", 21600: "15d"}
"""Our names of Kraken's candle intervals, which it counts in minutes."""
KINDS = (
    "instrument", "trade", "ticker", "ticker-bbo",
    *(f"book-{depth}" for depth in DEPTHS), *(f"ohlc-{minutes}" for minutes in MINUTES),
)  # fmt: skip
"""What one can subscribe to: a stream's name is one of these, a colon and the symbol, as in `book-100:BTC/USD`."""
KINDS_PER_ID = 100
"""`req_id` is the message's number × this + the place of its kind in `KINDS`: a refusal repeats it, and names no channel itself."""

RENAMED = {"XBT": "BTC", "XDG": "DOGE"}
"""Assets that v1 and REST call otherwise than v2, and than everybody else."""
_OLD = {new: old for old, new in RENAMED.items()}


def modern(pair: str) -> str:
    """`XBT/EUR` → `BTC/EUR`, the symbol of v2."""
    base, slash, quote = pair.partition("/")
    return f"{RENAMED.get(base, base)}{slash}{RENAMED.get(quote, quote)}"


def rest_pair(native: str) -> str:
    """`BTC/EUR` → `XBTEUR`, which every REST question understands."""
    base, _, quote = native.partition("/")
    return f"{_OLD.get(base, base)}{_OLD.get(quote, quote)}"


class Level(msgspec.Struct, gc=False):
    price: Price
    qty: Size


class RawLevel(msgspec.Struct, gc=False):
    price: msgspec.Raw
    qty: msgspec.Raw


class Book(msgspec.Struct, gc=False):
    symbol: Symbol
    bids: list[Level] = []
    asks: list[Level] = []
    checksum: Crc | None = None
    timestamp: str = ""


class BookTexts(msgspec.Struct, gc=False):
    bids: list[RawLevel] = []
    asks: list[RawLevel] = []


class Books(msgspec.Struct, gc=False):
    data: list[Book]
    type: Type


class BooksTexts(msgspec.Struct, gc=False):
    data: list[BookTexts]


class Trade(msgspec.Struct, gc=False):
    symbol: Symbol
    side: Literal["buy", "sell"]
    price: Price
    qty: Size
    trade_id: Id
    timestamp: str


class Trades(msgspec.Struct, gc=False):
    data: list[Trade]
    type: Type


class Ticker(msgspec.Struct, gc=False):
    symbol: Symbol
    bid: AnyPrice = 0.0
    bid_qty: Size = 0.0
    ask: AnyPrice = 0.0
    ask_qty: Size = 0.0
    last: AnyPrice | None = None
    volume: Size | None = None
    low: AnyPrice | None = None
    high: AnyPrice | None = None
    change_pct: Rate | None = None
    timestamp: str = ""


class Tickers(msgspec.Struct, gc=False):
    data: list[Ticker]
    type: Type


class Candle(msgspec.Struct, gc=False):
    symbol: Symbol
    open: AnyPrice
    high: AnyPrice
    low: AnyPrice
    close: AnyPrice
    trades: Id
    volume: Size
    vwap: AnyPrice
    interval_begin: str
    interval: int


class Candles(msgspec.Struct, gc=False):
    data: list[Candle]
    type: Type
    timestamp: str = ""


class Pair(msgspec.Struct, gc=False):
    symbol: Symbol
    base: str
    quote: str
    status: str
    qty_increment: float | None = None
    price_increment: float | None = None


class Pairs(msgspec.Struct, gc=False):
    pairs: list[msgspec.Raw] = []


class Instruments(msgspec.Struct, gc=False):
    data: Pairs
    type: Type


class System(msgspec.Struct, gc=False):
    system: str


class Statuses(msgspec.Struct, gc=False):
    data: list[System]


class Result(msgspec.Struct, gc=False):
    channel: str = ""
    symbol: str = ""
    depth: int = 0
    interval: int = 0
    event_trigger: str = ""
    warnings: list[str] = []


class Head(msgspec.Struct, gc=False):
    """Just enough of any object to know what it is; `event` and what follows are v1's."""

    channel: str = ""
    method: str = ""
    success: bool | None = None
    error: str = ""
    symbol: str = ""
    req_id: Id | None = None
    result: Result | None = None
    event: str = ""
    status: str = ""
    errorMessage: str = ""
    pair: str = ""
    channelName: str = ""


class RestAnswer(msgspec.Struct, gc=False):
    error: list[str] = []
    result: dict[str, msgspec.Raw] = {}


class RestPair(msgspec.Struct, gc=False):
    wsname: str = ""
    status: str = ""
    pair_decimals: Annotated[int, msgspec.Meta(ge=-12, le=18)] | None = None
    lot_decimals: Annotated[int, msgspec.Meta(ge=-12, le=18)] | None = None
    tick_size: float | None = None


class RestTrade(msgspec.Struct, array_like=True, gc=False):
    """`time` is a JSON number of seconds with up to 9 decimals: kept as printed, for integers."""

    price: Price
    volume: Size
    time: msgspec.Raw
    side: Literal["b", "s"]
    order: str
    misc: str
    trade_id: Id


class RestCandle(msgspec.Struct, array_like=True, gc=False):
    time: Seconds
    open: AnyPrice
    high: AnyPrice
    low: AnyPrice
    close: AnyPrice
    vwap: AnyPrice
    volume: Size
    count: Id


read_head = reader(Head, strict=True)
read_books = reader(Books)
read_book_texts = reader(BooksTexts, strict=True)
read_trades = reader(Trades)
read_tickers = reader(Tickers)
read_candles = reader(Candles)
read_instruments = reader(Instruments, strict=True)
read_pair = reader(Pair, strict=True)
read_statuses = reader(Statuses, strict=True)
read_rest = reader(RestAnswer, strict=True)
read_rest_pair = reader(RestPair)
read_rest_trades = reader(list[RestTrade])
read_rest_candles = reader(list[RestCandle])
