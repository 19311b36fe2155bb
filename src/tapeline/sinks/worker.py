"""A thread of one's own for work that blocks, which never keeps the program from ending.

A pool from `concurrent.futures` is joined when the interpreter ends, so a commit that hangs (a dead network disk) would hang Ctrl-C
too. This thread is a daemon: whatever it has not committed is still on the tape.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


class Worker:
    """Runs one call at a time, in order. Its queue is bounded by its callers: each waits for its answer."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()

    async def call(self, function: Callable[[], T]) -> T:
        """The function's result or exception. Cancelling gives up waiting; the function itself runs to its end."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def answer(result: T | None, error: BaseException | None) -> None:
            if done.cancelled():
                return
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(result)  # type: ignore[arg-type]

        def run() -> None:
            result, error = None, None
            try:
                result = function()
            except BaseException as e:  # noqa: BLE001 - handed to the caller
                error = e
            try:
                loop.call_soon_threadsafe(answer, result, error)
            except RuntimeError:  # the loop has ended: nobody waits any more
                return

        self._calls.put(run)
        return await done

    def post(self, function: Callable[[], object]) -> None:
        """Run it after what is under way; nobody waits for it."""

        def run() -> None:
            with suppress(Exception):
                function()

        self._calls.put(run)

    def stop(self) -> None:
        """The thread ends after the call it is in."""
        self._calls.put(None)

    def join(self, seconds: float) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()
