"""A live session's end, whatever is going on, and the Python face: every socket closed, every lag told."""

import asyncio
import gc
import threading
import time

import pytest

import tapeline as tl
from tapeline import api
from tapeline.cli import live, main
from tapeline.cli.live import LiveSession
from tapeline.config import Settings, SinkSettings
from tapeline.engine.bus import Batch
from tapeline.engine.replay import batches
from tapeline.errors import ConfigError, UsageError
from tapeline.events import Status, Trade, to_json
from tapeline.sim import SimServer
from tapeline.sinks.sqlite import SqliteSink
from tapeline.tape import reader
from tests.live.program import SOON
from tests.live.rig import BTC, SIM_BTC, settings
from tests.waiting import PATIENCE, until


async def end_in_time(session):
    began = time.monotonic()
    await session.__aexit__(None, None, None)
    seconds = time.monotonic() - began
    print(f"\nended in {seconds:.2f} s")  # noqa: T201 - with -s, the measurement
    return seconds


async def test_it_ends_in_time_while_a_sink_hangs(tmp_path, monkeypatch):
    entered, over = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def hang(self, session, seq, events):
        loop.call_soon_threadsafe(entered.set)
        over.wait(60)

    monkeypatch.setattr(SqliteSink, "commit", hang)
    async with SimServer(seed=51, rate=5.0) as sim:
        session = await LiveSession(settings(sim, tmp_path)).__aenter__()
        await session.connect("live")
        await entered.wait()
        try:
            seconds = await end_in_time(session)
        finally:
            over.set()
    assert seconds < SOON
    (info,) = reader.sessions(tmp_path)
    assert info.frames == session.collector.frames


@pytest.mark.parametrize("how", ["for", "stop"])
async def test_a_slow_sink_has_its_time_at_the_end_of_a_span_and_is_told_of_otherwise(tmp_path, monkeypatch, capsys, how):
    """Whoever gave `--for` reads the lake next; whoever pressed Ctrl-C waits."""
    commit, stop = SqliteSink.commit, asyncio.Event()

    def slowly(self, session, seq, events):
        time.sleep(1.2)
        commit(self, session, seq, events)

    monkeypatch.setattr(SqliteSink, "commit", slowly)
    async with SimServer(seed=57, rate=5.0) as sim:
        session = await LiveSession(settings(sim, tmp_path, sinks=SinkSettings(commit_seconds=60))).__aenter__()
        if how == "stop":
            session.collector.bus.tap(lambda _: stop.set() if session.collector.events > 100 else None)
        await session.stream(stop, "live", 1.0 if how == "for" else None)
        await end_in_time(session)
    assert ("sqlite: the last events are on the tape only" in capsys.readouterr().err) == (how == "stop")
    if how == "for":
        sink = SqliteSink(tmp_path)
        sink.open()
        assert sink.position(session.collector.session) == session.collector.frames - 1
        sink.close()


