"""A server of somebody else's, started for the tests: on a free port, in a folder of its own, gone with the process that started it.

`shared(name, make)` is one for the whole pytest process and its children, which find it through a file: the place of that file is in
the environment. Whoever wants to kill or stop one takes an instance of its own.
"""

import atexit
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

PATIENCE = 60.0
PLACE = "TEST_SERVICES_PLACE"
if PLACE not in os.environ:
    os.environ[PLACE] = tempfile.mkdtemp(prefix="tapeline-services-")
    atexit.register(shutil.rmtree, os.environ[PLACE], ignore_errors=True)


def free_port() -> int:
    """One that the kernel gives to nobody by itself: it stays free until the server that it is for begins, and while that is away.
    (Who keeps dialling a port of the kernel's own may even be given that very port as his own end, and talk to himself.)
    """
    while True:
        port = random.SystemRandom().randrange(10_000, _kernels_first_port())
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def _kernels_first_port() -> int:
    try:
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        return 32_768
    return first if first > 12_000 else 32_768


def program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


class Server:
    """Subclasses give `command` and `ready`. The same port and folder again after `kill` and `start`."""

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"tapeline-{type(self).__name__.lower()}-"))
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.end)

    def command(self) -> list[str]:
        raise NotImplementedError

    def ready(self) -> bool:
        raise NotImplementedError

    def start(self) -> "Server":
        with_parent = [setpriv, "--pdeathsig", "KILL"] if (setpriv := shutil.which("setpriv")) else []
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([*with_parent, *self.command()], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE
        while not self.ready():
            said = (self.folder / "log").read_text(errors="replace")[-2000:]
            assert self._process.poll() is None, f"it ended: {said}"
            assert time.monotonic() < deadline, f"it is not ready after {PATIENCE} s: {said}"
            time.sleep(0.02)
        return self

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def pause(self) -> None:
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def end(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def shared(name: str, make: Callable[[], str]) -> str:
    """What `make` says of the server that it starts (an address), the same for every caller of this process and its children."""
    note = Path(os.environ[PLACE]) / name
    if not note.exists():
        note.write_text(make())
    return note.read_text()
