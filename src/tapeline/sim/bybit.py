"""Bybit v5 on the wire: spot, linear and inverse, each on an address of its own.

Source: bybit-exchange/docs (2026-07-24). A native name here is `category/symbol`, and a stream `topic:category/symbol`
(`orderbook.200:linear/BTCUSDT`, `publicTrade:spot/BTCUSDT`). One unknown topic costs its whole message, as it may at the venue, and
so does one that is subscribed already. Keys come in the order in which the category has them, spot's sizes without trailing zeros.
Books keep their depth: what falls out of it is deleted, `u` is +1 a message of the stream, and a restart (`reset`) is a snapshot
with `u` 1. `orderbook.full` has deltas only, of every category. `orderbook.1` has snapshots only, repeated after 3 s. Tickers of
contracts tell what changed, those of spot everything. Trade ids are UUIDs, spot's are numbers.

Not imitated: options, spreads, `orderbook.rpi`, pre-market phases, block trades, the limit of 500 connections in 5 minutes, HTTP 403
for too many requests (it is 429 here). Texts of errors other than the two known ones are made up, and nobody has published how an
idle connection is cut; depths of 10 and 20 ms come every step of the market, 25 ms.
"""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from tapeline.clock import MILLI, SECOND
from tapeline.sim import bybit_rest
from tapeline.sim.hub import MILLIS, Conn, Hub
from tapeline.sim.instrument import Trade
from tapeline.sim.json_wire import Ask, JsonWire, Refused, object_of
from tapeline.sim.klines import INTERVALS, bucket
from tapeline.sim.lob import Fill
from tapeline.sim.market import Book, Market
from tapeline.sim.printing import Printer
from tapeline.sim.specs import Spec, listed
from tapeline.sim.wire import Answers, Hangup, Line, Place, Reply

CATEGORIES = ("spot", "linear", "inverse")
CADENCES = {"1": 1, "50": 1, "200": 100 * MILLI, "1000": 200 * MILLI, "full": 200 * MILLI}
ALL_LEVELS = 1_000_000
REPEAT = 3 * SECOND  # of a level 1 that does not change
MOST_CHARACTERS, MOST_SPOT_TOPICS, MOST_TRADES = 21_000, 10, 1024
PLAIN = frozenset(("publicTrade", "tickers", "allLiquidation"))


def _spot(base: str, quote: str, price_decimals: int, size_decimals: int, tick: int = 1) -> Spec:
    return listed("bybit", f"spot/{base}{quote}", base, quote, price_decimals, size_decimals, tick=tick)


def _linear(symbol: str, base: str, quote: str, price_decimals: int, size_decimals: int, tick: int = 1) -> Spec:
    kind: Any = "future" if "-" in symbol else "perp"
    return listed("bybit", f"linear/{symbol}", base, quote, price_decimals, size_decimals, kind=kind, tick=tick)


def _inverse(symbol: str, base: str, price_decimals: int, tick: int = 1) -> Spec:
    kind: Any = "perp" if symbol.endswith("USD") else "future"
    return listed("bybit", f"inverse/{symbol}", base, "USD", price_decimals, 0, kind=kind, tick=tick, inverse=True)


