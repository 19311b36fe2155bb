"""What the API scrolls back to, out of the lake and the memory of the session that records: the newest so many before a time.

Nobody says how far back so many reach, and looking at all there is would take too long. So it is looked at piece by piece, from
the end backwards, each piece read like any other question to the lake. A question has until its `deadline`: then what was found
is the page, and `more` says that it goes on. `until` (ns) is the present: in a recording that is played nothing of the lake is
shown that was heard or closed later.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from tapeline.clock import SECOND, Clock
from tapeline.errors import UsageError
from tapeline.events import Bar, Event, Trade
from tapeline.lake import books, folding, rows
from tapeline.lake.bars import bars, named
from tapeline.lake.books import BookAt
from tapeline.lake.catalogue import Catalogue, read
from tapeline.lake.layout import DAY
from tapeline.lake.paging import newest
from tapeline.lake.sql import Limits, QueryTooBig, Question
from tapeline.market.columns import Step, column, raw
from tapeline.market.footprint import MOST_CELLS, Footprint, footprint
from tapeline.market.profile import AGGREGATED, OFF_BOOK, Profile, profile

LONGEST = 7 * DAY
"""Of bars that are looked at in one go: as much as memory holds of their seconds."""
SHORTEST = 600 * SECOND
WINDOWS = (SECOND * 3600, DAY, 30 * DAY, None)
ONE_MICRO = 20_000
"""Trades of one microsecond that are given at most."""
COLUMNS_AT_ONCE = 60


class Page(NamedTuple):
    """Rows, oldest first."""

    rows: list[Any]
    more: bool


class Span(msgspec.Struct, frozen=True):
    """`start` <= time < `end`, the newest `limit` of it; see the header for `until`."""

    start: int
    end: int
    limit: int
    until: int


class Patience(NamedTuple):
    clock: Clock
    deadline: int

    @property
    def over(self) -> bool:
        return self.clock.now() >= self.deadline


def events(kind: type[Event], table: pa.Table) -> list[Any]:
    return [event for batch in table.combine_chunks().to_batches() for event in rows.events(kind, batch)]


# Bars


def newest_bars(catalogue: Catalogue, instrument: str, interval: str, span: Span, patience: Patience) -> Page:
    """Those that were made from trades, of any kind but a view."""
    asked = named(interval)
    files = [f for kind in ("trade", "bar") for f in catalogue.chosen(kind, [instrument], None, span.end)]
    if asked.slots is None:
        made = _heard(bars(catalogue, instrument, asked.text, end=span.end), span.until)
        return Page(*newest([bar for bar in made if bar.ts_open >= span.start], span.limit, _opened))
    width = asked.slots.width
    begin, at = max(span.start, min((f.first_ts for f in files), default=span.end) - width), span.end
    found: list[Bar] = []
    piece = min(max((span.limit + 1) * width, SHORTEST), max(LONGEST, 2 * width))
    while at > begin and len(found) <= span.limit and not (patience.over and found):
        at = min(at, max((f.last_ts for f in files if f.first_ts < at), default=begin) + 1)
        start = max(begin, at - piece)
        found = _heard(bars(catalogue, instrument, asked.text, start=start, end=at), span.until) + found
        at, piece = start, min(2 * piece, max(LONGEST, 2 * width))
    page, more = newest(found, span.limit, _opened, more=at > begin)
    return Page(page, more)


def _opened(bar: Bar) -> int:
    return bar.ts_open


def _heard(table: pa.Table, until: int) -> list[Bar]:
    return [bar for bar in events(Bar, table) if bar.ts_event <= until and bar.ts_recv <= until]


def venue_bars(data: Path, instrument: str, interval: str, span: Span, limits: Limits) -> Page:
    """The venue's own candles."""
    where = "instrument = $name AND interval = $interval AND origin = 'venue' AND ts_open >= $start AND ts_open < $end"
    sql = f"SELECT * FROM bars WHERE {where} AND ts_recv <= $until ORDER BY ts_open DESC LIMIT $most"  # noqa: S608  our own
    params = {"name": instrument, "interval": interval, **_params(span)}
    found = Question(sql, params, limits).ask(data).table
    return Page(*newest(events(Bar, found)[::-1], span.limit, _opened))


def _params(span: Span) -> dict[str, int]:
    return {"start": span.start, "end": span.end, "until": span.until, "most": span.limit + 1}


# Trades


def newest_trades(data: Path, instrument: str, span: Span, session: str, seam: int, limits: Limits) -> Page:
    """By venue time. Of `session` those that came (our clock) up to `seam` only: what came later is in its memory."""
    files = read(data).chosen("trade", [instrument], None, span.end)
    last = min(span.end, max((f.last_ts for f in files), default=span.end))
    first = min((f.first_ts for f in files), default=0)
    found: list[Trade] = []
    for window in WINDOWS if files else (None,):
        start = span.start if window is None else max(span.start, last - window)
        told = msgspec.structs.replace(span, start=start)
        found = _trades(data, instrument, told, session, seam, limits)
        if len(found) > span.limit or start <= max(span.start, first):
            break
    if len(found) > span.limit and _micro(found[0]) == _micro(found[-1]):
        begin = _micro(found[0])
        told = Span(begin * 1000, min(span.end, begin * 1000 + 1000), ONE_MICRO, span.until)
        found = _trades(data, instrument, told, session, seam, limits)
        return Page(found, more=True)
    return Page(*newest(found, span.limit, lambda trade: trade.ts_event))


