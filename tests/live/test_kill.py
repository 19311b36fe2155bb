"""`kill -9` at any moment under load: how much is lost of what was handled, and that the sinks then hold each stored frame once.

The counter counts frames that were handled, by the killed process itself, in shared memory that outlives it. Twenty kills a mode
with KILLS=20; a handful otherwise.
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

from tapeline.cli.live import LiveSession
from tapeline.engine.replay import batches
from tapeline.sim import SimServer
from tapeline.tape import reader
from tests.live.rig import settings_at
from tests.sinks.helpers import everything, in_order
from tests.sinks.subjects.lake_subject import read_lake
from tests.sinks.subjects.sqlite_subject import read_sqlite, without_repetition
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).parents[2]
PATIENCE = 200.0
KILLS = int(os.environ.get("KILLS", "5"))
MOST_LOST = {"default": 256, "strict": 0}


class Counter:
    def __init__(self, path):
        path.write_bytes(bytes(16))
        self.path = path
        self._file = path.open("r+b")
        self._map = mmap.mmap(self._file.fileno(), 16)

    def close(self):
        self._map.close()
        self._file.close()

    @property
    def value(self):
        return struct.unpack_from("q", self._map, 0)[0]

    def reset(self):
        struct.pack_into("q", self._map, 0, 0)


@pytest.fixture
def counter(tmp_path):
    made = Counter(tmp_path / "handled")
    yield made
    made.close()


def live(data, sim, mode, counter, sinks="yes"):
    address = f"127.0.0.1:{sim.sim.port}"
    env = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", "tests.live.child", data, address, mode, counter.path, sinks]
    return subprocess.Popen(list(map(str, command)), cwd=ROOT, env=env, stderr=subprocess.PIPE)


def reach(process, counter, frames):
    wait_until(lambda: counter.value >= frames or process.poll() is not None, PATIENCE)
    assert process.poll() is None, process.stderr.read().decode()


def kill_once(data, sim, mode, counter, seconds):
    """Frames that were handled."""
    counter.reset()
    process = live(data, sim, mode, counter)
    try:
        reach(process, counter, 100)
        time.sleep(seconds)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stderr.close()
    return counter.value


def stored(data):
    """Frames on the tape by session."""
    reader.recover(data)
    return {info.id: info.last_seq + 1 for info in reader.sessions(data)}


@pytest.mark.parametrize("mode", ["default", "strict"])
async def test_what_a_kill_loses_and_what_the_next_start_mends(tmp_path, counter, mode):
    data, moments = tmp_path / "data", random.Random(mode)
    lost, known = [], set()
    with SimServer.in_thread(seed=21, rate=20.0, instruments=("BTCUSDT", "ETHUSDT")) as sim:
        for _ in range(KILLS):
            handled = kill_once(data, sim, mode, counter, moments.uniform(0, 1.0))
            kept = stored(data)
            (session,) = kept.keys() - known
            known |= kept.keys()
            lost.append(handled - kept[session])
    print(f"\n{mode}: handled and lost per kill {lost}, frames kept {sum(stored(data).values())}")  # noqa: T201 - with -s, the measurement
    assert max(lost) <= MOST_LOST[mode]

    async with LiveSession(settings_at("ws://127.0.0.1:1", "http://127.0.0.1:1", data)) as session:
        if session._repair is not None:
            await session._repair
    sessions = [[e for b in batches(data, name) for e in b.events] for name in sorted(stored(data))]
    assert sum(map(len, sessions)) > 1000 * KILLS

    assert read_lake(data) == everything(sessions)
    assert in_order(read_sqlite(data)) == in_order(without_repetition(sessions))


@pytest.mark.slow
def test_the_collector_does_not_grow(tmp_path, counter):
    """Resident memory with the tape on and the sinks off (SQLite's page cache grows to its 32 MB), once everything has warmed up."""

    def resident():
        pages = Path(f"/proc/{process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6

    with SimServer.in_thread(seed=22, rate=20.0, instruments=("BTCUSDT", "ETHUSDT")) as sim:
        process = live(tmp_path / "data", sim, "default", counter, sinks="no")
        try:
            reach(process, counter, 12_000)
            before = resident()
            reach(process, counter, 36_000)
            after = resident()
        finally:
            process.kill()
            process.wait()
            process.stderr.close()
    print(f"\n{before:.1f} MB after 12,000 frames, {after:.1f} MB after 36,000")  # noqa: T201 - with -s, the measurement
    assert after - before < 4.5  # keeping the frames themselves would take 7 MB and more
