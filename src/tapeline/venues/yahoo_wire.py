"""Yahoo's messages: a protobuf record in base64, in a JSON envelope or bare.

    {"type": "pricing", "message": "<base64>"}      version 2 of the address
    <base64>                                        the older address, and old recordings

The record is `PricingData` (yfinance, `pricing.proto`), described here by its field numbers. Integers of it are zig-zag
(`sint64`): read as plain ones they are twice too large, which two public libraries get wrong. Fields are read with presence,
which proto3 denies and the wire has: `market_hours` 0 is sent, and means the pre-market; absent, the part of the day is not
known. Prices are float32 and are given as the shortest decimal that is the same float32: 94745.08, not 94745.078125. So at most 9
digits are true.

These are samples, not ticks: the server looks at its quotes every 1 to 5 seconds. Each message gives a `Ticker`. What was traded
since the last look is the growth of `day_volume`, and becomes one `Trade` of that size (SAMPLED, AGGREGATED, side unknown, no id)
at the sample's price and time. It is made only where the size is sure:

* Both samples are of one day of the exchange. The first of an instrument (it may be days old) or of a day, and one whose volume
  fell (a correction, a day we took for the same), is where counting begins.
* The sample is newer than the last one. An older one, or the same again (by a second connection, or after a subscription), moves
  nothing. Said twice on one connection it is no event either: a server that repeats itself must not pass for a market.
* The volume is the instrument's own, and the day's. Crypto assets have `vol_24hr`, and `day_volume` repeats it: a window that
  rolls, in the quote currency. What it grows by is not what was traded, so crypto assets give no trades; the figure is the
  ticker's `notional`. Nobody trades an index either: its volume is that of its members.

The `protobuf` library costs 40 ms to import, once and only where Yahoo is streamed, and 0.4 µs a message (its C core).
"""

import base64
import struct
from collections.abc import Callable, Sequence
from functools import cache, partial
from math import isfinite
from typing import Any, cast

import msgspec

from tapeline.clock import MILLI
from tapeline.events import Quote, Ticker, Trade
from tapeline.instruments import Instrument, Registry
from tapeline.venues.base import Decode, Record
from tapeline.venues.decoding import AGGREGATED, BAD_TIME, INEXACT, NO_VENUE_TIME, SAMPLED, BaseDecoder
from tapeline.venues.yahoo_names import EXCHANGES, KINDS, day_of, derive

FIELDS = (
    "id:string price:float time:sint64 currency:string exchange:string quote_type:int32 market_hours:int32 change_percent:float "
    "day_volume:sint64 day_high:float day_low:float change:float short_name:string expire_date:sint64 open_price:float "
    "previous_close:float strike_price:float underlying_symbol:string open_interest:sint64 options_type:sint64 mini_option:sint64 "
    "last_size:sint64 bid:float bid_size:sint64 ask:float ask_size:sint64 price_hint:sint64 vol_24hr:sint64 "
    "vol_all_currencies:sint64 from_currency:string last_market:string circulating_supply:double market_cap:double"
)
"""In the order of their numbers, from 1."""
SESSIONS = ("pre", "regular", "post", "extended", "overnight")
HEARTBEAT, INDEX, FUTURE = 7, 9, 18
MOST_EXACT = 2**53
_float32 = struct.Struct("<f")


class _Envelope(msgspec.Struct):
    type: str
    message: str = ""


_read_envelope = msgspec.json.Decoder(_Envelope).decode


