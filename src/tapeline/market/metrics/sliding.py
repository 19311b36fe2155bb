"""Which trades come into a window and which leave it between two samples, for what is counted by adding and taking away."""

from tapeline.market.metrics.base import Ints, Sample


class Sliding:
    """The window (now − `width`, now] over `s.trades`. `moved` must be called at every sample."""

    __slots__ = ("since", "width")

    def __init__(self, width: int) -> None:
        self.width = width
        self.since: int | None = None  # where the window began at the last sample

    def moved(self, s: Sample) -> tuple[Ints | range, range]:
        """Places of those that came in, late ones too, and of those that left. One that came and left since the last sample is in
        both; one that came too late for the window is in neither.
        """
        trades, before, self.since = s.trades, self.since, s.now - self.width
        if before is None:
            return range(len(trades)), range(trades.since(self.since))
        new, first = s.new_trades, trades.since(before)
        left = range(first, trades.since(self.since))
        if len(new) and len(new) == len(trades) - int(new.min()):
            return range(max(first, int(new.min())), len(trades)), left
        return new[new >= first], left