class Bybit(JsonWire):
    venue = "bybit"
    specs: ClassVar[tuple[Spec, ...]] = (
        _spot("BTC", "USDT", 1, 6),
        _spot("ETH", "USDT", 2, 5),
        _spot("SOL", "USDT", 2, 4),
        _spot("XRP", "USDT", 4, 2),
        _spot("BTC", "USDC", 2, 6),
        _linear("BTCUSDT", "BTC", "USDT", 2, 3, 10),
        _linear("ETHUSDT", "ETH", "USDT", 2, 2),
        _linear("SOLUSDT", "SOL", "USDT", 3, 1, 10),
        _linear("XRPUSDT", "XRP", "USDT", 4, 1),
        _linear("DOGEUSDT", "DOGE", "USDT", 5, 0),
        _linear("BTCPERP", "BTC", "USDC", 1, 3),
        _linear("BTCUSDT-26MAR27", "BTC", "USDT", 2, 3, 10),
        _inverse("BTCUSD", "BTC", 2, 10),
        _inverse("ETHUSD", "ETH", 2),
        _inverse("BTCUSDH27", "BTC", 2, 50),
    )
    default: ClassVar[tuple[str, ...]] = (
        "spot/BTCUSDT", "spot/ETHUSDT", "linear/BTCUSDT", "linear/ETHUSDT", "linear/SOLUSDT", "inverse/BTCUSD",
    )  # fmt: skip
    idle_seconds = 600.0
    idle_close = Hangup(1006)
    weight_budget = 600
    weight_seconds = 5
    book_endpoints = ("full_orderbook", "orderbook")
    book_streams = "orderbook.*[0l]:*"
    rejects_one = False

    def __init__(self, market: Market, hub: Hub) -> None:
        super().__init__(market, hub)
        self._shown: dict[str, dict[str, str]] = {}  # what the last ticker of a stream left known
        self._pushed: dict[str, int] = {}  # when level 1 of a stream was last told
        self._liquidated: dict[str, list[str]] = {}

    def printer(self, instrument: Any) -> Printer:
        spec = instrument.spec
        return Printer(spec, spec.price_decimals, spec.size_decimals, trim=category_of(spec.native) == "spot")

    # Connections and control messages

    def place(self, path: str, query: Mapping[str, str]) -> Place | None:
        category = path.removeprefix("/v5/public/")
        return Place(category) if path.startswith("/v5/public/") and category in CATEGORIES else None

    def read(self, conn: Conn, message: dict[str, Any]) -> Ask:
        op, args = message.get("op"), message.get("args", [])
        if op == "ping":
            return Ask(op, [], message)
        if op not in {"subscribe", "unsubscribe"} or not isinstance(args, list):
            raise Refused(f"error:invalid request,op:{op}")
        if conn.path == "spot" and len(args) > MOST_SPOT_TOPICS:
            raise Refused(f"error:args size >{MOST_SPOT_TOPICS}")
        streams = [self._stream(conn, topic, fresh=op == "subscribe") for topic in args]
        used = len(",".join(topic_of(s) for s in [*conn.streams, *streams]))
        if op == "subscribe" and used > MOST_CHARACTERS:
            raise Refused(f"error:args length >{MOST_CHARACTERS}")
        return Ask(op, streams, message)

    def _stream(self, conn: Conn, topic: Any, *, fresh: bool) -> str:
        channel, _, symbol = str(topic).rpartition(".")
        stream = f"{channel}:{conn.path}/{symbol}"
        if not self.serves(stream, conn.path):
            raise Refused(f"error:handler not found,topic:{topic}")
        if fresh and stream in conn.streams:
            raise Refused(f"error:already subscribed,topic:{topic}")
        return stream

    def channel_exists(self, channel: str) -> bool:
        kind, _, parameter = channel.partition(".")
        if kind == "orderbook":
            return parameter in CADENCES
        return parameter in bybit_rest.INTERVAL_NAMES if kind == "kline" else channel in PLAIN

    def serves(self, stream: str, path: str) -> bool:
        return super().serves(stream, path) and not stream.startswith("allLiquidation:spot/")

    def acks(self, conn: Conn, ask: Ask, done: Sequence[str], failed: dict[str, str]) -> Sequence[bytes]:
        if failed:
            return [self._answer(conn, ask, "; ".join(failed.values()), success=False)]
        return [self._answer(conn, ask, ask.op if conn.path == "spot" else "")]

    def other(self, conn: Conn, ask: Ask) -> Answers:
        return self._answer(conn, ask, "pong")

    @staticmethod
    def _answer(conn: Conn, ask: Ask, text: str, *, success: bool = True) -> bytes:
        answer = {"success": success, "ret_msg": text, "conn_id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{conn.number}"))}
        number = ask.message.get("req_id", "")
        if number or conn.path != "spot":
            answer["req_id"] = number
        return msgspec.json.encode({**answer, "op": ask.op})

    def command_error(self, data: bytes, code: int, msg: str, *, wrapped: bool) -> bytes:
        message = object_of(data)
        answer = {"success": False, "ret_msg": msg, "conn_id": str(uuid.UUID(int=0)), "req_id": message.get("req_id", "")}
        return msgspec.json.encode({**answer, "op": message.get("op", "")})

    def refusal(self, status: int) -> bytes | None:
        return msgspec.json.encode({"retCode": 10006, "retMsg": "Too many visits. Exceeded the API Rate Limit."})

    # Streams

    def publish(self, now: int) -> None:
        topics = self.hub.topics.get(self.venue) or {}
        forgettable: tuple[dict[str, Any], ...] = (self._shown, self._pushed, self._liquidated)
        for kept in forgettable:
            for stream in [s for s in kept if s not in topics]:
                del kept[stream]
        super().publish(now)

    def snapshot(self, stream: str) -> Sequence[bytes]:
        channel, _, native = stream.partition(":")
        line = self.lines[native]
        if channel.startswith("orderbook.") and channel != "orderbook.full":
            view = self.view(stream, depth_of(channel))
            return [self._book(stream, line, "snapshot", view.bids, view.asks, view.number, view.last_id).encode()]
        if channel != "tickers":
            return ()
        shown = self._shown.setdefault(stream, bybit_rest.figures(self.market, line, self.market.now))
        return [self._ticker(line, "snapshot", shown, self.market.now).encode()]

    def payloads(self, channel: str, line: Line | None, now: int) -> Iterable[str]:
        if line is None:
            return ()
        stream, kind = f"{channel}:{line.native}", channel.partition(".")[0]
        make: dict[str, Callable[[str, Line, int], Iterable[str]]] = {
            "publicTrade": self._trades, "tickers": self._tickers, "kline": self._candles, "allLiquidation": self._liquidations,
            "orderbook": self._touches if channel == "orderbook.1" else self._books,
        }  # fmt: skip
        return make[kind](stream, line, now)

    def _books(self, stream: str, line: Line, now: int) -> Iterable[str]:
        channel = stream.partition(":")[0]
        if now % CADENCES[channel.partition(".")[2]]:
            return
        view = self.view(stream, depth_of(channel))
        if (change := view.step()) is None:
            return
        if change.restarted and not stream.startswith("orderbook.full:"):
            yield self._book(stream, line, "snapshot", view.bids, view.asks, change.number, change.last_id)
        else:
            yield self._book(stream, line, "delta", change.bids, change.asks, change.number, change.last_id)

    def _touches(self, stream: str, line: Line, now: int) -> Iterable[str]:
        view = self.view(stream, 1)
        if view.step() is not None or now - self._pushed.setdefault(stream, now) >= REPEAT:
            self._pushed[stream] = now
            yield self._book(stream, line, "snapshot", view.bids, view.asks, view.number, view.last_id)

    def _book(self, stream: str, line: Line, kind: str, bids: list[Fill], asks: list[Fill], u: int, seq: int) -> str:
        b, a = levels(line.printer, bids), levels(line.printer, asks)
        data = f'{{"s":"{symbol_of(line.native)}","b":[{b}],"a":[{a}],"u":{u},"seq":{seq}}}'
        millis = self.market.now // MILLIS
        return envelope(stream, kind, millis, data)[:-1] + f',"cts":{millis - 2}}}'

    def _trades(self, stream: str, line: Line, now: int) -> Iterable[str]:
        made = line.instrument.trades
        text = spot_trade if category_of(line.native) == "spot" else contract_trade
        for i in range(0, len(made), MOST_TRADES):
            rows = ",".join(text(line, t) for t in made[i : i + MOST_TRADES])
            yield envelope(stream, "snapshot", now // MILLIS, f"[{rows}]")

    def _tickers(self, stream: str, line: Line, now: int) -> Iterable[str]:
        if now % (100 * MILLI):
            return
        shown, figures = self._shown.setdefault(stream, {}), bybit_rest.figures(self.market, line, now)
        changed = {key: text for key, text in figures.items() if shown.get(key) != text}
        self._shown[stream] = figures
        if changed and category_of(line.native) == "spot":
            yield self._ticker(line, "snapshot", figures, now)
        elif changed:
            yield self._ticker(line, "delta", {"symbol": symbol_of(line.native), **changed}, now)

    def _ticker(self, line: Line, kind: str, figures: dict[str, str], now: int) -> str:
        topic, data, seq = f"tickers.{symbol_of(line.native)}", msgspec.json.encode(figures).decode(), line.instrument.last_id
        if category_of(line.native) == "spot":
            return f'{{"topic":"{topic}","ts":{now // MILLIS},"type":"{kind}","cs":{seq},"data":{data}}}'
        return f'{{"topic":"{topic}","type":"{kind}","data":{data},"cs":{seq},"ts":{now // MILLIS}}}'

    def _candles(self, stream: str, line: Line, now: int) -> Iterable[str]:
        if now % SECOND:
            return
        name = stream.partition(":")[0].partition(".")[2]
        interval = bybit_rest.INTERVAL_NAMES[name]
        start = bucket(now - 1, interval)
        bar, end, p, millis = (
            line.instrument.klines.at(interval, start),
            start + INTERVALS[interval],
            line.printer,
            now // MILLIS,
        )
        data = (
            f'[{{"start":{start // MILLIS},"end":{end // MILLIS - 1},"interval":"{name}","open":"{p.price(bar.open)}",'
            f'"close":"{p.price(bar.close)}","high":"{p.price(bar.high)}","low":"{p.price(bar.low)}","volume":"{p.size(bar.volume)}",'
            f'"turnover":"{p.worth(bar.volume, bar.notional)}","confirm":{"true" if now == end else "false"},"timestamp":{millis}}}]'
        )
        yield f'{{"topic":"{topic_of(stream)}","data":{data},"ts":{millis},"type":"snapshot"}}'

    def _liquidations(self, stream: str, line: Line, now: int) -> Iterable[str]:
        """`S` is the position's side: a forced sale closes a long."""
        waiting, p = self._liquidated.setdefault(stream, []), line.printer
        waiting += [
            f'{{"T":{x.ts // MILLIS},"s":"{symbol_of(line.native)}","S":"{"Buy" if x.sell else "Sell"}","v":"{p.size(x.size)}",'
            f'"p":"{p.price(x.price)}"}}'
            for x in line.instrument.liquidations
        ]
        if waiting and now % (500 * MILLI) == 0:
            yield envelope(stream, "snapshot", now // MILLIS, f"[{','.join(waiting)}]")
            waiting.clear()

    # HTTP

    def endpoint(self, path: str) -> str | None:
        return path.removeprefix("/v5/market/") if path.startswith("/v5/market/") else None

    def freeze(self, native: str) -> bybit_rest.Frozen:
        market, stream = self.market.book(self.venue, native), f"orderbook.full:{native}"
        if stream not in (self.hub.topics.get(self.venue) or {}):
            return bybit_rest.Frozen(market, market)
        view = self.view(stream, ALL_LEVELS)
        return bybit_rest.Frozen(market, Book(view.number, view.bids, view.asks))

    def http(self, name: str, params: Mapping[str, str], now: int, book: Callable[[str], bybit_rest.Frozen]) -> Reply:
        return bybit_rest.answer(self.lines, name, params, now, book, trade_id)


def category_of(native: str) -> str:
    return native.partition("/")[0]


def symbol_of(native: str) -> str:
    return native.partition("/")[2]


def topic_of(stream: str) -> str:
    channel, _, native = stream.partition(":")
    return f"{channel}.{symbol_of(native)}"


def depth_of(channel: str) -> int:
    depth = channel.partition(".")[2]
    return ALL_LEVELS if depth == "full" else int(depth)


def envelope(stream: str, kind: str, millis: int, data: str) -> str:
    if ":spot/" in stream:
        return f'{{"topic":"{topic_of(stream)}","ts":{millis},"type":"{kind}","data":{data}}}'
    return f'{{"topic":"{topic_of(stream)}","type":"{kind}","ts":{millis},"data":{data}}}'


def levels(p: Printer, changed: list[Fill]) -> str:
    return ",".join([f'["{p.price(price)}","{p.size(size) if size else 0}"]' for price, size in changed])


def trade_id(line: Line, trade: Trade) -> str:
    """Unique, and of spot only a number."""
    if category_of(line.native) == "spot":
        return f"22900000000{trade.id}"
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{line.native}:{trade.id}"))


def spot_trade(line: Line, t: Trade) -> str:
    p, side = line.printer, "Sell" if t.buyer_is_maker else "Buy"
    return (
        f'{{"i":"{trade_id(line, t)}","T":{t.ts // MILLIS},"p":"{p.price(t.price)}","v":"{p.size(t.size)}","S":"{side}",'
        f'"s":"{symbol_of(line.native)}","BT":false,"RPI":false,"seq":{line.instrument.last_id}}}'
    )


def contract_trade(line: Line, t: Trade) -> str:
    p, side = line.printer, "Sell" if t.buyer_is_maker else "Buy"
    direction = "MinusTick" if t.buyer_is_maker else "PlusTick"
    return (
        f'{{"T":{t.ts // MILLIS},"s":"{symbol_of(line.native)}","S":"{side}","v":"{p.size(t.size)}","p":"{p.price(t.price)}",'
        f'"L":"{direction}","i":"{trade_id(line, t)}","BT":false,"RPI":false,"seq":{line.instrument.last_id}}}'
    )


WIRE = Bybit
