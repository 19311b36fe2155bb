"""Bars of one instrument in event time: seconds built from trades, every longer interval cascaded from the one before.

Further bars of time (`also`: `7s`, `1d@America/New_York`) begin and end on whole seconds as well, so they are made from the seconds;
kinds that go by what was traded (`kinds`) are fed by whoever feeds this, trade by trade, and judged whole or not by the same holes.

A bar covers [ts_open, ts_open + interval). It closes when the watermark (the latest trade's venue time) passes its end, or by
clock: when ours, corrected by the smallest lag seen (ts_recv − ts_event, negative where our clock is behind), passes the end plus
a grace. What comes later still counts: the closed bar is corrected and given out again with `revision` + 1, in every
interval that has closed, as long as it is not later than `late_seconds`.

Volume and notional are sums of integers (see exact.py), so a bar equals the sum of its trades to the last digit, and a minute
equals the sum of its seconds. Of inverse contracts, whose sizes are numbers of contracts, the notional is contracts × contract
value; their vwap is weighted by contracts, as everyone's is by sizes. `open` and `close` are of the earliest and the latest trade
by venue time, ties by arrival.

A venue time more than a minute ahead of everything before it, and of our clock, cannot be true (it would close every bar of that
minute); such a trade, like one flagged BAD_TIME, is placed by our clock. Where a false time was believed all the same (nothing came
before it), every true one is too late from then on: after a run of those the bars begin anew.

`complete` is False for a bar that the feed began inside, that a hole (a gap, a lost connection) touches, or that is given out
unfinished. Holes are kept as spans of venue time; one whose trades were fetched after all is mended, and the bars that it
touched are given out again, complete.
"""

from collections.abc import Iterable, Iterator
from copy import copy
from fractions import Fraction

from tapeline.clock import MILLI, SECOND
from tapeline.config import INTERVALS, PipelineSettings
from tapeline.events import Bar, Event, Flag, Trade
from tapeline.market.barkinds.kinds import Kinds
from tapeline.market.barkinds.slots import Fixed
from tapeline.market.barkinds.specs import BarSpec
from tapeline.market.barkinds.sums import INHERITED, NEVER, Hole, Level, Sum, derived
from tapeline.market.exact import Scale

# Plain integers: IntFlag's operators cost a microsecond each.
BAD_TIME = int(Flag.BAD_TIME)
LATE = int(Flag.LATE)
RECOVERED = int(Flag.RECOVERED)

JUMP = 60 * SECOND
MOST_HOLES = 256
TOO_LATE_RUN = 50  # so many trades too late, and none in time: what they are late for was never true
ROUND = 1.5 * 2**52
EXACT = 1 << 50  # past it the errors of a float64 and of scaling it may add up to half an integer, so rounding may miss


