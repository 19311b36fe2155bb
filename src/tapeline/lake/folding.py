"""Bars folded from the lake's trades, to the last digit what `market/bars.py` makes of them while they come.

The same rules, over whole columns: a bar is right-open and labelled by its open; `open` and `close` are of the earliest and latest
trade by venue time, ties by arrival; volume, notional and vwap are exact sums, rounded once. Left out, as there:

* trades flagged OFF_BOOK, which are no part of the market;
* trades that came too late for their bar. A stored status `late` follows each of them at once, so that its number is theirs + 1;
* of an instrument that streams single and aggregated trades, the kind that did not come first in its session: they are the same
  trades twice.

A trade flagged BAD_TIME, or more than a minute ahead of everything, is placed by our clock less the smallest lag seen until then
in its session; only where one is found is the session read from its beginning, and slowly.

Where sessions overlap (two recorders, an import beside a recording) a trade that both have counts once: by id and time, or, where
the venue gives no ids, by time, price, size and side, as often as in the session that has it most often.

Some hundred thousand trades are folded at a time, on two threads, and a bar that is longer goes on in the next lot: memory is
bounded, most of it stays in the caches, and what one lot used the next one uses again, since having fresh memory costs more than
the sums do.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tapeline.clock import parse_iso
from tapeline.events import Flag
from tapeline.lake import scan
from tapeline.lake.catalogue import Catalogue
from tapeline.lake.grids import NOWHERE, Even, Grid, Placed
from tapeline.lake.layout import DAY, date_text
from tapeline.lake.lots import lots, products, sums
from tapeline.lake.placing import placed, strange
from tapeline.lake.twins import without_twins

CHUNK = 250_000  # trades folded at once, at least
WORKERS = 2
COLUMNS = ("ts_event", "ts_recv", "flags", "price", "size", "side")
NAMES = (*COLUMNS, "session_id", "n", "id")
INHERITED = int(Flag.SIMULATED | Flag.AGGREGATED | Flag.RECOVERED | Flag.LATE)
OFF_BOOK, AGGREGATED = int(Flag.OFF_BOOK), int(Flag.AGGREGATED)
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Folded(msgspec.Struct):
    """What a bar adds up to. `volume`, `buy` and `sell` × 10^-`size_digits`, `notional` × 10^-(`size_digits` + `price_digits`)."""

    slot: int
    trades: int
    open: float
    high: float
    low: float
    close: float
    volume: int
    buy: int
    sell: int
    notional: int
    size_digits: int
    price_digits: int
    flags: int
    ts_recv: int

    def join(self, later: "Folded") -> None:
        """Go on with what came later of the same bar."""
        size, price = max(self.size_digits, later.size_digits), max(self.price_digits, later.price_digits)
        for part in (self, later):
            more_size, more_price = 10 ** (size - part.size_digits), 10 ** (price - part.price_digits)
            part.volume, part.buy, part.sell, part.notional = (
                part.volume * more_size, part.buy * more_size, part.sell * more_size, part.notional * more_size * more_price,
            )  # fmt: skip
            part.size_digits, part.price_digits = size, price
        self.trades += later.trades
        self.high, self.low, self.close = max(self.high, later.high), min(self.low, later.low), later.close
        self.volume, self.buy, self.sell = self.volume + later.volume, self.buy + later.buy, self.sell + later.sell
        self.notional += later.notional
        self.flags, self.ts_recv = self.flags | later.flags, max(self.ts_recv, later.ts_recv)


class Source(NamedTuple):
    """One instrument's trades in one state of the lake. `late`: (session, n) of the trades that came too late to count."""

    catalogue: Catalogue
    instrument: str
    late: frozenset[tuple[str, int]]


class Rows(msgspec.Struct):
    """Trades in the order of their place in time, ties by arrival."""

    ts: Ints
    recv: Ints
    flags: npt.NDArray[np.int32]
    price: npt.NDArray[np.float64]
    size: npt.NDArray[np.float64]
    buy: Mask
    sell: Mask

    def only(self, chosen: "Mask | Ints | slice") -> "Rows":
        return Rows(*(column[chosen] for column in msgspec.structs.astuple(self)))


def source(catalogue: Catalogue, instrument: str) -> Source:
    return Source(catalogue, instrument, _late(catalogue, instrument))


def fold(trades: Source, interval: Grid, start: int, end: int) -> list[Folded]:
    """The bars of the trades with `start` <= time < `end`; both should be where bars begin. Raises FileNotFoundError."""
    windows = [window for day in _days(trades, start, end) for window in _windows(trades, *day)]
    found: list[Folded] = []
    free = [np.empty((3, 2 * CHUNK), np.int64) for _ in range(WORKERS)]

    def part_of(window: tuple[int, int]) -> list[Folded]:
        memory = free.pop()
        try:
            return _folded(_rows(trades, *window), interval, memory)
        finally:
            free.append(memory)

    with ThreadPoolExecutor(WORKERS) as pool:
        for part in pool.map(part_of, windows):
            if found and part and found[-1].slot == part[0].slot:
                found[-1].join(part.pop(0))
            found += part
    return found


