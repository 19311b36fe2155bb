"""A disk that does not take the tape: the feed goes on and says so. When there is room again, what was held in memory is written; where
it was too much (here: where nothing may be held), live and replay begin anew together.
"""

import errno

import pytest

from tapeline.config import TapeSettings
from tapeline.engine.replay import batches
from tapeline.events import to_json
from tapeline.frames import FrameKind
from tapeline.sim import SimServer
from tapeline.tape import reader
from tapeline.tape.segment import Segment
from tests.live.rig import SIM_BTC, assert_trades_accounted, running
from tests.waiting import becomes

UNHELD = TapeSettings(flush_ms=20, sync_ms=200, hold_mb=0)


@pytest.fixture
def disk(monkeypatch):
    """`disk.full = True`: no segment can be made or grow."""

    class Disk:
        full = False

    write = Segment.write

    def guarded(self, block, frames):
        if Disk.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, block, frames)

    monkeypatch.setattr(Segment, "write", guarded)
    return Disk


def after_the_hole(events):
    """All that follows the "not recorded" status. (Its label is what was known before, which a hole may have swallowed.)"""
    at = max(i for i, e in enumerate(events) if getattr(e, "channel", "") == "tape")
    return [to_json(e) for e in events[at + 1 :]]


def replayed(run):
    return [e for batch in batches(run.data, run.collector.session) for e in batch.events]


async def test_a_full_disk_stops_the_tape_and_not_the_feed(tmp_path, disk):
    async with SimServer(seed=31, rate=5.0) as sim:
        async with running(sim, tmp_path, tape=UNHELD) as run:
            await run.synced()
            disk.full = True
            await run.until(lambda: run.collector.status()["tape"]["state"] == "failing")
            assert "No space left" in run.collector.status()["tape"]["reason"]
            before = len(run.trades(SIM_BTC))
            await run.until(lambda: len(run.trades(SIM_BTC)) > before + 10)
            disk.full = False
            await run.until(lambda: run.statuses("gap") and run.collector.status()["tape"]["state"] == "recording")
            await run.until(lambda: any(s.channel == "tape" and s.count for s in run.statuses("gap")))
            await run.synced()
            again = len(run.trades(SIM_BTC))
            await run.until(lambda: len(run.trades(SIM_BTC)) > again + 10)
            await run.quiet()
            run.assert_books_equal()
            assert run.collector.status()["tape"]["lost_frames"] > 0
        kinds = [frame.kind for _, frame in reader.read(tmp_path, run.collector.session)]
        assert kinds.count(FrameKind.LOST) == 1
        (info,) = reader.sessions(tmp_path)
        assert len(info.holes) == 1
    live = after_the_hole(run.events)
    assert len(live) > 100
    assert after_the_hole(replayed(run)) == live


@pytest.mark.parametrize("at_once", [True, False])
async def test_what_a_full_disk_did_not_take_is_written_when_there_is_room(tmp_path, disk, at_once):
    async with SimServer(seed=31, rate=5.0) as sim:
        disk.full = at_once
        async with running(sim, tmp_path) as run:
            await run.synced()
            disk.full = True
            await run.until(lambda: run.collector.status()["tape"]["held_frames"] > 100)
            before = len(run.trades(SIM_BTC))
            await run.until(lambda: len(run.trades(SIM_BTC)) > before + 10)
            journal = run.collector.tape._journal
            written = max(0, journal.written_seq)  # the head makes no events
            assert journal.settled_seq <= written < journal.last_seq, "a sink would commit what nobody has written"
            disk.full = False
            await run.until(lambda: run.collector.status()["tape"]["state"] == "recording")
            tape = run.collector.status()["tape"]
            assert (tape["held_frames"], tape["lost_frames"]) == (0, 0)
    assert run.published() == run.replayed()
    assert reader.verify(tmp_path) == []


async def test_a_disk_that_was_full_from_the_start(tmp_path, disk):
    """Not even the list of instruments is on the tape; names and labels are learned again behind the hole."""
    disk.full = True
    async with SimServer(seed=32, rate=5.0) as sim, running(sim, tmp_path, tape=UNHELD) as run:
        await run.synced()
        assert run.collector.status()["tape"]["state"] == "failing"
        disk.full = False
        await run.until(lambda: run.collector.status()["tape"]["state"] == "recording")
        await becomes(lambda: {i.id: i.tick for i in run.collector.instruments()}.get(SIM_BTC), 0.01)
        await run.synced()
        before = len(run.trades(SIM_BTC))
        await run.until(lambda: len(run.trades(SIM_BTC)) > before + 10)
    live = after_the_hole(run.events)
    assert len(live) > 50
    assert after_the_hole(replayed(run)) == live
    assert run.collector.mode == "simulated"


async def test_a_disk_that_is_full_to_the_end_leaves_the_feed_whole(tmp_path, disk):
    async with SimServer(seed=33, rate=5.0) as sim, running(sim, tmp_path) as run:
        await run.synced()
        disk.full = True
        await run.until(lambda: run.collector.status()["tape"]["state"] == "failing")
        before = len(run.trades(SIM_BTC))
        await run.until(lambda: len(run.trades(SIM_BTC)) > before + 10)
        assert_trades_accounted(run, SIM_BTC)
    kept = run.replayed()
    assert run.published()[: len(kept)] == kept
