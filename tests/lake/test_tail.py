"""Questions beside a process that records: every event once, from the moment it is published."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import tapeline as tl
from tapeline.clock import ReplayClock
from tapeline.config import SinkSettings
from tapeline.engine.bus import Batch, Bus
from tapeline.events import Quote, Trade
from tapeline.lake.lake import Lake
from tapeline.lake.layout import root
from tapeline.lake.tail import DOOR, Door, TailServer
from tapeline.sinks.lake import LakeSink
from tapeline.sinks.runner import SinkRunner
from tests.lake.recorder import frame
from tests.sinks.fakes import Tape, Trying
from tests.sinks.helpers import T0, batches, frames, one_of_each

ROOT = Path(__file__).parents[2]


class Recorder:
    """`tests.lake.recorder` in a process of its own."""

    def __init__(self, data: Path, seconds: float) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.lake.recorder", str(data), str(seconds)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.line() == "ready"

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def say(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def run(self, seconds: float) -> int:
        self.say("run")
        time.sleep(seconds)
        return self.rest()

    def rest(self) -> int:
        self.say("rest")
        return int(self.line())


@pytest.fixture
def recorder(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Recorder]:
    made = Recorder(tmp_path, request.param)
    yield made
    made.process.kill()
    made.process.communicate()


COUNT = "select (select count(*) from trades) + (select count(*) from quotes) as c"
ONCE = """
    select count(*) c, count(distinct (session_id, n)) d, max(n) m from
    (select session_id, n from trades union all select session_id, n from quotes)
