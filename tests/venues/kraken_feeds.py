"""What the tests of Kraken share: its messages as its documents print them, and how to ask the decoder and the pipeline."""

from collections.abc import Sequence
from typing import Any

from tapeline.engine.pipeline import Pipeline
from tapeline.events import Event
from tapeline.frames import Frame
from tapeline.instruments import Registry
from tapeline.venues.base import Decoder, Record
from tapeline.venues.kraken import Kraken
from tests.engine.feeds import MS, T0, opened, play, recv

NOW = "2026-11-21T10:05:00.000000Z"  # T0


def decoder(*, simulated: bool = False) -> Decoder:
    return Kraken().decoder(Registry("kraken"), simulated=simulated)


def decoded(*raws: bytes, into: Decoder | None = None) -> Sequence[Record]:
    """The records of these messages, by one decoder."""
    reader = into or decoder()
    return [record for raw in raws for record in reader.decode(raw, T0)]


def streamed(*messages: Any, pipeline: Pipeline | None = None) -> list[Event]:
    """The events of these messages over one connection, the opening left out."""
    pipeline = pipeline or Pipeline()
    play([opened(venue="kraken", streams=())], pipeline)
    frames: list[Frame] = [recv(T0 + i * MS, message) for i, message in enumerate(messages)]
    return play(frames, pipeline)


def levels(*printed: str) -> bytes:
    """`100.1@0.50` → a level as the wire has it, trailing zeros and all."""
    parts = (level.split("@") for level in printed)
    return b",".join(b'{"price":%s,"qty":%s}' % (price.encode(), size.encode()) for price, size in parts)


def book(
    kind: str, bids: Sequence[str] = (), asks: Sequence[str] = (), checksum: int | None = None, symbol: str = "BTC/USD"
) -> bytes:
    proof = b"" if checksum is None else b',"checksum":%d' % checksum
    return b'{"channel":"book","type":"%s","data":[{"symbol":"%s","bids":[%s],"asks":[%s]%s,"timestamp":"%s"}]}' % (
        kind.encode(), symbol.encode(), levels(*bids), levels(*asks), proof, NOW.encode(),
    )  # fmt: skip


def trade(number: int, price: str = "100.1", size: str = "0.25", kind: str = "update", time: str = NOW) -> bytes:
    return (
        b'{"channel":"trade","type":"%s","data":[{"symbol":"BTC/USD","side":"buy","price":%s,"qty":%s,"ord_type":"limit",'
        b'"trade_id":%d,"timestamp":"%s"}]}' % (kind.encode(), price.encode(), size.encode(), number, time.encode())
    )


def candle(begin: str, close: float, trades: int, interval: int = 1) -> dict[str, Any]:
    return {
        "symbol": "BTC/USD", "open": 100.0, "high": 110.0, "low": 90.0, "close": close, "trades": trades, "volume": 2.5,
        "vwap": 101.0, "interval_begin": begin, "interval": interval, "timestamp": begin,
    }  # fmt: skip


def ohlc(kind: str, *candles: dict[str, Any], time: str = NOW) -> dict[str, Any]:
    return {"channel": "ohlc", "type": kind, "timestamp": time, "data": list(candles)}
