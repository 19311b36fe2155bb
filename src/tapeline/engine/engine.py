"""What a live collector and a replay have in common: frames go through one pipeline to the bus, and faces may look in."""

from collections.abc import Callable, Sequence
from typing import Any

from tapeline import __version__
from tapeline.clock import MILLI, SECOND, Clock
from tapeline.engine.bus import Batch, Bus
from tapeline.engine.lane import Lane
from tapeline.engine.pipeline import Pipeline
from tapeline.engine.source import BookView, Mode
from tapeline.events import Bar, Event, Flag, Status
from tapeline.frames import Frame
from tapeline.instruments import Instrument
from tapeline.market.metrics.volume_profile import ProfileOf
from tapeline.market.profile import Profile
from tapeline.market.sync import State

UNTIMED = int(Flag.NO_VENUE_TIME | Flag.BAD_TIME | Flag.RECOVERED | Flag.SAMPLED)
"""What was fetched or sampled tells nothing of the way: Yahoo's first sample may be days old."""
UNSENT = (Status, Bar)  # their ts_event is not when the venue sent them: candles of hours ago come at the start


class Engine:
    """One session. `frames` counts frames handled, `events` events published; both are what `/api/v1/status` shows."""

    def __init__(self, pipeline: Pipeline, session: str, clock: Clock, mode: Mode) -> None:
        self.pipeline, self.session, self.clock, self.mode = pipeline, session, clock, mode
        self.bus = Bus()
        self.reason = ""
        self.started = clock.now()
        self.frames = self.events = 0
        self.latency_ms: float | None = None
        self.last_status: dict[str, Status] = {}
        self._rate = (self.started, 0, 0.0)  # when last counted, frames then, frames a second
        self._decimals: dict[str, tuple[int, int]] = {}
        self.bus.tap(self._look)

    def handle(self, first_seq: int, frames: Sequence[Frame], give: Callable[[Batch], None] | None = None) -> None:
        """Feed frames in order and publish what they make as one batch, or give it to `give` alone."""
        out: list[Event] = []
        self.pipeline.feed_many(first_seq, frames, out)
        self.frames += len(frames)
        self.events += len(out)
        if out and frames:
            self._time(out[-1], frames[-1])
        (give or self.bus.publish)(Batch(self.session, first_seq, first_seq + len(frames) - 1, out))

    def _time(self, e: Event, frame: Frame) -> None:
        """One sample of the latency a batch, of its last event; it counts for the connection whose frame made it."""
        if e.flags & UNTIMED or type(e) in UNSENT:
            return
        sample = (e.ts_recv - e.ts_event) / MILLI
        self.latency_ms = _mean(self.latency_ms, sample)
        connection = self.pipeline.connections.get(frame.conn)
        if connection is not None and frame.ts_recv == e.ts_recv:
            connection.latency_ms = _mean(connection.latency_ms, sample)

    def _look(self, batch: Batch) -> None:
        """Keep the last status of each instrument."""
        for e in batch.events:
            if type(e) is Status:
                self.last_status[e.instrument] = e

    # What faces see

    def now(self) -> int:
        return self.clock.now()

    def instruments(self) -> list[Instrument]:
        return [i for lane in self.pipeline.lanes.values() if (i := self._instrument(lane.instrument)) is not None]

    def listed(self) -> list[Instrument]:
        return [i for feed in self.pipeline.feeds.values() for i in feed.registry.by_id.values()]

    def _instrument(self, name: str) -> Instrument | None:
        for feed in self.pipeline.feeds.values():
            if (known := feed.registry.by_id.get(name)) is not None:
                return known
        return None

    def book(self, instrument: str, depth: int) -> BookView | None:
        lane = self.pipeline.lanes.get(instrument)
        if lane is None:
            return None
        book = lane.sync.book
        bids, asks = book.depth(depth)
        return BookView(
            instrument=instrument,
            ts_event=book.ts_event,
            ts_recv=book.ts_recv,
            seq=book.seq,
            state=lane.sync.state.value,
            bids=bids,
            asks=asks,
            bid_floor=book.bid_floor,
            ask_ceiling=book.ask_ceiling,
        )

    def open_bar(self, instrument: str, interval: str) -> Bar | None:
        lane = self.pipeline.lanes.get(instrument)
        return None if lane is None else lane.trades.bars.open_bar(interval, self.clock.now())

    def profiles(self, instrument: str) -> dict[str, Profile]:
        lane = self.pipeline.lanes.get(instrument)
        metrics = [] if lane is None else lane.analytics.metrics
        return {m.full_name: m.profile() for m in metrics if isinstance(m, ProfileOf)}

    def status(self) -> dict[str, Any]:
        now = self.clock.now()
        return {
            "mode": self.mode,
            "reason": self.reason,
            "version": __version__,
            "session": self.session,
            "started": self.started,
            "now": now,
            "speed": None,
            "frames": self.frames,
            "events": self.events,
            "frames_per_second": self._frames_per_second(now),
            **self.pipeline.stats(),
            "latency_ms": self.latency_ms,
            "connections": [],
            "venues": [],
            "bars": [kind.text for kind in self.pipeline.kinds],
            "instruments": [self._instrument_status(lane) for lane in self.pipeline.lanes.values()],
            "tape": {"state": "off", "reason": "", "path": "", "bytes": 0, "frames": 0, "lag_frames": 0},
            "disk": None,
            "sinks": [],
            "alerts": None,
        }

    def _frames_per_second(self, now: int) -> float:
        when, frames, rate = self._rate
        if now - when >= SECOND:
            rate = (self.frames - frames) * SECOND / (now - when)
            self._rate = (now, self.frames, rate)
        return rate

    def _instrument_status(self, lane: Lane) -> dict[str, Any]:
        price, size = self._decimals_of(lane)
        last = self.last_status.get(lane.instrument)
        return {
            "id": lane.instrument,
            "state": self._state(lane),
            "book": lane.sync.state.value if lane.heard["book"] or "book" in lane.wanted.values() else "none",
            "last_event": max(lane.heard.values()),
            "last_price": lane.trades.last_price or lane.told_price,
            "price_decimals": price,
            "size_decimals": size,
            "gaps": lane.trades.gaps + lane.sync.gaps,
            "resyncs": lane.sync.resyncs,
            "last_status": last,
        }

    def _state(self, lane: Lane) -> str:
        if not lane.silences and self.mode != "replay":
            return "disconnected"
        expected = [s for s in lane.silences.values() if s.channel != "liquidations"]
        if expected and all(s.closed for s in expected):
            return "closed"
        judged = [s for s in expected if s.channel in {"book", "quotes", "trades"}] or expected
        if any(s.stale for s in judged):
            return "stale"
        if not any(lane.heard.values()):
            return "waiting"
        resyncing = lane.sync.state is State.BUFFERING and lane.sync.resyncs > 0
        return "resyncing" if resyncing else "live"

    def _decimals_of(self, lane: Lane) -> tuple[int, int]:
        """Decimals to print: the instrument's steps where known, else the most that its best prices have shown."""
        known = self._instrument(lane.instrument)
        if known is not None and known.tick and known.lot:
            return _decimals(known.tick), _decimals(known.lot)
        bid, bid_size, ask, ask_size = lane.sync.book.touch()
        price, size = self._decimals.get(lane.instrument, (0, 0))
        last = lane.trades.last_price or lane.told_price
        price = max([price, *(_decimals(x) for x in (bid, ask, last) if x is not None)])
        size = max([size, *(_decimals(x) for x in (bid_size, ask_size) if x is not None)])
        self._decimals[lane.instrument] = price, size
        return price, size


def _mean(mean: float | None, sample: float) -> float:
    """A running mean; the newest sample counts a twentieth."""
    return sample if mean is None else mean + 0.05 * (sample - mean)


def _decimals(x: float) -> int:
    """Digits after the point of a float's shortest decimal: 0.01 → 2, 1e-08 → 8, 5.0 → 0."""
    text = f"{x:.12f}".rstrip("0")
    return len(text) - text.index(".") - 1
