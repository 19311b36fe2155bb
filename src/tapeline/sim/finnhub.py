"""Finnhub on the wire: trades of stocks, crypto assets and currencies in one stream a key, and quotes over HTTP.

Sources: Finnhub's API documents (AsyncAPI copy of 2026-08) and recorded messages. One address, `?token=`; a key that begins with
`invalid`, or none, is refused with 401, and a second connection with the same key with 429. Nothing is acknowledged. Each 250 ms all
trades of all symbols that a connection asked for go into one message, symbols mixed and the later half of the trades first, so
that it is never in the order of time where there are two; keys stand in alphabetical order. Equal prints happen. Currencies come
with volume 0, which is a price. More than 50 symbols are refused with an error that names none of them. `{"type":"ping"}` comes
where nothing was said for a minute (`patience` shortens it).

HTTP: `quote`, `stock/symbol`, `crypto/symbol`, `forex/symbol`, 60 calls a minute, the key in the header `X-Finnhub-Token` or as
`token`; an unknown symbol is quoted with zeros.

Not imitated: trading hours (stocks trade all day), candles, everything that is no market data; exchanges other than the listed.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import msgspec

from tapeline.clock import MILLI, SECOND
from tapeline.sim.hub import MILLIS, Conn, Hub
from tapeline.sim.market import Market
from tapeline.sim.specs import Spec, VenueRules, listed
from tapeline.sim.wire import Answers, Hangup, Line, Place, Reply, Wire

CADENCE = 250 * MILLI
PING_SECONDS = 60.0
MOST_SYMBOLS = 50
_REFUSALS = {
    401: b'{"error":"Invalid API key"}',
    403: b'{"error":"You don\'t have access to this resource."}',
    429: b'{"error":"API limit reached. Please try again later. Remaining Limit: 0"}',
}


def _stock(symbol: str) -> Spec:
    return listed("finnhub", symbol, symbol, "USD", 2, 0, kind="stock")


class Finnhub(Wire):
    venue = "finnhub"
    specs = (
        *(_stock(s) for s in ("AAPL", "MSFT", "NVDA", "TSLA", "AMZN", "GOOGL", "META", "SPY", "QQQ")),
        listed("finnhub", "BINANCE:BTCUSDT", "BTC", "USDT", 2, 5),
        listed("finnhub", "BINANCE:ETHUSDT", "ETH", "USDT", 2, 4),
        listed("finnhub", "COINBASE:BTC-USD", "BTC", "USD", 2, 8),
        listed("finnhub", "OANDA:EUR_USD", "EUR", "USD", 5, 0, kind="fx"),
        listed("finnhub", "IC MARKETS:1", "EUR", "USD", 5, 0, kind="fx"),
    )
    default = ("AAPL", "MSFT", "NVDA", "TSLA", "SPY", "BINANCE:BTCUSDT", "COINBASE:BTC-USD", "OANDA:EUR_USD", "IC MARKETS:1")
    rules = VenueRules()
    weight_budget = 60
    book_endpoints: ClassVar[tuple[str, ...]] = ()

    def __init__(self, market: Market, hub: Hub) -> None:
        super().__init__(market, hub)
        self._said: dict[str, list[tuple[int, str]]] = {}  # trades since the last message, with their times

    # Addresses

    def place(self, path: str, query: Mapping[str, str]) -> Place | None:
        return Place() if path in {"", "/"} else None

    def admit(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> int | None:
        key = headers.get("X-Finnhub-Token") or query.get("token", "")
        if not key or key.startswith("invalid"):
            return 401
        taken = self.endpoint(path) is None and any(conn.query.get("token") == key for conn in self.hub.of(self.venue))
        return 429 if taken else None

    def refusal(self, status: int) -> bytes | None:
        return _REFUSALS.get(status)

    # The socket

    def command(self, conn: Conn, data: bytes, *, wrapped: bool) -> Answers:
        try:
            message = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            message = None
        if not isinstance(message, dict) or not isinstance(symbol := message.get("symbol"), str):
            return self.command_error(data, 0, "Invalid message", wrapped=wrapped)
        if message.get("type") == "unsubscribe":
            self.hub.unsubscribe(conn, symbol)
        elif message.get("type") != "subscribe":
            return self.command_error(data, 0, "Invalid message type", wrapped=wrapped)
        elif symbol not in conn.streams and len(conn.streams) >= MOST_SYMBOLS:
            return self.command_error(data, 0, "Subscribing to too many symbols", wrapped=wrapped)
        else:
            self.hub.subscribe(conn, symbol, served=symbol in self.lines)
        return ()

    def command_error(self, data: bytes, code: int, msg: str, *, wrapped: bool) -> bytes:  # one shape for all
        return msgspec.json.encode({"msg": msg, "type": "error"})

    def tend(self, conn: Conn, now: float) -> Hangup | list[bytes] | None:
        if now - max(conn.opened, conn.last_out) > PING_SECONDS * self.patience:
            return [b'{"type":"ping"}']
        return super().tend(conn, now)  # type: ignore[return-value]

    def serves(self, stream: str, path: str) -> bool:
        return stream in self.lines

    def publish(self, now: int) -> None:
        for native, line in self.lines.items():
            if line.instrument.trades:
                self._said.setdefault(native, []).extend(_prints(line))
        if now % CADENCE:
            return
        said, self._said = self._said, {}
        for conn in self.hub.of(self.venue):
            rows = [row for native in conn.streams if native in said for row in said[native]]
            if rows:
                rows.sort()
                half = len(rows) // 2
                body = ",".join(text for _, text in rows[half:] + rows[:half])
                self.hub.send(conn, "trade", f'{{"data":[{body}],"type":"trade"}}'.encode())

    # HTTP

    def endpoint(self, path: str) -> str | None:
        return path.removeprefix("/api/v1/") if path.startswith("/api/v1/") else None

    def http(self, name: str, params: Mapping[str, str], now: int, book: Callable[[str], Any]) -> Reply:
        if name == "quote":
            return Reply(self._quote(params.get("symbol", ""), now).encode())
        kind, slash, what = name.partition("/")
        if slash and what == "symbol" and kind in {"stock", "crypto", "forex"}:
            return Reply(msgspec.json.encode(list(self._listed(kind, params.get("exchange", "").upper()))))
        return Reply(b'{"error":"Endpoint not found"}', 404)

    def _quote(self, native: str, now: int) -> str:
        line = self.lines.get(native)
        if line is None:
            return '{"c":0,"d":null,"dp":null,"h":0,"l":0,"o":0,"pc":0,"t":0}'
        day, p = line.day(now), line.printer
        change, dp = p.price(day.close - day.open), (day.close - day.open) * 100 / day.open
        return (
            f'{{"c":{p.price(day.close)},"d":{change},"dp":{dp:.4f},"h":{p.price(day.high)},"l":{p.price(day.low)},'
            f'"o":{p.price(day.open)},"pc":{p.price(day.open)},"t":{now // SECOND}}}'
        )

    def _listed(self, kind: str, exchange: str) -> Iterable[dict[str, str]]:
        for line in self.lines.values():
            spec, native = line.spec, line.native
            if kind == "stock" and spec.kind == "stock" and exchange == "US":
                yield {
                    "currency": "USD",
                    "description": f"{native} INC",
                    "displaySymbol": native,
                    "mic": "XNAS",
                    "symbol": native,
                    "type": "Common Stock",
                }
            elif native.startswith(f"{exchange}:") and (kind == "forex") == (spec.kind == "fx"):
                pair = f"{spec.base}/{spec.quote}"
                yield {"description": f"{exchange} {pair}", "displaySymbol": pair, "symbol": native}


def _prints(line: Line) -> Iterable[tuple[int, str]]:
    p, native, kind = line.printer, line.native, line.spec.kind
    for n, t in enumerate(line.instrument.trades):
        conditions = ('["1","12"]' if t.size < 100 else '["1"]') if kind == "stock" else "null"
        size = "0" if kind == "fx" else p.size(t.size)
        row = f'{{"c":{conditions},"p":{p.price(t.price)},"s":"{native}","t":{t.ts // MILLIS},"v":{size}}}'
        yield t.ts + n, row


WIRE = Finnhub
