"""A disk that does not take what it is given: nothing raises, nothing is pretended, live and tape keep one order."""

import contextlib
import errno
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeline.clock import SECOND, ReplayClock
from tapeline.config import TapeSettings
from tapeline.frames import Frame, FrameKind, Lost, Session, unpack_lost
from tapeline.tape import layout
from tapeline.tape.reader import head, sessions, verify
from tapeline.tape.writer import TapeWriter
from tests.tape.tapes import SESSION, T0, contents

_write = os.write


class Disk:
    """Takes `room` bytes and then only a part of the next write. Patched in at the operating system's door."""

    def __init__(self, room: int = 1 << 40) -> None:
        self.room = room

    def write(self, fd: int, data: memoryview) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = _write(fd, data[: self.room])
        self.room -= done
        return done


class Live:
    """An engine in small: feeds a pipeline, which only notes what it is given, as the writer's header says."""

    def __init__(self, root: Path, mode: str = "default", hold_mb: int = 0) -> None:
        self.told: list[str] = []
        self.clock = ReplayClock(T0)
        session = Session(id=SESSION, version="1")
        settings = TapeSettings(mode=mode, hold_mb=hold_mb)  # type: ignore[arg-type]
        self.tape = TapeWriter(root, session, settings, self.clock, on_trouble=self.told.append)
        self.fed: list[tuple[int, Frame]] = [(0, self.tape.head)]
        self.made = 0

    def append(self, count: int, later_ns: int = 0) -> None:
        self.clock.set(self.clock.now() + later_ns)
        batch = [Frame(self.clock.now(), FrameKind.RECV, 1, b"%d" % (self.made + i)) for i in range(count)]
        self.made += count
        last = self.tape.append_many(batch)
        self._feed_lost()
        self.fed += enumerate(batch, last - count + 1)

    def _feed_lost(self) -> None:
        while lost := self.tape.take_lost():
            self.fed.append(lost)

    def close(self) -> None:
        self.tape.close_sync()
        self._feed_lost()


def check_honest(live: Live, root: Path) -> list[Lost]:
    """What is on the tape is what was fed, in that order, without exactly those frames that LOST frames admit."""
    kept = contents(root)
    on_tape = set(kept)
    missing = [pair for pair in live.fed if pair not in on_tape]
    assert [pair for pair in live.fed if pair in on_tape] == kept
    assert [seq for seq, _ in live.fed] == list(range(len(live.fed)))
    assert [f.ts_recv for _, f in live.fed] == sorted(f.ts_recv for _, f in live.fed)
    admitted = []
    for seq, frame in kept:
        if frame.kind == FrameKind.LOST:
            lost = unpack_lost(frame.data)
            gap = [pair for pair in missing if pair[0] < seq]
            assert (lost.frames, lost.since) == (len(gap), gap[0][1].ts_recv)
            missing = [pair for pair in missing if pair[0] > seq]
            admitted.append(lost)
    assert missing == []
    assert live.tape.stats().lost_frames == sum(lost.frames for lost in admitted)
    return admitted


steps = st.one_of(
    st.tuples(st.just("append"), st.sampled_from([1, 3, 255, 256, 257, 700]), st.sampled_from([0, 1000, SECOND])),
    st.tuples(st.just("full"), st.integers(0, 30_000), st.just(0)),
    st.tuples(st.just("free"), st.just(1 << 40), st.just(0)),
    st.tuples(st.just("flush"), st.just(0), st.just(0)),
)


@given(
    mode=st.sampled_from(["default", "strict"]),
    hold_mb=st.sampled_from([0, 1, 64]),
    room=st.sampled_from([0, 100, 1 << 40]),
    todo=st.lists(steps, max_size=25),
)
@settings(max_examples=120)
def test_live_and_tape_agree_whatever_the_disk_does(mode, hold_mb, room, todo):
    disk = Disk(room)
    with tempfile.TemporaryDirectory() as place, mock.patch.object(os, "write", disk.write):
        root = Path(place)
        live = Live(root, mode, hold_mb)
        for what, number, later in todo:
            if what == "append":
                live.append(number, later)
            elif what == "flush":
                live.tape.flush()
            else:
                disk.room = number
        disk.room = 1 << 40
        live.close()
        admitted = check_honest(live, root)
        assert {(f.kind, f.admitted) for f in verify(root)} <= {("hole", True)}
        assert not (admitted and hold_mb == 64)