"""


@pytest.mark.parametrize("recorder", [0.05], indirect=True)
def test_every_event_once_while_commits_go_on(recorder, tmp_path):
    """Asked while it writes at full speed, commits every 50 ms and compacts; and equal to what was published at each rest."""
    lake, before = tl.open(tmp_path), 0
    while not any(file.compacted for file in lake.catalogue().files):
        for _ in range(3):
            recorder.say("run")
            for _ in range(4):
                row = lake.sql(ONCE).to_pylist()[0]
                assert row["c"] == row["d"]
                assert row["c"] == (-1 if row["m"] is None else row["m"]) + 1
                assert row["c"] >= before
                assert lake.reach is None
                before = row["c"]
            published = recorder.rest()
            assert lake.sql(COUNT)["c"].to_pylist() == [published]
            before = published


@pytest.mark.parametrize("recorder", [3600.0], indirect=True)
def test_what_is_nowhere_but_in_memory(recorder, tmp_path):
    """Field by field, in the order it was made; and from the files once the session has ended."""
    published = recorder.run(0.2)
    lake = tl.open(tmp_path)
    assert lake.catalogue().files == ()
    events = []
    while len(events) < published:
        events += frame(len(events) and (events[-1].ts_event - T0) // 1_000_000 + 1)
    wanted = dict(enumerate(events))

    def holds() -> None:
        for view, kind in (("trades", Trade), ("quotes", Quote)):
            rows = lake.sql(f"select * from {view} order by n").to_pylist()
            own = {n: e for n, e in wanted.items() if type(e) is kind}
            assert [row["n"] for row in rows] == list(own)
            for row, event in zip(rows, own.values(), strict=True):
                assert [row[name] for name in kind.__struct_fields__] == [
                    getattr(event, name) for name in kind.__struct_fields__
                ]

    holds()
    recorder.say("quit")
    assert recorder.process.wait() == 0
    assert sum(f.rows for f in lake.catalogue().files) == published
    assert not (root(tmp_path) / DOOR).exists()
    holds()


@pytest.mark.parametrize("recorder", [3600.0], indirect=True)
def test_a_session_that_was_killed_leaves_a_door_that_nobody_opens(recorder, tmp_path):
    assert recorder.run(0.1) > 0
    lake = tl.open(tmp_path)
    recorder.process.kill()
    recorder.process.wait()
    assert (root(tmp_path) / DOOR).exists()
    assert lake.sql(COUNT)["c"].to_pylist() == [0]
    assert lake.reach is None


@pytest.mark.parametrize("recorder", [3600.0], indirect=True)
def test_nobody_else_may_ask(recorder, tmp_path):
    door = root(tmp_path) / DOOR
    address = Path(msgspec.json.decode(door.read_bytes(), type=Door).address)
    assert door.stat().st_mode & 0o077 == 0
    assert address.stat().st_mode & 0o077 == 0


class Scene:
    """A bus, a lake and its runner in this process. `ask` asks from a thread, as the API does."""

    def __init__(self, data: Path, tape: Tape, **settings: Any) -> None:
        self.data, self.bus, self.sink = data, Bus(), Trying(LakeSink(data), tape)
        self.sink.open()
        self.queue = self.bus.subscribe("lake", settings.pop("capacity", 100_000), "drop")
        self.runner = SinkRunner(
            self.sink,
            self.queue,
            settings=SinkSettings(**settings),
            clock=ReplayClock(T0),
            synced=tape.synced,
            catch_up=tape.catch_up,
            backoff_first=0.01,
        )
        self.runner.start()
        self.lake = Lake(data)

    async def ask(self, sql: str) -> list[dict[str, Any]]:
        return (await asyncio.to_thread(self.lake.sql, sql)).to_pylist()

    async def count(self) -> int:
        kinds = ["trades", "quotes", "book_updates", "bar_revisions", "metrics", "status"]
        rows = await self.ask(" union all ".join(f"select session_id, n from {kind}" for kind in kinds))
        assert len({(row["session_id"], row["n"]) for row in rows}) == len(rows)
        return len(rows)


@pytest.mark.parametrize("at", ["before", "during", "after"])
async def test_a_commit_under_way(tmp_path, at):
    """Its events are in memory and, from some moment on, in the files: once in the answer all the same."""
    made = frames(60)
    scene = Scene(tmp_path, Tape(s=made), lake_seconds=0.01)
    async with TailServer(tmp_path, scene.runner.tail):
        if at != "after":
            scene.sink.gate.clear()
        for batch in batches(made, "s", 10):
            scene.bus.publish(batch)
        await asyncio.sleep(0.05)
        assert await scene.count() == scene.bus.published
        if at == "during":
            scene.sink.sink.commit("s", 59, [e for events in made for e in events])  # as if the commit had just gone through
            assert await scene.count() == scene.bus.published
        scene.sink.gate.set()
        await scene.runner.close(30)
        assert await scene.count() == scene.bus.published


async def test_two_sessions_and_what_a_table_cannot_hold(tmp_path):
    made = one_of_each()
    huge = Trade("x:Y", T0, T0, 0, 1.0, 1.0, "buy", "\ud800")
    scene = Scene(tmp_path, Tape(a=[made], b=[[huge], made]), lake_seconds=3600)
    async with TailServer(tmp_path, scene.runner.tail):
        scene.bus.publish(Batch("a", 0, 0, made))
        scene.bus.publish(Batch("b", 0, 0, [huge]))
        scene.bus.publish(Batch("b", 1, 1, made))
        rows = await scene.ask("select session_id, n, id from trades order by all")
        trades = [e.id for e in made if type(e) is Trade]
        assert [(r["session_id"], r["n"]) for r in rows] == [("a", 0), ("a", 1), ("b", 0), ("b", 1), ("b", 2)]
        assert [r["id"] for r in rows] == [*trades, "?", *trades]
        await scene.runner.close(30)


async def test_what_memory_cannot_hold_is_said(tmp_path):
    """A sink that stands still, and a queue that is full: the answer says how far it goes. Later the tape gives the rest."""
    made = frames(300)
    scene = Scene(tmp_path, Tape(s=made), lake_seconds=0.01, lake_events=20, capacity=30)
    async with TailServer(tmp_path, scene.runner.tail):
        scene.sink.gate.clear()
        for batch in batches(made, "s", 3):
            scene.bus.publish(batch)
            await asyncio.sleep(0)
        found = await scene.count()
        assert 0 < found < scene.bus.published
        assert scene.lake.reach is not None
        scene.sink.gate.set()
        while scene.queue.depth or scene.runner.stats.depth:
            await asyncio.sleep(0.01)
            assert await scene.count() >= found
        await scene.runner.close(30)


async def test_a_session_that_does_not_answer_is_said(tmp_path):
    made = frames(20)
    scene = Scene(tmp_path, Tape(s=made), lake_seconds=0.01)
    async with TailServer(tmp_path, scene.runner.tail):
        for batch in batches(made, "s", 10):
            scene.bus.publish(batch)
        await scene.runner.close(30)
        door = root(tmp_path) / DOOR
        door.write_bytes(msgspec.json.encode(Door(os.getpid(), str(tmp_path / "nowhere"))))
        assert await scene.count() == scene.bus.published
        assert scene.lake.reach == max(f.last_ts for f in scene.lake.catalogue().files)


async def test_a_path_too_long_for_a_socket(tmp_path):
    data = tmp_path / ("x" * 120)
    data.mkdir()
    scene = Scene(data, Tape(s=[]), lake_seconds=3600)
    async with TailServer(data, scene.runner.tail):
        scene.bus.publish(Batch("s", 0, 0, one_of_each()))
        assert await scene.ask("select count(*) c from trades") == [{"c": 2}]
    await scene.runner.close(30)


async def test_a_session_that_cannot_make_a_socket_records_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("tapeline.lake.tail.LONGEST_ADDRESS", 0)
    scene = Scene(tmp_path, Tape(s=[]), lake_seconds=3600)
    async with TailServer(tmp_path, scene.runner.tail):
        scene.bus.publish(Batch("s", 0, 0, one_of_each()))
        assert await scene.ask("select count(*) c from trades") == [{"c": 0}]
        assert scene.lake.reach == 0
    await scene.runner.close(30)
    assert await scene.ask("select count(*) c from trades") == [{"c": 2}]
    assert scene.lake.reach is None


@pytest.mark.parametrize("said", [b"", b"no json\n", b'{"kinds": 5}\n', b"x" * 200_000, b'{"kinds": ["nothing"]}\n'])
async def test_nonsense_at_the_door(tmp_path, said):
    scene = Scene(tmp_path, Tape(s=[]), lake_seconds=3600)
    async with TailServer(tmp_path, scene.runner.tail):
        door = msgspec.json.decode((root(tmp_path) / DOOR).read_bytes(), type=Door)
        reader, writer = await asyncio.open_unix_connection(door.address)
        writer.write(said)
        writer.write_eof()
        assert len(await reader.read()) < 100
        writer.close()
        scene.bus.publish(Batch("s", 0, 0, one_of_each()))
        assert await scene.ask("select count(*) c from trades") == [{"c": 2}]
    await scene.runner.close(30)
