"""The recent past of every sampled metric, so that a page draws its small lines the moment it opens.

Columns, not events: a sample of thirty metrics is an object of three kilobytes, and 240 bytes in rings of numbers. Each instrument
has one ring of times and one ring a metric, all of `POINTS` places; a metric that a sample does not name is not known there (NaN in
the ring, null outside). Beyond `MOST_NAMES` metrics of an instrument a further one is not kept, only counted: its latest value
still goes out.
"""

from array import array
from collections.abc import Iterable
from math import isnan

from tapeline.clock import MICRO
from tapeline.events import Metrics

POINTS = 600  # ten minutes at a sample a second
MOST_NAMES = 400
NAN = float("nan")


class Column:
    """The values of one metric, and where a hole or the warm-up touches them."""

    __slots__ = ("partial", "values")

    def __init__(self, points: int) -> None:
        self.values = array("d", [NAN]) * points
        self.partial = bytearray(points)


class Samples:
    """Those of one instrument. `latest` is the last one as it came."""

    __slots__ = ("columns", "latest", "not_kept", "points", "times", "total")

    def __init__(self, points: int = POINTS) -> None:
        self.points = points
        self.times = array("q", [0]) * points
        self.columns: dict[str, Column] = {}
        self.total = self.not_kept = 0
        self.latest: Metrics | None = None

    def put(self, sample: Metrics) -> None:
        at = self.total % self.points
        self.total += 1
        self.latest = sample
        self.times[at] = sample.ts_event
        values = sample.values or {}
        for name in values:
            if name not in self.columns:
                self._begin(name)
        touched = frozenset((sample.incomplete or "").split(","))
        for name, column in self.columns.items():
            column.values[at] = values.get(name, NAN)
            column.partial[at] = name in touched or name.partition(".")[0] in touched

    def _begin(self, name: str) -> None:
        if len(self.columns) >= MOST_NAMES:
            self.not_kept += 1
        else:
            self.columns[name] = Column(self.points)

    def rows(self, names: Iterable[str], limit: int) -> dict[str, object]:
        """The last `limit` samples, oldest first: `times` (µs), `values` by name, null where not known, and by name the places that
        are `incomplete`, where there are any. A name that was never sampled is all null.
        """
        n = min(limit, self.total, self.points)
        places = [i % self.points for i in range(self.total - n, self.total)]
        values: dict[str, list[float | None]] = {}
        incomplete: dict[str, list[int]] = {}
        for name in names:
            column = self.columns.get(name)
            if column is None:
                values[name] = [None] * n
                continue
            values[name] = [None if isnan(v := column.values[at]) else v for at in places]
            if touched := [i for i, at in enumerate(places) if column.partial[at]]:
                incomplete[name] = touched
        return {"times": [self.times[at] // MICRO for at in places], "values": values, "incomplete": incomplete}
