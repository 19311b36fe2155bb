"""`tapeline` as a process: started, listened to, signalled."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE = 40.0


class Program:
    """Use as a context manager; what is still running at the end is killed. `said` is standard error so far.
    `through`: a command that becomes it, as `setpriv` does.
    """

    def __init__(self, *arguments: object, cwd: Path, env: dict[str, str] | None = None, through: Sequence[str] = ()) -> None:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("TAPELINE_")}
        self.process = subprocess.Popen(
            [*through, sys.executable, "-m", "tapeline", *map(str, arguments)],
            cwd=cwd,
            env={**inherited, "PYTHONPATH": str(ROOT / "src"), "BROWSER": "", **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said = self.printed = ""
        self._threads = [
            threading.Thread(target=self._listen, args=(self.process.stderr, "said"), daemon=True),
            threading.Thread(target=self._listen, args=(self.process.stdout, "printed"), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _listen(self, stream, name):
        for line in stream:
            setattr(self, name, getattr(self, name) + line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join(5)
        self.process.stdout.close()
        self.process.stderr.close()

    def hear(self, pattern: str) -> re.Match[str]:
        deadline = time.monotonic() + PATIENCE
        while (found := re.search(pattern, self.said)) is None:
            assert time.monotonic() < deadline, f"never said {pattern!r}: {self.said}"
            assert self.process.poll() is None, f"ended before saying {pattern!r}: {self.said}"
            time.sleep(0.02)
        return found

    def stop(self, number: int = signal.SIGINT) -> tuple[int, float]:
        """(exit code, seconds it took)."""
        began = time.monotonic()
        self.process.send_signal(number)
        return self.wait(), time.monotonic() - began

    def wait(self) -> int:
        code = self.process.wait(PATIENCE)
        for thread in self._threads:
            thread.join(5)
        return code
