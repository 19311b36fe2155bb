"""Coinbase Exchange on the wire.

Sources: docs.cdp.coinbase.com "Exchange WebSocket" (2025-05), recorded frames of 2021. One message subscribes products on many
channels; it is obeyed as a whole or not at all, and answered with the list of everything that is subscribed. `level2_batch` comes
back as `level2_50`. Books begin with a snapshot and go on in batches of 50 ms, without any number; `matches` begin with the last
trade as `last_match`; `side` of a match is the maker's, of a ticker the taker's. Who asks for nothing in 5 s is disconnected.

Not imitated: channels that want a key (refused, as the venue does), `status`, `auctionfeed`, `rfq_matches` (taken, and silent), the
`sequence` of the full feed (the market's update id stands in for it: it grows, and the messages of one step share it), order counts
in the HTTP book (always 1), and the headers by which HTTP answers are paged.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from tapeline.clock import MILLI, SECOND, iso
from tapeline.sim.hub import Conn
from tapeline.sim.instrument import Trade
from tapeline.sim.json_wire import Ask, JsonWire, Refused
from tapeline.sim.klines import Kline
from tapeline.sim.market import Book
from tapeline.sim.specs import Spec, listed
from tapeline.sim.wire import Hangup, Line, Place, Reply

WHOLE = 1_000_000  # levels a side: all there are
BATCH = 50 * MILLI
SLOW = 5 * SECOND
GRANULARITY = {60: "1m", 300: "5m", 900: "15m", 3600: "1h", 21600: "6h", 86400: "1d"}
_KEYED = frozenset({"level2", "level3", "full", "user", "balance"})
_OPEN = frozenset({"level2_batch", "level2_50", "matches", "ticker", "ticker_batch", "heartbeat"})
_SILENT = frozenset({"status", "auctionfeed", "rfq_matches"})
_NOT_FOUND = Reply(b'{"message":"NotFound"}', 404)


def micros(ns: int) -> str:
    """`2026-11-20T09:00:00.000001Z`."""
    return iso(ns)[:-4] + "Z"


def products(venue: str) -> tuple[Spec, ...]:
    """What both of Coinbase's feeds list."""
    grid = (
        ("BTC", 2, 8),
        ("ETH", 2, 8),
        ("SOL", 2, 8),
        ("XRP", 4, 6),
        ("DOGE", 5, 1),
        ("ADA", 4, 8),
        ("LTC", 2, 8),
        ("LINK", 3, 2),
    )
    return tuple(listed(venue, f"{base}-USD", base, "USD", price, size) for base, price, size in grid)


def halves(levels: list[Any], removes: Callable[[Any], bool]) -> list[list[Any]]:
    """Changed levels as two messages, what leaves the book first, so that it is never crossed in between."""
    return [[level for level in levels if removes(level)], [level for level in levels if not removes(level)]]


def is_zero(size: str) -> bool:
    return not size.strip("0.")


class CoinbaseWire(JsonWire):
    """What both of Coinbase's feeds share."""

    default = ("BTC-USD", "ETH-USD", "SOL-USD", "XRP-USD", "DOGE-USD")
    weight_seconds = 1
    rejects_one = False

    def place(self, path: str, query: Mapping[str, str]) -> Place | None:
        return Place() if path in {"", "/"} else None

    def bars(self, line: Line, interval: str, now: int, limit: int) -> list[Kline]:
        """Newest first; intervals in which nothing was traded are left out."""
        return [k for k in reversed(line.instrument.klines.recent(interval, now, limit)) if k.trades]

    def newest(self, line: Line, limit: int, older: int | None = None, newer: int | None = None) -> list[Trade]:
        """Newest first: trades with ids below `older`, and above `newer`."""
        return line.recent(WHOLE, after=newer, before=older)[: -limit - 1 : -1]


