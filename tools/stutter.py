"""Runs a command on a machine that stutters: it and each process below it stand still for a moment now and then, as on a busy one.
A test that counts on two things happening in one go fails there, and a program that loses what a stop cuts through is found.
What is stopped already is left so: tests stop servers themselves. (One that a test stops while it is stopped here goes on too soon.)

    python tools/stutter.py -- python -m pytest tests/live
"""

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

LOOK = 0.01  # seconds between two looks at who is to be stopped or to go on
LIST = 0.5  # … and at which processes there are


def below(root: int) -> list[int]:
    """All processes that `root` started, and those that these started (Linux: /proc)."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found, todo = [], [root]
    while todo:
        more = children.get(todo.pop(), [])
        found += more
        todo += more
    return found


def stands(pid: int) -> bool:
    """Stopped, by whomever."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False


class Stutter:
    """`every`, `mean`, `most`: seconds between two stops of a process on average, their mean length, and the longest."""

    def __init__(self, every: float, mean: float, most: float, seed: int) -> None:
        self._every, self._mean, self._most = every, mean, most
        self._dice = random.Random(seed)
        self._stopped: dict[int, float] = {}
        self._processes: list[int] = []
        self._listed = 0.0

    def look(self, root: int) -> None:
        now = time.monotonic()
        for pid in [pid for pid, until in self._stopped.items() if now >= until]:
            self._go_on(pid)
        if now - self._listed >= LIST:
            self._processes, self._listed = [root, *below(root)], now
        for pid in self._processes:
            if pid not in self._stopped and self._dice.random() < LOOK / self._every and not stands(pid):
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGSTOP)
                    self._stopped[pid] = now + min(self._most, self._dice.expovariate(1 / self._mean))

    def end(self) -> None:
        for pid in list(self._stopped):
            self._go_on(pid)

    def _go_on(self, pid: int) -> None:
        del self._stopped[pid]
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGCONT)


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--every", type=float, default=0.12, help="seconds between two stops of a process, on average")
    asked.add_argument("--mean", type=float, default=0.08, help="how long a stop is, on average")
    asked.add_argument("--most", type=float, default=0.5, help="the longest stop")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("command", nargs="+")
    args = asked.parse_args()
    stutter = Stutter(args.every, args.mean, args.most, args.seed)
    program = subprocess.Popen(args.command)
    try:
        while program.poll() is None:
            stutter.look(program.pid)
            time.sleep(LOOK)
    finally:
        stutter.end()
    return program.returncode


if __name__ == "__main__":
    sys.exit(main())
