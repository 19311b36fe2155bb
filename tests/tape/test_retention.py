"""Old tape is removed only where nobody can need it, a crash at any step leaves a sound tape, and what is left plays as before."""

import itertools
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tapeline.clock import ReplayClock
from tapeline.config import KeepSettings, TapeSettings
from tapeline.engine import checkpoint
from tapeline.engine.pipeline import Pipeline
from tapeline.engine.player import Player
from tapeline.engine.replay import batches, replay
from tapeline.events import Event, Status, Trade, to_json
from tapeline.frames import Frame, FrameKind, Session
from tapeline.sinks.recovery import committed
from tapeline.sinks.sqlite import SqliteSink
from tapeline.tape import layout, reader, states
from tapeline.tape.retention import EVERYTHING, Removal, plan, prune
from tapeline.tape.writer import TapeWriter
from tests.engine.feeds import MS, SECOND, T0, answer, closed, opened, recv, sent, tick, trade
from tests.engine.test_rule_one import story

SESSION = "20261121T100500Z-1a2b"
DAY = 86_400 * SECOND
LONG_AFTER = T0 + 30 * DAY
ALL_OLD = KeepSettings(tape_days=1)
LISTED = {"symbols": [{"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT"}]}


def record(
    root: Path,
    frames: list[Frame],
    stops: list[int],
    *,
    session: str = SESSION,
    closed: bool = True,
    stamp: bytes | None = None,
) -> TapeWriter:
    """A tape of these frames, a segment ending and a state taken ahead of each seq of `stops`."""
    tape = TapeWriter(root, Session(id=session, version="1"), TapeSettings(), ReplayClock(frames[0].ts_recv))
    whole, pipeline = [tape.head, *frames], Pipeline.of_session(tape.head)
    pipeline.feed(tape.head, [])
    for first, last in itertools.pairwise([1, *stops, len(whole)]):
        tape.append_many(whole[first:last])
        pipeline.feed_many(first, whole[first:last], [])
        pipeline.requests.clear()
        pipeline.notices.clear()
        if last in stops:
            tape._journal.rotate()
            made = stamp or checkpoint.stamp()
            states.write(tape.directory, last, whole[last - 1].ts_recv, made, checkpoint.dump(pipeline))
    tape.flush()
    tape._seal_later(tape._journal.end_sync(tape._journal.begin_sync().run()))
    if closed:
        tape.close_sync()
    return tape


def given_out(root: Path, after: int = -1, session: str = SESSION) -> list[tuple[int, int, list[bytes]]]:
    return [(b.first_seq, b.seq, [to_json(e) for e in b.events]) for b in batches(root, session, after, single=True)]


def pruned(root: Path, upto: int | Callable[[str], int], keep: KeepSettings = ALL_OLD, own: str = "") -> list[Removal]:
    asked = upto if callable(upto) else lambda _: upto
    before = plan(root, keep, LONG_AFTER, asked, checkpoint.stamp(), own=own)
    done = prune(root, keep, LONG_AFTER, asked, checkpoint.stamp(), own=own)
    assert before == done
    return done


def segments(root: Path, session: str = SESSION) -> list[int]:
    return [int(p.stem) for p in sorted((root / "tape" / session).glob("[0-9]*.tape"))]


def sound(root: Path) -> None:
    assert reader.verify(root) == []
    assert all(not info.holes for info in reader.sessions(root))


def test_a_sink_that_stands_still_keeps_its_segments(tmp_path: Path) -> None:
    record(tmp_path, story(3), [60, 120, 180])
    whole = given_out(tmp_path)
    assert segments(tmp_path) == [0, 60, 120, 180]
    for position in (-1, 0, 58):
        assert pruned(tmp_path, position) == []
    (gone,) = pruned(tmp_path, 59)
    assert (gone.first_seq, gone.last_seq, gone.segments, gone.whole) == (0, 59, 1, False)
    assert segments(tmp_path) == [60, 120, 180]
    assert pruned(tmp_path, 118) == []
    assert given_out(tmp_path, 118) == [b for b in whole if b[0] > 118]
    (gone,) = pruned(tmp_path, 200)
    assert (gone.first_seq, gone.last_seq) == (60, 179)
    for after in (179, 180, 200):
        assert given_out(tmp_path, after) == [b for b in whole if b[0] > after]
    assert [s.seq for s in states.states(tmp_path / "tape" / SESSION)] == [180]
    sound(tmp_path)


