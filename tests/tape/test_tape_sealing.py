import errno
import os
import threading
from unittest import mock

import pytest

from tapeline.tape import layout
from tapeline.tape.reader import seal, sessions, verify
from tapeline.tape.sealing import seal_segment
from tests.tape.tapes import SESSION, contents, frames, taped

NEXT = "20261121T100501Z-0000"


def blocks(path) -> int:
    return path.read_bytes().count(b"TLB1")


def test_small_blocks_become_few_and_nothing_else_changes(tmp_path):
    path = taped(tmp_path, [[f] for f in frames(600)], mode="strict")
    before, size = contents(tmp_path), path.stat().st_size
    assert blocks(path) == 601
    (done,) = seal(tmp_path)
    assert (done.session, done.frames, done.before, done.torn_bytes, done.error) == (SESSION, 601, size, 0, "")
    sealed = path.with_suffix(".tape")
    assert (done.path, done.after) == (str(sealed), sealed.stat().st_size)
    assert blocks(sealed) == 3 + 1  # 256, 256, 89 and the END
    assert not path.exists()
    assert contents(tmp_path) == before
    assert seal(tmp_path) == []


def test_large_blocks_are_not_joined(tmp_path):
    path = taped(tmp_path, [frames(1, i, size=3 << 20) for i in range(3)])
    before = contents(tmp_path)
    seal(tmp_path)
    assert blocks(path.with_suffix(".tape")) == 3 + 1
    assert contents(tmp_path) == before


def test_only_the_session_asked_for(tmp_path):
    first, second = taped(tmp_path, [frames(3)]), taped(tmp_path, [frames(3)], session=NEXT)
    assert [s.session for s in seal(tmp_path, NEXT)] == [NEXT]
    assert first.exists()
    assert not second.exists()


@pytest.mark.parametrize("left", [b"", b"TLB1 torn"])
def test_a_segment_without_a_block_goes(tmp_path, left):
    taped(tmp_path, [frames(3)])
    empty = layout.segment_path(tmp_path / "tape" / SESSION, 4, ".open")
    empty.write_bytes(left)
    assert [(s.frames, s.torn_bytes) for s in seal(tmp_path)] == [(4, 0), (0, len(left))]
    assert [p.name for p in layout.session_dir(tmp_path, SESSION).glob("0*")] == ["000000000000.tape"]
    assert verify(tmp_path) == []


def test_what_a_kill_between_the_steps_leaves_is_put_right(tmp_path):
    path = taped(tmp_path, [frames(300)])
    before, opened = contents(tmp_path), path.read_bytes()
    path.with_suffix(".tape.tmp").write_bytes(b"half a copy")  # killed while writing the copy
    assert contents(tmp_path) == before
    seal(tmp_path)
    path.write_bytes(opened)  # killed before the open one was removed
    assert contents(tmp_path) == before
    assert sessions(tmp_path)[0].frames == 301
    assert [s.error for s in seal(tmp_path)] == [""]
    assert sorted(p.name for p in path.parent.iterdir()) == ["000000000000.tape", "lock"]
    assert contents(tmp_path) == before


def test_a_full_disk_leaves_the_open_segment(tmp_path):
    path = taped(tmp_path, [frames(300)])
    before = path.read_bytes()
    with mock.patch.object(os, "fsync", side_effect=OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))):
        (done,) = seal(tmp_path)
    assert "No space left" in done.error
    assert path.read_bytes() == before
    assert list(path.parent.glob("*.tmp")) == []


def test_a_copy_that_differs_is_not_kept(tmp_path):
    path = taped(tmp_path, [frames(300)])
    before = path.read_bytes()
    with mock.patch.object(os, "fsync", side_effect=lambda fd: os.pwrite(fd, b"\xff", 60)):
        (done,) = seal(tmp_path)
    assert "cannot be read back" in done.error
    assert path.read_bytes() == before
    assert sorted(p.name for p in path.parent.iterdir()) == ["000000000000.open", "lock"]


def test_it_stops_when_told(tmp_path):
    path = taped(tmp_path, [frames(300)])
    before = path.read_bytes()
    stop = threading.Event()
    stop.set()
    assert seal_segment(path, stop=stop) is None
    assert seal(tmp_path, stop=stop) == []
    assert path.read_bytes() == before
    assert sorted(p.name for p in path.parent.iterdir()) == ["000000000000.open", "lock"]
