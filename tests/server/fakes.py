"""An engine whose every state and event the test decides, on a real bus."""

from typing import Any

from tapeline.clock import MICRO, SECOND
from tapeline.engine.bus import Batch, Bus
from tapeline.engine.source import BookView, Mode
from tapeline.events import Bar, BookUpdate, Event, Flag, Metrics, Quote, Status, Trade
from tapeline.instruments import Instrument
from tapeline.market.profile import Profile

T0 = 1_795_132_800 * SECOND
BTC, ETH = "sim:BTC-USDT", "sim:ETH-USDT"
SIM = int(Flag.SIMULATED)


def trade(n: int, instrument: str = BTC, **changes: Any) -> Trade:
    """The n-th trade, n milliseconds after T0; its times end in nanoseconds that must be cut off, not rounded."""
    at = T0 + n * 1_000_000
    values: dict[str, Any] = {"price": 100.0 + n, "size": 0.25, "side": "buy", "id": str(n), "flags": SIM} | changes
    return Trade(instrument=instrument, ts_event=at + 999, ts_recv=at + 5 * MICRO + 999, **values)


def quote(n: int, instrument: str = BTC, origin: str = "book") -> Quote:
    at = T0 + n * 1_000_000
    return Quote(instrument, at, at + 1500, SIM, 99.5, 1.0 + n, 100.5, None, n, origin)  # type: ignore[arg-type]


def metrics(n: int, instrument: str = BTC) -> Metrics:
    at = T0 + n * 1_000_000
    return Metrics(instrument, at, at + 1500, SIM, 100.0 + n, 1.0, 100.0, 0.5, None, n)


def bar(n: int, instrument: str = BTC, interval: str = "1m", **changes: Any) -> Bar:
    """The bar of the n-th minute."""
    at = T0 + n * 60 * SECOND
    values: dict[str, Any] = {
        "open": 100.0, "high": 110.0, "low": 90.0, "close": 105.0 + n, "volume": 12.5, "buy_volume": 6.25, "notional": 1250.0,
        "vwap": 100.0, "trades": 7, "complete": True, "revision": 0, "origin": "trades", "flags": SIM,
    } | changes  # fmt: skip
    return Bar(
        instrument=instrument, ts_event=at + 60 * SECOND, ts_recv=at + 61 * SECOND, interval=interval, ts_open=at, **values
    )


def status(n: int, kind: str = "gap", instrument: str = BTC) -> Status:
    at = T0 + n * 1_000_000
    return Status(instrument, at, at, SIM, kind, "sim", "book", "ids 5 to 7 are missing", 5, 7, 3)  # type: ignore[arg-type]


def book_event(n: int, instrument: str = BTC) -> BookUpdate:
    at = T0 + n * 1_000_000
    return BookUpdate(instrument, at, at, SIM, [(99.5, 1.0)], [], snapshot=False, seq=n, prev_seq=n - 1)


def book_view(n: int, instrument: str = BTC, depth: int = 25, state: str = "synced") -> BookView:
    bids = [(99.0 - i, 1.0 + i) for i in range(1000)][:depth]
    asks = [(101.0 + i, 2.0 + i) for i in range(1000)][:depth]
    at = T0 + n * 1_000_000
    return BookView(
        instrument=instrument, ts_event=at, ts_recv=at + 2500, seq=n, state=state, bids=bids, asks=asks,  # type: ignore[arg-type]
        bid_floor=50.0, ask_ceiling=None,
    )  # fmt: skip


def instrument(name: str) -> Instrument:
    venue, _, symbol = name.partition(":")
    base, _, quoted = symbol.partition("-")
    return Instrument(
        id=name, venue=venue, native=symbol.replace("-", ""), kind="spot", base=base, quote=quoted, tick=0.01, lot=0.00001
    )


class FakeSource:
    control = None

    def __init__(self, mode: Mode = "simulated") -> None:
        self.mode: Mode = mode
        self.bus = Bus()
        self.streams = [instrument(BTC), instrument(ETH)]
        self.others = [instrument("sim:DOGE-USDT")]
        self.connection = "up"
        self.sampled: dict[str, Profile] = {}
        self.book_at: int | None = 1
        self.book_state = "synced"
        self.open: dict[tuple[str, str], Bar] = {}
        self._seq = 0
        self.time = T0 + 60 * SECOND

    def now(self) -> int:
        return self.time

    def push(self, *events: Event) -> None:
        self._seq += 1
        self.bus.publish(Batch("s", self._seq, self._seq, list(events)))

    def status(self) -> dict[str, Any]:
        return {
            "mode": self.mode, "reason": "asked for", "version": "0.1.0", "session": "s", "started": T0, "now": T0 + 60 * SECOND,
            "bars": ["tick:20"], "speed": None, "frames": 123, "events": 456, "frames_per_second": 8.5, "gaps": 1, "rejected": 2, "resyncs": 3,
            "connections": [
                {"id": 1, "venue": "sim", "protocol": "binance", "url": "ws://127.0.0.1:1", "state": self.connection, "since": T0 + 1999,
                 "streams": 9, "frames": 100, "last_frame": T0 + 2000, "attempts": 0, "latency_ms": 1.5}
            ],
            "venues": [
                {"protocol": "binance", "label": "sim", "connections": 1, "streams": 9, "frames": 100, "events": 90, "cpu_seconds": 0.25}
            ],
            "instruments": [
                {"id": BTC, "state": "live", "book": self.book_state, "last_event": T0 + 3000, "price_decimals": 2, "size_decimals": 5,
                 "last_status": status(1)},
                {"id": ETH, "state": "waiting", "book": "buffering", "last_event": 0, "price_decimals": 2, "size_decimals": 5,
                 "last_status": None},
            ],
            "tape": {"state": "recording", "reason": "", "path": "data/tape", "bytes": 4096, "frames": 120, "lag_frames": 3},
            "disk": {"path": "data", "free": 5 * 10**9, "total": 10**10},
            "sinks": [{"name": "sqlite", "events": 50, "commits": 2, "depth": 4, "dropped": 0, "lag_seconds": 0.5, "due_seconds": 1.0, "error": ""}],
            "alerts": {"rules": 2, "raised_now": ["btc-high"], "raised": 3, "resolved": 2, "held": 0, "lost": 1, "dropped": 4, "error": "",
                       "targets": [{"name": "ops", "address": "", "depth": 5, "sent": 6, "failures": 7, "given_up": 8, "error": "", "late": False}]},
        }  # fmt: skip

    def instruments(self) -> list[Instrument]:
        return self.streams

    def listed(self) -> list[Instrument]:
        return self.streams + self.others

    def book(self, instrument: str, depth: int) -> BookView | None:
        return None if self.book_at is None else book_view(self.book_at, instrument, depth, self.book_state)

    def profiles(self, instrument: str) -> dict[str, Profile]:
        return self.sampled if instrument == BTC else {}

    def open_bar(self, instrument: str, interval: str) -> Bar | None:
        return self.open.get((instrument, interval))


def sample(n: int, values: dict[str, float], incomplete: str | None = None, instrument: str = BTC) -> Metrics:
    """The sample of the n-th second."""
    at = T0 + n * SECOND
    return Metrics(instrument, at + 999, at + 1500, SIM, 100.0, 1.0, 100.0, 0.5, None, n, values, incomplete)
