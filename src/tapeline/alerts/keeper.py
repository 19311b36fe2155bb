"""The store in a thread of its own: SQLite waits for the disk at each commit, and the feed must not wait with it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from tapeline.alerts.store import Store
from tapeline.errors import TapelineError
from tapeline.sinks.worker import Worker

T = TypeVar("T")
CLOSE_SECONDS = 0.5
"""Then a disk that hangs is left to itself: the thread is a daemon, and SQLite's journal is whole at any moment."""


class Keeper:
    """`await keeper.call(lambda store: store.rules())`. Raises what the store raises."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._worker = Worker("alerts-store")
        self._store: Store | None = None

    async def open(self) -> None:
        """Raises ConfigError, sqlite3.Error."""

        def opening() -> None:
            self._store = Store(self.data)

        await self._worker.call(opening)

    async def call(self, function: Callable[[Store], T]) -> T:
        store = self._store
        if store is None:
            raise TapelineError("the store of alerts is closed")
        return await self._worker.call(lambda: function(store))

    async def close(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._worker.call(store.close)
        self._worker.stop()
