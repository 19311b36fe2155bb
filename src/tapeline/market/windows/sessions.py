"""The sessions of one key: runs of records less than `gap` apart, which grow, and join where a record bridges them.

A session's `start` is its name. When a late record joins two that were given out, or moves a start, those whose name is gone
are given out again as retracted, before the one that has their records.
"""

from collections.abc import Callable, Iterator

import msgspec

from tapeline.market.windows.aggregates import Plan
from tapeline.market.windows.grid import Give, Spans
from tapeline.market.windows.holes import NEVER
from tapeline.market.windows.kinds import Session
from tapeline.market.windows.panes import Pane, empty


class SessionState(msgspec.Struct, tag="session"):
    """`panes`: by start. `expired`, `forgotten`: the latest end of a session that takes no more, because
    it is too late or there was no room to keep it. What comes before that might belong to it, and cannot begin another."""

    panes: list[Pane] = []
    retract: list[Pane] = []
    expired: int = -1
    forgotten: int = -1


class SessionWindows:
    def __init__(
        self, kind: Session, plan: Plan, lateness: int, state: SessionState, most: int, counts: dict[str, int]
    ) -> None:
        self._gap, self._plan, self._lateness, self.state = kind.gap, plan, lateness, state
        self._most, self._counts = most, counts
        self.why = "lateness"

    def place(self, ts: int, mark: int) -> tuple[Pane | None, Spans, int]:
        panes = self.state.panes
        near = [p for p in panes if p.start - self._gap < ts < p.end]
        start, end = min([ts, *(p.start for p in near)]), max([ts + self._gap, *(p.end for p in near)])
        state = self.state
        if end + self._lateness <= mark or ts < max(state.expired, state.forgotten):
            self.why = "lateness" if end + self._lateness <= mark or ts < state.expired else "forgotten"
            return None, ((start, end),), 0
        if near:
            pane = self._join(near, start)
        else:
            pane = empty(self._plan, start, end)
            panes.append(pane)
        pane.start, pane.end = start, end
        panes.sort(key=lambda p: p.start)
        while len(panes) > self._most and panes[0] is not pane:
            self.state.forgotten = max(self.state.forgotten, panes.pop(0).end)
            self._counts["windows_dropped"] += 1
        return pane, (), 1

    def _join(self, near: list[Pane], start: int) -> Pane:
        """One out of several; what was given out under another start is noted, to be taken back."""
        pane = near[0]
        moved = [p for p in near if p.revision >= 0 and p.start != start]
        self.state.retract += [Pane(p.start, p.end, self._plan.cells(), revision=p.revision) for p in moved]
        for p in near:
            p.fold(self._plan)
        for other in near[1:]:
            pane.merge(other)
            self.state.panes.remove(other)
        if pane in moved or pane.start != start:
            pane.revision = -1
        pane.closed = False
        return pane

    def put(self, ts: int, pane: Pane, mark: int, give: Give) -> None:
        pane.end = max(pane.end, ts + self._gap)
        for gone in self.state.retract:
            give(gone, gone.start, gone.end, gone.revision + 1, True)
        self.state.retract.clear()
        if pane.end <= mark:
            self._give(pane, give)

    def close(self, before: int, mark: int, give: Give) -> None:  # noqa: ARG002 - as the grid
        panes = self.state.panes
        for pane in panes:
            if not pane.closed and pane.end <= mark:
                self._give(pane, give)
        while panes and panes[0].end + self._lateness <= mark:
            self.state.expired = max(self.state.expired, panes.pop(0).end)

    def recheck(self, whole: Callable[[int, int], bool], give: Give) -> None:
        for pane in self.state.panes:
            if pane.closed and whole(pane.start, pane.end) != pane.whole:
                self._give(pane, give)

    def due(self, mark: int) -> int:
        return min((p.end for p in self.state.panes if p.end > mark), default=NEVER)

    @property
    def folds(self) -> Iterator[Pane]:
        yield from self.state.panes

    def _give(self, pane: Pane, give: Give) -> None:
        pane.fold(self._plan)
        pane.revision += 1
        pane.closed = True
        pane.whole = give(pane, pane.start, pane.end, pane.revision, False)
