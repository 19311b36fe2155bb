"""A replay that is played, paused and sought: whatever the way to an instant, what is there is what a straight play has there."""

import asyncio
import random
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tapeline.clock import SECOND
from tapeline.config import ServerSettings
from tapeline.engine import player as players
from tapeline.engine.cursor import Marks
from tapeline.engine.player import Player
from tapeline.events import to_json
from tapeline.server.memory.history import History
from tapeline.sim import SimServer
from tapeline.tape import reader, states
from tests.live.rig import ALL, running
from tests.waiting import until

SETTINGS = ServerSettings(history_trades=100_000, history_bars=100_000)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """(directory, session): some thousand frames of three instruments, with states of the pipeline beside the tape."""
    data = tmp_path_factory.mktemp("recorded")

    async def record():
        async with SimServer(seed=9, rate=8.0) as sim, running(sim, data) as run:
            assert run.collector.checkpoints is not None
            run.collector.checkpoints.every = SECOND // 2
            run.collector.checkpoints._due = 0
            states = run.collector.checkpoints
            await run.until(lambda: run.collector.events > 12_000 and states.taken > 1, 60)

    asyncio.run(record())
    (info,) = reader.sessions(data)
    return data, info


def picture(player, past):
    """All that a viewer can see of this instant."""
    names = [i.id for i in player.instruments()]
    return {
        "clock": player.clock.now(),
        "books": {n: player.book(n, 1000) for n in names},
        "open": {(n, i): player.open_bar(n, i) for n in names for i in ("1s", "1m")},
        "bars": {k: v.last(1) for k, v in past.bars.items() if v.last(1)},
        "quotes": {(n, q.origin): to_json(q) for n in names for q in past.quotes(n)},
        "metrics": {n: to_json(past.metrics[n]) for n in past.metrics},
        "samples": {n: to_json(m) for n in past.samples if (m := past.sample(n)) is not None},
        "trades": {n: [to_json(t) for t in list(log.items)[-20:]] for n, log in past.trades.items() if len(log.items) >= 20},
        "states": [(r["id"], r["state"], r["book"], r["gaps"], r["last_event"]) for r in player.status()["instruments"]],
    }


def watched(data, info, **how):
    player, past = Player(data, info.id, last=info.last_ts, **how), History(SETTINGS)
    player.bus.tap(past.tap)
    player.bus.turns.append(past.turned)
    return player, past


@asynccontextmanager
async def performing(player):
    task = asyncio.create_task(player.perform())
    yield
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def straight(data, info, instants):
    """The pictures of a play from the first frame on, each after the last frame at that instant or before."""
    player, past = watched(data, info)
    found, frames = {}, [f for _, f in reader.read(data, info.id)]
    for at in sorted(instants):
        n = sum(f.ts_recv <= at for f in frames)
        player._publish(*player._cursor.take(None, 0))
        while player.frames < n:
            assert player._cursor.peek() is not None
            player._publish(*player._cursor.take(None, min(256, n - player.frames)))
        found[at] = picture(player, past)
    return found


@pytest.fixture
def small(monkeypatch):
    """Marks and warm-ups of a size that a short recording has room for."""
    monkeypatch.setattr(players, "MARK_FRAMES", 300)
    monkeypatch.setattr(players, "WARM_FRAMES", 700)
    monkeypatch.setattr(players, "WARM_MOST", 2000)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("beside", [True, False], ids=["states beside the tape", "marks in memory"])
async def test_after_random_seeks_all_is_as_in_a_straight_play(recorded, beside, monkeypatch):
    """What is remembered may begin later here: what an instrument had said before a state beside the tape is not in it."""
    data, info = recorded
    rng = random.Random(4)
    instants = [rng.randrange(info.first_ts, info.last_ts) for _ in range(25)]
    wanted = await straight(data, info, instants)
    player, past = watched(data, info, speed=1.0, playing=False)
    remembered = 0
    async with performing(player):
        if beside:
            monkeypatch.setattr(Marks, "due", lambda *_: False)
        else:
            monkeypatch.setattr(states, "states", lambda _: [])
            player.seek(info.last_ts)
            await player.reached()
        for n, at in enumerate(instants):
            player.seek(at)
            await player.reached()
            got = picture(player, past)
            for part, expected in wanted[at].items():
                if part in ("bars", "trades") or (beside and part in ("quotes", "metrics", "samples")):
                    assert got[part] == {k: expected[k] for k in got[part]}, (n, part)
                else:
                    assert got[part] == expected, (n, part)
            remembered += len(got["bars"]) + len(got["trades"])
            assert (player.epoch, player.instant, player.finished) == (n + 1 + (not beside), at, False)
    assert remembered > 100


