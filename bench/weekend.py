"""The weekend script: what one writes in an afternoon to stream a market, kept honest. `loopback.py` runs it beside Tapeline.

    python bench/weekend.py ws://HOST:PORT/PATH FRAMES      prints {"cpu": seconds, "wall": seconds} of taking so many frames

`websocket-client`, `json`, dicts sorted after each update, SQLite with a commit per trade: the parts that tutorials show. It makes
the same things, touch, spread, imbalance and a table of trades, and none of the promises: no receive times kept, no tape, no proof
that the book is right, no bars.
"""

import json
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import websocket


class Weekend:
    def __init__(self, path: Path, count: int) -> None:
        self.left = count
        self.began = (0.0, 0.0)
        self.spent: dict[str, float] = {}
        self.bids: dict[float, float] = {}
        self.asks: dict[float, float] = {}
        self.best: dict[str, float] = {}
        self.quote: tuple[float, ...] = ()
        self.db = sqlite3.connect(path)
        self.db.execute("create table trades (id integer primary key, time integer, price real, size real, side text)")

    def on_message(self, socket: websocket.WebSocketApp, text: str) -> None:
        if not self.spent and self.began == (0.0, 0.0):
            self.began = (time.process_time(), time.perf_counter())
        message = json.loads(text)
        data = message.get("data", message)
        kind = data.get("e") or ("snapshot" if "lastUpdateId" in data else "bookTicker")
        if kind == "trade":
            self.trade(data)
        elif kind == "depthUpdate":
            self.depth(data)
        elif kind == "bookTicker":
            self.quote = tuple(float(data[k]) for k in "bBaA")
        else:
            self.bids = {float(p): float(s) for p, s in data["bids"]}
            self.asks = {float(p): float(s) for p, s in data["asks"]}
        self.left -= 1
        if not self.left:
            self.spent = {"cpu": time.process_time() - self.began[0], "wall": time.perf_counter() - self.began[1]}
            socket.close()

    def trade(self, data: dict[str, Any]) -> None:
        row = (data["t"], data["T"], float(data["p"]), float(data["q"]), "sell" if data["m"] else "buy")
        self.db.execute("insert or ignore into trades values (?, ?, ?, ?, ?)", row)
        self.db.commit()

    def depth(self, data: dict[str, Any]) -> None:
        for side, changes in ((self.bids, data["b"]), (self.asks, data["a"])):
            for price, size in changes:
                if float(size):
                    side[float(price)] = float(size)
                else:
                    side.pop(float(price), None)
        bids, asks = sorted(self.bids.items(), reverse=True), sorted(self.asks.items())
        if bids and asks:
            (bid, _), (ask, _) = bids[0], asks[0]
            total_bid, total_ask = sum(s for _, s in bids[:5]), sum(s for _, s in asks[:5])
            self.best = {
                "bid": bid,
                "ask": ask,
                "spread": ask - bid,
                "imbalance": (total_bid - total_ask) / (total_bid + total_ask),
            }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        script = Weekend(Path(folder) / "trades.db", int(sys.argv[2]))
        websocket.WebSocketApp(sys.argv[1], on_message=script.on_message).run_forever()
        print(json.dumps(script.spent))


if __name__ == "__main__":
    main()
