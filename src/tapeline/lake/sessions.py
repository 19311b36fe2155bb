"""What the lake knows of the sessions in which an instrument was traded: where their trades lie, which seconds lack none."""

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tapeline.clock import SECOND
from tapeline.lake import scan
from tapeline.lake.folding import NAMES, OFF_BOOK, Source
from tapeline.lake.twins import without_twins

Ints = npt.NDArray[np.int64]
MOST = (1 << 63) - 1
Placed = list[tuple[str, tuple[scan.Group, ...]]]
_BARS = ("session_id", "n", "interval", "origin", "ts_open", "ts_event", "ts_recv", "complete", "revision", "trades")
_STATUS = ("session_id", "n", "status", "channel", "reason", "ts_recv")


class Stretch(NamedTuple):
    """Events of a session with `first` <= number < `last`, within which bars go on.

    `ended`: when those that were open were given out, our clock, ns; None where nothing tells. `before`: if only that was before
    this venue time: otherwise it was the end of a day.
    """

    first: int
    last: int
    ended: int | None = None
    before: int | None = None


class Session:
    """`twins`: numbers of those of its trades that an earlier session has, too."""

    def __init__(self, trades: Source, name: str, files: Placed) -> None:
        self.name, self.twins = name, np.empty(0, np.int64)
        self._trades = trades
        self._groups = sorted(
            (g.spans["n"][0], path, g) for path, found in files for g in found if g.may_hold("session_id", name)
        )

    def groups(self, stretch: Stretch) -> list[tuple[int, str, scan.Group]]:
        """The row groups that may hold its trades: (the least number in it, file, group), in this order."""
        return [found for found in self._groups if found[2].meets("n", stretch.first, stretch.last)]

    @property
    def span(self) -> tuple[int, int]:
        """From the first to the last of its trades, or somewhat more."""
        spans = [group.spans["ts_event"] for _, _, group in self._groups]
        return min(s[0] for s in spans), max(s[1] for s in spans)

    @cached_property
    def _bars(self) -> "_Bars":
        catalogue, name = self._trades.catalogue, self._trades.instrument
        start, end = self.span
        files = scan.in_order(catalogue, catalogue.chosen("bar", [name], start - 86_400 * SECOND, end + SECOND))
        mine = [(path, tuple(g for g in found if g.may_hold("session_id", self.name))) for path, found in files]
        return _Bars(scan.rows(mine, _BARS, column="n", start=None, end=None), self.name)

    def stored(self, interval: str) -> list[tuple[int, int]]:
        """(number, trades) of its bars of this kind as they were first given out, in their order."""
        return self._bars.of(interval)

    def whole(self, start: int, end: int) -> bool:
        """Whether the seconds of [`start`, `end`) are known to lack no trade."""
        opens, bad = self._seconds
        if not len(opens) or end - SECOND > opens[-1]:
            return False
        return int(bad[opens.searchsorted(start)]) == int(bad[opens.searchsorted(end)])

    @cached_property
    def _seconds(self) -> tuple[Ints, Ints]:
        """When they begin; and before each, how many of them are not complete."""
        opens, complete = self._bars.seconds()
        return opens, np.concatenate(([0], np.cumsum(~complete)))

    def stretches(self) -> Iterator[Stretch]:
        """What lies between the ends of the trades' subscription."""
        first = 0
        for n, ts_recv in self._unsubscribed():
            yield Stretch(first, n, ts_recv)
            first = n + 1
        yield Stretch(first, MOST, *self._bars.last_day())

    def _unsubscribed(self) -> list[tuple[int, int]]:
        catalogue, name = self._trades.catalogue, self._trades.instrument
        files = scan.in_order(catalogue, catalogue.chosen("status", [name]))
        mine = [
            (path, tuple(g for g in found if g.may_hold("session_id", self.name) and g.may_hold("status", "disconnected")))
            for path, found in files
        ]
        tables = scan.rows(mine, _STATUS, column="n", start=None, end=None)
        wanted = scan.equals(tables, "status", "disconnected") & scan.equals(tables, "channel", "trades")
        wanted &= scan.equals(tables, "session_id", self.name)
        reasons = [reason for t in tables for reason in t["reason"].to_pylist()]
        rows = [int(i) for i in np.flatnonzero(wanted) if reasons[i] == "unsubscribed"]
        return sorted((int(scan.numbers(tables, "n")[i]), int(scan.numbers(tables, "ts_recv")[i])) for i in rows)


