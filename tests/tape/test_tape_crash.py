"""`kill -9` at random moments: what was handled and is not on the tape must keep to the policy.

The child handles a frame by counting it in memory that the kernel shares with the parent, after `append_many` returned: the
counter counts handled frames, not written ones, and survives the kill without going through any pipe.
"""

import mmap
import os
import random
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tapeline.frames import FrameKind
from tapeline.tape.reader import recover, seal, sessions, verify
from tests.tape.tapes import contents

CHILD = """
import mmap, struct, sys
from pathlib import Path
from tapeline.clock import LiveClock
from tapeline.config import TapeSettings
from tapeline.frames import Frame, Session
from tapeline.tape.writer import TapeWriter

root, mode, counter = Path(sys.argv[1]), sys.argv[2], open(sys.argv[3], "r+b")
handled = mmap.mmap(counter.fileno(), 8)
clock = LiveClock()
tape = TapeWriter(root, Session(id="20261121T100500Z-1a2b", version="1"), TapeSettings(mode=mode, segment_mb=1), clock)
n = 0
while True:
    size = n % 301 + 1
    now = clock.now()
    batch = [Frame(now, 1, 1, b"%d " % (n + i) + b"x" * 200) for i in range(size)]
    last = tape.append_many(batch)
    n += size
    assert last == n
    struct.pack_into("<q", handled, 0, n)
"""


@pytest.mark.parametrize(("mode", "most"), [("default", 256), ("strict", 0)])
def test_kill_9_at_random_moments(tmp_path, mode, most):
    moments = random.Random(7)
    for i in range(10):
        root = tmp_path / str(i)
        handled = _killed(root, mode, moments.random() * 0.15)
        torn = sum(r.torn_bytes for r in recover(root))
        kept = contents(root, "20261121T100500Z-1a2b")
        assert [seq for seq, _ in kept] == list(range(len(kept)))
        assert all(f.data.startswith(b"%d " % (seq - 1)) for seq, f in kept[1:])
        assert kept[0][1].kind == FrameKind.SESSION
        assert handled - (len(kept) - 1) <= most
        _sealed_without_loss(root, kept, torn)


def _killed(root: Path, mode: str, after: float) -> int:
    """Frames that the child had handled when it was killed."""
    root.mkdir()
    counter = root / "handled"
    counter.write_bytes(bytes(8))
    path = os.pathsep.join(p for p in sys.path if p)
    child = subprocess.Popen([sys.executable, "-c", CHILD, root, mode, counter], env={**os.environ, "PYTHONPATH": path})
    with counter.open("r+b") as file, mmap.mmap(file.fileno(), 8) as shared:
        while child.poll() is None and struct.unpack_from("<q", shared)[0] == 0:
            time.sleep(0.002)
        time.sleep(after)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        return int(struct.unpack_from("<q", shared)[0])


def _sealed_without_loss(root: Path, kept: list, torn: int) -> None:
    assert sum(s.torn_bytes for s in seal(root)) == torn
    assert contents(root, "20261121T100500Z-1a2b") == kept
    assert all(s.sealed for s in sessions(root)[0].segments)
    assert verify(root) == []