def _micro(trade: Trade) -> int:
    return trade.ts_event // 1000


def _trades(data: Path, instrument: str, span: Span, session: str, seam: int, limits: Limits) -> list[Trade]:
    where = "instrument = $name AND ts_event >= $start AND ts_event < $end AND ts_recv <= $until"
    newer = "(session_id <> $session OR ts_recv <= $seam)"
    order = "ORDER BY ts_event DESC, session_id DESC, n DESC LIMIT $most"
    sql = f"SELECT * FROM trades WHERE {where} AND {newer} {order}"  # noqa: S608  our own
    params = {"name": instrument, "session": session, "seam": seam, **_params(span)}
    return events(Trade, Question(sql, params, limits).ask(data).table)[::-1]


def profile_of(
    data: Path, instrument: str, span: tuple[int, int, int], bps: float, limits: Limits
) -> tuple[Profile, int | None, int | None]:
    """Volume by price of the trades with `start` <= time < `end` that had come by `until`: (profile, first time, last time)."""
    start, end, until = span
    sql = "SELECT ts_event, flags, price, size, side FROM trades"
    sql += " WHERE instrument = $name AND ts_event >= $start AND ts_event < $end AND ts_recv <= $until ORDER BY ts_event"
    answer = Question(sql, {"name": instrument, "start": start, "end": end, "until": until}, limits).ask(data)
    if answer.truncated:
        raise QueryTooBig("more trades than a profile can be made of at once: ask for a shorter range")
    flags = answer.table["flags"].to_numpy()
    kind = int(flags[-1]) & AGGREGATED if len(flags) else 0
    kept = answer.table.filter(pa.array(flags & (OFF_BOOK | AGGREGATED) == kind))
    times = kept["ts_event"]
    made = profile(*(kept[name].to_pylist() for name in ("price", "size", "side")), bps=bps)
    return (made, times[0].as_py(), times[-1].as_py()) if len(kept) else (made, None, None)


# Books


class Columns(msgspec.Struct, frozen=True):
    """How books are shown: `market.columns`."""

    step: Step
    rows: int
    every: int
    levels: int


def newest_columns(
    catalogue: Catalogue, instrument: str, asked: Columns, span: Span, patience: Patience
) -> tuple[list[dict[str, Any]], bool]:
    """The books at the steps of a grid, as they were known then. Where nothing of the book was recorded there are none."""
    files, every = catalogue.chosen("book", [instrument], None, span.end), asked.every
    first = -(-max(span.start, min((f.first_ts for f in files), default=span.end)) // every) * every
    at = -(-min(span.end, span.until + 1) // every) * every  # the first step that is not wanted any more
    found: list[dict[str, Any]] = []
    while at > first and len(found) <= span.limit and not (patience.over and found):
        last = max((f.last_ts for f in files if f.first_ts < at), default=first)
        at = min(at, (last // every + 2) * every)
        start = max(at - COLUMNS_AT_ONCE * every, first)
        books_ = books.at_instants(catalogue, instrument, range(start, at, every), asked.levels, "received")
        found = [_column(book, asked) for book in books_ if book.n >= 0] + found
        at = start
    return found[-span.limit :], len(found) > span.limit or at > first


def _column(book: BookAt, asked: Columns) -> dict[str, Any]:
    if book.state != "synced":
        return column(book.instrument, book.at, None, asked.step, asked.rows)
    floor, ceiling = book.bid_floor is not None, book.ask_ceiling is not None
    cut = (floor or len(book.bids) >= asked.levels, ceiling or len(book.asks) >= asked.levels)
    return column(book.instrument, book.at, raw(book.bids, book.asks, cut), asked.step, asked.rows)


# Trades of bars by price


def footprints(
    catalogue: Catalogue, instrument: str, edges: Sequence[tuple[int, int]], step: Step, until: int
) -> list[Footprint]:
    """One for each bar [open, end) of `edges`, ascending, of the trades that count for bars. Raises UsageError."""
    trades = folding.source(catalogue, instrument)
    pieces = list(folding.counted(trades, edges[0][0], edges[-1][1]))
    return [_footprint([_within(piece, *edge, until) for piece in pieces], step) for edge in edges]


def _footprint(pieces: Sequence[folding.Rows], step: Step) -> Footprint:
    columns = [
        np.concatenate([getattr(piece, name) for piece in pieces]) if pieces else np.empty(0)
        for name in ("price", "size", "buy", "sell")
    ]
    made = footprint(columns[0], columns[1], columns[2].astype(np.bool_), columns[3].astype(np.bool_), step)
    if made is None:
        raise UsageError(f"a bar has more than {MOST_CELLS} price bins: ask with a larger step")
    return made


def _within(piece: folding.Rows, start: int, end: int, until: int) -> folding.Rows:
    first, last = np.searchsorted(piece.ts, (start, end))
    part = piece.only(slice(int(first), int(last)))
    return part if not len(part.recv) or part.recv.max() <= until else part.only(part.recv <= until)
