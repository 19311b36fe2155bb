"""A small made-up market behind the `Source` that faces see, moved by hand, so that a test knows what the page must show.

`tick()` publishes one batch: for each instrument a trade, the touch, the metrics and, when a second is over, its bars. All that
is published stays as it is until the next tick: between ticks the API and the page must say the same numbers. The trades of a tick are
of one time, so that no second ends between two instruments.
"""

import random
import time
from collections.abc import Callable
from typing import Any

from tapeline.config import INTERVALS
from tapeline.engine.bus import Batch, Bus
from tapeline.engine.source import BookView, Mode
from tapeline.events import Bar, BookUpdate, Event, Flag, Metrics, Quote, Status, Trade
from tapeline.instruments import Instrument
from tapeline.market.profile import Profile

START = {"BTC-USDT": (67_250.0, 0.01, 2, 5), "ETH-USDT": (3_512.0, 0.01, 2, 4), "SOL-USDT": (182.4, 0.01, 2, 3), "DOGE-USDT": (0.16, 0.00001, 5, 0)}  # fmt: skip
LEVELS = 60
DELAY = 5_000_000  # from the venue's clock to ours
END = 2**62  # of a bar that is not full yet


class FakeInstrument:
    def __init__(self, instrument: Instrument, price: float, decimals: tuple[int, int], rng: random.Random) -> None:
        self.instrument, self.decimals, self.rng = instrument, decimals, rng
        self.tick = instrument.tick or 0.01
        self.units = round(price / self.tick)  # the best bid, in ticks
        self.spread = 1
        self.seq = 1000
        self.sizes: dict[int, float] = {}
        self.bars: dict[str, Bar] = {}
        self.last_event = 0
        self.state = "live"
        self.book_state: Any = "synced"
        self.trades = 0
        self.twenty = 0  # when the bar of twenty trades began
        self.sums = [0.0, 0.0]  # of size, and of price × size

    def price(self, units: int) -> float:
        return round(units * self.tick, self.decimals[0])

    def size(self, units: int) -> float:
        if units not in self.sizes:
            self.sizes[units] = self.new_size()
        return self.sizes[units]

    def new_size(self) -> float:
        scale = 20_000 / (self.units * self.tick)
        return max(round(self.rng.lognormvariate(0, 1.1) * scale, self.decimals[1]), 10 ** -self.decimals[1])

    def levels(self, side: str, depth: int) -> list[tuple[float, float]]:
        step, first = (-1, self.units) if side == "bid" else (1, self.units + self.spread)
        rng = random.Random(first)
        units, out = first, []
        for _ in range(min(depth, LEVELS)):
            out.append((self.price(units), self.size(units)))
            units += step * rng.choice((1, 1, 2, 3, 5))
        return out

    def move(self, at: int, now: int) -> list[Event]:
        """`at`: the venue's time."""
        rng, i = self.rng, self.instrument.id
        self.seq += rng.randint(1, 9)
        self.units += rng.choice((-2, -1, -1, 0, 0, 0, 1, 1, 2)) * max(1, round(self.units * 1e-6))
        self.spread = rng.choice((1, 1, 1, 2, 4))
        for units in rng.sample(sorted(self.sizes), min(8, len(self.sizes))):
            self.sizes[units] = self.new_size()
        if len(self.sizes) > 4000:
            self.sizes.clear()
        self.last_event = now
        return [self.trade(i, at, now), *self.touch(i, at, now)]

    def sample(self, now: int, incomplete: str | None) -> Metrics:
        volume, notional = self.sums
        mid = self.price(self.units) + self.spread * self.tick / 2
        values = {"volume_1m": volume, "vwap_5m": notional / volume}
        return Metrics(self.instrument.id, now, now, Flag.SIMULATED, mid, None, None, None, None, self.seq, values, incomplete)

    def trade(self, i: str, at: int, now: int) -> Trade:
        buy = self.rng.random() < 0.5
        price = self.price(self.units + self.spread if buy else self.units)
        size = self.new_size()
        self.trades += 1
        self.sums[0] += size
        self.sums[1] += size * price
        for name, length in INTERVALS.items():
            opened = at - at % length
            self.grow(name, opened, opened + length, price, size, buy, now)
        if self.trades % 20 == 1:
            self.twenty = at
        self.grow("tick:20", self.twenty, END if self.trades % 20 else at, price, size, buy, now)
        return Trade(i, at, now, Flag.SIMULATED, price, size, "buy" if buy else "sell", str(self.trades))

    def touch(self, i: str, at: int, now: int) -> list[Event]:
        (bid, bid_size), (ask, ask_size) = self.levels("bid", 1)[0], self.levels("ask", 1)[0]
        mid = (bid + ask) / 2
        b, a = (sum(s for _, s in self.levels(side, 5)) for side in ("bid", "ask"))
        micro = (bid * ask_size + ask * bid_size) / (bid_size + ask_size)
        return [
            BookUpdate(i, at, now, Flag.SIMULATED, [(bid, bid_size)], [(ask, ask_size)], False, self.seq, None),
            Quote(i, at, now, Flag.SIMULATED, bid, bid_size, ask, ask_size, self.seq, "book"),
            Metrics(i, at, now, Flag.SIMULATED, mid, ask - bid, 10_000 * (ask - bid) / mid, (b - a) / (b + a), micro, self.seq),
        ]

    def grow(self, name: str, opened: int, end: int, price: float, size: float, buy: bool, now: int) -> None:
        old = self.bars.get(name)
        bought = size if buy else 0.0
        if old is None or old.ts_open != opened:
            new = (price, price, price, price, size, bought, price * size, price, 1, old is not None, 0, "trades")
        else:
            volume, notional = old.volume + size, (old.notional or 0) + price * size
            new = (
                old.open, max(old.high, price), min(old.low, price), price, volume, (old.buy_volume or 0) + bought, notional,
                notional / volume, (old.trades or 0) + 1, old.complete, 0, "trades",
            )  # fmt: skip
        self.bars[name] = Bar(self.instrument.id, end, now, Flag.SIMULATED, name, opened, *new)  # type: ignore[arg-type]


