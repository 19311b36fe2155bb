"""A collector against a simulated market over real sockets, with what was published kept to be compared."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from tapeline.config import PipelineSettings, Settings, TapeSettings, VenueSettings, WireSettings
from tapeline.engine.collector import Collector
from tapeline.engine.replay import batches
from tapeline.events import Event, Flag, Status, Trade, to_json
from tapeline.sim import SimServer
from tests.waiting import PATIENCE, until

BTC, ETH, PERP = "binance:BTC-USDT", "binance:ETH-USDT", "binance-usdm:BTC-USDT-PERP"
SIM_BTC, SIM_ETH, SIM_PERP = "sim:BTC-USDT", "sim:ETH-USDT", "sim:BTC-USDT-PERP"
ALL = (BTC, ETH, PERP)
NATIVE = {SIM_BTC: ("binance", "BTCUSDT"), SIM_ETH: ("binance", "ETHUSDT"), SIM_PERP: ("binance-usdm", "BTCUSDT")}
CHANNELS = ("trades", "book", "quotes", "bars", "ticker", "liquidations")
QUICK = WireSettings(connect_seconds=10.0, silence_seconds=20.0, backoff_first=0.05, backoff_most=0.2, stable_seconds=0.2)
PIPELINE = PipelineSettings(bar_grace_ms=100, stale_seconds=1.0, quiet_seconds=3.0)
"""Where the whole process stands still for a moment, as on a busy machine, trades come `LATE` and streams are called stale."""


def settings(sim: SimServer, data: Path, **changes: Any) -> Settings:
    """`changes`: fields of Settings; `streams` by venue goes into the venues' settings."""
    return _settings({venue: (sim.ws_url(venue), sim.http_url(venue)) for venue in sim.wires}, data, **changes)


def settings_at(ws_url: str, http_url: str, data: Path, **changes: Any) -> Settings:
    return _settings(dict.fromkeys(("binance", "binance-usdm"), (ws_url, http_url)), data, **changes)


def _settings(places: Mapping[str, tuple[str, str]], data: Path, **changes: Any) -> Settings:
    streams = changes.pop("streams", {})
    venues = {
        venue: VenueSettings(ws_url=ws_url, http_url=http_url, streams=streams.get(venue, {}))
        for venue, (ws_url, http_url) in places.items()
    }
    base: dict[str, Any] = {
        "instruments": ALL,
        "channels": CHANNELS,
        "data": str(data),
        "wire": QUICK,
        "pipeline": PIPELINE,
        "tape": TapeSettings(flush_ms=20, sync_ms=200),
        "venues": venues,
        "history": False,
    }
    return Settings(**{**base, **changes})


class Run:
    """One collector at work: `events` as published, `lines` as JSON. `natives`: where the simulator has each instrument."""

    natives: Mapping[str, tuple[str, str]] = NATIVE

    def __init__(self, collector: Collector, data: Path, sim: SimServer) -> None:
        self.collector, self.data, self.sim = collector, data, sim
        self.events: list[Event] = []
        collector.bus.tap(lambda batch: self.events.extend(batch.events))

    def statuses(self, kind: str = "", instrument: str | None = None) -> list[Status]:
        return [
            e
            for e in self.events
            if type(e) is Status and kind in {"", e.kind} and (instrument is None or e.instrument == instrument)
        ]

    def trades(self, instrument: str) -> list[Trade]:
        return [e for e in self.events if type(e) is Trade and e.instrument == instrument]

    def replayed(self) -> list[bytes]:
        return [to_json(e) for batch in batches(self.data, self.collector.session) for e in batch.events]

    def published(self) -> list[bytes]:
        return [to_json(e) for e in self.events]

    async def until(self, what: Callable[[], Any], seconds: float = PATIENCE) -> None:
        await until(what, seconds)

    async def synced(self, *instruments: str, seconds: float = PATIENCE) -> None:
        names = instruments or tuple(self.natives)
        await until(lambda: all(self.state(name) == "synced" for name in names), seconds)

    def state(self, instrument: str) -> str:
        view = self.collector.book(instrument, 1)
        return "none" if view is None else view.state

    async def quiet(self, *instruments: str, seconds: float = 60.0) -> None:
        """Stop the market where every book stands where the simulator's own stands.

        A market that stands still proves no book that is being joined: then it goes on for a while, and is stopped again.
        """
        names, patience = instruments or tuple(self.natives), 0.5
        async with asyncio.timeout(seconds):
            while True:
                await self.synced(*names, seconds=seconds)
                self.sim.pause()
                with suppress(TimeoutError):
                    await until(lambda: all(self.in_step(name) for name in names), patience)
                    return
                self.sim.resume()
                patience *= 2
                await asyncio.sleep(0.3)

    def in_step(self, name: str) -> bool:
        view = self.collector.book(name, 1)
        return view is not None and view.state == "synced" and view.seq == self.sim.book(*self.natives[name]).last_update_id

    def assert_books_equal(self, *instruments: str) -> None:
        """Level by level, within what we say we know."""
        for name in instruments or tuple(self.natives):
            view, truth = self.collector.book(name, 100_000), self.sim.book(*self.natives[name])
            assert view is not None
            assert (view.state, view.seq) == ("synced", truth.last_update_id), name
            floor, ceiling = view.bid_floor or 0.0, view.ask_ceiling or float("inf")
            assert view.bids == [tuple(level) for level in truth.bids if level[0] >= floor], name
            assert view.asks == [tuple(level) for level in truth.asks if level[0] <= ceiling], name
            assert len(view.bids) > 50
            assert len(view.asks) > 50


@asynccontextmanager
async def running(
    sim: SimServer, data: Path, *, connect: bool = True, kind: type[Run] = Run, **changes: Any
) -> AsyncIterator[Run]:
    """A collector that records into `data`, connected; stopped at the end."""
    chosen = settings(sim, data, **changes)
    collector = Collector(chosen, data=data)
    run = kind(collector, data, sim)
    await collector.start()
    try:
        if connect:
            await collector.connect(chosen.instruments, chosen.channels)
        yield run
    finally:
        await collector.stop()


def flags_of(trades: Iterable[Trade]) -> set[int]:
    """All that were given but LATE, which the machine decides."""
    return {t.flags & ~Flag.LATE for t in trades}


def contiguous(trades: list[Trade]) -> bool:
    ids = [int(t.id) for t in trades]
    return bool(ids) and ids == list(range(ids[0], ids[0] + len(ids)))


def assert_trades_accounted(run: Run, instrument: str) -> None:
    """Each trade once; each id between the first and the last either given out or inside a reported gap, never both."""
    ids = [int(t.id) for t in run.trades(instrument)]
    assert len(ids) == len(set(ids)), f"doubles of {instrument}"
    missing = set(range(min(ids), max(ids) + 1)) - set(ids)
    reported: set[int] = set()
    for s in run.events:
        if type(s) is Status and s.instrument == instrument and s.channel == "trades" and s.from_seq is not None:
            span = set(range(s.from_seq, (s.to_seq or 0) + 1))
            assert s.count == len(span)
            reported = reported | span if s.kind == "gap" else reported - span
    assert missing == reported
