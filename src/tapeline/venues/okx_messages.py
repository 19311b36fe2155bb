"""The shapes of OKX's v5 messages and answers, and the typed decoders made from them.

Sources: OKX API v5, the pages of the public channels and of the market data endpoints as of 2025-08 and 2026-07.
Only the fields that are used stand here: unknown ones are skipped by the parser. Numbers come as texts, and a number that does not
exist as an empty one.

A level is `[price, size, "0" (deprecated), number of orders]`: what follows the size is not looked at.
"""

from typing import Annotated, Literal

import msgspec

from tapeline.instruments import Instrument
from tapeline.venues.shapes import ABSENT, AnyPrice, Id, PreviousId, Price, Rate, Size, reader
from tapeline.venues.shapes import Millis as Time

Checksum = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
Nothing = Literal[""]
Side = Literal["buy", "sell"]


class Level(msgspec.Struct, array_like=True, gc=False):
    price: Price
    size: Size


class Book(msgspec.Struct, gc=False):
    """Of every book channel, and of the answer to `/market/books`. Partial books lack `prevSeqId`, old recordings both numbers."""

    bids: list[Level]
    asks: list[Level]
    ts: Time
    seqId: Id | None = None
    prevSeqId: PreviousId | None = None
    checksum: Checksum = 0


class Digits(msgspec.Struct, gc=False):
    """A book's levels as they are printed."""

    bids: list[list[str]]
    asks: list[list[str]]


class Trade(msgspec.Struct, gc=False):
    """`count`: of the `trades` channel, how many trades it stands for. `source` "1": against an order of the price improvement
    programme (ELP, since 2026-07 RPI).
    """

    tradeId: Id
    px: Price
    sz: Size
    side: Side
    ts: Time
    instId: str = ""
    count: Annotated[int, msgspec.Meta(ge=1, le=2**31)] | None = None
    source: str = ""


class Ticker(msgspec.Struct, gc=False):
    instId: str
    ts: Time
    last: AnyPrice | Nothing = ""
    open24h: AnyPrice | Nothing = ""
    high24h: AnyPrice | Nothing = ""
    low24h: AnyPrice | Nothing = ""
    vol24h: Size | Nothing = ""
    volCcy24h: Size | Nothing = ""


class MarkPrice(msgspec.Struct, gc=False):
    instId: str
    ts: Time
    markPx: AnyPrice | Nothing = ""


class FundingRate(msgspec.Struct, gc=False):
    """`fundingRate` is the one that is paid at `fundingTime`. The oldest recordings lack `ts`."""

    instId: str
    fundingTime: Time | Nothing = ""
    fundingRate: Rate | Nothing = ""
    ts: Time | Nothing = ""


class OpenInterest(msgspec.Struct, gc=False):
    instId: str
    ts: Time
    oi: Size | Nothing = ""


class Forced(msgspec.Struct, gc=False):
    side: Side
    bkPx: Price
    sz: Size
    ts: Time


class Liquidations(msgspec.Struct, gc=False):
    instId: str
    details: list[Forced]


class Candle(msgspec.Struct, array_like=True, gc=False):
    """`volume` is in contracts for derivatives and in the base asset for spot; `in_ccy` in the base asset for derivatives and in the
    quote asset for spot; `in_quote` in the quote asset. `confirm` "1": it is over.
    """

    ts: Time
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Size
    in_ccy: Size | Nothing = ""
    in_quote: Size | Nothing = ""
    confirm: str = ""


class Books(msgspec.Struct, gc=False):
    data: list[Book]
    action: str = ""


class Texts(msgspec.Struct, gc=False):
    data: list[Digits]


class Trades(msgspec.Struct, gc=False):
    data: list[Trade]


class Tickers(msgspec.Struct, gc=False):
    data: list[Ticker]


class MarkPrices(msgspec.Struct, gc=False):
    data: list[MarkPrice]


class FundingRates(msgspec.Struct, gc=False):
    data: list[FundingRate]


class OpenInterests(msgspec.Struct, gc=False):
    data: list[OpenInterest]


