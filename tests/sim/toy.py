"""A venue that does not exist, with everything that Binance lacks: the example for `docs/simulator.md`, and the proof of `sim/wire.py`.

    > {"op": "subscribe", "topics": ["book.10:BTC-USD", "trades:BTC-USD"]}
    < {"ack": "subscribe", "topic": "book.10:BTC-USD", "ok": true, "n": 1}            one a topic
    < {"topic": "book.10:BTC-USD", "type": "snapshot", "u": 7, "bids": …, "n": 2}     standing where the stream stands
    < {"topic": "book.10:BTC-USD", "type": "update", "u": 8, "bids": …, "n": 3}       `u` + 1 a message, `n` + 1 a connection
    < {"beat": 1}                                                                     each second of the market
    > ping                                                                            text, answered by pong

`book.N` deletes what falls out of the best N; `cut.N` leaves that to the client.
"""

import zlib

import msgspec

from tapeline.clock import MILLI, SECOND
from tapeline.sim.hub import MILLIS
from tapeline.sim.json_wire import Ask, JsonWire, Refused
from tapeline.sim.specs import listed
from tapeline.sim.wire import Data, Hangup, Place, Reply

CADENCE = 100 * MILLI


def checksum(bids: str, asks: str) -> int:
    return zlib.crc32(f"{bids}|{asks}".encode())


class Toy(JsonWire):
    venue = "toy"
    specs = (
        listed("toy", "BTC-USD", "BTC", "USD", 2, 6),
        listed("toy", "ETH-USD", "ETH", "USD", 2, 5),
        listed("toy", "BTC-INV", "BTC", "USD", 1, 0, kind="perp", tick=5, contract_size=100.0, inverse=True),
        listed("toy", "BTC-LIN", "BTC", "USD", 1, 0, kind="perp", contract_size=0.001),
        listed("toy", "EUR-JPY", "EUR", "JPY", 3, 0, kind="fx"),
        listed("toy", "AAPL", "AAPL", "USD", 2, 0, kind="stock"),
    )
    default = ("BTC-USD", "ETH-USD")
    book_streams = "[bc]*:*"
    stamps = True
    subscribe_seconds = 5.0
    idle_seconds = 30.0
    idle_close = Hangup(4004, "No data received in 30s")

    def place(self, path, query):
        return Place() if path == "/v9" else None

    def admit(self, path, query, headers):
        return 401 if query.get("token") == "wrong" else None

    def opened(self, conn, now):
        return [b'{"status":"online"}']

    def stamp(self, conn, body):
        if body == b"pong":
            return body
        conn.state["n"] = conn.state.get("n", -1) + 1
        return body[:-1] + b',"n":%d}' % conn.state["n"]

    def command(self, conn, data, *, wrapped):
        return b"pong" if data == b"ping" else super().command(conn, data, wrapped=wrapped)

    def read(self, conn, message):
        if message.get("op") not in {"subscribe", "unsubscribe", "hello"}:
            raise Refused("what?", 13)
        return Ask(message["op"], message.get("topics", []), message)

    def other(self, conn, ask):
        return b'{"hello":"you"}'

    def command_error(self, data, code, msg, *, wrapped):
        return msgspec.json.encode({"error": msg, "code": code})

    def acks(self, conn, ask, done, failed):
        return [
            *(msgspec.json.encode({"ack": ask.op, "topic": topic, "ok": True}) for topic in done),
            *(msgspec.json.encode({"ack": ask.op, "topic": topic, "ok": False, "why": why}) for topic, why in failed.items()),
        ]

    def channel_exists(self, channel):
        name, _, depth = channel.partition(".")
        return channel in {"trades", "beat", "touch"} or (name in {"book", "cut"} and depth.isdigit())

    def _view(self, stream):
        channel = stream.partition(":")[0]
        name, _, depth = channel.partition(".")
        return self.view(stream, int(depth), truncated=name == "cut")

    def _book(self, stream, kind, bids, asks):
        view, p = self._view(stream), self.lines[stream.partition(":")[2]].printer
        check = checksum(p.levels(view.bids), p.levels(view.asks))
        return (
            f'{{"topic":"{stream}","type":"{kind}","u":{view.number},"ts":{self.market.now // MILLIS},'
            f'"bids":[{p.levels(bids)}],"asks":[{p.levels(asks)}],"checksum":{check}}}'
        )

    def snapshot(self, stream):
        if not stream.startswith(("book", "cut")):
            return ()
        view = self._view(stream)
        return [self._book(stream, "snapshot", view.bids, view.asks).encode()]

    def payloads(self, channel, line, now):
        if channel == "beat":
            if now % SECOND == 0:
                yield f'{{"beat":{now // SECOND}}}'
        elif channel == "trades":
            for t in line.instrument.trades:
                side = "sell" if t.buyer_is_maker else "buy"
                p = line.printer
                yield (
                    f'{{"topic":"trades:{line.native}","trade_id":{t.id},"price":"{p.price(t.price)}",'
                    f'"size":"{p.size(t.size)}","side":"{side}","ts":{t.ts // MILLIS}}}'
                )
        elif now % CADENCE == 0:
            stream = f"{channel}:{line.native}"
            change = self._view(stream).step()
            if change is not None:
                yield self._book(stream, "restart" if change.restarted else "update", change.bids, change.asks)

    def trading_changed(self, native, *, trading):
        return [
            Data(
                f"trades:{native}", b'{"topic":"trades:%b","trading":%b}' % (native.encode(), b"true" if trading else b"false")
            )
        ]

    def http(self, name, params, now, book):
        if name != "depth" or params.get("symbol") not in self.lines:
            return Reply(b'{"error":"no such thing"}', 404)
        line, frozen = self.lines[params["symbol"]], book(params["symbol"])
        p = line.printer
        body = f'{{"id":{frozen.last_update_id},"bids":[{p.levels(frozen.bids)}],"asks":[{p.levels(frozen.asks)}]}}'
        return Reply(body.encode())