def test_no_state_no_partial_removal(tmp_path: Path) -> None:
    """Nothing could be replayed from the middle; as a whole the session may go."""
    frames = story(3)
    record(tmp_path, frames, [60, 120], stamp=bytes(32))
    assert pruned(tmp_path, 200) == []
    (gone,) = pruned(tmp_path, EVERYTHING)
    assert gone.whole
    assert gone.last_seq == len(frames)


def test_a_damaged_state_is_nothing_to_build_on(tmp_path: Path) -> None:
    """The next sound one before it is."""
    record(tmp_path, story(3), [60, 120, 180])
    whole = given_out(tmp_path)
    path = tmp_path / "tape" / SESSION / "000000000180.state"
    raw = path.read_bytes()
    path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    (gone,) = pruned(tmp_path, 200)
    assert (gone.first_seq, gone.last_seq) == (0, 119)
    assert given_out(tmp_path, 150) == [b for b in whole if b[0] > 150]


def test_a_session_that_is_gone_says_so_and_harms_nobody(tmp_path: Path) -> None:
    record(tmp_path, story(3), [60, 120])
    record(tmp_path, story(4), [], session="20261122T000000Z-0000")
    pruned(tmp_path, lambda session: EVERYTHING if session == SESSION else -1)
    assert [p.name for p in sorted((tmp_path / "tape" / SESSION).iterdir()) if p.name != "lock"] == ["removed.tape"]
    info = reader.sessions(tmp_path)[0]
    assert (info.frames, info.segments, info.last_seq) == (0, [], info.removed)
    assert reader.head(tmp_path, SESSION).id == SESSION
    assert given_out(tmp_path) == []
    assert {to_json(e) for e in replay(tmp_path)} == {
        line for b in given_out(tmp_path, session="20261122T000000Z-0000") for line in b[2]
    }
    sound(tmp_path)
    assert pruned(tmp_path, EVERYTHING)[0].session == "20261122T000000Z-0000"
    assert pruned(tmp_path, EVERYTHING) == []


def test_by_age_and_by_size_oldest_first(tmp_path: Path) -> None:
    for day in range(3):
        frames = [Frame(f.ts_recv + day * DAY, f.kind, f.conn, f.data) for f in story(day + 1)]
        record(tmp_path, frames, [100], session=f"2026112{day}T000000Z-0000")
    last = max(info.last_ts for info in reader.sessions(tmp_path)[:2])
    gone = plan(tmp_path, KeepSettings(tape_days=1), last + DAY + 1, lambda _: EVERYTHING, checkpoint.stamp())
    assert [r.session[:8] for r in gone] == ["20261120", "20261121"]
    size = sum(info.bytes for info in reader.sessions(tmp_path))
    size += sum(s.bytes for info in reader.sessions(tmp_path) for s in states.states(tmp_path / "tape" / info.id))
    for keep, sessions, count in ((size, 0, 0), (size - 1, 1, 1), (1, 3, 6)):
        gone = plan(tmp_path, KeepSettings(tape_gb=keep / 1e9), last, lambda _: EVERYTHING, checkpoint.stamp())
        assert (len(gone), sum(r.segments for r in gone)) == (sessions, count)
    stuck = plan(
        tmp_path, KeepSettings(tape_gb=1e-9), last, lambda s: -1 if "20261120" in s else EVERYTHING, checkpoint.stamp()
    )
    assert [r.session[:8] for r in stuck] == ["20261121", "20261122"]


def test_a_session_that_another_process_writes_is_left_alone(tmp_path: Path) -> None:
    tape = record(tmp_path, story(3), [60, 120], closed=False)
    assert pruned(tmp_path, 10_000) == []
    (gone,) = pruned(tmp_path, 10_000, own=SESSION)
    assert gone.last_seq == 119
    tape.append(tick(T0 + DAY))
    tape.close_sync()
    sound(tmp_path)
    assert segments(tmp_path)[0] == 120


