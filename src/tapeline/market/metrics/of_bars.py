"""What metrics of the last closed bars share: which bars those are, and that they are looked at again only when one changes.

Bars made of our trades are used, and before the first of those the venue's own candles, as they stand after corrections by late
trades. A bar in which nothing was traded does not exist and is skipped. What is made of them is incomplete while one of them is.
"""

from collections.abc import Sequence

from tapeline.errors import UsageError
from tapeline.events import Bar
from tapeline.market.metrics.base import History, Metric, Sample

MOST_BARS = 5000


def is_better(bar: Bar, known: Bar | None) -> bool:
    """Than what is known of that time: our own, or the venue's candle where ours is not complete."""
    if known is None or known.origin == bar.origin:
        return True
    return bar.complete if bar.origin == "trades" else not known.complete


def latest(h: History, interval: str) -> list[Bar]:
    """The best of each time in its last edition, for the twins: our own complete ones, else the venue's, else our own."""
    editions: dict[int, dict[str, Bar]] = {}
    for bar in h.bars:
        if bar.interval == interval:
            editions.setdefault(bar.ts_open, {})[bar.origin] = bar
    ranked = [[told.get("trades"), told.get("venue")] for _, told in sorted(editions.items())]
    return [next(bar for bar in (own if own and own.complete else venue, own, venue) if bar) for own, venue in ranked]


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
            if bar.interval == self.interval and is_better(bar, self._bars.get(bar.ts_open)):
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
        return latest(h, self.interval)[-self.bars - 1 :]
