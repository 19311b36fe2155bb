"""States that a live collector leaves beside its tape, all venues at once: whoever begins from one is given what was published."""

import asyncio
import random
from pathlib import Path

import pytest

from tapeline.config import TapeSettings
from tapeline.engine import checkpoint, checkpoints
from tapeline.engine.pipeline import Pipeline
from tapeline.engine.replay import batches, replay
from tapeline.events import Event, to_json
from tapeline.frames import Frame
from tapeline.sim import faults as f
from tapeline.tape import reader, states
from tests.live.every import VENUES, everywhere


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINNHUB_API_KEY", "checkpoints-key-of-finnhub")


async def test_all_venues_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "SHARE", 1)
    monkeypatch.setattr(states, "KEPT", 1000)
    async with everywhere(tmp_path, channels=("trades", "book", "quotes", "ticker")) as run:
        kept = run.collector.checkpoints
        assert kept is not None
        kept.every, kept._due = 200_000_000, 0
        before = kept.taken
        await run.until(lambda: kept.taken >= before + 3)
        run.arm(f.Close(code=1006), VENUES)
        await run.until(lambda: run.statuses("disconnected"))
        await run.until(lambda: kept.taken >= before + 8)
    session = run.collector.session
    found = states.states(tmp_path / "tape" / session)
    assert len(found) >= 8
    assert not [s for s in found if b"checkpoints-key" in states.read(s)]
    whole = run.published()
    assert run.replayed() == whole
    for state in found[:: max(1, len(found) // 6)]:
        later = [to_json(e) for batch in batches(tmp_path, session, state.seq - 1) for e in batch.events]
        assert later
        assert whole[-len(later) :] == later
        assert len(later) == len(whole) - _events_ahead_of(tmp_path, session, state.seq)
    cut_anywhere([frame for _, frame in reader.read(tmp_path, session)], whole)
    middle = found[len(found) // 2].ts + 1
    assert list(replay(tmp_path, start=middle)) == [e for e in run.events if e.ts_recv >= middle]


def _events_ahead_of(root: Path, session: str, seq: int) -> int:
    frames = [frame for at, frame in reader.read(root, session) if at < seq]
    out: list[Event] = []
    Pipeline.of_session(frames[0]).feed_many(0, frames, out)
    return len(out)


def cut_anywhere(frames: list[Frame], whole: list[bytes]) -> None:
    pipeline, out, at = Pipeline.of_session(frames[0]), list[Event](), 0
    dice = random.Random(5)
    for cut in [*sorted(dice.randrange(len(frames)) for _ in range(12)), len(frames)]:
        pipeline.feed_many(at, frames[at:cut], out)
        pipeline.requests.clear()
        pipeline.notices.clear()
        pipeline, at = checkpoint.load(checkpoint.dump(pipeline)), cut
    assert [to_json(e) for e in out] == whole


async def test_a_state_with_each_segment(tmp_path: Path) -> None:
    async with everywhere(tmp_path, tape=TapeSettings(flush_ms=20, sync_ms=50, segment_minutes=1)) as run:
        kept, tape = run.collector.checkpoints, run.collector.tape
        assert kept is not None
        assert tape is not None
        assert not kept.taken
        tape._journal.retire()
        await run.until(lambda: kept.taken)
        directory = tape.directory
    (state,) = states.states(directory)
    first = [info.first_seq for info in reader.sessions(tmp_path)[0].segments]
    assert len(first) == 2
    assert first[1] <= state.seq


async def test_trouble_with_a_state_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise RecursionError("too deep")

    monkeypatch.setattr(checkpoint, "dump", refuse)
    async with everywhere(tmp_path) as run:
        kept = run.collector.checkpoints
        assert kept is not None
        kept._due = 0
        frames = run.collector.frames
        await run.until(lambda: run.collector.frames > frames + 50)
        assert kept._told
        await asyncio.sleep(0)
    assert run.replayed() == run.published()