def test_a_full_disk_after_the_removal_does_not_bring_the_head_back(tmp_path: Path) -> None:
    tape = record(tmp_path, story(3), [60], closed=False)
    pruned(tmp_path, 10_000, own=SESSION)
    tape._journal._fail(OSError(28, "No space left on device"))
    tape.append(tick(T0 + DAY))
    tape.append(tick(T0 + 2 * DAY))
    tape.close_sync()
    assert segments(tmp_path)[0] == 60
    assert [f.text for f in reader.verify(tmp_path) if f.kind != "hole"] == []


class Killed(BaseException):
    pass


def test_killed_at_any_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was the last call, the tape is sound, plays on as before, and the next run finishes the work."""
    steps = 0
    for step in itertools.count():
        root = tmp_path / str(step)
        record(root, story(3), [60, 120, 180])
        whole = given_out(root)
        with monkeypatch.context() as patch:
            left = step

            def dying(function: Callable[..., object]) -> Callable[..., object]:
                def call(*args: object, **more: object) -> object:
                    nonlocal left
                    if not left:
                        raise Killed
                    left -= 1
                    return function(*args, **more)

                return call

            patch.setattr(Path, "unlink", dying(Path.unlink))
            patch.setattr(Path, "replace", dying(Path.replace))
            patch.setattr("os.fsync", dying(os.fsync))
            try:
                prune(root, ALL_OLD, LONG_AFTER, lambda _: 150, checkpoint.stamp())
            except Killed:
                steps += 1
            else:
                break
        sound(root)
        for after in (119, 150):
            assert given_out(root, after) == [b for b in whole if b[0] > after], step
        assert given_out(root)[-50:] == whole[-50:]
        prune(root, ALL_OLD, LONG_AFTER, lambda _: 150, checkpoint.stamp())
        sound(root)
        assert segments(root) == [120, 180]
        assert not list((root / "tape" / SESSION).glob("*.tmp"))
    assert steps >= 7


CHILD = """
import os, signal, sys
from pathlib import Path
from tapeline.config import KeepSettings
from tapeline.engine import checkpoint
from tapeline.tape.retention import prune

left, unlink = int(sys.argv[2]), Path.unlink

def dying(self, **more):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    unlink(self, **more)

