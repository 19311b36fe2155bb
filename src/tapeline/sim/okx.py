"""OKX v5 on the wire: spot, swaps and futures behind `/ws/v5/public` and `/ws/v5/business`.

Source: OKX API v5 documentation (2025-08, changes to 2026-09), and a recorded session of 2022 for what it leaves out: whoever
subscribes to `trades` or `tickers` is told the last one at once, old as it may be.

Books: 400 levels every 100 ms, `prevSeqId` the `seqId` of the message before, a message with equal ids and no levels after 60 s
without a change; when the market's ids begin anew, one whose `seqId` is the smaller, and the book goes on. HTTP tells the book as of
the stream's last message. Two attributes of the wire turn back time, or forth: `snapshots` False begins books as announced for
2026-08, without a snapshot on the socket; `checksums` True sums the books up as until 2026-06.

Not imitated: logins and private channels, `books-l2-tbt` and `books50-l2-tbt` past their refusal, liquidations, options, orders for
price improvement, the hour at which a candle's day begins (all are of UTC), the limits of single HTTP addresses (one budget of
40 in 2 s stands for all), and books that are crossed in an auction. How 480 subscriptions an hour are enforced is documented
nowhere: here by error 60014.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from tapeline.clock import MILLI, SECOND
from tapeline.sim import okx_texts as texts
from tapeline.sim.depths import View
from tapeline.sim.hub import MILLIS, Conn, Hub
from tapeline.sim.instrument import Aggregate, Instrument
from tapeline.sim.json_wire import Ask, JsonWire, Refused, object_of
from tapeline.sim.klines import INTERVALS
from tapeline.sim.lob import Fill
from tapeline.sim.market import Market
from tapeline.sim.printing import Printer, trimmed
from tapeline.sim.specs import Kind, Spec, listed
from tapeline.sim.wire import Answers, Hangup, Line, Place, Reply

CADENCE, QUIET, SLOW = 100 * MILLI, 60 * SECOND, 30 * SECOND
LEVEL = '["%s","%s","0","1"]'
DEPTHS = {"books": 400, "books5": 5}
LOGIN = {"books-l2-tbt": "VIP5", "books50-l2-tbt": "VIP4"}
DERIVED = frozenset(("mark-price", "funding-rate", "open-interest"))
ASKS_PER_HOUR = 480
LONGEST_ARGS = 65_536
CONN_ID = "a4d3ae55"


def _spec(native: str, price_decimals: int, size_decimals: int, worth: float = 1.0, kind: Kind = "spot") -> Spec:
    base, quote, *_ = native.split("-")
    inverse = kind != "spot" and quote == "USD"
    return listed("okx", native, base, quote, price_decimals, size_decimals, kind=kind, contract_size=worth, inverse=inverse)


class Frozen(NamedTuple):
    """A book over HTTP: (price, size) in ticks and lots, best first."""

    seq: int
    bids: list[Fill]
    asks: list[Fill]


class OkxWire(JsonWire):
    venue = "okx"
    specs = (
        _spec("BTC-USDT", 1, 8),
        _spec("ETH-USDT", 2, 6),
        _spec("SOL-USDT", 2, 6),
        _spec("XRP-USDT", 4, 6),
        _spec("DOGE-USDT", 5, 6),
        _spec("BTC-USDT-SWAP", 1, 2, 0.01, "perp"),
        _spec("ETH-USDT-SWAP", 2, 2, 0.1, "perp"),
        _spec("DOGE-USDT-SWAP", 5, 2, 1000.0, "perp"),
        _spec("BTC-USD-SWAP", 1, 0, 100.0, "perp"),
        _spec("ETH-USD-SWAP", 2, 0, 10.0, "perp"),
        _spec("BTC-USDT-270326", 1, 2, 0.01, "future"),
        _spec("BTC-USD-270326", 1, 0, 100.0, "future"),
    )
    default = ("BTC-USDT", "ETH-USDT", "BTC-USDT-SWAP", "BTC-USD-SWAP")
    book_streams = "books*"
    book_endpoints = ("api/v5/market/books",)
    idle_seconds = 30.0
    idle_close = Hangup(4004, "No data received in 30s")
    weight_budget = 40
    weight_seconds = 2

    snapshots: bool = True
    checksums: bool = False

    def __init__(self, market: Market, hub: Hub) -> None:
        super().__init__(market, hub)
        self._told: dict[str, int] = {}  # when a book stream last spoke

    def printer(self, instrument: Instrument) -> Printer:
        spec = instrument.spec
        return Printer(spec, spec.price_decimals, spec.size_decimals, trim=True)

    # Addresses and control messages

    def place(self, path: str, query: Mapping[str, str]) -> Place | None:
        kind = path.removeprefix("/ws/v5/")
        return Place(kind) if path.startswith("/ws/v5/") and kind in {"public", "business"} else None

    def command(self, conn: Conn, data: bytes, *, wrapped: bool) -> Answers:
        return b"pong" if data == b"ping" else super().command(conn, data, wrapped=wrapped)

    def read(self, conn: Conn, message: dict[str, Any]) -> Ask:
        if message.get("op") not in {"subscribe", "unsubscribe"}:
            raise Refused(f"Invalid request: {msgspec.json.encode(message).decode()}", 60012)
        args = message.get("args")
        if not isinstance(args, list) or not all(isinstance(a, dict) and isinstance(a.get("channel"), str) for a in args):
            raise Refused(f"Invalid request: {msgspec.json.encode(message).decode()}", 60012)
        if len(msgspec.json.encode(args)) > LONGEST_ARGS:
            raise Refused("Invalid args: longer than 64 KB", 60013)
        now = self.market.now
        asked = conn.state["asked"] = [t for t in conn.state.get("asked", []) if t > now - 3600 * SECOND] + [now]
        if len(asked) > ASKS_PER_HOUR:
            raise Refused("Requests too frequent", 60014)
        return Ask(message["op"], [f"{a['channel']}:{a.get('instId', '')}" for a in args], message)

    def acks(self, conn: Conn, ask: Ask, done: Sequence[str], failed: dict[str, str]) -> Sequence[bytes]:
        number = {"id": ask.message["id"]} if "id" in ask.message else {}
        said: list[dict[str, Any]] = []
        for stream in done:
            channel, _, native = stream.partition(":")
            arg = {"channel": channel, "instId": native}
            said.append({**number, "event": ask.op, "arg": arg, "connId": f"{conn.number:08x}"})
        for why in failed.values():
            code, _, text = why.partition(" ") if why[:5].isdigit() else ("60018", "", why)
            said.append({**number, "event": "error", "code": code, "msg": text, "connId": f"{conn.number:08x}"})
        return [msgspec.json.encode(one) for one in said]

    def command_error(self, data: bytes, code: int, msg: str, *, wrapped: bool) -> bytes:
        message = object_of(data)
        number = {"id": message["id"]} if "id" in message else {}
        return msgspec.json.encode({**number, "event": "error", "code": str(code or 60012), "msg": msg, "connId": CONN_ID})

    def channel_exists(self, channel: str) -> bool:
        plain = {"trades", "trades-all", "bbo-tbt", "tickers"}
        return channel in plain or channel in DEPTHS or channel in DERIVED or texts.interval_of(channel) is not None

    def why_not(self, conn: Conn, stream: str) -> str:
        channel, _, native = stream.partition(":")
        if channel in LOGIN:
            code = "60029" if channel == "books-l2-tbt" else "60030"
            return f"{code} Only users who are {LOGIN[channel]} and above are allowed to subscribe to {channel} channel"
        line = self.lines.get(native)
        known = line is not None and self.channel_exists(channel) and (channel not in DERIVED or line.spec.kind != "spot")
        if known and channel == "funding-rate" and line is not None and line.spec.kind != "perp":
            known = False
        if known and (conn.path == "business") is texts.on_business(channel):
            return ""
        return (
            f"60018 Wrong URL or channel:{channel},instId:{native} doesn't exist. Please use the correct URL, channel and "
            f"parameters referring to API document."
        )

    def shutdown_notice(self, conn: Conn, now: int) -> bytes | None:
        msg = "The connection will soon be closed for a service upgrade. Please reconnect."
        return msgspec.json.encode({"event": "notice", "code": "64008", "msg": msg, "connId": f"{conn.number:08x}"})

    # Streams

    def snapshot(self, stream: str) -> Sequence[bytes]:
        channel, _, native = stream.partition(":")
        line = self.lines[native]
        if channel in DEPTHS:
            view = self.view(stream, DEPTHS[channel])
            self._told[stream] = self.market.now
            if channel == "books5" or self.snapshots:
                return [self._book(stream, view, "snapshot", view.bids, view.asks, -1).encode()]
        elif channel == "trades" and line.instrument.recent_aggregates:
            return [self._aggregate(line, line.instrument.recent_aggregates[-1]).encode()]
        elif channel == "tickers" or channel in DERIVED:
            return [self._figures(channel, line, self.market.now).encode()]
        return ()

    def payloads(self, channel: str, line: Line | None, now: int) -> Iterable[str]:
        if line is None:
            return
        if channel == "trades":
            yield from (self._aggregate(line, one) for one in line.instrument.aggregates)
        elif channel == "trades-all":
            yield from (texts.push("trades-all", line, texts.trade(line, t)) for t in line.instrument.trades)
        elif channel == "bbo-tbt":
            yield from self._touch(line)
        elif channel in DEPTHS:
            if now % CADENCE == 0:
                yield from self._books(channel, line, now)
        elif (interval := texts.interval_of(channel)) is not None:
            yield from self._candles(channel, interval, line, now)
        elif now % {"tickers": CADENCE * 5, "funding-rate": SLOW}.get(channel, SECOND) == 0:
            yield self._figures(channel, line, now)

    def _books(self, channel: str, line: Line, now: int) -> Iterable[str]:
        stream = f"{channel}:{line.native}"
        view = self.view(stream, DEPTHS[channel])
        change = view.step()
        if change is not None:
            self._told[stream] = now
            if channel == "books5":
                yield self._book(stream, view, "", view.bids, view.asks, -1)
            else:
                yield self._book(stream, view, "update", change.bids, change.asks, change.previous_id)
        elif now - self._told.setdefault(stream, now) >= QUIET:
            self._told[stream] = now
            bids, asks = (view.bids, view.asks) if channel == "books5" else ([], [])
            yield self._book(stream, view, "update", bids, asks, view.last_id)

    def _book(self, stream: str, view: View, action: str, bids: list[Fill], asks: list[Fill], previous: int) -> str:
        channel, _, native = stream.partition(":")
        p, millis = self.lines[native].printer, self.market.now // MILLIS
        levels = f'"asks":[{p.levels(asks, LEVEL)}],"bids":[{p.levels(bids, LEVEL)}]'
        if channel == "books5":
            row = f'{{{levels},"instId":"{native}","ts":"{millis}","seqId":{view.last_id}}}'
            return f'{{"arg":{{"channel":"{channel}","instId":"{native}"}},"data":[{row}]}}'
        check = texts.checksum(view, p) if self.checksums else 0
        row = f'{{{levels},"ts":"{millis}","checksum":{check},"prevSeqId":{previous},"seqId":{view.last_id}}}'
        return f'{{"arg":{{"channel":"{channel}","instId":"{native}"}},"action":"{action}","data":[{row}]}}'

    def _touch(self, line: Line) -> Iterable[str]:
        if not line.instrument.touches:
            return
        touch, p = line.instrument.touches[-1], line.printer
        bids, asks = [(touch.bid, touch.bid_size)], [(touch.ask, touch.ask_size)]
        row = f'{{"asks":[{p.levels(asks, LEVEL)}],"bids":[{p.levels(bids, LEVEL)}],"ts":"{touch.ts // MILLIS}","seqId":{touch.u}}}'
        yield texts.push("bbo-tbt", line, row)

    def _aggregate(self, line: Line, one: Aggregate) -> str:
        row = texts.row(line, one.last, one.price, one.size, one.ts, one.buyer_is_maker)
        return texts.push(
            "trades", line, f'{row},"count":"{one.last - one.first + 1}","source":"0","seqId":{line.instrument.last_id}}}'
        )

    def _candles(self, channel: str, interval: str, line: Line, now: int) -> Iterable[str]:
        length = INTERVALS[interval]
        if now % length == 0:
            yield texts.push(channel, line, texts.candle(line, line.instrument.klines.at(interval, now - length), over=True))
        elif now % SECOND == 0:
            yield texts.push(
                channel, line, texts.candle(line, line.instrument.klines.at(interval, now - now % length), over=False)
            )

    def _figures(self, channel: str, line: Line, now: int) -> str:
        native, kind, ts = line.native, texts.type_of(line.spec), now // MILLIS
        head = f'"instType":"{kind}","instId":"{native}"'
        if channel == "tickers":
            return texts.push(channel, line, f"{{{head},{self._day(line, now)}}}")
        if channel == "open-interest":
            return texts.push(channel, line, f'{{{head},"oi":"2233398","oiCcy":"22333.98","ts":"{ts}"}}')
        marks = self.market.marks(self.venue, native)
        if channel == "mark-price":
            return texts.push(channel, line, f'{{{head},"markPx":"{trimmed(f"{marks.mark:.8f}")}","ts":"{ts}"}}')
        due = self.market.next_funding() // MILLIS
        rate = trimmed(f"{marks.funding:.10f}")
        return texts.push(
            channel, line, f'{{{head},"fundingRate":"{rate}","fundingTime":"{due}","nextFundingRate":"","ts":"{ts}"}}'
        )

    def _day(self, line: Line, now: int) -> str:
        day, p = line.day(now), line.printer
        bid, bid_size, ask, ask_size = line.instrument.lob.touch()
        volume, in_ccy, _ = texts.volumes(line, day)
        return (
            f'"last":"{p.price(line.instrument.last_price)}","lastSz":"1","askPx":"{p.price(ask)}","askSz":"{p.size(ask_size)}",'
            f'"bidPx":"{p.price(bid)}","bidSz":"{p.size(bid_size)}","open24h":"{p.price(day.open)}","high24h":"{p.price(day.high)}",'
            f'"low24h":"{p.price(day.low)}","volCcy24h":"{in_ccy}","vol24h":"{volume}","sodUtc0":"{p.price(day.open)}",'
            f'"sodUtc8":"{p.price(day.open)}","ts":"{now // MILLIS}"'
        )

    # HTTP

    def refusal(self, status: int) -> bytes | None:
        return b'{"code":"50011","msg":"Too Many Requests","data":[]}' if status == 429 else None

    def freeze(self, native: str) -> Frozen:
        """As of the last message of its stream, where there is one."""
        if f"books:{native}" in (self.hub.topics.get(self.venue) or {}):
            view = self.view(f"books:{native}", DEPTHS["books"])
            return Frozen(view.last_id, view.bids, view.asks)
        book = self.market.book(self.venue, native, DEPTHS["books"])
        return Frozen(book.last_update_id, book.bids, book.asks)

    def http(self, name: str, params: Mapping[str, str], now: int, book: Callable[[str], Frozen]) -> Reply:
        try:
            return self._answer(name.removeprefix("api/v5/"), params, now, book)
        except ValueError:
            return Reply(b'{"code":"51000","msg":"Parameter error","data":[]}')

    def _answer(self, name: str, params: Mapping[str, str], now: int, book: Callable[[str], Frozen]) -> Reply:
        if name == "public/time":
            return texts.reply(f'{{"ts":"{now // MILLIS}"}}')
        if name == "public/instruments":
            kind = params.get("instType", "")
            return texts.reply(
                ",".join(texts.listing(line) for line in self.lines.values() if texts.type_of(line.spec) == kind)
            )
        if not name.startswith("market/"):
            return Reply(b'{"code":"404","msg":"Not Found","data":[]}', 404)
        line = self.lines.get(params.get("instId", ""))
        if line is None:
            return Reply(b'{"code":"51001","msg":"Instrument ID, Instrument ID code, or Spread ID doesn\'t exist.","data":[]}')
        match name.removeprefix("market/"):
            case "books":
                return self._whole(line, book(line.native), min(int(params.get("sz", "1")), 400), now)
            case "trades":
                return texts.trades(line, line.recent(min(int(params.get("limit", "100")), 500)))
            case "history-trades":
                after = int(params["after"]) if "after" in params else None
                return texts.trades(line, line.recent(min(int(params.get("limit", "100")), 100), before=after))
            case "candles":
                interval = texts.CANDLES.get(params.get("bar", "1m").removesuffix("utc"), "1m")
                bars = line.instrument.klines.recent(interval, now, min(int(params.get("limit", "100")), 300))
                over = [b.open_time + INTERVALS[interval] <= now for b in bars]
                return texts.reply(
                    ",".join(texts.candle(line, b, over=done) for b, done in reversed(list(zip(bars, over, strict=True))))
                )
        return Reply(b'{"code":"404","msg":"Not Found","data":[]}', 404)

    def _whole(self, line: Line, frozen: Frozen, levels: int, now: int) -> Reply:
        bids, asks = (line.printer.levels(side[:levels], LEVEL) for side in (frozen.bids, frozen.asks))
        return texts.reply(f'{{"asks":[{asks}],"bids":[{bids}],"ts":"{now // MILLIS}","seqId":{frozen.seq}}}')


WIRE = OkxWire