def counted(trades: Source, start: int, end: int) -> Iterator[Rows]:
    """The trades with `start` <= time < `end` that count for bars, by time, many at once. Raises FileNotFoundError."""
    for day in _days(trades, start, end):
        for window in _windows(trades, *day):
            yield _rows(trades, *window)


def slots(trades: Source, interval: Grid, start: int, end: int) -> set[int]:
    """The bars that may have trades with `start` <= time < `end`: what `fold` makes of them is another matter."""
    catalogue, found = trades.catalogue, set()
    files = scan.in_order(catalogue, catalogue.chosen("trade", [trades.instrument], start, end))
    ts = scan.numbers(scan.rows(files, ("ts_event",), column="ts_event", start=start, end=end), "ts_event")
    found.update(np.unique(interval.slot(ts[(ts >= start) & (ts < end)])).tolist())
    return found - {NOWHERE} if isinstance(interval, Placed) else found


def _days(trades: Source, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The days on which there may be trades, cut to the span asked for."""
    catalogue = trades.catalogue
    for day in sorted({f.date for f in catalogue.chosen("trade", [trades.instrument])}):
        first = parse_iso(day)
        if start < first + DAY and first < end:
            yield max(start, first), min(end, first + DAY)


def _windows(trades: Source, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Stretches of a day of about `CHUNK` trades each, from where a row group begins to where another one does."""
    catalogue, rows = trades.catalogue, 0
    files = scan.in_order(catalogue, catalogue.chosen("trade", [trades.instrument], start, end))
    groups = sorted((g.spans["ts_event"][0], g.rows) for _, found in files for g in found if g.meets("ts_event", start, end))
    for begin, count in groups if not _astray(trades, start) else ():
        if rows >= CHUNK and begin > start:
            yield start, begin
            start, rows = begin, 0
        rows += count
    yield start, end


def _late(catalogue: Catalogue, instrument: str) -> frozenset[tuple[str, int]]:
    files = scan.in_order(catalogue, catalogue.chosen("status", [instrument]))
    files = [(path, groups) for path, groups in files if any(g.may_hold("status", "late") for g in groups)]
    tables = scan.rows(files, ("status", "channel", "session_id", "n"), column="n", start=None, end=None)
    wanted = scan.equals(tables, "status", "late") & scan.equals(tables, "channel", "trades")
    if not wanted.any():
        return frozenset()
    names, codes = scan.texts(tables, "session_id")
    n = scan.numbers(tables, "n")
    return frozenset((names[c], int(i) - 1) for c, i in zip(codes[wanted].tolist(), n[wanted].tolist(), strict=True))


def _rows(trades: Source, start: int, end: int) -> Rows:
    catalogue, name = trades.catalogue, trades.instrument
    files = scan.in_order(catalogue, catalogue.chosen("trade", [name], start, end))
    there = [g for _, groups in files for g in groups if g.meets("ts_event", start, end)]
    several = len({s for g in there for s in g.spans.get("session_id", ("", "\uffff"))}) > 1
    names = NAMES if several or trades.late else COLUMNS
    tables = scan.rows(files, names, column="ts_event", start=start, end=end)
    rows = _taken(tables)
    if strange(rows.ts, rows.recv, rows.flags) or _astray(trades, start):
        files, names = scan.in_order(catalogue, catalogue.chosen("trade", [name])), NAMES
        tables = scan.rows(files, names, column="n", start=None, end=None)
        rows = _taken(tables)
        rows.ts = placed(rows.ts, rows.recv, rows.flags, *scan.texts(tables, "session_id"), scan.numbers(tables, "n"))
    if names is COLUMNS and not rows.flags.any():
        return _ordered(rows, start, end)
    keep = (rows.flags & OFF_BOOK) == 0
    if names is COLUMNS and _mixed(rows.flags[keep]):
        names = NAMES
        tables = scan.rows(files, names, column="ts_event", start=start, end=end)
    if names is NAMES:
        keep &= _counted(trades, tables, rows)
    if not keep.all():
        rows = rows.only(keep)
    return _ordered(rows, start, end)


def _mixed(flags: npt.NDArray[np.int32]) -> bool:
    """Whether single and aggregated trades stand beside each other."""
    kinds = flags & AGGREGATED
    return bool(len(kinds) and kinds.min() != kinds.max())


def _astray(trades: Source, start: int) -> bool:
    """Whether trades with a time that cannot be true lie in the folder of this day, wherever that time is."""
    catalogue, day = trades.catalogue, date_text(start // DAY)
    files = scan.in_order(catalogue, [f for f in catalogue.chosen("trade", [trades.instrument]) if f.date == day])
    marked = [
        (path, kept) for path, groups in files if (kept := tuple(g for g in groups if g.may_reach("flags", int(Flag.BAD_TIME))))
    ]
    flags = scan.numbers(scan.rows(marked, ("flags",), column="n", start=None, end=None), "flags")
    return bool((flags & int(Flag.BAD_TIME)).any())


def _taken(tables: Sequence[pa.Table]) -> Rows:
    ts, recv = (scan.numbers(tables, name) for name in ("ts_event", "ts_recv"))
    flags = scan.numbers(tables, "flags", np.int32)
    price, size = (scan.numbers(tables, name, np.float64) for name in ("price", "size"))
    return Rows(ts, recv, flags, price, size, scan.equals(tables, "side", "buy"), scan.equals(tables, "side", "sell"))


def _ordered(rows: Rows, start: int, end: int) -> Rows:
    if len(rows.ts) > 1 and (rows.ts[1:] < rows.ts[:-1]).any():
        rows = rows.only(np.argsort(rows.ts, kind="stable"))
    first, last = np.searchsorted(rows.ts, (start, end))
    return rows if last - first == len(rows.ts) else rows.only(slice(int(first), int(last)))


def _counted(trades: Source, tables: Sequence[pa.Table], rows: Rows) -> Mask:
    """Which rows count that bear no mark of their own."""
    names, codes = scan.texts(tables, "session_id")
    n = scan.numbers(tables, "n")
    keep = np.ones(len(n), np.bool_)
    for session, number in trades.late:
        if session in names:
            keep &= ~((codes == names.index(session)) & (n == number))
    for code, session in enumerate(names):
        mine = codes == code
        if _mixed(rows.flags[mine & ((rows.flags & OFF_BOOK) == 0)]):
            keep &= ~mine | ((rows.flags & AGGREGATED) == _first_kind(trades, session))
    if len(names) > 1:
        side = np.where(rows.buy, 1, 0)
        keep &= without_twins(tables, codes, rows.ts, rows.price, rows.size, side, keep)
    return keep


def _first_kind(trades: Source, session: str) -> int:
    """Whether the first trade of the session was aggregated: the flag, or 0."""
    catalogue = trades.catalogue
    first, kind = -1, 0
    for path, groups in scan.in_order(catalogue, catalogue.chosen("trade", [trades.instrument])):
        if not any(g.may_hold("session_id", session) for g in groups):
            continue
        tables = scan.rows([(path, groups)], ("flags", "session_id", "n"), column="n", start=None, end=None)
        flags, n = scan.numbers(tables, "flags"), scan.numbers(tables, "n")
        mine = scan.equals(tables, "session_id", session) & ((flags & OFF_BOOK) == 0)
        if mine.any() and (first < 0 or n[mine].min() < first):
            at = int(np.argmin(np.where(mine, n, np.iinfo(np.int64).max)))
            first, kind = int(n[at]), int(flags[at]) & AGGREGATED
    return kind


def _folded(rows: Rows, interval: Grid, memory: Ints) -> list[Folded]:
    """`memory`: three rows to compute in, new ones are taken where it is too short."""
    if isinstance(interval, Placed) and len(rows.ts):
        rows = rows.only(interval.slot(rows.ts) != NOWHERE)
    if not (count := len(rows.ts)):
        return []
    one, two, three = memory[:, :count] if count <= memory.shape[1] else np.empty((3, count), np.int64)
    numbers, starts = _runs(rows.ts, interval)
    ends = np.append(starts[1:], len(rows.ts))
    size, price = lots(rows.size, one), lots(rows.price, two)
    bought = sums(products(size.values, rows.buy, three), starts)
    sold = sums(products(size.values, rows.sell, three), starts)
    notional = sums(products(size.values, price.values, three), starts)
    columns: list[list[Any]] = [
        numbers, (ends - starts).tolist(),
        rows.price[starts].tolist(), np.maximum.reduceat(rows.price, starts).tolist(),
        np.minimum.reduceat(rows.price, starts).tolist(), rows.price[ends - 1].tolist(),
        sums(size.values, starts), bought, sold, notional,
        [size.digits] * len(starts), [price.digits] * len(starts),
        (np.bitwise_or.reduceat(rows.flags, starts) & INHERITED).tolist(), np.maximum.reduceat(rows.recv, starts).tolist(),
    ]  # fmt: skip
    return [Folded(*values) for values in zip(*columns, strict=True)]


def _runs(ts: Ints, interval: Grid) -> tuple[list[int], Ints]:
    """The bars that sorted times fall into, and where each begins. Few bars of many trades are found by bisection."""
    first, last = interval.slot(int(ts[0])), interval.slot(int(ts[-1]))
    if isinstance(interval, Even) and last - first < len(ts) // 8:
        edges = np.searchsorted(ts, interval.origin + np.arange(first, last + 2) * interval.width)
        filled = np.flatnonzero(np.diff(edges))
        return (filled + first).tolist(), edges[filled]
    numbers = interval.slot(ts)
    starts = np.flatnonzero(np.append(True, numbers[1:] != numbers[:-1]))
    return numbers[starts].tolist(), starts
