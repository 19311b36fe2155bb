"""Rule 1: the events of a live session equal the events of its tape, byte for byte, whatever happened meanwhile."""

import asyncio

from tapeline.engine.player import Player
from tapeline.events import Bar, to_json
from tapeline.sim import SimServer
from tapeline.sim import faults as f
from tests.live.rig import NATIVE, SIM_BTC, contiguous, running


async def test_live_equals_replay_through_faults_reconnects_and_take_overs(tmp_path):
    async with SimServer(seed=3, rate=4.0) as sim:
        async with running(sim, tmp_path) as run:
            await run.synced()
            for fault in (
                f.Drop(stream="btcusdt@depth*", times=2, every=4),
                f.Duplicate(stream="*@trade", times=5, every=3),
                f.Reorder(stream="ethusdt@depth*"),
                f.Malformed(stream="*@bookTicker", how="nan", times=3),
                f.Crossed(stream="ethusdt@depth*"),
                f.Drop(stream="btcusdt@trade", times=3, after=10),
                f.StaleSnapshot(),
                f.HttpFail(path="*depth*", status=503, times=1),
            ):
                armed = sim.fault(fault)
                await run.until(lambda armed=armed: armed.hits or isinstance(armed.fault, f.StaleSnapshot | f.HttpFail))
                await run.synced()
            sim.fault(f.Shutdown(grace=10.0))
            await run.until(lambda: any("taking over" in s.reason for s in run.statuses("connected")))
            sim.fault(f.Close(code=1006))
            await asyncio.sleep(0.3)
            sim.fault(f.Silence(seconds=2.5))
            await run.until(lambda: run.statuses("stale"))
            await run.until(lambda: run.statuses("recovered"))
            await run.synced()
        collector = run.collector
    kinds = {s.kind for s in run.statuses()}
    assert kinds >= {"connected", "disconnected", "gap", "resyncing", "synced", "crossed", "rejected", "stale", "recovered"}
    assert collector.pipeline.faults == 0
    published, replayed = run.published(), run.replayed()
    assert len(published) > 3000
    assert replayed == published

    player = Player(tmp_path, collector.session, speed=0)
    played: list[bytes] = []
    player.bus.tap(lambda batch: played.extend(map(to_json, batch.events)))
    await player.run()
    assert played == published


async def test_timers_fire_at_the_same_place_where_no_frame_comes(tmp_path):
    """Bars close by clock and streams go stale while the market says nothing: only TICK frames tell the replay when."""
    async with SimServer(seed=5, rate=1.0) as sim, running(sim, tmp_path, channels=("trades", "book")) as run:
        await run.synced()
        await run.until(lambda: run.trades(SIM_BTC))
        sim.pause()
        await run.until(lambda: {s.instrument for s in run.statuses("stale")} >= set(NATIVE))
        frames = run.collector.frames
        await run.until(lambda: run.collector.frames > frames)
        sim.resume()
        await run.until(lambda: run.statuses("recovered"))
    assert [e for e in run.events if type(e) is Bar]
    assert contiguous(run.trades(SIM_BTC))
    assert run.replayed() == run.published()
