"""Bars made of bars: each bar once, by time, of one instrument and one kind; live ones or stored ones.

**Heikin-Ashi** (D. Valcu, Using the Heikin-Ashi technique, Technical Analysis of Stocks & Commodities 22:2, 2004):

    close = (o + h + l + c) / 4        high = max(h, open, close)
    open  = (open + close of the Heikin-Ashi bar before) / 2, of the first (o + c) / 2        low = min(l, open, close)

Each depends on all before it, so what comes out depends on where one begins, less by half with every bar. What was traded (volume,
notional, vwap, trades) stays as it is. They are no prices that anybody traded at: nothing is to be filled at them.

**Filled**: an interval in which nothing was traded has no bar, unless it is asked for. Then it is the close before, four times,
with `trades` and every volume 0 and no vwap, flagged `FILLED`; `complete` where the bars before and behind it are. Nothing is
filled before the first bar, nor after the last, nor where the exchange was closed. `ts_recv` is that of the bar behind it,
which was the first to tell that nothing was traded.
"""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from tapeline.errors import UsageError
from tapeline.events import Bar, Flag
from tapeline.market.barkinds.slots import Slots
from tapeline.market.barkinds.specs import BarSpec


def heikin_ashi(bars: Iterable[Bar]) -> Iterator[Bar]:
    """As many as there are given."""
    before: Bar | None = None
    for b in bars:
        opened = (b.open + b.close) / 2 if before is None else (before.open + before.close) / 2
        closed = (b.open + b.high + b.low + b.close) / 4
        high, low = max(b.high, opened, closed), min(b.low, opened, closed)
        before = replace(b, interval=f"heikin-ashi:{b.interval}", open=opened, high=high, low=low, close=closed)
        yield before


def filled(bars: Iterable[Bar], spec: BarSpec) -> Iterator[Bar]:
    """The bars, and between them those in which nothing was traded. Raises UsageError where the kind does not go by time."""
    if spec.slots is None:
        raise UsageError(f"{spec.text}: only bars of time can be empty; leave the filling out, or name one as in 1m")
    return _filled(bars, spec.slots)


def _filled(bars: Iterable[Bar], slots: Slots) -> Iterator[Bar]:
    before: Bar | None = None
    for bar in bars:
        if before is not None:
            for start, end in _between(slots, before.ts_event, bar.ts_open):
                yield _empty(before, bar, start, end)
        yield bar
        before = bar


def _between(slots: Slots, start: int, end: int) -> Iterator[tuple[int, int]]:
    at: int | None = start
    while at is not None and at < end:
        if (span := slots.span(at)) is None:
            at = slots.resume(at)
        else:
            yield span
            at = span[1]


def _empty(before: Bar, behind: Bar, start: int, end: int) -> Bar:
    price, sided = before.close, before.buy_volume is not None
    return Bar(
        before.instrument, end, behind.ts_recv, before.flags & Flag.SIMULATED | Flag.FILLED, before.interval, start,
        price, price, price, price, 0.0, 0.0 if sided else None, 0.0, None, 0, before.complete and behind.complete, 0,
        before.origin, 0.0 if sided else None, before.open_interest,
    )  # fmt: skip
