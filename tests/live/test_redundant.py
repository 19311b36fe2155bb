"""Two connections to each venue, over real sockets: one after the other is lost, and nobody who reads the events notices but by status."""

from tapeline.config import VenueSettings
from tapeline.events import Flag, Status, Trade
from tapeline.sim import SimServer
from tests.live.rig import BTC, SIM_BTC, Run, contiguous, running

BOOKS = {
    SIM_BTC: ("binance", "BTCUSDT"),
    "sim-kraken:BTC-USD": ("kraken", "BTC/USD"),
    "sim-coinbase:BTC-USD": ("coinbase", "BTC-USD"),
}


def venues(sim: SimServer) -> dict[str, VenueSettings]:
    return {name: VenueSettings(ws_url=sim.ws_url(name), http_url=sim.http_url(name)) for name in sim.wires}


def speaking(run: Run) -> dict[str, int]:
    """Connections by the label of their venue."""
    found: dict[str, int] = {}
    for c in run.collector.pipeline.connections.values():
        found[c.feed.label] = found.get(c.feed.label, 0) + 1
    return found


def spared(run: Run) -> bool:
    lanes = run.collector.pipeline.lanes
    return all(
        name in lanes
        and lanes[name].spares is not None
        and [b.state.value for b in lanes[name].spares.books.values()] == ["synced"]
        for name in BOOKS
    )


async def test_losing_one_connection_loses_nothing(tmp_path):
    instruments = (BTC, "kraken:BTC-USD", "coinbase:BTC-USD")
    async with (
        SimServer(seed=8, rate=2.0, venues=("binance", "kraken", "coinbase")) as sim,
        running(
            sim, tmp_path, instruments=instruments, channels=("trades", "book", "quotes"), redundant=True, venues=venues(sim)
        ) as run,
    ):
        await run.until(lambda: speaking(run) == {"sim": 2, "sim-kraken": 2, "sim-coinbase": 2})
        await run.until(lambda: spared(run))
        for turn in range(2):
            before = len(run.events)
            for venue in ("binance", "kraken", "coinbase"):
                leader = min(c.opened for c in sim.hub.conns if c.venue == venue)
                next(c for c in sim.hub.conns if c.venue == venue and c.opened == leader).close(1006)
            await run.until(lambda n=turn: len(run.statuses("disconnected", "")) >= 3 * (n + 1))
            await run.until(lambda: speaking(run) == {"sim": 2, "sim-kraken": 2, "sim-coinbase": 2} and spared(run))
            lost = [e for e in run.events[before:] if type(e) is Status and e.kind in {"gap", "resyncing", "crossed"}]
            assert lost == [], turn
        for name in BOOKS:
            assert contiguous(sorted(run.trades(name), key=lambda t: int(t.id))), name
            assert len({t.id for t in run.trades(name)}) == len(run.trades(name)), name
        assert not any(e.flags & Flag.RECOVERED for e in run.events if type(e) is Trade)
        taken = [e.instrument for e in run.statuses("synced") if "taken over" in e.reason]
        assert set(taken) == set(BOOKS)
        sim.pause()
        for name, (venue, native) in BOOKS.items():
            await run.until(lambda n=name, v=venue, m=native: same_book(run, n, sim, v, m))
    assert run.published() == run.replayed()


def same_book(run: Run, name: str, sim: SimServer, venue: str, native: str) -> bool:
    view, truth = run.collector.book(name, 10_000), sim.book(venue, native)
    if view is None or len(view.bids) < 20:
        return False
    return (
        list(map(tuple, truth.bids))[: len(view.bids)] == view.bids
        and list(map(tuple, truth.asks))[: len(view.asks)] == view.asks
    )


async def test_a_venue_that_allows_one_connection_gets_one(tmp_path, monkeypatch):
    monkeypatch.setenv("FINNHUB_API_KEY", "a-key-for-the-simulator")
    async with (
        SimServer(seed=8, venues=("finnhub",)) as sim,
        running(sim, tmp_path, instruments=("finnhub:AAPL",), channels=("trades",), redundant=True, venues=venues(sim)) as run,
    ):
        await run.until(lambda: run.trades("sim-finnhub:AAPL"))
        assert speaking(run) == {"sim-finnhub": 1}