class FakeSource:
    """Implements `tapeline.engine.source.Source`. What a test turns (`mode`, `reason`, states) the page must show."""

    def __init__(self, seed: int = 7, mode: Mode = "simulated", clock: Callable[[], int] = time.time_ns) -> None:
        self.mode: Mode = mode
        self.clock = clock
        self.reason = (
            "Binance did not answer within 10 s (HTTP 451): running on the simulated market" if mode == "simulated" else ""
        )
        self.bus = Bus()
        rng = random.Random(seed)
        venue = "sim" if mode == "simulated" else "binance"
        self.all: dict[str, FakeInstrument] = {}
        for symbol, (price, tick, price_decimals, size_decimals) in START.items():
            base, quote = symbol.split("-")
            known = Instrument(id=f"{venue}:{symbol}", venue=venue, native=base + quote, kind="spot", base=base, quote=quote, tick=tick,
                               lot=10**-size_decimals)  # fmt: skip
            self.all[known.id] = FakeInstrument(known, price, (price_decimals, size_decimals), rng)
        self.control: Any = None  # tests/page/control.py has one
        self.seq = 0
        self.started = self.clock()
        self.session = "20261121T100500Z-1a2b"
        self.gaps = self.resyncs = self.events = 0
        self.connection = "up"
        self.free = 120_000_000_000
        self.tape = "recording"
        self.lake_lag = 4.2
        self.incomplete: str | None = None
        self.last_status: dict[str, Status] = {}

    def tick(self, now: int | None = None, *also: Event) -> None:
        now = now or self.clock()
        at = now - DELAY
        closing = [b for f in self.all.values() for b in f.bars.values() if b.ts_event <= at]  # before others take their places
        events = [*closing, *(e for f in self.all.values() if f.state == "live" for e in f.move(at, now)), *also]
        samples = [f.sample(now, self.incomplete) for f in self.all.values() if f.state == "live"]
        self.publish([*events, *samples])

    def publish(self, events: list[Event]) -> None:
        self.seq += 1
        self.events += len(events)
        self.bus.publish(Batch(self.session, self.seq, self.seq, events))

    def report(self, kind: Any, instrument: str, reason: str, channel: str = "trades", count: int | None = None) -> None:
        now = self.clock()
        event = Status(instrument, now, now, Flag.SIMULATED, kind, "sim", channel, reason, None, None, count)
        self.last_status[instrument] = event
        self.publish([event])

    def now(self) -> int:
        return self.clock()

    def status(self) -> dict[str, Any]:
        now = self.clock()
        connection = {"id": 1, "venue": "sim", "protocol": "binance", "url": "ws://127.0.0.1:9443/stream", "state": self.connection,
                      "since": self.started, "streams": 9, "frames": self.seq, "last_frame": now, "attempts": 0, "latency_ms": 0.4}  # fmt: skip
        return {
            "mode": self.mode, "reason": self.reason, "version": "0.1.0", "session": self.session, "started": self.started, "now": now,
            "bars": ["tick:20"],
            "speed": 10 if self.mode == "replay" else None, "frames": self.seq, "events": self.events, "frames_per_second": 812.0,
            "gaps": self.gaps, "rejected": 0, "resyncs": self.resyncs, "connections": [connection],
            "venues": [{"protocol": "binance", "label": "sim", "connections": 1, "streams": 9, "frames": self.seq, "events": self.events,
                        "cpu_seconds": (now - self.started) * 0.042 / 1e9}],
            "instruments": [self.instrument_status(f) for f in self.all.values()],
            "tape": {"state": self.tape, "reason": "no space left on the device" if self.tape == "failing" else "", "path": "data/tape",
                     "bytes": 3_400_000, "frames": self.seq, "lag_frames": 0},
            "disk": {"path": "data", "free": self.free, "total": 500_000_000_000},
            "sinks": [{"name": "sqlite", "events": self.events, "commits": 12, "depth": 3, "dropped": 0, "lag_seconds": 0.8, "due_seconds": 1.0, "error": ""},
                      {"name": "lake", "events": self.events, "commits": 2, "depth": 40, "dropped": 0, "lag_seconds": self.lake_lag,
                       "due_seconds": 30.0, "error": ""}],
        }  # fmt: skip

    def instrument_status(self, f: FakeInstrument) -> dict[str, Any]:
        return {"id": f.instrument.id, "state": f.state, "book": f.book_state, "last_event": f.last_event, "price_decimals": f.decimals[0],
                "size_decimals": f.decimals[1], "last_status": self.last_status.get(f.instrument.id)}  # fmt: skip

    def instruments(self) -> list[Instrument]:
        return [f.instrument for f in self.all.values()]

    def listed(self) -> list[Instrument]:
        return self.instruments()

    def book(self, instrument: str, depth: int) -> BookView | None:
        f = self.all.get(instrument)
        if f is None:
            return None
        bids, asks = f.levels("bid", depth), f.levels("ask", depth)
        return BookView(instrument=instrument, ts_event=f.last_event, ts_recv=f.last_event, seq=f.seq, state=f.book_state, bids=bids, asks=asks,
                        bid_floor=bids[-1][0], ask_ceiling=asks[-1][0])  # fmt: skip

    def profiles(self, instrument: str) -> dict[str, Profile]:
        return {}

    def open_bar(self, instrument: str, interval: str) -> Bar | None:
        f = self.all.get(instrument)
        return f.bars.get(interval) if f else None
