"""The shapes of Coinbase's messages, Exchange and Advanced Trade, and the typed decoders made from them.

Sources: docs.cdp.coinbase.com "Exchange WebSocket channels" (2025-05), "Advanced Trade WebSocket", live captures of 2026-08 and 09.
Both name the kind of a message in one field (`type`, `channel`), so one tagged union routes and types it in one pass. Numbers come
as strings; only fields that are used stand here.

`Loose…` are the same book messages with sizes as texts: Coinbase has sent sizes like `0.-10000`, and one such level must not cost a
whole snapshot.
"""

from typing import Literal

import msgspec

from tapeline.venues.shapes import AnyPrice, Id, Price, Rate, Seconds, Size, reader

Taken = Literal["buy", "sell"]
Quoted = Literal["bid", "offer"]
Phase = Literal["snapshot", "update"]

# Exchange


class Match(msgspec.Struct, tag="match", tag_field="type", gc=False):
    trade_id: Id
    product_id: str
    price: AnyPrice
    size: Size
    side: Taken
    time: str = ""


class LastMatch(Match, tag="last_match", tag_field="type", gc=False):
    pass


class L2Update(msgspec.Struct, tag="l2update", tag_field="type", gc=False):
    product_id: str
    changes: list[tuple[Taken, Price, Size]]
    time: str = ""


class LooseL2Update(msgspec.Struct, tag="l2update", tag_field="type", gc=False):
    product_id: str
    changes: list[tuple[Taken, Price, str]]
    time: str = ""


class L2Snapshot(msgspec.Struct, tag="snapshot", tag_field="type", gc=False):
    product_id: str
    bids: list[tuple[Price, Size]]
    asks: list[tuple[Price, Size]]
    time: str = ""


class LooseL2Snapshot(msgspec.Struct, tag="snapshot", tag_field="type", gc=False):
    product_id: str
    bids: list[tuple[Price, str]]
    asks: list[tuple[Price, str]]
    time: str = ""


class Ticker(msgspec.Struct, tag="ticker", tag_field="type", gc=False):
    product_id: str
    sequence: Id | None = None
    price: AnyPrice | None = None
    open_24h: AnyPrice | None = None
    high_24h: AnyPrice | None = None
    low_24h: AnyPrice | None = None
    volume_24h: Size | None = None
    best_bid: AnyPrice | None = None
    best_bid_size: Size | None = None
    best_ask: AnyPrice | None = None
    best_ask_size: Size | None = None
    time: str = ""


class Heartbeat(msgspec.Struct, tag="heartbeat", tag_field="type", gc=False):
    product_id: str
    last_trade_id: Id = 0
    time: str = ""


class Subscribed(msgspec.Struct, gc=False):
    name: str
    product_ids: list[str] | None = None


class Subscriptions(msgspec.Struct, tag="subscriptions", tag_field="type", gc=False):
    channels: list[Subscribed] = []


class Error(msgspec.Struct, tag="error", tag_field="type", gc=False):
    message: str = ""
    reason: str = ""


# Advanced Trade


class Level(msgspec.Struct, gc=False):
    """Of a snapshot: its `event_time` is 1970 as often as not, and there are 100,000 of it."""

    side: Quoted
    price_level: Price
    new_quantity: Size


class ChangedLevel(Level, gc=False):
    event_time: str = ""


class LooseLevel(msgspec.Struct, gc=False):
    side: Quoted
    price_level: Price
    new_quantity: str
    event_time: str = ""


class BookBegun(msgspec.Struct, tag="snapshot", tag_field="type", gc=False):
    product_id: str
    updates: list[Level]


class BookChanged(msgspec.Struct, tag="update", tag_field="type", gc=False):
    product_id: str
    updates: list[ChangedLevel]


class LooseBookBegun(msgspec.Struct, tag="snapshot", tag_field="type", gc=False):
    product_id: str
    updates: list[LooseLevel]


class LooseBookChanged(msgspec.Struct, tag="update", tag_field="type", gc=False):
    product_id: str
    updates: list[LooseLevel]


class L2Data(msgspec.Struct, tag="l2_data", tag_field="channel", gc=False):
    sequence_num: Id
    events: list[BookBegun | BookChanged]
    timestamp: str = ""