@pytest.mark.usefixtures("small")
async def test_what_is_played_after_a_seek_is_what_a_straight_play_gives(recorded):
    data, info = recorded
    whole = Player(data, info.id, speed=0)
    lines: list[bytes] = []
    whole.bus.tap(lambda batch: lines.extend(map(to_json, batch.events)))
    await whole.run()
    frames = [f for _, f in reader.read(data, info.id)]
    middle = frames[len(frames) // 2].ts_recv
    player = Player(data, info.id, speed=0, playing=False, last=info.last_ts)
    async with performing(player):
        player.seek(info.last_ts)
        await player.reached()
        assert player.finished
        player.seek(middle)
        await player.reached()
        assert not player.finished
        played: list[bytes] = []
        player.bus.tap(lambda batch: played.extend(map(to_json, batch.events)))
        player.play()
        await until(lambda: player.finished)
    assert 100 < len(played) < len(lines)
    assert played == lines[-len(played) :]


async def test_a_subscriber_is_not_given_what_a_seek_runs_through(recorded):
    data, info = recorded
    player, past = watched(data, info, playing=False)
    queue, told = player.bus.subscribe("sink"), []
    player.bus.turns.append(told.append)
    async with performing(player):
        player.seek(info.first_ts + (info.last_ts - info.first_ts) // 2)
        await player.reached()
        assert queue.depth == 0
        assert past.trades
        player.seek(info.first_ts)
        await player.reached()
    assert told == ["hold", "forget", "reached"] * 2
    assert not past.trades


async def test_pausing_stepping_and_speed(recorded):
    data, info = recorded
    player, _ = watched(data, info, speed=0.5)
    async with performing(player):
        await until(lambda: player.instant > info.first_ts + SECOND // 5)
        player.pause()
        at, frames = player.instant, player.frames
        await asyncio.sleep(0.1)
        assert (player.instant, player.frames) == (at, frames)
        player.step("second")
        await player.reached()
        assert player.instant == at + SECOND
        assert player.epoch == 0
        passed = [f for _, f in reader.read(data, info.id) if f.ts_recv <= at + SECOND]
        assert player.frames == len(passed)
        events = player.events
        player.step("events")
        await player.reached()
        assert player.events > events
        assert player.clock.now() == player.instant
        player.set_speed(0)
        player.play()
        await until(lambda: player.finished)
        assert player.instant == player.last == info.last_ts


async def test_a_second_wish_on_the_way_is_the_one_that_counts(recorded):
    data, info = recorded
    player, past = watched(data, info, playing=False)
    early, late = info.first_ts + SECOND, info.last_ts - SECOND
    wanted = await straight(data, info, [early, late])
    async with performing(player):
        for first, then in ((late, early), (early, late)):
            player.seek(first)
            await asyncio.sleep(0)
            assert player.seeking
            player.seek(then)
            await player.reached()
            assert picture(player, past)["books"] == wanted[then]["books"]
            assert player.instant == then


async def test_beyond_the_ends_is_the_end(recorded):
    data, info = recorded
    player, _ = watched(data, info, playing=False)
    async with performing(player):
        player.seek(info.last_ts + 10**15)
        await player.reached()
        assert (player.instant, player.finished) == (info.last_ts, True)
        player.seek(0)
        await player.reached()
        assert (player.instant, player.finished) == (info.first_ts, False)


async def test_a_session_that_grows_goes_on_where_it_ended(tmp_path: Path):
    async with SimServer(seed=2, rate=5.0) as sim, running(sim, tmp_path, channels=("trades",), instruments=ALL[:1]) as run:
        await run.until(lambda: run.collector.frames > 50)
        player = Player(tmp_path, run.collector.session, speed=0)
        await player.run()
        had = player.frames
        await run.until(lambda: run.collector.status()["tape"]["synced_seq"] > had + 50)
        player.play()
        await player.run()
        assert player.frames > had + 40
        assert player.last == player.clock.now()


async def test_how_far_a_seek_has_come_is_told(recorded):
    data, info = recorded
    player, _ = watched(data, info, playing=False)
    said = []
    player.bus.tap(lambda _: said.append(player.progress))
    assert player.state()["progress"] is None
    async with performing(player):
        player.seek(info.last_ts)
        assert player.progress == 0
        await player.reached()
    assert player.state()["progress"] is None
    assert said == sorted(said)
    assert said[-1] == 1
    assert len(set(said)) > 10
