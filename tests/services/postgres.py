"""A PostgreSQL server for the tests: made, started and ended by them, in a folder and on a port of its own.

`shared()` is one server a pytest process, started by whoever needs it first (a child that a test forked, too: the folder's name goes
through the environment) and ended with pytest. Tests that stop or stun a server make a `Server` of their own.

The server refuses to run as root, so there it runs as the user `postgres`. Its superuser is `tapeline`: without a password through the
socket, with `PASSWORD` through TCP. Without fsync: a power cut is not tried here, and what a killed server wrote the kernel keeps.
"""

import atexit
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import psycopg
import pytest

from tests.services.server import free_port

USER, PASSWORD = "tapeline", "right horse"
FOLDER = "POSTGRES_OF_THE_TESTS"
SETTINGS = {"fsync": "off", "max_connections": "40", "shared_buffers": "32MB", "lc_messages": "C", "max_wal_size": "256MB"}


@cache
def program(name: str) -> str:
    """Debian keeps the server's programs out of the PATH."""
    there = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda p: int(p.parts[-3]), reverse=True)
    found = str(there[0]) if there else shutil.which(name)
    if not found:
        pytest.skip(f"PostgreSQL's {name} is not installed")
    return found


class Server:
    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "data"

    def make(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if os.getuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run(
            "initdb", "--no-sync", "--encoding=UTF8", "--locale=C", f"--username={USER}", f"--pwfile={secret}",
            "--auth-local=trust", "--auth-host=scram-sha-256", f"--pgdata={self.data}",
        )  # fmt: skip

    def start(self) -> None:
        port = self.port if self._port.exists() else free_port()
        options = " ".join(f"-c {name}={value}" for name, value in SETTINGS.items())
        options += f" -p {port} -h 127.0.0.1 -k {self.folder}"
        self._run("pg_ctl", "start", "-w", "-t", "120", "-D", str(self.data), "-l", str(self.folder / "log"), "-o", options)
        self._port.write_text(str(port))

    def stop(self, mode: str = "immediate") -> None:
        """`immediate` is a crash: no checkpoint, nobody is asked."""
        self._run("pg_ctl", "stop", "-w", "-t", "120", "-m", mode, "-D", str(self.data))

    def pause(self) -> Callable[[], None]:
        """Stop every process of it where it stands; what is returned wakes them."""
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.pid)], capture_output=True, text=True, check=True)
        stunned = [self.pid, *map(int, children.stdout.split())]
        for pid in stunned:
            os.kill(pid, signal.SIGSTOP)

        def wake() -> None:
            for pid in stunned:
                os.kill(pid, signal.SIGCONT)

        return wake

    def remove(self) -> None:
        if (self.data / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, name: str, *arguments: str) -> None:
        as_somebody = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.getuid() == 0 else []
        done = subprocess.run(
            [*as_somebody, program(name), *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if name != "pg_ctl" else subprocess.DEVNULL,  # the server would hold the pipe open
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        log = self.folder / "log"
        assert done.returncode == 0, f"{name}: {done.stdout or (log.read_text() if log.exists() else '')}"

    @property
    def _port(self) -> Path:
        return self.folder / "port"

    @property
    def port(self) -> int:
        return int(self._port.read_text())

    @property
    def pid(self) -> int:
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def url(self, database: str = "postgres", user: str = USER) -> str:
        """Through the socket, without a password."""
        return f"postgresql://{user}@/{database}?host={self.folder}&port={self.port}"

    def tcp(self, database: str = "postgres", user: str = USER) -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """A connection of the test's own, each statement committed at once."""
        return psycopg.connect(self.url(database), autocommit=True)

    def run(self, *statements: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """The rows of the last statement, where it gives any."""
        with self.connect(database) as db:
            for statement in statements:
                cursor = db.execute(statement)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []


def own(name: str) -> Server:
    """A server that is one test module's alone; `remove` it."""
    server = Server(Path(tempfile.gettempdir()) / f"tapeline-postgres-{os.getpid()}-{name}")
    server.make()
    server.start()
    return server


def shared() -> Server:
    server = Server(Path(os.environ[FOLDER]))
    if not (server.folder / "port").exists():
        server.folder.mkdir(parents=True, exist_ok=True)
        with (server.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (server.folder / "port").exists():
                server.make()
                server.start()
    return server


def announce() -> None:
    """Give the shared server its name; processes that a test starts inherit it."""
    if FOLDER not in os.environ:
        os.environ[FOLDER] = str(Path(tempfile.gettempdir()) / f"tapeline-postgres-{os.getpid()}")
        atexit.register(lambda: Server(Path(os.environ[FOLDER])).remove())


announce()
