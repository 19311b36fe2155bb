"""COIN-M's simulator and the collector over a real socket: books of contracts, what their bars are worth, and the way back."""

from pathlib import Path

import pytest

from tapeline.config import VenueSettings
from tapeline.events import Bar, Ticker
from tapeline.sim import SimServer
from tapeline.sim.faults import Close, Drop
from tests.live import rig

VENUE, NATIVE, NAME = "binance-coinm", "BTCUSD_PERP", "sim:BTC-USD-PERP"


def as_the_simulator(run: rig.Run) -> bool:
    return run.collector.book(NAME, 1).seq == run.sim.book(VENUE, NATIVE).last_update_id  # type: ignore[union-attr]


async def equal(run: rig.Run) -> None:
    """Stop the market where our book stands where its own does."""
    for _ in range(20):
        await run.until(lambda: run.state(NAME) == "synced")
        run.sim.pause()
        try:
            await rig.until(lambda: as_the_simulator(run), 0.5)
        except TimeoutError:
            run.sim.resume()
        else:
            break
    view, truth = run.collector.book(NAME, 100_000), run.sim.book(VENUE, NATIVE)
    assert view is not None
    assert (view.state, view.seq) == ("synced", truth.last_update_id)
    assert view.bids == [level for level in truth.bids if level[0] >= (view.bid_floor or 0)]
    assert view.asks == [level for level in truth.asks if level[0] <= (view.ask_ceiling or 1e30)]
    assert len(view.bids) > 50


@pytest.mark.parametrize("spoilt", [False, True])
async def test_the_simulated_venue(tmp_path: Path, spoilt: bool) -> None:
    async with SimServer(seed=4, venues=[VENUE], instruments=[NATIVE]) as sim:
        at = {VENUE: VenueSettings(ws_url=sim.ws_url(VENUE), http_url=sim.http_url(VENUE))}
        async with rig.running(sim, tmp_path, instruments=(f"{VENUE}:BTC-USD-PERP",), venues=at, history=True) as run:
            await run.until(lambda: run.state(NAME) == "synced" and len(run.trades(NAME)) > 5)
            if spoilt:
                sim.fault(Drop(stream="*depth*", times=1))
                await run.until(lambda: [s for s in run.statuses("gap") if s.channel == "book"])
                sim.fault(Close(code=1001))
                await run.until(lambda: len(run.statuses("connected")) == 2)
            await run.until(lambda: {"Quote", "Ticker", "BookUpdate"} <= {type(e).__name__ for e in run.events})
            await run.until(lambda: {e.origin for e in run.events if isinstance(e, Bar)} == {"venue", "trades"})
            await run.until(lambda: any(isinstance(e, Ticker) and e.volume for e in run.events))
            await equal(run)
            (listed,) = run.collector.instruments()
            assert (listed.inverse, listed.contract_size, listed.quote, listed.tick) == (True, 100.0, "USD", 0.1)
            assert all(b.notional == b.volume * 100 for b in run.events if isinstance(b, Bar))
            assert all(t.notional == t.volume * 100 for t in run.events if isinstance(t, Ticker) and t.volume)
            assert rig.contiguous(run.trades(NAME)) or spoilt
            rig.assert_trades_accounted(run, NAME)
    assert run.replayed() == run.published()