class _Bars:
    """A session's stored bars from trades, all revisions."""

    def __init__(self, tables: list, name: str) -> None:  # type: ignore[type-arg]
        self._tables = tables
        self._mine = scan.equals(tables, "session_id", name) & scan.equals(tables, "origin", "trades")
        self._n, self._revision = scan.numbers(tables, "n"), scan.numbers(tables, "revision")

    def _rows(self, interval: str) -> Ints:
        return np.flatnonzero(self._mine & scan.equals(self._tables, "interval", interval))

    def of(self, interval: str) -> list[tuple[int, int]]:
        rows = self._rows(interval)
        if not len(rows):
            return []
        rows = rows[self._revision[rows] == 0]
        trades = scan.numbers(self._tables, "trades", np.float64)[rows]
        return sorted(zip(self._n[rows].tolist(), trades.astype(np.int64).tolist(), strict=True))

    def seconds(self) -> tuple[Ints, npt.NDArray[np.bool_]]:
        """(when, whether complete) by their last revision, by time."""
        rows = self._rows("1s")
        if not len(rows):
            return np.empty(0, np.int64), np.empty(0, np.bool_)
        opens, complete = scan.numbers(self._tables, "ts_open")[rows], scan.numbers(self._tables, "complete", np.bool_)[rows]
        order = np.lexsort((self._n[rows], self._revision[rows], opens))
        last = np.append(opens[order][1:] != opens[order][:-1], True)
        return opens[order][last], complete[order][last]

    def last_day(self) -> tuple[int, int] | tuple[None, None]:
        """When the last bar of a day was given out, and when that day ends. A session's end gives it out before."""
        rows = self._rows("1d")
        if not len(rows):
            return None, None
        last = rows[np.argmax(self._n[rows])]
        return int(scan.numbers(self._tables, "ts_recv")[last]), int(scan.numbers(self._tables, "ts_event")[last])


def sessions(trades: Source, start: int, end: int) -> list[Session]:
    """Those with trades in [`start`, `end`), in their order."""
    catalogue = trades.catalogue
    files = scan.in_order(catalogue, catalogue.chosen("trade", [trades.instrument]))
    there = scan.rows(files, ("session_id", "ts_event"), column="ts_event", start=start, end=end)
    if not there:
        return []
    names, codes = scan.texts(there, "session_id")
    used = np.unique(codes).tolist()
    found = [Session(trades, names[code], files) for code in used]
    spans = [session.span for session in found]
    if any(a[0] <= b[1] and b[0] <= a[1] for i, a in enumerate(spans) for b in spans[:i]):
        _mark_twins(found, files)
    return found


def _mark_twins(found: list[Session], files: Placed) -> None:
    tables = scan.rows(files, NAMES, column="n", start=None, end=None)
    names, codes = scan.texts(tables, "session_id")
    n, flags = scan.numbers(tables, "n"), scan.numbers(tables, "flags")
    price, size = (scan.numbers(tables, name, np.float64) for name in ("price", "size"))
    side = scan.equals(tables, "side", "buy").astype(np.int64)
    every = (flags & OFF_BOOK) == 0
    once = without_twins(tables, codes, scan.numbers(tables, "ts_event"), price, size, side, every)
    for session in found:
        session.twins = n[every & ~once & (codes == names.index(session.name))]
