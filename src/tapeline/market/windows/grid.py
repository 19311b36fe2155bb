"""The windows of fixed size of one key: panes by their start, merged into windows when those close.

`given` remembers of each closed window that may still be revised its revision, and whether it was complete then, by start.
"""

from bisect import insort
from collections.abc import Callable, Iterator

import msgspec

from tapeline.market.windows.aggregates import Plan
from tapeline.market.windows.holes import NEVER
from tapeline.market.windows.kinds import Grid
from tapeline.market.windows.panes import Pane, empty, joined

Spans = tuple[tuple[int, int], ...]
Give = Callable[[Pane, int, int, int, bool], bool]
"""(what it holds, start, end, revision, retracted) → whether it was complete."""


class GridState(msgspec.Struct, tag="grid"):
    """`starts`: of the panes, sorted."""

    panes: dict[int, Pane] = {}
    starts: list[int] = []
    given: dict[int, tuple[int, bool]] = {}


class GridWindows:
    why = "lateness"

    def __init__(self, kind: Grid, plan: Plan, lateness: int, state: GridState) -> None:
        self._kind, self._plan, self._lateness, self.state = kind, plan, lateness, state
        self._size, self._step, self._pane = kind.size, kind.step, kind.pane

    def place(self, ts: int, mark: int) -> tuple[Pane | None, Spans, int]:
        """The pane for a record, if any window of its still takes it; the windows that do not; how many do."""
        taking, refusing = 0, []
        start = self._kind.begin(ts)
        while start > ts - self._size:
            if start + self._size + self._lateness <= mark:
                refusing.append((start, start + self._size))
            else:
                taking += 1
            start -= self._step
        return (self._at(ts) if taking else None), tuple(reversed(refusing)), taking

    def _at(self, ts: int) -> Pane:
        start = ts - (ts - self._kind.offset) % self._pane
        pane = self.state.panes.get(start)
        if pane is None:
            pane = self.state.panes[start] = empty(self._plan, start, start + self._pane)
            insort(self.state.starts, start)
        return pane

    def put(self, ts: int, pane: Pane, mark: int, give: Give) -> None:  # noqa: ARG002 - as sessions
        """A record was put into a pane: the closed windows that it revises are given out again."""
        end = self._kind.next_end(ts)
        while end <= min(mark, ts + self._size):
            if end + self._lateness > mark:
                self._give(end - self._size, give)
            end += self._step

    def close(self, before: int, mark: int, give: Give) -> None:
        """The mark went on from `before` to `mark`: close what ended in between."""
        starts = self.state.starts
        if starts:
            end = self._kind.next_end(max(before, starts[0]))
            last = min(mark, self._kind.begin(starts[-1]) + self._size)
            for stop in range(end, last + 1, self._step):
                self._give(stop - self._size, give)
        self._forget(mark)

    def recheck(self, whole: Callable[[int, int], bool], give: Give) -> None:
        """Give out again what is complete now and was not, or the other way."""
        for start, (_, was) in list(self.state.given.items()):
            if whole(start, start + self._size) != was:
                self._give(start, give)

    def due(self, mark: int) -> int:
        """When the next window that holds something ends (event time)."""
        for start in self.state.starts:
            if self._kind.begin(start) + self._size > mark:
                return self._kind.next_end(max(mark, start))
        return NEVER

    @property
    def folds(self) -> Iterator[Pane]:
        yield from self.state.panes.values()

    def _give(self, start: int, give: Give) -> None:
        end = start + self._size
        panes = self.state.panes
        if self._pane == self._size:
            found = [panes[start]] if start in panes else []
        else:
            found = [panes[s] for s in range(start, end, self._pane) if s in panes]
        if found:
            revision = self.state.given.get(start, (-1, True))[0] + 1
            complete = give(joined(self._plan, found, start, end), start, end, revision, False)
            self._remember(start, revision, complete=complete)

    def _remember(self, start: int, revision: int, *, complete: bool) -> None:
        """In the order of their starts: one that was empty when it closed may come behind later ones."""
        given = self.state.given
        behind = not revision and next(reversed(given), start) > start
        given[start] = revision, complete
        if behind:
            self.state.given = dict(sorted(given.items()))

    def _forget(self, mark: int) -> None:
        state, horizon = self.state, mark - self._lateness
        while state.starts and self._kind.begin(state.starts[0]) + self._size <= horizon:
            del state.panes[state.starts.pop(0)]
        while state.given and (oldest := next(iter(state.given))) + self._size <= horizon:
            del state.given[oldest]
