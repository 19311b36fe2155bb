"""When a live pipeline leaves a state beside its tape; `tests/live/test_checkpoints.py` does it with real markets."""

import asyncio
from pathlib import Path

import pytest

from tapeline.clock import ReplayClock
from tapeline.config import TapeSettings
from tapeline.engine.checkpoints import Checkpoints
from tapeline.engine.collector import Collector
from tapeline.engine.pipeline import Pipeline
from tapeline.frames import Session
from tapeline.settings import load
from tapeline.tape import states
from tapeline.tape.writer import TapeWriter
from tests.engine.feeds import MS, SECOND, T0, recv, spot_diff


@pytest.mark.parametrize("lost", [False, True])
async def test_there_is_none_of_frames_that_the_tape_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: bool) -> None:
    """It would know what no replay can, also where the disk is well again by the time that it is written."""
    clock, tasks = ReplayClock(T0), set[asyncio.Task[None]]()
    tape = TapeWriter(tmp_path, Session(id="s", version="1"), TapeSettings(), clock)
    monkeypatch.setattr(tape, "lost_within", lambda first, last: lost and first <= 2 <= last)
    kept = Checkpoints(Pipeline.of_session(tape.head), tape, clock, tasks.add, every=SECOND)
    tape.append_many([recv(T0 + MS, spot_diff(1, 2)), recv(T0 + 2 * MS, spot_diff(3, 4))])
    clock.set(T0 + 2 * SECOND)
    kept.look()
    await asyncio.gather(*tasks)
    kept.close()
    tape.close_sync()
    assert [s.seq for s in states.states(tape.directory)] == ([] if lost else [3])


async def test_a_session_of_many_connections_remembers_few_of_them(tmp_path: Path) -> None:
    collector = Collector(load(directory=tmp_path, env={}).settings, data=None)
    supervisor = object()
    numbers = [collector._number(supervisor) for _ in range(10_000)]  # type: ignore[arg-type]
    assert numbers == list(range(1, 10_001))
    assert len(collector._by_connection) < 300
    assert collector._by_connection[10_000] is supervisor
