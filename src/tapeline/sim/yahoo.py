"""Yahoo Finance on the wire: samples of stocks, crypto assets and currencies, as protobuf in base64.

    > {"subscribe": ["AAPL", "BTC-USD"]}            no answer, but each symbol's last sample
    < {"type": "pricing", "message": "<base64>"}    on /?version=2; the bare base64 otherwise

The server looks at its quotes every 1 to 5 s, in a rhythm that each symbol has for itself, and sends what has changed since. A
connection has a hundred symbols; unknown ones take a place, what is past that is silently left out, and ending one frees its place.
JSON that cannot be read ends the connection without a code. No pings, no errors, no numbers of messages.

The record is written by hand, field by field, so that the decoder is not tested against its own library. Prices are float32; the
volume of a stock counts from midnight UTC, that of a crypto asset is worth of 24 hours in dollars, currencies have none.

Not imitated: trading hours. Simulated stocks are traded day and night, and always say that it is the regular session. Nor quotes
(bid and ask have never been seen), options, futures, nor any HTTP address but the search.
"""

import base64
import math
import re
import struct
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import msgspec

from tapeline.clock import SECOND
from tapeline.sim.hub import MILLIS, Conn, Hub
from tapeline.sim.instrument import Instrument
from tapeline.sim.klines import bucket
from tapeline.sim.market import Market
from tapeline.sim.specs import Kind, listed
from tapeline.sim.wire import Answers, Data, Place, Reply, Wire

SYMBOLS = 100
SLOWEST = 5  # seconds between two looks at a symbol
REGULAR = 1
EXCHANGE: dict[Kind, tuple[str, int]] = {"stock": ("NMS", 8), "spot": ("CCC", 41), "fx": ("CCY", 14)}
"""Exchange and quote type."""
STOCKS = ("AAPL", "MSFT", "NVDA", "TSLA", "AMZN", "GOOGL", "META", "SPY", "QQQ")
CRYPTO = (("BTC", 2), ("ETH", 2), ("SOL", 2), ("XRP", 5), ("DOGE", 5))
CURRENCIES = (("EURUSD=X", "EUR", "USD", 5), ("GBPUSD=X", "GBP", "USD", 5), ("JPY=X", "USD", "JPY", 3))


def _varint(n: int) -> bytes:
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def _text(number: int, value: str) -> bytes:
    raw = value.encode()
    return _varint(number << 3 | 2) + _varint(len(raw)) + raw


def _float(number: int, value: float) -> bytes:
    return _varint(number << 3 | 5) + struct.pack("<f", value)


