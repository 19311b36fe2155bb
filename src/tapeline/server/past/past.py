"""The past without end: memory (`memory/history.py`) has the newest, the lake all of it, and a page is made of both, seamless.

A page that memory has whole comes from memory. Else a query process (`query/box.py`) is asked for what is older, and the two are
put together so that nothing is there twice and nothing is missing, whatever is committed meanwhile:

    trades    of this session the lake gives those that came up to the `seam`, when the first one that memory has came; memory
              those that came later, so that the frame that the ring cut through is the lake's as a whole. Of other sessions the
              lake gives all
    bars      the lake gives them up to the first one of memory, which has all later ones. That first one both have: it may have
              begun before this session, or before there was room. The better counts: complete, then more trades

In a recording that is played, nothing is shown that came after the moment it is at (`until`).

Who asks for `memory` alone gets what memory has of the page at once, and `more` where the lake has older rows, or more of the first
one: a page that opens fills its lists so, and leaves the places of the query processes to what somebody looks at.

Where there is no lake, or nothing older in it, memory is all there is, and `more` says so. Where the lake cannot be asked now (all
places are taken, it is broken, the question took too long), what memory has is the page, and `more` is true: nothing is missing
for who asks on. Who asks for what memory has nothing of gets the error.
"""

import asyncio
import sqlite3
from collections.abc import Sequence
from operator import attrgetter
from typing import TypeVar

import msgspec
from starlette.requests import Request

from tapeline.engine.source import Source
from tapeline.events import Bar, Trade
from tapeline.lake.paging import newest, oldest
from tapeline.market.barkinds.specs import BarSpec
from tapeline.market.barkinds.views import heikin_ashi
from tapeline.server.asked import MAX_TIME, ApiError
from tapeline.server.memory.history import History
from tapeline.server.query import piped
from tapeline.server.query.piped import BarPage, TradePage
from tapeline.server.query.query import Queries

WARM_UP = 64
"""Bars after which nobody can see where a view began."""
OLDER = ("query_stopped", "query_too_big", "busy", "ending", "lake_broken")
"""Errors of whoever asks for what only the lake has."""
Closed = tuple[Bar, bool]
T = TypeVar("T")
_ts_event = attrgetter("ts_event")


