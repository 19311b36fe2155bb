"""The stuttering machine: who is stopped goes on, what a test has stopped by itself stays so, and the command's exit code is ours."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.waiting import wait_until
from tools.stutter import Stutter, below, main, stands

SLEEP = [sys.executable, "-c", "import time; print(flush=True); time.sleep(100)"]
PARENT = [sys.executable, "-c", f"import subprocess; subprocess.run({SLEEP!r})"]


@pytest.fixture
def family() -> Iterator[tuple[int, int]]:
    """A process and the one that it started."""
    with subprocess.Popen(PARENT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        (child,) = below(parent.pid)
        yield parent.pid, child
        subprocess.run(["kill", "-9", str(child), str(parent.pid)], check=True)


def test_the_command_and_all_below_it_are_stopped_and_go_on(family: tuple[int, int]) -> None:
    stutter = Stutter(every=0.01, mean=1000.0, most=1000.0, seed=1)  # at the first look, and for long
    stutter.look(family[0])
    wait_until(lambda: all(map(stands, family)))
    stutter.end()
    wait_until(lambda: not any(map(stands, family)))


def test_what_a_test_has_stopped_stays_so(family: tuple[int, int]) -> None:
    parent, child = family
    subprocess.run(["kill", f"-{signal.SIGSTOP.value}", str(child)], check=True)
    wait_until(lambda: stands(child))
    stutter = Stutter(every=0.01, mean=1000.0, most=1000.0, seed=1)
    stutter.look(parent)
    stutter.end()
    assert stands(child)


def test_the_exit_code_is_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["stutter.py", "--", sys.executable, "-c", "raise SystemExit(7)"])
    assert main() == 7
