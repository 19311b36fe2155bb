"""One decoder for OKX's v5 messages and answers. The shapes stand in okx_messages.py, the sources there.

A message of a stream is `{"arg": {"channel", "instId"}, "action"?, "data": [row, …]}`. The bytes up to the end of `arg` are the
same for every message of a stream, so what is to be done with it is remembered by them; every other shape (acknowledgements,
notices, HTTP answers among recorded lines) takes the slow way by its fields. Figures and candles are in okx_figures.py.

Books: `prevSeqId` is the very `seqId` of the message before. Both may be equal (a keep-alive after some 60 s without a change),
and `seqId` may be the smaller one (numbers began anew, the book goes on): `BookMessage.exact`. Recordings of 2022 and before have
neither, but a checksum of the best 25 levels on every message; since 2026-06 the checksum is always 0 and means nothing. A book
keeps itself to its 400 levels: the venue says when a level leaves them or enters (a recorded BTC-USDT stands at 400 × 400 after
each of its updates), so nothing is cut here, and nothing beyond is known.

How a book begins: with `action` "snapshot" on the socket, or, where the venue has withdrawn that (announced for August 2026), over
HTTP. Both are taken as they come. `snapshot_request` decides how to begin anew, see there. A book that is crossed in the auction
before trading begins (documented) is reported as crossed and begun anew, with growing pauses, until it no longer is.

`trades` has one row per taker order and price: `tradeId` is the last of `count` ids (AGGREGATED, `Filled`); `trades-all` and the
`trades` of 2022 have single trades. `side` is the taker's. What comes first after a subscription is the last trade of before,
minutes old where nothing is traded (seen in the recording, documented nowhere): a `Past`.

Sizes of derivatives are numbers of contracts; `Unit` makes amounts of the base asset of linear ones. What a contract is worth only
the venue's list tells. Without it (a recording) sizes stay numbers of contracts, the instrument has the status UNLISTED, and a
Status event says so with the first message. The list's own answers may stand among a recording's lines, ahead of the messages.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from tapeline.clock import MILLI, SECOND
from tapeline.errors import MalformedFrame
from tapeline.events import Bar, Quote, Trade
from tapeline.frames import HttpAnswer
from tapeline.instruments import Instrument, Registry
from tapeline.venues import okx_messages as w
from tapeline.venues.base import UNNUMBERED, Ack, BookMessage, Filled, Notice, Past, Record, Request
from tapeline.venues.decoding import AGGREGATED, MOST_SAID, OTHER, RECOVERED, RPI
from tapeline.venues.okx_figures import INTERVALS, FiguresDecoder
from tapeline.venues.okx_messages import Unit

LONGEST_HEAD, MOST_ROUTES = 200, 10_000  # of what is remembered by stream, whoever makes names up
MOST_AGAIN = 3  # attempts in a row at beginning a stream anew; then its book is asked for over HTTP

ERRORS = {
    "60008": "this channel is not served on this address",
    "60012": "the request makes no sense to the venue",
    "60013": "wrong arguments",
    "60014": "too many requests",
    "60018": "there is no such channel or instrument here",
    "60019": "unknown operation",
    "60027": "an argument is missing",
    "60029": "for VIP levels 5 and above",
    "60030": "for VIP levels 4 and above",
    "64001": "the channel has moved to /business",
    "64002": "the channel is not on /business",
    "64004": "books and books-l2-tbt of one instrument exclude one another",
    "64007": "the venue's own fault",
}
_EVENT_TIME = re.compile(rb'"ts":\s*"(\d{12,16})"|"data":\s*\[\[\s*"(\d{12,16})"')
_REFUSED = re.compile(r"channel:([\w-]+),\s*instId:([\w-]+)")
_ARG = re.compile(rb'\s*\{\s*"arg"\s*:')
_IGNORED = frozenset(("channel-conn-count", "login"))

Handler = Callable[[bytes, int, Unit], Sequence[Record]]
Ask = Callable[[str, int, int], Request]


def event_time(raw: bytes) -> int | None:
    found = _EVENT_TIME.search(raw)
    return int(found[1] or found[2]) * MILLI if found else None


class _Route(NamedTuple):
    native: str
    unit: Unit
    handle: Handler


class OkxDecoder(FiguresDecoder):
    def __init__(
        self,
        registry: Registry,
        derive: Callable[[str, str], Instrument],
        ask_book: Ask,
        read_listed: Callable[[bytes, str], list[Instrument]],
        *,
        simulated: bool,
    ) -> None:
        super().__init__(registry, derive, simulated=simulated)
        self._ask_book, self._read_listed = ask_book, read_listed
        self._routes: dict[bytes, _Route] = {}
        self._begun: set[str] = set()  # books that began on the socket the last time
        self._asked: dict[str, int] = {}  # when a trade stream was acknowledged that gave nothing yet
        self._numbered = True  # whether books over HTTP bear a seqId, as far as we know
        self._handlers: dict[str, Handler] = {
            "books": self._books,
            "books-l2-tbt": self._books,
            "books50-l2-tbt": self._books,
            "books5": self._partial,
            "bbo-tbt": self._quotes,
            "trades": self._trades,
            "trades-all": self._trades,
            "tickers": self._tickers,
            "mark-price": self._mark_price,
            "funding-rate": self._funding_rate,
            "open-interest": self._open_interest,
        }

    def read(self, data: bytes, ts_recv: int) -> Sequence[Record]:
        route = self._routes.get(data[: data.find(b"}", 8) + 1])
        if route is None or self.registry.by_native.get(route.native) is not route.unit.instrument:
            return self._first(data, ts_recv)
        return route.handle(data, ts_recv, route.unit)

    def _first(self, data: bytes, ts_recv: int) -> Sequence[Record]:
        """A message of a stream that is not known yet, or of none."""
        if data == b"pong":
            return ()
        head = w.read_head(data)
        if head.arg is None or head.event:
            return self._by_fields(head, ts_recv)
        if head.arg.channel == "liquidation-orders":
            return self._liquidations(data, ts_recv)
        handle = self._handler(head.arg.channel)
        if handle is None:
            self.count_unknown(head.arg.channel)
            return ()
        native = head.arg.instId
        if not native:
            raise MalformedFrame(f"{head.arg.channel} names no instrument")
        route = _Route(native, self._unit(native), handle)
        records = [*self._note(route.unit, ts_recv), *handle(data, ts_recv, route.unit)]
        self._remember(data[: data.find(b"}", 8) + 1], route, head.arg)
        return records

    def _remember(self, head: bytes, route: _Route, arg: w.Arg) -> None:
        """By the bytes up to the end of `arg`, where it comes first and they say nothing else."""
        if (found := _ARG.match(head)) is None or len(head) > LONGEST_HEAD:
            return
        try:
            if w.read_arg(head[found.end() :]) != arg:
                return
        except msgspec.MsgspecError:
            return  # it holds more than it should
        if len(self._routes) >= MOST_ROUTES:
            self._routes.clear()
        self._routes[head] = route

    def _handler(self, channel: str) -> Handler | None:
        if channel.startswith("candle"):
            interval = INTERVALS.get(channel.removeprefix("candle"))
            return None if interval is None else partial(self._candles, *interval)
        return self._handlers.get(channel)

    # What is of no stream

    def _by_fields(self, head: w.Head, ts_recv: int) -> Sequence[Record]:
        if head.event:
            return self._control(head, ts_recv)
        if head.table:
            self.count_unknown(f"v3 {head.table}")
        elif str(head.code) == "0" and bytes(head.data)[:1] == b"[":
            return self._answer_line(bytes(head.data), ts_recv)
        else:
            self.count_unknown(OTHER)
        return ()

    def _control(self, head: w.Head, ts_recv: int) -> Sequence[Record]:
        number = head.id if head.id != "" else None
        if head.event in {"subscribe", "unsubscribe"}:
            arg = head.arg
            if arg is not None and arg.channel.startswith("trades") and len(self._asked) < MOST_ROUTES:
                self._asked[arg.instId] = ts_recv
            return [Ack(number, "", () if arg is None else (f"{arg.channel}:{arg.instId or arg.instType}",))]
        if head.event == "error":
            code = str(head.code)
            meaning = f", {ERRORS[code]}" if code in ERRORS else ""
            said = _REFUSED.search(head.msg)
            return [Ack(number, f"{head.msg[:MOST_SAID]} (code {code}{meaning})", (f"{said[1]}:{said[2]}",) if said else ())]
        if head.event == "notice" and str(head.code) == "64008":
            return [Notice(f"notice 64008: {head.msg[:MOST_SAID]}")]
        if head.event == "channel-conn-count-error":
            return [Ack(number, f"{head.connCount[:20]} connections have this channel: too many", (head.channel,))]
        if head.event not in _IGNORED:
            self.count_unknown(head.event)
        return ()

    def _answer_line(self, data: bytes, ts_recv: int) -> Sequence[Record]:
        """The `data` of an HTTP answer that stands among recorded lines: a book, which does not say whose, or a list."""
        rows = w.read_rows(data)
        if rows and rows[0].instType and not rows[0].tradeId:
            self.registry.fill(self._read_listed(b'{"code":"0","data":%b}' % data, self.registry.label))
        elif rows and bytes(rows[0].bids):
            book = w.read_books(b'{"data":%b}' % data).data[0]
            if book.seqId is not None:
                ts, flags = self.timed(book.ts * MILLI, ts_recv, self.flags_of(data))
                bids, asks = ([(lv.price, lv.size) for lv in side] for side in (book.bids, book.asks))
                return [BookMessage("", ts, flags, "fetched", bids, asks, book.seqId, -1, exact=True)]
            self.count_unknown("book without seqId")
        else:
            self.count_unknown(OTHER)
        return ()

    # HTTP answers

    def answer(self, answer: HttpAnswer, body: bytes, ts_recv: int) -> Sequence[Record]:
        """A book, trades or past candles. Other purposes are not for the market."""
        if answer.purpose not in {"book", "trades"} and not answer.purpose.startswith("bars "):
            return []
        said = w.read_answer(body)
        if str(said.code) != "0":
            raise MalformedFrame(f"{answer.purpose} of {answer.native}: {said.msg[:MOST_SAID]} (code {said.code})")
        unit = self._unit(answer.native)
        if answer.purpose == "book":
            return [self._fetched(w.read_books(body), unit, ts_recv, self.flags_of(body))]
        if answer.purpose == "trades":
            rows = [self._trade(t, unit, ts_recv, self.flags_of(body)) for t in w.read_trades(body).data]
            return [Past(unit.instrument.id, sorted(rows, key=lambda t: int(t.id)), asked=True)]
        ours = answer.purpose.removeprefix("bars ")
        seconds = next(s for name, s in INTERVALS.values() if name == ours)
        past = self._candles(ours, seconds, body, ts_recv, unit)
        return [
            msgspec.structs.replace(b, flags=b.flags | RECOVERED) for b in reversed(past) if isinstance(b, Bar) and b.complete
        ]

    def _fetched(self, m: w.Books, unit: Unit, ts_recv: int, flags: int) -> BookMessage:
        if not m.data:
            raise MalformedFrame(f"{unit.instrument.native} has no book")
        book = m.data[0]
        if book.seqId is None:
            self._numbered = False
            raise MalformedFrame("the book bears no seqId, so no update can be joined to it")
        ts, flags = self.timed(book.ts * MILLI, ts_recv, flags)
        bids, asks = unit.levels(book.bids), unit.levels(book.asks)
        return BookMessage(unit.instrument.native, ts, flags, "fetched", bids, asks, book.seqId, -1, exact=True)

    def snapshot_request(self, native: str, attempt: int, not_before: int) -> Request | None:
        """None: by beginning the stream anew. That is the way where the book began on the socket the last time: the snapshot and
        what follows it come over one wire, in order, so nothing has to be joined. It is taken back once it was asked for, until a
        snapshot comes, so that a venue that withdraws the snapshots costs one attempt; and it is given up after three attempts in a
        row, because of the 480 subscriptions an hour (a book that stays crossed through an auction). Where HTTP is no way, its
        books having no number, it is the only one.
        """
        if not self._numbered or (native in self._begun and attempt < MOST_AGAIN):
            self._begun.discard(native)
            return None
        return self._ask_book(native, attempt, not_before)

    # Streams

    def _books(self, raw: bytes, ts_recv: int, unit: Unit) -> Sequence[Record]:
        m, flags = w.read_books(raw), self.flags_of(raw)
        if m.action == "update":
            return [self._book("diff", b, raw, i, unit, ts_recv, flags) for i, b in enumerate(m.data)]
        if m.action != "snapshot":
            raise MalformedFrame(f"a book message of {unit.instrument.native} is neither snapshot nor update")
        self._begun.add(unit.instrument.native)
        return [self._book("snapshot", b, raw, i, unit, ts_recv, flags) for i, b in enumerate(m.data)]

    def _book(self, kind: str, book: w.Book, raw: bytes, at: int, unit: Unit, ts_recv: int, flags: int) -> BookMessage:
        ts, flags = self.timed(book.ts * MILLI, ts_recv, flags)
        native, bids, asks = unit.instrument.native, unit.levels(book.bids), unit.levels(book.asks)
        seq, prev_seq = book.seqId, book.prevSeqId
        if seq is None or prev_seq is None:
            if seq is not prev_seq:
                raise MalformedFrame(f"a book message of {native} bears only one of seqId and prevSeqId")
            seq = prev_seq = UNNUMBERED
        exact, whole = seq != UNNUMBERED, kind == "snapshot"
        if whole:
            prev_seq = -1
        elif exact and prev_seq < 0:
            raise MalformedFrame(f"an update of {native} follows nothing")
        if not book.checksum:
            if whole:
                return BookMessage(native, ts, flags, "snapshot", bids, asks, seq, prev_seq, exact=exact)
            return BookMessage(native, ts, flags, "diff", bids, asks, seq, prev_seq, 0, exact)
        texts = w.read_texts(raw).data[at]
        bid_texts, ask_texts = ([(t[0], t[1]) for t in side] for side in (texts.bids, texts.asks))
        return BookMessage(
            native, ts, flags, "snapshot" if whole else "diff", bids, asks, seq, prev_seq,
            exact=exact, checksum=book.checksum, bid_texts=bid_texts, ask_texts=ask_texts,
        )  # fmt: skip

    def _partial(self, raw: bytes, ts_recv: int, unit: Unit) -> Sequence[Record]:
        records: list[Record] = []
        for book in w.read_books(raw).data:
            ts, flags = self.timed(book.ts * MILLI, ts_recv, self.flags_of(raw))
            bids, asks = unit.levels(book.bids), unit.levels(book.asks)
            seq = UNNUMBERED if book.seqId is None else book.seqId
            records.append(BookMessage(unit.instrument.native, ts, flags, "partial", bids, asks, seq, -1))
        return records

    def _quotes(self, raw: bytes, ts_recv: int, unit: Unit) -> Sequence[Record]:
        records: list[Record] = []
        for book in w.read_books(raw).data:
            ts, flags = self.timed(book.ts * MILLI, ts_recv, self.flags_of(raw))
            bids, asks = unit.levels(book.bids[:1]), unit.levels(book.asks[:1])
            bid, bid_size = bids[0] if bids and bids[0][1] else (None, None)
            ask, ask_size = asks[0] if asks and asks[0][1] else (None, None)
            records.append(Quote(unit.instrument.id, ts, ts_recv, flags, bid, bid_size, ask, ask_size, book.seqId, "venue"))
        return records

    def _trades(self, raw: bytes, ts_recv: int, unit: Unit) -> Sequence[Record]:
        rows, flags = w.read_trades(raw).data, self.flags_of(raw)
        since = self._asked.pop(unit.instrument.native, 0) if self._asked else 0
        if rows and rows[-1].ts * MILLI < since - SECOND:
            return [Past(unit.instrument.id, [self._trade(t, unit, ts_recv, flags) for t in rows])]
        return [
            self._trade(t, unit, ts_recv, flags) if t.count is None else self._filled(t, unit, ts_recv, flags) for t in rows
        ]

    def _filled(self, t: w.Trade, unit: Unit, ts_recv: int, flags: int) -> Filled:
        if t.count is None or t.count > t.tradeId + 1:
            raise MalformedFrame(f"trade {t.tradeId} of {unit.instrument.native} cannot be the last of {t.count}")
        return Filled(self._trade(t, unit, ts_recv, flags | AGGREGATED), t.tradeId - t.count + 1)

    def _trade(self, t: w.Trade, unit: Unit, ts_recv: int, flags: int) -> Trade:
        ts, flags = self.timed(t.ts * MILLI, ts_recv, flags | RPI if t.source == "1" else flags)
        return Trade(unit.instrument.id, ts, ts_recv, flags, t.px, unit.size(t.sz), t.side, str(t.tradeId))