class LooseL2Data(msgspec.Struct, tag="l2_data", tag_field="channel", gc=False):
    sequence_num: Id
    events: list[LooseBookBegun | LooseBookChanged]
    timestamp: str = ""


class Print(msgspec.Struct, gc=False):
    """One trade of `market_trades`, or of REST `/ticker`. `side`: whose it is, is disputed; see coinbase_advanced.py."""

    product_id: str
    trade_id: Id
    price: AnyPrice
    size: Size
    side: Literal["BUY", "SELL"]
    time: str = ""


class Prints(msgspec.Struct, gc=False):
    type: Phase
    trades: list[Print]


class MarketTrades(msgspec.Struct, tag="market_trades", tag_field="channel", gc=False):
    sequence_num: Id
    events: list[Prints]
    timestamp: str = ""


class Figures(msgspec.Struct, gc=False):
    product_id: str
    price: AnyPrice | None = None
    volume_24_h: Size | None = None
    low_24_h: AnyPrice | None = None
    high_24_h: AnyPrice | None = None
    price_percent_chg_24_h: Rate | None = None
    best_bid: AnyPrice | None = None
    best_bid_quantity: Size | None = None
    best_ask: AnyPrice | None = None
    best_ask_quantity: Size | None = None


class FiguresEvent(msgspec.Struct, gc=False):
    tickers: list[Figures]


class AdvancedTicker(msgspec.Struct, tag="ticker", tag_field="channel", gc=False):
    sequence_num: Id
    events: list[FiguresEvent]
    timestamp: str = ""


class TickerBatch(AdvancedTicker, tag="ticker_batch", tag_field="channel", gc=False):
    pass


class Candle(msgspec.Struct, gc=False):
    """Five minutes from `start` on the socket; any length over HTTP, where no product is named."""

    start: Seconds
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Size
    product_id: str = ""


class CandlesEvent(msgspec.Struct, gc=False):
    type: Phase
    candles: list[Candle]


class Candles(msgspec.Struct, tag="candles", tag_field="channel", gc=False):
    sequence_num: Id
    events: list[CandlesEvent]
    timestamp: str = ""


class Heartbeats(msgspec.Struct, tag="heartbeats", tag_field="channel", gc=False):
    """`heartbeat_counter` is a number or a text; neither is needed, as `sequence_num` counts everything."""

    sequence_num: Id


class Granted(msgspec.Struct, gc=False):
    subscriptions: dict[str, list[str] | None] = {}


class AdvancedSubscriptions(msgspec.Struct, tag="subscriptions", tag_field="channel", gc=False):
    sequence_num: Id
    events: list[Granted] = []


# Anything, and HTTP


class Head(msgspec.Struct, gc=False):
    """Just enough of any message to know what it is."""

    type: str = ""
    channel: str = ""
    sequence_num: Id | None = None


class PastTrade(msgspec.Struct, gc=False):
    """Of Exchange's REST `/trades`; `side` is the maker's."""

    trade_id: Id
    price: AnyPrice
    size: Size
    side: Taken
    time: str = ""


class PastPrints(msgspec.Struct, gc=False):
    trades: list[Print]


class PastCandle(msgspec.Struct, array_like=True, gc=False):
    """One row of Exchange's REST `/candles`, in the venue's order."""

    start: Seconds
    low: Price
    high: Price
    open: Price
    close: Price
    volume: Size


class PastCandles(msgspec.Struct, gc=False):
    candles: list[Candle]


read_exchange = reader(Match | LastMatch | L2Update | L2Snapshot | Ticker | Heartbeat | Subscriptions | Error)
read_loose_exchange = reader(LooseL2Update | LooseL2Snapshot)
read_advanced = reader(L2Data | MarketTrades | AdvancedTicker | TickerBatch | Candles | Heartbeats | AdvancedSubscriptions)
read_loose_advanced = reader(LooseL2Data)
read_error = reader(Error)
read_head = reader(Head)
read_past_trades = reader(list[PastTrade])
read_past_prints = reader(PastPrints)
read_past_candle_rows = reader(list[PastCandle])
read_past_candles = reader(PastCandles)