class Liquidated(msgspec.Struct, gc=False):
    data: list[Liquidations]


class Candles(msgspec.Struct, gc=False):
    data: list[Candle]


class Arg(msgspec.Struct, gc=False):
    channel: str
    instId: str = ""
    instType: str = ""


class Head(msgspec.Struct, gc=False):
    """What tells what a message is. `table`: of the retired v3 feed. `code` without `event`: an HTTP answer."""

    arg: Arg | None = None
    event: str = ""
    id: str | int | None = None
    code: str | int = ""
    msg: str = ""
    channel: str = ""
    connCount: str = ""
    table: str = ""
    data: msgspec.Raw = ABSENT


class Answer(msgspec.Struct, gc=False):
    """Of every HTTP endpoint. A refusal comes with status 200, a `code` and an empty `data`."""

    data: msgspec.Raw
    code: str | int = "0"
    msg: str = ""


class Row(msgspec.Struct, gc=False):
    """The first element of an answer's `data`, where nobody says what was asked."""

    bids: msgspec.Raw = ABSENT
    instType: str = ""
    tradeId: str | int = ""


class Listed(msgspec.Struct, gc=False):
    """One row of `/public/instruments`."""

    instId: str
    instType: str
    baseCcy: str = ""
    quoteCcy: str = ""
    ctVal: Size | Nothing = ""
    ctMult: Size | Nothing = ""
    ctValCcy: str = ""
    tickSz: Size | Nothing = ""
    lotSz: Size | Nothing = ""
    state: str = ""


class Control(msgspec.Struct, gc=False):
    op: str
    args: list[Arg]
    id: str | int | None = None


read_books = reader(Books)
read_texts = reader(Texts, strict=True)
read_trades = reader(Trades)
read_tickers = reader(Tickers)
read_mark_prices = reader(MarkPrices)
read_funding_rates = reader(FundingRates)
read_open_interests = reader(OpenInterests)
read_liquidations = reader(Liquidated)
read_candles = reader(Candles)
read_arg = reader(Arg, strict=True)
read_head = reader(Head, strict=True)
read_answer = reader(Answer, strict=True)
read_rows = reader(list[Row], strict=True)
read_raw_rows = reader(list[msgspec.Raw], strict=True)
read_listed = reader(Listed)
read_control = reader(Control, strict=True)


class Unit:
    """What a contract is, as decoding needs it: how a number of contracts becomes a size.

    Linear: contracts × `contract_size` in the base asset. The product is computed in whole millionths of a contract and divided
    once, so that it is the float nearest to the true decimal: 0.37 contracts of 0.01 BTC are 0.0037, not 0.0037000000000000002. No
    lot is finer than a hundredth. All other sizes (spot, inverse contracts) stay what they are.
    """

    __slots__ = ("contracts", "factor", "instrument", "inverse", "over", "times")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument, self.inverse = instrument, instrument.inverse
        self.contracts = instrument.kind in {"perpetual", "future"}
        self.factor = 1.0 if instrument.inverse or not self.contracts else instrument.contract_size
        self.times, self.over = _ratio(self.factor)

    def size(self, contracts: float) -> float:
        return contracts if self.factor == 1.0 else round(contracts * 1e6) * self.times / self.over

    def levels(self, levels: list[Level]) -> list[tuple[float, float]]:
        if self.factor == 1.0:
            return [(lv.price, lv.size) for lv in levels]
        if self.times == 1:
            over = float(self.over)
            return [(lv.price, round(lv.size * 1e6) / over) for lv in levels]
        return [(lv.price, self.size(lv.size)) for lv in levels]


def _ratio(factor: float) -> tuple[int, int]:
    """`factor` / 10⁶ as two whole numbers, of the decimal that the float is printed as."""
    top, _, exponent = f"{factor:.15e}".partition("e")
    digits = top.replace(".", "").rstrip("0") or "0"
    power = int(exponent) - len(digits) + 1 - 6
    return int(digits) * 10 ** max(power, 0), 10 ** max(-power, 0)
