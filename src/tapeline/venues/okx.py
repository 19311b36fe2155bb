"""OKX v5, spot, perpetual swaps and dated futures: connections, subscriptions, instruments. The messages are in okx_wire.py.

Source: OKX API v5 documentation (2025-08, and its changes to 2026-09). Two addresses: `/ws/v5/public`, and `/ws/v5/business` for
candles and `trades-all`; a channel on the wrong one is refused. A stream is an `arg` of channel and instrument; each is
acknowledged or refused by itself, under the id of its message.

A connection without subscription, or to which nothing is pushed for 30 s, is closed (4004): the text `ping` is answered by `pong`.
At most 480 subscribe and unsubscribe messages an hour on a connection, 64 KB each; 3 connections a second. The documentation asks
for fewer than 30 channels of 400 levels on a connection. How many channels of any kind fit (close codes 4008, 4009) is published
nowhere: 240 is our own choice. 60 s before it restarts a server the venue says so (notice 64008).

HTTP has limits by endpoint, the tightest here 20 requests in 2 s (instruments, trades of the past), which one budget keeps for all.

Not used: `books-l2-tbt` and `books50-l2-tbt` need a login (they decode, in recordings); `liquidation-orders` is subscribed for all
instruments of a type at once (it decodes, too); options; the price improvement orders (`books-rpi`).
"""

from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import ClassVar
from urllib.parse import quote
from zlib import crc32

import msgspec

from tapeline.errors import MalformedFrame
from tapeline.instruments import Instrument, Kind, Registry
from tapeline.plans import fitting, parts
from tapeline.venues import okx_messages as w
from tapeline.venues.base import Asked, BookChecksum, Channel, ConnectionPlan, Decoder, Limits, Request, Stream, TradeIds, Venue
from tapeline.venues.listing import each, step, whole
from tapeline.venues.okx_figures import INTERVALS, UNLISTED
from tapeline.venues.okx_wire import OkxDecoder, event_time

PAST_INTERVALS = ("1m", "5m", "15m", "1H", "4H", "1Dutc")
TYPES = ("SPOT", "SWAP", "FUTURES")
ARGS_PER_MESSAGE = 200  # some 60 bytes each: far below 64 KB
MOST_PAST_TRADES = 100
API = "/api/v5"
_CHANNELS: dict[str, Channel] = {
    "trades": "trades",
    "trades-all": "trades",
    "books": "book",
    "books5": "book",
    "books-l2-tbt": "book",
    "books50-l2-tbt": "book",
    "bbo-tbt": "quotes",
    "tickers": "ticker",
    "mark-price": "ticker",
    "funding-rate": "ticker",
    "open-interest": "ticker",
}
_KINDS: dict[str, Kind] = {"SPOT": "spot", "SWAP": "perpetual", "FUTURES": "future"}
_TICKERS: dict[Kind, tuple[str, ...]] = {
    "spot": ("tickers",),
    "perpetual": ("tickers", "mark-price", "funding-rate", "open-interest"),
    "future": ("tickers", "mark-price", "open-interest"),
}
_LOGIN = frozenset(("books-l2-tbt", "books50-l2-tbt"))
_ANSWERS = frozenset(("subscribe", "unsubscribe", "error"))


def checksum(bids: Sequence[tuple[str, str]], asks: Sequence[tuple[str, str]]) -> int:
    """CRC32, as a signed integer, of the levels as they are printed, bid and ask in turn while there are both: `px:sz:px:sz:…`."""
    levels = chain.from_iterable(zip_longest(bids, asks))
    value = crc32(":".join([f"{price}:{size}" for price, size in filter(None, levels)]).encode())
    return value - (1 << 32) if value >> 31 else value


_HEARD = {"tickers": "ticker:last", "mark-price": "ticker:mark", "open-interest": "ticker:open_interest"}
"""Not the funding rate, which comes once a minute or so: it is taken to speak when any of the others does."""