@cache
def pricing_type() -> Any:
    """The message class `PricingData`, each field declared `optional`, so that it knows whether it was sent."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="tapeline/yahoo.proto", package="tapeline.yahoo", syntax="proto3")
    message = file.message_type.add(name="PricingData")
    for number, field in enumerate(FIELDS.split(), 1):
        name, _, kind = field.partition(":")
        message.field.add(
            name=name,
            number=number,
            type=kinds.Type.Value(f"TYPE_{kind.upper()}"),
            label=kinds.LABEL_OPTIONAL,
            proto3_optional=True,
            oneof_index=number - 1,  # how proto3 spells `optional`: a oneof of its own
        )
        message.oneof_decl.add(name=f"_{name}")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tapeline.yahoo.PricingData"))


def shortest(x: float) -> float:
    """The shortest decimal that is the same float32. ValueError where `x` is no number."""
    if not isfinite(x):
        raise ValueError(f"{x} is no price")
    for digits in (6, 7, 8):
        short = float(f"{x:.{digits}g}")
        if _float32.unpack(_float32.pack(short))[0] == x:
            return short
    return float(f"{x:.9g}")


class _Last:
    """The newest sample of an instrument: its time, its day, and the volume that counting stands at."""

    __slots__ = ("day", "exchange", "kind", "name", "time", "volume")

    def __init__(self, name: str) -> None:
        self.name = name
        self.time, self.day = -(1 << 63), 0
        self.volume: int | None = None
        self.exchange, self.kind = "", 0


class YahooDecoder(BaseDecoder):
    def __init__(self, registry: Registry, *, simulated: bool) -> None:
        super().__init__(registry, derive, simulated=simulated)
        self._last: dict[str, _Last] = {}
        self._said: dict[str, bytes] = {}  # by symbol: the last record on the connection that is being read
        self._learn_protobuf()

    def _learn_protobuf(self) -> None:
        from google.protobuf.message import DecodeError

        self._parse = cast(Callable[[bytes], Any], pricing_type().FromString)
        self._unreadable: type[Exception] = DecodeError

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in {"_parse", "_unreadable"}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._learn_protobuf()

    def of_connection(self, url: str) -> Decode:
        return partial(self._decode_on, {})

    def _decode_on(self, said: dict[str, bytes], data: bytes, ts_recv: int) -> Sequence[Record]:
        self._said = said
        return self.decode(data, ts_recv)

    def read(self, data: bytes, ts_recv: int) -> Sequence[Record]:
        if data[:1] == b"{":
            envelope = _read_envelope(data)
            if envelope.type != "pricing":
                self.count_unknown(envelope.type)
                return []
            text: str | bytes = envelope.message
        else:
            text = data.strip()
        message = base64.b64decode(text, validate=True)
        try:
            p = self._parse(message)
        except self._unreadable as e:
            raise ValueError(f"no PricingData: {e}") from None
        return self._sample(p, message, ts_recv)

    def _sample(self, p: Any, message: bytes, ts_recv: int) -> Sequence[Record]:
        if p.quote_type == HEARTBEAT:
            self.count_unknown("heartbeat")
            return []
        if not p.id:
            raise ValueError("a sample names no instrument")
        last = self._last.get(p.id)
        if last is None:
            last = self._last[p.id] = _Last(self.instrument(p.id))
        if message == self._said.get(p.id):
            return []
        self._said[p.id] = message
        if p.exchange != last.exchange or p.quote_type != last.kind:
            self._learn(p, last)
        flags = self.flags | SAMPLED
        if p.HasField("time"):
            ts, flags = self.timed(p.time * MILLI, ts_recv, flags)
        else:
            ts, flags = ts_recv, flags | NO_VENUE_TIME
        return self._events(p, last, ts, ts_recv, flags)

    def _events(self, p: Any, last: _Last, ts: int, ts_recv: int, flags: int) -> list[Record]:
        has, found = p.HasField, list[Record]()
        price = shortest(p.price) if has("price") else None
        if price is not None and price <= 0 and p.quote_type != FUTURE:
            raise ValueError(f"{price} is no price of {p.id}")
        volume = _count(p, "day_volume")
        rolling = has("vol_24hr")
        own = not rolling and p.quote_type != INDEX and not flags & BAD_TIME
        size = self._grown(last, ts, volume) if own else 0
        if size and price is not None:
            found.append(Trade(last.name, ts, ts_recv, flags | AGGREGATED, price, float(size), "unknown", ""))
        if has("bid") or has("ask"):
            found.append(_quote(p, last.name, ts, ts_recv, flags))
        if volume is not None and volume > MOST_EXACT:
            flags |= INEXACT
        figure = None if volume is None else float(volume)
        hours, interest = p.market_hours, _count(p, "open_interest")
        found.append(
            Ticker(
                last.name,
                ts,
                ts_recv,
                flags,
                last=price,
                open=shortest(p.open_price) if has("open_price") else None,
                high=shortest(p.day_high) if has("day_high") else None,
                low=shortest(p.day_low) if has("day_low") else None,
                volume=None if rolling else figure,
                notional=figure if rolling else None,
                change_pct=shortest(p.change_percent) if has("change_percent") else None,
                open_interest=None if interest is None else float(interest),
                session=SESSIONS[hours] if has("market_hours") and 0 <= hours < len(SESSIONS) else None,
            )
        )
        return found

    @staticmethod
    def _grown(last: _Last, ts: int, volume: int | None) -> int:
        """By how much the day's volume is known to have grown; the rules stand in the header."""
        if ts <= last.time:
            return 0
        last.time = ts
        if volume is None:
            return 0
        day, before = day_of(ts, last.exchange), last.volume
        same, last.day, last.volume = day == last.day, day, volume
        return max(0, volume - before) if same and before is not None else 0

    def _learn(self, p: Any, last: _Last) -> None:
        """What a message says of its instrument, where it is more than the symbol told."""
        last.exchange, last.kind = p.exchange, p.quote_type
        known = self.listed(p.id)
        session = EXCHANGES[p.exchange].session if p.exchange in EXCHANGES else known.session
        kind = KINDS.get(p.quote_type, known.kind)
        quote = known.quote or (p.currency if p.currency.isalpha() and len(p.currency) <= 5 else "")
        learned: Instrument = msgspec.structs.replace(known, kind=kind, session=session, quote=quote)
        if learned != known:
            self.registry.learn(learned)


def _count(p: Any, name: str) -> int | None:
    """A figure that counts something. ValueError where it is negative."""
    if not p.HasField(name):
        return None
    value = int(getattr(p, name))
    if value < 0:
        raise ValueError(f"{name} is {value}")
    return value


def _quote(p: Any, name: str, ts: int, ts_recv: int, flags: int) -> Quote:
    has = p.HasField
    bid, ask = (shortest(getattr(p, side)) if has(side) else None for side in ("bid", "ask"))
    bid_size, ask_size = (_count(p, f"{side}_size") for side in ("bid", "ask"))
    return Quote(
        name,
        ts,
        ts_recv,
        flags,
        bid,
        None if bid_size is None else float(bid_size),
        ask,
        None if ask_size is None else float(ask_size),
        None,
        "venue",
    )


def event_time(data: bytes) -> int | None:
    """The time in a raw message, ns; None where it has none that can be read."""
    from google.protobuf.message import DecodeError

    try:
        text: str | bytes = _read_envelope(data).message if data[:1] == b"{" else data.strip()
        p = pricing_type().FromString(base64.b64decode(text, validate=True))
    except (msgspec.MsgspecError, ValueError, DecodeError):
        return None
    return int(p.time) * MILLI if p.HasField("time") else None