class Bars:
    """`due` is when the clock closes the next bar (our clock, ns); whoever feeds it calls `close_by_clock` then."""

    def __init__(
        self,
        instrument: str,
        settings: PipelineSettings,
        flags: int = 0,
        *,
        contract_value: float | None = None,
        sides: bool = True,
    ) -> None:
        """`contract_value`: of one contract in the quote asset, where the instrument is inverse. `sides`: whether the venue tells
        who bought; without that a bar has no `buy_volume`.
        """
        self._sides = sides
        self.instrument, self.flags = instrument, flags
        self._contract = None if contract_value is None else Fraction(repr(contract_value))
        self.levels = [Level(name, Fixed(width)) for name, width in INTERVALS.items()]  # each from the one before
        self.further: list[Level] = []  # each from the seconds
        self._longer = [self.levels[i + 1 : i + 2] for i in range(len(self.levels))]  # which are made from each
        self.kinds = Kinds(instrument, flags, contract_value=contract_value, sides=sides, whole=self.whole)
        self.due = NEVER
        self.revised = 0
        self._grace = settings.bar_grace_ms * MILLI
        self._late = settings.late_seconds * SECOND
        self._size, self._price = Scale(), Scale()
        self._watermark = -1
        self._closed_until = -1  # every bar that ends at or before this venue time is closed
        self.closed_second = -1  # a trade before this venue time is late: its second is closed
        self._lag: int | None = None
        self._open_hole: Hole | None = Hole(-1)  # the feed begins inside a bar
        self._holes = [self._open_hole]
        self._too_late = (0, -1)  # how many in a row, at which watermark

    @property
    def open_interest(self) -> float | None:
        """The last that the venue told."""
        return self.kinds.open_interest

    @open_interest.setter
    def open_interest(self, value: float | None) -> None:
        self.kinds.open_interest = value

    def also(self, specs: Iterable[BarSpec]) -> None:
        """Make these kinds, too, from now on. A bar that would have begun before is incomplete."""
        names = {level.name for level in (*self.levels, *self.further)}
        for spec in specs:
            if spec.family != "time":
                self.kinds.also(spec)
            elif spec.slots is not None and spec.text not in names:
                names.add(spec.text)
                now = self.levels[0].now
                level = Level(spec.text, copy(spec.slots), now.start if now else self.closed_second)
                self.further.append(level)
                self._longer[0].append(level)

    def add(self, trade: Trade, out: list[Event]) -> bool:
        """Count one trade; closed and corrected bars are appended. False: it came too late for any bar."""
        ts, size, price = trade.ts_event, trade.size, trade.price
        size_factor, price_factor, lag = self._size.factor, self._price.factor, self._lag
        volume, money = round(size * size_factor), round(price * price_factor)
        if volume / size_factor != size or money / price_factor != price or volume > EXACT or money > EXACT:
            volume, money = self._widen(size, price)
        if lag is None or trade.ts_recv - ts < lag or trade.flags & BAD_TIME:
            ts = self._place(trade)
        if self._open_hole is not None and not trade.flags & RECOVERED:
            self._open_hole.until, self._open_hole = ts, None
        now = self.levels[0].now
        if now is None or not now.start <= ts < now.end:
            if ts < self.closed_second:
                return self._add_late(ts, price, volume, volume * money, trade, out)
            self._close_until(ts, trade.ts_recv, out)
            now = self.levels[0].now = Sum(ts - ts % SECOND, ts - ts % SECOND + SECOND)
            self._set_due()
        now.add(ts, price, volume, volume * money, trade.side)
        now.flags |= trade.flags & INHERITED
        if ts > self._watermark:
            self._watermark = ts
        return True

    def add_many(self, trades: Iterable[Trade], out: list[Event]) -> None:
        """`add` for a run of trades, with the state of the open second in local variables: twice as quick."""
        left = iter(trades)
        trade = next(left, None)
        while trade is not None:
            self.add(trade, out)
            trade = self._run(left, trade.flags)

    def _run(self, trades: Iterator[Trade], flags: int) -> Trade | None:
        """Take trades while they fall in order into the open second and bear these flags; the first that does not, None at the end.

        The run is summed up in floats that hold whole numbers: exact up to `EXACT`, and half as dear as integers. Adding `ROUND` and
        taking it away rounds.
        """
        now, lag = self.levels[0].now, self._lag
        if now is None or lag is None or flags & BAD_TIME:
            return next(trades, None)
        factor, price_factor, end, whole, most = self._size.factor, self._price.factor, now.end, ROUND, float(EXACT)
        last, high, low, close = now.last, now.high, now.low, now.close
        volume = buy = sell = notional = 0.0
        n, trade = 0, None
        for trade in trades:
            ts, price, size = trade.ts_event, trade.price, trade.size
            lots, money = size * factor + whole - whole, price * price_factor + whole - whole
            sold = notional + lots * money
            if (
                not last <= ts < end
                or trade.ts_recv - ts < lag
                or lots / factor != size
                or money / price_factor != price
                or not notional < sold <= most
                or trade.flags != flags
            ):
                break
            last, notional = ts, sold
            if price != close:
                close = price
                if price > high:
                    high = price
                elif price < low:
                    low = price
            volume += lots
            if trade.side == "buy":
                buy += lots
            elif trade.side == "sell":
                sell += lots
            n += 1
        else:
            trade = None
        now.last, now.high, now.low, now.close = last, high, low, close
        now.volume += int(volume)
        now.buy += int(buy)
        now.sell += int(sell)
        now.notional += int(notional)
        now.n += n
        now.flags |= flags & INHERITED if n else 0
        self._watermark = max(self._watermark, last)
        return trade

    def close_by_clock(self, now: int, out: list[Event]) -> None:
        """Close every bar whose end plus grace has passed at `now` (our clock)."""
        if self._lag is not None and now >= self.due:
            self._close_until(now - self._grace - self._lag, now, out)
            self._set_due()

    def damage(self, ts_recv: int, out: list[Event], until: int | None = None) -> Hole:
        """Trades are missing from the last one counted up to `until` (venue time; None: until the next one comes)."""
        if self._open_hole is not None:
            hole = self._open_hole
            if until is not None:
                hole.until, self._open_hole = until, None
            return hole
        hole = Hole(self._watermark, NEVER if until is None else max(until, self._watermark))
        touched = [
            (lv, bar)
            for lv in self._all()
            for bar in lv.closed.values()
            if hole.touches(bar.start, bar.end) and self._whole(bar)
        ]
        self._holes.append(hole)
        if until is None:
            self._open_hole = hole
        if len(self._holes) > MOST_HOLES:
            first, second = self._holes[:2]
            self._holes[:2] = [Hole(first.since, max(first.until, second.until))]
        for level, bar in touched:
            self._revise(level, bar, ts_recv, out, 0)
        self.kinds.judge_again(ts_recv, out)
        return hole

    def mend(self, hole: Hole, ts_recv: int, out: list[Event]) -> None:
        """Nothing is missing in this hole any more: give the bars out again that are complete without it."""
        if hole not in self._holes:
            return
        self._holes.remove(hole)
        if hole is self._open_hole:
            self._open_hole = None
        for level in self._all():
            for bar in level.closed.values():
                if hole.touches(bar.start, bar.end) and self._whole(bar):
                    self._revise(level, bar, ts_recv, out, 0)
        self.kinds.judge_again(ts_recv, out)

    def _all(self) -> list[Level]:
        return self.levels + self.further if self.further else self.levels

    def whole_since(self, ts: int) -> bool:
        """Whether no trade later than this venue time is known to be missing."""
        return not any(hole.until > ts for hole in self._holes)

    def whole(self, start: int, end: int) -> bool:
        """Whether no trade of [`start`, `end`), venue time, is known to be missing."""
        for hole in self._holes:  # noqa: SIM110 - a generator is slow, and each bar that closes asks
            if hole.since < end and start <= hole.until:
                return False
        return True

    def _whole(self, bar: Sum) -> bool:
        return not bar.partial and self.whole(bar.start, bar.end)

    def open_bar(self, interval: str, ts_recv: int) -> Bar | None:
        """The bar of that kind that is still filling, with what its shorter intervals hold already."""
        level = next((lv for lv in self._all() if lv.name == interval), None)
        if level is None:
            return self.kinds.open_bar(interval, ts_recv)
        shorter = self.levels[: self.levels.index(level)] if level in self.levels else self.levels[:1]
        parts = [part for lv in (level, *reversed(shorter)) if (part := lv.now) is not None]
        span = level.slots.span(parts[0].start) if parts else None
        if span is None:
            return None
        total = level.made(*span)
        for part in parts:
            if part.end <= total.end:  # the second may be of no bar, or of the next one
                total.merge(part)
        total.interest = self.open_interest
        return self._bar(interval, total, ts_recv, 0) if total.n else None

    def finish(self, ts_recv: int, out: list[Event]) -> None:
        """End of input: give out what is open, as incomplete."""
        self._end(ts_recv, out)
        self.kinds.finish(ts_recv, out)

    def _end(self, ts_recv: int, out: list[Event]) -> None:
        if self._open_hole is None:
            self._open_hole = Hole(self._watermark)
            self._holes.append(self._open_hole)
        self._close_until(NEVER, ts_recv, out)

    def _place(self, trade: Trade) -> int:
        """The venue time to file a trade under whose time is ahead of all before it, or known to be bad."""
        lag = trade.ts_recv - trade.ts_event
        bad = bool(trade.flags & BAD_TIME)
        if bad or (self._lag is not None and lag < min(self._lag, 0) - JUMP):
            return trade.ts_recv - (self._lag or 0)
        self._lag = lag
        self._set_due()
        return trade.ts_event

    def _close_until(self, ts: int, ts_recv: int, out: list[Event]) -> None:
        """Close, shortest first, every open bar that ends at or before `ts`, each into the next longer one."""
        for i, level in enumerate(self.levels):
            bar = level.now
            if bar is None or bar.end > ts:
                continue
            level.now = None
            for longer in self._longer[i]:
                if (into := longer.now or longer.opened(bar.start)) is not None:
                    into.merge(bar)
            self._close(level, bar, ts_recv, out)
        for level in self.further:
            if (bar := level.now) is not None and bar.end <= ts:
                level.now = None
                self._close(level, bar, ts_recv, out)
        if ts > self._closed_until:
            self._closed_until, self.closed_second = ts, ts - ts % SECOND

    def _close(self, level: Level, bar: Sum, ts_recv: int, out: list[Event]) -> None:
        bar.interest = self.open_interest
        self._remember(level, bar)
        out.append(self._bar(level.name, bar, ts_recv, bar.flags))

    def _remember(self, level: Level, bar: Sum) -> None:
        level.closed[bar.start] = bar
        horizon = self._watermark - self._late
        while len(level.closed) > 1 and (oldest := next(iter(level.closed.values()))).end <= horizon:
            del level.closed[oldest.start]

    def _add_late(self, ts: int, price: float, volume: int, notional: int, trade: Trade, out: list[Event]) -> bool:
        """Correct the closed bars that hold `ts`, up to the first one that is still open: the longer ones follow from it."""
        if ts < self._watermark - self._late:
            return self._add_too_late(trade, out)
        self._watermark = max(self._watermark, ts)
        for level in self.levels:
            if self._correct(level, ts, price, (volume, notional), trade, out):
                break
        for level in self.further:
            self._correct(level, ts, price, (volume, notional), trade, out)
        self._set_due()
        return True

    def _correct(self, level: Level, ts: int, price: float, amounts: tuple[int, int], trade: Trade, out: list[Event]) -> bool:
        """Count a late trade in its bar of one interval; whether that one is open still."""
        if (span := level.slots.span(ts)) is None:
            return True
        is_open = span[1] > self._closed_until
        bar = level.opened(ts) if is_open else level.closed.get(span[0])
        if bar is None:
            bar = level.closed[span[0]] = level.made(*span)
            bar.revision, bar.interest = -1, self.open_interest
        bar.add(ts, price, *amounts, trade.side)
        bar.flags |= trade.flags & INHERITED
        if not is_open:
            self._revise(level, bar, trade.ts_recv, out, LATE)
        return is_open

    def _add_too_late(self, trade: Trade, out: list[Event]) -> bool:
        run, watermark = self._too_late
        self._too_late = (run + 1 if watermark == self._watermark else 1, self._watermark)
        if self._too_late[0] < TOO_LATE_RUN:
            return False
        self._end(trade.ts_recv, out)
        for level in self._all():
            level.closed.clear()
            level.since = -1
        self._watermark = self._closed_until = self.closed_second = -1
        self._lag, self._open_hole = None, Hole(-1)
        self._holes = [self._open_hole]
        return self.add(trade, out)

    def _revise(self, level: Level, bar: Sum, ts_recv: int, out: list[Event], flag: int) -> None:
        bar.revision += 1
        self.revised += 1
        out.append(self._bar(level.name, bar, ts_recv, bar.flags | flag))

    def _set_due(self) -> None:
        ends = [level.now.end for level in self._all() if level.now is not None]
        self.due = min(ends) + self._grace + self._lag if ends and self._lag is not None else NEVER

    def _widen(self, size: float, price: float) -> tuple[int, int]:
        grow_size, grow_price = self._size.widen(size), self._price.widen(price)
        if grow_size * grow_price > 1:
            for level in self._all():
                for bar in [*level.closed.values(), *([level.now] if level.now else [])]:
                    bar.widen(grow_size, grow_price)
        return self._size.exact(size), self._price.exact(price)

    def _bar(self, interval: str, bar: Sum, ts_recv: int, flags: int) -> Bar:
        volume, buy, notional, vwap, sell = derived(bar, self._size.power, self._price.power, self._contract, self._sides)
        return Bar(
            self.instrument, bar.end, ts_recv, int(flags) | self.flags, interval, bar.start, bar.open, bar.high, bar.low, bar.close,
            volume, buy, notional, vwap, bar.n, self._whole(bar), bar.revision, "trades", sell, bar.interest,
        )  # fmt: skip
