"""All windows of all keys: events in, windows and late records out. The rules are in the package's header.

    windows = Windows(tumbling("1m"), [parse("vwap", "vwap", Trade)])
    windows.add_many(events, out)      # in their order, any batches
    windows.advance(now, out)          # live: our clock went on, and everything received up to `now` was added
    windows.finish(out)                # nothing will follow

A venue time more than a minute ahead of all before it, and of our clock, cannot be true; such a record, like one flagged
BAD_TIME, is placed by our clock. Where a false time was believed all the same (nothing came before it), every true one is too
late from then on: after a run of those, with the mark ahead of our clock, the key begins anew.

Of what a venue says twice the first kind that came of an instrument counts: single or aggregated trades, its own quotes or
those of our book. Trades OFF_BOOK are no part of the market. `where` chooses otherwise.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import partial
from heapq import heappop, heappush
from typing import Any

from tapeline.clock import MILLI, SECOND
from tapeline.errors import UsageError
from tapeline.events import Event, Flag, Quote, Status, Trade
from tapeline.market.windows.aggregates import Aggregate, Plan
from tapeline.market.windows.grid import GridState, GridWindows, Spans
from tapeline.market.windows.holes import BEGIN, CHANNELS, EVERY, NEVER, Hole, Source, concerns, source
from tapeline.market.windows.kinds import Grid, Kind
from tapeline.market.windows.panes import FOLD_AT, Pane
from tapeline.market.windows.results import Late, Limits, Output, Window
from tapeline.market.windows.sessions import SessionState, SessionWindows

# Plain integers: IntFlag's operators cost a microsecond each.
AGGREGATED, BAD_TIME, LATE, OFF_BOOK = int(Flag.AGGREGATED), int(Flag.BAD_TIME), int(Flag.LATE), int(Flag.OFF_BOOK)
RECOVERED = int(Flag.RECOVERED)
UNUSUAL = AGGREGATED | OFF_BOOK
INHERITED = int(Flag.SIMULATED | Flag.AGGREGATED | Flag.RECOVERED | Flag.SAMPLED | Flag.INEXACT)
JUMP = 60 * SECOND
GRACE = 500 * MILLI
FALSE_RUN = 50  # records too late in a row, with the mark ahead of our clock: what they are late for was never true
COUNTS = ("records", "late", "revised", "keys_dropped", "windows_dropped", "rows_dropped")
Key = Hashable
KeyOf = Callable[[Any], Key]


class Keyed:
    """What is known of one key. `pane`: where the next record probably belongs; it is of windows that are all open."""

    __slots__ = ("false", "key", "lag", "mark", "number", "pane", "queued", "sources", "watermark", "windows")

    def __init__(self, key: Key, number: int, windows: GridWindows | SessionWindows) -> None:
        self.key, self.number, self.windows = key, number, windows
        self.mark = self.watermark = -1
        self.lag: int | None = None
        self.queued = NEVER
        self.pane: Pane | None = None
        self.sources: dict[str, Source] = {}
        self.false = 0


class Windows:
    """`counts`: see COUNTS. `due`: our clock, when the next window closes without a
    record.
    """

    def __init__(
        self,
        kind: Kind,
        aggregates: Sequence[Aggregate],
        *,
        of: type[Event] = Trade,
        key: KeyOf | None = None,
        where: Callable[[Any], bool] | None = None,
        lateness: int = 0,
        grace: int = GRACE,
        limits: Limits | None = None,
    ) -> None:
        """Times in ns. Raises UsageError where windows of that kind need more room than `limits.windows`."""
        self.kind, self.of, self.lateness, self.grace, self.limits = kind, of, lateness, grace, limits or Limits()
        self.plan = Plan(of, aggregates, self._rows(kind))
        self.counts = dict.fromkeys(COUNTS, 0)
        self.due = NEVER
        self.keys: dict[Key, Keyed] = {}
        self.sources: dict[str, Source] = {}
        self.connections: dict[str, int] = {}  # the highest number of a connection, by venue
        self.made = 0
        self.clock = -1
        self._key, self._where = key, where
        self._gap = 0 if isinstance(kind, Grid) else kind.gap
        self._getter = self.plan.getter
        self._numbered: dict[int, Keyed] = {}
        self._heap: list[tuple[int, int]] = []
        self._channels = CHANNELS.get(of, frozenset()) | EVERY
        self._unfinished = False

    def _rows(self, kind: Kind) -> int:
        """Room for rows in a pane."""
        if not isinstance(kind, Grid):
            return self.limits.rows
        panes = (kind.size + self.lateness) // kind.pane + 2
        if panes > self.limits.windows:
            raise UsageError(
                f"windows like that keep {panes:,} stretches of time a key, and there is room for {self.limits.windows:,}: "
                "a longer step, less lateness, or Limits(windows=…)"
            )
        return max(1, self.limits.rows * kind.pane // kind.size)

    # Records

    def add_many(self, events: Iterable[Event], out: list[Output]) -> None:
        add = self.add
        for event in events:
            add(event, out)

    def add(self, event: Any, out: list[Output]) -> None:
        """Take one event of any type: of those that are not windowed only the time, and what Status tells, matter."""
        ts_recv = event.ts_recv
        if ts_recv >= self.due:
            self.advance(ts_recv, out)
        if ts_recv > self.clock:
            self.clock = ts_recv
        if type(event) is not self.of:
            if type(event) is Status:
                self._said(event, out)
            return
        name = event.instrument
        if self._where is not None and not self._where(event):
            return
        value = name if self._key is None else self._key(event)
        keyed = self.keys.get(value)
        found = self.sources.get(name)
        if found is None or keyed is None or keyed.sources.get(name) is not found:
            if value is None:
                return
            found = found or self._source(name)
            keyed = keyed or self._keyed(value, ts_recv, out)
            keyed.sources[name] = found
        flags = event.flags
        if (flags & UNUSUAL or found.kind != 0) and not self._counts(event, found):
            return
        ts = event.ts_event
        lag = keyed.lag
        if lag is None or ts_recv - ts < lag or flags & BAD_TIME:
            ts = self._placed(keyed, event)
        if found.open and not flags & RECOVERED:
            found.record(ts)
        pane = keyed.pane
        if pane is None or not pane.start <= ts < pane.end:
            self._place(keyed, ts, event, out)
        else:
            pane.times.append(ts)
            pane.rows.append(self._getter(event))
            if flags & ~pane.flags:
                pane.flags |= flags
            if ts > keyed.watermark:
                keyed.watermark = ts
                if self._gap and ts + self._gap > pane.end:
                    pane.end = ts + self._gap
            if len(pane.times) >= FOLD_AT:
                pane.fold(self.plan)
        if ts > found.last:
            found.last = ts
        self.counts["records"] += 1

    def _counts(self, event: Any, found: Source) -> bool:
        """Whether it is of the kind that counts."""
        kind: int | str = 0
        if isinstance(event, Trade):
            if event.flags & OFF_BOOK:
                return False
            kind = event.flags & AGGREGATED
        elif isinstance(event, Quote):
            kind = event.origin
        if found.kind is None:
            found.kind = kind
        return found.kind == kind

    def _placed(self, keyed: Keyed, event: Any) -> int:
        """The event time to go by; the smallest lag follows from those that can be true."""
        lag, known = event.ts_recv - event.ts_event, keyed.lag
        if event.flags & BAD_TIME or (known is not None and lag < min(known, 0) - JUMP):
            placed: int = event.ts_recv - (known or 0)
            return placed
        keyed.lag = lag
        self.queue(keyed)
        ts: int = event.ts_event
        return ts

    def _place(self, keyed: Keyed, ts: int, event: Any, out: list[Output]) -> None:
        """A record outside of the pane that fills: the mark may go on, or it is late."""
        ts_recv, lag = event.ts_recv, keyed.lag or 0
        keyed.watermark = max(keyed.watermark, ts)
        mark = max(keyed.mark, keyed.watermark, ts_recv - self.grace - lag)
        if mark > keyed.mark:
            self._move(keyed, mark, ts_recv, out)
        pane, refused, taking = keyed.windows.place(ts, mark)
        if refused and self._refused(keyed, event, refused, taking, out):
            return
        if pane is not None:
            keyed.false = 0
            pane.times.append(ts)
            pane.rows.append(self._getter(event))
            pane.flags |= event.flags
            keyed.windows.put(ts, pane, mark, partial(self._give, keyed, ts_recv, LATE, out))
            keyed.pane = pane if mark < pane.end else None
            self.queue(keyed)

    def _refused(self, keyed: Keyed, event: Any, refused: Spans, taking: int, out: list[Output]) -> bool:
        """Give out a late record; or (True) begin the key anew with it."""
        keyed.false += 1
        if keyed.false >= FALSE_RUN and keyed.watermark - event.ts_recv > JUMP:
            self._drop(keyed, event.ts_recv, out)
            for name in keyed.sources:
                self.sources.pop(name, None)
            self.add(event, out)
            self.counts["records"] -= 1  # it is counted by whoever called
            return True
        out.append(Late(keyed.key, event, refused, keyed.windows.why, keyed.mark, taking))
        self.counts["late"] += 1
        return False

    # Time

    def advance(self, now: int, out: list[Output]) -> None:
        """Our clock stands at `now`: close what is due, in the order in which it was. It may be told late, not early."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            due, number = heappop(heap)
            keyed = self._numbered.get(number)
            if keyed is None or keyed.queued != due:
                continue
            keyed.queued = NEVER
            if self._due(keyed) <= due:
                self._move(keyed, due - self.grace - (keyed.lag or 0), due, out)
            self.queue(keyed)
        self.clock = max(self.clock, now)
        self.due = heap[0][0] if heap else NEVER

    def _move(self, keyed: Keyed, mark: int, ts_recv: int, out: list[Output]) -> None:
        before, keyed.mark = keyed.mark, mark
        if keyed.pane is not None and mark >= keyed.pane.end:
            keyed.pane = None
        keyed.windows.close(before, mark, partial(self._give, keyed, ts_recv, 0, out))

    def _due(self, keyed: Keyed) -> int:
        end = keyed.windows.due(keyed.mark)
        return NEVER if end == NEVER or keyed.lag is None else end + self.grace + keyed.lag

    def queue(self, keyed: Keyed) -> None:
        due = self._due(keyed)
        if due < keyed.queued:
            keyed.queued = due
            heappush(self._heap, (due, keyed.number))
            self.due = min(self.due, due)

    def finish(self, out: list[Output], now: int | None = None) -> None:
        """Nothing will follow (`now`: our clock then, default that of the last event): what is open is given out,
        incomplete.
        """
        if now is not None:
            self.advance(now, out)
        for keyed in list(self.keys.values()):
            self._end(keyed, self.clock if now is None else now, out)

    def cut(self, end: int) -> None:
        """Records of `end` and later were not looked for: windows that reach past it are not complete."""
        for found in self.sources.values():
            found.holes.append(Hole(end))

    def _end(self, keyed: Keyed, ts_recv: int, out: list[Output]) -> None:
        self._unfinished = True
        self._move(keyed, NEVER - self.lateness - 1, ts_recv, out)
        self._unfinished = False

    # What comes out

    def _give(
        self, keyed: Keyed, ts_recv: int, flag: int, out: list[Output],
        pane: Pane, start: int, end: int, revision: int, retracted: bool,
    ) -> bool:  # fmt: skip
        whole = self._whole(keyed, start, end)
        names, dropped = tuple(keyed.sources), pane.dropped
        complete = whole and not dropped and not retracted and not self._unfinished
        window = Window(
            keyed.key, names[0] if len(names) == 1 else "", start, end, ts_recv, pane.records,
            self.plan.values(pane.cells, pane.records), complete, revision, (pane.flags & INHERITED) | flag, retracted, dropped,
        )  # fmt: skip
        out.append(window)
        self.counts["revised"] += revision > 0
        self.counts["rows_dropped"] += dropped if revision == 0 else 0
        return whole

    def _whole(self, keyed: Keyed, start: int, end: int) -> bool:
        return not any(found.touches(start, end) for found in keyed.sources.values())

    # What is missing

    def _said(self, said: Status, out: list[Output]) -> None:
        if said.channel not in self._channels:
            return
        if said.kind == "connected" and not said.instrument:
            known, number = self.connections.get(said.venue, 0), said.count or 0
            self.connections[said.venue] = number
            if number > known:
                return
        if said.kind not in BEGIN and said.kind != "recovered":
            return
        for found in self.sources.values():
            if concerns(said, found.instrument):
                if said.kind == "recovered":
                    changed = found.mend(said)
                else:
                    found.begin(said, self.limits.holes)
                    changed = True
                if changed:
                    self._recheck(found, said.ts_recv, out)

    def _recheck(self, found: Source, ts_recv: int, out: list[Output]) -> None:
        for keyed in self.keys.values():
            if found.instrument in keyed.sources:
                keyed.windows.recheck(partial(self._whole, keyed), partial(self._give, keyed, ts_recv, 0, out))

    # Keys

    def _source(self, name: str) -> Source:
        if len(self.sources) >= self.limits.keys:
            oldest = min(self.sources.values(), key=lambda s: (s.last, s.number))
            del self.sources[oldest.instrument]
        self.made += 1
        found = self.sources[name] = source(name, self.made)
        return found

    def _keyed(self, key: Key, ts_recv: int, out: list[Output]) -> Keyed:
        if len(self.keys) >= self.limits.keys:
            silent = sorted(self.keys.values(), key=lambda k: (k.watermark, k.number))
            for keyed in silent[: max(1, len(silent) // 10)]:
                self._drop(keyed, ts_recv, out)
                self.counts["keys_dropped"] += 1
        self.made += 1
        return self.enter(Keyed(key, self.made, self.windows_of(None)))

    def enter(self, keyed: Keyed) -> Keyed:
        self.keys[keyed.key] = self._numbered[keyed.number] = keyed
        return keyed

    def windows_of(self, state: GridState | SessionState | None) -> GridWindows | SessionWindows:
        if isinstance(self.kind, Grid):
            grid = state if isinstance(state, GridState) else GridState()
            return GridWindows(self.kind, self.plan, self.lateness, grid)
        runs = state if isinstance(state, SessionState) else SessionState()
        return SessionWindows(self.kind, self.plan, self.lateness, runs, self.limits.windows, self.counts)

    def _drop(self, keyed: Keyed, ts_recv: int, out: list[Output]) -> None:
        self._end(keyed, ts_recv, out)
        del self.keys[keyed.key], self._numbered[keyed.number]