async def test_it_ends_in_time_with_a_hundred_thousand_events_queued(tmp_path):
    """And the next start brings in what was left."""
    async with SimServer(seed=52, rate=5.0) as sim:
        session = await LiveSession(settings(sim, tmp_path)).__aenter__()
        await session.connect("live")
        await until(lambda: session.collector.events > 1000)
        busy = [e for b in batches(tmp_path, session.collector.session) for e in b.events if type(e) is Trade]
        await until(lambda: reader.sessions(tmp_path)[0].frames > 10)
        collector = session.collector
        flood = busy or [Trade(SIM_BTC, 1, 1, 128, 1.0, 1.0, "buy", "1")]
        seq = collector.frames
        collector.bus.publish(Batch(collector.session, seq, seq, (flood * (100_000 // len(flood) + 1))[:100_000]))
        seconds = await end_in_time(session)
    assert seconds < SOON


async def test_a_fault_of_ours_ends_it_loudly(tmp_path):
    async with SimServer(seed=53) as sim, LiveSession(settings(sim, tmp_path)) as session:
        stop = asyncio.Event()

        def broken(batch):
            if session.collector.frames > 20:
                raise ZeroDivisionError("a tap that must never fail did")

        session.collector.bus.tap(broken)
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(session.stream(stop, "live", None), PATIENCE)


async def test_a_place_that_cannot_be_written_is_told_before_anything_is_streamed(tmp_path):
    (tmp_path / "file").write_text("")
    async with SimServer(seed=54) as sim:
        with pytest.raises(ConfigError, match="data"):
            await LiveSession(settings(sim, tmp_path / "file" / "data")).__aenter__()


async def test_two_sessions_do_not_write_to_one_place(tmp_path):
    async with SimServer(seed=55) as sim, LiveSession(settings(sim, tmp_path)):
        with pytest.raises(ConfigError, match="another tapeline writes there"):
            await LiveSession(settings(sim, tmp_path)).__aenter__()
    gc.collect()


async def test_stream_gives_events_and_leaving_it_closes_everything(tmp_path):
    async with SimServer(seed=56, rate=5.0) as sim:
        seen: list[Trade] = []
        async for event in tl.stream(BTC, channels=["trades"], settings=settings(sim, tmp_path)):
            if isinstance(event, tl.Trade):
                seen.append(event)
                if len(seen) == 20:
                    break
        await until(lambda: not sim.hub.conns)
        gc.collect()
    assert {t.instrument for t in seen} == {SIM_BTC}
    assert not (tmp_path / "tape").exists()


async def test_stream_records_where_it_is_told_to_and_replay_gives_the_same(tmp_path):
    lines: list[bytes] = []
    async with SimServer(seed=57, rate=5.0) as sim:
        stream = tl.stream(BTC, channels=["trades", "book"], data=tmp_path, settings=settings(sim, tmp_path))
        async for event in stream:
            lines.append(to_json(event))
            if len(lines) == 500:
                break
        await stream.aclose()
    assert [to_json(e) for e in tl.replay(tmp_path)][:500] == lines
    only = list(tl.replay(tmp_path, instruments=[SIM_BTC]))
    assert {e.instrument for e in only} <= {"", SIM_BTC}
    middle = only[len(only) // 2].ts_recv
    assert all(e.ts_recv >= middle for e in tl.replay(tmp_path, start=middle))
    with pytest.warns(UserWarning, match=f"no event of {BTC}; it has .*{SIM_BTC}"):
        assert all(not e.instrument for e in tl.replay(tmp_path, instruments=[BTC]))
    with pytest.raises(UsageError):
        list(tl.replay(tmp_path / "nothing"))


async def test_a_slow_consumer_is_told_what_it_missed(tmp_path, monkeypatch):
    monkeypatch.setattr(api, "QUEUE_EVENTS", 50)
    async with SimServer(seed=58, rate=20.0) as sim:
        stream = tl.stream(BTC, settings=settings(sim, tmp_path))
        awake = 0.0
        missed: list[Status] = []
        async for event in stream:
            if isinstance(event, Trade) and time.monotonic() > awake:
                await asyncio.sleep(1.0)
                awake = time.monotonic() + 1.0
            if isinstance(event, Status) and event.channel == "consumer":
                missed.append(event)
                break
        await stream.aclose()
    (gap,) = missed
    assert gap.kind == "gap"
    assert gap.count
    assert gap.flags & 128


def test_replay_of_nothing_says_so(tmp_path, capsys):
    for place in (tmp_path / "absent", tmp_path):
        assert main(["replay", str(place), "--events"]) == 2
        said = capsys.readouterr().err
        assert "there is no recording under" in said
        assert "Traceback" not in said


async def test_a_fault_in_the_repair_is_said_and_the_session_goes_on(tmp_path, monkeypatch, capsys):
    def odd(*_, **__):
        raise RuntimeError("odd")

    monkeypatch.setattr(live, "repair", odd)
    await LiveSession(Settings(data=str(tmp_path)))._mend({"s": 1})
    assert "earlier sessions could not be brought in (RuntimeError: odd)" in capsys.readouterr().err
