"""When a candle of Kraken's is complete. Its messages never say so: each trade sends the running candle once more.

The trades of one pair come in order, so the last that was said of a candle is final when the next candle begins, and nothing less
proves it: an interval's end by any clock does not, because a trade of it may still be on its way. So a complete bar comes when the
first trade after it does. A subscription begins with a snapshot of recent candles: all but its last are final, and what was running
before it is forgotten, because trades may have been missed in between; where the snapshot has that candle, it tells it right.
"""

from collections.abc import Sequence

import msgspec

from tapeline.events import Bar

MOST = 50_000  # pairs × intervals that are remembered
_replace = msgspec.structs.replace


class CandleClosing:
    def __init__(self) -> None:
        self._running: dict[tuple[str, str], Bar] = {}
        self._closed: dict[tuple[str, str], int] = {}

    def update(self, bar: Bar, length: int) -> list[Bar]:
        """What one update says: the candle before, now complete, where this is the first of a new one; then `bar`, incomplete."""
        key = (bar.instrument, bar.interval)
        before = self._running.get(key)
        if before is not None and bar.ts_open < before.ts_open:
            return []  # of a candle that was complete long ago
        self._remember(key, bar)
        if before is None or bar.ts_open == before.ts_open:
            return [bar]
        return [*self._close(key, before, length), bar]

    def snapshot(self, bars: Sequence[Bar], length: int, flags: int) -> list[Bar]:
        """Candles of one pair and interval; `flags` for those that are complete already, of before we listened."""
        *final, running = sorted(bars, key=lambda b: b.ts_open)
        key = (running.instrument, running.interval)
        closed = [c for b in final for c in self._close(key, _replace(b, flags=b.flags | flags), length)]
        self._remember(key, running)
        return [*closed, running]

    def _close(self, key: tuple[str, str], bar: Bar, length: int) -> list[Bar]:
        """Once each, whatever is repeated."""
        if bar.ts_open <= self._closed.get(key, -1):
            return []
        self._closed[key] = bar.ts_open
        return [_replace(bar, ts_event=bar.ts_open + length, complete=True)]

    def _remember(self, key: tuple[str, str], bar: Bar) -> None:
        if len(self._running) >= MOST and key not in self._running:
            self._running.clear()
            self._closed.clear()
        self._running[key] = bar
