"""The runner with the real bus and a real SQLite sink, and everything that can go wrong around them."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tapeline.clock import ReplayClock
from tapeline.config import SinkSettings
from tapeline.engine.bus import Batch, Bus, Missed, Policy
from tapeline.events import Event
from tapeline.sinks.recovery import repair
from tapeline.sinks.runner import SinkRunner
from tapeline.sinks.sqlite import SqliteSink
from tests.sinks.fakes import Forgets, Tape, Trying
from tests.sinks.helpers import T0, batches, frames, in_order
from tests.sinks.subjects import subject
from tests.waiting import until

QUICK = SinkSettings(commit_seconds=0.01, batch_events=20)


class Scene:
    """A bus, a tape, a sink and its runner."""

    def __init__(self, data: Path, tape: Tape, settings: SinkSettings = QUICK, capacity: int = 10_000, policy: Policy = "drop"):
        self.data, self.tape, self.bus, self.clock = data, tape, Bus(), ReplayClock(T0)
        self.sink = Trying(SqliteSink(data), tape)
        self.sink.open()
        self.queue = self.bus.subscribe("sqlite", capacity, policy)
        self.runner = SinkRunner(
            self.sink,
            self.queue,
            settings=settings,
            clock=self.clock,
            synced=tape.synced,
            catch_up=tape.catch_up,
            recorded=tape.recorded,
            backoff_first=0.01,
        )

    async def until(self, condition: Callable[[], bool]) -> None:
        await until(condition)

    async def reaches(self, session: str, seq: int) -> None:
        await self.until(lambda: self.sink.position(session) >= seq)

    def holds(self, *sessions: list[list[Event]]) -> None:
        flat = [[e for events in made for e in events] for made in sessions]
        assert in_order(subject("sqlite").read(self.data)) == in_order(subject("sqlite").kept(flat))


Make = Callable[..., Scene]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Make]:
    scenes: list[Scene] = []

    def make(tape: Tape, **options: object) -> Scene:
        scenes.append(Scene(tmp_path, tape, **options))
        return scenes[-1]

    yield make
    for made in scenes:
        made.sink.gate.set()
        await made.runner.close()
        made.runner._worker.join(30)
        made.sink.close()  # a test may have opened it again


async def test_it_commits_by_time_and_by_number_of_events_and_counts(scene):
    made = frames(100)
    s = scene(Tape(s=made))
    s.runner.start()
    for batch in batches(made, "s", 5):
        s.bus.publish(batch)
        await asyncio.sleep(0)
    await s.reaches("s", 99)
    await s.until(lambda: s.runner.stats.depth == 0)
    s.holds(made)
    stats = s.runner.stats
    assert (stats.events, stats.commits, stats.depth, stats.dropped, stats.missed, stats.error) == (
        s.bus.published,
        len(s.sink.sizes),
        0,
        0,
        0,
        "",
    )
    assert max(s.sink.sizes) < 20 + max(len(b.events) for b in batches(made, "s", 5))
    assert s.tape.replays == []


async def test_frames_without_events_move_the_position(scene):
    s = scene(Tape(s=[[]] * 10))
    s.runner.start()
    s.bus.publish(Batch("s", 0, 9, []))
    await s.reaches("s", 9)


async def test_nothing_waits_for_ever_and_the_lag_is_shown(scene):
    made = frames(30)
    s = scene(Tape(s=made))
    s.sink.gate.clear()
    s.runner.start()
    first = next(b for b in batches(made, "s", 10) if b.events)
    s.bus.publish(first)
    await s.until(lambda: s.runner.stats.depth == len(first.events))
    s.clock.set(first.events[0].ts_recv + 9_000_000)
    assert s.runner.stats.lag_seconds == 0  # it waits because it is to: its commit is due after 0.01 s
    assert s.runner.stats.due_seconds == 0.01  # which is told, so that a reader can judge the lag
    s.clock.set(first.events[0].ts_recv + 3_500_000_000)
    await s.until(lambda: s.runner.stats.lag_seconds > 0)
    assert s.runner.stats.lag_seconds == pytest.approx(3.49)
    assert s.runner.stats.depth == len(first.events)
    s.sink.gate.set()
    await s.reaches("s", first.seq)
    await s.until(lambda: s.runner.stats.lag_seconds == 0)


@pytest.mark.parametrize("policy", ["drop", "conflate"])
async def test_what_the_queue_could_not_hold_comes_from_the_tape(scene, policy):
    made = frames(300)
    s = scene(Tape(s=made), capacity=30, policy=policy)
    s.sink.gate.clear()
    s.runner.start()
    for batch in batches(made, "s", 3):
        s.bus.publish(batch)
        await asyncio.sleep(0)
    s.sink.gate.set()
    await s.until(lambda: s.queue.depth == 0)
    assert await s.runner.close(30) in (
        True,
        False,
    )  # a marker may stand at the very end: then the tape is left for the next start
    s.sink.open()
    repair(s.data, [s.sink.sink], ["s"], s.tape.catch_up)
    s.holds(made)
    assert s.runner.stats.missed > 0
    assert s.runner.stats.dropped == 0


async def test_a_marker_makes_it_catch_up_to_just_there_and_the_queue_goes_on(scene):
    made = frames(60)
    s = scene(Tape(s=made))
    parts = batches(made, "s", 10)
    for item in (parts[0], Missed("s", 10, 39, 7), parts[4], parts[5]):
        s.queue.put(item) if isinstance(item, Batch) else s.queue._queue.append(item)
    s.runner.start()
    await s.reaches("s", 59)
    s.holds(made)
    assert s.tape.replays == [("s", 9)]


@pytest.mark.parametrize("step", [1, 7, 100])
async def test_a_batch_that_straddles_the_position_is_never_split_nor_doubled(scene, step):
    made = frames(60)
    s = scene(Tape(s=made))
    s.tape.step = step  # a coarse tape overshoots the batches of the queue
    s.sink.sink.commit("s", 24, [e for events in made[:25] for e in events])
    s.runner.start()
    for batch in batches(made, "s", 10):
        s.bus.publish(batch)
    await s.reaches("s", 59)
    s.holds(made)
    if step == 1:
        assert s.tape.replays == [("s", 24)]


async def test_a_hole_between_two_batches_is_filled_even_without_a_marker(scene):
    made = frames(60)
    s = scene(Tape(s=made))
    s.runner.start()
    for batch in batches(made, "s", 10)[3:]:
        s.bus.publish(batch)
    await s.reaches("s", 59)
    s.holds(made)


async def test_a_failing_commit_is_shown_tried_again_and_loses_nothing(scene, capsys):
    made = frames(50)
    s = scene(Tape(s=made))
    s.sink.failures = 3
    s.sink.fail_after = 1
    s.runner.start()
    seen = set()
    s.sink.before_commit = lambda: seen.add(s.runner.stats.error)
    for batch in batches(made, "s", 5):
        s.bus.publish(batch)
    await s.reaches("s", 49)
    await s.until(lambda: s.runner.stats.depth == 0)
    s.holds(made)
    assert "OSError: no space left" in seen
    assert s.runner.stats.error == ""
    said = capsys.readouterr()
    assert (said.out + said.err).count("a sink cannot be written") == 1  # once, however often it is tried
    assert (said.out + said.err).count("the sink is written again") == 1
    assert s.runner.stats.dropped == 0


async def test_frames_that_the_tape_lacks_too_are_admitted(scene):
    made = frames(60)
    s = scene(Tape(s=made))
    s.tape.holes = set(range(20, 30))
    s.runner.start()
    parts = batches(made, "s", 10)
    for item in (*parts[:2], Missed("s", 20, 29, 99), *parts[3:]):
        s.queue.put(item) if isinstance(item, Batch) else s.queue._queue.append(item)
    await s.reaches("s", 59)
    s.holds(made[:20] + made[30:])


@pytest.mark.parametrize("size", [1, 7, 60])
async def test_what_came_but_is_lost_to_the_tape_is_left_out_and_counted(scene, size):
    """So that the sink holds what the tape holds, whoever makes it anew."""
    made = frames(120)
    s = scene(Tape(s=made), settings=SinkSettings(commit_seconds=0.01, batch_events=5000 if size == 60 else 20))
    s.tape.holes = set(range(35, 61))
    s.runner.start()
    for batch in batches(made, "s", size):
        s.bus.publish(batch)
        await asyncio.sleep(0)
    await s.reaches("s", 119)
    await s.until(lambda: s.runner.stats.dropped >= sum(map(len, made[35:61])))
    s.holds(made[:35] + made[61:])
    assert s.runner.stats.dropped == sum(map(len, made[35:61]))
    assert s.runner.stats.missed == 0


async def test_a_hole_at_the_tapes_present_end_is_counted(scene):
    made = frames(60)
    s = scene(Tape(s=made))
    s.tape.end = 19
    s.runner.start()
    parts = batches(made, "s", 10)
    for item in (*parts[:2], Missed("s", 20, 29, 99)):
        s.queue.put(item) if isinstance(item, Batch) else s.queue._queue.append(item)
    await s.until(lambda: s.runner.stats.dropped > 0)
    assert s.runner.stats.dropped == 99
    assert "frames 20 to 29 are not on the tape" in s.runner.stats.error
    for batch in parts[3:]:
        s.bus.publish(batch)
    await s.reaches("s", 59)
    s.holds(made[:20] + made[30:])


async def test_one_session_after_another(scene):
    one, two = frames(30, seed=1), frames(40, seed=2)
    s = scene(Tape(s1=one, s2=two))
    s.sink.sink.commit("s2", 9, [e for events in two[:10] for e in events])
    s.runner.start()
    for batch in batches(one, "s1", 7) + batches(two, "s2", 10):
        s.bus.publish(batch)
    await s.reaches("s2", 39)
    assert s.sink.position("s1") == 29
    assert len(subject("sqlite").read(s.data)) == len(
        subject("sqlite").kept([[e for f in one for e in f], [e for f in two for e in f]])
    )


async def test_closing_commits_what_is_there(scene):
    made = frames(50)
    s = scene(Tape(s=made), settings=SinkSettings(commit_seconds=1000))
    s.runner.start()
    for batch in batches(made, "s", 5):
        s.bus.publish(batch)
    assert await s.runner.close(30)
    s.holds(made)


async def test_closing_does_not_wait_for_a_sink_that_hangs_and_the_next_start_repairs_it(scene):
    made = frames(50)
    s = scene(Tape(s=made))
    s.sink.gate.clear()
    s.runner.start()
    for batch in batches(made, "s", 5):
        s.bus.publish(batch)
    await s.until(lambda: s.runner.stats.depth > 0)
    assert not await s.runner.close(0.05)
    s.sink.gate.set()
    s.runner._worker.join(30)
    s.sink.open()
    assert s.sink.position("s") < 49
    (report,) = repair(s.data, [s.sink.sink], {"s": 49}, s.tape.catch_up)
    assert (report.last_seq, report.error) == (49, "")
    s.holds(made)


async def test_closing_with_patience_waits_for_a_slow_sink_that_must_catch_up(scene):
    made = frames(200)
    s = scene(Tape(s=made), capacity=20)
    s.sink.gate.clear()
    s.runner.start()
    for batch in batches(made, "s", 5):
        s.bus.publish(batch)
        await asyncio.sleep(0)
    closing = asyncio.create_task(s.runner.close(30.0, patience=30))
    await asyncio.sleep(0.2)
    assert not closing.done()
    s.sink.gate.set()
    assert await closing
    s.sink.open()
    s.holds(made)


@pytest.mark.parametrize("how", ["hurry", "trouble"])
async def test_patience_ends_in_a_hurry_and_where_the_sink_is_in_trouble(scene, how):
    s, hurry = scene(Tape(s=frames(50))), asyncio.Event()
    if how == "hurry":
        s.sink.gate.clear()
    else:
        s.sink.failures = 1 << 30
    s.runner.start()
    for batch in batches(frames(50), "s", 5):
        s.bus.publish(batch)
    closing = asyncio.create_task(s.runner.close(0.05, patience=1000, hurry=hurry))
    await asyncio.sleep(0.1)
    hurry.set() if how == "hurry" else None
    assert not await closing


async def test_closing_while_the_sink_fails_ends_at_once(scene):
    made = frames(20)
    s = scene(Tape(s=made))
    s.sink.failures = 1 << 30
    s.runner.start()
    for batch in batches(made, "s", 5):
        s.bus.publish(batch)
    await s.until(lambda: s.runner.stats.error != "")
    assert not await s.runner.close(30)
    s.holds([])


def forgetful(scene: Make, tape: Tape, **options: object) -> tuple[Scene, Forgets]:
    s, sink = scene(tape, **options), Forgets()
    s.sink.close()
    s.sink = s.runner._sink = sink
    return s, sink


async def test_what_a_server_lost_comes_again_though_nothing_more_is_heard(scene):
    made = frames(40)
    s, sink = forgetful(scene, Tape(s=made))
    s.runner.start()
    parts = batches(made, "s", 20)
    s.bus.publish(parts[0])
    await s.reaches("s", 19)
    sink.forget()
    s.bus.publish(parts[1])
    await s.reaches("s", 39)
    assert sink.kept == [e for events in made for e in events]


async def test_what_a_server_lost_at_the_very_end_is_left_to_the_next_start_and_said(scene):
    made = frames(40)
    s, sink = forgetful(scene, Tape(s=made), settings=SinkSettings(commit_seconds=60, batch_events=5000))
    parts = batches(made, "s", 20)
    sink.commit("s", 19, parts[0].events)
    s.runner.start()
    s.bus.publish(parts[1])
    await s.until(lambda: s.runner._gathered.waiting)
    sink.forget()
    assert not await s.runner.close(30)
    assert (sink.kept, sink.seq) == ([], -1)


async def test_what_a_server_loses_while_it_is_caught_up_leaves_no_hole(scene):
    """Somebody else (retention) may have asked for the position in between, so that the sink itself knows of nothing."""
    made = frames(200)
    s, sink = forgetful(scene, Tape(s=made))
    tape = s.tape.catch_up

    def losing(session: str, after: int) -> Iterator[Batch]:
        for batch in tape(session, after):
            if batch.seq == 120 and len(s.tape.replays) == 1:
                sink.forget()
            yield batch

    s.runner._catch_up_source = losing
    s.queue._queue.append(Missed("s", 0, 199, 999))
    s.runner.start()
    await s.reaches("s", 199)
    assert sink.kept == [e for events in made for e in events]


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_happens_every_event_is_there_once(scene, seed):
    r = random.Random(seed)
    made = frames(400, seed=seed)
    s = scene(Tape(s=made), capacity=r.choice((20, 100, 2000)), policy=r.choice(("drop", "conflate")))
    s.tape.step = r.choice((1, 1, 4))

    def trouble() -> None:
        s.sink.failures = s.sink.failures or int(r.random() < 0.2)
        s.sink.fail_after = s.sink.fail_after or int(r.random() < 0.1)

    s.sink.before_commit = trouble
    s.runner.start()
    at = 0
    while at < len(made):
        last = min(at + r.randrange(1, 12), len(made)) - 1
        s.bus.publish(Batch("s", at, last, [e for events in made[at : last + 1] for e in events]))
        at = last + 1
        await asyncio.sleep(r.choice((0, 0, 0, 0.001)))
    await s.runner.close(r.choice((0.01, 5)))
    s.runner._worker.join(30)
    s.sink.open()
    repair(s.data, [s.sink.sink], ["s"], s.tape.catch_up)
    s.holds(made)