def _int(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _zigzag(number: int, value: int) -> bytes:
    return _int(number, value << 1 if value >= 0 else (-value << 1) - 1)


class _Symbol:
    """What is known of one symbol: the volume of its day, and its last sample."""

    def __init__(self, instrument: Instrument, period: int) -> None:
        self.instrument, self.period = instrument, period
        self.day, self.volume = -1, 0
        self.shown: tuple[int, int] = (0, 0)  # price and volume of the last sample
        self.sample = ""

    def step(self, now: int) -> None:
        day = bucket(now, "1d")
        if day != self.day:
            self.volume = self.instrument.klines.at("1d", day).volume if self.day < 0 else 0
            self.day = day
        self.volume += sum(t.size for t in self.instrument.trades)

    def look(self, now: int) -> str | None:
        """A sample where price or volume has changed, None otherwise."""
        shown = (self._price(), self.volume)
        if shown == self.shown:
            return None
        self.shown = shown
        self.sample = base64.b64encode(self._record(shown[0], now)).decode()
        return self.sample

    def _price(self) -> int:
        """The last trade's; of currencies, which have no tape, the middle of the touch."""
        bid, _, ask, _ = self.instrument.lob.touch()
        return (bid + ask) // 2 if self.instrument.spec.kind == "fx" else self.instrument.last_price

    def _record(self, price: int, now: int) -> bytes:
        spec, klines = self.instrument.spec, self.instrument.klines
        exchange, quote_type = EXCHANGE[spec.kind]
        bar, tick = klines.window(now), spec.tick_size
        opened = bar.open if bar is not None else price
        record = _text(1, spec.native) + _float(2, price * tick) + _zigzag(3, now // MILLIS)
        record += _text(4, spec.quote) + _text(5, exchange) + _int(6, quote_type) + _int(7, REGULAR)
        record += _float(8, (price - opened) * 100 / opened)
        worth = 0
        if spec.kind == "stock":
            record += _zigzag(9, self.volume // 10**spec.size_decimals)
        elif spec.kind == "spot" and bar is not None:
            worth = round(bar.notional * tick * spec.lot_size)
            record += _zigzag(9, worth)
        if bar is not None:
            record += _float(10, max(bar.high, price) * tick) + _float(11, min(bar.low, price) * tick)
        record += _float(12, (price - opened) * tick) + _float(15, opened * tick) + _zigzag(27, 2)
        if spec.kind == "spot":
            record += _zigzag(28, worth) + _zigzag(29, worth) + _text(30, spec.base)
        return record


class Yahoo(Wire):
    venue = "yahoo"
    specs: ClassVar = (
        *(listed("yahoo", s, s, "USD", 2, 0, kind="stock") for s in STOCKS),
        *(listed("yahoo", f"{base}-USD", base, "USD", decimals, 6) for base, decimals in CRYPTO),
        *(listed("yahoo", native, base, quote, d, 0, kind="fx") for native, base, quote, d in CURRENCIES),
    )
    default = ("AAPL", "MSFT", "NVDA", "TSLA", "AMZN", "SPY", "BTC-USD", "ETH-USD", "EURUSD=X", "JPY=X")
    stamps = True  # the envelope belongs to the address
    book_streams = "*"

    def __init__(self, market: Market, hub: Hub) -> None:
        super().__init__(market, hub)
        self.symbols = {line.native: _Symbol(line.instrument, 1 + n % SLOWEST) for n, line in enumerate(self.lines.values())}

    def place(self, path: str, query: Mapping[str, str]) -> Place | None:
        return Place("v2" if query.get("version") == "2" else "") if path in {"", "/"} else None

    def stamp(self, conn: Conn, body: bytes) -> bytes:
        return b'{"type":"pricing","message":"%b"}' % body if conn.path == "v2" else body

    def serves(self, stream: str, path: str) -> bool:  # one address serves all
        return stream in self.symbols

    def command(self, conn: Conn, data: bytes, *, wrapped: bool) -> Answers:  # errors are not told
        try:
            message = msgspec.json.decode(data, type=dict[str, list[str]])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            conn.close(1005)
            return ()
        for symbol in message.get("unsubscribe", ()):
            self.hub.unsubscribe(conn, symbol)
        new = [s for s in dict.fromkeys(message.get("subscribe", ())) if s not in conn.streams]
        new = new[: max(0, SYMBOLS - len(conn.streams))]
        for symbol in new:
            self.hub.subscribe(conn, symbol, served=symbol in self.symbols)
        return [Data(s, self.symbols[s].sample.encode()) for s in new if s in self.symbols and self.symbols[s].sample]

    def command_error(self, data: bytes, code: int, msg: str, *, wrapped: bool) -> bytes:
        return b'{"type":"error"}'  # Yahoo tells none: this is for faults only

    def publish(self, now: int) -> None:
        for native, symbol in self.symbols.items():
            symbol.step(now)
            if now % (symbol.period * SECOND) == 0 and (sample := symbol.look(now)) is not None:
                self.hub.publish(self.venue, native, sample)

    def endpoint(self, path: str) -> str | None:
        return "search" if path.strip("/") == "v1/finance/search" else None

    def http(self, name: str, params: Mapping[str, str], now: int, book: Callable[[str], Any]) -> Reply:
        """Symbols that contain the words, in any case."""
        words, most = params.get("q", "").upper(), int(params.get("quotesCount", "7"))
        found = [self._found(native) for native in self.symbols if words in native][:most]
        return Reply(msgspec.json.encode({"explains": [], "count": len(found), "quotes": found, "news": []}))

    def _found(self, native: str) -> dict[str, Any]:
        kind = self.lines[native].spec.kind
        word = {"stock": "EQUITY", "spot": "CRYPTOCURRENCY", "fx": "CURRENCY"}[kind]
        return {"exchange": EXCHANGE[kind][0], "shortname": native, "quoteType": word, "symbol": native, "isYahooFinance": True}

    def malform(self, payload: bytes, how: str) -> bytes:
        """Numbers that must not be believed go into the record: of a field that stands twice, the last counts."""
        if how == "utf8":
            return payload[:-1] + b"\xff"
        spoiled = _SPOILED.get(how)
        return super().malform(payload, how) if spoiled is None else _extended(payload, spoiled)

    def skew(self, payload: bytes, ms: int) -> bytes:
        return _extended(payload, _zigzag(3, self.market.now // MILLIS + ms))

    def cross(self, payload: bytes) -> bytes:
        return payload  # there is no book

    def corrupt(self, payload: bytes) -> bytes:
        return payload  # and no checksum


def _extended(payload: bytes, fields: bytes) -> bytes:
    """A message with more fields at the end of its record."""
    found = _RECORD.search(payload)
    if found is None:
        return payload
    longer = base64.b64encode(base64.b64decode(found[0]) + fields)
    return payload[: found.start()] + longer + payload[found.end() :]


_RECORD = re.compile(rb"[A-Za-z0-9+/]{40,}={0,2}")
_SPOILED = {
    "nan": _float(2, math.nan),
    "negative": _float(2, -1.0),
    "zero_price": _float(2, 0.0),
    "huge_id": _text(1, "A" * 100),
    "epoch": _zigzag(3, 0),
    "year_one": _zigzag(3, -62_135_596_800_000),
}


WIRE = Yahoo
