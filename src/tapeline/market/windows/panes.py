"""A stretch of event time of one key, and the records in it: the newest as they came, the others folded into cells."""

from typing import Any

import msgspec

from tapeline.market.windows.aggregates import Plan
from tapeline.market.windows.cells import Cell, Distinct, Rows, Values

FOLD_AT = 512  # records: few enough to be in the caches, many enough for NumPy


class Pane(msgspec.Struct):
    """`records` counts those that are folded. `revision`, `whole`: (sessions) as it was last given out, -1 never; `closed`
    since then.
    """

    start: int
    end: int
    cells: list[Cell]
    records: int = 0
    flags: int = 0
    times: list[int] = []
    rows: list[tuple[Any, ...]] = []
    revision: int = -1
    whole: bool = True
    closed: bool = False

    def fold(self, plan: Plan) -> None:
        if self.times:
            if self.cells:
                chunk = plan.chunk(self.times, self.rows)
                for cell in self.cells:
                    cell.fold(chunk)
            self.records += len(self.times)
            self.times.clear()
            self.rows.clear()

    def merge(self, other: "Pane") -> None:
        """Take over what another one, folded like this one, holds."""
        for mine, more in zip(self.cells, other.cells, strict=True):
            mine.merge(more)  # type: ignore[arg-type]  # cells of one plan stand in one order
        self.records += other.records
        self.flags |= other.flags

    @property
    def dropped(self) -> int:
        return max((c.dropped for c in self.cells if isinstance(c, (Values, Distinct, Rows))), default=0)


def empty(plan: Plan, start: int, end: int) -> Pane:
    return Pane(start, end, plan.cells())


def joined(plan: Plan, panes: list[Pane], start: int, end: int) -> Pane:
    """What they hold together; one alone stands for itself."""
    for pane in panes:
        pane.fold(plan)
    if len(panes) == 1:
        return panes[0]
    total = empty(plan, start, end)
    for pane in panes:
        total.merge(pane)
    return total
