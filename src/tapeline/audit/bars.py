"""Bars against trades: every bar that was given out is made again from the trades, by another way.

The trades of each second are added up with `math.fsum`, longer bars from the shorter ones; the last edition of each bar of a
session is compared: open, high, low, close and the number of trades to the digit, sums to twelve digits (`fsum` adds the floats, the
bar adds the decimals they stand for). Of the intervals that are always made; bars of other kinds are held against the tape like
every event that is stored (lake.py). Bars near a trade that had no true time, or came too late for any bar, are not judged: it was
placed by other rules.
"""

from math import fsum, isclose

from tapeline.audit.report import Few, Report
from tapeline.clock import SECOND, iso
from tapeline.config import INTERVALS
from tapeline.events import Bar, Flag, Status, Trade

AGGREGATED, OFF_BOOK, BAD_TIME = int(Flag.AGGREGATED), int(Flag.OFF_BOOK), int(Flag.BAD_TIME)
NAMES = list(INTERVALS)
CLOSE = 1e-12
SLACK = 120 * SECOND


class _Made:
    """What the trades of one interval add up to. `parts`: sizes, sizes bought, prices × sizes, sizes sold."""

    __slots__ = ("close", "first", "high", "last", "low", "open", "parts", "trades")

    def __init__(self) -> None:
        self.first, self.last = 1 << 63, -1
        self.open = self.close = 0.0
        self.high, self.low = float("-inf"), float("inf")
        self.trades = 0
        self.parts: tuple[list[float], ...] = ([], [], [], [])

    def add(self, t: Trade) -> None:
        if t.ts_event < self.first:
            self.first, self.open = t.ts_event, t.price
        if t.ts_event >= self.last:
            self.last, self.close = t.ts_event, t.price
        self.high, self.low = max(self.high, t.price), min(self.low, t.price)
        self.trades += 1
        sizes, bought, money, sold = self.parts
        sizes.append(t.size)
        money.append(t.price * t.size)
        if t.side == "buy":
            bought.append(t.size)
        elif t.side == "sell":
            sold.append(t.size)

    def merge(self, other: "_Made") -> None:
        if other.first < self.first:
            self.first, self.open = other.first, other.open
        if other.last >= self.last:
            self.last, self.close = other.last, other.close
        self.high, self.low = max(self.high, other.high), min(self.low, other.low)
        self.trades += other.trades
        for mine, its in zip(self.parts, other.parts, strict=True):
            mine.append(fsum(its))


class BarsAgain:
    """One instrument's bars in one session. `late`: nanoseconds after which a trade revises no bar any more."""

    def __init__(self, instrument: str, late: int, *, inverse: bool) -> None:
        self.instrument, self.inverse = instrument, inverse
        self.compared = self.passed_over = 0
        self.wrong = Few()
        self._late = late + SLACK
        self._kind: int | None = None
        self._watermark = self._settled = 0
        # Where a trade was placed by other rules, by the venue's clock and ours: what is near cannot be judged.
        self._doubts: list[tuple[int, int]] = []
        self._made: list[dict[int, _Made]] = [{} for _ in NAMES]
        self._given: list[dict[int, Bar]] = [{} for _ in NAMES]

    def trade(self, t: Trade) -> None:
        if t.flags & OFF_BOOK:
            return
        if self._kind is None:
            self._kind = t.flags & AGGREGATED
        if t.flags & AGGREGATED != self._kind:
            return
        if t.flags & BAD_TIME or t.ts_event - t.ts_recv > 60 * SECOND:
            self._doubt(t.ts_recv)
        second = t.ts_event - t.ts_event % SECOND
        made = self._made[0].get(second)
        if made is None:
            made = self._made[0][second] = _Made()
        made.add(t)
        if t.ts_event > self._watermark and not t.flags & BAD_TIME:
            self._watermark = t.ts_event
            if t.ts_event - self._settled > self._late + 60 * SECOND:
                self._settled = t.ts_event - self._late
                self._settle(self._settled)

    def status(self, s: Status) -> None:
        if s.kind == "late":
            self._doubt(s.ts_recv)

    def begin_anew(self) -> None:
        """Frames were lost, and the session's own bars began anew: what is open now is not to be added to what follows."""
        self._settle(1 << 63)
        self._made, self._given = [{} for _ in NAMES], [{} for _ in NAMES]

    def _doubt(self, ts_recv: int) -> None:
        """Of a venue whose clock is years off the watermark stands still, and all is placed by ours."""
        here = (self._watermark, ts_recv)
        if not self._doubts or any(now - before > SECOND for now, before in zip(here, self._doubts[-1], strict=True)):
            self._doubts.append(here)

    def _doubted(self, start: int, end: int) -> bool:
        return any(start - self._late <= at <= end + self._late for places in self._doubts for at in places)

    def bar(self, b: Bar) -> None:
        if b.origin == "trades" and b.interval in INTERVALS:
            self._given[NAMES.index(b.interval)][b.ts_open] = b

    def _settle(self, until: int) -> None:
        """Compare what ends at or before `until` and hand it on to the next longer interval."""
        for level, name in enumerate(NAMES):
            width = INTERVALS[name]
            made, given = self._made[level], self._given[level]
            ended = sorted(start for start in made if start + width <= until)
            for start in ended:
                one = made.pop(start)
                if level + 1 < len(NAMES):
                    wider = INTERVALS[NAMES[level + 1]]
                    self._made[level + 1].setdefault(start - start % wider, _Made()).merge(one)
                bar = given.pop(start, None)
                if bar is None or self._doubted(start, start + width):
                    self.passed_over += 1
                else:
                    self._compare(bar, one)
            for start in [s for s in given if s + width <= until]:
                del given[start]
                if self._doubted(start, start + width):
                    self.passed_over += 1
                else:
                    self.wrong.add(f"{name} bar of {iso(start)}: there is no trade for it")
        self._doubts = [places for places in self._doubts if max(places) + 2 * INTERVALS[NAMES[-1]] > until]

    def _compare(self, bar: Bar, made: _Made) -> None:
        self.compared += 1
        volume, bought, money, sold = (fsum(part) for part in made.parts)
        exact = {"open": made.open, "high": made.high, "low": made.low, "close": made.close, "trades": made.trades}
        sums = {"volume": volume, "buy_volume": bought, "sell_volume": sold} | ({} if self.inverse else {"notional": money})
        off = [
            f"{name} {getattr(bar, name)!r}, the trades give {value!r}"
            for name, value in exact.items()
            if getattr(bar, name) != value
        ]
        for name, value in sums.items():
            told = getattr(bar, name)
            if told is not None and not isclose(told, value, rel_tol=CLOSE, abs_tol=1e-15):
                off.append(f"{name} {told!r}, the trades give {value!r}")
        if off:
            self.wrong.add(f"{bar.interval} bar of {iso(bar.ts_open)}: {'; '.join(off)}")

    def judge(self, session: str, report: Report) -> None:
        self._settle(1 << 63)
        about = {"session": session, "instrument": self.instrument}
        if self.wrong.count:
            text = f"{self.wrong.count} bars are not the sum of their trades"
            report.add("bars", "broken", text, count=self.wrong.count, details=self.wrong.details, **about)
        if self.compared:
            text = f"{self.compared} bars are made again from the trades" + (
                "" if self.wrong.count else ": every one is the same"
            )
            report.add("bars", "holds", text, count=self.compared, **about)
