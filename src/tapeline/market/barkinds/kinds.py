"""Bars that go by what was traded, not by time: every kind of `specs.py` at once, of one instrument.

Trades count in the order in which they arrive, each once, when it comes: one that is late, or was fetched after a hole
(RECOVERED), belongs to the bar that is open then. So a bar, once closed, holds what it holds. Bars begin anew with each session.

`ts_open` is the venue time of the first trade, `ts_event` the latest of any, each as far as it can be true (`chunks.placed`).
No two bars of a kind have the same `ts_open`, and it never goes back: where the trade's time is not past that of the bar before,
it is that one's plus a nanosecond. `revision` is 0 unless `complete` changes. That is judged by whole seconds, like that of bars of
time: it is False where a hole touches any second from the first to the last of its trades, and of a bar that is given out
unfinished. `ts_recv` is that of the trade that closed it.

`add` and `add_many` (or `add_columns`) make the same bars, to the last digit, in the same order: by the trade that closed them, then
by kind as they were named.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

import numpy as np

from tapeline.clock import SECOND
from tapeline.events import Bar, Event, Flag, Trade
from tapeline.market.barkinds import rules
from tapeline.market.barkinds.chunks import EXACT, SIDES, Chunk, Columns, Ints, chunks, integers, placed, signs
from tapeline.market.barkinds.specs import BarSpec, parse
from tapeline.market.barkinds.sums import INHERITED, Sum, derived
from tapeline.market.exact import Scale

HANDED_ON = INHERITED | int(Flag.LATE)
FEW = 32  # trades that are sooner added one by one
MOST_RECENT = 4096  # closed bars of a kind in the newest second, which a hole may still touch
MOST_TOUCHED = 256  # closed bars of a kind that a hole touches, which may turn out to be none
NAMES = {number: name for name, number in SIDES.items()}
Whole = Callable[[int, int], bool]
"""(start, end) -> whether no trade of that span of venue time, whole seconds, is missing."""


class Maker:
    """One kind: the bar that is filling, and those of which it may still turn out that a trade is missing, or none is."""

    __slots__ = ("name", "now", "opened", "recent", "rule", "touched")

    def __init__(self, name: str, rule: rules.Rule) -> None:
        self.name, self.rule = name, rule
        self.now: Sum | None = None
        self.opened = -1  # `ts_open` of the bar before
        self.recent: deque[Sum] = deque(maxlen=MOST_RECENT)
        self.touched: deque[Sum] = deque(maxlen=MOST_TOUCHED)

    def bar(self, ts: int) -> Sum:
        if self.now is None:
            self.now = Sum(ts, ts)
        return self.now

    def shaped(self, bar: Sum, price: Scale) -> list[Sum]:
        """What is given out for a bar that closed, with its times."""
        found = self.rule.shape(bar, price)
        for one in found:
            self.timed(one)
            self.opened = one.start
        return found

    def timed(self, bar: Sum) -> None:
        bar.start = max(bar.start, self.opened + 1)
        bar.end = max(bar.last, bar.start)

    def keep(self, bar: Sum) -> None:
        newest = _seconds(bar)[1]
        while self.recent and _seconds(self.recent[0])[1] < newest:
            if (settled := self.recent.popleft()).partial:
                self.touched.append(settled)
        self.recent.append(bar)

    def forget(self) -> None:
        self.now = None
        self.recent.clear()
        self.touched.clear()
        self.rule.reset()

    @property
    def kept(self) -> list[Sum]:
        return [*self.touched, *self.recent]


class Kinds:
    """`open_interest`: what bars bear that close from now on. `sides`, `contract_value`: as of `market.bars.Bars`."""

    def __init__(
        self,
        instrument: str,
        flags: int = 0,
        *,
        contract_value: float | None = None,
        sides: bool = True,
        whole: Whole | None = None,
    ) -> None:
        self.instrument, self.flags = instrument, flags
        self.open_interest: float | None = None
        self.makers: list[Maker] = []
        self._contract = None if contract_value is None else Fraction(repr(contract_value))
        self._sides, self._is_whole = sides, whole
        self._size, self._price = Scale(), Scale()
        self._last: int | None = None  # price of the trade before
        self._sign = 0

    @classmethod
    def of(cls, texts: Iterable[str], instrument: str = "", flags: int = 0) -> "Kinds":
        """Those of these texts. Raises UsageError."""
        made = cls(instrument, flags)
        for text in texts:
            made.also(parse(text))
        return made

    def also(self, spec: BarSpec) -> None:
        """Make this kind, too, from the next trade on; a view is made of bars where they are read, and bars of time elsewhere."""
        if spec.family in ("time", "heikin-ashi") or any(m.name == spec.text for m in self.makers):
            return
        if spec.family == "renko":
            self._rescale(1, self._price.widen(float(spec.amount)))
        self.makers.append(Maker(spec.text, rules.rule(spec, self._size, self._price, self._contract)))

    def add(self, trade: Trade, out: list[Event]) -> None:
        """Count one trade; the bars that it closes are appended."""
        t = trade
        self._add(placed(t.ts_event, t.ts_recv, t.flags), t.ts_recv, t.flags, t.price, t.size, SIDES[t.side], out)

    def add_many(self, trades: Sequence[Trade], out: list[Event]) -> None:
        if len(trades) < FEW:
            for trade in trades:
                self.add(trade, out)
        else:
            self.add_columns(Columns.of(trades), out)

    def add_columns(self, c: Columns, out: list[Event]) -> None:
        """As `add` for each row, in their order."""
        if not len(c.price):
            return
        (lots, more_size), (money, more_price) = integers(c.size, self._size), integers(c.price, self._price)
        self._rescale(more_size, more_price)
        if lots is None or money is None or _too_large(lots, money):
            self._one_by_one(c, out)
            return
        sign = signs(c.side, money, self._last, self._sign)
        for chunk in chunks(c, lots, money, sign):
            self._add_chunk(chunk, out)
        self._last, self._sign = int(money[-1]), int(sign[-1])

    def _one_by_one(self, c: Columns, out: list[Event]) -> None:
        for event, recv, flags, price, size, side in zip(*(column.tolist() for column in c), strict=True):
            self._add(placed(event, recv, flags), recv, flags, price, size, side, out)

    def _add(self, ts: int, ts_recv: int, flags: int, price: float, size: float, side: int, out: list[Event]) -> None:
        size_factor, price_factor = self._size.factor, self._price.factor
        volume, money = round(size * size_factor), round(price * price_factor)
        if volume / size_factor != size or money / price_factor != price or volume > EXACT or money > EXACT:
            self._rescale(self._size.widen(size), self._price.widen(price))
            volume, money = self._size.exact(size), self._price.exact(price)
        sign = side or self._ticked(money)
        self._last, self._sign = money, sign
        name, notional, inherited = NAMES[side], volume * money, flags & HANDED_ON
        for maker in self.makers:
            bar = maker.now or maker.bar(ts)
            _count(bar, ts, price, volume, notional, name)
            bar.flags |= inherited
            if maker.rule.take(volume, money, sign):
                maker.now = None
                self._give(maker, bar, ts_recv, out)

    def _ticked(self, money: int) -> int:
        if self._last is None or money == self._last:
            return self._sign
        return 1 if money > self._last else -1

    def _add_chunk(self, chunk: Chunk, out: list[Event]) -> None:
        closed: list[tuple[int, int, Maker, Sum]] = []
        for number, maker in enumerate(self.makers):
            ends = maker.rule.ends(chunk)
            parts = _parts(chunk, ends)
            if maker.now is not None:
                maker.now.follow(parts[0])
                parts[0], maker.now = maker.now, None
            closed += [(end, number, maker, bar) for end, bar in zip(ends, parts, strict=False)]
            if len(parts) > len(ends):
                maker.now = parts[-1]
        closed.sort(key=lambda found: found[:2])
        for end, _, maker, bar in closed:
            self._give(maker, bar, int(chunk.recv[end]), out)

    def _give(self, maker: Maker, bar: Sum, ts_recv: int, out: list[Event]) -> None:
        for one in maker.shaped(bar, self._price):
            one.interest = self.open_interest
            one.partial = not self._whole(one)
            maker.keep(one)
            out.append(self._bar(maker.name, one, ts_recv))

    def _whole(self, bar: Sum) -> bool:
        return self._is_whole is None or self._is_whole(*_seconds(bar))

    def judge_again(self, ts_recv: int, out: list[Event]) -> None:
        """A hole opened, or turned out to be none: bars that it touches are given out again."""
        for maker in self.makers:
            for bar in maker.kept:
                if self._whole(bar) == bar.partial:
                    bar.partial = not bar.partial
                    bar.revision += 1
                    out.append(self._bar(maker.name, bar, ts_recv))

    def open_bar(self, name: str, ts_recv: int) -> Bar | None:
        """The bar of that kind that is still filling."""
        maker = next((m for m in self.makers if m.name == name), None)
        if maker is None or (bar := maker.now) is None:
            return None
        return self._unfinished(maker, bar, ts_recv)

    def _unfinished(self, maker: Maker, bar: Sum, ts_recv: int) -> Bar:
        maker.timed(bar)
        bar.interest, bar.partial = self.open_interest, True
        return self._bar(maker.name, bar, ts_recv)

    def finish(self, ts_recv: int, out: list[Event]) -> None:
        """End of input: give out what is open, as incomplete. What comes after it begins anew."""
        self.judge_again(ts_recv, out)
        for maker in self.makers:
            if (bar := maker.now) is not None:
                out.append(self._unfinished(maker, bar, ts_recv))
                maker.opened = bar.start
            maker.forget()

    def _rescale(self, size: int, price: int) -> None:
        if size * price == 1:
            return
        if self._last is not None:
            self._last *= price
        for maker in self.makers:
            maker.rule.rescale(size, price)
            for bar in (*maker.kept, *([maker.now] if maker.now else [])):
                bar.widen(size, price)

    def _bar(self, name: str, bar: Sum, ts_recv: int) -> Bar:
        volume, buy, notional, vwap, sell = derived(bar, self._size.power, self._price.power, self._contract, self._sides)
        return Bar(
            self.instrument, bar.end, ts_recv, bar.flags | self.flags, name, bar.start, bar.open, bar.high, bar.low, bar.close,
            volume, buy, notional, vwap, bar.n, not bar.partial, bar.revision, "trades", sell, bar.interest,
        )  # fmt: skip


def _seconds(bar: Sum) -> tuple[int, int]:
    return bar.first - bar.first % SECOND, bar.last - bar.last % SECOND + SECOND


def _count(bar: Sum, ts: int, price: float, volume: int, notional: int, side: str) -> None:
    """As `Sum.add`, in the order of arrival."""
    if not bar.n:
        bar.open = price
    bar.close = price
    if ts < bar.first:
        bar.first = ts
    if ts > bar.last:
        bar.last = ts
    if price > bar.high:
        bar.high = price
    if price < bar.low:
        bar.low = price
    bar.volume += volume
    bar.notional += notional
    if side == "buy":
        bar.buy += volume
    elif side == "sell":
        bar.sell += volume
    bar.n += 1


def _too_large(lots: Ints, money: Ints) -> bool:
    return float(lots.max()) * (float(money.max()) + 1.0) > 1e18 or min(int(lots.min()), int(money.min())) < 0


def _parts(chunk: Chunk, ends: list[int]) -> list[Sum]:
    """The trades of a chunk, summed up from bar end to bar end, and what is left over."""
    starts = [0, *(end + 1 for end in ends)]
    if starts[-1] == chunk.n:
        starts.pop()
    last = [*ends, chunk.n - 1][: len(starts)]
    totals = [chunk.running(*which)[last].tolist() for which in _TOTALS]
    at = np.array(starts)
    columns = zip(
        chunk.ts[starts].tolist(), np.minimum.reduceat(chunk.ts, at).tolist(), np.maximum.reduceat(chunk.ts, at).tolist(),
        chunk.price[starts].tolist(), chunk.price[last].tolist(),
        np.maximum.reduceat(chunk.price, at).tolist(), np.minimum.reduceat(chunk.price, at).tolist(),
        np.bitwise_or.reduceat(chunk.flags, at).tolist(), *totals, starts, last,
        strict=True,
    )  # fmt: skip
    parts: list[Sum] = []
    before = (0, 0, 0, 0)
    for ts, first, latest, opened, closed, high, low, flags, volume, buy, sell, notional, start, end in columns:
        bar = Sum(ts, ts)
        bar.first, bar.last, bar.open, bar.close, bar.high, bar.low = first, latest, opened, closed, high, low
        bar.volume, bar.buy, bar.sell, bar.notional = (
            volume - before[0],
            buy - before[1],
            sell - before[2],
            notional - before[3],
        )
        bar.flags, bar.n = flags & HANDED_ON, end - start + 1
        before = volume, buy, sell, notional
        parts.append(bar)
    return parts


_TOTALS = (("volume", "all"), ("volume", "buy"), ("volume", "sell"), ("notional", "all"))
