"""Kraken's WebSocket v2 and public REST on the wire.

Sources: docs.kraken.com, "Spot WebSocket v2", "Book checksum v2" and "Spot REST" (2026), and live frames for the order of members.
A status message comes first; each symbol of a subscription is acknowledged or refused by itself, then snapshots follow. Books:
levels that leave the depth are not deleted, prices and sizes are JSON numbers with all their zeros, every message bears the
checksum of the best ten. Tickers come at trades or at each change of the touch, candles at trades. A heartbeat comes after a second
without other data. REST says what is wrong with status 200. A halted pair is `cancel_only` on the instrument channel; a
shutdown is announced as Kraken does it: by a status of maintenance.

Kraken does not say how many messages a second are too many; here 30 are, and are answered "Exceeded msg rate" as there.

Not imitated: v1, level 3, private channels, the Cloudflare limit on connections, 15-day candles, `snapshot: false` but for
instruments, `Assets`, `Ticker` and the order in which Kraken's cores fall behind one another.
"""

import zlib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from tapeline.clock import MICRO, MILLI, SECOND
from tapeline.sim.depths import View
from tapeline.sim.hub import Conn
from tapeline.sim.instrument import Instrument, Trade
from tapeline.sim.json_wire import Ask, Refused, object_of
from tapeline.sim.klines import Kline, bucket
from tapeline.sim.kraken_rest import KrakenRest, iso
from tapeline.sim.limits import too_many
from tapeline.sim.lob import Fill
from tapeline.sim.printing import Printer
from tapeline.sim.specs import listed
from tapeline.sim.wire import Answers, Data, Line, Place
from tapeline.venues.kraken_messages import DEPTHS, MINUTES

CADENCE = 50 * MILLI
LEVEL = '{"price":%s,"qty":%s}'
MOST_A_SECOND = 30
INSTRUMENTS = "instrument:"


def checksum(printer: Printer, bids: Sequence[Fill], asks: Sequence[Fill]) -> int:
    digits = [
        text.replace(".", "").lstrip("0")
        for side in (asks, bids)
        for price, size in side[:10]
        for text in (printer.price(price), printer.size(size))
    ]
    return zlib.crc32("".join(digits).encode())