class Past:
    def __init__(self, source: Source, history: History, queries: Queries) -> None:
        self._source, self._history, self.queries = source, history, queries

    @property
    def until(self) -> int:
        """What of the lake is the past."""
        return self._source.now() if self._source.mode == "replay" else MAX_TIME

    @property
    def kept(self) -> bool:
        """Whether there may be a lake."""
        return self.queries.data is not None

    async def goes_back(self, name: str, kinds: Sequence[str], before: int) -> bool:
        """Whether the lake has something of an instrument and these kinds of events before a time (ns)."""
        data = self.queries.data
        if data is None:
            return False
        try:
            first = await asyncio.to_thread(oldest, data, name, kinds)
        except sqlite3.Error:
            return True  # who asks is told what is wrong with it
        return first is not None and first < before

    # Trades

    async def trades(
        self, request: Request | None, name: str, start: int, end: int, limit: int, *, memory: bool = False
    ) -> tuple[list[Trade], bool]:
        """Those with `start` <= `ts_event` < `end`, the newest `limit`, by `ts_event`; whether there are older ones."""
        log = self._history.trades.get(name)
        held = [] if log is None else list(log.items)
        passed = -1 if log is None else log.passed
        mine = sorted((t for t in held if start <= t.ts_event < end), key=_ts_event)
        page, more = newest(mine, limit, _ts_event)
        floor = passed if passed >= 0 or not held else min(t.ts_event for t in held) - 1
        if (held and start > floor) or (more and page[0].ts_event > floor):
            return page, more
        if not await self.goes_back(name, ("trade",), min(end, floor + 1) if held else end):
            return page, more
        if memory:
            return page, True
        seam = MAX_TIME if not held else held[0].ts_recv if passed >= 0 else held[0].ts_recv - 1
        session = str(self._source.status().get("session", ""))
        what = piped.Trades(instrument=name, start=start, end=end, limit=limit, until=self.until, session=session, seam=seam)
        try:
            _, body = await self.queries.ask(request, what)
        except ApiError as e:
            return _memory_alone(e, page, more=more)
        older = msgspec.msgpack.decode(body, type=TradePage)
        later = [t for t in mine if t.ts_recv > seam and (not older.more or t.ts_event >= older.rows[0].ts_event)]
        return newest(sorted([*older.rows, *later], key=_ts_event), limit, _ts_event, more=older.more)

    # Bars

    async def bars(
        self,
        request: Request | None,
        name: str,
        spec: BarSpec,
        origin: str,
        start: int,
        end: int,
        limit: int,
        *,
        memory: bool = False,
    ) -> tuple[list[Closed], bool]:
        """Those with `start` <= `ts_open` < `end`, the newest `limit`, by `ts_open`, each with whether it is closed; and whether
        there are older ones.
        """
        base = spec.base or spec
        held = [found for found in self._held(name, base.text, origin) if found[0].ts_open < end]
        first = held[0][0].ts_open if held else end
        mine = [found for found in held if found[0].ts_open >= start]
        early = WARM_UP if spec.base is not None else 0
        page, more = _page(held, spec, start, limit)
        if (held and start > first) or len(mine) > limit + early:
            return page, more
        if not await self.goes_back(name, ("trade", "bar"), self._lacks(held[0][0]) if held else end):
            return page, more
        if memory:
            return page, True
        what = piped.Bars(
            instrument=name, interval=base.text, origin=origin, start=max(0, start - early * _width(base)),
            end=min(end, first + 1), limit=limit + early, until=self.until,
        )  # fmt: skip
        try:
            _, body = await self.queries.ask(request, what)
        except ApiError as e:
            return _memory_alone(e, page, more=more)
        older = msgspec.msgpack.decode(body, type=BarPage)
        joined = self._joined(older.rows, held, base)
        page, more = _page(joined, spec, start, limit)
        return page, more or (older.more and joined[0][0].ts_open >= start)

    def _lacks(self, first: Bar) -> int:
        """Before when (ns) the lake would have what memory lacks, whose first bar this is: it may have begun before the session."""
        if first.complete:
            return first.ts_open
        return max(first.ts_open, min(first.ts_event, int(self._source.status().get("started", 0))))

    def _held(self, name: str, interval: str, origin: str) -> list[Closed]:
        """All that memory has, and whether each is closed."""
        series = self._history.bars.get((name, interval, origin))
        found = [(bar, True) for bar in (series.between(0, MAX_TIME) if series else [])]
        still = self._source.open_bar(name, interval) if origin == "trades" else None
        return found if still is None else [*found, (still, False)]

    def _joined(self, older: list[Bar], held: list[Closed], kind: BarSpec) -> list[Closed]:
        now = self._source.now()
        found = [(bar, bar.ts_event <= now if kind.slots is not None else True) for bar in older]
        if found and not held and kind.slots is None and self._source.mode != "replay":
            found[-1] = found[-1][0], False  # what it still lacks nobody knows
        if found and held and found[-1][0].ts_open == held[0][0].ts_open:
            (theirs, _), (ours, closed) = found.pop(), held[0]
            held = [(max(ours, theirs, key=_better), closed), *held[1:]]
        return [*found, *held]


def _better(bar: Bar) -> tuple[bool, int]:
    return bar.complete, bar.trades or 0


def _width(spec: BarSpec) -> int:
    return 0 if spec.slots is None else spec.slots.width


def _page(found: list[Closed], spec: BarSpec, start: int, limit: int) -> tuple[list[Closed], bool]:
    if spec.base is not None:
        drawn = heikin_ashi(bar for bar, _ in found)
        found = [(bar, closed) for bar, (_, closed) in zip(drawn, found, strict=True)]
    return newest([row for row in found if row[0].ts_open >= start], limit, lambda row: row[0].ts_open)


def _memory_alone(error: ApiError, page: list[T], *, more: bool) -> tuple[list[T], bool]:
    if error.code == "no_lake":
        return page, more
    if page:
        return page, True
    raise error
