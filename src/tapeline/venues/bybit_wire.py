"""The decoder of Bybit's v5 messages: spot, linear and inverse. How one connection's messages are read stands in bybit_reader.py.

Source: bybit-exchange/docs (2026-07-24), `docs/v5/websocket/public` and `docs/v5/market`. Each connection has a `Reader` of its own,
because its address decides what a symbol means (bybit_names.py) and because tickers are told in differences: what one connection has
said is not for another to continue. HTTP answers name their category themselves; one that refuses has status 200 and a code.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from tapeline.clock import MILLI
from tapeline.errors import MalformedFrame
from tapeline.events import Bar, Trade
from tapeline.frames import HttpAnswer
from tapeline.instruments import Registry
from tapeline.venues import bybit_messages as w
from tapeline.venues.base import BookMessage, Decode, Past, Record, Request
from tapeline.venues.bybit_names import CATEGORIES, Category, category_of, category_of_message, derive
from tapeline.venues.bybit_reader import MOST_ROUTES, SIDES, TOPIC, Reader, oddities, worth
from tapeline.venues.decoding import MOST_SAID, RECOVERED, BaseDecoder

MINUTES = {"1m": 1, "5m": 5, "15m": 15, "1h": 60, "4h": 240, "1d": 1440}  # of the past candles that are asked for
MOST_FULL = 10_000  # levels a side of a full book
Snapshot = Callable[[str, int, int], Request | None]
_EVENT_TIME = re.compile(rb'"ts"\s*:\s*(\d{13})\b')


def event_time(raw: bytes) -> int | None:
    found = _EVENT_TIME.search(raw)
    return int(found[1]) * MILLI if found else None


class BybitDecoder(BaseDecoder):
    """`decode` is for messages whose connection is not known; `of_connection` gives the way of one whose address is.

    `quoted`: ids of the instruments whose level 1 comes by a topic of its own, on whatever connection.
    """

    def __init__(self, registry: Registry, snapshot: Snapshot | None = None, *, simulated: bool) -> None:
        """`snapshot` as of `BaseDecoder`: only full books need it."""
        super().__init__(registry, derive, snapshot, simulated=simulated)
        self.quoted: set[str] = set()
        self._unbound = Guessing(self)

    def of_connection(self, url: str) -> Decode:
        category = category_of(url)
        return partial(_read, Guessing(self) if category is None else Reader(self, category, self.quoted))

    def read(self, data: bytes, ts_recv: int) -> Sequence[Record]:
        return self._unbound.read(data, ts_recv)

    def answer(self, answer: HttpAnswer, body: bytes, ts_recv: int) -> Sequence[Record]:
        """A full book, recent trades, or past candles. Other purposes are not for the market."""
        if answer.purpose == "book":
            return [self._fetched(w.read_full_book(result_of(body)), answer.native, ts_recv, self.flags_of(body))]
        if answer.purpose == "trades":
            return [self._recent(w.read_past_trades(result_of(body)), answer.native, ts_recv, self.flags_of(body) | RECOVERED)]
        if answer.purpose.startswith("bars "):
            return self._past(w.read_past_candles(result_of(body)), answer, ts_recv, self.flags_of(body) | RECOVERED)
        return []

    def _fetched(self, m: w.FullBook, native: str, ts_recv: int, flags: int) -> BookMessage:
        ts, flags = self.timed((m.cts or m.ts) * MILLI, ts_recv, flags)
        return BookMessage(native, ts, flags, "fetched", m.b, m.a, m.u, -1, MOST_FULL)

    def _recent(self, m: w.PastTrades, native: str, ts_recv: int, flags: int) -> Past:
        """The venue gives the newest first; those of one millisecond stay in its order."""
        name, trades, rows = self.instrument(native), [], m.list[::-1]
        rows.sort(key=lambda t: t.time)
        for t in rows:
            ts, all_flags = self.timed(t.time * MILLI, ts_recv, flags | oddities(t.isBlockTrade, t.isRPITrade))
            if t.price and t.size:
                trades.append(Trade(name, ts, ts_recv, all_flags, t.price, t.size, SIDES.get(t.side, "unknown"), t.execId))
        return Past(name, trades, asked=True)

    def _past(self, m: w.PastCandles, answer: HttpAnswer, ts_recv: int, flags: int) -> Sequence[Record]:
        """The venue's own candles of before we listened, oldest first; the newest is of the interval that is still open."""
        interval, listed = answer.purpose.removeprefix("bars "), self.listed(answer.native)
        length = MINUTES[interval] * 60_000
        return [
            Bar(
                listed.id, (k.start + length) * MILLI, ts_recv, flags, interval, k.start * MILLI, k.open, k.high, k.low, k.close,
                k.volume, None, *worth(k.volume, k.turnover, inverse=listed.inverse), None, True, 0, "venue",
            )
            for k in reversed(m.list)
            if (k.start + length) * MILLI < ts_recv
        ]  # fmt: skip


def result_of(body: bytes) -> msgspec.Raw:
    """What an HTTP answer holds. Bybit refuses with status 200 and a code of its own. Raises MalformedFrame."""
    answer: w.Answer = w.read_answer(body)
    if answer.retCode != 0:
        raise MalformedFrame(f"the venue refuses: {answer.retMsg[:MOST_SAID]} (code {answer.retCode})")
    return answer.result


def _read(reader: "Reader | Guessing", data: bytes, ts_recv: int) -> Sequence[Record]:
    try:
        return reader.read(data, ts_recv)
    except (msgspec.MsgspecError, ValueError, RecursionError) as e:
        raise MalformedFrame(f"{e}") from None


class Guessing:
    """The messages of a connection whose address does not tell the category: each goes the way of the one it looks like."""

    def __init__(self, decoder: BybitDecoder) -> None:
        self._readers = {category: Reader(decoder, category, decoder.quoted) for category in CATEGORIES}
        self._seen: dict[str, Category] = {}

    def read(self, data: bytes, ts_recv: int) -> Sequence[Record]:
        return self._readers[self._category(data)].read(data, ts_recv)

    def _category(self, data: bytes) -> Category:
        quick = data.startswith(TOPIC)
        topic = data[len(TOPIC) : data.find(b'"', len(TOPIC))].decode() if quick else w.read_head(data).topic
        symbol = topic.rpartition(".")[2]
        told = category_of_message(topic.partition(".")[0], symbol, data)
        if told is None:
            return self._seen.get(symbol, "linear")
        if len(self._seen) >= MOST_ROUTES:
            self._seen.clear()
        self._seen[symbol] = told
        return told
