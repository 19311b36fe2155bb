"""Changing what the made-up market streams, as `engine.control.Control` does."""

from collections.abc import Iterable, Sequence
from typing import Any

from tapeline.engine.subscriptions import Changed
from tapeline.errors import TapelineError, Unreachable, UsageError
from tests.page.market import FakeInstrument, FakeSource

CHANNELS = ["trades", "book", "quotes"]


def real(name: str) -> str:
    return name.replace("sim:", "binance:")


class FakeControl:
    """Every instrument may be taken away and added again; `kraken:` does not answer."""

    def __init__(self, source: FakeSource) -> None:
        self._source = source
        self._away: dict[str, FakeInstrument] = {}
        self.calls: list[Any] = []

    def put_away(self, name: str) -> None:
        self._away[real(name)] = self._source.all.pop(name)

    def subscriptions(self) -> list[dict[str, Any]]:
        return [{"instrument": n, "name": real(n), "channels": CHANNELS, "error": ""} for n in self._source.all]

    async def subscribe(self, instruments: Iterable[str], channels: Sequence[str] | None = None) -> Changed:
        done, failed = [], dict[str, TapelineError]()
        for name in instruments:
            self.calls.append(("subscribe", name, channels))
            if name.startswith("kraken:"):
                failed[name] = Unreachable("kraken: no answer within 6 s")
            elif (found := self._away.pop(name, None)) is None:
                failed[name] = UsageError(f"binance lists no {name}")
            else:
                self._source.all[found.instrument.id] = found
                done.append(name)
        return Changed(tuple(done), failed)

    async def unsubscribe(self, instruments: Iterable[str], channels: Sequence[str] | None = None) -> Changed:
        done = []
        for name in instruments:
            self.calls.append(("unsubscribe", name, channels))
            (shown,) = [n for n in self._source.all if real(n) == name]
            self.put_away(shown)
            done.append(name)
        return Changed(tuple(done), {})
