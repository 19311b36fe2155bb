"""The decoder of Finnhub's messages.

Sources: the trades page of Finnhub's API documents (AsyncAPI copy, 2026-08) and recorded messages.

    {"data": [{"c": ["1", "12"], "p": 118.81, "s": "XOM", "t": 1676055242333, "v": 100}, …], "type": "trade"}
    {"type": "ping"}        {"type": "error", "msg": "Subscribing to too many symbols"}

* One message mixes instruments and is not in the order of time. Its trades are given out in the order of time, equal times as
  they stand: nothing says that the order within a message means anything, and one in which a later second comes first would
  close a bar, and mark as late what came in the same message. The message as it was is on the tape.
* There are no ids, and equal prints are different trades: nothing is taken for a double, and no hole can be seen.
* There is no side: `unknown`.
* `v` 0 is a new price and no trade (currencies): it gives a `Ticker` with the last price.
* `c`, the conditions, are codes (1 regular … 12 odd lot, 24 extended hours); null or absent for crypto and currencies.

A quote over HTTP tells of the trading day, `dp` in per cent of the close before it. All zeros: Finnhub does not know the symbol.
"""

import re
from collections.abc import Callable, Sequence
from operator import attrgetter

import msgspec

from tapeline.clock import MILLI, SECOND
from tapeline.events import Ticker, Trade
from tapeline.frames import HttpAnswer
from tapeline.instruments import Instrument, Registry
from tapeline.venues.base import Ack, Record
from tapeline.venues.decoding import (
    DAY,
    EARLIEST,
    MOST_SAID,
    NO_VENUE_TIME,
    OTHER,
    SAMPLED,
    BaseDecoder,
    inexact,
    long_run,
)
from tapeline.venues.shapes import AnyPrice, Millis, Price, Rate, Seconds

_TRADES_END = b'"type":"trade"}'
_TIME = re.compile(rb'"t"\s*:\s*(\d{12,15})\b')
_by_time = attrgetter("t")


class _Print(msgspec.Struct, gc=False):
    p: Price
    s: str
    t: Millis
    v: AnyPrice = 0.0
    c: list[str] | None = None


class _Trades(msgspec.Struct, gc=False):
    data: list[_Print]


class _Head(msgspec.Struct, gc=False):
    type: str = ""
    msg: str = ""


class _Quote(msgspec.Struct, gc=False):
    c: AnyPrice = 0.0
    o: AnyPrice = 0.0
    h: AnyPrice = 0.0
    l: AnyPrice = 0.0  # noqa: E741 - the venue's name
    dp: Rate | None = None
    t: Seconds = 0


_read_trades = msgspec.json.Decoder(_Trades).decode
_read_head = msgspec.json.Decoder(_Head).decode
_read_quote = msgspec.json.Decoder(_Quote).decode


def event_time(raw: bytes) -> int | None:
    """That of its latest trade."""
    return max((int(t) * MILLI for t in _TIME.findall(raw)), default=None)


class FinnhubDecoder(BaseDecoder):
    def __init__(self, registry: Registry, derive: Callable[[str, str], Instrument], *, simulated: bool) -> None:
        super().__init__(registry, derive, simulated=simulated)

    def read(self, data: bytes, ts_recv: int) -> Sequence[Record]:
        if data.endswith(_TRADES_END):
            return self._trades(data, ts_recv)
        head = _read_head(data)
        if head.type == "trade":
            return self._trades(data, ts_recv)
        if head.type == "error":
            return [Ack(None, head.msg[:MOST_SAID] or "an error without words")]
        if head.type != "ping":
            self.count_unknown(head.type or OTHER)
        return []

    def _trades(self, data: bytes, ts_recv: int) -> Sequence[Record]:
        prints, names = _read_trades(data).data, self.registry.by_native
        flags = self.flags_of(data) if long_run(data) and inexact(data) else self.flags
        made: list[Record] = []
        for m in _in_order(prints):
            known = names.get(m.s)
            name = known.id if known is not None else self.instrument(m.s)
            ts, own = m.t * MILLI, flags
            if not EARLIEST < ts < ts_recv + DAY:
                ts, own = self.timed(ts, ts_recv, flags)
            if m.v:
                made.append(Trade(name, ts, ts_recv, own, m.p, m.v, "unknown", "", ",".join(m.c)[:MOST_SAID] if m.c else None))
            else:
                made.append(Ticker(name, ts, ts_recv, own, last=m.p))
        return made

    def answer(self, answer: HttpAnswer, body: bytes, ts_recv: int) -> Sequence[Record]:
        """A quote that was polled. Nothing where Finnhub does not know the symbol."""
        if answer.purpose != "poll":
            return []
        q, flags = _read_quote(body), self.flags_of(body) | SAMPLED
        if not q.c:
            self.count_unknown("no quote")
            return []
        ts, flags = self.timed(q.t * SECOND, ts_recv, flags) if q.t else (ts_recv, flags | NO_VENUE_TIME)
        name = self.instrument(answer.native)
        return [Ticker(name, ts, ts_recv, flags, q.c, q.o or None, q.h or None, q.l or None, change_pct=q.dp)]


def _in_order(prints: list[_Print]) -> list[_Print]:
    """By time; the sort keeps the order of equals, and costs nothing where the order is right already."""
    if len(prints) > 1:
        prints.sort(key=_by_time)
    return prints
