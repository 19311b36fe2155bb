"""One row of a CSV file as one event, or several rows as one book update; ready for the tape: (receive time, JSON)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from tapeline.config import INTERVALS
from tapeline.engine.connections import is_simulated
from tapeline.engine.plain import BadRow, Layout, Times, number, optional, side_of, truth
from tapeline.events import Bar, BookUpdate, Event, Flag, Level, Liquidation, Quote, Trade, to_json

INEXACT, AGGREGATED, SIMULATED = int(Flag.INEXACT), int(Flag.AGGREGATED), int(Flag.SIMULATED)
_WIDTHS = {"s": INTERVALS["1s"], "m": INTERVALS["1m"], "h": INTERVALS["1h"], "d": INTERVALS["1d"], "w": 7 * INTERVALS["1d"]}
Row = list[str]
Made = tuple[int, bytes]
Named = Callable[[Row], str]
Refuse = Callable[[int, str, Row], None]


class Timed(NamedTuple):
    """How a file tells time; `interval` of its bars, empty where each row names its own."""

    times: Times
    interval: str


def _cell(row: Row, columns: dict[str, int], role: str) -> str | None:
    """None where the file has no such column. Raises BadRow where this row has not."""
    if (place := columns.get(role)) is None:
        return None
    if place >= len(row):
        raise BadRow(f"it has {len(row)} columns, and {role} would be number {place + 1}")
    return row[place]


def _flags(name: str, *, inexact: bool = False) -> int:
    return (SIMULATED if is_simulated(name.partition(":")[0]) else 0) | (INEXACT if inexact else 0)


def _when(row: Row, columns: dict[str, int], times: Times) -> tuple[int, int]:
    """(`ts_event`, `ts_recv`)"""
    ts = times.read(_cell(row, columns, "time") or "")
    recv = _cell(row, columns, "recv")
    return ts, (times.read(recv) if recv and recv.strip() else ts)


def _ready(event: Event) -> Made:
    return event.ts_recv, to_json(event)


def event_of(row: Row, layout: Layout, timed: Timed, named: Named) -> Made:
    """Raises BadRow."""
    columns = layout.columns
    name = named(row)
    if layout.kind == "bars":
        return _bar(row, columns, timed, name)
    ts, recv = _when(row, columns, timed.times)
    if layout.kind == "quotes":
        return _quote(row, columns, name, ts, recv)
    price, p = number(_cell(row, columns, "price") or "", "price", positive=True)
    size, s = number(_cell(row, columns, "size") or "", "size", positive=True)
    flags = _flags(name, inexact=p or s) | (AGGREGATED if layout.aggregated else 0)
    side = side_of(_cell(row, columns, "side"), _cell(row, columns, "maker"))
    number_ = (_cell(row, columns, "id") or "").strip()
    if layout.kind == "liquidations":
        return _ready(Liquidation(name, ts, recv, flags, price, size, side, None, number_))
    return _ready(Trade(name, ts, recv, flags, price, size, side, number_))


def _quote(row: Row, columns: dict[str, int], name: str, ts: int, recv: int) -> Made:
    bid, ask = (optional(_cell(row, columns, role), role) for role in ("bid", "ask"))
    bid_size, ask_size = (optional(_cell(row, columns, role), role) for role in ("bid_size", "ask_size"))
    if bid is None and ask is None:
        raise BadRow("it has neither a bid nor an ask")
    return _ready(Quote(name, ts, recv, _flags(name), bid, bid_size, ask, ask_size, None, "venue"))


def _bar(row: Row, columns: dict[str, int], timed: Timed, name: str) -> Made:
    ts = timed.times.read(_cell(row, columns, "time") or "")
    interval = timed.interval or (_cell(row, columns, "interval") or "").strip()
    end = ts + width_of(interval)
    open_, high, low, close = (
        number(_cell(row, columns, role) or "", role, positive=True)[0] for role in ("open", "high", "low", "close")
    )
    if not low <= min(open_, close) or not high >= max(open_, close):
        raise BadRow(f"high {high} and low {low} do not hold open and close")
    volume = number(_cell(row, columns, "volume") or "", "volume")[0]
    if volume < 0:
        raise BadRow(f"volume is {volume}")
    trades, buys, notional = (optional(_cell(row, columns, role), role) for role in ("trades", "buy_volume", "notional"))
    vwap = notional / volume if notional is not None and volume else None
    count = None if trades is None else int(trades)
    figures = (open_, high, low, close, volume, buys, notional, vwap, count)
    return _ready(Bar(name, end, end, _flags(name), interval, ts, *figures, complete=True, revision=0, origin="venue"))


def width_of(interval: str) -> int:
    """Raises BadRow where it is none."""
    if not interval[:-1].isdigit() or interval[-1:] not in _WIDTHS:
        raise BadRow(f"{interval!r} is no interval")
    return int(interval[:-1]) * _WIDTHS[interval[-1]]


class _Level(NamedTuple):
    name: str
    ts: int
    recv: int
    snapshot: bool
    more: int | None
    side: str
    level: Level | None

    def follows(self, other: "_Level") -> bool:
        """Whether this is of the same update. `more` says how many rows follow, where the file has it."""
        if other.more is not None:
            return other.more > 0
        return (self.name, self.ts, self.recv, self.snapshot) == (other.name, other.ts, other.recv, other.snapshot)


def book_rows(rows: Iterable[tuple[int, Row]], layout: Layout, times: Times, named: Named, refuse: Refuse) -> Iterator[Made]:
    """Rows of a level each, those of one update put together."""
    gathered: list[_Level] = []
    for line, row in rows:
        try:
            level = _level(row, layout.columns, times, named)
        except BadRow as e:
            refuse(line, str(e), row)
            continue
        if gathered and not level.follows(gathered[-1]):
            yield _update(gathered)
            gathered = []
        gathered.append(level)
    if gathered:
        yield _update(gathered)


def _level(row: Row, columns: dict[str, int], times: Times, named: Named) -> _Level:
    ts, recv = _when(row, columns, times)
    snapshot = truth(_cell(row, columns, "snapshot") or "", "is_snapshot")
    more = optional(_cell(row, columns, "more"), "more")
    side = (_cell(row, columns, "side") or "").strip().lower()
    if not side and more == 0:  # an update without levels: a snapshot that clears the book
        return _Level(named(row), ts, recv, snapshot, 0, "", None)
    if side not in ("bid", "ask", "buy", "sell"):
        raise BadRow(f"side {side[:40]!r} is neither bid nor ask")
    price = number(_cell(row, columns, "price") or "", "price", positive=True)[0]
    size = number(_cell(row, columns, "size") or "", "size")[0]
    if size < 0:
        raise BadRow(f"size is {size}")
    left = None if more is None else int(more)
    return _Level(named(row), ts, recv, snapshot, left, "bid" if side in ("bid", "buy") else "ask", (price, size))


def _update(levels: Sequence[_Level]) -> Made:
    first = levels[0]
    bids, asks = ([at.level for at in levels if at.side == side and at.level is not None] for side in ("bid", "ask"))
    flags = _flags(first.name) | (int(Flag.SNAPSHOT) if first.snapshot else 0)
    return _ready(BookUpdate(first.name, first.ts, first.recv, flags, bids, asks, first.snapshot, None, None))


def whole_books(rows: Iterable[tuple[int, Row]], layout: Layout, times: Times, named: Named, refuse: Refuse) -> Iterator[Made]:
    """A row with the best levels is a whole book. The first one is a snapshot; from one to the next, what changed."""
    books: dict[str, tuple[dict[float, float], dict[float, float]]] = {}
    for line, row in rows:
        try:
            name, (ts, recv) = named(row), _when(row, layout.columns, times)
            now = _sides(row, layout)
        except BadRow as e:
            refuse(line, str(e), row)
            continue
        before = books.get(name)
        books[name] = now
        flags = _flags(name) | (0 if before else int(Flag.SNAPSHOT))
        bids, asks = (_changed(b, n) for b, n in zip(before or ({}, {}), now, strict=True))
        yield _ready(BookUpdate(name, ts, recv, flags, bids, asks, before is None, None, None))


def _sides(row: Row, layout: Layout) -> tuple[dict[float, float], dict[float, float]]:
    sides: dict[str, dict[float, float]] = {"bids": {}, "asks": {}}
    for side, price, size in layout.levels:
        if max(price, size) >= len(row):
            raise BadRow(f"it has {len(row)} columns, and level prices go on to number {max(price, size) + 1}")
        if row[price].strip():
            sides[side][number(row[price], "price", positive=True)[0]] = number(row[size], "amount")[0]
    return sides["bids"], sides["asks"]


def _changed(before: dict[float, float], now: dict[float, float]) -> list[Level]:
    gone = [(price, 0.0) for price in before if price not in now]
    return gone + [(price, size) for price, size in now.items() if before.get(price) != size]