class Okx(Venue):
    name = "okx"
    title = "OKX spot, swaps and futures"
    ws_url = "wss://ws.okx.com:8443"
    http_url = "https://www.okx.com"
    channels: ClassVar[tuple[Channel, ...]] = ("trades", "book", "quotes", "bars", "ticker")
    trade_ids: ClassVar[TradeIds] = "consecutive"
    book_checksum = BookChecksum(25, checksum)
    limits = Limits(
        messages_per_second=3,
        streams_per_connection=240,
        books_per_connection=29,
        connects_per_5_minutes=900,
        http_weight_per_minute=600,
        client_ping_seconds=20,
    )

    def plan(self, instruments: Sequence[Instrument], channels: Sequence[Channel]) -> list[ConnectionPlan]:
        by_path: dict[str, list[Stream]] = {}
        for instrument in instruments:
            for channel in channels:
                for name in self._names(channel, instrument):
                    stream = Stream(f"{name}:{instrument.native}", channel, instrument.id)
                    by_path.setdefault(_path(name), []).append(stream)
        plans: list[ConnectionPlan] = []
        for path, streams in by_path.items():
            while streams:
                plans.append(self.connection(path, fitting(streams, (), self.limits), client_ping=b"ping"))
        return plans

    def _names(self, channel: Channel, instrument: Instrument) -> tuple[str, ...]:
        usual = {"trades": "trades", "book": "books", "quotes": "bbo-tbt", "bars": "candle1m"}
        other = self.settings.streams.get(channel)
        if not other:
            return _TICKERS.get(instrument.kind, ()) if channel == "ticker" else (usual[channel],) if channel in usual else ()
        known = self.stream(f"{other}:x")
        if other in _LOGIN:
            raise self.no_stream(channel, "the venue gives it to those who log in alone; take books or books5")
        if known is None or known[0] != channel:
            raise self.no_stream(channel, "see docs/venues.md for what fits")
        return (other,)

    def subscribe(self, streams: Sequence[Stream], number: int) -> tuple[bytes, ...]:
        return _control("subscribe", streams, number)

    def unsubscribe(self, streams: Sequence[Stream], number: int) -> tuple[bytes, ...]:
        return _control("unsubscribe", streams, number)

    def acks(self, messages: Sequence[bytes]) -> int:
        return sum(len(w.read_control(m).args) for m in messages)

    def stream(self, name: str) -> tuple[Channel, str] | None:
        label, _, native = name.partition(":")
        channel = _CHANNELS.get(label)
        if label.startswith("candle") and label.removeprefix("candle") in INTERVALS:
            channel = "bars"
        return None if channel is None or not native else (channel, native)

    def heard_as(self, name: str) -> str:
        """What one of a contract's tickers says must not hide that another is silent."""
        return _HEARD.get(name.partition(":")[0], "")

    def asked(self, data: bytes) -> Asked | None:
        message = _read(data)
        if message is None or message.op not in {"subscribe", "unsubscribe"}:
            return None
        names = tuple(f"{arg.channel}:{arg.instId or arg.instType}" for arg in message.args)
        return Asked(message.id, names, gone=message.op == "unsubscribe")

    def is_ack(self, data: bytes) -> bool:
        if b'"event"' not in data[:200]:
            return False
        try:
            return w.read_head(data).event in _ANSWERS
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return False

    def decoder(self, registry: Registry, *, simulated: bool) -> Decoder:
        return OkxDecoder(registry, self.derive, self._ask_book, self.read_instruments, simulated=simulated)

    # HTTP

    def _ask_book(self, native: str, attempt: int, not_before: int) -> Request:
        return self.ask("book", f"{API}/market/books?instId={quote(native)}&sz=400&source=0", native, attempt, not_before)

    def past_requests(self, native: str, not_before: int) -> list[Request]:
        of = f"{API}/market/candles?instId={quote(native)}"
        return [
            self.ask(f"bars {INTERVALS[bar][0]}", f"{of}&bar={bar}&limit=300", native, not_before=not_before)
            for bar in PAST_INTERVALS
        ]

    def trades_request(self, native: str, first: int | None, last: int | None, attempt: int, not_before: int) -> Request:
        """The most recent 500, or the first 100 of a range: pages go back from `after`, and what is left is asked for next."""
        if first is None or last is None:
            return self.ask("trades", f"{API}/market/trades?instId={quote(native)}&limit=500", native, attempt, not_before)
        after = min(last, first + MOST_PAST_TRADES - 1) + 1
        path = f"{API}/market/history-trades?instId={quote(native)}&type=1&after={after}&limit={MOST_PAST_TRADES}"
        return self.ask("trades", path, native, attempt, not_before)

    def instruments_requests(self) -> list[Request]:
        return [self.ask("instruments", f"{API}/public/instruments?instType={kind}") for kind in TYPES]

    def read_instruments(self, body: bytes, label: str) -> list[Instrument]:
        what = f"instruments of {self.name}"
        answer: w.Answer = whole(w.read_answer, body, what)
        if str(answer.code) != "0":
            raise MalformedFrame(f"{what}: {answer.msg} (code {answer.code})")
        rows: list[msgspec.Raw] = whole(w.read_raw_rows, bytes(answer.data), what)
        return each(rows, lambda raw: _listed(w.read_listed(raw), label), what)

    def derive(self, native: str, label: str) -> Instrument:
        kind, symbol, base, quoted = _names_of(native)
        contract = kind != "spot"
        return Instrument(
            id=f"{label}:{symbol}",
            venue=label,
            native=native,
            kind=kind,
            base=base,
            quote=quoted,
            inverse=contract and quoted == "USD",
            status=UNLISTED if contract else "",
        )

    def native_of(self, symbol: str) -> str:
        symbol = symbol.upper()
        return f"{symbol.removesuffix('-PERP')}-SWAP" if symbol.endswith("-PERP") else symbol

    def event_time(self, data: bytes) -> int | None:
        return event_time(data)


