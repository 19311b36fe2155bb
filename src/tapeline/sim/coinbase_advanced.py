"""Coinbase Advanced Trade on the wire.

Sources: docs.cdp.coinbase.com "Advanced Trade WebSocket", live captures of 2026-08 and 09. One channel a message. What a stream
begins with comes before the acknowledgement, which lists all that is subscribed; every message of a connection, but for errors, is
numbered by `sequence_num`. What is subscribed as `level2` comes as `l2_data`; a snapshot's levels bear the time 1970. Trades come
newest first, their `side` is the maker's. A `-USDC` product is the `-USD` book under that book's name. A connection that is silent
for 75 s is closed, which `heartbeats`, one a second, prevents.

Not imitated: keys and signatures, `status` and `user` (refused), `client_id` (empty), 52-week figures (those of the day stand in).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from tapeline.clock import MILLI, SECOND
from tapeline.sim.coinbase import SLOW, WHOLE, CoinbaseWire, halves, is_zero, micros, products
from tapeline.sim.hub import Conn
from tapeline.sim.instrument import Trade
from tapeline.sim.json_wire import Ask, Refused
from tapeline.sim.klines import Kline
from tapeline.sim.lob import Fill
from tapeline.sim.market import Book
from tapeline.sim.wire import Hangup, Line, Reply

BATCH = 50 * MILLI
RECENT = 50  # trades and candles that a stream begins with
GRANULARITY = {
    "ONE_MINUTE": "1m", "FIVE_MINUTE": "5m", "FIFTEEN_MINUTE": "15m", "THIRTY_MINUTE": "30m", "ONE_HOUR": "1h", "TWO_HOUR": "2h",
    "FOUR_HOUR": "4h", "SIX_HOUR": "6h", "ONE_DAY": "1d",
}  # fmt: skip
_CHANNELS = frozenset({"level2", "market_trades", "ticker", "ticker_batch", "candles"})
_NUMBER = b'"sequence_num":0'
_NEVER = "1970-01-01T00:00:00Z"
_ROOT = ["api", "v3", "brokerage", "market"]


def message(channel: str, now: int, event: str) -> str:
    """The envelope of one event; its number is put in for each connection."""
    return f'{{"channel":"{channel}","client_id":"","timestamp":"{micros(now)}","sequence_num":0,"events":[{event}]}}'


class Advanced(CoinbaseWire):
    venue = "coinbase-advanced"
    specs = products("coinbase-advanced")
    book_streams = "level2:*"
    book_endpoints = ("api/v3/brokerage/market/product_book",)
    messages_per_second = 8
    idle_seconds = 75.0
    idle_close = Hangup(1000, "idle")
    weight_budget = 15
    stamps = True
    snapshot_first = True

    def stamp(self, conn: Conn, body: bytes) -> bytes:
        """Number a message; those that bear none (errors) stay as they are."""
        if _NUMBER not in body[:200]:
            return body
        number = conn.state["number"] = conn.state.get("number", -1) + 1
        return body.replace(_NUMBER, b'"sequence_num":%d' % number, 1)

    def _native(self, product: str) -> str:
        """The product by whose name its messages come. Refused where there is none."""
        native = product if product in self.lines else product.removesuffix("C") if product.endswith("-USDC") else product
        if native not in self.lines:
            raise Refused(f"{product} is not a valid product")
        return native

    def read(self, conn: Conn, message: dict[str, Any]) -> Ask:
        op, channel = str(message.get("type")), str(message.get("channel"))
        if op not in {"subscribe", "unsubscribe"}:
            raise Refused("invalid type")
        if channel == "heartbeats":
            return Ask(op, ["heartbeats:"], message)
        if channel not in _CHANNELS:
            raise Refused("invalid channel")
        wanted = message.get("product_ids") or []
        return Ask(op, [f"{channel}:{self._native(product)}" for product in wanted], message)

    def channel_exists(self, channel: str) -> bool:
        return channel == "heartbeats" or channel in _CHANNELS

    def command_error(self, data: bytes, code: int, msg: str, *, wrapped: bool) -> bytes:
        return msgspec.json.encode({"type": "error", "message": "failure to subscribe", "reason": msg})

    def acks(self, conn: Conn, ask: Ask, done: Sequence[str], failed: dict[str, str]) -> Sequence[bytes]:
        granted: dict[str, list[str]] = {}
        for stream in conn.streams:
            channel, _, native = stream.partition(":")
            granted.setdefault(channel, []).append(native or channel)
        event = msgspec.json.encode({"subscriptions": granted}).decode()
        return [message("subscriptions", self.market.now, event).encode()]

    def snapshot(self, stream: str) -> Sequence[bytes]:
        channel, _, native = stream.partition(":")
        now = self.market.now
        if not native:
            return ()
        line = self.lines[native]
        if channel == "level2":
            view = self.view(stream, WHOLE)
            return [self._book(line, "snapshot", view.bids, view.asks, now, _NEVER).encode()]
        if channel == "market_trades":
            return [self._trades(line, "snapshot", self.newest(line, RECENT), now).encode()]
        if channel == "candles":
            return [self._candles(line, "snapshot", self.bars(line, "5m", now, RECENT), now).encode()]
        return [self._ticker(channel, line, "snapshot", now).encode()]

    def payloads(self, channel: str, line: Line | None, now: int) -> Iterable[str]:
        if line is None:
            if now % SECOND == 0:
                time = f"{micros(now)[:-1].replace('T', ' ')} +0000 UTC m=+{now // SECOND}"
                yield message("heartbeats", now, f'{{"current_time":"{time}","heartbeat_counter":{now // SECOND}}}')
        elif channel == "market_trades":
            if line.instrument.trades:
                yield self._trades(line, "update", line.instrument.trades[::-1], now)
        elif channel == "candles":
            if now % SECOND == 0 and (bars := self.bars(line, "5m", now, 1)):
                yield self._candles(line, "update", bars, now)
        elif channel == "level2":
            change = self.view(f"level2:{line.native}", WHOLE).step() if now % BATCH == 0 else None
            if change is not None and (change.bids or change.asks):
                yield self._book(line, "update", change.bids, change.asks, now, micros(now))
        elif (channel == "ticker" and line.instrument.trades) or (channel == "ticker_batch" and now % SLOW == 0):
            yield self._ticker(channel, line, "update", now)

    @staticmethod
    def _book(line: Line, kind: str, bids: list[Fill], asks: list[Fill], now: int, time: str) -> str:
        form = f'{{"side":"%s","event_time":"{time}","price_level":"%%s","new_quantity":"%%s"}}'
        sides = [line.printer.levels(levels, form % side) for side, levels in (("bid", bids), ("offer", asks))]
        updates = ",".join(side for side in sides if side)
        return message("l2_data", now, f'{{"type":"{kind}","product_id":"{line.native}","updates":[{updates}]}}')

    def _trades(self, line: Line, kind: str, newest_first: Sequence[Trade], now: int) -> str:
        rows = ",".join(self._row(line, t) for t in newest_first)
        return message("market_trades", now, f'{{"type":"{kind}","trades":[{rows}]}}')

    @staticmethod
    def _row(line: Line, t: Trade) -> str:
        p, side = line.printer, "BUY" if t.buyer_is_maker else "SELL"
        return (
            f'{{"product_id":"{line.native}","trade_id":"{t.id}","price":"{p.price(t.price)}","size":"{p.size(t.size)}",'
            f'"time":"{micros(t.ts)}","side":"{side}"}}'
        )

    @staticmethod
    def _candles(line: Line, kind: str, bars: Sequence[Kline], now: int) -> str:
        rows = ",".join(_candle(line, k, f',"product_id":"{line.native}"') for k in bars)
        return message("candles", now, f'{{"type":"{kind}","candles":[{rows}]}}')

    @staticmethod
    def _ticker(channel: str, line: Line, kind: str, now: int) -> str:
        p, day = line.printer, line.day(now)
        bid, bid_size, ask, ask_size = line.instrument.lob.touch()
        row = (
            f'{{"type":"ticker","product_id":"{line.native}","price":"{p.price(day.close)}","volume_24_h":"{p.size(day.volume)}",'
            f'"low_24_h":"{p.price(day.low)}","high_24_h":"{p.price(day.high)}","low_52_w":"{p.price(day.low)}",'
            f'"high_52_w":"{p.price(day.high)}","price_percent_chg_24_h":"{(day.close - day.open) * 100 / day.open:.8f}",'
            f'"best_bid":"{p.price(bid)}","best_ask":"{p.price(ask)}","best_bid_quantity":"{p.size(bid_size)}",'
            f'"best_ask_quantity":"{p.size(ask_size)}"}}'
        )
        return message(channel, now, f'{{"type":"{kind}","tickers":[{row}]}}')

    def split(self, payload: bytes) -> list[bytes]:
        """As two events of one message: each message has a number of its own."""
        whole = msgspec.json.decode(payload)
        events = whole.get("events") or [{}]
        if events[0].get("type") != "update" or "updates" not in events[0]:
            return [payload]
        parts = halves(events[0]["updates"], lambda level: is_zero(level["new_quantity"]))
        return [msgspec.json.encode({**whole, "events": [{**events[0], "updates": part} for part in parts if part]})]

    # HTTP

    def http(self, name: str, params: Mapping[str, str], now: int, book: Callable[[str], Book]) -> Reply:
        parts = name.split("/")
        if parts[:4] != _ROOT:
            return _refused(404, "NOT_FOUND")
        try:
            match parts[4:]:
                case ["products"]:
                    listed = [product for line in self.lines.values() for product in self._products(line)]
                    return Reply(msgspec.json.encode({"products": listed, "num_products": len(listed)}))
                case ["product_book"]:
                    line = self.lines[self._native(params.get("product_id", ""))]
                    return Reply(self._price_book(line, book(line.native), now).encode())
                case ["products", product, "ticker"]:
                    line = self.lines[self._native(product)]
                    rows = [self._row(line, t) for t in self.newest(line, min(1000, int(params.get("limit", 1))))]
                    return Reply(f'{{"trades":[{",".join(rows)}],"best_bid":"","best_ask":""}}'.encode())
                case ["products", product, "candles"]:
                    return self._past(self.lines[self._native(product)], params, now)
        except (Refused, ValueError):
            return _refused(400, "INVALID_ARGUMENT")
        return _refused(404, "NOT_FOUND")

    def _past(self, line: Line, params: Mapping[str, str], now: int) -> Reply:
        interval = GRANULARITY.get(params.get("granularity", ""))
        start, end = int(params.get("start", "")), int(params.get("end", ""))
        if interval is None:
            return _refused(400, "INVALID_ARGUMENT")
        rows = [k for k in self.bars(line, interval, now, 350) if start <= k.open_time // SECOND <= end]
        return Reply(f'{{"candles":[{",".join(_candle(line, k) for k in rows)}]}}'.encode())

    @staticmethod
    def _price_book(line: Line, book: Book, now: int) -> str:
        bids, asks = (line.printer.levels(side, '{"price":"%s","size":"%s"}') for side in (book.bids, book.asks))
        return (
            f'{{"pricebook":{{"product_id":"{line.native}","bids":[{bids}],"asks":[{asks}],"time":"{micros(now)}"}},'
            f'"last":"","mid_market":"","spread_bps":"","spread_absolute":""}}'
        )

    @staticmethod
    def _products(line: Line) -> list[dict[str, Any]]:
        """The product and the one that shares its book."""
        spec, p = line.spec, line.printer
        row = {
            "product_id": line.native,
            "price": p.price(line.instrument.last_price),
            "base_increment": p.size(1),
            "quote_increment": p.price(1),
            "price_increment": p.price(1),
            "base_currency_id": spec.base,
            "quote_currency_id": "USD",
            "product_type": "SPOT",
            "status": "online",
            "is_disabled": False,
            "trading_disabled": line.instrument.halted,
            "view_only": False,
            "cancel_only": False,
            "limit_only": False,
            "post_only": False,
            "auction_mode": False,
            "alias": "",
            "alias_to": [line.native + "C"],
            "future_product_details": None,
        }
        alias = {**row, "product_id": line.native + "C", "quote_currency_id": "USDC", "alias": line.native, "alias_to": []}
        return [row, alias]


def _candle(line: Line, k: Kline, more: str = "") -> str:
    p = line.printer
    return (
        f'{{"start":"{k.open_time // SECOND}","high":"{p.price(k.high)}","low":"{p.price(k.low)}","open":"{p.price(k.open)}",'
        f'"close":"{p.price(k.close)}","volume":"{p.size(k.volume)}"{more}}}'
    )


def _refused(status: int, code: str) -> Reply:
    return Reply(msgspec.json.encode({"error": code, "error_details": "", "message": ""}), status)


WIRE = Advanced
