"""A `SimServer` for callers without an event loop: blocking tests, scripts, other people's programs."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from tapeline.errors import UsageError
from tapeline.sim.faultbox import Armed
from tapeline.sim.faults import AnyFault
from tapeline.sim.server import SimServer
from tapeline.sim.wire import SimBook

T = TypeVar("T")


class ThreadedSim:
    """A `SimServer` with a loop and a thread of its own. Its methods block until done; safe from any thread."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._ready = threading.Event()
        self._done: asyncio.Event | None = None
        self._failed: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._main, name="tapeline-sim", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        if self._failed is not None:
            raise self._failed
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._loop is not None and self._done is not None:
            self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(timeout=10)

    def _main(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # noqa: BLE001 - no loop, no files: raised there, too
            self._failed = self._failed or error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        try:
            self.sim = SimServer(**self._settings)
            await self.sim.start()
        except Exception as error:  # noqa: BLE001 - raised where the simulator was asked for
            self._failed = error
            return
        finally:
            self._ready.set()
        await self._done.wait()
        await self.sim.stop()

    def _call(self, work: Callable[[], T]) -> T:
        async def inside() -> T:
            return work()

        return self.run(inside())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            raise UsageError("the simulator is not running: use it as a context manager")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    def ws_url(self, venue: str) -> str:
        return self.sim.ws_url(venue)

    def http_url(self, venue: str) -> str:
        return self.sim.http_url(venue)

    def fault(self, fault: AnyFault) -> Armed:
        return self._call(lambda: self.sim.fault(fault))

    def book(self, venue: str, native: str) -> SimBook:
        return self._call(lambda: self.sim.book(venue, native))

    def status(self) -> dict[str, Any]:
        return self._call(self.sim.status)

    def pause(self) -> None:
        self._call(self.sim.pause)

    def resume(self) -> None:
        self._call(self.sim.resume)