class Kraken(KrakenRest):
    venue = "kraken"
    specs = (
        listed("kraken", "BTC/USD", "BTC", "USD", 1, 8),
        listed("kraken", "ETH/USD", "ETH", "USD", 2, 8),
        listed("kraken", "SOL/USD", "SOL", "USD", 2, 8),
        listed("kraken", "XRP/USD", "XRP", "USD", 5, 8),
        listed("kraken", "DOGE/USD", "DOGE", "USD", 7, 8, levels=300),
        listed("kraken", "BTC/EUR", "BTC", "EUR", 1, 8),
        listed("kraken", "ETH/BTC", "ETH", "BTC", 5, 8, levels=150),
    )
    default = ("BTC/USD", "ETH/USD", "SOL/USD", "DOGE/USD", "BTC/EUR")
    book_streams = "book-*"
    version: ClassVar[str] = "2.0.10"

    def printer(self, instrument: Instrument) -> Printer:
        return Printer(instrument.spec, instrument.spec.price_decimals, 8)

    # Connections and control messages

    def place(self, path: str, query: Mapping[str, str]) -> Place | None:
        return Place() if path == "/v2" else None

    def opened(self, conn: Conn, now: int) -> Sequence[bytes]:
        return [self._status("online", conn)]

    def _status(self, system: str, conn: Conn) -> bytes:
        data = {"version": self.version, "system": system, "api_version": "v2", "connection_id": 2**63 + conn.number}
        return msgspec.json.encode({"channel": "status", "type": "update", "data": [data]})

    def shutdown_notice(self, conn: Conn, now: int) -> bytes | None:
        return self._status("maintenance", conn)

    def tend(self, conn: Conn, now: float) -> Sequence[bytes] | None:
        return [b'{"channel":"heartbeat"}'] if conn.asked and now - conn.last_out > self.patience else None

    def command(self, conn: Conn, data: bytes, *, wrapped: bool) -> Answers:
        if too_many(conn.state.setdefault("times", deque()), conn.last_in, MOST_A_SECOND):
            return self.command_error(data, 0, "Exceeded msg rate", wrapped=wrapped)
        return super().command(conn, data, wrapped=wrapped)

    def read(self, conn: Conn, message: dict[str, Any]) -> Ask:
        method, params = message.get("method"), message.get("params")
        if method == "ping":
            return Ask("ping", [], message)
        if method not in {"subscribe", "unsubscribe"} or not isinstance(params, dict):
            raise Refused("Malformed request")
        channel, symbols = str(params.get("channel")), params.get("symbol", [])
        if channel == "instrument":
            return Ask(method, [INSTRUMENTS], message)
        if not isinstance(symbols, list) or not symbols:
            raise Refused("Malformed request")
        return Ask(method, [f"{_kind(channel, params)}:{symbol}" for symbol in symbols], message)

    def why_not(self, conn: Conn, stream: str) -> str:
        kind, _, native = stream.partition(":")
        if native and native not in self.lines:
            return f"Currency pair not supported {native}"
        if not self.channel_exists(kind):
            return "Subscription depth not supported" if kind.startswith("book") else f"Subscription {kind} not supported"
        same = {stream, f"ticker:{native}", f"ticker-bbo:{native}"} if kind.startswith("ticker") else {stream}
        return "" if same.isdisjoint(conn.streams) else "Already subscribed"

    def channel_exists(self, channel: str) -> bool:
        name, _, parameter = channel.partition("-")
        if name in {"book", "ohlc"}:
            return parameter.isdigit() and int(parameter) in (DEPTHS if name == "book" else (m for m in MINUTES if m < 21600))
        return channel in {"trade", "ticker", "ticker-bbo", "instrument"}

    def obey(self, conn: Conn, ask: Ask) -> Answers:
        answers = super().obey(conn, ask)
        if ask.streams != [INSTRUMENTS] or ask.message["params"].get("snapshot", True):
            return answers
        return [answer for answer in answers if isinstance(answer, bytes)]

    def acks(self, conn: Conn, ask: Ask, done: Sequence[str], failed: dict[str, str]) -> Sequence[bytes]:
        """One a symbol, in the order of the request."""
        return [self._ack(ask, stream, failed.get(stream, "")) for stream in ask.streams]

    def _ack(self, ask: Ask, stream: str, error: str) -> bytes:
        params, symbol = ask.message["params"], stream.partition(":")[2]
        answer: dict[str, Any] = {"method": ask.op}
        if error:
            answer = {"error": error, "method": ask.op, "success": False, "symbol": symbol}
        else:
            kept = {key: value for key, value in params.items() if key != "symbol"}
            answer |= {"result": {**kept, "symbol": symbol} if symbol else kept, "success": True}
        return self._timed(answer, ask.message)

    def other(self, conn: Conn, ask: Ask) -> Answers:
        return self._timed({"method": "pong"}, ask.message)

    def command_error(self, data: bytes, code: int, msg: str, *, wrapped: bool) -> bytes:
        message = object_of(data)
        return self._timed({"error": msg, "method": str(message.get("method", "")), "success": False}, message)

    def _timed(self, answer: dict[str, Any], message: dict[str, Any]) -> bytes:
        if isinstance(message.get("req_id"), int):
            answer["req_id"] = message["req_id"]
        now = self.market.now
        return msgspec.json.encode({**answer, "time_in": iso(now), "time_out": iso(now + 30 * MICRO)})

    # Streams

    def snapshot(self, stream: str) -> Sequence[bytes]:
        kind, _, native = stream.partition(":")
        if kind == "instrument":
            return [self._instruments("snapshot", self.lines.values())]
        line, name = self.lines[native], kind.partition("-")[0]
        if name == "book":
            view = self._view(stream)
            return [self._book(line, view, "snapshot", view.bids, view.asks).encode()]
        if name == "trade":
            return [self._trades("snapshot", line, line.recent(50)).encode()]
        if name == "ticker":
            return [self._ticker("snapshot", line).encode()]
        bars = line.instrument.klines.recent(_interval(kind), self.market.now, 2)
        return [self._candles("snapshot", line, kind, bars).encode()]

    def payloads(self, channel: str, line: Line | None, now: int) -> Iterable[str]:
        if line is None:
            return
        name = channel.partition("-")[0]
        if name == "book":
            view = self._view(f"{channel}:{line.native}")
            change = view.step() if now % CADENCE == 0 else None
            if change is not None:
                yield self._book(line, view, "update", change.bids, change.asks)
        elif channel == "ticker-bbo":
            if line.instrument.touches:
                yield self._ticker("update", line)
        elif line.instrument.trades:
            if name == "trade":
                yield self._trades("update", line, line.instrument.trades)
            elif name == "ticker":
                yield self._ticker("update", line)
            else:
                klines, interval = line.instrument.klines, _interval(channel)
                yield self._candles("update", line, channel, [klines.at(interval, bucket(now - 1, interval))])

    def _view(self, stream: str) -> View:
        return self.view(stream, int(stream.partition(":")[0].partition("-")[2]), truncated=True)

    def _book(self, line: Line, view: View, kind: str, bids: list[Fill], asks: list[Fill]) -> str:
        p = line.printer
        return (
            f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{line.native}","bids":[{p.levels(bids, LEVEL)}],'
            f'"asks":[{p.levels(asks, LEVEL)}],"checksum":{checksum(p, view.bids, view.asks)},'
            f'"timestamp":"{iso(self.market.now)}"}}]}}'
        )

    def _trades(self, kind: str, line: Line, trades: Iterable[Trade]) -> str:
        p = line.printer
        rows = ",".join(
            f'{{"symbol":"{line.native}","side":"{"sell" if t.buyer_is_maker else "buy"}","price":{p.price(t.price)},'
            f'"qty":{p.size(t.size)},"ord_type":"{"limit" if t.taker % 3 else "market"}","trade_id":{t.id},'
            f'"timestamp":"{iso(t.ts)}"}}'
            for t in trades
        )
        return f'{{"channel":"trade","type":"{kind}","data":[{rows}]}}'

    def _ticker(self, kind: str, line: Line) -> str:
        p, now = line.printer, self.market.now
        day, (bid, bid_size, ask, ask_size) = line.day(now), line.instrument.lob.touch()
        change = p.price(abs(day.close - day.open))
        return (
            f'{{"channel":"ticker","type":"{kind}","data":[{{"symbol":"{line.native}","bid":{p.price(bid)},"bid_qty":{p.size(bid_size)},'
            f'"ask":{p.price(ask)},"ask_qty":{p.size(ask_size)},"last":{p.price(day.close)},"volume":{p.size(day.volume)},'
            f'"vwap":{p.mean(day.notional, day.volume)},"low":{p.price(day.low)},"high":{p.price(day.high)},'
            f'"change":{"-" * (day.close < day.open)}{change},"change_pct":{(day.close - day.open) * 100 / day.open:.2f},'
            f'"trades":{day.trades},"timestamp":"{iso(now)}"}}]}}'
        )

    def _candles(self, kind: str, line: Line, channel: str, bars: Iterable[Kline]) -> str:
        p, minutes = line.printer, int(channel.partition("-")[2])
        rows = ",".join(
            f'{{"symbol":"{line.native}","open":{p.price(b.open)},"high":{p.price(b.high)},"low":{p.price(b.low)},'
            f'"close":{p.price(b.close)},"trades":{b.trades},"volume":{p.size(b.volume)},"vwap":{p.mean(b.notional, b.volume)},'
            f'"interval_begin":"{iso(b.open_time, 9)}","interval":{minutes},'
            f'"timestamp":"{iso(b.open_time + minutes * 60 * SECOND)}"}}'
            for b in bars
        )
        return f'{{"channel":"ohlc","type":"{kind}","timestamp":"{iso(self.market.now, 9)}","data":[{rows}]}}'

    def _instruments(self, kind: str, lines: Iterable[Line], status: str = "online") -> bytes:
        pairs = ",".join(
            f'{{"symbol":"{line.native}","base":"{line.spec.base}","quote":"{line.spec.quote}","status":"{status}","qty_precision":8,'
            f'"qty_increment":1e-08,"price_precision":{line.spec.price_decimals},"cost_precision":5,"marginable":false,'
            f'"has_index":true,"cost_min":0.5,"qty_min":0.0001,"price_increment":{line.printer.price(1)}}}'
            for line in lines
        )
        return f'{{"channel":"instrument","type":"{kind}","data":{{"assets":[],"pairs":[{pairs}]}}}}'.encode()

    def trading_changed(self, native: str, *, trading: bool) -> Sequence[Data]:
        status = "online" if trading else "cancel_only"
        return [Data(INSTRUMENTS, self._instruments("update", [self.lines[native]], status))]


def _kind(channel: str, params: Mapping[str, Any]) -> str:
    """The stream's kind as `venues/kraken_messages.py` names it."""
    if channel == "book":
        return f"book-{params.get('depth', 10)}"
    if channel == "ohlc":
        return f"ohlc-{params.get('interval', 1)}"
    return "ticker-bbo" if channel == "ticker" and params.get("event_trigger") == "bbo" else channel


def _interval(kind: str) -> str:
    return MINUTES[int(kind.partition("-")[2])]


WIRE = Kraken