def test_a_full_disk_is_told_once_and_admitted_on_the_tape(tmp_path):
    disk = Disk()
    with mock.patch.object(os, "write", disk.write):
        live = Live(tmp_path)
        live.append(300)
        disk.room = 5000
        live.append(300, SECOND)  # fails in the middle of its second block
        live.append(10, SECOND // 2)  # too soon for a retry
        live.append(10, SECOND)  # a retry in vain
        stats = live.tape.stats()
        assert stats.state == "failing"
        assert "No space left" in stats.reason
        assert len(live.told) == 1
        assert stats.lost_frames == 364  # 44 waiting + 300 + 10 + 10, all but nothing of the first 256
        assert (tmp_path / "tape" / SESSION / "000000000000.open").read_bytes().count(b"TLB1") == 2
        disk.room = 1 << 40
        live.append(10, SECOND)
        assert live.tape.stats().state == "recording"
        live.close()
    (lost,) = check_honest(live, tmp_path)
    assert "No space left" in lost.reason
    assert sessions(tmp_path)[0].holes == [(257, 620)]


def test_what_is_held_is_bounded_and_known_to_be_lost_past_that(tmp_path):
    disk = Disk()
    with mock.patch.object(os, "write", disk.write):
        live = Live(tmp_path, hold_mb=1)
        live.append(256)
        disk.room = 0
        live.append(1000)
        stats = live.tape.stats()
        assert (stats.state, stats.held_frames, stats.lost_frames) == ("failing", 1000, 0)
        assert not live.tape.lost_within(0, 1256)
        live.append(5000)
        live.append(10)
        stats = live.tape.stats()
        assert (stats.held_frames, stats.lost_frames) == (0, 6010)
        assert not live.tape.lost_within(0, 256)
        assert live.tape.lost_within(256, 257)
        assert live.tape.lost_within(6266, 6300)
        assert not live.tape.lost_within(6267, 6300)
        disk.room = 1 << 40
        live.append(5, SECOND)
        live.close()
    (lost,) = check_honest(live, tmp_path)
    assert lost.frames == 6010


def test_what_is_held_at_the_end_is_written_by_close_or_lost(tmp_path):
    for name, room in (("room", 1 << 40), ("none", 0)):
        disk = Disk()
        with mock.patch.object(os, "write", disk.write):
            live = Live(tmp_path / name, "strict", hold_mb=1)
            live.append(7)
            disk.room = 0
            live.append(5)
            disk.room = room
            live.close()
        assert live.tape.stats().lost_frames == (0 if room else 5)
        assert len(contents(tmp_path / name)) == (13 if room else 8)
        assert live.tape.lost_within(8, 12) == (not room)


def test_lost_at_the_end_is_admitted_by_close(tmp_path):
    disk = Disk()
    with mock.patch.object(os, "write", disk.write):
        live = Live(tmp_path, "strict")
        disk.room = 0
        live.append(5)
        disk.room = 1 << 40
        live.close()
    (lost,) = check_honest(live, tmp_path)
    assert lost.frames == 5
    assert live.fed[-1][1].kind == FrameKind.LOST


def test_a_place_that_cannot_be_made_at_the_start(tmp_path):
    """The head is kept until it can be written, so that what follows can be replayed."""
    (tmp_path / "tape").write_text("in the way")
    live = Live(tmp_path)
    assert live.tape.stats().state == "failing"
    live.append(5, SECOND)
    (tmp_path / "tape").unlink()
    live.append(5, 2 * SECOND)
    assert live.tape.stats().state == "recording"
    live.close()
    (lost,) = check_honest(live, tmp_path)
    assert lost.frames == 5
    assert head(tmp_path, SESSION).id == SESSION


def test_torn_bytes_that_cannot_be_cut_off_end_the_segment(tmp_path):
    disk = Disk()
    with mock.patch.object(os, "write", disk.write), mock.patch.object(os, "ftruncate", side_effect=OSError(errno.EIO, "bad")):
        live = Live(tmp_path, "strict")
        live.append(5)
        disk.room = 50
        live.append(5)
        disk.room = 1 << 40
        live.append(5, SECOND)
        live.tape._journal.finish(0)
    check_honest(live, tmp_path)
    assert [s.torn_bytes for s in sessions(tmp_path)[0].segments] == [50, 0]


async def test_a_failing_fdatasync_is_trouble_and_waiters_are_let_go(tmp_path):
    live = Live(tmp_path)
    await live.tape.start()
    live.append(300)
    with mock.patch.object(layout, "data_sync", side_effect=OSError(errno.EIO, os.strerror(errno.EIO))):
        await live.tape.synced(300)
    assert live.tape.stats().state == "failing"
    assert live.told == [live.tape.stats().reason]
    live.append(5)
    await live.tape.synced(305)
    live.append(5, SECOND)
    await live.tape.synced(306)
    assert (live.tape.stats().state, live.tape.stats().synced_seq) == ("recording", 311)
    await live.tape.close()
    (lost,) = check_honest(live, tmp_path)
    assert lost.frames == 5


CHILD = """
import os, resource, sys
from pathlib import Path
from tests.tape.test_tape_trouble import Live, check_honest
from tapeline.clock import SECOND
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
root = Path(sys.argv[1])
live = Live(root, sys.argv[2])
for _ in range(40):
    live.append(100, SECOND // 3)
live.close()
assert live.told and "too large" in live.told[0], live.told
assert len(check_honest(live, root)) == len(live.told) >= 2
assert max(p.stat().st_size for p in root.rglob("*.tape")) <= 20_000
"""


@pytest.mark.parametrize("mode", ["default", "strict"])
def test_the_kernels_own_limit(tmp_path, mode):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    subprocess.run([sys.executable, "-c", CHILD, tmp_path, mode], env=env, check=True)


@contextlib.contextmanager
def small_disk(path: Path):
    """A file system of 256 KiB, or, where mounting is not allowed, a writer that meets the same refusals."""
    path.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", path], capture_output=True, check=False).returncode:
        disk = Disk(200_000)
        with mock.patch.object(os, "write", disk.write):
            yield lambda: setattr(disk, "room", 1 << 40)
        return
    try:
        ballast = path / "ballast"
        ballast.write_bytes(bytes(150_000))
        yield ballast.unlink
    finally:
        subprocess.run(["umount", path], check=True)


def test_a_file_system_that_is_really_full(tmp_path):
    root = tmp_path / "small"
    with small_disk(root) as free:
        live = Live(root)
        while live.tape.stats().state == "recording":
            live.append(200, SECOND // 10)
        live.append(200, SECOND // 10)
        free()
        live.append(20, SECOND)
        assert live.tape.stats().state == "recording"
        live.close()
        assert len(check_honest(live, root)) == 1
        assert [f.kind for f in verify(root)] == ["hole"]


async def _synced(live: Live) -> None:
    live.tape.flush()
    await live.tape.synced(live.tape.stats().written_seq)


def _remove(segment: Path, gone: str, root: Path) -> None:
    if gone in ("session", "root"):
        shutil.rmtree(segment.parent if gone == "session" else root)
        return
    segment.rename(segment.with_suffix(".away"))  # keeps its inode from being given to the next file
    if gone == "replaced":
        segment.write_bytes(b"something else")


def test_what_is_written_while_a_removal_is_noticed_is_lost_too_and_once(tmp_path: Path) -> None:
    live = Live(tmp_path / "data")
    live.append(10)
    live.tape.flush()
    _remove(Path(live.tape.stats().path), "segment", tmp_path)
    job = live.tape._journal.begin_sync().run()
    live.append(5)
    live.tape.flush()  # into the file that is gone, before anybody knows
    live.tape._journal.end_sync(job)
    assert live.tape.stats().lost_frames == 16
    assert live.tape.lost_within(15, 15)
    live.append(3, later_ns=2 * SECOND)
    live.tape.sync_now()
    live.tape.sync_now()
    assert (live.tape.stats().state, live.tape.stats().lost_frames, len(live.told)) == ("recording", 16, 1)
    live.close()
    assert contents(tmp_path / "data") == [(0, live.tape.head), *live.fed[16:]]


@pytest.mark.parametrize("gone", ["segment", "session", "root", "replaced"])
async def test_a_tape_that_is_removed_while_it_is_written(tmp_path: Path, gone: str) -> None:
    """The system goes on taking what nobody will ever find: it is told, counted as lost, and begun anew with its head."""
    live = Live(tmp_path / "data")
    live.append(10)
    await _synced(live)
    segment = Path(live.tape.stats().path)
    _remove(segment, gone, tmp_path / "data")
    live.append(5)
    await _synced(live)
    stats = live.tape.stats()
    assert (stats.state, len(live.told)) == ("failing", 1)
    assert "removed" in live.told[0]
    assert stats.lost_frames == 16  # the head, ten and five
    _remove(segment, "segment", tmp_path) if gone == "replaced" else None
    live.append(3, later_ns=2 * SECOND)
    live.append(4)
    await _synced(live)
    assert live.tape.stats().state == "recording"
    await live.tape.close()
    assert verify(tmp_path / "data")[0].kind == "hole"
    assert head(tmp_path / "data", SESSION).id == SESSION
    kept = contents(tmp_path / "data")
    assert kept == [(0, live.tape.head), *live.fed[16:]]
    assert unpack_lost(kept[1][1].data).frames == 16