Path.unlink = dying
prune(Path(sys.argv[1]), KeepSettings(tape_days=1), int(sys.argv[3]), lambda _: 150, checkpoint.stamp())
"""


@pytest.mark.parametrize("step", [1, 3])
def test_kill_9(tmp_path: Path, step: int) -> None:
    record(tmp_path, story(3), [60, 120, 180])
    whole = given_out(tmp_path)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    child = subprocess.run([sys.executable, "-c", CHILD, str(tmp_path), str(step), str(LONG_AFTER)], check=False, env=env)
    assert child.returncode == -signal.SIGKILL
    assert reader.removed(tmp_path, SESSION) == 119
    assert len(segments(tmp_path)) > 2, "killed on the way"
    sound(tmp_path)
    assert given_out(tmp_path, 119) == [b for b in whole if b[0] > 119]
    assert pruned(tmp_path, 150) == []
    assert segments(tmp_path) == [120, 180]


def test_what_is_left_is_played_from_its_first_state(tmp_path: Path) -> None:
    frames = story(7)
    record(tmp_path / "a", frames, [60, 120, 180])
    record(tmp_path / "b", frames, [60, 120, 180])
    pruned(tmp_path / "b", 130)
    whole = given_out(tmp_path / "a")
    for after in (-1, 0, 50, 119, 120, 140):  # a new sink has what there is
        assert given_out(tmp_path / "b", after) == [b for b in whole if b[0] > max(after, 119)]
    assert [to_json(e) for e in replay(tmp_path / "b")] == [line for b in whole for line in b[2] if b[0] > 119]
    late = frames[200].ts_recv
    assert list(replay(tmp_path / "b", start=late)) == list(replay(tmp_path / "a", start=late))


async def test_the_player_begins_there_too(tmp_path: Path) -> None:
    record(tmp_path, story(7), [60, 120])
    pruned(tmp_path, 130)
    lines: list[bytes] = []
    player = Player(tmp_path, SESSION, speed=0)
    player.bus.tap(lambda batch: lines.extend(to_json(e) for e in batch.events))
    await player.run()
    assert lines == [line for b in given_out(tmp_path) for line in b[2]]


def test_without_a_usable_state_it_begins_anew_and_says_so(tmp_path: Path) -> None:
    """Another version of the program: connections are known, the trades are all there, and a status tells what is not."""
    frames = [
        answer(T0, LISTED, purpose="instruments", native="", url="http://venue/exchangeInfo"),
        opened(),
        sent(T0, {"method": "SUBSCRIBE", "params": ["ethusdt@trade"], "id": 1}),
        opened(T0, 2),
        closed(T0 + MS, 2),
        *(recv(T0 + i * 50 * MS, trade(i, T0 // MS + i * 50)) for i in range(1, 100)),
    ]
    record(tmp_path, frames, [50])
    pruned(tmp_path, 60)
    for path in (tmp_path / "tape" / SESSION).glob("*.state"):
        path.write_bytes(b"of another version")
    kept = [(seq, f.kind) for seq, f in reader.read(tmp_path, SESSION) if seq < 50]
    assert kept == [(0, FrameKind.SESSION), (1, FrameKind.HTTP), (2, FrameKind.OPENED), (3, FrameKind.SENT)]
    events: list[Event] = list(replay(tmp_path))
    said = events[0]
    assert isinstance(said, Status)
    assert (said.kind, said.channel, said.from_seq, said.to_seq) == ("gap", "tape", 1, 49)
    assert "begin anew at frame 50" in said.reason
    assert [e.id for e in events if isinstance(e, Trade)] == [str(i) for i in range(45, 100)]
    assert [e for b in given_out(tmp_path, 60) for e in b[2] if b'"trade"' in e[:20]][-1:] != []


def test_an_odd_sink_keeps_everything(tmp_path: Path) -> None:
    record(tmp_path, story(3), [60])

    class Broken:
        name = "broken"

        def finished(self) -> list[str]:
            raise RuntimeError("its server is away")

    ready = SqliteSink(tmp_path)
    ready.open()
    ready.commit(SESSION, 100, [])
    assert pruned(tmp_path, lambda s: committed([ready, Broken()], s)) == []  # type: ignore[list-item]
    assert committed([ready], SESSION) == 100
    ready.finish(SESSION)
    assert committed([ready], SESSION) == committed([], SESSION) == EVERYTHING
    ready.close()


@pytest.mark.parametrize("seed", range(4))
def test_at_random(tmp_path: Path, seed: int) -> None:
    """Cuts, positions and crashes drawn at random: a sink at its position always gets the very rest."""
    dice = random.Random(seed)
    frames = story(seed * 5 + 1)
    stops = sorted(dice.sample(range(2, len(frames)), 6))
    record(tmp_path, frames, stops)
    whole, position = given_out(tmp_path), -1
    while position < len(frames):
        position += dice.randrange(1, 40)
        pruned(tmp_path, position)
        sound(tmp_path)
        assert given_out(tmp_path, position) == [b for b in whole if b[0] > position]


def test_the_directory_is_told(tmp_path: Path) -> None:
    record(tmp_path, story(3), [60, 120])
    directory = tmp_path / "tape" / SESSION
    assert layout.removed(directory) == reader.removed(tmp_path, SESSION) == -1
    pruned(tmp_path, 130)
    assert layout.removed(directory) == reader.removed(tmp_path, SESSION) == 119
    raw = (directory / "removed.tape").read_bytes()
    (directory / "removed.tape").write_bytes(raw[:60] + b"\xff" + raw[61:])
    assert "damage" in {f.kind for f in reader.verify(tmp_path)}


def test_looking_while_it_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of segments was read, and then they go."""
    record(tmp_path, story(3), [60, 120, 180])
    listed, segments_of = [0], layout.segments

    def then_gone(directory: Path) -> list[tuple[int, Path]]:
        found = segments_of(directory)
        listed[0] += 1
        if listed[0] == 1:
            prune(tmp_path, ALL_OLD, LONG_AFTER, lambda _: 130, checkpoint.stamp())
        return found

    monkeypatch.setattr(layout, "segments", then_gone)
    (info,) = reader.sessions(tmp_path)
    assert (info.removed, info.holes, [s.first_seq for s in info.segments]) == (119, [], [120, 180])