def _path(channel: str) -> str:
    return "/ws/v5/business" if channel == "trades-all" or channel.startswith("candle") else "/ws/v5/public"


def _control(op: str, streams: Sequence[Stream], number: int) -> tuple[bytes, ...]:
    args = [dict(zip(("channel", "instId"), s.name.split(":", 1), strict=True)) for s in streams]
    messages = enumerate(parts(args, ARGS_PER_MESSAGE), number)
    return tuple(msgspec.json.encode({"id": str(n), "op": op, "args": part}) for n, part in messages)


def _read(data: bytes) -> w.Control | None:
    try:
        message: w.Control = w.read_control(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return message


def _names_of(native: str) -> tuple[Kind, str, str, str]:
    """(kind, our symbol, base, quote) of `BTC-USDT`, `BTC-USDT-SWAP`, `BTC-USD-261225`. `USD_UM` is a dollar, too."""
    pair, _, rest = native.partition("-")[2].partition("-")
    base, quoted = native.partition("-")[0], pair.partition("_")[0]
    if rest == "SWAP":
        return "perpetual", f"{native.removesuffix('-SWAP')}-PERP", base, quoted
    return ("future" if rest else "spot"), native, base, quoted


def _listed(row: w.Listed, label: str) -> Instrument | None:
    """What a contract is worth decides: `ctVal` × `ctMult` of the base asset (linear), or of the quote asset (inverse)."""
    if row.instType not in _KINDS:
        return None
    _, symbol, base, quoted = _names_of(row.instId)
    kind = _KINDS[row.instType]
    lot, tick = step(row.lotSz), step(row.tickSz)
    if kind == "spot":
        base, quoted = row.baseCcy or base, row.quoteCcy or quoted
        return Instrument(
            id=f"{label}:{symbol}", venue=label, native=row.instId, kind=kind, base=base, quote=quoted, tick=tick, lot=lot,
            status=row.state,
        )  # fmt: skip
    worth = step(row.ctVal)
    if worth is None or row.ctValCcy not in {base, quoted}:
        raise ValueError(f"{row.instId}: a contract is worth {row.ctVal!r} {row.ctValCcy!r}")
    worth = float(f"{worth * (step(row.ctMult) or 1.0):.15g}")
    inverse = row.ctValCcy != base
    return Instrument(
        id=f"{label}:{symbol}", venue=label, native=row.instId, kind=kind, base=base, quote=quoted, tick=tick,
        lot=lot if lot is None or inverse else float(f"{lot * worth:.15g}"), contract_size=worth, inverse=inverse, status=row.state,
    )  # fmt: skip
