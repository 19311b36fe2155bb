"""What metrics of the last closed bars share: which bars those are, and that they are looked at again only when one changes.

Bars made of our trades are used, and before the first of those the venue's own candles, as they stand after corrections by late
trades. A bar in which nothing was traded does not exist and is skipped. What is made of them is incomplete while one of them is.
"""

from collections.abc import Sequence

from tapeline.errors import UsageError
from tapeline.events import Bar
from tapeline.market.metrics.base import History, Metric, Sample

MOST_BARS = 5000


class LastBars:
    """The closed bars of one interval by their open, the latest `most` of them."""

    __slots__ = ("_bars", "interval", "most")

    def __init__(self, interval: str, most: int) -> None:
        self.interval, self.most = interval, most
        self._bars: dict[int, Bar] = {}

    def take(self, bars: Sequence[Bar]) -> bool:
        """Whether that changed anything."""
        took = False
        for bar in bars:
            known = self._bars.get(bar.ts_open)
            if bar.interval == self.interval and not (known is not None and known.origin == "trades" and bar.origin == "venue"):
                self._bars[bar.ts_open] = bar
                took = True
        if len(self._bars) > 2 * self.most:
            self._bars = {ts: self._bars[ts] for ts in sorted(self._bars)[-self.most :]}
        return took

    def last(self) -> list[Bar]:
        """In their order, at most `most`."""
        return [self._bars[ts] for ts in sorted(self._bars)[-self.most :]]


class OfBars(Metric):
    """Of the last `bars` bars of an `interval`, and the one before them."""

    needs = frozenset({"bars"})
    warm_up = "the bars, and the one before them"
    bars: int
    interval: str

    def begin(self) -> None:
        if not 2 <= self.bars <= MOST_BARS:
            raise UsageError(f"{self.full_name}: the number of bars must lie between 2 and {MOST_BARS}")
        self.held = LastBars(self.interval, self.bars + 1)
        self.figure: float | None = None
        self.flaw = False

    @property
    def flawed(self) -> bool:
        return self.flaw

    def made(self, held: list[Bar]) -> float | None:
        """The figure; `held` may still be too few."""
        raise NotImplementedError

    def renewed(self, s: Sample) -> float | None:
        """The figure, made anew where a bar has closed or was corrected."""
        if self.held.take(s.bars):
            held = self.held.last()
            self.flaw = not all(bar.complete for bar in held)
            self.figure = self.made(held)
        return self.figure

    def last_of(self, h: History) -> list[Bar]:
        """Those that count, for the twin."""
        edition = {bar.ts_open: bar for origin in ("venue", "trades") for bar in h.bars if self._is_mine(bar, origin)}
        return [edition[ts] for ts in sorted(edition)[-self.bars - 1 :]]

    def _is_mine(self, bar: Bar, origin: str) -> bool:
        return bar.interval == self.interval and bar.origin == origin
