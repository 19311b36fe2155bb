"""What the tests of adversity share: a program told to do everything often, its status over HTTP, and what sinks and tape hold."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tapeline.engine.replay import batches
from tapeline.events import Event
from tapeline.tape import reader
from tests.live.program import PATIENCE, ROOT, Program
from tests.sinks.helpers import in_order
from tests.sinks.subjects import subject

MARKET = ("--simulate", "binance:BTC-USDT", "binance:ETH-USDT", "--rate", "3")
HASTY = {
    "sinks.commit_seconds": "0.1",
    "sinks.lake_seconds": "0.2",
    "lake.compact_seconds": "0.2",
    "lake.compact_files": "3",
    "tape.segment_mb": "1",
    "tape.flush_ms": "20",
    "tape.sync_ms": "50",
}


def words(sets: dict[str, str]) -> list[str]:
    return [word for key, value in {**HASTY, **sets}.items() for word in ("--set", f"{key}={value}")]


@contextmanager
def session(data: Path, cwd: Path, sets: dict[str, str], **options: Any) -> Iterator[tuple[Program, "Status"]]:
    """`tapeline run` on the simulated market, and its status once events flow."""
    arguments = ("run", *MARKET, "--port", "0", "--no-browser", "--data", data, *words(sets))
    with Program(*arguments, cwd=cwd, **options) as program:
        status = Status(program.hear(r"page and API at (http://\S+)")[1])
        status.until(lambda s: s["events"] > 200)
        yield program, status


class Status:
    """`/api/v1/status`, as anybody sees it."""

    def __init__(self, address: str) -> None:
        self._url = f"{address}/api/v1/status"

    def now(self) -> dict[str, Any]:
        with urllib.request.urlopen(self._url, timeout=PATIENCE) as answer:
            return json.load(answer)

    def until(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE
        while not condition(found := self.now()):
            assert time.monotonic() < deadline, f"it never came true: {found['tape']} {found['sinks']}"
            time.sleep(0.05)
        return found

    def goes_on(self, events: int = 300) -> dict[str, Any]:
        """The feed brings this many further events."""
        before = self.now()["events"]
        return self.until(lambda s: s["events"] > before + events)

    def well(self) -> dict[str, Any]:
        """Everything is written again: no errors, and no sink is behind."""
        return self.until(
            lambda s: s["tape"]["state"] == "recording" and all(not k["error"] and k["lag_seconds"] < 1 for k in s["sinks"])
        )


def sink_rows(status: dict[str, Any]) -> dict[str, Any]:
    return {row["name"]: row for row in status["sinks"]}


def on_tape(data: Path) -> list[list[Event]]:
    return [[e for b in batches(data, info.id) for e in b.events] for info in reader.sessions(data) if info.frames]


def assert_sinks_hold_the_tape(data: Path, *names: str) -> list[list[Event]]:
    sessions = on_tape(data)
    for name in names:
        assert in_order(subject(name).read(data)) == in_order(subject(name).kept(sessions)), name
    return sessions


def assert_ended(program: Program, data: Path, sets: dict[str, str], number: int = signal.SIGINT) -> None:
    """It ends as it should. What a busy machine gave its sinks no time for is brought in, as it said, by the next that starts."""
    assert program.stop(number)[0] == 130
    if "the last events are on the tape only" in program.said:
        mended = tapeline("repair", data, *words(sets), cwd=data.parent)
        assert mended.returncode == 0, mended.stdout + mended.stderr


def tapeline(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tapeline", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    """A file system of its own, in memory."""
    place.mkdir()
    if (
        shutil.which("mount") is None
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("a small file system cannot be mounted here: that needs root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


class Filler:
    """Takes all the room there is, and keeps taking what is freed."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "filler"
        self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def fill(self) -> None:
        try:
            while os.write(self._fd, bytes(1024)):
                pass
        except OSError:
            pass

    def free(self) -> None:
        os.close(self._fd)
        self._path.unlink()
