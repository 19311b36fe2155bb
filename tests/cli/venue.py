"""A venue's HTTP side on a real socket, answering as a test wants it to."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SYMBOLS = [("BTCUSDT", "BTC", "USDT"), ("ETHUSDT", "ETH", "USDT"), ("ETHBTC", "ETH", "BTC"), ("SOLUSDT", "SOL", "USDT")]


def exchange_info() -> bytes:
    filters = [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01000000"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000.0", "stepSize": "0.00001000"},
    ]
    symbols = [{"symbol": s, "status": "TRADING", "baseAsset": b, "quoteAsset": q, "filters": filters} for s, b, q in SYMBOLS]
    return json.dumps({"timezone": "UTC", "serverTime": 1, "symbols": symbols}).encode()


class Answering(BaseHTTPRequestHandler):
    status, headers_too, shift = 200, {}, 0.0

    def do_GET(self) -> None:
        body = exchange_info() if self.status == 200 else b"{}"
        self.send_response_only(self.status)
        self.send_header("Date", formatdate(self.now() + self.shift, usegmt=True))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in self.headers_too.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def now(self) -> float:
        import time

        return time.time()

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def venue(status: int = 200, headers: dict[str, str] | None = None, shift: float = 0.0) -> Iterator[str]:
    """The address of a venue that answers `status`; its clock runs `shift` seconds ahead."""
    handler = type("Handler", (Answering,), {"status": status, "headers_too": headers or {}, "shift": shift})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
