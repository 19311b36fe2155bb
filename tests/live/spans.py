"""`--for` that lasts until something has come: what a busy machine brings within a second, nobody knows."""

from collections import Counter

import pytest

from tapeline.cli.live import LiveSession, Market
from tapeline.engine.bus import Batch
from tests.waiting import until


def bring_at_least(monkeypatch: pytest.MonkeyPatch, **least: int) -> None:
    """Commands of this process begin to count the seconds of `--for` once each instrument has brought so many of each kind of event
    (`Trade=3`).
    """
    connect = LiveSession.connect

    async def and_wait(self: LiveSession, market: Market) -> None:
        seen: Counter[tuple[str, str]] = Counter()

        def count(batch: Batch) -> None:
            seen.update((e.instrument, type(e).__name__) for e in batch.events)

        self.collector.bus.tap(count)
        await connect(self, market)

        def enough() -> bool:
            names = self.collector.pipeline.instruments
            return bool(names) and all(seen[name, kind] >= n for name in names for kind, n in least.items())

        await until(enough)

    monkeypatch.setattr(LiveSession, "connect", and_wait)
