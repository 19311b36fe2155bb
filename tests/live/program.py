"""`tapeline` as a process: started, listened to, signalled."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
SOON = 20.0
"""What ends in this time was not waited for; 2 s is what we promise of a machine that is not busy with other things."""


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
        self._hear_out()
        self.process.stdout.close()
        self.process.stderr.close()

    def hear(self, pattern: str) -> re.Match[str]:
        with suppress(TimeoutError):
            wait_until(lambda: re.search(pattern, self.said) or self.process.poll() is not None, PATIENCE)
        if (ended := self.process.poll()) is not None:  # what it said last may be on its way to us
            self._hear_out()
        found = re.search(pattern, self.said)
        assert found is not None, f"never said {pattern!r}{'' if ended is None else ' before it ended'}: {self.said}"
        return found

    def stop(self, number: int = signal.SIGINT) -> tuple[int, float]:
        """(exit code, seconds it took)."""
        began = time.monotonic()
        self.process.send_signal(number)
        return self.wait(), time.monotonic() - began

    def wait(self) -> int:
        code = self.process.wait(PATIENCE)
        self._hear_out()
        return code

    def _hear_out(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE)
