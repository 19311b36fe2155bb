"""Tape that is removed under a live session: nobody who is at work misses anything, and the rest plays as it was published."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import msgspec
import pytest

from tapeline.audit.audit import audit
from tapeline.cli import tape_keeping
from tapeline.cli.live import LiveSession
from tapeline.clock import LiveClock
from tapeline.config import KeepSettings, Settings, SinkSettings
from tapeline.engine import checkpoint
from tapeline.engine.bus import Batch
from tapeline.engine.replay import batches, replay
from tapeline.errors import ConfigError
from tapeline.events import Trade, to_json
from tapeline.lake import catalogue
from tapeline.sim import SimServer
from tapeline.sinks import rebuild
from tapeline.sinks.feed import commit_all
from tapeline.sinks.hold import Hold
from tapeline.sinks.recovery import committed, repair
from tapeline.sinks.registry import make
from tapeline.sinks.sqlite import SqliteSink
from tapeline.tape import reader, states
from tapeline.tape.retention import prune
from tests.live.rig import Run, running, settings
from tests.waiting import until

OLD = KeepSettings(tape_days=1e-9)
"""Everything is too old."""


@pytest.fixture
async def sim() -> AsyncIterator[SimServer]:
    async with SimServer(seed=3, rate=2.0) as server:
        yield server


async def segment(run: Run) -> None:
    """End a segment, with its state, and wait until it is sealed."""
    kept, tape = run.collector.checkpoints, run.collector.tape
    assert kept is not None
    assert tape is not None
    before, sealed = kept.taken, len(list(tape.directory.glob("*.tape")))
    full = [True]
    tape._journal.full = lambda _, slack=1.0: slack == 1.0 and full.pop() if full else False  # type: ignore[method-assign]
    await run.until(lambda: kept.taken > before and len(list(tape.directory.glob("*.tape"))) > sealed)


async def test_a_sink_catches_up_in_a_session_whose_beginning_is_gone(tmp_path: Path, sim: SimServer) -> None:
    async with running(sim, tmp_path) as run:
        published = [Batch(run.collector.session, 0, 0, list(run.events))]
        run.collector.bus.tap(published.append)
        await run.synced()
        for _ in range(3):
            await segment(run)
            await asyncio.sleep(0.2)
        session, tape = run.collector.session, run.collector.tape
        assert tape is not None
        first = [info.first_seq for info in reader.sessions(tmp_path)[0].segments]
        starts = [s.seq for s in states.states(tape.directory)]
        assert set(first[1:]) <= set(starts), "a segment begins where a state stands"
        sink = SqliteSink(tmp_path)
        sink.open()
        commit_all(sink, session, batches(tmp_path, session, single=True), events=1000, upto=first[2] + 7)
        position = sink.position(session)
        now, stamp = LiveClock().now(), checkpoint.stamp()
        (gone,) = await asyncio.to_thread(prune, tmp_path, OLD, now, lambda name: committed([sink], name), stamp, own=session)
        assert (gone.last_seq, gone.error) == (first[2] - 1, "")
        upto = tape.next_seq - 1
        await tape.synced(upto)
        await asyncio.to_thread(
            commit_all, sink, session, batches(tmp_path, session, position, single=True), events=1000, upto=upto
        )
        assert sink.position(session) == upto
        sink.close()
        await segment(run)
    whole = run.published()
    left = run.replayed()
    assert len(left) < len(whole)
    assert left == whole[-len(left) :]
    assert reader.verify(tmp_path) == []
    assert _count(tmp_path) == sum(isinstance(e, Trade) for batch in published if batch.seq <= upto for e in batch.events)
    assert [to_json(e) for e in replay(tmp_path)] == left
    fresh = SqliteSink(tmp_path / "new")
    fresh.open()
    commit_all(fresh, session, batches(tmp_path, session), events=1000)
    assert fresh.position(session) == reader.sessions(tmp_path)[0].last_seq
    fresh.close()


def _count(data: Path) -> int:
    with sqlite3.connect(data / "tapeline.sqlite") as db:
        return int(db.execute("SELECT count(*) FROM trades").fetchone()[0])


async def test_verify_and_repair_of_a_session_whose_beginning_is_gone(tmp_path: Path, sim: SimServer) -> None:
    """Nothing is called broken, and what is made anew has all that was there."""
    async with running(sim, tmp_path) as run:
        await run.synced()
        for _ in range(2):
            await segment(run)
            await asyncio.sleep(0.3)
    session = run.collector.session
    _brought_in(tmp_path)
    assert not (report := audit(tmp_path)).broken, report.broken
    before = _rows(tmp_path)
    (gone,) = prune(tmp_path, OLD, LiveClock().now(), lambda _: _first(tmp_path)[2], checkpoint.stamp())
    assert (gone.whole, gone.error, _first(tmp_path)[0]) == (False, "", gone.last_seq + 1)
    report = audit(tmp_path)
    assert not report.broken, report.broken
    assert any("were removed to make room" in point.text for point in report.points)
    info = reader.sessions(tmp_path)[0]
    on_tape = {session: rebuild.OnTape(info.last_seq, info.first_ts, info.last_ts, whole=False)}
    done = rebuild.rebuild(tmp_path, ["lake", "sqlite"], on_tape, partial(batches, tmp_path, single=True), lambda _: None)
    assert [r.error for r in done] == [""] * len(done)
    assert _rows(tmp_path) == before
    assert not audit(tmp_path).broken


def _brought_in(data: Path) -> None:
    sinks = make(data, Settings(data=str(data)))
    for sink in sinks:
        sink.open()
    reports = repair(data, sinks, {s.id: s.last_seq for s in reader.sessions(data)}, partial(batches, data, single=True))
    assert [r.error for r in reports] == ["", ""]
    for sink in sinks:
        sink.close()


def _first(data: Path) -> list[int]:
    return [info.first_seq for info in reader.sessions(data)[0].segments]


def _rows(data: Path) -> dict[str, int]:
    files = catalogue.read(data).files
    with sqlite3.connect(data / "tapeline.sqlite") as db:
        found = {
            table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("trades", "quotes", "bars", "status")
        }
    return found | {"lake": sum(file.rows for file in files)}


async def test_a_live_session_keeps_its_tape_small(tmp_path: Path, sim: SimServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next start removes the session of before, once the sinks have all of it; the one being recorded stays."""
    chosen = settings(sim, tmp_path, sinks=SinkSettings(commit_seconds=0.1, lake_seconds=0.1))
    ids = []
    keep = KeepSettings()
    monkeypatch.setattr(tape_keeping.keep_small, "__kwdefaults__", {"every": 0.2})
    for _ in range(2):
        await until(lambda: _free(tmp_path / "lake" / "_lock"))
        live = LiveSession(_with(chosen, keep))
        async with live:
            await live.collector.connect(chosen.instruments, chosen.channels)
            await until(lambda live=live: live.collector.events > 200)  # type: ignore[misc]
            ids.append(live.collector.session)
            if keep.tape_days:
                await until(lambda: reader.sessions(tmp_path)[0].removed >= 0)
        keep = OLD
    before, now = reader.sessions(tmp_path)
    assert (before.id, before.frames, now.removed) == (ids[0], 0, -1)
    assert reader.verify(tmp_path) == []
    sinks = make(tmp_path, _with(chosen, keep))
    for sink in sinks:
        sink.open()
        assert ids[0] in set(sink.finished())
        sink.close()


def _free(lock: Path) -> bool:
    """On a busy machine the lake's sink may be closing still."""
    try:
        Hold(lock).release()
    except ConfigError:
        return False
    return True


def _with(chosen: object, keep: KeepSettings) -> object:
    return msgspec.structs.replace(chosen, keep=keep)  # type: ignore[type-var]
