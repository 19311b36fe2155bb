"""Trades that are lost on the way, by a dropped message or a broken connection, are fetched: in the end each id was given out once."""

import asyncio

from tapeline.events import Flag
from tapeline.sim import SimServer
from tapeline.sim.faults import Close, Drop, HttpFail
from tests.live.rig import BTC, PERP, SIM_BTC, SIM_PERP, Run, contiguous, running


def recovered(run: Run, instrument: str) -> list[int]:
    return [int(t.id) for t in run.trades(instrument) if t.flags & Flag.RECOVERED]


def whole(run: Run, instrument: str) -> bool:
    return contiguous(sorted(run.trades(instrument), key=lambda t: int(t.id)))


async def test_dropped_trades_are_fetched_single_and_aggregated(tmp_path):
    async with SimServer(seed=3, rate=3.0) as sim, running(sim, tmp_path, instruments=(BTC, PERP), channels=("trades",)) as run:
        await run.until(lambda: len(run.trades(SIM_BTC)) > 5 and len(run.trades(SIM_PERP)) > 5)
        sim.fault(Drop(stream="btcusdt@trade", times=3))
        sim.fault(Drop(stream="btcusdt@aggTrade", times=2))
        await run.until(lambda: len(recovered(run, SIM_BTC)) == 3 and len(recovered(run, SIM_PERP)) == 2)
        await run.until(lambda: run.statuses("recovered", SIM_BTC) and run.statuses("recovered", SIM_PERP))
        assert whole(run, SIM_BTC)
        assert whole(run, SIM_PERP)
    assert run.published() == run.replayed()


async def test_a_broken_connection_loses_no_trade(tmp_path):
    async with SimServer(seed=4, rate=3.0) as sim, running(sim, tmp_path, instruments=(BTC,), channels=("trades",)) as run:
        await run.until(lambda: len(run.trades(SIM_BTC)) > 5)
        for _ in range(3):
            before = len(run.trades(SIM_BTC))
            sim.fault(Close(code=1006))
            await asyncio.sleep(0.3)
            await run.until(lambda n=before: len(run.trades(SIM_BTC)) > n + 5)
        await run.until(
            lambda: whole(run, SIM_BTC) and not any(lane.trades.repair.wanted for lane in run.collector.pipeline.lanes.values())
        )
        assert run.statuses("recovered", SIM_BTC)
    assert run.published() == run.replayed()


async def test_a_venue_that_refuses_at_first_is_asked_again(tmp_path):
    async with SimServer(seed=5, rate=3.0) as sim, running(sim, tmp_path, instruments=(BTC,), channels=("trades",)) as run:
        await run.until(lambda: len(run.trades(SIM_BTC)) > 5)
        sim.fault(HttpFail(path="*historicalTrades*", times=2, status=500))
        sim.fault(Drop(stream="btcusdt@trade", times=1))
        await run.until(lambda: len(recovered(run, SIM_BTC)) == 1)
        assert whole(run, SIM_BTC)
