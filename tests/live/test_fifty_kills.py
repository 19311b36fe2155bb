"""`kill -9` at fifty random moments of whole sessions that write, rotate, compact and catch up without pause.

Everything happens many times a second here: commits, compaction, segments of 1 MB, queues so short that sinks catch up from the tape
all the time. Each start repairs what the kill before it left, beside the live feed, and is itself killed in the middle of it.
Afterwards one start in peace, and then every sink holds exactly what the tape holds, read by other code than wrote it.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from tapeline.audit.audit import audit
from tapeline.cli.live import LiveSession
from tapeline.config import LakeSettings, Settings, SinkSettings, TapeSettings
from tapeline.engine.replay import batches
from tapeline.events import Event
from tapeline.sim import SimServer
from tapeline.tape import reader
from tests.live.rig import settings_at
from tests.sinks.helpers import in_order
from tests.sinks.subjects import subject

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("KILLS", "50"))
SINKS = ("lake", "sqlite", "csv", "jsonl", "postgres")


class Mortals:
    """Sessions with these settings, one after the other."""

    def __init__(self, settings: Settings) -> None:
        self._line = msgspec.json.encode(settings) + b"\n"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.live.mortal"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.said: Counter[str] = Counter()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(30)

    def hear(self) -> str:
        line = self._process.stdout.readline().decode().strip()
        assert line, "the parent of the sessions has died"
        assert not line.startswith("failed"), line
        self.said[line.split()[0]] += 1
        return line

    def live_and_die(self, seconds: float, after: str) -> None:
        """A session, killed `seconds` after it said `after` (nothing: after its birth)."""
        self._process.stdin.write(self._line)
        self._process.stdin.flush()
        pid = int(self.hear().split()[1])
        while after and self.hear() != after:
            pass
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
        while self.hear() != "killed":
            pass


def hasty(data: Path, address: str) -> Settings:
    sinks = dict.fromkeys(SINKS, True)
    chosen = settings_at(
        f"ws://{address}",
        f"http://{address}",
        data,
        tape=TapeSettings(flush_ms=20, sync_ms=50, segment_mb=1),
        sinks=SinkSettings(**sinks, commit_seconds=0.05, lake_seconds=0.1, queue_events=1000),
        lake=LakeSettings(compact_seconds=0.1, compact_files=3),
    )
    return msgspec.structs.replace(chosen, answer_seconds=60.0, postgres=subject("postgres").settings(data).postgres)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_fifty_kills_at_random_leave_what_the_tape_holds(tmp_path):
    data, moments = tmp_path / "data", random.Random(4)
    with SimServer.in_thread(seed=23, rate=8.0, instruments=("BTCUSDT", "ETHUSDT")) as sim:
        settings = hasty(data, f"127.0.0.1:{sim.sim.port}")
        with Mortals(settings) as mortals:
            for _ in range(KILLS):
                after = moments.choice(("", "working", "working", "swapped"))
                mortals.live_and_die(moments.uniform(0, 0.8 if after else 0.3), after)
        print(f"\n{dict(mortals.said)}")  # noqa: T201 - with -s, what happened
        assert mortals.said["killed"] == KILLS
    async with LiveSession(msgspec.structs.replace(settings, venues={}, wire=settings.wire)) as session:
        if session._repair is not None:
            await session._repair

    sessions: list[list[Event]] = [
        [e for b in batches(data, info.id) for e in b.events] for info in reader.sessions(data) if info.frames
    ]
    assert sum(map(len, sessions)) > 100 * KILLS
    assert sum(len(info.segments) for info in reader.sessions(data)) > len(sessions), "no segment ended"
    for name in SINKS:
        assert in_order(subject(name).read(data)) == in_order(subject(name).kept(sessions)), name
    report = audit(data)
    assert not report.broken