class Exchange(CoinbaseWire):
    venue = "coinbase"
    specs = products("coinbase")
    book_streams = "level2*"
    book_endpoints = ("products/*/book",)
    messages_per_second = 100
    subscribe_seconds = 5.0
    subscribe_close = Hangup(1008, "No subscription")
    weight_budget = 15
    names: ClassVar[dict[str, str]] = {"level2_batch": "level2_50"}

    def read(self, conn: Conn, message: dict[str, Any]) -> Ask:
        op = message.get("type")
        if op not in {"subscribe", "unsubscribe"}:
            raise Refused(f"{op} is not a valid type")
        streams: list[str] = []
        for channel in message.get("channels") or []:
            name = channel if isinstance(channel, str) else str(channel.get("name"))
            natives = message.get("product_ids") if isinstance(channel, str) else channel.get("product_ids")
            if op == "unsubscribe" and not natives:
                streams += [s for s in conn.streams if s.partition(":")[0] == name]
            elif op == "unsubscribe" or name in _SILENT:
                streams += [f"{name}:{native}" for native in natives or []]
            else:
                streams += [self._stream(name, native) for native in natives or []]
        return Ask(op, list(dict.fromkeys(streams)), message)

    def _stream(self, name: str, native: str) -> str:
        """Refused for the whole message, where one of it cannot be had."""
        if name in _KEYED:
            raise Refused(f"{name} channel requires authentication")
        if name not in _OPEN:
            raise Refused(f"{name} is not a valid channel")
        if native not in self.lines:
            raise Refused(f"{native} is not a valid product")
        return f"{name}:{native}"

    def why_not(self, conn: Conn, stream: str) -> str:  # `read` has judged
        return ""

    def channel_exists(self, channel: str) -> bool:
        return channel in _OPEN

    def command_error(self, data: bytes, code: int, msg: str, *, wrapped: bool) -> bytes:
        return msgspec.json.encode({"type": "error", "message": "Failed to subscribe", "reason": msg})

    def acks(self, conn: Conn, ask: Ask, done: Sequence[str], failed: dict[str, str]) -> Sequence[bytes]:
        named: dict[str, list[str]] = {}
        for stream in conn.streams:
            name, _, native = stream.partition(":")
            named.setdefault(self.names.get(name, name), []).append(native)
        channels = [{"name": name, "product_ids": natives, "account_ids": None} for name, natives in named.items()]
        return [msgspec.json.encode({"type": "subscriptions", "channels": channels})]

    def snapshot(self, stream: str) -> Sequence[bytes]:
        channel, _, native = stream.partition(":")
        line = self.lines.get(native)
        if line is None:
            return ()
        if channel.startswith("level2"):
            view, p = self.view(stream, WHOLE), line.printer
            sides = f'"bids":[{p.levels(view.bids)}],"asks":[{p.levels(view.asks)}]'
            time = micros(self.market.now)
            return [f'{{"type":"snapshot","product_id":"{native}",{sides},"time":"{time}"}}'.encode()]
        if channel == "matches" and line.instrument.recent_trades:
            return [self._match(line, line.instrument.recent_trades[-1], "last_match").encode()]
        return [self._ticker(line, self.market.now).encode()] if channel.startswith("ticker") else ()

    def payloads(self, channel: str, line: Line | None, now: int) -> Iterable[str]:
        if line is None:
            return
        if channel == "matches":
            for trade in line.instrument.trades:
                yield self._match(line, trade, "match")
        elif channel == "ticker":
            if line.instrument.trades:  # at each match; several of one moment make one ticker
                yield self._ticker(line, now)
        elif channel == "heartbeat":
            if now % SECOND == 0:
                last = line.instrument.recent_trades[-1].id if line.instrument.recent_trades else 0
                yield (
                    f'{{"type":"heartbeat","last_trade_id":{last},"product_id":"{line.native}",'
                    f'"sequence":{line.instrument.last_id},"time":"{micros(now)}"}}'
                )
        elif channel == "ticker_batch":
            if now % SLOW == 0:
                yield self._ticker(line, now)
        elif now % BATCH == 0:
            yield from self._update(f"{channel}:{line.native}", line, now)

    def _update(self, stream: str, line: Line, now: int) -> Iterable[str]:
        change = self.view(stream, WHOLE).step()
        if change is None or not (change.bids or change.asks):
            return
        p = line.printer
        parts = [p.levels(change.bids, '["buy","%s","%s"]'), p.levels(change.asks, '["sell","%s","%s"]')]
        changes = ",".join(part for part in parts if part)
        yield f'{{"type":"l2update","product_id":"{line.native}","changes":[{changes}],"time":"{micros(now)}"}}'

    def _match(self, line: Line, t: Trade, kind: str) -> str:
        p, side = line.printer, "buy" if t.buyer_is_maker else "sell"
        return (
            f'{{"type":"{kind}","trade_id":{t.id},"maker_order_id":"{_order(t.id)}","taker_order_id":"{_order(t.taker)}",'
            f'"side":"{side}","size":"{p.size(t.size)}","price":"{p.price(t.price)}","product_id":"{line.native}",'
            f'"sequence":{line.instrument.last_id},"time":"{micros(t.ts)}"}}'
        )

    def _ticker(self, line: Line, now: int) -> str:
        p, day, instrument = line.printer, line.day(now), line.instrument
        bid, bid_size, ask, ask_size = instrument.lob.touch()
        said = (
            f'{{"type":"ticker","sequence":{instrument.last_id},"product_id":"{line.native}","price":"{p.price(day.close)}",'
            f'"open_24h":"{p.price(day.open)}","volume_24h":"{p.size(day.volume)}","low_24h":"{p.price(day.low)}",'
            f'"high_24h":"{p.price(day.high)}","volume_30d":"{p.size(day.volume * 30)}","best_bid":"{p.price(bid)}",'
            f'"best_bid_size":"{p.size(bid_size)}","best_ask":"{p.price(ask)}","best_ask_size":"{p.size(ask_size)}"'
        )
        if not instrument.recent_trades:
            return said + "}"
        t = instrument.recent_trades[-1]
        side = "sell" if t.buyer_is_maker else "buy"
        return f'{said},"side":"{side}","time":"{micros(t.ts)}","trade_id":{t.id},"last_size":"{p.size(t.size)}"}}'

    def split(self, payload: bytes) -> list[bytes]:
        message = msgspec.json.decode(payload)
        if message.get("type") != "l2update":
            return [payload]
        parts = halves(message["changes"], lambda change: is_zero(change[2]))
        return [msgspec.json.encode({**message, "changes": part}) for part in parts if part]

    # HTTP

    def http(self, name: str, params: Mapping[str, str], now: int, book: Callable[[str], Book]) -> Reply:
        match name.split("/"):
            case ["products"]:
                return Reply(msgspec.json.encode([self._product(line) for line in self.lines.values()]))
            case ["products", native, what] if native in self.lines:
                return self._about(self.lines[native], what, params, now, book)
        return _NOT_FOUND

    def _about(self, line: Line, what: str, params: Mapping[str, str], now: int, book: Callable[[str], Book]) -> Reply:
        try:
            if what == "book":
                return Reply(self._book(line, book(line.native), params.get("level", "1"), now).encode())
            if what == "trades":
                older, newer = (int(params[key]) if key in params else None for key in ("after", "before"))
                found = self.newest(line, min(1000, int(params.get("limit", 1000))), older, newer)
                return Reply(f"[{','.join(self._row(line, t) for t in found)}]".encode())
            if what == "candles":
                return self._candles(line, int(params.get("granularity", 60)), now)
        except ValueError:
            return Reply(b'{"message":"Invalid parameter"}', 400)
        return _NOT_FOUND

    @staticmethod
    def _book(line: Line, book: Book, level: str, now: int) -> str:
        p, most = line.printer, WHOLE if level == "2" else 1
        bids, asks = (p.levels(side[:most], '["%s","%s",1]') for side in (book.bids, book.asks))
        return (
            f'{{"bids":[{bids}],"asks":[{asks}],"sequence":{book.last_update_id},"auction_mode":false,"auction":null,'
            f'"time":"{micros(now)}"}}'
        )

    @staticmethod
    def _row(line: Line, t: Trade) -> str:
        p, side = line.printer, "buy" if t.buyer_is_maker else "sell"
        said = f'"trade_id":{t.id},"side":"{side}","size":"{p.size(t.size)}","price":"{p.price(t.price)}"'
        return f'{{{said},"time":"{micros(t.ts)}"}}'

    def _candles(self, line: Line, granularity: int, now: int) -> Reply:
        if granularity not in GRANULARITY:
            return Reply(b'{"message":"Unsupported granularity"}', 400)
        p = line.printer
        rows = (
            f"[{k.open_time // SECOND},{p.price(k.low)},{p.price(k.high)},{p.price(k.open)},{p.price(k.close)},{p.size(k.volume)}]"
            for k in self.bars(line, GRANULARITY[granularity], now, 300)
        )
        return Reply(f"[{','.join(rows)}]".encode())

    @staticmethod
    def _product(line: Line) -> dict[str, Any]:
        spec, p = line.spec, line.printer
        return {
            "id": line.native,
            "base_currency": spec.base,
            "quote_currency": spec.quote,
            "quote_increment": p.price(1),
            "base_increment": p.size(1),
            "display_name": f"{spec.base}-{spec.quote}",
            "min_market_funds": "1",
            "margin_enabled": False,
            "post_only": False,
            "limit_only": False,
            "cancel_only": False,
            "status": "online",
            "status_message": "",
            "trading_disabled": line.instrument.halted,
            "fx_stablecoin": False,
            "auction_mode": False,
        }


def _order(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


WIRE = Exchange
