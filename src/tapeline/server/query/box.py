"""Queries in processes of their own, so that none can take the feed's memory, time or life.

DuckDB keeps to its own limits between two steps and for its own buffers only; a process can be bounded by the system and ended at
any moment. `Pool` has as many as are asked at a time (`query.at_once`):

    the first question     starts one, which then keeps warm for the next
    its deadline passed    the process is ended and, at the next question, replaced; likewise where nobody waits any more
    it died                of memory most likely: said as such
    idle for a minute      it ends
    the server ends        it ends; also where the server is killed, for then its standard input does (`server/query/boxed.py`)

Each is talked to in a thread: a pipe never blocks the loop. It gets the program's path and a language, and nothing else of the
environment: settings with keys in them stay here.
"""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress

import msgspec
import structlog

from tapeline.errors import TapelineError
from tapeline.server.asked import ApiError
from tapeline.server.query.piped import Ask, Head
from tapeline.sinks.worker import Worker

log = structlog.get_logger("tapeline.server")
IDLE_SECONDS = 60.0
START_SECONDS = 20.0
STOP_SECONDS = 2.0
GRACE_SECONDS = 0.5
"""Past its time in which a question may still end by itself, which leaves its process warm."""
_KEPT = (
    "PATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "SYSTEMROOT",
    "TMPDIR",
    "TEMP",
    "TMP",
)
_ALLOCATORS = {"MALLOC_ARENA_MAX": "2", "ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1"}
"""Reserve little: what is reserved is not seen by a limit on the address space."""


class Died(TapelineError):
    """The process ended before its answer. `number`: the signal, 0 where it was none."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"the process that answers queries ended (signal {number})")


class Unstarted(TapelineError):
    """The process did not come up: no memory for it, or its program is not whole."""


class Box:
    """One process, one question at a time: `asked` while there is one. `kill()` may be called at any moment."""

    def __init__(self) -> None:
        self.spent = self.asked = False
        self._worker = Worker("query")
        self._process: subprocess.Popen[bytes] | None = None
        self._killed = False
        self._ended: asyncio.Future[None] | None = None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        """Raises Unstarted."""
        if self._process is not None:
            return
        try:
            await asyncio.wait_for(self._worker.call(self._start), START_SECONDS)
        except (TimeoutError, OSError, Died) as e:
            self.kill()
            raise Unstarted(f"the process that answers queries does not start ({type(e).__name__}: {e})") from None

    async def ask(self, ask: Ask) -> tuple[Head, bytes]:
        """Raises Died."""
        if self._killed:
            raise Died(0)
        self.asked = True
        try:
            return await self._worker.call(lambda: self._exchange(ask))
        finally:
            self.asked = False

    def kill(self) -> "asyncio.Future[None]":
        """Done when it is gone."""
        self.spent = self._killed = True
        if self._process is not None:
            with suppress(OSError):
                self._process.kill()
        if self._ended is None:
            self._ended = asyncio.ensure_future(self._end())
        return self._ended

    async def _end(self) -> None:
        await self._worker.call(self._reap)
        self._worker.stop()

    def _start(self) -> None:
        code = "from tapeline.server.query.boxed import main; main()"
        self._process = subprocess.Popen(  # noqa: S603  our own program
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            start_new_session=True,  # Ctrl-C is for the server, which ends it
        )
        if self._killed:
            self._process.kill()
        self._heard()

    def _exchange(self, ask: Ask) -> tuple[Head, bytes]:
        process = self._process
        if process is None or process.stdin is None:
            raise Died(0)
        with suppress(OSError):  # it died: the answer says so
            process.stdin.write(msgspec.json.encode(ask) + b"\n")
            process.stdin.flush()
        return self._heard()

    def _heard(self) -> tuple[Head, bytes]:
        process = self._process
        if process is None or process.stdout is None:
            raise Died(0)
        line = process.stdout.readline()
        if line.endswith(b"\n"):
            head = msgspec.json.decode(line, type=Head)
            body = process.stdout.read(head.bytes)
            if len(body) == head.bytes:
                self.spent = self.spent or head.spent
                return head, body
        self.spent = True
        process.kill()
        raise Died(max(0, -process.wait()))

    def _reap(self) -> None:
        if (process := self._process) is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            with suppress(OSError):  # what could not be written to it any more
                if stream is not None:
                    stream.close()


class Pool:
    """At most as many processes as are taken at a time; whoever takes one gives it back."""

    def __init__(self) -> None:
        self.boxes: set[Box] = set()
        self._idle: list[Box] = []
        self._timer: asyncio.TimerHandle | None = None

    def take(self) -> Box:
        """Not started where it is new."""
        while self._idle:
            if (box := self._idle.pop()).alive:
                return box
            self._end(box)
        box = Box()
        self.boxes.add(box)
        return box

    def give(self, box: Box) -> None:
        if box.spent:
            self._end(box)
            return
        self._idle.append(box)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._rest)

    def _rest(self) -> None:
        idle, self._idle = self._idle, []
        for box in idle:
            self._end(box)

    def _end(self, box: Box) -> None:
        box.kill().add_done_callback(lambda _: self.boxes.discard(box))

    async def stop(self) -> None:
        """All of them, at once. Whoever waits for one gets Died."""
        if self._timer is not None:
            self._timer.cancel()
        self._idle.clear()
        if ends := [box.kill() for box in self.boxes]:
            await asyncio.wait(ends, timeout=STOP_SECONDS)
        self.boxes.clear()


def _environment() -> dict[str, str]:
    kept = {name: value for name in _KEPT if (value := os.environ.get(name)) is not None}
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {**kept, **_ALLOCATORS, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}


def why(died: Died, memory_mb: int) -> ApiError:
    """What it most likely died of."""
    if died.number == getattr(signal, "SIGXCPU", -1):
        return ApiError(408, "query_stopped", "it took longer than it may", "narrow it by instrument and ts_event")
    log.warning("query_process_died", signal=died.number)
    text = f"the query needs more memory than its {memory_mb} MB: the process that answered it died"
    return ApiError(400, "query_too_big", text, "narrow it by instrument and ts_event, or raise query.memory_mb")
