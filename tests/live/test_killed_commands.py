"""`kill -9` of the commands that change or make files, at random moments: the next run finishes it, or the old state stands.

KILLS is how often each command is killed (3; raise it for a long look).
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tapeline.audit.audit import audit
from tapeline.tape import reader
from tests.live.adverse import MARKET, assert_sinks_hold_the_tape, tapeline, words
from tests.live.program import ROOT
from tests.sinks.helpers import in_order
from tests.sinks.subjects import subject

pytestmark = pytest.mark.timeout(400)
KILLS = int(os.environ.get("KILLS", "3"))
SINKS = ("lake", "sqlite", "csv")
CSV = ("--set", "sinks.csv=true")


class Mortals:
    """Commands that are run to their end, or killed on the way."""

    def __init__(self, said: Path) -> None:
        self.said = said
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.live.mortal_command"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def end(self) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(30)

    def _hear(self) -> str:
        line = self._process.stdout.readline().strip()
        assert line, "the parent of the commands has died"
        return line

    def _begin(self, arguments: tuple[object, ...]) -> int:
        self._process.stdin.write(json.dumps([str(self.said), *map(str, arguments)]) + "\n")
        self._process.stdin.flush()
        return int(self._hear().split()[1])

    def run(self, *arguments: object) -> float:
        """Seconds that it took."""
        began = time.monotonic()
        self._begin(arguments)
        assert self._hear() == "ended 0", self.said.read_text()
        return time.monotonic() - began

    def kill(self, seconds: float, *arguments: object) -> bool:
        """Whether it was killed; False where it had ended before."""
        pid = self._begin(arguments)
        time.sleep(seconds)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        finally:
            ended = self._hear()
        assert ended in ("killed", "ended 0"), self.said.read_text()
        return ended == "killed"


@pytest.fixture(scope="module")
def mortals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mortals]:
    made = Mortals(tmp_path_factory.mktemp("said") / "said")
    yield made
    made.end()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sessions in many small files and segments, with a lake, SQLite and CSV."""
    place = tmp_path_factory.mktemp("recorded")
    sets = {"sinks.csv": "true", "lake.compact": "false"}
    for _ in range(2):
        done = tapeline("record", *MARKET, "--for", "3s", "--data", place / "data", *words(sets), cwd=place)
        assert done.returncode == 0, done.stderr
    assert tapeline("repair", place / "data", *CSV, cwd=place).returncode == 0
    return place / "data"


def held(data: Path) -> dict[str, list[str]]:
    return {name: in_order(subject(name).read(data)) for name in SINKS}


def moments(seed: int, seconds: float) -> list[float]:
    """Later and later ones, of which the first is early: a second run is much quicker than the first, which took `seconds`."""
    r = random.Random(seed)
    return [r.uniform(0, seconds * (i + 1) / (KILLS + 1)) for i in range(KILLS)]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["repair", "compact"])
def test_the_sinks_hold_the_tape_however_often_it_is_killed(
    tmp_path: Path, recorded: Path, mortals: Mortals, command: str
) -> None:
    arguments = {"repair": ("repair", "--anew", "lake", "--anew", "sqlite", *CSV), "compact": ("lake", "compact")}[command]
    taken = mortals.run(*arguments, shutil.copytree(recorded, tmp_path / "first"))
    data, before = shutil.copytree(recorded, tmp_path / "data"), held(recorded)
    killed = 0
    for moment in moments(5, taken):
        killed += mortals.kill(moment, *arguments, data)
        if command == "repair":
            mortals.run("repair", *CSV, data)
            assert held(data) == before
            assert not (data / "_rebuild").exists()
    while not killed:  # the first run took far longer than these
        taken /= 2
        killed += mortals.kill(taken, *arguments, data)
    mortals.run(*arguments, data)
    assert held(data) == before
    assert_sinks_hold_the_tape(data, "lake", "csv")
    assert not audit(data).broken
    assert not list((data / "lake" / "_pending").iterdir())


@pytest.mark.slow
def test_pruning_the_tape_takes_nothing_from_the_sinks_however_often_it_is_killed(
    tmp_path: Path, recorded: Path, mortals: Mortals
) -> None:
    before, arguments = held(recorded), ("tape", "prune", "--days", "0.000001", *CSV)
    taken = mortals.run(*arguments, shutil.copytree(recorded, tmp_path / "first"))
    for n, moment in enumerate(moments(6, taken)):
        data = shutil.copytree(recorded, tmp_path / f"data{n}")
        mortals.kill(moment, *arguments, data)
        assert reader.verify(data) == []
        assert not audit(data).broken
        mortals.run(*arguments, data)
        assert [info.frames for info in reader.sessions(data)] == [0, 0]
        mortals.run("repair", *CSV, data)
        mortals.run("repair", "--anew", "lake", "--anew", "sqlite", *CSV, data)
        assert held(data) == before, "the tape is gone, and what was made of it must not be"


@pytest.mark.slow
def test_an_export_is_whole_or_not_there(tmp_path: Path, recorded: Path, mortals: Mortals) -> None:
    arguments = ("export", "book", "--data", recorded, "--instrument", "sim:BTC-USDT", "--force", "--output")
    whole = tmp_path / "whole.csv"
    taken = mortals.run(*arguments, whole)
    for moment in moments(7, taken):
        out = tmp_path / "out.csv"
        mortals.kill(moment, *arguments, out)
        assert not out.exists() or out.read_bytes() == whole.read_bytes()
        mortals.run(*arguments, out)
        assert out.read_bytes() == whole.read_bytes()
        out.unlink()
    assert {p.name for p in tmp_path.iterdir()} == {"whole.csv"}, "a part of an export is left behind"


@pytest.mark.slow
def test_an_import_is_there_once_however_often_it_is_killed(tmp_path: Path, mortals: Mortals) -> None:
    file = tmp_path / "trades.csv"
    rows = [
        f"{1_795_132_800_000 + i * 7},{100 + i % 50 / 10},{1 + i % 3},{'buy' if i % 2 else 'sell'},{i}" for i in range(20_000)
    ]
    file.write_text("\n".join(["time,price,size,side,id", *rows, ""]))
    arguments = ("import", file, "--instrument", "binance:BTC-USDT", *CSV, "--data")
    taken = mortals.run(*arguments, tmp_path / "first")
    data = tmp_path / "data"
    for moment in moments(8, taken):
        mortals.kill(moment, *arguments, data)
    mortals.run(*arguments, data)
    sessions = assert_sinks_hold_the_tape(data, *SINKS)
    assert [len({e.id for e in events if hasattr(e, "side")}) for events in sessions] == [20_000]
    assert not audit(data).broken
    assert not list((data / "importing").iterdir()) if (data / "importing").exists() else True
